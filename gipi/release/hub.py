"""Networks of other libraries, by name: `timm:NAME` and `hf:NAME` (transformers), where they are installed.

A kept model remembers the name and, for transformers, the configuration as JSON; from these the network is built again
when the model is opened. No code comes with a name: of the transformers hub only what the library itself knows is used.

B batch, K outputs
"""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.release.refused import Refused

HUBS = ("timm:", "hf:")
# What makes transformers fetch code or weights when it builds a network.
FETCHED = (
    *("auto_map", "custom_pipelines", "quantization_config", "attn_implementation", "_attn_implementation"),
    *("backbone", "use_pretrained_backbone", "use_timm_backbone", "trust_remote_code"),
    *("architecture", "model_args", "pretrained_cfg"),  # timm's names, which may be addresses, and its files
)
FETCHING = ("_implementation", "_implementation_internal")  # how more such names end: a kernel by its name on a hub
MOST_CLASSES = 1 << 17  # transformers writes a name for each before it builds anything
# How each is installed. timm imports torchvision, which must be the build that belongs to this torch.
PIP = {"timm": "pip install 'gipi[vision]'", "transformers": "pip install 'gipi[hub]'"}


def is_of_hub(name: str) -> bool:
    """Whether a system's name is that of a network of another library."""
    return name.startswith(HUBS)


def architecture_of(name: str) -> dict[str, Any]:
    """All that is needed to build it again, as JSON; for timm the name says it all.

    Raises:
        UsageError: The library is not there or does not know the name.
    """
    hub, _colon, known = name.partition(":")
    if not is_of_hub(name) or not known:
        text = _(
            "--model is timm:NAME or hf:NAME (in Python a module too); {came} came; see --system for ours", came=name
        )
        raise UsageError(text)
    if hub == "timm":
        return {"name": known}
    transformers = transformers_library()
    if known in transformers.CONFIG_MAPPING:  # a kind of network, as its authors have it
        config = transformers.CONFIG_MAPPING[known]()
    else:
        try:
            config = transformers.AutoConfig.from_pretrained(place_of(known), trust_remote_code=False)
        except Exception as error:  # the library raises anything
            raise failed(name, error) from error
    return json.loads(config.to_json_string(use_diff=False))


def hub_net(name: str, architecture: dict[str, Any], sizes: Sizes) -> nn.Module:
    """The network, with weights at their beginning, for pictures `sizes.input` and `sizes.output` numbers.

    Raises:
        UsageError: The library is not there, or cannot make such a network.
    """
    channels, height, width = sizes.input
    try:
        if name.startswith("timm:"):
            if ":" in architecture["name"]:  # timm would fetch a description from elsewhere, even to open a bundle
                raise ValueError(_("a name of timm's own list is needed"))
            timm = timm_library()
            known = architecture["name"]
            settled = timm.get_pretrained_cfg(known)
            shaped = {"img_size": (height, width)} if getattr(settled, "fixed_input_size", False) else {}
            return timm.create_model(known, pretrained=False, num_classes=sizes.output, in_chans=channels, **shaped)
        transformers = transformers_library()
        config = transformers.AutoConfig.for_model(**architecture)
        config.num_labels = sizes.output
        if hasattr(config, "num_channels"):
            config.num_channels = channels
        if hasattr(config, "image_size"):
            config.image_size = height if height == width else (height, width)
        return Scores(transformers.AutoModelForImageClassification.from_config(config, trust_remote_code=False))
    except (UsageError, MemoryError):
        raise
    except Exception as error:
        raise failed(name, error) from error


def check_architecture(name: str, architecture: Any) -> None:
    """A configuration that stands in a file builds a network and does nothing else.

    Raises:
        Refused: It is none, or asks for code or weights from elsewhere.
    """
    if not isinstance(architecture, dict) or (name.startswith("timm:") and set(architecture) != {"name"}):
        raise Refused(_("bundle.json is not as it should be: {what}", what="architecture"))
    waiting = [architecture]
    while waiting:
        held = waiting.pop()
        if isinstance(held, list):
            waiting += [value for value in held if isinstance(value, dict | list)]
            continue
        fetched = [one for one in held if (one in FETCHED or one.endswith(FETCHING)) and held[one]]
        if fetched:
            named = ", ".join(one[:40] for one in fetched[:4])
            raise Refused(_("its network asks for something from elsewhere: {what}", what=named))
        if type(count := held.get("num_labels", 0)) is not int or not 0 <= count <= MOST_CLASSES:
            raise Refused(_("bundle.json is not as it should be: {what}", what="architecture"))
        waiting += [value for value in held.values() if isinstance(value, dict | list)]


class Scores(nn.Module):
    """A network of transformers' that gives its scores alone."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(pixel_values=x).logits  # (B, K)


def place_of(known: str) -> str:
    """A folder of this machine, or a name of the hub."""
    path = Path(known).expanduser()
    return str(path.absolute()) if path.is_dir() else known


def timm_library() -> Any:
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except Exception as error:  # a broken installation raises anything
        raise _not_there("timm", error) from error
    return timm


def transformers_library() -> Any:
    try:
        import transformers  # pyright: ignore[reportMissingImports]

        transformers.AutoModelForImageClassification  # noqa: B018  # it is imported when it is looked at
    except Exception as error:
        raise _not_there("transformers", error) from error
    return transformers


def _not_there(package: str, error: Exception) -> UsageError:
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return UsageError(_("this needs {package}: {hint}", package=package, hint=PIP[package]))
    reason = " ".join(str(error).split())[:200]
    text = _("{package} is there but does not load: {reason}. See docs/transfer.md", package=package, reason=reason)
    return UsageError(text)


def failed(name: str, error: Exception) -> UsageError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return UsageError(_("{name} cannot be made: {reason}", name=name, reason=reason))
