"""`gipi fit`: from data to a kept model with an honest verdict.

The data is opened and looked at, a task and a system are chosen, members are trained, and what came of it is scored on
rows that nobody has seen, compared with classical models, written down, and kept. `resume` comes through the same door:
everything before the first step is a function of the options and the data, so it is done again and found the same.
"""

import dataclasses
import datetime
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import RunError, TrainingError, UsageError, nearest
from gipi.jobs.options import Fit
from gipi.messages import _, use

if TYPE_CHECKING:
    from gipi.jobs.job import Job, Outcome, Setting
    from gipi.run import Run
    from gipi.training.folder import Folder
    from gipi.training.member import Progress

OWN = ("model", "loss", "optimizer")  # what a person may put in place of ours, as objects


def fit(data: Any, **options: Any) -> "Run":
    """Train a model on data, judge it, keep it.

    Args:
        data: A path to a table or a folder of pictures, a name (`gipi data` lists them), a frame, arrays `(X, y)`, a
            PyTorch data set, an environment (`gym:CartPole-v1`), or a stream of one's own.
        **options: Any field of `gipi.jobs.options.Fit` (target, system, epochs, seed, folds ...), any field of the
            system's Config (hidden, dropout, lr, optimizer ...), and in place of ours: `model` (an nn.Module, or a
            function of sizes), `loss` (a function of output and target), `optimizer` (a function of parameters),
            `system` (a module of one's own). Each is checked; an unknown one is refused.

    Returns:
        The run: `.metrics`, `.verdict`, `.predict(rows)`, `.save(path)`, `.report` ...

    Raises:
        DataError: The data cannot be used; says which row or column, and what to do.
        UsageError: An option is unknown or does not apply.
        TrainingError: Training diverged; the run folder has the curve.

    Example:
        >>> import gipi
        >>> run = gipi.fit("iris", system="linear", run="/tmp/iris-linear", quiet=True)  # doctest: +SKIP
        >>> run.metrics["accuracy"] > 0.9                                                # doctest: +SKIP
        True
    """
    chosen, system_options, own, system = sort_options(options)
    use(chosen.lang)
    return carry_out(Request(data, chosen, system_options, own, system))


@dataclass
class Request:
    """What was asked for, sorted; for `resume` with the folder of the run that goes on."""

    data: Any
    options: Fit
    system_options: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    system: Any = None  # a system of a person's own
    folder: "Folder | None" = None
    read: Callable[[Any, str], dict[str, Any]] | None = None  # (system, name) -> its options, from a command line


def sort_options(options: dict[str, Any]) -> tuple[Fit, dict[str, Any], dict[str, Any], Any]:
    """Options of the verb, options of the system, objects in place of ours, and a system of one's own."""
    options = {("warm_start" if name == "from" else name): value for name, value in options.items()}
    own = {name: options.pop(name) for name in OWN if callable(options.get(name))}
    system = None if isinstance(options.get("system"), str | None) else options.pop("system")
    known = {f.name: f for f in fields(Fit)}
    chosen = {name: _as_typed(known[name], options.pop(name)) for name in list(options) if name in known}
    return Fit(**chosen), options, own, system


def _as_typed(known: dataclasses.Field, value: Any) -> Any:
    """A single word where several may stand is one of them; paths and runs become text."""
    if value is None:
        return known.default
    if "tuple" in str(known.type):
        return (value,) if isinstance(value, str) else tuple(value)
    if known.name in ("run", "valid", "test", "warm_start"):
        return str(getattr(value, "path", value)) if not isinstance(value, str) else value
    return value


def carry_out(request: Request) -> "Run":
    """Do all that was asked for; see `fit`."""
    from gipi.report.display import choose

    clock = Clock()
    options = request.options
    with choose(options.json, options.quiet) as display:
        with clock.of("start"):
            import torch

            from gipi.training.prepare import choose_device, own_random_state, threads
        with clock.of("data"):
            device = choose_device(options.device)
            job = make_job(request, device)
        with own_random_state(options.seed, device):
            folder = request.folder or _new_folder(job)
            try:
                if getattr(job.setting.config, "lr", None) == "auto":
                    _find_step_size(job, display, torch)
                first = _seeded(job, 0, torch)
                before = folder.record.get("threads") if request.folder else None
                job.record["threads"] = options.threads or before or _threads(job, first)
                _say_what(job, first, display)
                _write_down(job, first, folder, request)
                with threads(job.record["threads"]):
                    return _train_and_finish(job, folder, display, clock)
            finally:
                folder.close()


