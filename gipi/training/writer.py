"""Writing beside training: what is large is copied once and goes to the disk in a thread while the steps go on.

One write is in flight at most. What goes wrong in it is raised where somebody waits for it: at the next save, or when
the run's state is written down.
"""

import contextvars
import os
import threading
import time
from collections.abc import Callable, Mapping

from torch import Tensor


class Writer:
    """A thread that writes while training goes on.

    Attributes:
        cost: Seconds that the last write took from all the processors of the machine together.
    """

    def __init__(self):
        self.thread: threading.Thread | None = None
        self.problem: BaseException | None = None
        self.cost = 0.0

    def is_busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def begin(self, work: Callable[[], None]) -> None:
        """Do this in the thread; the work before it must have been waited for."""
        assert self.thread is None, "one write at a time"
        context = contextvars.copy_context()  # it speaks the language of the run
        self.thread = threading.Thread(target=context.run, args=(self._do, work), name="gipi saves")
        self.thread.start()

    def wait(self) -> None:
        """Until what is in flight has come down.

        Raises:
            RunError: It could not be written.
        """
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        problem, self.problem = self.problem, None
        if problem:
            raise problem

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # raised to whoever waits
            self.problem = error
        self.cost = time.thread_time() / (os.cpu_count() or 1)


def staged(files: list[tuple[str, Mapping[str, Tensor], str]]) -> list[tuple[str, Mapping[str, Tensor], str]]:
    """A copy in the machine's memory of all that is to be written; what stands in two files is copied once."""
    copies: dict[int, Tensor] = {}
    for _name, tensors, _state in files:
        for tensor in tensors.values():
            if id(tensor) not in copies:
                copies[id(tensor)] = tensor.detach().to("cpu", copy=True)
    return [
        (name, {place: copies[id(tensor)] for place, tensor in tensors.items()}, state)
        for name, tensors, state in files
    ]
