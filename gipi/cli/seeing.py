"""`gipi predict --explain`, `gipi show --layer`, `gipi show --map`: what is drawn is written to where one stands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gipi.cli.lines import Line
from gipi.errors import UsageError
from gipi.messages import _

MOST_COLUMNS = 12  # that are printed for a row; `--json` has them all


def explained(run: str, inputs: list[str], say: Callable[[dict[str, Any]], str] | None) -> list[dict[str, Any]]:
    """Answers with their explanations, each said when it is found: that of a picture is a file, that of a row a table.

    Args:
        run: A run or bundle, as it was typed.
        inputs: As they were typed.
        say: An answer in words; None: nothing is printed.
    """
    from gipi.verbs.explain import drawn
    from gipi.verbs.predict import explained as all_of_them

    answers, taken = [], set()
    for text, found in all_of_them(run, inputs):
        answer = {**found.said, "explanation": found.json()}
        if say:
            print(say(found.said))
        if hasattr(found, "picture"):
            path = drawn(found).save(_free(f"{Path(run).stem}-{_stem(text)}", taken))
            answer["explanation"]["file"] = str(path)
            if say:
                print(_("written to {path}", path=path))
        elif say and hasattr(found, "words"):
            _print_words(found)
        elif say and hasattr(found, "weights"):
            _print_looks(found)
        elif say:
            _print_columns(found)
        answers.append(answer)
    return answers


def _print_columns(found: Any) -> None:
    from gipi.report.tables import print_table

    ordered = [*found.json()["columns"].items()][:MOST_COLUMNS]
    rows = [[name, found.values[name], f"{change:+.4g}"] for name, change in ordered]
    title = _("what each column adds to {name}: the answer, minus that with an empty value there", name=found.of)
    print_table(title, [_("column"), _("value"), _("adds")], rows)


def _print_looks(found: Any) -> None:
    from gipi.report.tables import print_table

    rows = [[token, source, f"{share:.2f}"] for token, source, share in found.most()]
    print_table(_("where it looked most"), [_("said"), _("source"), _("share")], rows)


def _print_words(found: Any) -> None:
    from gipi.report.tables import print_table
    from gipi.report.words import print_words

    print_words(found.marked())
    ordered = sorted(found.words, key=lambda one: -abs(one.adds))[:MOST_COLUMNS]
    title = _("what each word adds to {name}, of {change} in all", name=found.of, change=f"{found.change:+.4g}")
    print_table(title, [_("word"), _("adds")], [[one.text, f"{one.adds:+.4g}"] for one in ordered])


def _stem(text: str) -> str:
    """What to call the explanation of an input: its file's name, if it is one."""
    is_json = text.lstrip().startswith(("{", "["))
    return "picture" if is_json else Path(text).stem or "picture"


def _free(stem: str, taken: set[str]) -> Path:
    """A name that this line has not written yet."""
    name, number = f"{stem}-explained.png", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}-explained.png"
    taken.add(name)
    return Path(name)


def shown(line: Line) -> dict[str, Any]:
    """Filters, feature maps or the map, drawn into a file."""
    from gipi.verbs.inside import layer, plane

    run, *others = line.words or ["last"]
    options = line.options
    if (options.layer is None) == (not options.map):
        text = _("a picture goes with --layer NAME, data goes with --map") if not options.map else ""
        raise UsageError(text or _("--layer and --map exclude each other"))
    given = others[0] if others else None
    if options.map:
        drawing, name = plane(run, given), "map" if given is None else f"{_stem(given)}-map"
    else:
        drawing = layer(run, options.layer, given)
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in options.layer)
        name = f"{safe}-{'filters' if given is None else _stem(given)}"
    path = drawing.save(f"{Path(run).stem}-{name}.png")
    if not options.json:
        for note in drawing.notes:
            print(note)
        print(_("written to {path}", path=path))
    return {"file": str(path), "notes": drawing.notes}
