"""A job carried out: members trained one after the other, scored on rows that nobody has seen, compared, kept.

Everything before the first step is a function of the options and the data, so `resume` does it again, finds it the
same, and goes on from the newest checkpoint.
"""

import dataclasses
import datetime
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from gipi.doctor import Finding, ranked
from gipi.errors import RunError, TrainingError
from gipi.jobs.begin import find_step_size_of, groups, label_of, seeded
from gipi.jobs.examined import examined_after, examined_before, examiner_of
from gipi.jobs.job import Job, Outcome
from gipi.jobs.on_ray import carry_out_on_ray
from gipi.jobs.page import page_of
from gipi.jobs.probed import probe_beginning, probe_end
from gipi.jobs.record import changed, write_down
from gipi.jobs.request import Request, make_job
from gipi.jobs.settle import settle, settled
from gipi.jobs.shared import check_ranks, check_same, remarks_on
from gipi.messages import _
from gipi.process import freed_memory_kept
from gipi.release.keep import write_bundle
from gipi.report.display import choose, in_notebook
from gipi.report.html import document
from gipi.report.text import interval, metric, spoken
from gipi.signals import Stopped, stoppable
from gipi.tasks.intervals import metric_json
from gipi.training.chance import own_random_state
from gipi.training.checkpoint import write_atomically
from gipi.training.distributed import Ranks, joined
from gipi.training.folder import Folder
from gipi.training.log import Diverged, Log
from gipi.training.log_file import read_log
from gipi.training.member import Member, Progress
from gipi.training.prepare import choose_device, threads
from gipi.training.train import take_best, train

MOST_SAID = 3  # findings at the end of a run; all stand in the report


def carry_out(request: Request) -> Path:
    """Do all that was asked for; gives the run's folder.

    Raises:
        DataError: The data cannot be used; nothing has been written then.
        UsageError: An option does not apply; nothing has been written then.
        TrainingError: Training diverged; the run folder has the curve.
        KeyboardInterrupt: A key or signal; `Stopped`, with its number, where gipi could see to it that all is saved.
    """
    ranks = request.ranks
    if ranks is None:
        if request.options.ray is not None:
            return carry_out_on_ray(request)
        with joined() as ranks:
            return carry_out(dataclasses.replace(request, ranks=ranks))
    hears = stoppable() if ranks.is_alone else nullcontext()  # one of several waits for others, and hears nothing then
    with hears, choose(request.options.json, request.options.quiet or not ranks.is_first) as display:
        try:
            return _carried_out(request, ranks, display)
        except KeyboardInterrupt as stop:
            _say_stopped(stop, request.folder, display)
            raise


def _carried_out(request: Request, ranks: Ranks, display: Any) -> Path:
    clock = Clock()
    options = request.options
    with clock.of("data"), ranks.agreed():
        device = choose_device(ranks.device_name(options.device))
        request.progress = display.work
        job = make_job(request, device)
        check_ranks(job, request.folder is not None)
    check_same(job)
    with own_random_state(options.seed, device), freed_memory_kept():
        if getattr(job.setting.config, "lr", None) == "auto":
            with clock.of("step size"):
                find_step_size_of(job, display)
        before = ranks.first_says(settled(request.folder))
        with ranks.agreed():
            first, notes = settle(job, seeded(job, 0), before, display)
        if not ranks.is_first:
            return _train_beside(job, first, display)
        folder = request.folder or _new_folder(job)
        try:
            _say_what(job, first, display)
            for note in notes:
                display.note(note)
            write_down(job, folder, request)
            if request.folder and (found := changed(job, folder)):
                display.note(found)
            if request.folder and not folder.has_begun():
                display.note(_("nothing of it was saved yet: it begins at its first step"))
            ranks.run = str(folder.path)
            ranks.first_says(ranks.run)
            for remark in remarks_on(job, first):
                display.note(remark)
            with clock.of("doctor"):
                folder.record["findings"] = examined_before(job, display)
            with threads(job.setting.arithmetic.threads):
                _train_and_finish(job, first, folder, display, clock)
        except Exception as error:
            if not request.folder and not folder.has_begun():
                folder.discard()  # what failed before it learned anything leaves nothing behind
            elif folder.record.get("status") == "running":
                with suppress(RunError):  # a full disk, for instance: what went wrong first is what is said
                    folder.write_record(status="failed", error=str(error))
            raise
        except KeyboardInterrupt as stop:
            if request.folder or folder.is_written():
                _say_stopped(stop, folder, display)
            else:
                folder.discard()
            raise
        finally:
            folder.close()
    return folder.path


