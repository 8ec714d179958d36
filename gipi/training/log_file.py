"""metrics.jsonl: the numbers of a run as lines of JSON, and whether they are what was written."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VISITS = "visits.jsonl"  # what the doctor has seen
PIECE = 1 << 20  # bytes that are read at once
MOST_LINES = 2000  # of which a curve is made; of more some are left out


def read_log(path: Path, epochs: bool = False) -> list[dict]:
    """The lines of a run's metrics.jsonl; what is none is left out: a last line cut short by a kill, a damaged one.

    Args:
        path: The run's folder.
        epochs: Only the lines on epochs: there are thousands of others, and nobody need read them then.
    """
    log = path / "metrics.jsonl"
    if not log.exists():
        return []
    lines = [line for line in log.read_bytes().split(b"\n")[:-1] if not epochs or b'"epoch":' in line]
    return [parsed for line in lines if (parsed := parsed_line(line))]


def read_visits(path: Path, member: int = 0) -> list[dict]:
    """What was seen on looks into the training of a member, in order.

    A run that went on from an earlier step has seen some steps before: what it has seen since counts.
    """
    log, found = path / VISITS, []
    for held in map(parsed_line, log.read_bytes().split(b"\n")[:-1] if log.exists() else []):
        seen = held.get("visit")
        if isinstance(seen, dict) and isinstance(seen.get("step"), int) and held.get("member") == member:
            found = [one for one in found if one["step"] < seen["step"]] + [seen]
    return found


def read_faults(path: Path, member: int = 0) -> list[dict]:
    """Where a member's training went wrong and went on with smaller steps."""
    log = path / "metrics.jsonl"
    lines = [line for line in log.read_bytes().split(b"\n")[:-1] if b'"fault":' in line] if log.exists() else []
    return [held for line in lines if "fault" in (held := parsed_line(line)) and held.get("member", 0) == member]


def read_curve(path: Path, member: int = 0, points: int = 200) -> dict[str, list[tuple[float, float, float]]]:
    """The losses of a member's players: step, mean and spread of some neighbouring steps, at most so many points."""
    log = path / "metrics.jsonl"
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    lines = [line for line in lines if b'"epoch":' not in line and b'"fault":' not in line]
    lines = lines[:: -(-len(lines) // MOST_LINES) or 1]
    found: dict[str, list[tuple[float, float]]] = {}
    for held in map(parsed_line, lines):
        if held.get("member", 0) != member or not isinstance(held.get("step"), int):
            continue
        for name, value in held.items():
            if name not in ("step", "member") and isinstance(value, int | float):
                found.setdefault(name, []).append((held["step"], value))
    return {name: _pooled(own, points) for name, own in found.items()}


def _pooled(values: list[tuple[float, float]], points: int) -> list[tuple[float, float, float]]:
    size = -(-len(values) // points)
    pools = [values[place : place + size] for place in range(0, len(values), size)]
    pooled = []
    for pool in pools:
        losses = [loss for _step, loss in pool]
        mean = sum(losses) / len(losses)
        spread = math.sqrt(sum((loss - mean) ** 2 for loss in losses) / len(losses))
        pooled.append((pool[len(pool) // 2][0], mean, spread))
    return pooled


def is_log_whole(path: Path, state: Mapping[str, Any], is_all: bool = False) -> bool:
    """Whether metrics.jsonl begins with what it held in this state, or is just that; no sum, no doubt."""
    if "log_sum" not in state:
        return True
    log = path / "metrics.jsonl"
    there = log.stat().st_size if log.exists() else 0
    if there < state["log"] or (is_all and there > state["log"]):
        return False
    return not there or sum_of(log, state["log"]).hexdigest() == state["log_sum"]


def parsed_line(line: bytes) -> dict:
    try:
        parsed = json.loads(line)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def sum_of(path: Path, size: int | None = None) -> Any:
    """The checksum of a file, or of its first bytes, to be continued."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE if size is None else min(PIECE, size)):
            digest.update(piece)
            size = None if size is None else size - len(piece)
    return digest
