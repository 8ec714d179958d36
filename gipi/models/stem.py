"""How a network of the ImageNet years begins: for large pictures with early halvings, for small ones without."""

from gipi.data.schema import Sizes
from gipi.errors import UsageError, nearest
from gipi.messages import _

STEMS = ("auto", "imagenet", "cifar")
SMALL = 96  # height or width below which early halvings would leave next to nothing of a picture


def is_for_small(stem: str, sizes: Sizes) -> bool:
    """Whether a network of pictures of this size begins without the early halvings.

    Args:
        stem: auto, imagenet (with them) or cifar (without).
        sizes: Of the pictures `(C, H, W)`; they decide where `stem` is auto.

    Raises:
        UsageError: There is no such stem.

    Example:
        >>> is_for_small("auto", Sizes(input=(3, 32, 32), output=10))
        True
    """
    if stem not in STEMS:
        known = ", ".join(STEMS)
        said = _("there is no stem '{name}'; there are {known}.", name=stem, known=known)
        raise UsageError(said + nearest(stem, list(STEMS)))
    _channels, height, width = sizes.input
    return stem == "cifar" or (stem == "auto" and min(height, width) < SMALL)