def make_job(request: Request, device: Any) -> "Job":
    """Open the data, choose task and system, and decide all that is decided before the first step."""
    from gipi.data.environments import is_environment
    from gipi.jobs.job import Own

    options, own = request.options, Own(**request.own)
    if is_environment(request.data):
        from gipi.jobs.act import Act

        setting = _setting(request, "act", "environment", own, device)
        return Act(request.data, setting)
    from gipi.jobs.material import gather

    material = gather(request.data, options)
    setting = _setting(request, material.task, material.data.kind, own, device)
    if material.task == "cluster":
        from gipi.jobs.cluster import Cluster

        return Cluster(material, setting)
    if material.task == "generate":
        from gipi.jobs.generate import Generate

        return Generate(material, setting)
    from gipi.jobs.supervised import Supervised

    return Supervised(material, setting)


def _setting(request: Request, task: str, kind: str, own: Any, device: Any) -> "Setting":
    """The system for this task and kind of data, and its configuration."""
    from gipi import systems, tasks
    from gipi.jobs.job import Setting

    if own.model is not None:
        from gipi.jobs.supervised import own_system

        name, system = "own", own_system(own.model)
    elif request.system is not None:
        system = systems.load(request.system)
        name = getattr(system, "__name__", "own").rpartition(".")[2]
    else:
        name = request.options.system or tasks.load(task).default.get(kind, "")
        system = systems.load(name)
    if task not in system.tasks:
        fitting = [n for n in systems.names() if task in systems.describe(n).tasks]
        text = _(
            "the system {name} does not {task}; these do: {others}", name=name, task=task, others=", ".join(fitting)
        )
        raise UsageError(text)
    if kind not in system.kinds:
        fitting = [
            n for n in systems.names() if task in systems.describe(n).tasks and kind in systems.describe(n).kinds
        ]
        text = _(
            "the system {name} does not take a {kind}; these do: {others}",
            name=name,
            kind=kind,
            others=", ".join(fitting),
        )
        raise UsageError(text)
    if request.read:
        request.system_options = request.read(system, name)
    given = dict(request.system_options)
    if own.optimizer is not None:
        given["optimizer"] = own.optimizer
    return Setting(request.options, name, system, configured(system, name, given), own, device)


def configured(system: Any, name: str, given: dict[str, Any]) -> Any:
    """The system's configuration with these options in it.

    Raises:
        UsageError: An option belongs to no system, or to others.
    """
    from gipi import systems

    known = {f.name: f for f in fields(system.Config)}
    for option in given:
        if option not in known:
            owners = systems.owners(option)
            flag = f"--{option.replace('_', '-')}"
            if owners:
                text = _(
                    "{option} does not apply to {name}; it belongs to {owners}",
                    option=flag,
                    name=name,
                    owners=", ".join(owners),
                )
                raise UsageError(text)
            everything = [*known, *(f.name for f in fields(Fit))]
            raise UsageError(_("there is no option {option}.", option=flag) + nearest(option, everything))
    typed = {
        option: tuple(value)
        if isinstance(value, list)
        else float(value)
        if _is_whole_for_float(known[option], value)
        else value
        for option, value in given.items()
    }
    if "optimizer" in typed and "lr" in known and "lr" not in typed:  # each optimizer has a step size of its own
        from gipi.algorithms.optimizers import STEP_SIZES

        if typed["optimizer"] != known["optimizer"].default:
            typed["lr"] = STEP_SIZES.get(typed["optimizer"]) if isinstance(typed["optimizer"], str) else None
    if isinstance(typed.get("hidden"), int):
        typed["hidden"] = (typed["hidden"],)
    return system.Config(**typed)


def _is_whole_for_float(known: dataclasses.Field, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and "float" in str(known.type)


# --- before the first step ---------------------------------------------------------------------------------------


def _new_folder(job: "Job") -> "Folder":
    from gipi.training.folder import Folder

    options = job.setting.options
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in job.name).strip("-.") or "data"
    return Folder.create(Path(options.run) if options.run else None, f"{safe}-{job.setting.system_name}")


def _seeded(job: "Job", number: int, torch: Any) -> Any:
    """Build a member from its own seed, so that it does not depend on what was built before."""
    from gipi.data.stream import generator

    seed = generator(job.setting.options.seed, "member", number).initial_seed()
    torch.manual_seed(seed)
    member = job.build(number)
    torch.manual_seed(seed + 1)  # what the network drew does not decide what training draws
    return member


