"""Hands that work ahead: results number 0, 1, 2 ... made by threads before they are asked for, and given in order.

A result is a function of its number alone, so it does not matter who makes it, when, or how often. A hand that fails,
dies or hangs is named, replaced, and its number is made again: none is lost, none comes twice.
"""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from gipi.errors import RunError
from gipi.messages import _

ATTEMPTS = 3  # for one number; what fails as often would fail for ever
WAIT = 0.2  # seconds between two looks at whether the hands are alive


class Ahead:
    """Results in order, made ahead.

    Args:
        make: Number -> result; pure, and called by several threads at once.
        workers: Threads; 0: each result is made when it is asked for.
        depth: Results that are made ahead, at most.
        patience: Seconds that one may take before its thread is given up.
        say: Called with a sentence when a thread is replaced.

    Example:
        >>> ahead = Ahead(lambda number: number * number, workers=2, depth=4)
        >>> [ahead.take(number) for number in (0, 1, 2, 7, 8)]
        [0, 1, 4, 49, 64]
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        workers: int,
        depth: int = 16,
        patience: float = 60.0,
        say: Callable[[str], None] = lambda text: None,
    ):
        self.make = make
        self.workers = workers
        self.patience = patience
        self.say = say
        self.desk = _Desk(make, max(depth, workers))
        self.hands: list[_Hand] = []
        weakref.finalize(self, self.desk.close)  # threads hold the desk, not this: it can go, and they with it

    def take(self, number: int) -> Any:
        """The result of this number; the ones that follow it are made meanwhile.

        Raises:
            RunError: It cannot be made: several attempts failed, the last as the message says.
        """
        if not self.workers:
            return self.make(number)
        desk = self.desk
        desk.aim(number)
        while True:
            if not self.hands:
                self.hands = [_Hand(desk, place + 1) for place in range(self.workers)]
            found, result = desk.take(number, WAIT)
            if found:
                return result
            self._look_after()

    def _look_after(self) -> None:
        """Replace threads that have ended or hang."""
        for place, hand in enumerate(self.hands):
            began = hand.began
            if not hand.thread.is_alive():
                text = _("{name} ended without a result", name=hand.name) if hand.error is None else ""
                text = text or _("{name} failed ({reason})", name=hand.name, reason=_said(hand.error))
            elif began is not None and time.monotonic() - began > self.patience:
                text = _("{name} did not answer for {count} seconds", name=hand.name, count=round(self.patience))
            else:
                continue
            number = self.desk.give_up(hand)
            if number is not None and self.desk.attempts[number] >= ATTEMPTS:
                self.desk.close()
                problem = _("data could not be read: batch {number}, {count} attempts.", number=number, count=ATTEMPTS)
                raise RunError(f"{problem} {text}") from hand.error
            self.say(text + "; " + _("it was replaced, nothing is lost"))
            self.hands[place] = _Hand(self.desk, place + 1)


def _said(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class _Desk:
    """What is to be made, what is being made by whom, and what is ready; shared by all threads."""

    def __init__(self, make: Callable[[int], Any], depth: int):
        self.make = make
        self.depth = depth
        self.changed = threading.Condition()
        self.wanted = 0  # the number that is asked for next
        self.following = 0  # the first that nobody has begun
        self.again: list[int] = []  # numbers whose thread was given up
        self.begun: dict[int, _Hand] = {}
        self.ready: dict[int, Any] = {}
        self.attempts: dict[int, int] = {}
        self.is_closed = False

    def aim(self, number: int) -> None:
        """From here on; what was made for another place is dropped."""
        with self.changed:
            if number != self.wanted:
                self.ready, self.begun, self.again, self.attempts = {}, {}, [], {}
                self.following = number
            self.wanted = number
            self.changed.notify_all()

    def take(self, number: int, seconds: float) -> tuple[bool, Any]:
        with self.changed:
            if number not in self.ready:
                self.changed.wait_for(lambda: number in self.ready, seconds)
            if number not in self.ready:
                return False, None
            self.wanted = number + 1
            self.attempts.pop(number, None)
            self.changed.notify_all()
            return True, self.ready.pop(number)

    def next_for(self, hand: "_Hand") -> int | None:
        """A number for this thread to make; waits while enough is ready. None: go home."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.is_closed or hand.is_gone or self.again or self.following < self.wanted + self.depth
            )
            if self.is_closed or hand.is_gone:
                return None
            if self.again:
                number = self.again.pop(0)
            else:
                number, self.following = self.following, self.following + 1
            self.begun[number] = hand
            self.attempts[number] = self.attempts.get(number, 0) + 1
            hand.number, hand.began = number, time.monotonic()
            return number

    def put(self, hand: "_Hand", number: int, result: Any) -> None:
        with self.changed:
            hand.began = None
            if self.begun.get(number) is hand:  # else it was given up, or another place is read now
                del self.begun[number]
                self.ready[number] = result
                self.changed.notify_all()

    def give_up(self, hand: "_Hand") -> int | None:
        """Take its number from a thread; gives the number, if it is still wanted."""
        with self.changed:
            hand.is_gone = True
            number = next((number for number, held in self.begun.items() if held is hand), None)
            if number is not None:
                del self.begun[number]
                self.again.append(number)
                self.changed.notify_all()
            return number

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            self.ready = {}
            self.changed.notify_all()


class _Hand:
    """One thread; a daemon, so a thread that hangs does not keep the process alive."""

    def __init__(self, desk: _Desk, place: int):
        self.name = _("data worker {number}", number=place)
        self.number: int | None = None
        self.began: float | None = None
        self.error: BaseException | None = None
        self.is_gone = False
        self.thread = threading.Thread(target=self._work, args=(desk,), name=f"gipi-data-{place}", daemon=True)
        self.thread.start()

    def _work(self, desk: _Desk) -> None:
        try:
            while (number := desk.next_for(self)) is not None:
                desk.put(self, number, desk.make(number))
        except BaseException as error:  # whoever waits for the result is told
            self.error = error
