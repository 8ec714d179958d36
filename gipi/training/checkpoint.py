"""Checkpoints: everything a run needs to go on, in one file that is whole or is not there.

A file is one line (format, sha256 of what follows) and then safetensors with the state as JSON in its metadata. It is
written to a temporary name, flushed to the disk, renamed, and its folder flushed; it is read only if the sum holds.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from gipi.errors import RunError
from gipi.messages import _

MAGIC = b"gipi checkpoint 1 "


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any instant the old or the new content is there, whole, even if the machine stops."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
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
    owned = {name: tensor.clone() if _is_shared(tensor, held) else tensor for name, tensor in held.items()}
    body = save(owned, {"state": json.dumps(state)})
    write_atomically(path, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


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


def newest(folder: Path, prefix: str) -> tuple[Path | None, list[str]]:
    """The newest checkpoint `prefix*.ckpt` that is whole, and a remark on each damaged one that was passed over."""
    remarks = []
    for path in sorted(folder.glob(f"{prefix}*.ckpt"), reverse=True):
        try:
            read(path)
        except RunError as error:
            remarks.append(str(error))
        else:
            return path, remarks
    return None, remarks


def _metadata(body: bytes) -> dict[str, str]:
    length = int.from_bytes(body[:8], "little")
    return json.loads(body[8 : 8 + length])["__metadata__"]


def _is_shared(tensor: Tensor, others: Mapping[str, Tensor]) -> bool:
    """Whether another name holds the same memory: safetensors keeps each tensor by itself."""
    place = tensor.untyped_storage().data_ptr()
    return sum(other.untyped_storage().data_ptr() == place for other in others.values()) > 1
