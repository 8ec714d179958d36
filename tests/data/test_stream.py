"""A stream's order and draws are functions of (seed, epoch, row), so it can stop anywhere and go on."""

import torch

from gipi.data.stream import Stream, generator


def test_each_row_is_seen_once_an_epoch_and_batches_are_nearly_equal():
    stream = Stream((torch.arange(103),), batch_size=10, seed=0)
    batches = [next(stream)[0] for _batch in range(stream.batches)]
    assert sorted(torch.cat(batches).tolist()) == list(range(103))
    assert {len(batch) for batch in batches} == {9, 10}


def test_epochs_differ_and_seeds_differ():
    def epochs(seed):
        stream = Stream((torch.arange(50),), batch_size=50, seed=seed)
        return next(stream)[0].tolist(), next(stream)[0].tolist()

    first, second = epochs(0)
    assert first != second
    assert epochs(0) == (first, second)
    assert epochs(1)[0] != first


def test_it_goes_on_where_it_was_cut():
    def prepare(batch, draws):
        return (*batch, draws)

    def make():
        return Stream((torch.arange(23), torch.arange(23) * 2), 5, seed=3, prepare=prepare, draws=2)

    whole = make()
    taken = [next(whole) for _step in range(17)]
    for cut in (0, 4, 5, 13):
        stream = make()
        stream.load_state_dict({"position": cut})
        for expected in taken[cut:]:
            for ours, theirs in zip(next(stream), expected, strict=True):
                assert torch.equal(ours, theirs)


def test_draws_belong_to_rows_not_to_places():
    """The same row of the same epoch has the same draws, whatever the batch size."""

    def draws_of(batch_size):
        stream = Stream((torch.arange(12),), batch_size, seed=1, prepare=lambda batch, draws: (*batch, draws), draws=1)
        pairs = [next(stream) for _batch in range(stream.batches)]
        return {
            row: draw for rows, draws in pairs for row, draw in zip(rows.tolist(), draws[:, 0].tolist(), strict=True)
        }

    assert draws_of(3) == draws_of(12)


def test_generators_for_different_purposes_differ():
    numbers = {generator(0, name, epoch).initial_seed() for name in ("order", "augment") for epoch in range(100)}
    assert len(numbers) == 200
