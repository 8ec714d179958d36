"""A kept model for other programs: ONNX, PyTorch's exported program, safetensors. Each is checked before it is written.

An .onnx or .pt2 file has everything inside, from rows as they come to the answer's numbers, and what a stranger must
know of them (release/usage.py). It must answer made-up rows as the model itself does. A .pt2 file is written for those
who ask for it and never read: opening one unpickles, and that runs whatever code is in it.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gipi.errors import UsageError, cannot_write
from gipi.messages import _
from gipi.release import usage
from gipi.release.alike import difference
from gipi.release.bundle import Held
from gipi.release.described import ANY_SIZE
from gipi.release.examples import example_rows, shortened, unit
from gipi.release.keep import reach_of
from gipi.release.program import as_whole, exported, free_axes, needs_export, ports, quiet, reason_of, results
from gipi.release.runtime import Program
from gipi.release.session import onnxruntime
from gipi.training.checkpoint import write_atomically
from gipi.training.tensors import pieces

if TYPE_CHECKING:
    from gipi.release.model import Model

Inputs = dict[str, np.ndarray]
Run = Callable[[Inputs], Inputs]

FILES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
WORDS = {"word2vec-text": ".txt", "word2vec-binary": ".bin"}  # release/word_vectors.py
SUFFIXES = FILES | {"sagemaker": ".tar.gz", "docker": "-docker"} | WORDS  # containers: release/containers.py
MOST = 1_900_000_000  # bytes of weights inside an .onnx file: protobuf ends at 2 GB
SMALL = 1 << 10  # bytes of a constant that stays inside whatever happens


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: Their paths.
        usage: Lines of Python that use them.
        remark: What a person should know before.
        measured: Of a variant: how fast and how good it is beside the model itself.
    """

    files: list[Path]
    usage: str = ""
    remark: str = ""
    measured: dict[str, Any] = field(default_factory=dict)


# --- ONNX ------------------------------------------------------------------------------------------------------------


def write_onnx(model: Any, opened: Held | None, path: Path, most: int = MOST) -> Exported:
    """Write a model's program as an .onnx file; of a model that has no networks here, the program of its bundle.

    Args:
        model: A Model or a Program.
        opened: The bundle of a Program.
        path: The file.
        most: Bytes of weights that may stand inside; else they lie beside it.

    Raises:
        UsageError: It has no single program, or the program answers differently.
    """
    return write_graph(model, onnx_model(model, opened), path, most)


def onnx_model(model: Any, opened: Held | None = None) -> Any:
    """The program of a model, weights and all: `onnx.ModelProto`, without anything of the machine it was made on."""
    needs_export()
    proto = folded(exported(model)) if opened is None else _filled(opened)
    graph = proto.graph
    for one in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph]:
        one.ClearField("doc_string")  # where in which file each line stands
        one.ClearField("metadata_props")
    proto.ClearField("functions")
    graph.ClearField("value_info")  # quantizers infer the shapes anew
    graph.name = "gipi"
    _name_axes(graph)
    return proto


def folded(proto: Any) -> Any:
    """The program with what is known beforehand worked out, and normalization inside the convolutions before it.

    onnxruntime does that too, but where the exporter writes a constant as three operators it stops half-way: a small
    convolutional network took four times as long.
    """
    from onnxscript import optimizer

    with quiet():
        return optimizer.optimize(proto)


def _filled(opened: Held) -> Any:
    """The program of a bundle, with the weights that it points to inside."""
    import onnx

    proto = onnx.load_from_string(opened.parts["program.onnx"].tobytes())
    weights = opened.weights
    for tensor in proto.graph.initializer:
        if tensor.name in weights and tensor.external_data:
            tensor.raw_data = np.ascontiguousarray(weights[tensor.name]).tobytes()
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
    return proto


def _name_axes(graph: Any) -> None:
    """`rows`, `height` and `width` or `tokens`, for axes that the exporter has numbered."""
    names: dict[str, str] = {}
    for value in graph.input:
        free = [axis.dim_param for axis in value.type.tensor_type.shape.dim]
        known = ("rows", "tokens") if value.name == "tokens" else ("rows", "height", "width")
        for old, new in zip([one for one in free if one], known, strict=False):
            names.setdefault(old, new)
    if not names:
        return
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
    for value in [*graph.input, *graph.output]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = pattern.sub(lambda found: names[found[1]], axis.dim_param)


def write_graph(model: Any, proto: Any, path: Path, most: int = MOST, precision: str = "float32") -> Exported:
    """Write a program; see `write_onnx`. In float32 it has to answer as the model does; a variant need not."""
    names = [value.name for value in proto.graph.output]
    text = usage.of_onnx(model, path.name, names)
    described = usage.notes(model, names) | ({} if precision == "float32" else {"precision": precision})
    proto.producer_name, proto.producer_version = "gipi", described["made_by"].removeprefix("gipi ")
    proto.doc_string = f"{model.task} by {model.system}, made by {described['made_by']}.\n\n{text}\n"
    del proto.metadata_props[:]
    for name, value in described.items():
        proto.metadata_props.add(key=name, value=value)
    aside = _set_aside(proto, path.with_name(path.name + ".data"), most)
    content = proto.SerializeToString()
    if precision == "float32":
        check(model, running(content, aside))
    files = [path]
    with _folder_of(path):
        if aside:
            files.append(path.with_name(path.name + ".data"))
            write_atomically(files[1], *(array.data for array in aside.values()))
        _check_form(content, path)
        write_atomically(path, content)
    return Exported(files, text)


