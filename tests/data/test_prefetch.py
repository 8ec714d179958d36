"""Work done ahead: in order, whoever does it, and none lost or twice when a thread fails, dies or hangs."""

import gc
import threading
import time

import numpy as np
import pytest
import torch

from gipi.data.mapped import Chosen, written
from gipi.data.mapped_stream import MappedStream
from gipi.data.prefetch import ATTEMPTS, Ahead
from gipi.data.stream import Stream
from gipi.errors import RunError


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("depth", [1, 3, 50])
def test_results_come_in_order_whatever_is_asked_for(workers, depth):
    ahead = Ahead(lambda number: number * 3, workers, depth)
    for number in (*range(40), *range(7, 20), 100, 5):
        assert ahead.take(number) == 3 * number


def test_no_more_is_made_ahead_than_asked_for():
    made = []
    ahead = Ahead(made.append, workers=2, depth=5)
    ahead.take(0)
    time.sleep(0.3)
    assert max(made) == 5  # number 0 was taken: 1 to 5 wait


def _clumsy(what):
    """A function that does something bad at number 3, once; and the numbers that it was called with."""
    calls: list[int] = []
    lock = threading.Lock()
    forever = threading.Event()

    def make(number):
        with lock:
            calls.append(number)
            is_bad = number == 3 and calls.count(3) == 1
        if is_bad and what == "raises":
            raise OSError("the disk is loose")
        if is_bad and what == "dies":
            raise SystemExit
        if is_bad and what == "hangs":
            forever.wait()
        return number

    return make, calls, forever


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raises", "failed (OSError: the disk is loose)"),
        ("dies", "failed (SystemExit)"),
        ("hangs", "did not answer for"),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_worker_that_fails_is_named_and_replaced(what, said, workers):
    make, calls, forever = _clumsy(what)
    heard = []
    ahead = Ahead(make, workers, 4, patience=0.5, say=heard.append)
    assert [ahead.take(number) for number in range(30)] == [*range(30)]
    assert len(heard) == 1 and said in heard[0] and heard[0].startswith("data worker ")
    assert calls.count(3) == 2
    forever.set()  # the one that hung comes back too late: its result must not come a second time
    assert [ahead.take(number) for number in range(30, 40)] == [*range(30, 40)]


def test_what_always_fails_is_an_error_and_no_endless_loop():
    def make(number):
        if number == 2:
            raise ValueError("row 7 is gone")
        return number

    ahead = Ahead(make, workers=2, depth=4, say=lambda text: None)
    assert ahead.take(0) == 0 and ahead.take(1) == 1
    with pytest.raises(RunError, match=rf"batch 2, {ATTEMPTS} attempts.*row 7 is gone"):
        ahead.take(2)


def test_threads_end_with_the_stream():
    ahead = Ahead(lambda number: number, workers=3, depth=4)
    ahead.take(0)
    threads = [hand.thread for hand in ahead.hands]
    assert len(threads) == 3 and all(thread.is_alive() for thread in threads)
    del ahead
    gc.collect()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


# --- the stream --------------------------------------------------------------------------------------------------


def _data(rows=103):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 5, generator=generator), torch.arange(rows)


def _both(batch, draws):
    return (*batch, draws)


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("prepare", [None, _both])
def test_the_batches_are_those_of_data_in_memory(workers, prepare):
    x, y = _data()
    rows = np.arange(2, 103, 2)
    held = Stream((x[rows], y[rows]), 8, 7, prepare, draws=3)
    sources = [Chosen(written([x.numpy()[:50], x.numpy()[50:]], x.nbytes), rows), y[rows]]
    far = MappedStream(sources, 8, 7, prepare, 3, workers)
    for _step in range(3 * held.batches + 2):
        for ours, theirs in zip(next(far), next(held), strict=True):
            assert torch.equal(ours, theirs) and ours.stride() == theirs.stride()
    assert far.state_dict() == held.state_dict()


def test_the_state_is_what_was_consumed_not_what_was_made_ahead():
    x, y = _data()

    def make():
        return MappedStream([Chosen(x.numpy(), np.arange(103)), y], 10, 1, workers=3)

    whole = make()
    taken = [next(whole)[1].tolist() for _step in range(25)]
    time.sleep(0.1)  # much is ready beyond
    assert whole.state_dict() == {"position": 25}
    for cut in (0, 3, 11, 24):
        stream = make()
        next(stream)
        stream.load_state_dict({"position": cut})
        assert [next(stream)[1].tolist() for _step in range(cut, 25)] == taken[cut:]


class _Flaky:
    """Rows whose gathering fails once."""

    def __init__(self, y):
        self.y = y
        self.failed = False

    def __len__(self):
        return len(self.y)

    def __getitem__(self, places):
        if not self.failed:
            self.failed = True
            raise OSError("read error")
        return self.y[places]


def test_a_read_that_fails_once_costs_no_row():
    y = torch.arange(40)
    heard = []
    stream = MappedStream([_Flaky(y)], 7, 0, workers=2)
    stream.say = heard.append
    rows = torch.cat([next(stream)[0] for _batch in range(stream.batches)])
    assert sorted(rows.tolist()) == list(range(40)) and "OSError: read error" in heard[0]
