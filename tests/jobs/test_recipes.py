"""A recipe is a named set of options in a system's file: what is said beside it wins, and an unknown one is refused."""

from dataclasses import fields

import numpy as np
import pytest

import gipi
from gipi import systems
from gipi.cli.help import of_system
from gipi.cli.lines import read_line, system_reader
from gipi.errors import UsageError
from gipi.jobs.options import Fit
from gipi.verbs.fit import sort_options


def test_every_recipe_is_made_of_options_that_there_are():
    known = {field.name for field in fields(Fit)}
    found = [(name, recipe) for name in systems.names() for recipe in systems.describe(name).recipes.values()]
    assert found
    for name, recipe in found:
        assert systems.load(name).recipes == systems.describe(name).recipes
        assert set(recipe) <= known | {option.name for option in systems.describe(name).options}, name


def test_the_same_from_python_and_from_the_command_line():
    typed = read_line("fit", ["cifar10", "--recipe", "speed", "--epochs", "2"]).options
    options, own, _objects, system = sort_options({"recipe": "speed", "epochs": 2})
    assert typed == options and own == {} and system is None
    assert (typed.system, typed.epochs, typed.batch_size, typed.label_smoothing) == ("airbench", 2, 2000, 0.2)
    assert typed.augment == ("alternate", "crop") and typed.valid_share == 0.0 and typed.recipe == "speed"


def test_what_is_said_wins_also_where_it_is_the_usual_value():
    line = ["cifar10", "--recipe", "speed", "--label-smoothing", "0.0", "--valid-share", "0.2", "--width", "8"]
    read = read_line("fit", line)
    assert (read.options.label_smoothing, read.options.valid_share) == (0.0, 0.2)
    options, own, *_rest = sort_options({"recipe": "speed", "label_smoothing": 0.0, "augment": ["flip"], "width": 8})
    assert options.label_smoothing == 0.0 and options.augment == ("flip",) and own == {"width": 8}
    begun = {"width": 4, "views": "one"}  # as if the recipe had options of the system too
    found = system_reader(read.rest, begun)(systems.load("airbench"), "airbench")
    assert found == {"width": 8, "views": "one"}


def test_refused_with_what_there_is():
    with pytest.raises(UsageError, match=r"'sped'.*speed \(airbench\).*speed"):
        sort_options({"recipe": "sped"})
    with pytest.raises(UsageError, match=r"convnet has no recipe 'speed'.*airbench"):
        read_line("fit", ["x", "--recipe", "speed", "--system", "convnet"])
    with pytest.raises(UsageError, match="table"):
        gipi.fit("iris", recipe="speed")
    assert "recipe speed: epochs=8" in of_system("airbench")


def test_a_run_by_a_recipe(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (64, 12, 12, 3)).astype(np.uint8)
    run = gipi.fit(
        (pictures, np.arange(64) % 2),
        recipe="speed",
        batch_size=16,
        epochs=1,
        width=2,
        verdict=False,
        quiet=True,
        run=str(tmp_path / "run"),
    )
    kept = run.record["options"]
    assert kept["recipe"] == "speed" and kept["system"] == "airbench" and kept["label_smoothing"] == 0.2
    assert run.record["steps"] == 4  # 51 of 64 rows: none is kept for validation