def _find_step_size(job: "Job", display: Any, torch: Any) -> None:
    """`--lr auto`: look for the step size on training rows, say it, and train with it."""
    from gipi.training.finder import find_step_size

    setting = job.setting
    setting.config = replace(setting.config, lr=1.0)
    member = _seeded(job, 0, torch)
    found = find_step_size(member.net, lambda schedule: job.players(member.net, schedule), member.stream)
    setting.config = replace(setting.config, lr=found.step_size)
    job.record["step_size_curve"] = found.curve
    job.algorithm = job.describe_algorithm()
    display.note(_("step size found: {size} (among {count} tried)", size=found.step_size, count=len(found.curve)))


def _threads(job: "Job", member: Any) -> int:
    from gipi.training.prepare import choose_threads

    batch = getattr(job, "batch_size", 64)
    return choose_threads(member.net, batch, bool(getattr(job, "schema", None) and job.schema.is_picture))  # type: ignore[attr-defined]


def _say_what(job: "Job", member: Any, display: Any) -> None:
    display.data(job.name, job.facts)
    layers = job.layers(member.net)
    job.record["layers"] = [
        [name, list(shape) if isinstance(shape, tuple) else shape, count] for name, shape, count in layers
    ]
    total = sum(p.numel() for p in member.net.parameters())
    display.model(job.setting.system_name, layers, total)
    display.plan(job.algorithm)


def _write_down(job: "Job", member: Any, folder: "Folder", request: Request) -> None:
    """run.json before the first step; on resume, check that everything is what it was."""
    import torch

    setting = job.setting
    if request.folder:
        for key, what in (("data", _("the data")), ("split", _("the parts"))):
            if folder.record.get(key) != job.record.get(key):
                raise RunError(
                    _(
                        "{what} of the run {name} is not what it was: it cannot be continued exactly",
                        what=what,
                        name=folder.name,
                    )
                )
        folder.write_record(status="running", layers=job.record["layers"])
        return
    config = {name: value if _is_json(value) else repr(value) for name, value in vars(setting.config).items()}
    folder.write_record(
        format=1,
        name=folder.name,
        status="running",
        system=setting.system_name,
        config=config,
        options=dataclasses.asdict(setting.options),
        system_options={k: v for k, v in request.system_options.items() if _is_json(v)},
        own=sorted(request.own) + (["system"] if request.system is not None else []),
        source=str(request.data) if isinstance(request.data, (str, Path)) else None,
        data_name=job.name,
        facts=job.facts,
        algorithm=job.algorithm,
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        versions=_versions(),
        hardware={"device": str(setting.device), "machine": platform.machine(), "processors": torch.get_num_threads()},
        members=job.members,
        **job.record,
    )


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, tuple, dict))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    named = {name: version(name) for name in ("gipi", "torch", "numpy", "polars", "scikit-learn")}
    return {"python": platform.python_version(), **named}


# --- training ----------------------------------------------------------------------------------------------------


