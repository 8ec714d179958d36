"""An epoch's record, read: what was measured, on which part.

Training gives `{"epoch", "step", "seconds", "train": {player: mean loss}, "valid": {metric: value}, "is_best",
"step_size", "member"}`; numbers may also stand flat, as `train_loss` and `valid_accuracy`. Display, notebook and report
see the same thing: measure -> part -> value, the loss first.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Measures = dict[str, dict[str, Any]]
Lines = dict[str, list[list[tuple[float, float]]]]
PLACES = ("epoch", "step", "steps", "seconds", "member", "fold", "lr", "step_size", "is_best", "kind", "time", "rows")


def measures(record: Mapping[str, Any]) -> Measures:
    """What an epoch's record says, by measure and part.

    The mean loss of the only player is the training loss; several players are told apart by their names.

    Example:
        >>> measures({"epoch": 1, "train": {"learner": 2.0}, "valid": {"loss": 3.0, "accuracy": 0.5}})
        {'loss': {'train': 2.0, 'valid': 3.0}, 'accuracy': {'valid': 0.5}}
        >>> measures({"epoch": 1, "train": {"inspector": 2.0, "forger": 1.0}})
        {'loss': {'inspector': 2.0, 'forger': 1.0}}
    """
    found: Measures = {"loss": {}}
    train, valid = record.get("train") or {}, record.get("valid") or {}
    players = [name for name in train if name not in valid and name != "loss"]
    for name, value in train.items():
        if name not in players:
            found.setdefault(name, {})["train"] = value
        elif len(players) == 1 and "loss" not in train:
            found["loss"]["train"] = value
        else:
            found["loss"][name] = value
    for name, value in valid.items():
        found.setdefault(name, {})["valid"] = value
    for name, value in record.items():
        if name in PLACES or name in ("train", "valid") or not _is_measured(value):
            continue
        part, _line, bare = name.partition("_")
        if part in ("train", "valid") and bare:
            found.setdefault(bare, {})[part] = value
        else:
            found.setdefault(name, {})[""] = value
    return {name: parts for name, parts in found.items() if parts}


def _is_measured(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def charts(history: Iterable[Mapping[str, Any]]) -> dict[str, Lines]:
    """Epoch records as plots: measure -> part -> a line for each member.

    Example:
        >>> charts([{"epoch": 1, "train_loss": 2.0, "valid_loss": 3.0}])
        {'loss': {'train': [[(1, 2.0)]], 'valid': [[(1, 3.0)]]}}
    """
    drawn: dict[str, dict[str, dict[Any, list[tuple[float, float]]]]] = {}
    for place, record in enumerate(history, 1):
        x = record.get("epoch", record.get("step", place))
        member = record.get("member", record.get("fold"))
        for measure, parts in measures(record).items():
            for part, value in parts.items():
                if value is not None:
                    lines = drawn.setdefault(measure, {}).setdefault(part or measure, {})
                    lines.setdefault(member, []).append((x, value))
    return {measure: {part: list(lines.values()) for part, lines in parts.items()} for measure, parts in drawn.items()}


def best_epoch(history: Iterable[Mapping[str, Any]]) -> int | None:
    """The last epoch better than all before it; None where nobody judged, or for several members."""
    held = list(history)
    return next((r.get("epoch") for r in reversed(held) if r.get("is_best")), None) if not several(held) else None


def several(history: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the records are of several members."""
    return len({record.get("member", record.get("fold")) for record in history}) > 1
