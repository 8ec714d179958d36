"""Beam search against every sentence that there is, against the greedy way, and alone against in company."""

import itertools
import math

import pytest
import torch

from gipi.jobs.checks import MOST_BEAMS
from gipi.models import beam
from gipi.models.beam import penalty

V, END = 4, 1


def search(follow, source, state, *, most, **options):
    return beam.search(follow, source, state, most=torch.full((len(source[0]),), most), **options)


def chains(rows=3, seed=0, sharpness=2.0):
    """A language model for each row: scores of what follows the last two tokens."""
    table = sharpness * torch.randn(rows, V, V, V, generator=torch.Generator().manual_seed(seed))

    def follow(tokens, source, state):
        (row,), (before,) = source, state
        each = row.repeat_interleave(len(tokens) // len(row))
        return table[each, before, tokens], [tokens]

    source, state = [torch.arange(rows)], [torch.zeros(rows, dtype=torch.int64)]
    return table, follow, source, state


def every_sentence(table, most):
    """(log-probability, tokens with the end) of each sentence of at most so many tokens that comes to its end."""
    log = table.double().log_softmax(-1)
    for length in range(1, most + 1):
        for tokens in itertools.product([token for token in range(V) if token != END], repeat=length - 1):
            before, last, total = 0, 0, 0.0
            for token in (*tokens, END):
                total += log[before, last, token].item()
                before, last = last, token
            yield total, tokens


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_with_room_for_all_it_finds_the_best_there_is(alpha, seed):
    table, follow, source, state = chains(seed=seed)
    found = search(follow, source, state, begin=0, end=END, most=5, beams=400, alpha=alpha)
    for row, one in enumerate(found):
        scored = [(total / ((5 + len(t) + 1) / 6) ** alpha, t, total) for total, t in every_sentence(table[row], 5)]
        score, tokens, total = max(scored)
        assert tuple(one.tokens) == tokens and one.is_ended
        assert one.score == pytest.approx(score, abs=1e-5) and one.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(5))
def test_one_beam_is_the_greedy_way(alpha, seed):
    table, follow, source, state = chains(rows=6, seed=seed)
    found = search(follow, source, state, begin=0, end=END, most=12, beams=1, alpha=alpha)
    for row, one in enumerate(found):
        before, last, tokens = 0, 0, []
        while len(tokens) < 12 and (not tokens or tokens[-1] != END):
            before, last = last, int(table[row, before, last].argmax())
            tokens.append(last)
        assert one.is_ended == (tokens[-1] == END)
        assert one.tokens == [token for token in tokens if token != END]


def test_more_beams_are_no_worse_on_the_whole():
    _table, follow, source, state = chains(rows=40, sharpness=1.0)
    totals = [
        sum(one.score for one in search(follow, source, state, begin=0, end=END, most=8, beams=beams))
        for beams in (1, 2, 4, 64)
    ]
    assert totals == sorted(totals) and totals[0] < totals[-1]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_row_alone_is_what_it_is_in_company(beams):
    _table, follow, source, state = chains(rows=8)
    together = search(follow, source, state, begin=0, end=END, most=9, beams=beams)
    for row in range(8):
        part = slice(row, row + 1)
        (alone,) = search(follow, [source[0][part]], [state[0][part]], begin=0, end=END, most=9, beams=beams)
        assert alone == together[row]


def test_what_never_ends_is_cut_and_said():
    def follow(tokens, source, state):
        scores = torch.zeros(len(tokens), V)
        scores[:, END], scores[:, 3] = -torch.inf, 1.0
        return scores, state

    (found,) = search(follow, [torch.zeros(1)], [], begin=0, end=END, most=7, beams=2)
    assert found.tokens == [3] * 7 and not found.is_ended


def test_it_stops_as_soon_as_all_have_ended():
    asked = []

    def follow(tokens, source, state):
        asked.append(len(tokens))
        scores = torch.zeros(len(tokens), V)
        scores[:, END] = 20.0
        return scores, state

    found = search(follow, [torch.zeros(5)], [], begin=0, end=END, most=1000, beams=2, alpha=0.0)
    assert [one.tokens for one in found] == [[]] * 5 and asked == [10]


def test_the_penalty_is_equation_14():
    for length, alpha in ((1, 0.6), (10, 0.2), (30, 1.0)):
        assert penalty(torch.tensor(length), alpha).item() == pytest.approx((5 + length) ** alpha / (5 + 1) ** alpha)
    assert math.isclose(penalty(torch.tensor(9), 0.0).item(), 1.0)


def test_each_row_has_its_own_greatest_length():
    _table, follow, source, state = chains(rows=4, sharpness=0.1)
    most = torch.tensor([1, 5, 2, 9])
    found = beam.search(follow, source, state, begin=0, end=END, most=most, beams=3)
    for row in range(4):
        part = slice(row, row + 1)
        (alone,) = search(follow, [source[0][part]], [state[0][part]], begin=0, end=END, most=int(most[row]), beams=3)
        assert alone == found[row] and len(alone.tokens) + alone.is_ended <= most[row]


def test_no_row_is_no_answer():
    _table, follow, _source, _state = chains()
    nothing = torch.zeros(0, dtype=torch.int64)
    assert beam.search(follow, [nothing], [nothing], begin=0, end=END, most=nothing) == []


def test_options_know_how_many_beams_there_may_be():
    assert MOST_BEAMS == beam.MOST_BEAMS
