"""Batches of texts of like length: every row once an epoch, hardly any padding, the same again after a cut."""

import numpy as np
import pytest
import torch

from gipi.data.text_rows import ENDED, padded
from gipi.data.text_stream import TextStream


def rows(count, seed=0):
    """Tokens whose lengths are as those of reviews are, log-normal; the first token numbers the row."""
    random = np.random.default_rng(seed)
    lengths = np.exp(random.normal(3, 0.7, count)).astype(int).clip(1, 250)
    return torch.from_numpy(padded([[number, *[5] * (length - 1)] for number, length in enumerate(lengths)]))


def epoch(stream):
    return [next(stream) for _batch in range(stream.batches)]


@pytest.mark.parametrize(("count", "size"), [(1, 4), (7, 3), (1000, 32), (999, 64)])
def test_every_row_is_seen_once_an_epoch(count, size):
    x = rows(count)
    stream = TextStream((x, torch.arange(count)), size, seed=1)
    for _epoch in range(2):
        batches = epoch(stream)
        assert sorted(torch.cat([y for _x, y in batches]).tolist()) == list(range(count))
        assert max(len(y) for _x, y in batches) - min(len(y) for _x, y in batches) <= 1
        for batch, y in batches:
            assert batch.dtype == torch.int64 and batch[:, 0].tolist() == y.tolist()
            assert torch.equal(batch, x[y][:, : batch.shape[1]].long())
            assert (x[y][:, batch.shape[1] :] == ENDED).all()


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_padding_costs_under_five_percent(size):
    stream = TextStream((rows(20_000),), size, seed=0)
    batches = [x for (x,) in epoch(stream)]
    there = sum(int((x != ENDED).sum()) for x in batches)
    assert there > 0.95 * sum(x.numel() for x in batches)


def test_orders_differ_by_epoch_and_by_seed():
    x = rows(200)

    def order(seed, skipped=0):
        stream = TextStream((x,), 10, seed)
        stream.position = skipped
        return torch.cat([batch[:, 0] for (batch,) in epoch(stream)]).tolist()

    assert order(0) == order(0) and order(0) != order(1) and order(0) != order(0, skipped=20)


def test_lengths_come_in_no_order():
    """Batches that grew longer and longer would teach short texts first."""
    lengths = [x.shape[1] for (x,) in epoch(TextStream((rows(2000),), 20, seed=0))]
    assert abs(np.corrcoef(np.arange(len(lengths)), lengths)[0, 1]) < 0.3


def test_it_goes_on_where_it_was_cut():
    x = rows(100)
    whole, cut = TextStream((x,), 8, seed=3), TextStream((x,), 8, seed=3)
    expected = [next(whole)[0] for _step in range(40)]
    for _step in range(17):
        next(cut)
    again = TextStream((x,), 8, seed=3)
    again.load_state_dict(cut.state_dict())
    assert all(torch.equal(next(again)[0], one) for one in expected[17:])


def test_processes_share_each_batch():
    x = rows(100)
    whole = epoch(TextStream((x, torch.arange(100)), 10, seed=0))
    parts = [epoch(TextStream((x, torch.arange(100)), 10, seed=0, part=(number, 3))) for number in range(3)]
    for place, (batch, y) in enumerate(whole):
        shared = [part[place] for part in parts]
        assert torch.equal(torch.cat([one[1] for one in shared]), y)
        assert all(one[0].shape[1] == batch.shape[1] for one in shared)