def _train_and_finish(job: "Job", folder: "Folder", display: Any, clock: "Clock") -> "Run":
    from gipi.run import Run
    from gipi.training.log import Diverged
    from gipi.training.train import Stopped

    if job.setting.options.verdict:
        _import_beside()
    try:
        with clock.of("training"):
            nets, progress = _train_members(job, folder, display)
    except Stopped as stop:
        folder.write_record(status="interrupted")
        display.note(_("interrupted; everything is saved. Go on with: gipi resume {path}", path=folder.path))
        if _in_notebook():
            return _so_far(job, folder, display, clock)
        raise Interrupted(stop.signal_number) from None
    except Diverged as error:
        folder.write_record(status="diverged", error=str(error))
        _write_report(job, folder, None, clock)
        raise TrainingError(f"{error} " + _("The curve is in {path}", path=folder.path / "report.html")) from error
    _finish(job, folder, display, clock, nets, progress, "done")
    return Run(folder.path)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM between two steps: everything is saved, and `gipi resume` goes on."""

    def __init__(self, signal_number: int):
        super().__init__(signal_number)
        self.signal_number = signal_number


def _train_members(job: "Job", folder: "Folder", display: Any) -> tuple[list[Any], list["Progress"]]:
    """Every member in turn; one that ended before the run was cut is taken as it is."""
    import torch

    from gipi.training.log import Log, finished_member, restore
    from gipi.training.train import train

    log = Log(folder, job.members)
    nets, progress = [], []
    end_of_log = 0
    for number in range(job.members):
        member = _seeded(job, number, torch)
        if ended := finished_member(folder, number):
            weights, member.progress, end_of_log = ended
            member.net.load_state_dict(weights)
        else:
            folder.cut_log(end_of_log)
            for remark in restore(member, folder):
                display.note(remark)
            train(member, display, log, job.label(number))
            end_of_log = folder.log_size()
        nets.append(member.net)
        progress.append(member.progress)
    return nets, progress


def _finish(
    job: "Job", folder: "Folder", display: Any, clock: "Clock", nets: list, progress: list, status: str
) -> None:
    """Score, compare, write down, keep."""
    from gipi.tasks.intervals import metric_json

    with clock.of("scores and baselines"):
        outcome = job.finish(nets, progress, clock.seconds["training"])
    metrics = {name: metric_json(value) for name, value in outcome.metrics.items()}
    outcome.model.card = {
        "run": folder.name,
        "data": job.name,
        "metrics": metrics,
        "metrics_of": outcome.metrics_of,
        "made": folder.record["started"],
        "versions": folder.record["versions"],
    }
    with clock.of("keeping"):
        outcome.model.save(folder.path / "model.gipi")
    folder.record.update(
        metrics=metrics,
        metrics_of=outcome.metrics_of,
        verdict=outcome.verdict.json() if outcome.verdict else None,
        notes=outcome.notes,
        seconds={name: round(seconds, 3) for name, seconds in clock.seconds.items()},
        stopped=[one.finished for one in progress],
        **outcome.extra,
    )
    with clock.of("report"):
        _write_report(job, folder, outcome, clock)
    folder.write_record(
        status=status,
        finished=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    _say_result(job, folder, outcome, display, clock)


def _write_report(job: "Job", folder: "Folder", outcome: "Outcome | None", clock: "Clock") -> None:
    from gipi.jobs.page import page_of
    from gipi.report.html import write_report
    from gipi.training.folder import read_log

    if folder.log:
        folder.log.flush()
    history = [line for line in read_log(folder.path) if "epoch" in line]
    results, baselines = (outcome.results, outcome.baselines) if outcome else ((), ())
    profile = [*clock.seconds.items()] if job.setting.options.profile else ()
    write_report(folder.path / "report.html", page_of(folder.record, history, results, baselines, profile))


def _say_result(job: "Job", folder: "Folder", outcome: "Outcome", display: Any, clock: "Clock") -> None:
    from gipi.report.text import interval, metric

    def _interval(name: str, value: Any) -> str:
        return interval(name, value.low, value.high) if getattr(value, "low", None) is not None else ""

    rows = []
    for name, value in outcome.metrics.items():
        rows.append([name.replace("_", " "), metric(name, value), _interval(name, value)])
    display.table(outcome.metrics_of, [_("metric"), _("value"), _("95 % interval")], rows)
    for note in outcome.notes:
        display.note(note)
    if outcome.verdict:
        display.verdict(outcome.verdict)
    if job.setting.options.profile:
        total = sum(clock.seconds.values())
        shown = [[_(name), f"{seconds:.2f} s", f"{seconds / total:.0%}"] for name, seconds in clock.seconds.items()]
        display.table(_("Where the time went"), [_("part"), _("time"), _("share")], shown)
    display.note(_("kept in {path}: model.gipi, report.html", path=folder.path))


def _so_far(job: "Job", folder: "Folder", display: Any, clock: "Clock") -> "Run":
    """In a notebook Ctrl-C gives back the run as far as it came: the best weights until then, scored like any others."""
    import torch

    from gipi.run import Run
    from gipi.training.log import finished_member, restore

    nets, progress = [], []
    for number in range(job.members):
        member = _seeded(job, number, torch)
        if ended := finished_member(folder, number):
            weights, member.progress, _end = ended
            member.net.load_state_dict(weights)
        else:
            restore(member, folder)
            if member.best is not None:
                member.net.load_state_dict(member.best)
        nets.append(member.net)
        progress.append(member.progress)
        if not ended:
            break
    _finish(job, folder, display, clock, nets, progress, "interrupted")
    return Run(folder.path)


def _in_notebook() -> bool:
    from gipi.report.display import in_notebook

    return in_notebook()


def _import_beside() -> None:
    """scikit-learn takes two seconds to import: it is done beside training, which does not need it."""
    import threading

    from gipi.tasks.baselines import preload

    if "sklearn.ensemble" not in sys.modules:
        threading.Thread(target=preload, daemon=True).start()


class Clock:
    """Where the time goes: seconds of each part of a run."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began