def _say_stopped(stop: KeyboardInterrupt, folder: Folder | None, display: Any) -> None:
    """How to go on after a signal, once."""
    if getattr(stop, "is_said", False):
        return
    if folder:
        display.note(_("interrupted; everything is saved. Go on with: gipi resume {path}", path=folder.path))
    else:
        display.note(_("interrupted before the first step: nothing is kept. Begin again with the same line"))
    stop.is_said = True  # type: ignore[attr-defined]  # any exception takes a remark


def _train_beside(job: Job, first: Member, display: Any) -> Path:
    """What a rank does that is not the first: it trains. It gives the run's folder."""
    ranks = job.setting.ranks
    ranks.run = ranks.first_says("")
    with threads(job.setting.arithmetic.threads), stoppable():
        _train_members(job, first, None, display)
    ranks.first_is_done()
    return as_seen_here(Path(ranks.run))


def as_seen_here(run: Path) -> Path:
    """The folder of a run that the first of several processes has.

    Raises:
        SystemExit: It is on another machine, so there is nothing to go on with in this process.
    """
    if not (run / "run.json").exists():
        raise SystemExit(0)
    return run


# --- before the first step ---------------------------------------------------------------------------------------


def _new_folder(job: Job) -> Folder:
    options = job.setting.options
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in job.name).strip("-.") or "data"
    system = "-".join(re.split(r"[^\w.-]+", job.setting.system_name)).strip("-.")
    return Folder.create(Path(options.run) if options.run else None, f"{safe}-{system}")


def _say_what(job: Job, member: Member, display: Any) -> None:
    display.data(job.name, job.facts)
    layers = job.layers(member.net)
    job.record["layers"] = [
        [name, list(shape) if isinstance(shape, tuple) else shape, count] for name, shape, count in layers
    ]
    total = sum(p.numel() for p in member.net.parameters())
    display.model(job.setting.system_name, layers, total)
    display.plan(job.algorithm)


# --- training ----------------------------------------------------------------------------------------------------


def _train_and_finish(job: Job, first: Member, folder: Folder, display: Any, clock: "Clock") -> None:
    if job.setting.options.verdict:
        _import_beside()
    nets: list[Any] = []
    try:
        with stoppable():  # each of several, too, from here on
            with clock.of("doctor"):
                probe_beginning(job, first, folder)
            with clock.of("training"):
                nets, progress = _train_members(job, first, folder, display)
            clock.seconds["training"] = sum(one.seconds for one in progress)  # in all processes that it took
            _finish(job, folder, display, clock, nets, progress, "done")
    except KeyboardInterrupt as stop:
        if folder.record["status"] == "done":
            raise  # all was kept, and was being said
        folder.write_record(status="interrupted")
        if not nets:  # a member was in training
            display.end(_("interrupted"))
        _say_stopped(stop, folder, display)
        if not in_notebook():
            raise
        if isinstance(stop, Stopped) and not nets:
            _so_far(job, folder, display, clock)
    except Diverged as error:
        _examine(job, folder, str(error))
        folder.write_record(status="diverged", error=str(error))
        _write_report(job, folder, None, clock)
        raise TrainingError(f"{error} " + _("The curve is in {path}", path=folder.path / "report.html")) from error


def _train_members(job: Job, first: Member, folder: Folder | None, display: Any) -> tuple[list[Any], list[Progress]]:
    """Every group of members in turn; one that ended before the run was cut is taken as it is."""
    log = Log(folder, job.members, job.setting.ranks)
    nets, progress = [], []
    examiner = examiner_of(job)
    for group in groups(job, first):
        for member in group.members:
            if hasattr(member.stream, "say"):
                member.stream.say = display.note
        for remark in log.restore(group):
            display.note(remark)
        train(group, display, log, label_of(job, group), examiner if group.first == 0 else None)
        nets += [job.whole(member.net) for member in group.members]
        progress += [member.progress for member in group.members]
    return nets, progress


