"""Decoding: draws have exactly the probabilities that were asked for, and memory does not grow with the text."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from gipi.errors import UsageError
from gipi.models.decoding import choose, generate, probabilities

SCORES = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0, 0.5])


class Fixed:
    """Always the same scores; its memory says how much was read."""

    def __init__(self, scores: torch.Tensor = SCORES, context: int = 10**9):
        self.scores = scores
        self.context = context
        self.read: list[int] = []

    def parameters(self):
        return iter([self.scores])

    def memory(self, rows: int) -> list[torch.Tensor]:
        return [torch.zeros(rows, dtype=torch.long)]

    def follow(self, x: torch.Tensor, memory: list[torch.Tensor]):
        filled = memory[0] + x.shape[1]
        assert int(filled[0]) <= self.context, "more than the memory holds"
        self.read.append(x.shape[1])
        return self.scores[None], [filled]


def exact(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """The definition, one token after the other."""
    scores = SCORES.double().numpy() / temperature
    if top_k:
        least = sorted(scores)[-top_k]
        scores = np.where(scores >= least, scores, -np.inf)
    p = np.exp(scores - scores.max())
    p /= p.sum()
    order = sorted(range(len(p)), key=lambda place: (-p[place], place))
    kept, total = [], 0.0
    for place in order:
        if total >= top_p:
            break
        kept.append(place)
        total += p[place]
    found = np.zeros(len(p))
    found[kept] = p[kept] / p[kept].sum()
    return found


WAYS = [{}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 2}, {"top_k": 3}, {"top_p": 0.7}, {"top_p": 0.999}]
WAYS += [{"temperature": 1.5, "top_k": 4, "top_p": 0.8}]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_probabilities_are_the_definition(way):
    np.testing.assert_allclose(probabilities(SCORES, **way).numpy(), exact(**way), atol=1e-6)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_draws_have_these_probabilities(way):
    """Chi-squared at one in a million: a right one fails once in many years."""
    expected = exact(**way)
    drawn = [*generate(Fixed(), [0], None, **way, seed=7, most=4000)]
    counts = np.bincount(drawn, minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    assert stats.chisquare(counts[possible], expected[possible] * 4000).pvalue > 1e-6


def test_chi_squared_would_notice():
    """The same test refuses draws of another temperature."""
    drawn = [*generate(Fixed(), [0], None, temperature=1.2, seed=7, most=4000)]
    counts = np.bincount(drawn, minlength=7)
    assert stats.chisquare(counts, exact() * 4000).pvalue < 1e-6


def test_temperature_zero_and_top_k_one_are_the_likeliest():
    assert [*generate(Fixed(), [0], None, temperature=0, most=5)] == [0] * 5
    assert [*generate(Fixed(), [0], None, top_k=1, most=5)] == [0] * 5
    assert probabilities(SCORES, 0).tolist() == [1, 0, 0, 0, 0, 0, 0]


def test_extremes_do_not_overflow():
    huge = torch.tensor([1e30, -1e30, 0.0])
    for temperature in (1e-30, 1e30):
        assert torch.isfinite(probabilities(huge, temperature)).all()
    assert choose(torch.tensor([3.0]), 1.0, 0, 1.0, torch.Generator()) == 0  # a vocabulary of one symbol
    assert probabilities(torch.zeros(4), top_p=1e-9).tolist() == [1, 0, 0, 0]


def test_seed_decides_and_the_global_generator_is_left_alone():
    def drawn(seed: int) -> list[int]:
        return [*generate(Fixed(), [0], None, seed=seed, most=50)]

    state = torch.get_rng_state()
    one = drawn(1)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(3)
    assert drawn(1) == one != drawn(2)


def test_end_ends_and_is_not_given():
    assert [*generate(Fixed(), [1], None, temperature=0, end=0, most=9)] == []
    told = [*generate(Fixed(), [1], None, seed=3, end=3, most=1000)]
    assert 3 not in told and len(told) < 1000


def test_full_memory_is_read_again_from_its_last_half():
    net = Fixed(context=8)
    assert len([*generate(net, [1, 2, 3], 8, most=40, seed=0)]) == 40
    assert net.read[0] == 3 and set(net.read) == {1, 3, 4}
    assert net.read.count(4) == 7  # five tokens after the last time: four to fill it, and one more


@pytest.mark.parametrize("context", [1, 2, 3])
def test_small_contexts(context):
    assert len([*generate(Fixed(context=context), [1] * 9, context, most=20)]) == 20


def test_memory_does_not_grow_over_ten_thousand_tokens():
    from gipi.data.schema import Sizes
    from gipi.systems import gpt

    torch.manual_seed(0)
    net = gpt.Net(Sizes((16,), 0, vocabulary=20), gpt.Config(size="mini", layers=1, width=8, heads=1)).eval()
    tokens = generate(net, [1], 16, seed=0, most=10_000)
    for _number in range(1000):
        next(tokens)
    gc.collect()
    before, size = held(), resident()
    for _number in range(8900):
        next(tokens)
    gc.collect()
    assert held() == before  # as many tensors
    assert resident() - size < 2000  # kB; a tensor of each token alone would be 8900 times half a kB
    assert sum(1 for _token in tokens) == 100


def resident() -> int:
    """kB of memory that the process has."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the memory of a process is not told here")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status.read_text())[0])


def held() -> int:
    return sum(type(one) is torch.Tensor for one in gc.get_objects())


def test_a_stream_leaves_the_caller_his_gradients():
    """Between two tokens nothing of how they are made is left switched on."""
    tokens = generate(Fixed(), [0], None, most=3)
    next(tokens)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}]
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(UsageError):
        next(generate(Fixed(), [0], None, **wrong))
