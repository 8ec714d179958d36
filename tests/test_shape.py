"""The shape of the house, held by reading its files: who may import whom, how long a file may be, what costs nothing.

Rooms are the folders and single files of gipi/. Every import is seen, also those inside functions: a door that is
opened late is still a door.
"""

import ast
import dataclasses
import subprocess
import sys
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

import gipi
from gipi import systems
from gipi.cli.main import VERBS
from gipi.jobs.options import Fit

HOME = Path(gipi.__file__).parent
LONGEST = 400  # lines of a file; longer is usually two rooms

EVERYWHERE = {"errors", "messages", "launch", "process", "signals", "__init__"}  # __init__: the version
GROUND = {"data", "models", "losses", "algorithms"}
MIDDLE = GROUND | {"training", "tasks"}
SHOWING = {"report"}
MAY_IMPORT = {
    "errors": set(),
    "messages": set(),
    "process": set(),
    "launch": set(),
    "signals": set(),
    "data": set(),
    "losses": set(),
    "algorithms": set(),
    "models": {"data"},  # Sizes, nothing else: see below
    "training": GROUND,
    "tasks": GROUND,
    "systems": GROUND | {"training"},  # its Player
    "doctor": MIDDLE,
    "report": set(),  # draws what it is given
    "release": MIDDLE | {"systems"},
    "server": MIDDLE | SHOWING | {"release"},
    "jobs": MIDDLE | SHOWING | {"systems", "release", "doctor"},
    "run": MIDDLE | SHOWING | {"systems", "release", "doctor", "jobs", "verbs"},
    "verbs": MIDDLE | SHOWING | {"systems", "release", "server", "doctor", "jobs", "run"},
    "sklearn": MIDDLE | SHOWING | {"systems", "release", "doctor", "jobs", "run", "verbs"},
    "sagemaker": MIDDLE | SHOWING | {"systems", "release", "server", "jobs", "run", "verbs"},
    "cli": MIDDLE | SHOWING | {"systems", "release", "server", "doctor", "jobs", "run", "verbs", "sagemaker"},
    "__main__": {"cli"},
    "__init__": {"run", "verbs"},
}


def files() -> list[Path]:
    return sorted(HOME.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(HOME).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports() -> list[tuple[str, str, str]]:
    """(room, module of gipi that it imports, where) of every import statement."""
    found = []
    for path in files():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: import by the full name"
                one = node.module or ""
                modules = [f"{one}.{alias.name}" for alias in node.names] if one == "gipi" else [one]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            place = f"{path.relative_to(HOME)}:{node.lineno}"
            found += [(room_of(path), module, place) for module in modules if module.startswith("gipi.")]
    return found


def rooms_of(module: str) -> str:
    room = module.split(".")[1]
    return "__init__" if room == "__version__" else room


# --- who may import whom -----------------------------------------------------------------------------------------


def test_each_room_has_its_rule():
    """A new room says here where it stands."""
    assert {room_of(path) for path in files()} <= set(MAY_IMPORT)


def test_imports_point_one_way():
    wrong = [
        f"{place}: {room} imports {module}"
        for room, module, place in imports()
        if rooms_of(module) not in MAY_IMPORT[room] | EVERYWHERE | {room}
    ]
    assert not wrong, "\n".join(wrong)


def test_rules_have_no_circle_but_the_run():
    """A run knows its verbs (run.evaluate) and they give it back: one circle, on purpose, and no other."""
    for one, other in combinations(MAY_IMPORT, 2):
        if {one, other} != {"run", "verbs"}:
            assert not (other in MAY_IMPORT[one] and one in MAY_IMPORT[other]), (one, other)


def test_models_take_only_the_sizes_from_data():
    assert {module for room, module, _ in imports() if room == "models" and rooms_of(module) == "data"} <= {
        "gipi.data.schema"
    }
    for path in (HOME / "models").glob("*.py"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and node.module == "gipi.data.schema":
                assert {alias.name for alias in node.names} == {"Sizes"}, path.name


def test_only_systems_and_what_stands_on_them_name_a_system():
    """No system-specific code below: a system's file is imported by name in its own folder only."""
    named = {f"gipi.systems.{name}" for name in systems.names()}
    wrong = [place for room, module, place in imports() if module in named and room != "systems"]
    assert not wrong


def test_systems_do_not_import_each_other():
    named = {f"gipi.systems.{name}" for name in systems.names()}
    assert not [place for room, module, place in imports() if room == "systems" and module in named]


def test_modules_import_each_other_in_no_circle():
    """At the top of files; a late import inside a function cannot bite."""
    above: dict[str, set[str]] = {}
    for path in files():
        name = ".".join(("gipi", *path.relative_to(HOME).with_suffix("").parts)).removesuffix(".__init__")
        above[name] = {
            found
            for node in tree_of(path).body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gipi")
            for found in ([node.module] if node.module != "gipi" else [f"gipi.{alias.name}" for alias in node.names])
            if found
        }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way, name))}"
        if name not in done:
            for other in above.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in above:
        visit(name, ())


