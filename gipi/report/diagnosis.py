"""What the doctor found, as a chapter of the report: each finding with its evidence, a picture, and what helps."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gipi.messages import _
from gipi.report import svg
from gipi.report.canvas import safe
from gipi.report.evidence_names import evidence_name
from gipi.report.page import FoundPlot

SEVERITIES = {"problem": lambda: _("problem"), "warning": lambda: _("warning"), "note": lambda: _("note")}
MOST_BARS = 24


def diagnosis_cards(findings: Sequence[Mapping[str, Any]], card: Callable[..., str]) -> list[str]:
    """A card for each finding, as run.json holds it, in the order of its list.

    Args:
        findings: `{"name", "severity", "evidence", "cause", "remedies", "plot"}`.
        card: Draws `(title, body)`.
    """
    cards = []
    for finding in findings:
        severity = SEVERITIES.get(finding["severity"], lambda: "")()
        said = [f"<p>{safe(finding['cause'])}</p>"]
        remedies = "".join(f"<li>{safe(remedy_said(one))}</li>" for one in finding["remedies"])
        said.append(f"<ul>{remedies}</ul>" if remedies else "")
        if plot := finding.get("plot"):
            said.append(plot_drawn(FoundPlot(**plot)))
        evidence = safe(evidence_said(finding["evidence"]))
        said.append(f'<details><summary>{safe(_("evidence"))}</summary><p class="note">{evidence}</p></details>')
        cards.append(card(f"{finding['name']} · {severity}", "".join(said)))
    return cards


def remedy_said(remedy: Any) -> str:
    """A remedy as a person reads it, with what is to be typed."""
    if isinstance(remedy, str):
        return remedy
    changes = " ".join(changed(name, value) for name, value in remedy.get("changes", {}).items())
    return f"{remedy['text']} [{changes}]" if changes else remedy["text"]


def changed(name: str, value: Any) -> str:
    """An option as it is typed.

    Example:
        >>> changed("weight_decay", 0.01), changed("hidden", (64, 64)), changed("drop", ["order id"])
        ('--weight-decay 0.01', '--hidden 64 64', "--drop 'order id'")
    """
    values = value if isinstance(value, list | tuple) else [value]
    said = [f"{one:.3g}" if isinstance(one, float) else shlex.quote(str(one)) for one in values]
    return f"--{name.replace('_', '-')} {' '.join(said)}"


def evidence_said(evidence: Mapping[str, Any], most: int = 8) -> str:
    """Numbers and what they are called, on one line.

    Example:
        >>> evidence_said({"rows": 3, "share": 0.123456})
        'rows=3, share=0.123'
    """
    said = []
    for name, value in [*evidence.items()][:most]:
        if isinstance(value, float):
            value = f"{value:.3g}"
        elif isinstance(value, list | tuple):
            value = ", ".join(f"{one:.3g}" if isinstance(one, float) else str(one) for one in value[:5])
        said.append(f"{evidence_name(name)}={str(value)[:200]}")
    return ", ".join(said)


def plot_drawn(plot: FoundPlot) -> str:
    """The picture of a finding."""
    head = f"<h4>{safe(plot.title)}</h4>"
    if plot.labels:
        (values,) = [*plot.lines.values()][:1] or [[]]
        rows = [(str(label), value, None, None) for label, value in zip(plot.labels, values, strict=False)]
        return head + svg.bars_with_intervals(rows[:MOST_BARS])
    lines: dict[str, Any] = {}
    for name, values in plot.lines.items():
        lines[name] = [*zip(plot.x or range(len(values)), values, strict=False)]
    if plot.limit is not None and (places := [x for line in lines.values() for x, _y in line]):
        lines[_("limit")] = [(min(places), plot.limit), (max(places), plot.limit)]
    return head + svg.curves(lines, log_y=None)
