"""What a server knows while it runs: its models, who may ask, how busy it is."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from gipi.server.batches import Batches
from gipi.server.counts import Count, Counts
from gipi.server.engine import Engine
from gipi.server.guard import Guard
from gipi.server.limits import Limits
from gipi.server.reading import Reader
from gipi.server.telling import Teller, prompt_of


@dataclass
class Served:
    """One model with all that answers for it; `teller` where it writes."""

    engine: Engine
    reader: Reader
    batches: Batches
    count: Count
    teller: Teller | None = None

    @property
    def is_full(self) -> bool:
        """No more is taken now."""
        return self.batches.is_full if self.teller is None else self.teller.is_full

    def ready(self, row: Any, start: int) -> tuple[Any, list[str]]:
        """A row made ready, and what is to be said of it; `start` rows stand before it.

        Raises:
            DataError: A value cannot be read.
        """
        return self.engine.ready(row, start) if self.teller is None else prompt_of(self.engine.model, row, start)

    def ready_all(self, rows: list[Any], start: int) -> list[tuple[Any, list[str]]]:
        """As `ready`, rows of a table or texts together."""
        if self.teller is None:
            return self.engine.ready_all(rows, start)
        return [prompt_of(self.engine.model, row, place) for place, row in enumerate(rows, start)]

    def close(self) -> None:
        self.batches.close()
        if self.teller is not None:
            self.teller.close()


@dataclass
class State:
    """What a server knows while it runs.

    Attributes:
        served: The models by name; the first is the default.
        guard: Who may ask.
        limits: How much.
        counts: What has been.
        status: starting, ok or stopping.
        bodies: Bytes that are being received or answered.
        active: Requests to models that are being answered.
        reading: Requests that are read beside, or wait for it.
        beside: Reads what is large.
        writing: Writes what is large.
        streams: Of events, that are open: ended when the server stops.
    """

    served: dict[str, Served]
    guard: Guard
    limits: Limits
    counts: Counts
    status: str = "starting"
    bodies: int = 0
    active: int = 0
    reading: int = 0
    beside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "gipi-read"))
    writing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "gipi-write"))
    streams: set[asyncio.Task] = field(default_factory=set)

    @property
    def default(self) -> Served:
        return next(iter(self.served.values()))
