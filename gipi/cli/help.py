"""Help, from what stands in the files: verbs' first lines, options' remarks, systems' Configs; without running any."""

import ast
import shutil
from pathlib import Path

from gipi.messages import _
from gipi.report.text import wrapped

HERE = Path(__file__).parent.parent
ABOUT = {
    "fit": "train a model on data, judge it, keep it",
    "evaluate": "judge a kept model on other data",
    "predict": "the answers of a kept model",
    "generate": "a text that goes on from yours, by a model that learned to write",
    "chat": "a talk with a model that learned to answer",
    "resume": "go on with a run that was cut",
    "runs": "what has been done",
    "show": "one run: its data, model, numbers and verdict",
    "doctor": "what is wrong with a run, what helps, and what that would gain",
    "compare": "two runs beside each other",
    "save": "keep a run's model as one file",
    "inspect": "what is in a kept model's file; nothing of it runs",
    "export": "a kept model for other programs: ONNX, PyTorch, safetensors, SageMaker, Docker",
    "serve": "kept models on the web: a REST interface, and a page for people",
    "systems": "the systems, or what one of them takes",
    "data": "the data sets that have a name, or pictures as a model sees them",
}


def overview() -> str:
    """`gipi --help`."""
    from gipi.cli.main import VERBS

    lines = [
        _("gipi (깊이): from data to a kept deep-learning model with an honest verdict"),
        "",
        _("usage: gipi VERB ..."),
        "",
        *(f"  {_left(verb, words)}{_(ABOUT[verb])}" for verb, words in VERBS.items()),
        "",
        _("for instance:"),
        "  gipi fit digits",
        "  gipi fit students.csv --target G3",
        "  gipi fit digits --system mlp --hidden 64 64 --folds 5",
        "  gipi predict last picture.png",
        "",
        _("gipi VERB --help says more; every verb takes --json and --lang en|ko"),
    ]
    return "\n".join(lines)


def _left(verb: str, words: str) -> str:
    """What is typed, to the width of its column; what is longer has a line of its own."""
    typed = f"{verb} {words}".strip()
    return typed.ljust(24) if len(typed) < 24 else f"{typed}\n{'':26}"


def of_verb(verb: str) -> str:
    """`gipi VERB --help`."""
    from gipi.cli.lines import OPTIONS, Common
    from gipi.cli.main import VERBS

    lines = [f"gipi {verb} {VERBS[verb]}".strip(), "", _(ABOUT[verb]), ""]
    if verb != "fit":
        lines += _options(_read(HERE / "cli" / "lines.py", OPTIONS.get(verb, Common).__name__))
        return "\n".join(lines)
    from gipi import systems

    lines += _wrapped(
        _(
            "DATA is a table (CSV, Parquet, Excel, JSON lines), a folder of pictures, a name (gipi data), or an"
            " environment (gym:CartPole-v1)."
        )
    )
    lines += ["", _("options:"), *_options(_read(HERE / "jobs" / "options.py", "Fit"))]
    for name in systems.names():
        described = systems.describe(name)
        lines += ["", _("options of the system {name} ({tasks}):", name=name, tasks=", ".join(described.tasks))]
        lines += _options([(o.name, _default(o.default), o.remark) for o in described.options])
    return "\n".join(lines)


def of_system(name: str) -> str:
    """`gipi systems NAME`: its story, and its options."""
    from gipi import systems

    described = systems.describe(name)
    lines = [described.story, "", _("tasks: {names}", names=", ".join(described.tasks))]
    lines += [_("data: {names}", names=", ".join(described.kinds))]
    for name, options in described.recipes.items():
        said = " ".join(f"{one}={_default(value) or value}" for one, value in options.items())
        lines += _wrapped(_("recipe {name}: {options}", name=name, options=said))
    lines += ["", _("options:")]
    return "\n".join(lines + _options([(o.name, _default(o.default), o.remark) for o in described.options]))


def _read(path: Path, class_name: str) -> list[tuple[str, str, str]]:
    """Name, default and remark of each field of a dataclass, from its text."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == class_name)
    rows = []
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            remark = lines[(node.end_lineno or 1) - 1].partition("#")[2].strip()
            rows.append((node.target.id, _default(ast.literal_eval(node.value)), remark))
    return rows


def _default(value: object) -> str:
    if value is None or value is False or value == ():
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _options(rows: list[tuple[str, str, str]]) -> list[str]:
    """Flags, their remarks and defaults, in two columns that fit the terminal."""
    lines = []
    for name, default, remark in rows:
        is_on = default == "True"
        flag = "--" + ("[no-]" if is_on else "") + name.rstrip("_").replace("_", "-")
        said = _(remark) + (_(" (default {value})", value=_("on") if is_on else default) if default else "")
        lines += _wrapped(said, f"  {flag:<18} ")
    return lines


def _wrapped(text: str, before: str = "") -> list[str]:
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 110))
    return wrapped(before + text, width, min(len(before), 21))
