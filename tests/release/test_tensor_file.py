"""safetensors files: the same tensors as the safetensors package, both ways, without a copy."""

import json

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import save as save_by_torch

from gipi.release import tensor_file
from gipi.release.refused import Refused
from gipi.training import tensors as ours

KINDS = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "c8"]


def drawn() -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0)
    found = {}
    for place, kind in enumerate(KINDS):
        for shape in ((), (0,), (3,), (2, 0, 5), (2, 3, 4)):
            found[f"{kind}.{place}.{shape}"] = np.asarray(draws.standard_normal(shape) * 100).astype(kind)
    return found


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and (one[name] == other[name]).all()
        for name in one
    )


def test_reads_what_safetensors_writes():
    content = safetensors.numpy.save(drawn())
    found = tensor_file.arrays(content)
    assert equal(found, drawn())
    assert equal(found, safetensors.numpy.load(content))


def test_safetensors_reads_what_we_write():
    content = b"".join(tensor_file.packed(drawn()))
    assert equal(safetensors.numpy.load(content), drawn())
    assert equal(tensor_file.arrays(content), drawn())


def test_what_training_writes_is_read():
    tensors = {
        "a": torch.randn(3, 2, dtype=torch.bfloat16),
        "b": torch.randn(4, dtype=torch.float64),
        "c": torch.tensor(True),
    }
    content = b"".join(ours.pieces(tensors))
    for whole in (content, save_by_torch(tensors)):
        found, said = tensor_file.arrays(whole), tensor_file.header(whole)
        assert said["a"].dtype == "BF16" and found["a"].dtype == np.uint16
        assert (found["a"] == tensors["a"].view(torch.uint16).numpy()).all()
        assert (found["b"] == tensors["b"].numpy()).all() and found["c"][()]


def test_tensors_are_windows_on_the_buffer():
    content = np.frombuffer(safetensors.numpy.save(drawn()), np.uint8).copy()
    found, said = tensor_file.arrays(content), tensor_file.header(content)
    assert list(found) == list(said)
    for name, array in found.items():
        entry = said[name]
        assert not array.size or np.shares_memory(array, content)
        assert bytes(content[entry.start : entry.stop]) == drawn()[name].tobytes()


def made(head: object, numbers: bytes = bytes(8), length: int | None = None) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def test_the_plain_one_is_read():
    assert tensor_file.header(made({"w": entry()}))["w"].shape == (2,)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "head is longer"),
        (made({"w": entry()}, length=1 << 63), "head is longer"),
        (made({"w": entry()}, length=(1 << 64) - 1), "head is longer"),
        (made([]), "no JSON object"),
        (made({"w": entry(), "__metadata__": {"a": "b"}}), "not described"),
        (made({"w": entry(evil=1)}), "not described"),
        (made({"w": {"dtype": "F32", "shape": [2]}}), "not described"),
        (made({"w": entry("F4")}), "dtype"),
        (made({"w": entry(shape=(-2,))}), "shape or a place"),
        (made({"w": entry(shape=(2.0,))}), "shape or a place"),
        (made({"w": entry(shape=(True, 2))}), "shape or a place"),
        (made({"w": entry(shape=(1,) * 17 + (2,))}), "shape or a place"),
        (made({"w": entry(shape=(1 << 62, 1 << 3, 2), offsets=(0, 1 << 63))}), "shape or a place"),
        (made({"w": entry(shape=(1 << 62, 4), offsets=(0, 0))}), "as many bytes"),
        (made({"w": entry(shape=(1 << 62, 1 << 62, 0), offsets=(0, 0))}), "as many bytes"),
        (made({"w": entry(shape=(3,))}), "as many bytes"),
        (made({"w": entry(offsets=(8, 0))}), "as many bytes"),
        (made({"w": entry(offsets=(8, 16))}), "overlap or leave a gap"),
        (made({"w": entry(offsets=(8, 16))}, bytes(16)), "overlap or leave a gap"),
        (made({"w": entry(), "v": entry()}), "overlap or leave a gap"),
        (made({"w": entry(), "v": entry(offsets=(4, 12))}, bytes(12)), "overlap or leave a gap"),
        (made({"w": entry()}, bytes(9)), "fill it exactly"),
        (made({"w": entry()}, bytes(7)), "fill it exactly"),
        (made({"a": entry("U8", (4,), (0, 4)), "w": entry("I64", (1,), (4, 12))}, bytes(12)), "multiple"),
        (made({"w": entry("BOOL", (8,))}, b"\0\1\2\0\0\0\0\0"), "neither 0 nor 1"),
        (made({"": entry()}), "no name"),
        (made({"a\0b": entry()}), "no name"),
        (made(b'{"w": {}, "w": {}}'), "twice"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_refuses(content, reason):
    with pytest.raises(Refused, match=reason):
        tensor_file.arrays(content)


def test_all_that_safetensors_refuses_is_refused():
    """Random changes of the head: what we take, the package takes too, and it says the same."""
    draws = np.random.default_rng(0)
    content = bytearray(safetensors.numpy.save({"a": np.ones((2, 3), np.float32), "b": np.zeros(4, np.int64)}))
    taken = 0
    for _round in range(3000):
        changed = bytearray(content)
        changed[draws.integers(120)] = draws.integers(256)
        try:
            found = tensor_file.arrays(bytes(changed))
        except Refused:
            continue
        taken += 1
        assert equal(found, safetensors.numpy.load(bytes(changed)))
    assert taken > 0
