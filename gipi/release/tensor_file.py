"""A safetensors file that lies in memory, read strictly and without a copy: a tensor is a window on the file's bytes.

Eight bytes of length, a JSON head, the tensors one after the other (https://github.com/huggingface/safetensors). Here
the tensors must lie without a gap, without overlap, each at a multiple of its number's size, and nothing may follow.
There is no `__metadata__`: a bundle has its own words. PyTorch is not needed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gipi.messages import _
from gipi.release import safe_json
from gipi.release.refused import Refused

LARGEST_HEAD = 16 << 20  # bytes; ours take about 100 a tensor
MOST_TENSORS = 30_000
MOST_AXES = 16
LONGEST_NAME = 512
KINDS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # numpy has no bfloat16: its bits, as uint16
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
    "C64": np.dtype("<c8"),
}
NAMES = {dtype: name for name, dtype in KINDS.items()}  # uint16 is U16, which comes after BF16


@dataclass(frozen=True)
class Entry:
    """One tensor of the file.

    Attributes:
        dtype: As safetensors names it: F32, BF16, I64 ...; `KINDS` has numpy's.
        shape: Its axes.
        start: Its first byte, counted from the start of the file.
        stop: The byte after its last.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def header(buffer: np.ndarray | bytes | memoryview) -> dict[str, Entry]:
    """What the head of a safetensors file says, in the order in which the tensors lie.

    Args:
        buffer: The whole file, as bytes or uint8 `(size,)`.

    Raises:
        Refused: It is no such file, or not one whose tensors fill it exactly.

    Example:
        >>> head = b'{"w":{"dtype":"U8","shape":[2,4],"data_offsets":[0,8]}}'
        >>> header(len(head).to_bytes(8, "little") + head + bytes(8))["w"].shape
        (2, 4)
    """
    content = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # an array is one
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(LARGEST_HEAD, len(content) - 8):
        raise _refused(_("its head is longer than it may be"))
    text = bytes(content[8 : 8 + length])
    if not text.startswith(b"{"):
        raise _refused(_("its head is no JSON object"))
    said = safe_json.loads(text, LARGEST_HEAD, deepest=3)
    if len(said) > MOST_TENSORS:
        raise _refused(_("it has too many tensors: {count}", count=len(said)))
    entries = [_entry(name, held, 8 + length) for name, held in said.items()]
    entries.sort(key=lambda one: (one[1].start, one[1].stop))
    place = 8 + length
    for name, entry in entries:
        if entry.start != place:
            raise _refused(_("tensors overlap or leave a gap at '{name}'", name=name))
        place = entry.stop
    if place != len(content):
        raise _refused(_("its tensors do not fill it exactly"))
    return dict(entries)


def arrays(buffer: np.ndarray | bytes | memoryview) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file as numpy arrays that share its memory.

    bfloat16 comes as its bits in uint16; `header(buffer)[name].dtype` tells it from true uint16.

    Raises:
        Refused: As `header`; or a bool is neither 0 nor 1.
    """
    content = np.frombuffer(buffer, np.uint8)
    found = {}
    for name, entry in header(buffer).items():
        memory = content[entry.start : entry.stop]
        if entry.dtype == "BOOL" and memory.size and memory.max() > 1:
            raise _refused(_("tensor '{name}' has bools that are neither 0 nor 1", name=name))
        found[name] = memory.view(KINDS[entry.dtype]).reshape(entry.shape)
    return found


def packed(tensors: Mapping[str, np.ndarray]) -> list[bytes | memoryview]:
    """The content of a safetensors file, in pieces: its head, then the memory of each array, one after the other.

    Args:
        tensors: Arrays of `KINDS`; whoever holds bfloat16 as uint16 gets uint16.
    """
    named = sorted(tensors.items(), key=lambda one: (-one[1].dtype.itemsize, one[0]))  # so that each is aligned
    head, place, pieces = {}, 0, []
    for name, array in named:
        memory = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        offsets = [place, place + len(memory)]
        head[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        place += len(memory)
        pieces.append(memory)
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *pieces]


def _entry(name: str, held: Any, begin: int) -> tuple[str, Entry]:
    """One line of the head, checked by itself."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise _refused(_("it has a tensor whose name is no name"))
    if not isinstance(held, dict) or set(held) != {"dtype", "shape", "data_offsets"}:
        raise _refused(_("tensor '{name}' is not described by dtype, shape and data_offsets", name=name))
    dtype, shape, place = held["dtype"], held["shape"], held["data_offsets"]
    if not isinstance(dtype, str) or dtype not in KINDS:
        raise _refused(_("tensor '{name}' has a dtype that is not known", name=name))
    if not _are_counts(shape, MOST_AXES) or not _are_counts(place, 2) or len(place) != 2:
        raise _refused(_("tensor '{name}' has a shape or a place that is none", name=name))
    itemsize = KINDS[dtype].itemsize
    start, stop = place
    if math.prod(shape) * itemsize != stop - start or math.prod(filter(None, shape)) * itemsize >= 2**63:
        raise _refused(_("tensor '{name}' has not as many bytes as its shape says", name=name))
    if (begin + start) % itemsize:
        raise _refused(_("tensor '{name}' does not lie at a multiple of its numbers' size", name=name))
    return name, Entry(dtype, tuple(shape), begin + start, begin + stop)


def _are_counts(values: Any, most: int) -> bool:
    """A list of whole numbers that fit an int64."""
    return isinstance(values, list) and len(values) <= most and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _refused(reason: str) -> Refused:
    return Refused(_("weights.safetensors cannot be read: {reason}", reason=reason))