def running(content: bytes, aside: dict[str, np.ndarray] | None = None) -> Run:
    """A program of our own making in onnxruntime; `release/session.py` runs those of strangers, which are plainer.

    Args:
        content: The program.
        aside: The arrays of tensors that it looks for in a file.
    """
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # two that take turns disturb each other
    values = [runtime.OrtValue.ortvalue_from_numpy(array) for array in (aside or {}).values()]
    options.add_external_initializers([*(aside or {})], values)
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]

    def run(inputs: Inputs) -> Inputs:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


def _set_aside(proto: Any, beside: Path, most: int) -> dict[str, np.ndarray]:
    """The large tensors that must lie in a file of their own, as bytes; none where all of it fits into one file."""
    from onnx import TensorProto, helper

    tensors = [one for one in proto.graph.initializer if len(one.raw_data) > SMALL]
    if sum(len(one.raw_data) for one in tensors) <= most:
        return {}
    found, place = {}, 0
    for one in tensors:
        kind = helper.tensor_dtype_to_np_dtype(one.data_type)
        found[one.name] = np.frombuffer(one.raw_data, kind).reshape(tuple(one.dims))
        one.data_location = TensorProto.EXTERNAL
        size = len(one.raw_data)
        for key, value in (("location", beside.name), ("offset", place), ("length", size)):
            one.external_data.add(key=key, value=str(value))
        one.ClearField("raw_data")
        place += size
    return found


def _check_form(content: bytes, path: Path) -> None:
    """The library of ONNX itself finds nothing wrong with it; where weights lie beside it, it wants to see the file."""
    import onnx

    trial = path.with_name(f".{path.name}.trial.onnx")
    try:
        trial.write_bytes(content)
        onnx.checker.check_model(str(trial))
    except OSError as error:
        raise cannot_write(path, error) from error
    except onnx.checker.ValidationError as error:
        raise UsageError(_("its program is no ONNX model: {reason}", reason=reason_of(error))) from error
    finally:
        trial.unlink(missing_ok=True)


# --- PyTorch ---------------------------------------------------------------------------------------------------------


def write_torch(model: "Model", path: Path) -> Exported:
    """Write a model as PyTorch's exported program, a .pt2 file.

    Raises:
        UsageError: It cannot be traced, or answers differently; says why.
    """
    given, names = ports(model), results(model)
    is_guarded = model.task not in ANY_SIZE  # what is guarded there is how pictures lie in memory, not what they say
    try:
        with as_whole(model) as whole, quiet(), torch.no_grad():
            examples = tuple(port.example for port in given)
            program = torch.export.export(whole, examples, dynamic_shapes=(free_axes(given),))
            module = program.module(check_guards=is_guarded)
            check(model, _run_of(module, [port.name for port in given]))
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # it names files of this machine
            content = io.BytesIO()
            torch.export.save(program, content, extra_files={"gipi.json": json.dumps(usage.notes(model, names))})
    except UsageError:
        raise
    except Exception as error:  # torch.export raises all sorts of things, and networks may be a person's own
        raise UsageError(_("the network cannot be exported: {reason}", reason=reason_of(error))) from error
    with _folder_of(path):
        write_atomically(path, content.getbuffer())
    remark = _("opening a .pt2 file unpickles, which can run any code: take one from nobody whom you do not trust")
    return Exported([path], usage.of_torch(model, path.name, names, is_guarded), remark)


def _run_of(module: Any, names: list[str]) -> Run:
    def run(inputs: Inputs) -> Inputs:
        made = module(*(torch.from_numpy(np.array(inputs[name])) for name in names))
        return {name: tensor.numpy() for name, tensor in made.items()}

    return run


# --- weights alone ---------------------------------------------------------------------------------------------------


def write_weights(members: list[dict[str, Tensor]], path: Path) -> Exported:
    """Write the weights by the names that the network has for them; of several networks a file each, NAME-1, NAME-2 ...

    Raises:
        RunError: They cannot be written.
    """
    count = len(members)
    files = [path if count == 1 else path.with_stem(f"{path.stem}-{number}") for number in range(1, count + 1)]
    with _folder_of(path):
        for file, tensors in zip(files, members, strict=True):
            content = pieces(tensors, {"format": "pt"})
            _check_weights(content, tensors)
            write_atomically(file, *content)
    lines = ["import safetensors.torch", "", f"weights = safetensors.torch.load_file({json.dumps(files[0].name)})"]
    return Exported(files, "\n".join(lines))


def _check_weights(content: list[bytes | memoryview], tensors: dict[str, Tensor]) -> None:
    """What stands in the file is, byte for byte, what the networks have."""
    from safetensors.torch import load

    held = load(b"".join(bytes(piece) for piece in content))
    assert held.keys() == tensors.keys()
    assert all(_bytes(held[name]) == _bytes(tensor) for name, tensor in tensors.items())


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


# --- all of them -----------------------------------------------------------------------------------------------------


def check(model: Any, run: Run) -> None:
    """A program answers made-up rows as the model does.

    Raises:
        UsageError: It does not; says where. Or nothing is known of what goes in.
    """
    rows = example_rows(model)
    if rows is None:
        raise UsageError(_("nothing is known of the batches that this model takes: it was kept by an older gipi"))
    found = program_with(model, run).predict(rows)
    gap = difference(shortened(found), shortened(model.predict(rows)), unit(model.schema))
    if gap is not None:
        raise UsageError(_("its program answers differently: {gap}", gap=gap))


def program_with(model: Any, run: Run) -> Program:
    """What answers rows in words, by this program."""
    reach = reach_of(model) if hasattr(model, "members") else model.reach
    return Program(model.task, model.system, model.schema, model.config, run, model.card, model.extra, reach)


@contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    yield
