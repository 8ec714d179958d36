"""Windows of a long text: a function of seed and position, whether it lies in memory or in a file."""

import numpy as np
import pytest
import torch

from gipi.data.windows import Windows
from gipi.errors import DataError


@pytest.mark.parametrize(("count", "width"), [(2, 5), (3, 3), (11, 11), (12, 11), (23, 11), (100, 11), (1000, 65)])
def test_windows_are_consecutive_and_reach_all(count, width):
    stream = Windows(np.arange(count), width, 4, seed=0, step=width - 1)
    seen = set()
    for _number in range(500 * stream.batches):
        x, y = next(stream)
        assert torch.equal(y, x + 1)
        seen |= {*x.flatten().tolist(), *y.flatten().tolist()}
    assert seen == set(range(count))


def test_each_epoch_sees_each_token_about_once():
    stream = Windows(np.arange(1000), 11, 9, seed=0, step=10)
    times = np.zeros(1000, int)
    for _number in range(stream.batches):
        times[next(stream)[0].flatten().numpy()] += 1
    assert times.max() == 1 and times.sum() > 880


def test_seed_and_position_decide():
    def batches(seed: int, start: int = 0) -> list[list]:
        stream = Windows(np.arange(500), 9, 4, seed)
        stream.load_state_dict({"position": start})
        return [next(stream)[0].tolist() for _number in range(40 - start)]

    assert batches(1) == batches(1) != batches(2)
    for cut in (1, 13, 39):
        assert batches(1, cut) == batches(1)[cut:]


def test_a_file_gives_what_memory_gives(tmp_path):
    tokens = np.arange(5000, dtype=np.uint16)
    tokens.tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", np.uint16, "r")
    one, other = Windows(tokens, 17, 5, 3), Windows(mapped, 17, 5, 3)
    assert other.held is None and one.held is not None
    for _number in range(100):
        assert all(torch.equal(a, b) for a, b in zip(next(one), next(other), strict=True))


def test_parts_make_the_whole():
    whole, *parts = (Windows(np.arange(900), 9, 5, 0, part=part) for part in ((0, 1), (0, 2), (1, 2)))
    for _number in range(50):
        assert torch.equal(next(whole)[0], torch.cat([next(part)[0] for part in parts]))


def test_too_short_is_said():
    with pytest.raises(DataError, match="too short"):
        Windows(np.arange(1), 4, 2, 0)
