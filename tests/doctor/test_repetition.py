"""A language model that goes round in circles is found; one that writes as its text does, or knows nothing, is not."""

import types

import numpy as np
import polars as pl
import pytest

import gipi
from gipi import systems
from gipi.doctor import View
from gipi.doctor.checks.repetition import check
from gipi.tasks.repeats import entropies, most_repeated, repeated, repeats_of, stretches

WORDS = ("river", "stone", "lantern", "winter", "garden", "copper", "silent", "morning", "harbour", "window", "thunder")
SMALL = {"size": "mini", "layers": 1, "width": 32, "heads": 2, "context": 32, "batch_size": 16, "quiet": True}
SMALL |= {"tokenizer": "characters", "device": "cpu", "threads": 1, "verdict": False}


def prose(words=4000, seed=0):
    """Sentences of words drawn at random: no stretch of it repeats itself."""
    drawn = np.random.default_rng(seed).choice(WORDS, words)
    return " ".join(word + ("." if place % 7 == 6 else "") for place, word in enumerate(drawn)) + "\n"


def view(drawn, likeliest, loss=1.0, natural=0.02, **changes):
    held = {
        "run": 4,
        "natural": [natural] * 21,
        "drawn": drawn,
        "likeliest": likeliest,
        "entropies": (3.0, 2.0),
        "piece": "'the the'",
    }
    curve = np.stack([np.arange(20), np.full(20, loss), np.zeros(20)], 1)
    options = {"lr": 0.02, "context": 32}
    return View(evidence={"repeats": held}, curve={"learner": curve}, options=options, **changes)


def found(folder, **options):
    (folder / "text.txt").write_text(prose())
    run = gipi.fit(folder / "text.txt", task="write", run=folder / "run", **{**SMALL, "steps": 60, **options})
    return {finding.name: finding for finding in run.doctor()}


def system_with(objective):
    """The system gpt, whose players want something else: `objective(net, loss, x, y)`."""
    gpt, own = systems.load("gpt"), types.ModuleType("own_gpt")
    vars(own).update({name: value for name, value in vars(gpt).items() if not name.startswith("__")})

    def players(net, config, loss, schedule):
        made = gpt.players(net, config, loss, schedule)
        for player in made.values():
            player.objective = lambda batch: objective(net, loss, *batch)
        return made

    own.players = players  # type: ignore[attr-defined]
    return own


def test_what_is_drawn_repeats_itself():
    one = check(view([0.9, 0.8, 0.7], [1.0]))
    assert one and one.severity == "problem" and one.evidence["drawn"] == 0.8
    assert "'the the'" in one.cause and one.remedies[0].changes == {"lr": 0.002} and one.plot


def test_each_text_more_than_any_of_training():
    one = check(view([0.3, 0.4, 0.3], [0.2]))
    assert one and one.severity == "warning"
    assert check(view([0.3, 0.4, 0.01], [0.2])) is None


def test_only_the_likeliest_goes_round_in_circles():
    one = check(view([0.0, 0.1, 0.0], [0.95]))
    assert one and one.severity == "note" and "temperature" in one.remedies[0].text
    assert check(view([], [0.95, 0.9, 0.1])).severity == "note"  # type: ignore[union-attr]  # a talk


@pytest.mark.parametrize(
    "sound",
    [
        view([0.03, 0.0, 0.05], [0.3]),
        view([0.9, 0.9, 0.9], [0.9], natural=0.95),  # so does the text that it learned from
        view([0.9, 0.9, 0.9], [0.9], loss=3.2),  # it has learned nothing yet
        view([0.0, 0.0, 0.0], [1.0], loss=2.5),  # it knows no more than the last token
        view([], []),
        View(evidence={"repeats": {}}),
        View(),
    ],
)
def test_others_are_left_alone(sound):
    assert check(sound) is None


def test_shares_of_runs():
    random = np.random.default_rng(0).integers(0, 1000, 300)
    assert repeated(random, 4) == 0 and repeated(np.tile(random[:10], 30), 4) > 0.9 and repeated(random[:2], 4) == 0
    assert most_repeated(np.array([5, 6, 7, 1, 6, 7, 2, 6, 7]), 2) == [6, 7] and most_repeated(np.array([1]), 4) == [1]
    assert stretches(random, 300) == [] and len(stretches(np.tile(random, 50), 300)) == 200
    assert repeats_of([random] * 5, [random], []) == {}
    assert repeats_of([np.tile(random[:10], 30)] * 30, [random], []) == {}
    alone, after_one = entropies(np.tile(np.arange(8), 1000))
    assert alone == pytest.approx(np.log(8)) and after_one < 0.01


def test_a_run_whose_targets_were_not_moved(tmp_path):
    """It learns to say each token once more."""
    one = found(tmp_path, system=system_with(lambda net, loss, x, y: loss(net(x), x)), steps=150)["repetition"]
    assert one.severity == "problem" and one.evidence["drawn"] > 0.9


@pytest.mark.parametrize("options", [{"steps": 5}, {"steps": 150}])
def test_sound_runs_and_untrained_ones_are_left_alone(tmp_path, options):
    one = found(tmp_path, **options).get("repetition")
    assert one is None or one.severity == "note"


def test_a_song_may_repeat_itself(tmp_path):
    (tmp_path / "song.txt").write_text("".join(f"{n} green bottles hanging on the wall.\n" for n in range(300)))
    run = gipi.fit(tmp_path / "song.txt", task="write", steps=100, run=tmp_path / "run", **SMALL)
    assert "repetition" not in [finding.name for finding in run.doctor()]


def test_a_talk(tmp_path):
    random = np.random.default_rng(0)
    rows = {"asked": [prose(5, n) for n in range(60)], "said": [" ".join(random.choice(WORDS, 6)) for _ in range(60)]}
    options = {**SMALL, "task": "chat", "text": ("asked",), "target": "said", "steps": 20}
    run = gipi.fit(pl.DataFrame(rows), run=tmp_path / "run", **options)
    assert [one for one in run.doctor() if one.name == "repetition" and one.severity == "problem"] == []
