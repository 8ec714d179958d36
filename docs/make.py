"""Writes the option tables of the pages in docs/ anew, from the dataclasses that the command line reads too.

    python docs/make.py            # make docs
    python docs/make.py --check    # changes nothing; ends with 1 if a page is missing or its table is out of date

What stands outside the two markers of a page is written by hand.
"""

import ast
import sys
from contextvars import copy_context
from pathlib import Path
from typing import Any

from gipi import messages, systems
from gipi.cli.lines import OPTIONS, Common
from gipi.cli.main import VERBS

DOCS = Path(__file__).parent
HOME = Path(systems.__file__).parent.parent
BEGIN, END = "<!-- options: written by make docs -->", "<!-- end of options -->"
HEADS = {"en": ("option", "default", "what it does"), "ko": ("옵션", "기본값", "하는 일")}
Row = tuple[str, Any, str]  # name, default, remark


def options_of_class(path: Path, name: str) -> list[Row]:
    """Name, default and remark of each field of a dataclass, read from its text."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    return [
        (field.target.id, ast.literal_eval(field.value), lines[(field.end_lineno or 1) - 1].partition("#")[2].strip())
        for field in found.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value
    ]


def options_of_system(name: str) -> list[Row]:
    return [(option.name, option.default, option.remark) for option in systems.describe(name).options]


def options_of_verb(name: str) -> list[Row]:
    if name == "fit":
        return options_of_class(HOME / "jobs" / "options.py", "Fit")
    return options_of_class(HOME / "cli" / "lines.py", OPTIONS.get(name, Common).__name__)


def table(rows: list[Row], language: str) -> str:
    """The rows as a table, remarks in this language where they are translated."""
    lines = [f"| {' | '.join(HEADS[language])} |", "|---|---|---|"]
    lines += [
        f"| `{flag(name, default)}` | {shown(default)} | {in_language(remark, language)} |"
        for name, default, remark in rows
    ]
    return "\n".join(lines)


def flag(name: str, default: Any) -> str:
    written = name.rstrip("_").replace("_", "-")
    return f"--no-{written}" if default is True else f"--{written}"


def shown(default: Any) -> str:
    """A default as it is typed; an empty one says nothing."""
    if default is None or default == () or default is False:
        return ""
    if default is True:
        return "on"
    return f"`{' '.join(map(str, default)) if isinstance(default, tuple) else default}`"


def in_language(text: str, language: str) -> str:
    """A remark translated; in a context of its own, so that nobody else's language changes."""

    def said() -> str:
        messages.use(language)
        return messages._(text)

    return copy_context().run(said).replace("|", "\\|")


def pages() -> dict[Path, str]:
    """Each page that there must be, with its table."""
    wanted = {}
    for language, folder in (("en", DOCS), ("ko", DOCS / "ko")):
        for name in systems.names():
            wanted[folder / "systems" / f"{name}.md"] = table(options_of_system(name), language)
        for name in VERBS:
            wanted[folder / "verbs" / f"{name}.md"] = table(options_of_verb(name), language)
    return wanted


def renewed(text: str, options: str) -> str:
    """A page with this table between its markers.

    Raises:
        ValueError: The page has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the two lines\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n\n{options}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    is_check = "--check" in arguments
    stale = []
    for path, options in pages().items():
        if not path.exists():
            stale.append(f"{path} is missing: write it, with the lines {BEGIN} and {END}")
            continue
        text = path.read_text(encoding="utf-8")
        wanted = renewed(text, options)
        if wanted != text:
            if is_check:
                stale.append(f"{path} is out of date: make docs")
            else:
                path.write_text(wanted, encoding="utf-8")
    print("\n".join(stale) or "docs are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
