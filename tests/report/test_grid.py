"""The grid of where a translation looked: names are escaped, cells are as deep as their values, odd ones left out."""

import math
import re

from gipi.report.grid import grid
from gipi.report.html import document
from gipi.report.page import Grid, Page


def test_cells_are_as_deep_as_their_values():
    drawn = grid([[0.9, 0.1], [0.25, 0.75]], ["dog", "."], ["Hund", "."])
    assert re.findall(r'fill-opacity="([\d.]+)"', drawn) == ["0.90", "0.10", "0.25", "0.75"]
    assert "dog – Hund: 0.90" in drawn


def test_whatever_comes_is_drawn():
    drawn = grid([[math.nan, 2.0], [-1.0, 0.0]], ["<b>", "\x1b"], ["&", "x" * 99])
    assert "<b>" not in drawn and drawn.count("fill-opacity") == 1
    assert "There is nothing" in grid([], [], []) or "svg" in grid([], [], [])
    assert len(grid([[0.5] * 100] * 100, ["r"] * 100, ["c"] * 100)) < 1_000_000


def test_it_stands_in_a_report():
    page = Page("run", results=[Grid(["dog"], ["Hund"], [[0.7]], "Where it looked: Hund")])
    assert "Where it looked: Hund" in document(page) and "dog – Hund: 0.70" in document(page)
