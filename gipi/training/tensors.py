"""Tensors as the bytes of a safetensors file, piece by piece, and back: what is large is never joined or copied whole.

The format is eight bytes of length, a JSON head, and the tensors one after the other;
https://github.com/huggingface/safetensors describes it.
"""

import json
from collections.abc import Mapping
from typing import IO

import torch
from torch import Tensor

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
}
DTYPES = {name: dtype for dtype, name in NAMES.items()}


def bytes_of(tensors: Mapping[str, Tensor]) -> int:
    """How many bytes these tensors hold."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> list[bytes | memoryview]:
    """The content of a safetensors file: its head, then each tensor's memory as it lies there, on this machine."""
    named = sorted(tensors.items(), key=lambda one: (-one[1].element_size(), one[0]))  # so that each is aligned
    head: dict = {"__metadata__": dict(metadata)} if metadata else {}
    place, memories = 0, []
    for name, tensor in named:
        memory = _memory(tensor.detach().cpu().contiguous())
        head[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [place, place + len(memory)],
        }
        place += len(memory)
        memories.append(memory)
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *memories]


def read(file: IO[bytes]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of safetensors content from here on; whoever calls has verified its checksum."""
    head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    metadata = head.pop("__metadata__", {})
    tensors = {}
    for name, held in sorted(head.items(), key=lambda one: one[1]["data_offsets"]):
        tensors[name] = torch.empty(held["shape"], dtype=DTYPES[held["dtype"]])
        if tensors[name].numel():
            file.readinto(_memory(tensors[name]))  # type: ignore[attr-defined]  # files have it
    return tensors, metadata


def _memory(tensor: Tensor) -> memoryview:
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]  # an array is one
