"""Checkpoints: everything a run needs to go on, in one file that is whole or is not there.

A file is one line (format, sha256 of what follows) and then safetensors with the state as JSON in its metadata. It is
written to a temporary name, flushed to the disk, renamed, and its folder flushed; it is read only if the sum holds.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load, save
from torch import Tensor

from gipi.errors import RunError
from gipi.messages import _

MAGIC = b"gipi checkpoint 1 "
UNFINISHED = ".*.part"  # what a kill leaves of a file that was being written


class Checkpoint(NamedTuple):
    """A checkpoint that was read, and is whole."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict


def write_atomically(path: Path, *pieces: bytes) -> None:
    """Write a file so that at any instant the old or the new content is there, whole, even if the machine stops.

    Args:
        path: The file.
        *pieces: Its content, one after the other; so nobody has to join what is large.

    Raises:
        RunError: The disk is full or cannot be written; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            for piece in pieces:
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
        text = _("cannot write {path}: {reason}", path=path, reason=error.strerror or error)
        raise RunError(text) from error


def flush_folder(folder: Path) -> None:
    """Make a rename durable; on Windows a folder cannot be opened and needs no flush."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, tensors: Mapping[str, Tensor], state: dict) -> None:
    """Keep tensors and a JSON state in one checkpoint file.

    Raises:
        RunError: The disk is full or cannot be written; what was there before is untouched.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    places = Counter(_place(tensor) for tensor in held.values())  # safetensors keeps each tensor by itself
    owned = {name: tensor.clone() if places[_place(tensor)] > 1 else tensor for name, tensor in held.items()}
    body = save(owned, {"state": json.dumps(state)})
    write_atomically(path, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n", body)


def read(path: Path) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the state of a checkpoint file.

    Raises:
        RunError: It is not a checkpoint, or its checksum does not hold.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(_("cannot read {path}: {reason}", path=path, reason=error.strerror or error)) from error
    head, newline, body = content.partition(b"\n")
    if not newline or head != MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise RunError(_("{path} is damaged: its checksum does not hold", path=path))
    return load(body), json.loads(_metadata(body)["state"])


def newest(folder: Path, prefix: str) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint `prefix*.ckpt` that is whole, and a remark on each damaged one that was passed over."""
    remarks = []
    for path in sorted(folder.glob(f"{prefix}*.ckpt"), reverse=True):
        try:
            return Checkpoint(path, *read(path)), remarks
        except RunError as error:
            remarks.append(str(error))
    return None, remarks


def _metadata(body: bytes) -> dict[str, str]:
    length = int.from_bytes(body[:8], "little")
    return json.loads(body[8 : 8 + length])["__metadata__"]


def _place(tensor: Tensor) -> int:
    """Where its memory is; empty tensors have none, and share nothing."""
    return tensor.untyped_storage().data_ptr() or -id(tensor)
