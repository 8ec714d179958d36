"""The bundle: one `.gipi` file with all that a kept model needs; opening it runs no code from the file.

A stored zip of `bundle.json` (format, task, system, configuration, schema, card), `weights.safetensors` (every member)
and `examples.json` (inputs with the outputs they must give, which are checked each time the file is opened). Its last
64 bytes, the zip's comment, are the sha256 of all before them.
"""

import hashlib
import io
import json
import warnings
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from gipi import systems, tasks
from gipi.data.schema import Schema, Sizes
from gipi.data.schema import sizes as sizes_of
from gipi.errors import RunError, cannot_write
from gipi.messages import _
from gipi.release.hub import hub_net, is_of_hub
from gipi.release.model import Model
from gipi.release.own import own_net
from gipi.training.checkpoint import write_atomically

FORMAT = 1
LARGEST_TEXT = 64 << 20  # bytes of bundle.json or examples.json
EXAMPLES = 5
SUM = 64  # bytes of a sha256 in letters
PIECE = 1 << 20  # bytes read at once
DTYPES = {"float32": torch.float32, "float64": torch.float64}
DAMAGED = (
    zipfile.BadZipFile,
    SafetensorError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    RuntimeError,
)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the same bundle has the same bytes, whenever it is written


def write_bundle(model: Model, path: Path) -> Path:
    """Write a model as a bundle, whole or not at all; gives the path."""
    if path.suffix != ".gipi":
        path = path.with_name(path.name + ".gipi")
    weights = {
        f"{number}.{name}": tensor.detach().cpu().clone().contiguous()
        for number, member in enumerate(model.members)
        for name, tensor in member.state_dict().items()
    }
    described = {
        "format": FORMAT,
        "task": model.task,
        "system": model.system,
        "config": model.config,
        "sizes": {name: value for name, value in asdict(model.sizes).items() if name != "edges"},  # the schema has them
        "schema": model.schema.to_json(),
        "members": len(model.members),
        "dtype": str(next(model.members[0].parameters()).dtype).removeprefix("torch."),
        "card": model.card,
        "extra": model.extra,
        "sum": "sha256",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            ("bundle.json", json.dumps(described, ensure_ascii=False).encode()),
            ("weights.safetensors", save_tensors(weights)),
            ("examples.json", json.dumps(_examples(model)).encode()),
        ):
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), content)
        archive.comment = bytes(SUM)  # its place, until all before it is there
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    content = buffer.getbuffer()[:-SUM]
    write_atomically(path, content, hashlib.sha256(content).hexdigest().encode())
    return path


