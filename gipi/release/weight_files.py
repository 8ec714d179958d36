"""Where weights come from: a run, a bundle, a file, an address, or a name that they were published under.

What is fetched is checked against its SHA-256 and kept in the cache. No file is trusted: a pickle (.pth, .pt) is opened
by torch's reader of tensors, which runs no code and refuses whatever is none, and nothing larger than 4 GB is opened.
"""

import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gipi.data.fetch import MOST_BYTES, cache_folder, fetch, hash_of
from gipi.errors import RunError, UsageError, reason_of
from gipi.messages import _
from gipi.release.bundle import damaged, held
from gipi.release.described import Described
from gipi.release.networks import members_of
from gipi.release.published import network_of, published
from gipi.release.refused import Refused
from gipi.training.folder import find

Progress = Callable[[str, int, int | None], None]

PRETRAINED = "pretrained"  # those that belong to the network that `--model` names
PICKLES = (".pth", ".pt")
FILES = (".gipi", ".safetensors", *PICKLES)
LARGEST_PICKLE = 64 << 20  # bytes of what stands beside the tensors: their names and shapes
INSIDE = ("state_dict", "model_state_dict", "model")  # where programs put the weights among other things
IN_NAME = re.compile(r"-([0-9a-f]{8,64})$")  # how a SHA-256 begins: torchvision's names
MOVES = ("optimizer", "lr", "momentum", "weight_decay")  # options of a system that do not shape its network


@dataclass(frozen=True)
class Weights:
    """Weights to begin with, and what is known of where they were learned.

    Attributes:
        source: Where they come from, as a person would say it.
        tensors: By name.
        sha256: Of the file.
        size: `(height, width)` of the pictures that they were learned from.
        center: What was subtracted from those pictures, for each channel or for all of them, where white is 1.
        scale: What they were divided by then.
        system: That the weights belong to.
        options: Of that system, which make the network that they fit.
        tokenizer: Of the texts that they were learned from, as JSON.
        context: How many tokens of those were looked at together, at most.
    """

    source: str
    tensors: dict[str, Tensor]
    sha256: str | None = None
    size: tuple[int, int] | None = None
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    system: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = ""
    context: int = 0

    @property
    def network(self) -> str:
        """The system whose network they are: of one that was learned without labels, its backbone's."""
        return self.options.get("backbone", self.system)


def settled_source(source: str) -> str:
    """The same place by a name that it keeps: `last`, a run's name and a path from here become the path of a file.

    Raises:
        RunError: There is no such run.
        UsageError: The file is of another kind.
    """
    if source == PRETRAINED or "://" in source or source in published:
        return source
    path = Path(source).expanduser()
    if path.suffix.lower() in FILES and not path.is_dir():
        return str(path.absolute())
    if path.is_file():
        known = ", ".join(FILES)
        text = _("weights come from a file of the kind {known}; {source} came", known=known, source=source)
        raise UsageError(text)
    return str((find(source) / "model.gipi").absolute())


def read_weights(source: str, progress: Progress | None = None) -> Weights:
    """The weights at a place that `settled_source` gave.

    Args:
        source: A path, an address, or a published name.
        progress: Told the file's name, the bytes so far and in all, while it is fetched.

    Raises:
        RunError: The file cannot be read, or holds something else.
        DataError: It cannot be fetched, or is not what it should be.
        UsageError: The address does not say what the file must hash to.
    """
    if source in published:
        address, begins, side, center, scale = published[source]
        path = _fetched(address, begins, progress)
        system, options = network_of(source)
        tensors = tensors_of(path)
        return Weights(source, tensors, hash_of(path), (side, side), center, scale, system, options)
    path = _fetched(*_parsed(source), progress) if "://" in source else Path(source)
    if path.suffix.lower() != ".gipi":
        return Weights(source, tensors_of(path), hash_of(path))
    opened = held(path)
    try:
        tensors = members_of(opened)[0]
    except Refused as error:
        raise damaged(path, error) from error
    said = opened.described
    return Weights(source, tensors, hash_of(path), **_inputs(said), system=said.system, options=_shaping(said))


