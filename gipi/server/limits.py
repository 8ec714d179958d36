"""What a stranger may ask for, at most: how large, how many, how long. Whoever wants more is told so, 4xx or 503."""

import math
from dataclasses import dataclass, fields

from gipi.errors import UsageError
from gipi.messages import _

LONGEST_WAIT = 1.0  # seconds that a row may wait for others: beyond, each answer would be a burden


@dataclass(frozen=True)
class Limits:
    """All that is bounded.

    Attributes:
        body: Bytes of a request's body, and of what it is unpacked to.
        bodies: Bytes of all bodies that are being received or answered, and of the rows made ready of them.
        reading: Large requests that may wait to be read.
        read_seconds: That the reading of one may take.
        header: Bytes of a request's first line and headers.
        rows: Rows of one request.
        values: Numbers, texts and so on of one request; a list or an object counts as several.
        made: Things that one request asks to be made.
        characters: Of one text. A network reads its first tokens only, and those of hostile texts are slow to find.
        pixels: Of a picture, before it is decoded; half as many with opacity or as WebP, which take more memory.
        tokens: Of all that one request asks to be written.
        writers: Requests for which is written at once; who comes later is told to come back.
        queue: Rows that may wait; who comes later is told to come back.
        patience: Seconds that a row may wait, as far as that can be known: of a slow model fewer may wait.
        batch: Rows that are answered at once; None: found by measuring.
        max_wait: Seconds that a row waits for others to be answered with.
        header_seconds: For a request's first line and headers to come in.
        body_seconds: For its body, and for a client to take what it was sent.
        idle_seconds: That a connection may stay without a request.
        answer_seconds: That one answer may take.
        stream_seconds: That one stream of events may take.
        connections: That may be open.
        streams: Of events, for each client.
        rate: Requests each second from one client, on average; None: any.
        burst: Requests that a client may make at once, where there is a rate.
    """

    body: int = 16 << 20
    bodies: int = 128 << 20
    reading: int = 64
    read_seconds: float = 10.0
    header: int = 32 << 10
    rows: int = 10_000
    values: int = 1 << 20
    made: int = 256
    characters: int = 50_000
    tokens: int = 4096
    writers: int = 16
    pixels: int = 16_000_000
    queue: int = 2048
    patience: float = 1.0
    batch: int | None = None
    max_wait: float = 0.0
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 60.0
    answer_seconds: float = 120.0
    stream_seconds: float = 300.0
    connections: int = 4096
    streams: int = 4
    rate: float | None = None
    burst: int = 20


def check_limits(limits: Limits) -> None:
    """All bounds can be bounds.

    Raises:
        UsageError: One is not; says which, and what it may be.
    """
    for one in fields(Limits):
        value, name = getattr(limits, one.name), one.name.replace("_", " ")
        if value is None or (one.name == "max_wait" and 0 <= value <= LONGEST_WAIT):
            continue
        if one.name == "max_wait":
            raise UsageError(_("--max-wait is 0 to {most} milliseconds", most=round(LONGEST_WAIT * 1000)))
        if not 0 < value < math.inf:
            raise UsageError(_("the limit '{name}' must be more than 0; {came} came", name=name, came=value))
