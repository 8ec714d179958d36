"""metrics.jsonl: the numbers of a run as lines of JSON, and whether they are what was written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PIECE = 1 << 20  # bytes that are read at once


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
