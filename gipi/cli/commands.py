"""What each verb does when it is typed: calls the function of the same name and prints what it gives.

Each takes the line and gives what `--json` prints; without `--json` it prints for a person.
"""

import math
import sys
from pathlib import Path
from typing import Any

from gipi.cli.data import data  # noqa: F401  # one of the verbs
from gipi.cli.diagnosis import doctor  # noqa: F401  # one of the verbs
from gipi.cli.lines import Line, system_reader
from gipi.cli.pictures import written, written_each
from gipi.cli.writing import chat, generate  # noqa: F401  # two of the verbs
from gipi.errors import RunError, UsageError, nearest
from gipi.messages import _
from gipi.process import large_imports
from gipi.report.text import clean, harmless_json


def fit(line: Line) -> dict[str, Any]:
    with large_imports():
        from gipi.jobs.carry import carry_out
        from gipi.jobs.request import Request
        from gipi.run import Run

    (source,) = line.words
    return _result(Run(carry_out(Request(source, line.options, read=system_reader(line.rest, line.begun)))))


def resume(line: Line) -> dict[str, Any]:
    from gipi.run import Run
    from gipi.verbs.resume import resume as go_on

    run = Run((line.words or ["last"])[0])
    if run.status == "done" and not (line.options.json or line.options.quiet):
        print(_("{path} is finished; there is nothing to go on with", path=run.path))
    return _result(go_on(run, device=line.options.device, quiet=line.options.quiet, json=line.options.json))


def _result(run: Any) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "status": run.status,
        "metrics": run.record.get("metrics", {}),
        "verdict": run.record.get("verdict"),
        "system": run.record.get("system"),
        "notes": run.notes,
    }


def evaluate(line: Line) -> dict[str, Any]:
    from gipi.report.tables import print_table
    from gipi.report.text import interval, metric, spoken
    from gipi.tasks.intervals import metric_json
    from gipi.verbs.evaluate import evaluate as judged

    metrics = judged(*line.words)
    if not line.options.json:
        rows = [[spoken(name), metric(name, m), interval(name, m.low, m.high)] for name, m in metrics.items()]
        print_table("", [_("metric"), _("value"), _("95 % interval")], rows)
    return {"metrics": {name: metric_json(value) for name, value in metrics.items()}}


def predict(line: Line) -> dict[str, Any]:
    from gipi.verbs.predict import answers_to, written_to

    run, *inputs = line.words
    if line.options.out is not None:
        if line.options.explain:
            raise UsageError(_("--explain and --out do not go together"))
        return written_to(run, inputs, line.options.out, line.options.quiet or line.options.json, line.options.runtime)
    if line.options.explain:
        from gipi.cli.seeing import explained

        return {"predictions": explained(run, inputs, None if line.options.json else _said)}
    answers = answers_to(run, inputs, line.options.runtime)
    first = {} if not answers or _is_of_targets(answers[0]) else answers[0]
    if first.keys() & {"mask", "factor"}:  # one or several pictures for each that came in
        return {"predictions": written_each(answers, Path(run).stem, is_said=not line.options.json)}
    if not line.options.json and "picture" in first:
        for path in written(answers, run, inputs):
            print(_("written to {path}", path=path))
    elif not line.options.json:
        for answer in answers:
            print(_said(answer))
    return {"predictions": answers}


def _is_of_targets(answer: dict[str, Any]) -> bool:
    """Whether it is of several targets, which may have any name: `low`, `mask`, `picture`."""
    return all(isinstance(value, dict) for value in answer.values())


def _said(answer: dict[str, Any]) -> str:
    """One answer in words: `setosa  98.2 %`."""
    if _is_of_targets(answer):
        return clean("  ".join(f"{name}: {_said(of_target)}" for name, of_target in answer.items()))
    parts = []
    for name, value in answer.items():
        if name in ("label", "value", "labels", "file", "action", "cluster", "word", "text"):
            parts.append(
                f"{value:.6g}"
                if isinstance(value, float)
                else ", ".join(map(str, value))
                if isinstance(value, list)
                else str(value)
            )
        elif name == "near":
            parts.append(", ".join(f"{one['word']} {one['cosine']:.3f}" for one in value))
        elif name == "vector":
            parts.append(" ".join(f"{number:.6g}" for number in value))
        elif name == "probability":
            parts.append(f"{value:.1%}")
        elif name == "score":
            parts.append(f"{value:.2f}")
        elif name in ("low", "high", "disagreement"):
            parts.append(f"{_(name)} {value:.4g}")
    return clean("  ".join(parts))  # labels are a stranger's words


def runs(line: Line) -> dict[str, Any]:
    from gipi.report.tables import print_table
    from gipi.report.text import duration, metric, spoken
    from gipi.verbs.runs import runs as all_of_them
    from gipi.verbs.runs import summary

    found = [summary(run) for run in all_of_them()]
    if not line.options.json:
        rows = [
            [
                r["run"],
                spoken(r["status"]),
                spoken(r["metric"]),
                "" if r["value"] is None else metric(r["metric"], r["value"]),
                duration(r["seconds"]),
            ]
            for r in found
        ]
        print_table("", [_("run"), _("status"), _("metric"), _("value"), _("time")], rows)
    return {"runs": found}


