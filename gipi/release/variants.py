"""Programs in fewer bits: int8 and bf16, each measured beside the program that it stands for.

int8 by onnxruntime's quantization (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html):
weights of 8 bits, a scale for each channel; what flows between is scaled as it comes (dynamic), or by what rows of the
training part made of it (static). What prepares rows and what makes answers of scores stays as it is. bf16 as far as
onnxruntime has kernels for it. Whether either pays depends on the machine, so it is measured there.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.release.export import Inputs, Run, onnx_model, running
from gipi.release.program import reason_of
from gipi.release.session import onnxruntime

if TYPE_CHECKING:
    from gipi.release.model import Model

PRODUCTS = ["MatMul", "Gemm"]
AT_ONCE = 64  # rows of a piece that a static program is calibrated with
ROUNDS = 10  # of measuring, each program in turn
ROUND = 0.5  # seconds that the slowest takes for a round, about
MOST_TIMED = 2048  # rows of a round
FASTER = 0.9  # of the time, at most: a program measured beside itself, 36 times on a busy machine, was never below


@dataclass(frozen=True)
class Variant:
    """A program in fewer bits: how it was made, and what it is."""

    method: str
    proto: Any


# --- how they are made -----------------------------------------------------------------------------------------------


def int8(proto: Any, calibration: Inputs) -> list[Variant]:
    """The ways to have a program in 8 bits: with convolutions the static one; without, both.

    Args:
        proto: The program, `onnx.ModelProto`.
        calibration: Some hundred rows as they go into the program.

    Raises:
        UsageError: There is nothing in it that can be had in 8 bits.
    """
    kinds = {node.op_type for node in proto.graph.node}
    if not kinds & {"Conv", *PRODUCTS}:
        raise UsageError(_("the program has no matrix products and no convolutions, so nothing to have in int8"))
    with _quietly(), tempfile.TemporaryDirectory() as folder:
        import onnx
        from onnxruntime.quantization.shape_inference import quant_pre_process

        prepared = Path(folder) / "prepared.onnx"
        onnx.save(proto, Path(folder) / "usual.onnx")
        # onnxruntime's own inference of shapes fails on programs of texts; ONNX's, which is left, is enough
        quant_pre_process(
            str(Path(folder) / "usual.onnx"), str(prepared), skip_optimization=True, skip_symbolic_shape=True
        )
        if "Conv" in kinds:
            return [_static(prepared, calibration, ["Conv", *PRODUCTS])]
        return [_dynamic(prepared), _static(prepared, calibration, PRODUCTS)]


def _dynamic(prepared: Path) -> Variant:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = prepared.with_name("dynamic.onnx")
    quantize_dynamic(prepared, path, PRODUCTS, per_channel=True, weight_type=QuantType.QInt8)
    return Variant("dynamic", onnx.load(path))


def _static(prepared: Path, calibration: Inputs, kinds: list[str]) -> Variant:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Rows(CalibrationDataReader):
        """Calibration rows, a piece at a time."""

        def __init__(self):
            self.pieces = _pieces(calibration, AT_ONCE)

        def get_next(self) -> Any:  # what onnxruntime asks for; None: that was all
            return next(self.pieces, None)

    path = prepared.with_name("static.onnx")
    quantize_static(
        prepared,
        path,
        Rows(),
        op_types_to_quantize=kinds,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return Variant("static", onnx.load(path))


def _pieces(inputs: Inputs, count: int) -> Iterator[Inputs]:
    rows = len(next(iter(inputs.values())))
    for start in range(0, rows, count):
        yield {name: array[start : start + count] for name, array in inputs.items()}


def bf16(model: "Model") -> Variant:
    """The program with its networks in bf16: 8 bits of exponent as float32 has, 7 of what stands before it.

    Raises:
        UsageError: It cannot be exported so.
    """
    if not hasattr(model, "members"):
        raise UsageError(_("this needs the model's networks; give the module, gipi.load(path, model=...)"))
    return Variant("bf16", onnx_model(replace(model, members=[Narrow(member) for member in model.members])))


class Narrow(nn.Module):
    """A network that counts in bf16 and gives what it found in float32."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = deepcopy(net).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(torch.bfloat16) if x.is_floating_point() else x).float()  # tokens are whole numbers


# --- whether they run, and what they are worth -----------------------------------------------------------------------


def runnable(variant: Variant, precision: str) -> Run:
    """The variant in onnxruntime.

    Raises:
        RunError: This onnxruntime has no kernels for it.
    """
    library = onnxruntime()
    try:
        return running(variant.proto.SerializeToString())
    except Exception as error:  # onnxruntime's errors have a class for each kind
        version, reason = library.__version__, reason_of(error)
        text = _(
            "onnxruntime {version} cannot run this program in {precision} on this machine: {reason}",
            version=version,
            precision=precision,
            reason=reason,
        )
        raise RunError(text) from error


def seconds(programs: list[Callable[[Inputs], Any]], inputs: Inputs) -> list[list[float]]:
    """Seconds a row of each program, each in turn, several times: `[program][round]`."""
    rows = len(next(iter(inputs.values())))
    few = {name: array[:AT_ONCE] for name, array in inputs.items()}
    for program in programs:
        program(few)
    slowest = max(_timed(program, few) for program in programs) / min(rows, AT_ONCE)
    count = int(min(rows, MOST_TIMED, max(AT_ONCE, ROUND / slowest)))
    some = {name: array[:count] for name, array in inputs.items()}
    found: list[list[float]] = [[] for _program in programs]
    for turn in range(ROUNDS):
        pairs = [*zip(programs, found, strict=True)]
        for program, times in pairs if turn % 2 else pairs[::-1]:  # who comes second finds the rows in the cache
            times.append(_timed(program, some) / count)
    return found


def _timed(program: Callable[[Inputs], Any], inputs: Inputs) -> float:
    begin = time.perf_counter()
    program(inputs)
    return time.perf_counter() - begin


def loss_of(before: Any, after: Any) -> float:
    """How much worse a metric is: of accuracy, f1, R² ... their difference; of an error the share that it grew by.

    Example:
        >>> from gipi.tasks.intervals import Metric
        >>> round(loss_of(Metric(0.98), Metric(0.97)), 4), loss_of(Metric(2.0, None, None, False), Metric(2.5))
        (0.01, 0.25)
    """
    if before.higher_is_better:
        return float(before) - float(after)
    return float("inf") if not before and after else (float(after) - float(before)) / max(float(before), 1e-300)


@contextmanager
def _quietly() -> Iterator[None]:
    """Its advice to those who write models is not for the person."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
