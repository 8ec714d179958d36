"""A network of another library as a system: it learns like any other, and the optimizer's options are its Config."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from gipi.errors import UsageError
from gipi.jobs.own import Config, players
from gipi.release.hub import architecture_of, failed, hub_net, place_of, timm_library, transformers_library
from gipi.release.weight_files import PRETRAINED, Weights


def hub_system(name: str) -> Any:
    """The system of `timm:NAME` or `hf:NAME`; what builds the network again is kept with the model.

    Raises:
        UsageError: The library is not there or does not know the name.
    """
    architecture = architecture_of(name)
    return SimpleNamespace(
        __name__=name,
        tasks=("classify", "regress"),
        kinds=("picture",),
        defaults={"epochs": 40, "batch_size": 32, "schedule": "one-cycle", "augment": ("affine",)},
        Config=Config,
        Net=lambda sizes, config: hub_net(name, architecture, sizes),
        players=players,
        kept={"architecture": architecture},
    )


def pretrained(name: str) -> Weights:
    """The weights that belong to the network of this name, fetched by its library into the library's own cache.

    Raises:
        UsageError: The library is not there, or has none.
    """
    architecture_of(name)  # is it a name at all?
    known = name.partition(":")[2]
    try:
        if name.startswith("timm:"):
            timm = timm_library()
            tensors = timm.create_model(known, pretrained=True).state_dict()
            settled = timm.get_pretrained_cfg(known)
            _channels, *size = settled.input_size
            return _weights(name, tensors, tuple(size), settled.mean, settled.std)
        transformers = transformers_library()
        model = transformers.AutoModelForImageClassification.from_pretrained(
            place_of(known), use_safetensors=True, trust_remote_code=False
        )
        side = getattr(model.config, "image_size", None)
        size = (side, side) if isinstance(side, int) else tuple(side) if side else None
        center, scale = _as_seen(transformers, known)
        return _weights(name, model.state_dict(), size, center, scale)
    except UsageError:
        raise
    except Exception as error:
        raise failed(name, error) from error


def _weights(name: str, tensors: dict[str, Tensor], size: Any, center: Any, scale: Any) -> Weights:
    return Weights(f"{name} {PRETRAINED}", tensors, None, size, tuple(center), tuple(scale))


def _as_seen(transformers: Any, known: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the pictures were centered and scaled by, as the file beside the weights says; nothing if there is none."""
    found = transformers.utils.cached_file(
        place_of(known), "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
    )
    said = json.loads(Path(found).read_text(encoding="utf-8")) if found else {}
    center, scale = said.get("image_mean") or (), said.get("image_std") or ()
    return (tuple(center), tuple(scale)) if len(center) == len(scale) else ((), ())