def show(line: Line) -> dict[str, Any]:
    from gipi.report.display import choose
    from gipi.report.tables import print_table
    from gipi.report.text import interval, metric, spoken
    from gipi.run import Run
    from gipi.training.folder import check_record

    if line.options.layer is not None or line.options.map or len(line.words) > 1:
        from gipi.cli.seeing import shown

        return shown(line)
    run = Run((line.words or ["last"])[0])
    record = run.record
    check_record(record, run.path, ("data_name", "facts", "layers", "system", "algorithm"))
    if not line.options.json:
        with choose() as display:
            display.data(record["data_name"], record["facts"])
            layers = [
                (name, tuple(shape) if isinstance(shape, list) else shape, count)
                for name, shape, count in record["layers"]
            ]
            display.model(record["system"], layers, sum(count or 0 for _name, _shape, count in layers))
            display.plan([tuple(one) for one in record["algorithm"]])
        rows = [[spoken(name), metric(name, m), interval(name, m.low, m.high)] for name, m in run.metrics.items()]
        if rows:
            print_table(record.get("metrics_of", ""), [_("metric"), _("value"), _("95 % interval")], rows)
        for note in record.get("notes", []):
            print(note)
        if record.get("verdict"):
            print(record["verdict"]["sentence"])
        print(_("{status}; {path}", status=spoken(run.status), path=run.path))
    return {**record, "status": run.status}


def compare(line: Line) -> dict[str, Any]:
    from gipi.report.tables import print_table
    from gipi.report.text import metric, spoken
    from gipi.verbs.compare import compare as beside

    found = beside(*line.words)
    if not line.options.json:
        rows = [[spoken(name), *(metric(name, v["value"]) for v in pair)] for name, pair in found["metrics"].items()]
        print_table("", [_("metric"), *found["runs"]], rows)
        changed = [[name, *map(str, pair)] for name, pair in found["differences"].items()]
        if changed:
            print_table(_("what differs"), [_("option"), *found["runs"]], changed)
        if paired := found["paired"]:
            sure = (
                _("the same rows can tell them apart")
                if paired["p_value"] < 0.05
                else _("the same rows cannot tell them apart")
            )
            print(f"{sure} ({paired['metric']}: {paired['difference']:+.4g}, p = {paired['p_value']:.2g})")
    return found


def save(line: Line) -> dict[str, Any]:
    from gipi.run import Run

    run, path = line.words
    kept = Run(run).save(path)
    if not line.options.json:
        print(_("kept in {path}", path=kept))
    return {"file": str(kept)}


def inspect(line: Line) -> dict[str, Any]:
    from gipi.cli.inspected import page
    from gipi.verbs.inspect import inspect as looked_into

    found = looked_into(*line.words)
    if not (line.options.json or line.options.quiet):
        print(page(found))
    return found


def export(line: Line) -> dict[str, Any]:
    from gipi.verbs.export import export as written_for_others

    options = line.options
    made = written_for_others(
        *line.words,
        to=options.to,
        precision=options.precision,
        loss_of_quality=options.loss_of_quality,
        data=options.data,
    )
    if not (options.json or options.quiet):
        for path in made.files:
            print(_("written to {path}", path=path))
        if made.remark:
            print(made.remark)
        print(f"\n{made.usage}")
    files = [str(path) for path in made.files]
    return {"files": files, "usage": made.usage, "remark": made.remark, "measured": made.measured}


def serve(line: Line) -> dict[str, Any]:
    from gipi.server.limits import Limits
    from gipi.verbs.serve import serve as answered

    options = line.options
    if options.sagemaker:
        from gipi.cli.contract import serve_for_sagemaker

        return serve_for_sagemaker(line)
    limits = Limits(
        body=options.max_body << 20,
        queue=options.queue,
        batch=options.batch,
        max_wait=options.max_wait / 1000,
        rate=options.rate,
    )
    is_quiet = options.quiet or options.json
    if line.words and not is_quiet:
        print(_("opening {names} ...", names=", ".join(line.words)), flush=True)

    def say(address: str) -> None:
        if options.json:
            print(as_json({"address": address}), flush=True)  # with --port 0 nothing else says it

    code = answered(
        *line.words,
        host=options.host,
        port=8000 if options.port is None else options.port,
        workers=options.workers,
        runtime=options.runtime,
        allow_host=options.allow_host,
        keys=options.keys,
        tls_certificate=options.tls_certificate,
        tls_key=options.tls_key,
        threads=options.threads,
        limits=limits,
        begun=say if is_quiet else None,
    )
    if code:
        raise RunError(_("the server could not go on"))
    return {"served": line.words}


def systems(line: Line) -> dict[str, Any]:
    from gipi import systems as shelf
    from gipi.cli.help import of_system
    from gipi.report.tables import print_table

    if line.words:
        (name,) = line.words
        if name not in shelf.names():
            raise UsageError(_("there is no system '{name}'.", name=name) + nearest(name, list(shelf.names())))
        described = shelf.describe(name)
        if not line.options.json:
            print(of_system(name))
        options = [
            {"name": o.name, "type": o.kind, "default": o.default, "remark": o.remark} for o in described.options
        ]
        return {
            "name": name,
            "story": described.story,
            "tasks": described.tasks,
            "kinds": described.kinds,
            "options": options,
        }
    found = [shelf.describe(name) for name in shelf.names()]
    if not line.options.json:
        rows = [[d.name, ", ".join(d.tasks), ", ".join(d.kinds), d.title.partition(": ")[2]] for d in found]
        print_table("", [_("system"), _("tasks"), _("data"), _("what it is")], rows)
    return {"systems": [{"name": d.name, "tasks": d.tasks, "kinds": d.kinds, "title": d.title} for d in found]}


def as_json(result: Any) -> str:
    """One line of JSON: what has no value in JSON (nan, infinity) is null, anything unknown its text."""
    return harmless_json(
        _plain(result), ensure_ascii=sys.stdout.encoding.lower() not in ("utf-8", "utf8"), allow_nan=False
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return value.tolist() if hasattr(value, "tolist") else str(value)
