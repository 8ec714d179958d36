"""Every number that a check of the doctor shows has a name that a person can read, in Korean as well."""

import ast
from pathlib import Path

import gipi.doctor
from gipi.report.diagnosis import evidence_said
from gipi.report.evidence_names import _names, evidence_name

CHECKS = Path(gipi.doctor.__file__).parent / "checks"
PLACE = {"Finding": 2, "Broken": 2}  # of the evidence among what is given
HELD = ("evidence", "shown")  # what it is called where it is put together first
ELSEWHERE = {"straight_lines", "model", "mean", "low", "high", "chance"}  # of straight_lines.py and of a job's returns


def keys_of(tree: ast.AST) -> set[str]:
    """The names of what checks show, read from their code."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in PLACE:
            place = PLACE[node.func.id]  # type: ignore[attr-defined]
            found += node.args[place : place + 1]
        elif isinstance(node, ast.Assign | ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found += [node.value] if getattr(target, "id", "") in HELD else []
    dicts = [one for tree in found for one in ast.walk(tree) if isinstance(one, ast.Dict)]
    return {key.value for one in dicts for key in one.keys if isinstance(key, ast.Constant)} - {"value"}


def test_every_number_has_a_name():
    keys = ELSEWHERE.union(*(keys_of(ast.parse(path.read_text(encoding="utf-8"))) for path in CHECKS.glob("*.py")))
    assert len(keys) > 100 and {"stopped_at", "grown", "not_numbers", "forger"} <= keys
    assert not keys - _names().keys()


def test_it_is_said():
    assert evidence_said({"best_epoch": 3, "share": 0.25, "age": [1.0, 2.5]}) == "best epoch=3, share=0.25, age=1, 2.5"
    assert evidence_name("code in age") == "code in age"
