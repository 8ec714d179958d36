"""The examples in docstrings run, each file's in a folder of its own; so what they show is what happens."""

import doctest
import importlib
from pathlib import Path

import pytest

import gipi

HOME = Path(gipi.__file__).parent
MODULES = sorted(
    ".".join(("gipi", *path.relative_to(HOME).with_suffix("").parts)).removesuffix(".__init__")
    for path in HOME.rglob("*.py")
    if path.stem != "__main__" and ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gipi"):
            raise
        pytest.skip(f"{error.name} is not installed")
    failed, _tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert not failed, "see the output above"


def test_there_are_examples():
    assert len(MODULES) > 10
