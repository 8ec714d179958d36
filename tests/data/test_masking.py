"""Words left out: how many, which, what they become; as chance allows, and the same again from a seed."""

import numpy as np
import pytest
import torch

from gipi.data.masking import EDGES, covering, masked, masked_windows, most_asked, ordinary
from gipi.data.stream import generator
from gipi.data.tokenizers import train

TOKENIZER = train(["abcdefghij klmnop"], "characters", 300)
WORDS = ordinary(TOKENIZER)
CPU = torch.device("cpu")


def many(rows: int = 4000, length: int = 40) -> torch.Tensor:
    draws = torch.Generator().manual_seed(3)
    ids = WORDS[torch.randint(len(WORDS), (rows, length), generator=draws)]
    edge = torch.ones(rows, 1, dtype=torch.int64)
    return torch.cat([edge * TOKENIZER.begin, ids, edge * TOKENIZER.end], 1)


def sure(count: int, share: float) -> float:
    """Five standard deviations of a share of so many draws: chance goes beyond in one of two million tests."""
    return 5 * (share * (1 - share) / count) ** 0.5


def test_fifteen_in_a_hundred_eighty_ten_ten():
    x = many()
    seen, places, y = masked(x, TOKENIZER.mask, WORDS, most_asked(x.shape[1]), generator(0))
    assert places.shape == y.shape == (4000, 6) and most_asked(x.shape[1]) == 6  # 15 % of 40
    assert (y == x.gather(1, places)).all()
    now = seen.gather(1, places)
    is_mask, is_same = now == TOKENIZER.mask, now == y
    count = y.numel()
    kept = 0.1 + 0.1 / len(WORDS)  # a token that is drawn in its place may be the same
    assert is_mask.double().mean().item() == pytest.approx(0.8, abs=sure(count, 0.8))
    assert is_same.double().mean().item() == pytest.approx(kept, abs=sure(count, kept))
    other = now[~is_mask & ~is_same]
    assert len(other) / count == pytest.approx(0.2 - kept, abs=sure(count, 0.1))
    drawn = torch.bincount(other, minlength=TOKENIZER.size).double()[WORDS]
    chi_squared = ((drawn - drawn.mean()) ** 2 / drawn.mean()).sum().item()
    assert abs(chi_squared - len(WORDS)) < 5 * (2 * len(WORDS)) ** 0.5, "each token is drawn as often as the others"


def test_each_place_is_asked_for_as_often_and_no_place_twice():
    x = many()
    _seen, places, _y = masked(x, TOKENIZER.mask, WORDS, 6, generator(1))
    assert all(len(set(row)) == 6 for row in places.tolist())
    times = torch.bincount(places.flatten(), minlength=42)
    assert times[0] == times[41] == 0, "neither the beginning nor the end"
    assert (times[1:41] - 600).abs().max() < 5 * 600**0.5


def test_what_was_not_asked_for_stays():
    x = many(200)
    seen, places, _y = masked(x, TOKENIZER.mask, WORDS, 6, generator(2))
    left = torch.ones_like(x, dtype=torch.bool).scatter(1, places, False)
    assert torch.equal(seen[left], x[left])


def test_special_tokens_and_short_windows():
    begin, end, mask = TOKENIZER.begin, TOKENIZER.end, TOKENIZER.mask
    x = torch.tensor([[begin, 100, end, 101, end], [begin, end, end, end, end], [begin, 100, 101, 102, end]])
    for seed in range(20):
        seen, places, y = masked(x, mask, WORDS, 3, generator(seed))
        assert (y >= 0).sum(1).tolist() == [1, 0, 1]
        assert (y[y >= 0] >= 100).all() and torch.equal(seen[1], x[1])
        assert (places[y >= 0] > 0).all()


def test_a_stream_is_a_function_of_seed_and_position():
    tokens = np.random.default_rng(0).integers(3, TOKENIZER.size, 5000).astype(np.uint16)
    one, other = (masked_windows(tokens, 8, 32, TOKENIZER, 5, CPU) for _time in range(2))
    batches = [next(one) for _batch in range(30)]
    assert batches[0][0].shape == (8, 32) and batches[0][1].shape == (8, most_asked(32))
    other.load_state_dict({"position": 17})
    for mine, yours in zip(batches[17], next(other), strict=True):
        assert torch.equal(mine, yours)
    firsts = {tuple(batch[1].flatten().tolist()) for batch in batches}
    assert len(firsts) == 30, "new places each time"
    assert not torch.equal(next(masked_windows(tokens, 8, 32, TOKENIZER, 6, CPU))[0], batches[0][0])


def test_windows_that_cover_a_part():
    tokens = np.arange(3, 103)
    x = covering(tokens, 12, TOKENIZER, 1000)
    assert x.shape == (10, 12) and x[:, 1:-1].flatten().tolist() == tokens.tolist()
    assert (x[:, 0] == TOKENIZER.begin).all() and (x[:, -1] == TOKENIZER.end).all()
    few = covering(tokens, 12, TOKENIZER, 3)
    assert few.shape == (3, 12) and few[0, 1] == 3 and few[-1, -2] == 102
    assert covering(tokens[:4], 12, TOKENIZER, 3).shape == (1, 4 + EDGES)