# --- what a file is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HOME)))
def test_file_tells_its_story_and_is_not_too_long(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(tree_of(path)), "a file opens with its story"
    assert len(text.splitlines()) <= LONGEST, "a file past 400 lines is usually two rooms"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HOME)))
def test_no_star_imports(path):
    for node in ast.walk(tree_of(path)):
        assert not (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", systems.names())
def test_options_of_verb_and_system_are_disjoint(name):
    ours = {field.name for field in dataclasses.fields(Fit)} | {"from", "help", "data"}
    assert not ours & {option.name for option in systems.describe(name).options}


@pytest.mark.parametrize("name", systems.names())
def test_same_option_means_the_same_in_each_system(name):
    """`--hidden` cannot be a list here and a number there; that a dial decides it, as None says, is no other thing."""
    every = [option for other in systems.names() for option in systems.describe(other).options]
    kinds = {option.name: option.kind.removesuffix(" | None") for option in every}
    loose = {"lr"}  # auto where a finder can look for it
    for option in systems.describe(name).options:
        assert option.name in loose or kinds[option.name] == option.kind.removesuffix(" | None"), option.name


def test_options_of_the_verb_have_remarks():
    lines = (HOME / "jobs" / "options.py").read_text(encoding="utf-8").splitlines()
    node = next(
        n for n in tree_of(HOME / "jobs" / "options.py").body if isinstance(n, ast.ClassDef) and n.name == "Fit"
    )
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            assert "#" in lines[(field.end_lineno or 1) - 1], f"{ast.unparse(field.target)} has no remark"


# --- what costs nothing ------------------------------------------------------------------------------------------

HEAVY = ("torch", "numpy", "polars", "sklearn", "scipy", "pandas", "tyro", "rich", "PIL", "gymnasium")


@pytest.mark.parametrize(
    "code",
    [
        "import gipi; gipi.__version__; dir(gipi)",
        "from gipi.cli.main import main; assert main(['--help']) == 0",
        "from gipi.cli.main import main; assert main(['fit', '--help']) == 0",
        "from gipi.cli.main import main; assert main(['--version']) == 0",
        "from gipi.cli.main import main; assert main(['fti']) == 2",
    ],
    ids=["import gipi", "gipi --help", "gipi fit --help", "gipi --version", "an unknown verb"],
)
def test_nothing_heavy_is_imported(code):
    look = f"{code}\nimport sys\nprint('heavy:', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_needs_no_torch(verb):
    code = f"from gipi.cli.main import main; assert main([{verb!r}, '--help']) == 0"
    code += "; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
    assert f"gipi {verb}" in done.stdout


def test_public_names_are_there():
    for name in gipi.__all__:
        assert getattr(gipi, name) is not None
    with pytest.raises(AttributeError):
        gipi.no_such_name  # noqa: B018


def test_command_line_and_python_have_the_same_verbs():
    in_python = {"fit", "evaluate", "predict", "resume", "runs", "compare"}
    assert in_python <= set(VERBS)
    assert in_python <= set(gipi.__all__)