def _inputs(said: Described) -> dict[str, Any]:
    """What a bundle says of the pictures or texts that it was trained on."""
    if said.schema.is_text:
        first = said.schema.inputs[0]
        return {"tokenizer": first.tokenizer, "context": first.shape[0]}
    if not said.schema.is_picture:
        return {}
    (picture,) = said.schema.inputs
    center = picture.centers or (picture.center,)
    scale = picture.scales or (picture.scale,)
    return {
        "size": picture.shape[1:],
        "center": tuple(value / picture.white for value in center),
        "scale": tuple(value / picture.white for value in scale),
    }


def _shaping(said: Described) -> dict[str, Any]:
    """The options of a bundle's system that made its network."""
    config = said.config.items()
    return {name: tuple(v) if isinstance(v, list) else v for name, v in config if name not in MOVES}


# --- addresses ---------------------------------------------------------------------------------------------------


def _parsed(address: str) -> tuple[str, str]:
    """The address, and how the SHA-256 of its file begins: all of it after `#sha256=`, or what the file's name says."""
    plain, _sharp, said = address.partition("#")
    path = Path(unquote(urlsplit(plain).path))
    if path.suffix.lower() not in FILES:
        known = ", ".join(FILES)
        raise UsageError(_("weights come from a file of the kind {known}; {source} came", known=known, source=address))
    wanted = said.removeprefix("sha256=").lower()
    if said.startswith("sha256=") and re.fullmatch("[0-9a-f]{64}", wanted):
        return plain, wanted
    if not said and (found := IN_NAME.search(path.stem)):
        return plain, found[1]
    raise UsageError(
        _(
            "{address} does not say what its file must be; put #sha256= and the 64 letters of its SHA-256 behind it",
            address=address,
        )
    )


def _fetched(address: str, begins: str, progress: Progress | None) -> Path:
    """The file in the cache, fetched if it is not there."""
    name = Path(unquote(urlsplit(address).path)).name
    said = None if progress is None else lambda done, total: progress(name, done, total)
    return fetch(address, begins, cache_folder() / "weights" / begins[:16] / name, said)


# --- files -------------------------------------------------------------------------------------------------------


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth or .pt file, on the CPU; what can be stays on the disk until it is used.

    Raises:
        RunError: There is no such file, it is too large, damaged, or holds something else.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            most = f"{MOST_BYTES >> 30} GB"
            raise RunError(_("{path} is larger than {most}; it is not opened", path=path, most=most))
        if path.suffix.lower() not in PICKLES:
            return load_file(path)
        return _plain(_unpickled(path), path)
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Any) -> RunError:
    reason = " ".join(str(error).split())[:200]
    return RunError(_("{path} holds no weights, or is damaged: {reason}", path=path, reason=reason))


def _unpickled(path: Path) -> Any:
    """What a pickle holds, read by a reader that makes tensors and plain containers, and calls nothing else."""
    is_zip = zipfile.is_zipfile(path)  # else of torch before 1.6
    try:
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                parts = archive.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise _damaged(path, "compressed")
            if any(part.file_size > LARGEST_PICKLE for part in parts if part.filename.endswith(".pkl")):
                raise _damaged(path, "data.pkl")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a pickle that another program made
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except (RunError, OSError):
        raise
    except Exception as error:  # a file that was made to do harm may raise anything
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not found:
            *_advice, reason = str(error).partition("WeightsUnpickler error:")  # torch's advice: run it nonetheless
            raise _damaged(path, reason.partition("Check the")[0] or type(error).__name__) from error
        text = _(
            "{path} holds more than tensors ({what}), so opening it could run code; it is not opened. Where it was"
            " made, keep model.state_dict() alone",
            path=path,
            what=found[1],
        )
        raise RunError(text) from error


def _plain(held: Any, path: Path) -> dict[str, Tensor]:
    """The weights by name; where they stand among other things, only they."""
    if isinstance(held, dict):
        inside = next((held[name] for name in INSIDE if isinstance(held.get(name), dict)), held)
        if inside and all(isinstance(name, str) and isinstance(one, Tensor) for name, one in inside.items()):
            return {name: one for name, one in inside.items() if one.layout == torch.strided and not one.is_quantized}
    what = type(held).__name__
    if isinstance(held, dict):
        what += f" ({', '.join(str(name)[:40] for name in [*held][:4])})"
    raise RunError(_("{path} holds no weights by name, but a {what}", path=path, what=what))