def _finish(job: Job, folder: Folder, display: Any, clock: "Clock", nets: list, progress: list, status: str) -> None:
    """Score, compare, write down, keep."""
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
        **({"verdict": outcome.verdict.sentence} if outcome.verdict else {}),
    }
    with clock.of("keeping"):
        write_bundle(outcome.model, folder.path / "model.gipi")
    folder.record.update(
        metrics=metrics,
        metrics_of=outcome.metrics_of,
        verdict=outcome.verdict.json() if outcome.verdict else None,
        notes=outcome.notes,
        seconds={name: round(seconds, 3) for name, seconds in clock.seconds.items()},
        stopped=[one.finished for one in progress],
        faults=[{"member": number, **fault} for number, one in enumerate(progress) for fault in one.faults],
        **outcome.extra,
    )
    with clock.of("doctor"):
        probe_end(job, nets, folder)
        findings = _examine(job, folder, _trouble(folder.record["faults"]), outcome)
    with clock.of("report"):
        _write_report(job, folder, outcome, clock)
    folder.write_record(
        status=status,
        finished=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    _say_result(job, folder, outcome, display, clock)
    severe = [finding for finding in findings if finding.severity != "note"]
    for finding in severe[:MOST_SAID]:
        display.note(f"{finding.name}: {finding}")
    if severe:
        display.note(_("what was found, with its evidence: gipi doctor {path}", path=folder.path))


def _history(folder: Folder) -> list[dict]:
    """The epochs' records."""
    if folder.log:
        folder.log.flush()
    return read_log(folder.path, epochs=True)


def _examine(job: Job, folder: Folder, error: str = "", outcome: Outcome | None = None) -> list[Finding]:
    """What the doctor finds in the training; it is kept in the record, with what was found in the data before."""
    if folder.log:
        folder.log.flush()
    if not job.setting.options.doctor:
        return []
    found = examined_after(job, folder, error, outcome)
    before = [Finding.from_json(held) for held in folder.record.get("findings", [])]
    folder.record["findings"] = [finding.json() for finding in ranked([*before, *found])]
    return found


def _trouble(faults: list[dict]) -> str:
    """That training went wrong, and went on; nothing if it did not."""
    if not faults:
        return ""
    return _(
        "training went wrong at step {step}, and went on from step {back} with smaller steps",
        step=faults[-1]["step"],
        back=faults[-1]["from"],
    )


def _write_report(job: Job, folder: Folder, outcome: Outcome | None, clock: "Clock") -> None:
    history = _history(folder)
    results, baselines = (outcome.results, outcome.baselines) if outcome else ((), ())
    profile = [*clock.seconds.items()] if job.setting.options.profile else ()
    page = document(page_of(folder.record, history, results, baselines, profile))
    write_atomically(folder.path / "report.html", page.encode("utf-8", "replace"))


def _say_result(job: Job, folder: Folder, outcome: Outcome, display: Any, clock: "Clock") -> None:
    def _interval(name: str, value: Any) -> str:
        return interval(name, value.low, value.high) if getattr(value, "low", None) is not None else ""

    rows = []
    for name, value in outcome.metrics.items():
        rows.append([spoken(name), metric(name, value), _interval(name, value)])
    display.table(outcome.metrics_of, [_("metric"), _("value"), _("95 % interval")], rows)
    for note in outcome.notes:
        display.note(note)
    if outcome.verdict:
        display.verdict(outcome.verdict)
    if job.setting.options.profile:
        total = sum(clock.seconds.values())
        shown = [
            [_(name), _("{seconds} s", seconds=f"{seconds:.2f}"), f"{seconds / total:.0%}"]
            for name, seconds in clock.seconds.items()
        ]
        display.table(_("Where the time went"), [_("part"), _("time"), _("share")], shown)
    display.note(_("kept in {path}: model.gipi, report.html", path=folder.path))


def _so_far(job: Job, folder: Folder, display: Any, clock: "Clock") -> None:
    """In a notebook Ctrl-C gives back the run as far as it came: the best weights until then, scored like others."""
    log = Log(folder, job.members)
    nets, progress = [], []
    for group in groups(job):
        log.restore(group)
        for member in group.members:
            if not member.progress.finished:
                take_best(member)
            nets.append(member.net)
            progress.append(member.progress)
        if not group.is_finished:
            break
    _finish(job, folder, display, clock, nets, progress, "interrupted")


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
