"""`gipi doctor` on a terminal: what was found, what helps, and, where it is asked for, what that gains."""

import shutil
from typing import Any

from gipi.cli.lines import Line
from gipi.errors import UsageError
from gipi.messages import _
from gipi.report.text import wrapped


def doctor(line: Line) -> dict[str, Any]:
    """The findings of a run; with `--try` its remedies tried; with `--fix` the run anew with the best of them.

    Raises:
        UsageError: The run is still going on, or `--steps` has nothing to say.
    """
    from gipi.report.text import clean
    from gipi.run import Run

    options, run = line.options, Run((line.words or ["last"])[0])
    if options.steps is not None and not (options.try_ or options.fix):
        raise UsageError(_("--steps is for --try and --fix"))
    if options.steps is not None and options.steps < 1:
        raise UsageError(
            _("{option} must be {expected}; {came} came", option="--steps", expected=">= 1", came=options.steps)
        )
    findings = run.doctor()
    is_said = not (options.json or options.quiet)
    if is_said:
        print(clean(f"{run.path}: {_said_of(run, findings)}"))
        for finding in findings:
            print_finding(finding)
    found: dict[str, Any] = {"run": str(run.path), "findings": [finding.json() for finding in findings]}
    if options.try_ or options.fix:
        found |= _tried(run, options, is_said)
    return found


def print_finding(finding: Any) -> None:
    """Name and severity, the cause, what helps, and the evidence."""
    from gipi.report.diagnosis import SEVERITIES, evidence_said, remedy_said
    from gipi.report.text import clean

    print(f"\n{clean(finding.name)} · {SEVERITIES[finding.severity]()}")
    _print(f"  {clean(finding.cause)}", 2)
    for remedy in finding.json()["remedies"]:
        _print(f"  -> {clean(remedy_said(remedy))}", 5)
    _print(f"     {clean(evidence_said(finding.evidence))}", 5)


def _print(text: str, indent: int) -> None:
    """A sentence on as many lines as the terminal needs."""
    print("\n".join(wrapped(text, max(40, shutil.get_terminal_size((100, 24)).columns), indent)))


def _said_of(run: Any, findings: list[Any]) -> str:
    if not run.record.get("options", {}).get("doctor", True):
        return _("nobody looked: it was run with --no-doctor")
    if not findings:
        return _("nothing was found that is wrong")
    return _("{count} findings, the most severe first", count=len(findings))


def _tried(run: Any, options: Any, is_said: bool) -> dict[str, Any]:
    """The trials, as a table, and the run anew."""
    from gipi.report.display import choose
    from gipi.report.tables import print_table
    from gipi.verbs.remedies import fixed, try_remedies

    with choose(options.json, options.quiet) as display:
        what = _("trying remedies")
        trials = try_remedies(run, steps=options.steps, told=lambda _now, done, total: display.work(what, done, total))
    if is_said:
        print()
        if trials:
            columns = [_("change"), _("metric"), _("before"), _("after"), _("gain and 95 % interval"), ""]
            print_table(_("Remedies, tried"), columns, [_row(trial) for trial in trials])
        else:
            print(_("no finding has a remedy that is a change of options"))
    found: dict[str, Any] = {"trials": [trial.json() for trial in trials]}
    if options.fix:
        anew = fixed(run, trials, quiet=options.quiet or options.json)
        found["fixed"] = str(anew.path) if anew else None
        if is_said:
            print(_("run anew in {path}", path=anew.path) if anew else _("nothing that was tried was better: no run"))
    return found


def _row(trial: Any) -> list[Any]:
    from gipi.report.diagnosis import changed

    change = " ".join(changed(name, value) for name, value in trial.changes.items())
    if trial.reason:
        return [change, "", "", "", "", trial.reason]
    before, after = (_("diverged") if one is None else f"{one:.4g}" for one in (trial.before, trial.after))
    gain = "" if trial.gain is None else f"{trial.gain:+.3g} ({trial.low:+.3g}, {trial.high:+.3g})"
    said = _("helps") if trial.helps else _("no sure gain") if trial.worth > 0 else _("does not help")
    return [change, trial.metric, before, after, gain, said]
