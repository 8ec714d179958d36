"""Every system and every verb has its page, in both languages, with the options that it really has."""

import importlib.util
import re
from pathlib import Path

import pytest

from gipi import systems
from gipi.cli.main import VERBS

DOCS = Path(__file__).parent.parent / "docs"
LANGUAGES = {"en": DOCS, "ko": DOCS / "ko"}


def make():
    """docs/make.py, which is a script and no part of the package."""
    spec = importlib.util.spec_from_file_location("make_docs", DOCS / "make.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_system_and_verb_has_its_page_and_no_page_is_left_over(language):
    folder = LANGUAGES[language]
    assert {path.stem for path in (folder / "systems").glob("*.md")} == set(systems.names())
    assert {path.stem for path in (folder / "verbs").glob("*.md")} == set(VERBS)


@pytest.mark.parametrize(
    ("path", "table"),
    make().pages().items(),
    ids=lambda part: "/".join(part.parts[-3:]) if isinstance(part, Path) else "",
)
def test_page_has_the_options_as_they_are(path, table):
    assert table in path.read_text(encoding="utf-8"), "out of date: make docs"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", systems.names())
def test_page_of_a_system_names_paper_difference_and_numbers(language, name):
    text = (LANGUAGES[language] / "systems" / f"{name}.md").read_text(encoding="utf-8")
    assert re.search(r"\b(18|19|20)\d\d\b", text), "a year"
    for heading in {
        "en": ("How ours differs", "Options", "What is logged"),
        "ko": ("다른 점", "옵션", "기록되는 숫자"),
    }[language]:
        assert f"## {heading}" in text
    assert f"--system {name}" in text or f"({name})" in text or "gipi fit" in text


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: str(path.relative_to(DOCS)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("language", LANGUAGES)
def test_index_links_every_page(language):
    index = (LANGUAGES[language] / "index.md").read_text(encoding="utf-8")
    for kind in ("systems", "verbs"):
        for path in (LANGUAGES[language] / kind).glob("*.md"):
            assert f"({kind}/{path.name})" in index, path
