"""What tests share: where real data lies, and one thread, so that numbers do not depend on the machine's load."""

import os
from pathlib import Path

import pytest
import torch

from gipi.messages import use

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; a test that needs it is skipped, saying so, where there is none."""
    folder = Path(os.environ.get("GIPI_DATA", "no such folder"))
    if not folder.is_dir():
        pytest.skip("real data is not here: set GIPI_DATA to its folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory):
    """What tests decode does not gather in the cache of whoever runs them."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def _speak_english(monkeypatch):
    """Messages are compared in English, whatever the machine's locale."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    use(None)