def read_bundle(path: str | Path, own: Any = None, system: Any = None) -> Model:
    """Open a bundle and check that it still gives the answers it was stored with.

    Args:
        path: The file.
        own: For a module of a person's own: one of the same make, or the function of sizes that makes it; its weights
            are taken from the file.
        system: For a system of a person's own: the system.

    Raises:
        RunError: It is no bundle, is damaged, is of a newer format, or answers differently.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            described = _described(archive, path)
            if described.get("format") != FORMAT:
                came = described.get("format")
                raise RunError(
                    _(
                        "{path} has the bundle format {came}; this gipi reads format {known}",
                        path=path,
                        came=came,
                        known=FORMAT,
                    )
                )
            weights = load_tensors(_read(archive, "weights.safetensors"))
            examples = json.loads(_text(archive, "examples.json", path))
        model = _built(described, weights, own, system)
        _check(model, examples, path)
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=error.strerror or error)) from error
    except DAMAGED as error:
        if isinstance(error, RunError):
            raise
        reason = " ".join(str(error).split())
        raise RunError(_("{path} is not a gipi bundle or is damaged: {reason}", path=path, reason=reason)) from error
    return model


def weights_of_bundle(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a bundle says of itself, and the weights of its first network, whatever that is.

    Raises:
        RunError: There is no such file, or it is no bundle, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            described = _described(archive, path)
            weights = load_tensors(_read(archive, "weights.safetensors"))
    except (OSError, *DAMAGED) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(_("{path} is not a gipi bundle or is damaged: {reason}", path=path, reason=error)) from error
    return described, {name[2:]: tensor for name, tensor in weights.items() if name.startswith("0.")}


def _described(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    """bundle.json of a file whose checksum holds; bundles of before have none."""
    described = json.loads(_text(archive, "bundle.json", path))
    if (archive.comment or described.get("sum")) and archive.comment != _sum(path):
        raise RunError(_("{path} is damaged: its checksum does not hold", path=path))
    return described


def _sum(path: Path) -> bytes:
    """The checksum of all but the last bytes, where it stands."""
    digest = hashlib.sha256()
    left = path.stat().st_size - SUM
    with open(path, "rb") as file:
        while left > 0 and (piece := file.read(min(left, PIECE))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest().encode()


def _built(described: dict[str, Any], weights: dict[str, torch.Tensor], own: Any, system: Any) -> Model:
    shape = described["sizes"]
    schema = Schema.from_json(described["schema"])
    tasks.load(described["task"])
    sizes = Sizes((), 0) if described["task"] == "stream" else sizes_of(schema, shape["output"])
    if (sizes.input, sizes.categories) != (tuple(shape["input"]), tuple(shape["categories"])):
        raise ValueError("the sizes are not those of the schema")
    kept: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in weights.items():
        number, _dot, rest = name.partition(".")
        kept.setdefault(number, {})[rest] = tensor
    if not kept or set(kept) != {str(number) for number in range(len(kept))} or len(kept) != described["members"]:
        raise ValueError("the members of the model are not those in the file")
    is_own = described["system"] == "own" or system is not None
    if not is_own:  # before any memory is taken: are the weights those of this network?
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a network that copies its own weights says it cannot, here
            expected = {name: tensor.shape for name, tensor in _net(described, sizes, own, system).state_dict().items()}
        if expected != {name: tensor.shape for name, tensor in kept["0"].items()}:
            raise ValueError("the weights are not those of this network")
    members: list[nn.Module] = []
    for number in range(len(kept)):
        net = _net(described, sizes, own, system).to(DTYPES[described["dtype"]])
        _load(net, kept[str(number)], is_own)
        members.append(net)
    return Model(
        described["task"],
        described["system"],
        schema,
        sizes,
        described["config"],
        members,
        described["card"],
        described["extra"],
    )


def _net(described: dict[str, Any], sizes: Sizes, own: Any, system: Any) -> nn.Module:
    """A network as it was before it learned anything."""
    name = described["system"]
    if name == "own":
        if own is None:
            raise RunError(
                _("this model is a module of a person's own: give one of the same make, gipi.load(path, model=...)")
            )
        return own_net(own, sizes)
    if is_of_hub(name):
        return hub_net(name, described["extra"]["architecture"], sizes)
    if system is None and name not in systems.names():
        raise RunError(
            _("this model's system, {name}, is a person's own: give it, gipi.load(path, system=...)", name=name)
        )
    made_by = systems.load(system or name)
    config = {option: tuple(v) if isinstance(v, list) else v for option, v in described["config"].items()}
    return made_by.Net(sizes, made_by.Config(**config))


def _load(net: nn.Module, weights: dict[str, torch.Tensor], is_own: bool) -> None:
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        if not is_own:
            raise
        reason = " ".join(str(error).split())
        raise RunError(_("what was given is not of the make of the kept model: {reason}", reason=reason)) from error


def _text(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    if archive.getinfo(name).file_size > LARGEST_TEXT:
        raise RunError(
            _("{path} is not a gipi bundle or is damaged: {reason}", path=path, reason=f"{name} is too large")
        )
    return _read(archive, name)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A part of the bundle; parts are stored as they are, so none is larger than the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def _examples(model: Model) -> dict[str, Any]:
    """Encoded inputs, drawn at random in the shape the networks take, with what the first member gives for them."""
    if not model.schema.inputs:  # a stream's: nobody knows what goes in
        return {"inputs": [], "outputs": []}
    shape = model.sizes.input if model.schema.is_picture else (model.sizes.input[0] + len(model.sizes.categories),)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(EXAMPLES, *shape, generator=generator, dtype=torch.float64)
    for place, count in enumerate(model.sizes.categories):
        x[:, model.sizes.input[0] + place] = torch.randint(0, count + 1, (EXAMPLES,), generator=generator).double()
    if model.task == "generate":
        x = torch.randn(EXAMPLES, model.config["latent"], generator=generator, dtype=torch.float64)
    x = x.float()  # what JSON holds is exactly what went in
    return {"inputs": x.tolist(), "outputs": _first(model, x).tolist()}


def _first(model: Model, x: torch.Tensor) -> torch.Tensor:
    net = model.members[0]
    with torch.no_grad():
        where = next(net.parameters())
        return net(x.to(where.device, where.dtype)).double().cpu()


def _check(model: Model, examples: dict[str, Any], path: Path) -> None:
    if not examples["inputs"]:
        return
    expected = torch.tensor(examples["outputs"], dtype=torch.float64)
    found = _first(model, torch.tensor(examples["inputs"]))
    if not torch.allclose(found, expected, **TOLERANCE, equal_nan=True):
        gap = (found - expected).abs().max().item()
        raise RunError(
            _("{path} does not give the answers it was stored with: off by {gap}", path=path, gap=f"{gap:.3g}")
        )
