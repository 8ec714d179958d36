"""What a server knows while it runs: its models, who may ask, how busy it is."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gipi.server.batches import Batches
from gipi.server.counts import Count, Counts
from gipi.server.engine import Engine
from gipi.server.guard import Guard
from gipi.server.limits import Limits
from gipi.server.reading import Reader


@dataclass
class Served:
    """One model with all that answers for it."""

    engine: Engine
    reader: Reader
    batches: Batches
    count: Count


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
