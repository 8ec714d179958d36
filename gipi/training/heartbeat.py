"""Who of several processes is still there: each says so once a second, and looks whether the others do.

A process that waits for another inside an exchange of gradients hears nothing, and on a GPU it cannot be woken. So a
thread beside it watches: it knows who died, and ends a process that would wait for ever.
"""

# pyright: reportPrivateImportUsage=false
# torch names its stores in torch.distributed, and does not list them

import datetime
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import torch.distributed as dist

BEAT = 1.0  # seconds between two signs of life
ROLL_CALL = 5.0  # seconds in which whoever lives answers, after an exchange has failed
SILENCE = 30.0  # seconds without a sign: it is dead, or its machine is
GRACE = 10.0  # seconds in which the process itself may notice, before the thread ends it
PATIENCE = 5.0  # seconds for good-byes


class End(NamedTuple):
    """How a process ended, in its own words: "left", "lost" (it missed others), or the kind of an error."""

    kind: str
    text: str = ""

    @property
    def is_trouble(self) -> bool:
        return self.kind not in ("", "left", "lost")


class Heartbeat:
    """The signs of life of this process, and what it knows of the others'.

    Args:
        store: Where the processes leave words for each other.
        rank: Of this process.
        size: How many there are.
    """

    def __init__(self, store: "dist.TCPStore", rank: int, size: int):
        run = (store.add("gipi/joined", 1) - 1) // size  # all join a run before one joins the next
        self.name = f"gipi/{run}"
        self.words = dist.PrefixStore(self.name, store)
        self.beats = dist.PrefixStore(self.name, store.clone())  # type: ignore[attr-defined]  # for the thread
        self.rank, self.size = rank, size
        self.others = [other for other in range(size) if other != rank]
        self.seen: dict[int, tuple[bytes, float]] = {}  # the last sign of each, and when it was new
        self.guard: Callable[[list[int], End | None], str] | None = None  # what to say before ending the process
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._live, daemon=True, name="gipi heartbeat")
        self.say("")
        self.words.set(f"beat/{rank}", "0")

    def meet(self, patience: datetime.timedelta) -> None:
        """Wait until all have joined."""
        self.words.wait([f"beat/{other}" for other in self.others], patience)

    def start(self) -> None:
        """Begin, once all have joined."""
        self.thread.start()

    def say(self, kind: str, text: str = "") -> None:
        """Tell the others how this process ends."""
        self.words.set(f"end/{self.rank}", json.dumps(End(kind, text)))

    def ends(self, store: "dist.Store | None" = None) -> dict[int, End]:
        """What the others said of their end; nothing yet is `End("")`."""
        found = (store or self.words).multi_get([f"end/{other}" for other in self.others])
        return {other: End(*json.loads(said)) for other, said in zip(self.others, found, strict=True)}

    def roll_call(self) -> tuple[list[int], tuple[int, End] | None]:
        """After a failed exchange: who does not answer, or who had trouble of its own and which."""
        try:
            self.say("lost")
            before, until = self._signs(self.words), time.monotonic() + ROLL_CALL
            while True:
                ends = self.ends()
                for other, end in ends.items():
                    if end.is_trouble:
                        return [], (other, end)
                if time.monotonic() > until:
                    break
                time.sleep(0.1)
            now = self._signs(self.words)
            return [other for other in self.others if not ends[other].kind and now[other] == before[other]], None
        except (RuntimeError, ValueError):  # the store is gone, and the first process with it
            return [0], None

    def end_of_first(self, patience: float) -> End:
        """How the first process has ended, once it has; nothing if it gives no sign for so many seconds."""
        try:
            while True:
                end = self.ends()[0]
                if end.kind or 0 in self.silent(patience):
                    return end
                time.sleep(0.05)
        except (RuntimeError, ValueError):
            return End("")

    def leave(self, missing: Sequence[int], patience: float) -> None:
        """The others wait for the first to end, and it, which may keep the store, until they are done with that."""
        if self.rank != 0 and 0 not in missing:
            self.end_of_first(patience)
        self.over.set()
        self.thread.join(PATIENCE)
        with suppress(RuntimeError, ValueError):
            if self.rank != 0:
                self.words.set(f"gone/{self.rank}", "")
                return
            until = time.monotonic() + PATIENCE
            awaited = [f"gone/{other}" for other in self.others if other not in missing]
            while awaited and not self.words.check(awaited) and time.monotonic() < until:
                time.sleep(0.02)

    def silent(self, patience: float) -> list[int]:
        """Who has given no sign for so many seconds."""
        now = time.monotonic()
        return [other for other, (_sign, at) in [*self.seen.items()] if now - at > patience]

    def _signs(self, store: "dist.Store") -> dict[int, bytes]:
        return dict(zip(self.others, store.multi_get([f"beat/{other}" for other in self.others]), strict=True))

    def _live(self) -> None:
        count, noticed = 0, 0.0
        while not self.over.wait(BEAT):
            count += 1
            lost: list[int] = []
            trouble: End | None = None
            try:
                self.beats.set(f"beat/{self.rank}", str(count))
                now = time.monotonic()
                for other, sign in self._signs(self.beats).items():
                    if other not in self.seen or self.seen[other][0] != sign:
                        self.seen[other] = sign, now
                ends = self.ends(self.beats)
                lost = [other for other in self.silent(SILENCE) if not ends[other].kind]
                trouble = next((end for end in ends.values() if end.is_trouble), None)
            except (RuntimeError, ValueError):
                lost = [0]
            if not (lost or trouble) or self.guard is None:
                noticed = 0.0
                continue
            noticed = noticed or time.monotonic()
            if time.monotonic() - noticed > GRACE and (guard := self.guard):
                sys.stderr.write(guard(lost, trouble))
                sys.stderr.flush()
                os._exit(1)
