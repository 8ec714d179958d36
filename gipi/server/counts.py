"""What is counted, for GET /metrics: in memory that all worker processes share, each in a row of its own.

Only numbers of a fixed number of places: whatever a client sends, it makes no new label and takes no more memory.

W workers, M models
"""

import mmap
from bisect import bisect_left

import numpy as np

STATUSES = (200, 400, 401, 403, 404, 405, 406, 408, 411, 413, 415, 422, 429, 431, 500, 503)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# the places of one model's numbers
STATUS = 0
LATENCY = STATUS + len(STATUSES) + 1
BATCH = LATENCY + len(SECONDS) + 2
ANSWERED = BATCH + len(ROWS) + 2
FAILED = ANSWERED + 1
WAITING = ANSWERED + 2
PLACES = ANSWERED + 3

Array = np.ndarray


class Counts:
    """The numbers of all workers; `of` gives those of one model in this worker.

    Args:
        models: Their names.
        workers: How many processes share them, W.
    """

    def __init__(self, models: list[str], workers: int = 1):
        self.models = models
        # Anonymous memory that is shared: what is forked later counts into the same pages.
        self.memory = mmap.mmap(-1, max(1, workers * (len(models) + 1) * PLACES * 8))
        self.all: Array = np.frombuffer(self.memory, np.float64).reshape(
            workers, len(models) + 1, PLACES
        )  # (W, M+1, ..)
        self.worker = 0

    def of(self, model: int) -> "Count":
        """The numbers of a model by its place; -1: of requests to none of them."""
        return Count(self.all[self.worker, model])

    def begin(self, worker: int) -> None:
        """This process is that worker; what waited in the one before it waits no longer."""
        self.worker = worker
        self.all[worker, :, WAITING] = 0

    def text(self) -> bytes:
        """All numbers as Prometheus reads them, summed over the workers."""
        total = self.all.sum(0)
        lines = []
        for title, kind, about in (
            ("gipi_requests_total", "counter", "Requests by model and status."),
            ("gipi_request_seconds", "histogram", "Time from a request's headers to its answer."),
            ("gipi_batch_rows", "histogram", "Rows that were answered at once."),
            ("gipi_rows_total", "counter", "Rows answered."),
            ("gipi_row_errors_total", "counter", "Rows that could not be answered."),
            ("gipi_queue_rows", "gauge", "Rows that wait."),
        ):
            lines += [f"# HELP {title} {about}", f"# TYPE {title} {kind}"]
            for name, numbers in zip([*self.models, ""], total, strict=True):
                lines += _of(title, _label(name), numbers)
        return "\n".join([*lines, ""]).encode()


class Count:
    """What one worker counts for one model."""

    def __init__(self, numbers: Array):
        self.numbers = numbers

    def request(self, status: int, seconds: float) -> None:
        """A request was answered with this status after this time."""
        numbers = self.numbers
        numbers[STATUS + (STATUSES.index(status) if status in STATUSES else len(STATUSES))] += 1
        numbers[LATENCY + bisect_left(SECONDS, seconds)] += 1
        numbers[LATENCY + len(SECONDS) + 1] += seconds

    def batch(self, rows: int, failed: int) -> None:
        """So many rows were answered at once, of which so many with an error."""
        numbers = self.numbers
        numbers[BATCH + bisect_left(ROWS, rows)] += 1
        numbers[BATCH + len(ROWS) + 1] += rows
        numbers[ANSWERED] += rows - failed
        numbers[FAILED] += failed

    def failed(self, rows: int) -> None:
        """So many rows could not be made ready."""
        self.numbers[FAILED] += rows

    def waiting(self, rows: int) -> None:
        self.numbers[WAITING] = rows


def _of(title: str, label: str, numbers: Array) -> list[str]:
    if title == "gipi_requests_total":
        names = [*map(str, STATUSES), "other"]
        return [
            f'{title}{{model="{label}",status="{name}"}} {number:.0f}'
            for name, number in zip(names, numbers[STATUS:LATENCY], strict=True)
        ]
    if title == "gipi_request_seconds":
        return _histogram(title, label, SECONDS, numbers[LATENCY:BATCH])
    if title == "gipi_batch_rows":
        return _histogram(title, label, ROWS, numbers[BATCH:ANSWERED])
    place = {"gipi_rows_total": ANSWERED, "gipi_row_errors_total": FAILED, "gipi_queue_rows": WAITING}[title]
    return [f'{title}{{model="{label}"}} {numbers[place]:.0f}']


def _histogram(title: str, label: str, edges: tuple[float, ...], numbers: Array) -> list[str]:
    """Counts below each edge, those beyond the last, and the sum of all."""
    below = np.cumsum(numbers[:-1])
    lines = [
        f'{title}_bucket{{model="{label}",le="{edge:g}"}} {number:.0f}'
        for edge, number in zip(edges, below, strict=False)
    ]
    lines.append(f'{title}_bucket{{model="{label}",le="+Inf"}} {below[-1]:.0f}')
    lines += [f'{title}_sum{{model="{label}"}} {numbers[-1]:.9g}', f'{title}_count{{model="{label}"}} {below[-1]:.0f}']
    return lines


def _label(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
