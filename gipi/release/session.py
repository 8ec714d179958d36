"""A program as something that answers, by onnxruntime: it opens no file, and an answer that takes too long is stopped.

The weights are handed over as arrays, so that the runtime finds every tensor that lies outside the program without
looking for a file. PyTorch is not needed.
"""

import os
import threading
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from gipi.errors import UsageError
from gipi.messages import _
from gipi.release import graph
from gipi.release.graph import DTYPES, Value
from gipi.release.refused import Refused
from gipi.release.tensor_file import KINDS

LOOKS = 0.05  # seconds between two looks at what is running
LOUDEST = 4  # of onnxruntime's log: nothing but what is fatal
BFLOAT16 = DTYPES["BF16"]
NUMPY = {number: KINDS[name] for name, number in DTYPES.items()}


def onnxruntime() -> ModuleType:
    """The runtime, which from 1.29 on writes a database into the home folder and reports to its makers: not from here.

    Raises:
        UsageError: It is not installed, or broken.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it looks when it is imported, and nothing else is asked
    try:
        import onnxruntime
    except Exception as error:  # a broken one raises RuntimeError
        text = _("this needs onnxruntime: pip install 'gipi[export]' ({reason})", reason=error)
        raise UsageError(text) from error
    return onnxruntime


class Session:
    """A program that is ready to answer.

    Args:
        program: As `graph.write` writes it; of a stranger's, one that `graph_rules.check` and the trial have passed.
        weights: The arrays of the tensors that lie outside the program (and maybe others), by their names; their memory
            is used as it is, not copied. bfloat16 as its bits in uint16.
        threads: How many work on one answer.

    Attributes:
        inputs: What goes in, as the program says.
        outputs: What comes out.

    Raises:
        Refused: onnxruntime does not take the program.

    Example:
        session = Session(program, tensor_file.arrays(weights)); session.run({"x": np.zeros((1, 4), np.float32)}, 10)
    """

    def __init__(self, program: bytes, weights: Mapping[str, np.ndarray], threads: int = 1):
        runtime = onnxruntime()
        self._runtime: Any = runtime
        said = graph.read(program)
        self.inputs: tuple[Value, ...] = said.inputs
        self.outputs: tuple[Value, ...] = said.outputs
        self._names = [value.name for value in said.outputs]
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = LOUDEST
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # waiting threads leave the cores to others
        outside = [tensor for tensor in said.tensors if tensor.place is not None]
        self._held = [_value(runtime, weights[tensor.name], tensor.dtype) for tensor in outside]  # their memory is used
        if outside:
            options.add_external_initializers([tensor.name for tensor in outside], self._held)
        try:
            self._session: Any = runtime.InferenceSession(program, options, providers=["CPUExecutionProvider"])
        except MemoryError:
            raise
        except Exception as error:  # its own kinds share no base
            raise _refused(error) from error

    def run(self, inputs: Mapping[str, np.ndarray], seconds: float) -> dict[str, np.ndarray]:
        """The answers for these inputs, by the names of the outputs.

        Args:
            inputs: By name, in the dtype that the program says.
            seconds: What it may take. It is stopped between two operations; a single one that takes longer (a
                convolution over a huge picture) is not interrupted, and the answer is refused when it is done.

        Raises:
            Refused: It took longer, or onnxruntime cannot run it on these inputs.
        """
        options = self._runtime.RunOptions()
        options.log_severity_level = LOUDEST
        end = time.monotonic() + seconds
        key = _watch.begin(end, options)
        try:
            found = self._session.run(self._names, inputs, options)
        except MemoryError:
            raise
        except Exception as error:
            if time.monotonic() >= end:
                raise _too_long(seconds) from error
            raise _refused(error) from error
        finally:
            _watch.end(key)
        if time.monotonic() >= end:
            raise _too_long(seconds)
        return dict(zip(self._names, found, strict=True))


class _Watch:
    """One thread that tells runs to stop whose time is over; it sleeps while nothing runs."""

    def __init__(self) -> None:
        self.running: dict[object, tuple[float, Any]] = {}
        self.wake = threading.Event()
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()

    def begin(self, end: float, options: Any) -> object:
        key = object()
        self.running[key] = (end, options)
        if not self.wake.is_set():
            self.wake.set()
        if self.thread is None or not self.thread.is_alive():  # also after a fork
            with self.lock:
                if self.thread is None or not self.thread.is_alive():
                    self.thread = threading.Thread(target=self.look, name="gipi-watch", daemon=True)
                    self.thread.start()
        return key

    def end(self, key: object) -> None:
        del self.running[key]

    def look(self) -> None:
        while True:
            self.wake.wait()
            self.wake.clear()  # before the look: who begins after it wakes us again
            time.sleep(LOOKS)
            while running := list(self.running.values()):
                now = time.monotonic()
                for end, options in running:
                    if now >= end:
                        options.terminate = True
                time.sleep(LOOKS)


_watch = _Watch()


def _value(runtime: ModuleType, array: np.ndarray, dtype: int) -> Any:
    """An array as a value of the runtime, on the same memory."""
    assert array.dtype == NUMPY[dtype], (array.dtype, dtype)
    if dtype == BFLOAT16:
        return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, dtype)
    return runtime.OrtValue.ortvalue_from_numpy(array)


def _refused(error: Exception) -> Refused:
    reason = " ".join(str(error).split())[:300]
    return Refused(_("program.onnx cannot be used: {reason}", reason=reason))


def _too_long(seconds: float) -> Refused:
    return Refused(_("the program took longer than {seconds} s", seconds=f"{seconds:g}"))
