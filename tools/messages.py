"""The sentences of gipi and their Korean: gathered from the code, kept in gipi.po, compiled to gipi.mo.

    python tools/messages.py            write gipi.po and gipi.mo anew, and say what has no Korean yet
    python tools/messages.py --check    write nothing; say what is missing or stale, and exit with 1 if anything is

Most sentences stand in the code as _("..."). Some reach _() by way of a variable: `indirect` knows where those come
from, and a new such place must be added there before this tool is content. Translate in gipi.po, then run this again.
The files hold no dates, places or line numbers, so that they change only where a sentence does.
"""

import ast
import io
import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
CODE = ROOT / "gipi"
PO = CODE / "locale" / "ko" / "LC_MESSAGES" / "gipi.po"
MO = PO.with_suffix(".mo")
INDIRECT = {  # file: what is passed to _() there that is no literal
    "cli/commands.py": {"name"},
    "cli/help.py": {"ABOUT[verb]", "remark"},
    "jobs/carry.py": {"name"},
    "report/text.py": {"words"},
}


class Korean(Catalog):
    """A catalog whose head says nothing that changes with the day."""

    mime_headers = [  # noqa: RUF012  # babel's own name, a property there
        ("Language", "ko"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ]


def literal() -> set[str]:
    """What stands in the code as _("..."); by the syntax tree, which also sees into f-strings."""
    found = set()
    for path in CODE.rglob("*.py"):
        said = _said(ast.parse(path.read_text(encoding="utf-8")))
        found |= {str(text.value) for text in said if isinstance(text, ast.Constant)}
    return found


def indirect() -> set[str]:
    """What reaches _() by way of a variable: verbs, names, options' remarks, parts of the clock, words of an answer."""
    from gipi import systems
    from gipi.cli import help as helps
    from gipi.report.text import NAMES

    found = {*helps.ABOUT.values(), *NAMES}
    lines = CODE / "cli" / "lines.py"
    classes = [
        node.name for node in ast.parse(lines.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)
    ]
    options = [(lines, name) for name in classes if name != "Line"]
    for file, name in (*options, (CODE / "jobs" / "options.py", "Fit")):
        found |= {remark for _name, _default, remark in helps._read(file, name)}
    for name in systems.names():
        found |= {option.remark for option in systems.describe(name).options}
    found |= set(re.findall(r'clock\.of\("([^"]+)"\)', (CODE / "jobs" / "carry.py").read_text(encoding="utf-8")))
    found |= _chosen_words(ast.parse((CODE / "cli" / "commands.py").read_text(encoding="utf-8")))
    return found - {""}


def _chosen_words(tree: ast.AST) -> set[str]:
    """The words of `if name in ("low", "high"):` where what follows says _(name)."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
            continue
        if "name" in {ast.unparse(text) for one in node.body for text in _said(one)}:
            found |= set(ast.literal_eval(node.test.comparators[0]))
    return found


def _said(tree: ast.AST) -> list[ast.expr]:
    """What is passed to _() in a piece of code."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "_"]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def unknown_places() -> list[str]:
    """Where something that is no literal is passed to _(), and `indirect` does not know of it."""
    found = []
    for path in sorted(CODE.rglob("*.py")):
        known = INDIRECT.get(path.relative_to(CODE).as_posix(), set())
        said = [ast.unparse(text) for text in _said(ast.parse(path.read_text(encoding="utf-8"))) if not _is_text(text)]
        found += [f"{path.relative_to(ROOT).as_posix()}: _({text})" for text in said if text not in known]
    return found


def translated() -> dict[str, str]:
    """English to Korean, from gipi.po; empty where there is none."""
    if not PO.exists():
        return {}
    with PO.open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file) if one.id}


def placeholders(text: str) -> list[str]:
    """The {names} in a text, in alphabetical order."""
    return sorted(re.findall(r"\{[^{}]*\}", text))


def as_po(korean: dict[str, str]) -> bytes:
    """The text of gipi.po."""
    held = io.BytesIO()
    write_po(held, _catalog(korean), width=110, no_location=True, sort_output=True)
    return held.getvalue()


def as_mo(korean: dict[str, str]) -> bytes:
    """The bytes of gipi.mo."""
    held = io.BytesIO()
    write_mo(held, _catalog({english: said for english, said in korean.items() if said}))
    return held.getvalue()


def _catalog(korean: dict[str, str]) -> Catalog:
    catalog = Korean(locale="ko", header_comment="# What gipi says, in Korean. See tools/messages.py.", fuzzy=False)
    for english in sorted(korean):
        catalog.add(english, korean[english])
        catalog[english].flags.discard("python-format")  # a % in the text is a sign of per cent; ours are {names}
        catalog[english].flags.discard("python-brace-format")
    return catalog


def problems() -> list[str]:
    """What is missing, stale or wrong, a line each."""
    wanted, held = literal() | indirect(), translated()
    found = [f"unknown to tools/messages.py: {place}" for place in unknown_places()]
    found += [f"no Korean: {english!r}" for english in sorted(wanted) if not held.get(english)]
    found += [f"no longer said: {english!r}" for english in sorted(set(held) - wanted)]
    for english, said in sorted(held.items()):
        if said and placeholders(english) != placeholders(said):
            found.append(f"placeholders differ: {english!r}")
    if not PO.exists() or PO.read_bytes() != as_po(held):
        found.append(f"not in order, run tools/messages.py: {PO.name}")
    if not MO.exists() or MO.read_bytes() != as_mo(held):
        found.append(f"not compiled from {PO.name}, run tools/messages.py: {MO.name}")
    return found


def main(arguments: list[str]) -> int:
    """Write, or check; gives the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__)
        return 2
    if not arguments:
        held = translated()
        korean = {english: held.get(english, "") for english in literal() | indirect()}
        PO.parent.mkdir(parents=True, exist_ok=True)
        PO.write_bytes(as_po(korean))
        MO.write_bytes(as_mo(korean))
    found = problems()
    print("\n".join(found) or "every sentence has its Korean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
