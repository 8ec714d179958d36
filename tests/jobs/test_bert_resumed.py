"""Fill and tag, interrupted in the middle: what comes of going on is what comes of a run that was left alone."""

import signal

import numpy as np
import pytest
import torch

import gipi
from gipi.systems import bert
from gipi.training.player import Player

SMALL = {"system": "bert", "width": 16, "layers": 1, "heads": 2, "tokenizer": "words", "steps": 20, "threads": 1}
QUICK = {"quiet": True, "doctor": False, "verdict": False}
WORDS = ["cat", "dog", "fox", "sat", "on", "mat", "log"]


def text(folder) -> str:
    draw = np.random.default_rng(0)
    (folder / "words.txt").write_text(" ".join(draw.choice(WORDS, 3000)))
    return str(folder / "words.txt")


def tagged(folder) -> str:
    draw = np.random.default_rng(0)
    rows = [draw.choice(WORDS, draw.integers(2, 9)) for _number in range(90)]
    lines = ["\n".join(f"{word}\t{'B-X' if word in WORDS[:3] else 'O'}" for word in row) for row in rows]
    (folder / "words.tsv").write_text("\n\n".join(lines))
    return str(folder / "words.tsv")


@pytest.mark.parametrize(("task", "make"), [("fill", text), ("tag", tagged)])
def test_interrupted_goes_on_to_the_same_bits(task, make, tmp_path, monkeypatch):
    data, options = make(tmp_path), {"task": task, "batch_size": 8, **SMALL, **QUICK}
    whole = gipi.fit(data, run=tmp_path / "whole", **options)
    play, steps = Player.play, []

    def signalling(self, batch, step):
        steps.append(step)
        if step == 9:
            signal.raise_signal(signal.SIGINT)
        return play(self, batch, step)

    monkeypatch.setattr(Player, "play", signalling)
    with pytest.raises(KeyboardInterrupt):
        gipi.fit(data, run=tmp_path / "cut", **options)
    monkeypatch.setattr(Player, "play", play)
    assert gipi.Run(tmp_path / "cut").status == "interrupted" and max(steps) < 19
    done = gipi.resume(tmp_path / "cut", quiet=True)
    assert done.status == "done" and done.metrics == whole.metrics
    assert isinstance(done.model.members[0], bert.Net)
    pairs = zip(done.model.members[0].parameters(), whole.model.members[0].parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
