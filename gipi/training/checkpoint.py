"""Checkpoints: everything a run needs to go on, in one file that is whole or is not there.

A file is one line (format, sha256 of what follows) and then safetensors with the state as JSON in its metadata. It is
written to a temporary name, flushed to the disk, renamed, and its folder flushed; it is read only if the sum holds.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from gipi.errors import RunError, cannot_write, reason_of
from gipi.messages import _
from gipi.training.tensors import pieces
from gipi.training.tensors import read as read_tensors

MAGIC = b"gipi checkpoint 1 "
HEAD = len(MAGIC) + 64 + 1  # bytes of the first line: 64 of a sha256, and its end
UNFINISHED = ".*.part"  # what a kill leaves of a file that was being written


class Checkpoint(NamedTuple):
    """A checkpoint that was read, and is whole."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write a file so that at any instant the old or the new content is there, whole, even if the machine stops.

    Args:
        path: The file.
        *content: Its pieces, one after the other; so nobody has to join what is large.

    Raises:
        RunError: The disk is full or cannot be written; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except BaseException as error:  # Ctrl-C too
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise cannot_write(path, error) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a kill left of files that were being written; for whoever holds the folder."""
    for path in folder.glob(UNFINISHED):
        path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make a rename durable; on Windows a folder cannot be opened and needs no flush."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, tensors: Mapping[str, Tensor], state: dict | str) -> None:
    """Keep tensors and a JSON state, or its text, in one checkpoint file.

    Raises:
        RunError: The disk is full or cannot be written; what was there before is untouched.
    """
    text = state if isinstance(state, str) else json.dumps(state)
    body = pieces(tensors, {"state": text})
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    write_atomically(path, MAGIC + digest.hexdigest().encode() + b"\n", *body)


def read(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the state of a checkpoint file.

    Raises:
        RunError: It is not a checkpoint, or its checksum does not hold.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            if head != MAGIC + hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n":  # type: ignore[arg-type]
                raise RunError(_("{path} is damaged: its checksum does not hold", path=path))
            file.seek(HEAD)
            tensors, metadata = read_tensors(file)
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    return tensors, json.loads(metadata["state"])


def newest(folder: Path, prefix: str) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint `prefix*.ckpt` that is whole, and a remark on each damaged one that was passed over."""
    remarks = []
    for path in sorted(folder.glob(f"{prefix}*.ckpt"), reverse=True):
        try:
            return Checkpoint(path, *read(path)), remarks
        except RunError as error:
            remarks.append(str(error))
    return None, remarks
