"""`train`: one training job of SageMaker's, from its folders to a kept model, or to a sentence that says why not.

The run's folder is the checkpoint folder, which SageMaker copies away while the job goes on and brings back after a
spot machine was taken: whatever it holds is gone on with, to the same bits. SIGTERM ends between two steps, with all
saved.
"""

import dataclasses
import json
import shutil
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import DataError, RunError, TrainingError, UsageError, cannot_write, reason_of
from gipi.messages import _
from gipi.sagemaker.channels import parts_of
from gipi.sagemaker.hyperparameters import options_from
from gipi.sagemaker.places import ROOT, Places
from gipi.signals import stoppable

if TYPE_CHECKING:
    from gipi.jobs.options import Fit
    from gipi.run import Run

LONGEST_FAILURE = 1024  # characters that SageMaker shows
FREE = ("device", "json", "lang", "profile", "quiet", "run")  # options that may change from one attempt to the next


def train(root: Path = ROOT) -> int:
    """Carry out a training job; gives the exit code of the process.

    Args:
        root: /opt/ml.

    Returns:
        0: `model/model.gipi` is there. Otherwise `output/failure` says why not; 143 after SIGTERM, when all is saved.

    Example:
        >>> train(Path("/opt/ml"))  # doctest: +SKIP
        gipi accuracy=0.966667;
        0
    """
    places = Places(root)
    try:
        with stoppable():
            run = _carried_out(places)
            _leave(run, places)
            _print_metrics(run)
    except KeyboardInterrupt as stop:
        where = places.run if places.run.exists() else None
        text = _("interrupted; what it has learned is saved in {path}", path=where) if where else _("interrupted")
        return _failed(places, text, 128 + getattr(stop, "signal_number", 2))
    except UsageError as error:
        return _failed(places, str(error), 2)
    except (DataError, RunError, TrainingError) as error:
        return _failed(places, str(error), 1)
    except OSError as error:
        return _failed(places, f"{error.filename or ''}: {reason_of(error)}".removeprefix(": "), 1)
    except Exception as error:  # whatever it is, the job's page must say it; the whole story stands in its log
        from gipi.training.player import ran_out_of_memory

        if isinstance(error, MemoryError | RuntimeError) and ran_out_of_memory(error):
            return _failed(places, _("the memory of this machine is too small for that"), 1)
        traceback.print_exc()
        return _failed(places, "".join(traceback.format_exception_only(error)).strip(), 1)
    return 0


def _carried_out(places: Places) -> "Run":
    """The finished run: begun here, or gone on with."""
    from gipi.verbs.fit import fit, sort_options
    from gipi.verbs.resume import resume

    _check_image()
    _check_alone(places)
    options = options_from(places.said("hyperparameters.json") or {})
    parts = parts_of(places, options)
    data = parts.pop("train")
    if not (places.run / "run.json").is_file():
        return fit(data, **options, **parts, run=str(places.run))
    chosen, system_options, _own, _system = sort_options({**options, **parts})
    _check_same(places.run, chosen, system_options)
    print(_("going on with the run in {path}", path=places.run), flush=True)
    return resume(places.run)


def _check_image() -> None:
    if find_spec("torch") is None:
        raise UsageError(
            _(
                "there is no PyTorch here; build the image with {argument}",
                argument="REQUIREMENTS=requirements-train.txt",
            )
        )


def _check_alone(places: Places) -> None:
    hosts = (places.said("resourceconfig.json") or {}).get("hosts", [])
    if len(hosts) > 1:
        text = _(
            "the job has {count} hosts; gipi trains on one host here: set the instance count to 1", count=len(hosts)
        )
        raise UsageError(text)


def _check_same(path: Path, chosen: "Fit", system_options: dict[str, Any]) -> None:
    """What was asked for now is what the run in the checkpoint folder was begun with.

    Raises:
        RunError: It is not; to go on would leave what is asked for undone, without a word.
    """
    from gipi.jobs.checks import checked
    from gipi.jobs.options import Fit
    from gipi.release.weight_files import settled_source
    from gipi.training.folder import check_record, read_record

    record = read_record(path)
    check_record(record, path, ("options", "system_options"))
    weights = None if chosen.weights is None else settled_source(chosen.weights)
    asked = dataclasses.asdict(dataclasses.replace(checked(chosen), weights=weights)) | system_options
    begun = dataclasses.asdict(Fit.from_json(record["options"])) | record["system_options"]
    asked, begun = (json.loads(json.dumps(one)) for one in (asked, begun))  # a tuple here is a list there
    differ = [name for name in {**asked, **begun} if name not in FREE and asked.get(name) != begun.get(name)]
    if differ:
        shown = ", ".join(f"{name}: {begun.get(name)} -> {asked.get(name)}" for name in differ)
        text = _(
            "{path} holds a run with other hyperparameters ({differences}); give another checkpoint folder, or the same"
            " hyperparameters",
            path=path,
            differences=shown,
        )
        raise RunError(text)


# --- what is left behind -----------------------------------------------------------------------------------------


def _leave(run: "Run", places: Places) -> None:
    """The model where SageMaker takes it from, with its program where it can have one; report and numbers beside it."""
    run.save(places.model / "model.gipi")
    for name in ("report.html", "run.json", "metrics.jsonl"):
        try:
            places.output.mkdir(parents=True, exist_ok=True)
            if (run.path / name).is_file():
                shutil.copyfile(run.path / name, places.output / name)
        except OSError as error:
            raise cannot_write(places.output / name, error) from error


def _print_metrics(run: "Run") -> None:
    """A line for each number, for SageMaker's MetricDefinitions: the regular expression `gipi accuracy=(.*?);`."""
    for name, value in metrics_of(run).items():
        print(f"gipi {name}={value:.6g};", flush=True)


def metrics_of(run: "Run") -> dict[str, float]:
    """The final numbers by their names, and `valid_NAME`: those of the best epoch, which a tuning job should go by.

    Of folds and ensembles there are the final ones only: each member was validated on its own.
    """
    final = {name: float(value) for name, value in run.metrics.items()}
    best = [one for one in run.history if one.get("is_best")]
    if not best or any(one.get("member", 0) for one in run.history):
        return final
    measured = {name: value for name, value in best[-1].get("valid", {}).items() if isinstance(value, int | float)}
    return final | {f"valid_{name}": float(value) for name, value in measured.items()}


def _failed(places: Places, text: str, code: int) -> int:
    """Say why, in the log and where SageMaker reads it; gives the exit code."""
    from gipi.report.text import clean

    print(f"gipi: {clean(text)}", file=sys.stderr, flush=True)
    try:
        places.failure.parent.mkdir(parents=True, exist_ok=True)
        places.failure.write_text(clean(text)[:LONGEST_FAILURE], encoding="utf-8")
    except OSError as error:  # the log has it
        print(f"gipi: {cannot_write(places.failure, error)}", file=sys.stderr, flush=True)
    return code
