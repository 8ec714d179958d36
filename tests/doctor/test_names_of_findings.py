"""The doctor's page has a line for each finding that there is, in both languages, and for no other."""

import re
from pathlib import Path

import pytest

from gipi.doctor import ORDER

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("page", [DOCS / "doctor.md", DOCS / "ko" / "doctor.md"], ids=("en", "ko"))
def test_a_line_for_each_finding(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [re.match(r"\| `([a-z-]+)` \|", line) for line in lines]
    told = [row[1] for row in rows if row]
    assert sorted(told) == sorted(ORDER)
    assert all(line.count(" | ") == 3 for line, row in zip(lines, rows, strict=True) if row)
