"""`gipi data`: the data sets that have a name; what a table, a text or pictures hold; pictures as a model sees them."""

from typing import Any

from gipi.cli.diagnosis import print_finding
from gipi.cli.lines import Line
from gipi.errors import UsageError
from gipi.jobs.checks import flag
from gipi.messages import _
from gipi.report.text import clean, shorten

LONGEST = 24  # columns of the terminal for a word


def data(line: Line) -> dict[str, Any]:
    from gipi.data.registry import entry_of, known
    from gipi.report.tables import print_table

    given = [name for name in ("drop", "target", "seed") if getattr(line.options, name) not in ((), 0)]
    if line.options.show:
        if "drop" in given:
            raise UsageError(_("--drop is for the columns of a table; --show draws pictures"))
        return _show_pictures(line)
    if line.options.clear_cache:
        return _clear_cache(line)
    for name in ("augment", "picture_size"):
        if getattr(line.options, name) not in (None, ()):
            raise UsageError(_("{option} goes with --show", option=flag(name)))
    if given and not line.words:
        raise UsageError(_("{option} is for data that is looked at: gipi data SOURCE", option=flag(given[0])))
    entry = entry_of(line.words[0]) if line.words else None
    if line.words and (entry is None or given):
        return _looked(line)
    found = [entry] if entry else known()
    described = [
        {
            "name": e.name,
            "about": e.about,
            "task": e.task,
            "target": list(e.target),
            "licence": e.licence,
            "embedded": e.is_embedded,
        }
        for e in found
    ]
    if not line.options.json:
        rows = [
            [d["name"], d["task"], d["about"], d["licence"], "" if d["embedded"] else _("fetched")] for d in described
        ]
        print_table("", [_("name"), _("task"), _("what it is"), _("licence"), ""], rows)
    return {"data": described}


def _looked(line: Line) -> dict[str, Any]:
    """What a source of a person's own holds, and what is wrong with it."""
    from gipi.report.display import choose
    from gipi.report.tables import print_table
    from gipi.verbs.data import look

    options, (source,) = line.options, line.words
    is_said = not (options.json or options.quiet)
    with choose(options.json, options.quiet) as display:
        found = look(source, target=options.target, drop=options.drop, seed=options.seed, told=display.work)
        display.data(found.name, found.facts)
    if is_said and found.columns:
        kinds = {"target": _("target"), "left out": _("not used"), "number": _("number"), "category": _("category")}
        kinds |= {"boolean": _("yes or no"), "date": _("date"), "text": _("text")}
        rows = [
            [one["name"], kinds[one["kind"]], one["missing"] or "", one["distinct"], _values(one["values"])]
            for one in found.columns
        ]
        print()
        print_table("", [_("column"), _("kind"), _("missing"), _("distinct"), _("values")], rows)
    if is_said:
        for finding in found.findings:
            print_finding(finding)
    said = {"name": found.name, "task": found.task, "facts": found.facts, "columns": found.columns}
    return {**said, "findings": [finding.json() for finding in found.findings]}


def _values(values: list[Any]) -> str:
    """Least, middle and greatest of numbers and dates; the most frequent words."""
    if all(isinstance(one, str) for one in values):
        return ", ".join(shorten(clean(one), LONGEST) for one in values)
    return " … ".join(f"{one:.6g}" if isinstance(one, int | float) else str(one) for one in values)


def _clear_cache(line: Line) -> dict[str, Any]:
    from gipi.data.fetch import cache_folder
    from gipi.data.kept import clear

    freed, folder = clear(), str(cache_folder())
    if not (line.options.json or line.options.quiet):
        print(_("{folder}: {count} MB of decoded data removed", folder=folder, count=round(freed / 1e6, 1)))
    return {"folder": folder, "freed": freed}


def _show_pictures(line: Line) -> dict[str, Any]:
    from gipi.verbs.data import draw

    options = line.options
    if not line.words:
        raise UsageError(_("expected: gipi data SOURCE --show"))
    given = {"augment": options.augment, "picture_size": options.picture_size, "seed": options.seed}
    drawn = draw(line.words[0], target=options.target or None, **given)
    if not (options.json or options.quiet):
        for note in drawn.notes:
            print(note)
        print(_("first row: as read: {labels}", labels=", ".join(drawn.labels)))
        names = " ".join(drawn.augment) or _("nothing")
        print(_("rows below: epochs 1 to {count}, after {names}", count=drawn.epochs, names=names))
        print(_("written to {path}", path=drawn.path))
    return {"file": str(drawn.path), "labels": drawn.labels, "augment": drawn.augment, "epochs": drawn.epochs}
