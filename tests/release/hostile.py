# ruff: noqa: E501  # one line a group of files
"""A corpus of hostile bundles: files that a stranger could send, each with a name that says what is wrong with it.

`corpus(parts)` makes them of the parts of any good bundle; who sends them repairs checksums, so only what a name says is
wrong. `open_bundle` here reads a bundle in the order in which gipi does, with the strict readers alone.

    python -m tests.release.hostile            how each file is refused, how fast, and with how much memory
"""

import bz2
import hashlib
import io
import json
import re
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gipi.release import graph, graph_rules, safe_json, stored, tensor_file
from gipi.release.graph import FLOAT, INT, INTS, STRING, TENSOR, Attribute, Graph, Node, Tensor, Value
from gipi.release.refused import Refused
from gipi.release.session import Session
from gipi.release.trial import try_program

Parts = dict[str, bytes]
File = tuple[str, bytes]
LARGEST = {"bundle.json": 8 << 20, "weights.safetensors": 1 << 30, "program.onnx": 16 << 20, "examples.json": 8 << 20}
PLANTED = "planted.bin"  # lies in the working directory; a program that reads it has escaped


# --- a good bundle, and one that reads it ------------------------------------------------------------------------


def good_parts() -> Parts:
    """A small program: y = relu(x) @ weight + bias, with its weights outside it."""
    draws = np.random.default_rng(0)
    weights = {
        "members.0.weight": draws.standard_normal((4, 3)).astype(np.float32),
        "members.0.bias": draws.standard_normal(3).astype(np.float32),
    }
    content = b"".join(tensor_file.packed(weights))
    nodes = (Node("Relu", ("x",), ("r",)), Node("Gemm", ("r", *weights), ("y",)))
    x = draws.standard_normal((5, 4)).astype(np.float32)
    y = np.maximum(x, 0) @ weights["members.0.weight"] + weights["members.0.bias"]
    described = {"format": 2, "task": "classify", "system": "mlp", "config": {"hidden": [4]}, "members": 1, "card": {}}
    return {
        "bundle.json": json.dumps(described).encode(),
        "weights.safetensors": content,
        "program.onnx": graph.write(graph.outside(program(nodes, held(weights)), tensor_file.header(content))),
        "examples.json": json.dumps({"inputs": {"x": x.tolist()}, "outputs": {"y": y.tolist()}}).encode(),
    }


def program(nodes, tensors=(), inputs=(("x", 1, ("B", 4)),), outputs=(("y", 1, ("B", 3)),), opset=20, ir=10) -> Graph:
    return Graph(
        tuple(Value(*v) for v in inputs), tuple(Value(*v) for v in outputs), tuple(nodes), tuple(tensors), opset, ir
    )


def held(arrays: dict[str, np.ndarray]) -> list[Tensor]:
    """Arrays as constants inside a program."""
    return [
        Tensor(name, graph.DTYPES[tensor_file.NAMES[array.dtype]], array.shape, array.tobytes())
        for name, array in arrays.items()
    ]


def open_bundle(path: Path, in_child: bool = True, seconds: float = 1.0) -> dict[str, np.ndarray]:
    """The answers of a bundle on its examples, which must be those it was stored with."""
    parts = stored.read(path, LARGEST)
    if missing := set(stored.NAMES) - set(parts):
        raise Refused(f"it lacks {missing}")
    described = safe_json.loads(parts["bundle.json"].data, LARGEST["bundle.json"])
    if not isinstance(described, dict) or described.get("format") != 2:
        raise Refused("bundle.json is not what it should be")
    entries, weights = (
        tensor_file.header(parts["weights.safetensors"]),
        tensor_file.arrays(parts["weights.safetensors"]),
    )
    content = bytes(parts["program.onnx"])
    said = graph.read(content)
    graph_rules.check(said, entries)
    examples = safe_json.loads(parts["examples.json"].data, LARGEST["examples.json"])
    try:
        kinds = {value.name: tensor_file.KINDS["F32"] for value in said.inputs}
        inputs = {name: np.array(examples["inputs"][name], kinds[name]) for name in kinds}
        expected = {name: np.array(values, np.float64) for name, values in examples["outputs"].items()}
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Refused(f"examples.json is not what it should be: {error}") from error
    if in_child:
        found = try_program(content, weights, inputs, seconds, 128 << 20)
    else:
        found = Session(content, weights).run(inputs, seconds)
    if set(found) != set(expected):
        raise Refused("the examples have other outputs")
    for name, array in found.items():
        if array.shape != expected[name].shape or not np.allclose(array, expected[name], rtol=1e-4, atol=1e-5):
            raise Refused("it does not give the answers it was stored with")
    return found


# --- how a file is put together ----------------------------------------------------------------------------------


def sealed(content: bytes) -> bytes:
    """With the checksum of all before it: whoever sends a file can reckon it."""
    return content + hashlib.sha256(content).hexdigest().encode()


def joined(parts: Parts) -> bytes:
    """A bundle of these parts, as gipi writes it."""
    return b"".join(stored.packed([(name, [parts[name]]) for name in stored.NAMES if name in parts]))


def zipped(parts: list[tuple[str, bytes]], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    """By Python's zipfile, which writes what it is told: any names, twice the same, any fields."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name twice
        for name, content in parts:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            if change is not None:
                change(info)
            archive.writestr(info, content)
        archive.comment = bytes(64)
    return sealed(buffer.getvalue()[:-64])


def replaced(content: bytes, place: int, new: bytes) -> bytes:
    """A file with other bytes at a place, and its checksum right again."""
    return sealed((content[:place] + new + content[place + len(new) :])[:-64])


def corpus(parts: Parts) -> Iterator[File]:
    """All hostile files: (what is wrong, the file), from the parts of a good bundle with all four of them."""
    for make in (zip_files, json_files, tensor_files, program_files):
        yield from make(parts)


# --- the zip -----------------------------------------------------------------------------------------------------


def zip_files(parts: Parts) -> Iterator[File]:
    good = joined(parts)
    body, listed = good[:-64], [(name, parts[name]) for name in stored.NAMES]
    directory = good.index(b"PK\1\2")
    end = good.rindex(b"PK\5\6")
    second = good.index(b"PK\3\4", 4)

    yield "zip: an empty file", b""
    yield "zip: one byte", b"P"
    yield "zip: text", b"hello, I am no bundle\n" * 100
    yield "zip: zeros", bytes(1 << 20)
    yield "zip: signatures of headers without end", b"PK\3\4" * 250_000
    for name, place in (
        ("half", len(good) // 2), ("before the directory", directory), ("in the directory", directory + 20),
        ("before the end record", end), ("without its checksum", len(good) - 64), ("by one byte", len(good) - 1),
        ("in a header", 17), ("after a header", second),
    ):  # fmt: skip
        yield f"zip: cut, {name}", good[:place]
    yield "zip: cut in half, checksum right", sealed(good[: len(good) // 2])
    yield "zip: a byte behind", good + b"\0"
    yield "zip: another bundle behind", good + good
    yield "zip: a byte in front", b"\0" + good
    yield "zip: a program in front", sealed(b"#!/bin/sh\nexit 1\n" + body)
    yield "zip: wrong checksum", body + b"0" * 64
    yield "zip: checksum in capitals", body + good[-64:].upper()
    yield "zip: no comment", body[:-2] + b"\0\0"
    yield "zip: no comment said, but there", sealed(body[:-2] + b"\0\0")
    yield "zip: longer comment said", sealed(body[:-2] + struct.pack("<H", 65))

    for method, name in ((zipfile.ZIP_DEFLATED, "deflate"), (zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")):
        yield (
            f"zip: compressed by {name}",
            zipped(listed, lambda info, method=method: setattr(info, "compress_type", method)),
        )
    bomb = [("bundle.json", bytes(50 << 20)), *listed[1:]]
    yield "zip: a bomb of zeros", zipped(bomb, lambda info: setattr(info, "compress_type", zipfile.ZIP_DEFLATED))

    for name in (
        "evil.py", "weights.pt", "../bundle.json", "/bundle.json", "..\\bundle.json", "C:bundle.json", "./bundle.json", "Bundle.json",
        "bundle.json ", "bundle.json/", "bundle\u2024json", "b", "a" * 60_000, "sub/bundle.json", "con", "bundle.jso\u0338n",
    ):  # fmt: skip
        yield f"zip: a part called {ascii(name)[:40]}", zipped([*listed, (name, b"{}")])
        yield f"zip: its first part called {ascii(name)[:40]}", zipped([(name, listed[0][1]), *listed[1:]])
    yield "zip: bundle.json twice", zipped([listed[0], *listed])
    yield "zip: bundle.json twice, one at the end", zipped([*listed, listed[0]])
    yield "zip: parts in another order", zipped(listed[::-1])
    yield "zip: no parts", zipped([])
    yield "zip: no bundle.json", zipped(listed[1:])
    yield "zip: no weights", zipped([one for one in listed if one[0] != "weights.safetensors"])
    yield "zip: parts that are empty", zipped([(name, b"") for name, _content in listed])

    def attributes(value: int) -> Callable[[zipfile.ZipInfo], None]:
        return lambda info: setattr(info, "external_attr", value << 16)

    yield "zip: symbolic links", zipped(listed, attributes(0o120777))
    yield "zip: folders", zipped(listed, attributes(0o040755))
    yield "zip: devices", zipped(listed, attributes(0o060666))
    yield "zip: a remark at a part", zipped(listed, lambda info: setattr(info, "comment", b"hello"))
    yield (
        "zip: an extra field",
        zipped(listed, lambda info: setattr(info, "extra", struct.pack("<HH4s", 0xCAFE, 4, b"evil"))),
    )
    yield "zip: of another system", zipped(listed, lambda info: setattr(info, "create_system", 0))
    yield "zip: another date", zipped(listed, lambda info: setattr(info, "date_time", (2026, 1, 1, 0, 0, 0)))

    for name, offset, new in (
        ("needs version 99", 4, b"\x63\0"), ("encrypted", 6, b"\1\0"), ("sizes come later", 6, b"\x08\0"), ("utf-8 flag", 6, b"\0\x08"),
        ("patched data", 6, b"\x20\0"), ("strongly encrypted", 6, b"\x41\0"), ("says deflate, is stored", 8, b"\x08\0"),
        ("says AES", 8, b"\x63\0"), ("another time", 10, b"\1\0"), ("another checksum", 14, b"\1\2\3\4"), ("size 0", 18, bytes(8)),
        ("size 4 GB, no long field", 18, b"\xff" * 8), ("sizes that differ", 18, b"\1\0\0\0"), ("size beyond the file", 18, b"\xf0\xff\xff\x7f" * 2),
        ("no name", 26, b"\0\0"), ("a name of 64 kB", 26, b"\xff\xff"), ("an extra field that is not there", 28, b"\x14\0"),
    ):  # fmt: skip
        yield f"zip: header, {name}", replaced(good, offset, new)
    for name, offset, new in (
        ("written by version 0", 4, b"\0\0"), ("encrypted", 8, b"\1\0"), ("says deflate", 10, b"\x08\0"), ("another checksum", 16, b"\1\2\3\4"),
        ("another size", 20, b"\1\0\0\0\1\0\0\0"), ("a long name", 28, b"\xff\0"), ("an extra field", 30, b"\4\0"), ("a remark", 32, b"\4\0"),
        ("another disk", 34, b"\1\0"), ("text", 36, b"\1\0"), ("a symbolic link", 40, b"\xff\xa1"), ("elsewhere", 42, struct.pack("<I", second)),
        ("beyond the file", 42, b"\xf0\xff\xff\x7f"), ("another name", 46, b"weights.js"),
    ):  # fmt: skip
        yield f"zip: directory, {name}", replaced(good, directory + offset, new)
    for name, offset, new in (
        ("another disk", 4, b"\1\0"), ("one part", 8, b"\1\0\1\0"), ("65535 parts", 8, b"\xff\xff\xff\xff"), ("long directory", 12, b"\xff\xff\xff\x7f"),
        ("directory elsewhere", 16, bytes(4)), ("directory in the long record", 16, b"\xff\xff\xff\xff"),
    ):  # fmt: skip
        yield f"zip: end record, {name}", replaced(good, end + offset, new)
    yield "zip: a gap between parts", sealed(body[:second] + bytes(16) + body[second:])
    yield "zip: a gap before the directory", sealed(body[:directory] + bytes(16) + body[directory:])
    yield "zip: two end records", sealed(body + body[end:])
    for size in (1 << 33, (1 << 63) - 1, (1 << 64) - 1):
        head = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, 11, 20)
        extra = struct.pack("<HHQQ", 1, 16, size, size)
        yield f"zip: a part of {size} bytes", sealed(head + b"bundle.json" + extra + body[41:])
    short = struct.pack("<HHQQ", 1, 16, len(parts["bundle.json"]), len(parts["bundle.json"]))
    head = struct.pack(
        "<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, zlib.crc32(parts["bundle.json"]), 2**32 - 1, 2**32 - 1, 11, 20
    )
    yield "zip: long fields without need", sealed(head + b"bundle.json" + short + body[41:])
    payload = 30 + len("bundle.json")
    yield "zip: a part whose bytes do not fit its checksum", replaced(good, payload, b"[")
    yield "zip: compressed by bzip2 as a whole", bz2.compress(good)


# --- JSON --------------------------------------------------------------------------------------------------------


def json_files(parts: Parts) -> Iterator[File]:
    first = parts["bundle.json"]
    rest = first[1:]  # behind its bracket
    million = 1_000_000
    for name, content in (
        ("nothing", b""), ("a null", b"null"), ("a list", b"[" + first + b"]"), ("a number", b"12"), ("a word", b'"format"'),
        ("cut", first[:-1]), ("something behind", first + b"{}"), ("a remark", b"/* */" + first), ("single quotes", b"{'format': 2}"),
        ("a byte order mark", b"\xef\xbb\xbf" + first), ("UTF-16", first.decode().encode("utf-16")), ("UTF-32", first.decode().encode("utf-32")),
        ("Latin-1", b'{"a": "\xe9", ' + rest), ("half a pair in UTF-8", b'{"a": "\xed\xa0\x80", ' + rest),
        ("half a pair", b'{"a": "\\ud800", ' + rest), ("half a pair in a name", b'{"\\uDFFF": 1, ' + rest), ("a line end in a word", b'{"a": "\n", ' + rest),
        ("a NUL", b"{\0" + rest), ("NaN", b'{"a": NaN, ' + rest), ("Infinity", b'{"a": Infinity, ' + rest), ("-Infinity", b'{"a": -Infinity, ' + rest),
        ("1e999", b'{"a": 1e999, ' + rest), ("a whole number of 4,000 digits", b'{"a": ' + b"9" * 4000 + b", " + rest),
        ("a whole number of a million digits", b'{"a": ' + b"9" * million + b", " + rest),
        ("a decimal of a million digits", b'{"a": 0.' + b"1" * million + b", " + rest), ("a name twice", b'{"format": 2, ' + rest),
        ("a name twice deep inside", b'{"a": [{"b": 1, "b": 1}], ' + rest), ("a name twice, written differently", b'{"\\u0066ormat": 2, ' + rest),
        ("a hundred thousand brackets", b"[" * 100_000), ("brackets that close", b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b", " + rest),
        ("objects in objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000), ("a million lists", b'{"a": [' + b"[]," * million + b"[]], " + rest),
        ("a million objects", b'{"a": [' + b"{}," * million + b"{}], " + rest), ("two million numbers", b'{"a": [' + b"1," * 2 * million + b"1], " + rest),
        ("a million short words", b'{"a": [' + b'"ab",' * million + b"1], " + rest),
        ("a hundred thousand names", b"{" + b",".join(b'"%d":{}' % i for i in range(200_000)) + b"}"),
        ("escapes without end", b'{"a": "' + b'\\"' * million), ("a backslash at the end", b'{"a": "\\'),
        ("quotes and brackets", b'{"a": "' + b'"["' * 300_000), ("forty million spaces", b" " * (40 << 20) + first),
    ):  # fmt: skip
        yield f"json: bundle.json, {name}", joined(parts | {"bundle.json": content})
    examples = parts["examples.json"]
    other = json.dumps(json.loads(examples, parse_float=lambda text: 3 * float(text) + 1)).encode()
    first_number = re.compile(rb"-?[0-9]+\.[0-9]+")

    def with_number(text: bytes) -> bytes:
        return first_number.sub(text, examples, count=1)

    for name, content in (
        ("nothing", b""), ("a list", b"[]"), ("NaN", with_number(b"NaN")), ("1e999", with_number(b"1e999")),
        ("brackets", b"[" * 100_000), ("a million lists", b"[" + b"[]," * million + b"[]]"), ("other inputs", other),
        ("no answers", b'{"inputs": {}, "outputs": {}}'), ("a list for a number", with_number(b"[1, 2]")), ("a word for a number", with_number(b'"a"')),
        ("words for numbers", b'{"inputs": {"x": [["a"]]}, "outputs": {"y": []}}'),
    ):  # fmt: skip
        yield f"json: examples.json, {name}", joined(parts | {"examples.json": content})


# --- safetensors -------------------------------------------------------------------------------------------------


def tensor_files(parts: Parts) -> Iterator[File]:
    content = parts["weights.safetensors"]
    length = int.from_bytes(content[:8], "little")
    said, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    first = next(iter(said))

    def with_head(head: bytes, numbers: bytes = numbers) -> bytes:
        head += b" " * (-len(head) % 8)
        return joined(parts | {"weights.safetensors": len(head).to_bytes(8, "little") + head + numbers})

    def written(entries: dict) -> bytes:
        return json.dumps(entries, separators=(",", ":")).encode()

    def with_change(numbers: bytes, **change: object) -> bytes:
        return with_head(written(said | {first: said[first] | change}), numbers)

    for name, count in (
        ("0", 0),
        ("shorter", length - 1),
        ("longer", length + 1),
        ("beyond the file", len(content)),
        ("2^63", 1 << 63),
        ("2^64-1", 2**64 - 1),
    ):
        yield (
            f"weights: head's length, {name}",
            joined(parts | {"weights.safetensors": count.to_bytes(8, "little") + content[8:]}),
        )
    for name, whole in (
        ("nothing", b""),
        ("seven bytes", content[:7]),
        ("a pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR."),
        ("cut", content[:-1]),
        ("a byte behind", content + b"\0"),
    ):
        yield f"weights: {name}", joined(parts | {"weights.safetensors": whole})
    text = written(said)
    for name, head in (
        ("a list", b"[]"), ("a null", b"null"), ("a space in front", b" " + text), ("no tensors", b"{}"), ("cut", text[:-1]), ("brackets", b'{"a":' * 99_999),
        ("a tensor twice", text[:-1] + b"," + text[1:]), ("remarks", text[:-1] + b',"__metadata__":{"format":"pt"}}'),
        ("remarks of a million names", text[:-1] + b',"__metadata__":{' + b",".join(b'"%d":""' % i for i in range(300_000)) + b"}}"),
        ("half a million tensors", b"{" + b",".join(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(200_000)) + b"}"),
        ("a tensor that is a list", b'{"a":[]}'), ("a nameless tensor", text.replace(first.encode(), b"")),
        ("a name with a line end", text.replace(first.encode(), b"a\\nb")), ("a name of a million letters", text.replace(first.encode(), b"a" * 1_000_000)),
    ):  # fmt: skip
        yield f"weights: head, {name}", with_head(head)
    begin, stop = said[first]["data_offsets"]
    for name, change in (
        ("dtype F128", {"dtype": "F128"}), ("dtype 3", {"dtype": 3}), ("dtype a list", {"dtype": ["F32"]}), ("dtype F64", {"dtype": "F64"}),
        ("an unknown word", {"evil": 1}), ("shape negative", {"shape": [-1, -12]}), ("shape a fraction", {"shape": [12.0]}), ("shape true", {"shape": [True, 12]}),
        ("shape a word", {"shape": "12"}), ("shape null", {"shape": None}), ("shape that overflows to it", {"shape": [1 << 32, 1 << 32, 1 << 32, 4, 3]}),
        ("shape that overflows to nothing", {"shape": [1 << 62, 1 << 62, 0]}), ("shape too large", {"shape": [1 << 40]}), ("a million axes", {"shape": [1] * 1_000_000}),
        ("33 axes", {"shape": [1] * 33 + [4, 3]}), ("shape transposed", {"shape": [*said[first]["shape"][::-1], 1]}), ("place reversed", {"data_offsets": [stop, begin]}),
        ("place negative", {"data_offsets": [-4, stop - begin - 4]}), ("place beyond the file", {"data_offsets": [begin + 4096, stop + 4096]}),
        ("place of three numbers", {"data_offsets": [begin, stop, stop]}), ("place a fraction", {"data_offsets": [0.0, 48.0]}),
        ("place over another", {"data_offsets": [begin + 4, stop + 4]}), ("place 2^64", {"data_offsets": [1 << 64, (1 << 64) + 48]}),
        ("bools that are neither", {"dtype": "BOOL", "shape": [stop - begin]}), ("numbers of one byte", {"dtype": "I8", "shape": [stop - begin]}),
    ):  # fmt: skip
        yield f"weights: {name}", with_change(numbers, **change)
    yield "weights: another kind of number than the program says", with_change(numbers, dtype="I32")
    crooked = text + b" " * ((5 - len(text)) % 8)
    whole = len(crooked).to_bytes(8, "little") + crooked + numbers
    yield "weights: not aligned", joined(parts | {"weights.safetensors": whole})
    yield "weights: another name than the program says", with_head(text.replace(first.encode(), b"members.0.wrong"))
    yield (
        "weights: one missing",
        with_head(written({first: said[first] | {"data_offsets": [0, stop - begin]}}), numbers[begin:stop]),
    )
    yield "weights: other numbers", with_change((np.frombuffer(numbers, np.float32) * 2).tobytes())
    yield "weights: not a number", with_change(np.full(len(numbers) // 4, np.nan, np.float32).tobytes())


# --- programs ----------------------------------------------------------------------------------------------------


def coded(number: int, content: bytes | int) -> bytes:
    """A field of protobuf: a message or a number."""
    if isinstance(content, int):
        return graph._number(number, content)
    return graph._bytes(number, content)


def numbers(name: str, *values: int) -> Tensor:
    array = np.array(values, np.int64)
    return Tensor(name, graph.DTYPES["I64"], array.shape, array.tobytes())


def floats(name: str, *values: float) -> Tensor:
    array = np.array(values, np.float32)
    return Tensor(name, 1, array.shape, array.tobytes())


def program_files(parts: Parts) -> Iterator[File]:
    good = parts["program.onnx"]
    for name, content in _programs(good):
        whole = graph.write(content) if isinstance(content, Graph) else content
        yield f"program: {name}", joined(parts | {"program.onnx": whole})


def _programs(good: bytes) -> Iterator[tuple[str, Graph | bytes]]:
    said = graph.read(good)
    yield from _bytes_of_programs(good, said)
    yield from _large_programs()
    yield from _forbidden_programs(said)
    yield from _wrong_graphs(said)


def _bytes_of_programs(good: bytes, said: Graph) -> Iterator[tuple[str, Graph | bytes]]:
    """Wrong as protobuf, or right and not as gipi writes."""
    inner = good[good.index(b"\x3a") :]
    size, start = graph._varint(memoryview(inner), 1)
    body, after = inner[start : start + size], inner[start + size :]

    def outer(content: bytes, more: bytes = b"") -> bytes:
        return coded(1, 10) + coded(7, content) + after + more

    yield "nothing", b""
    yield "text", b"import os; os.system('true')"
    yield "cut", good[:-1]
    yield "cut in half", good[: len(good) // 2]
    yield "a byte behind", good + b"\0"
    yield "zeros", bytes(100_000)
    yield "varints without end", b"\xff" * 100_000
    yield "300,000 empty nodes", outer(coded(1, b"") * 300_000)
    yield "a million empty fields", coded(7, b"") * 1_000_000
    yield "a length beyond the file", b"\x3a\xff\xff\xff\xff\x0f"
    yield "a length of 2^63", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
    yield "old groups", coded(1, 10) + b"\x3b\x3c" + after
    yield "fields of 4 bytes", b"\x0d\x0a\0\0\0" + good[2:]
    yield "a number with needless bytes", b"\x08\x8a\x00" + good[2:]
    yield "the version twice", coded(1, 10) + good
    yield "the program twice", good + coded(7, body)
    yield "fields in another order", good[2:] + good[:2]
    yield "an unknown field", good + coded(99, b"evil")
    yield "no version", good[2:]
    yield "no program", coded(1, 10) + after
    yield "no operators' version", coded(1, 10) + coded(7, body)
    yield "a producer", coded(1, 10) + coded(2, b"evil") + good[2:]
    yield "remarks", good + coded(14, coded(1, b"key") + coded(2, b"value"))
    yield "training", good + coded(20, coded(1, body))
    yield "a function", good + coded(25, coded(1, b"Relu") + coded(10, b""))
    yield "another device", good + coded(26, coded(1, b"gpu"))
    yield "a second list of operators", good + coded(8, coded(1, b"com.microsoft") + coded(2, 1))
    yield "operators of Microsoft", coded(1, 10) + coded(7, body) + coded(8, coded(1, b"com.microsoft") + coded(2, 1))
    yield "a sparse tensor", outer(body + coded(15, coded(3, 4)))
    yield "a tensor's quantization", outer(body + coded(14, coded(1, b"x")))
    yield "shapes in between", outer(body + coded(13, coded(1, b"r")))
    node = coded(1, b"x") + coded(2, b"z") + coded(4, b"Relu")
    yield "a node's name", outer(coded(1, coded(1, b"x") + coded(2, b"z") + coded(3, b"n") + coded(4, b"Relu")) + body)
    yield "a node's remark", outer(coded(1, node + coded(6, b"hello")) + body)
    yield "a node of another domain", outer(coded(1, node + coded(7, b"com.microsoft")) + body)
    yield "a node's overload", outer(coded(1, node + coded(8, b"x")) + body)
    yield "a node for another device", outer(coded(1, node + coded(10, b"")) + body)
    inside = coded(1, b"body") + coded(6, coded(1, coded(4, b"Identity"))) + coded(20, 5)
    for operator in ("If", "Loop", "Scan", "SequenceMap"):
        whole = coded(1, b"x") + coded(2, b"z") + coded(4, operator.encode()) + coded(5, inside)
        yield f"{operator} with a program of its own", outer(coded(1, whole) + body)
    for name, kind, field in (
        ("graphs", 10, 11),
        ("a sparse tensor", 11, 22),
        ("a type", 13, 14),
        ("tensors", 9, 10),
        ("a setting by reference", 2, 21),
    ):
        setting = coded(1, b"to") + coded(field, b"") + coded(20, kind)
        yield f"a node with {name}", outer(coded(1, node + coded(5, setting)) + body)
    yield "an endless loop", _endless_loop()
    scalar = coded(2, 1) + coded(8, b"t")
    yield "numbers as text fields", outer(coded(5, coded(1, 1) + scalar + coded(4, struct.pack("<f", 1))) + body)
    yield "part of a tensor", outer(coded(5, coded(1, 1) + scalar + coded(3, coded(1, 0)) + coded(9, bytes(4))) + body)
    yield (
        "a tensor's dtype 2^32+1",
        outer(coded(5, coded(1, 1) + coded(2, (1 << 32) + 1) + coded(8, b"t") + coded(9, bytes(4))) + body),
    )
    for name, pairs in (
        ("/etc/hostname", {"location": "/etc/hostname", "offset": "0", "length": "4"}), ("../secret", {"location": "../secret", "offset": "0", "length": "4"}),
        (PLANTED, {"location": PLANTED, "offset": "0", "length": "4"}), ("a link to memory", {"location": "*/_ORT_MEM_ADDR_/*", "offset": "4096", "length": "4"}),
        ("the weights with a NUL", {"location": "weights.safetensors\0x", "offset": "0", "length": "4"}), ("the weights without a place", {"location": "weights.safetensors"}),
        ("before the weights", {"location": "weights.safetensors", "offset": "-4", "length": "4"}), ("the weights' head", {"location": "weights.safetensors", "offset": "0", "length": "4"}),
        ("beyond the weights", {"location": "weights.safetensors", "offset": "999999", "length": "4"}), ("a place of 5,000 digits", {"location": "weights.safetensors", "offset": "9" * 5000, "length": "4"}),
        ("a place in Arabic digits", {"location": "weights.safetensors", "offset": "\u0660", "length": "4"}), ("with a checksum", {"location": "weights.safetensors", "offset": "0", "length": "4", "checksum": "0"}),
    ):  # fmt: skip
        where = b"".join(coded(13, coded(1, key.encode()) + coded(2, value.encode())) for key, value in pairs.items())
        outside = coded(5, coded(1, 1) + scalar + where + coded(14, 1))
        add = coded(1, coded(1, b"x") + coded(1, b"t") + coded(2, b"z") + coded(4, b"Add"))
        yield f"reads {name!a}", outer(add + body.replace(coded(2, b"gipi"), coded(2, b"gipi") + outside, 1))
    place = next(tensor for tensor in said.tensors if tensor.place)
    wrong = Tensor("w", place.dtype, place.shape, None, place.place)
    yield (
        "a constant of a node lies in the weights",
        program([Node("Constant", (), ("c",), (Attribute("value", TENSOR, wrong),)), *said.nodes], said.tensors),
    )


def _endless_loop() -> bytes:
    """while true: x = x + x, as exporters would write it."""
    truth = coded(2, 9) + coded(8, b"yes") + coded(9, b"\1")

    def value(name: bytes, dtype: int) -> bytes:
        return coded(1, name) + coded(2, coded(1, coded(1, dtype) + coded(2, b"")))

    steps = coded(1, coded(1, b"go") + coded(2, b"on") + coded(4, b"Identity"))
    steps += coded(1, coded(1, b"a") + coded(1, b"a") + coded(2, b"b") + coded(4, b"Add")) + coded(2, b"body")
    steps += coded(11, value(b"i", 7)) + coded(11, value(b"go", 9)) + coded(11, value(b"a", 1))
    steps += coded(12, value(b"on", 9)) + coded(12, value(b"b", 1))
    setting = coded(1, b"body") + coded(6, steps) + coded(20, 5)
    loop = coded(1, b"") + coded(1, b"yes") + coded(1, b"x") + coded(2, b"y") + coded(4, b"Loop") + coded(5, setting)
    whole = coded(1, loop) + coded(2, b"g") + coded(5, truth) + coded(11, value(b"x", 1)) + coded(12, value(b"y", 1))
    return coded(1, 10) + coded(7, whole) + coded(8, coded(2, 20))


def _tiny(node: Node, *tensors: Tensor) -> Graph:
    return program([node], tensors)


def _large_programs() -> Iterator[tuple[str, Graph | bytes]]:
    """Small files that ask for much."""
    yield "4 GB of zeros", _tiny(Node("ConstantOfShape", ("s",), ("y",)), numbers("s", 1 << 30))
    yield "2^62 zeros", _tiny(Node("ConstantOfShape", ("s",), ("y",)), numbers("s", 1 << 31, 1 << 31))
    squared = [Node("Mul", ("s", "s"), ("t",)), Node("Concat", ("t", "t"), ("u",), (Attribute("axis", INT, 0),))]
    yield "4 GB of zeros, reckoned", program([*squared, Node("ConstantOfShape", ("u",), ("y",))], [numbers("s", 200)])
    yield "a constant spread", _tiny(Node("Expand", ("o", "s"), ("y",)), floats("o", 1), numbers("s", 1 << 20, 1 << 12))
    yield "an input spread", _tiny(Node("Expand", ("x", "s"), ("y",)), numbers("s", 1 << 30, 1, 1))
    yield "an input tiled", _tiny(Node("Tile", ("x", "s"), ("y",)), numbers("s", 1 << 20, 1 << 10))
    yield (
        "a range of 10^12",
        _tiny(Node("Range", ("a", "b", "c"), ("y",)), *(numbers(n, v) for n, v in (("a", 0), ("b", 10**12), ("c", 1)))),
    )
    yield (
        "a range of no steps",
        _tiny(Node("Range", ("a", "b", "c"), ("y",)), *(numbers(n, v) for n, v in (("a", 0), ("b", 9), ("c", 0)))),
    )
    yield (
        "a million million classes",
        _tiny(Node("OneHot", ("i", "d", "v"), ("y",)), numbers("i", 0), numbers("d", 1 << 40), floats("v", 0, 1)),
    )
    yield "a border of 2^40", _tiny(Node("Pad", ("x", "p"), ("y",)), numbers("p", 0, 0, 0, 1 << 40))
    yield "a border of minus 2^40", _tiny(Node("Pad", ("x", "p"), ("y",)), numbers("p", 0, 0, 0, -(1 << 40)))
    yield "a picture a million times as large", _tiny(Node("Resize", ("x", "", "s"), ("y",)), floats("s", 1e6, 1e6))
    yield "a picture of 2^40 points", _tiny(Node("Resize", ("x", "", "", "s"), ("y",)), numbers("s", 1 << 20, 1 << 20))
    for name, operator, settings in (
        ("a stride of 2^40", "ConvTranspose", (Attribute("strides", INTS, (1 << 40,)),)), ("a border of 2^40 at a convolution", "Conv", (Attribute("pads", INTS, (1 << 40, 0)),)),
        ("a stride of 0", "Conv", (Attribute("strides", INTS, (0, 0)),)), ("a negative border", "MaxPool", (Attribute("pads", INTS, (-9, -9)), Attribute("kernel_shape", INTS, (2, 2)))),
        ("a kernel of 2^40", "AveragePool", (Attribute("kernel_shape", INTS, (1 << 40,)),)), ("0 groups", "Conv", (Attribute("group", INT, 0),)),
        ("2^40 hidden units", "LSTM", (Attribute("hidden_size", INT, 1 << 40),)), ("blocks of 0", "DepthToSpace", (Attribute("blocksize", INT, 0),)),
        ("an output of 2^40", "ConvTranspose", (Attribute("output_shape", INTS, (1 << 40,)),)), ("a dilation of 2^40", "Conv", (Attribute("dilations", INTS, (1 << 40,)),)),
    ):  # fmt: skip
        yield name, _tiny(Node(operator, ("x",), ("y",), settings))
    axis = (Attribute("axis", INT, 0),)
    doubled = [Node("Concat", ("x" if k == 0 else f"v{k}",) * 2, (f"v{k + 1}",), axis) for k in range(40)]
    yield (
        "doubled forty times",
        program([*doubled, Node("ReduceSum", ("v40",), ("y",))], outputs=(("y", 1, (None, None)),)),
    )
    constant = [Node("Concat", ("c" if k == 0 else f"v{k}",) * 2, (f"v{k + 1}",), axis) for k in range(40)]
    yield (
        "a constant doubled forty times",
        program([*constant, Node("ReduceSum", ("v40",), ("y",))], [floats("c", 1)], outputs=(("y", 1, (None,)),)),
    )
    longer = [Node("Shape", ("x",), ("s",)), Node("Mul", ("s", "k"), ("t",)), Node("Mul", ("t", "k"), ("u",))]
    yield (
        "its own shape times a million",
        program([*longer, Node("ConstantOfShape", ("u",), ("y",))], [numbers("k", 1000)]),
    )
    squares = [
        Node("ReduceMax", ("s",), ("m",), (Attribute("keepdims", INT, 1),)),
        Node("Mul", ("m", "k"), ("n",)),
        Node("Concat", ("n", "n"), ("u",), axis),
    ]
    chain = [Node("MatMul", (f"e{k}", f"e{k}"), (f"e{k + 1}",)) for k in range(200)]
    much = [longer[0], *squares, Node("Expand", ("o", "u"), ("e0",)), *chain, Node("ReduceMean", ("e200",), ("y",))]
    yield (
        "products that take minutes",
        program(much, [numbers("k", 300), floats("o", 0.001)], outputs=(("y", 1, (None, None)),)),
    )
    yield (
        "an outer product",
        program(
            [
                Node("Expand", ("o", "s"), ("e",)),
                Node("Einsum", ("e", "e", "e"), ("y",), (Attribute("equation", STRING, b"a,b,c->abc"),)),
            ],
            [floats("o", 1), numbers("s", 4000)],
        ),
    )
    yield "30,000 nodes", program([Node("Relu", ("x" if k == 0 else f"v{k}",), (f"v{k + 1}",)) for k in range(30_000)])
    yield "a node of 1,000 inputs", program([Node("Concat", ("x",) * 1000, ("y",), axis)])
    yield "two megabytes inside", program([Node("Relu", ("x",), ("y",))], [Tensor("t", 1, (1 << 19,), bytes(2 << 20))])
    yield (
        "a large constant of a node",
        program(
            [Node("Constant", (), ("y",), (Attribute("value", TENSOR, Tensor("", 1, (1 << 16,), bytes(1 << 18))),))]
        ),
    )
    yield (
        "a setting of 10,000 numbers",
        program([Node("Constant", (), ("y",), (Attribute("value_ints", INTS, (1,) * 10_000),))]),
    )


def recurrent(operator: str, axis: int) -> Graph:
    """A recurrent layer of one step and no rows (axis 0) or of no steps and one row (axis 1)."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    weights = [Tensor(name, 1, (1, gates, size), bytes(4 * gates * size)) for name, size in (("w", 4), ("r", 1))]
    nodes = [
        Node("Slice", ("x", "none", "none", "none"), ("e",)),
        Node("Unsqueeze", ("e", "axis"), ("f",)),
        Node(operator, ("f", "w", "r"), ("y",), (Attribute("hidden_size", INT, 1),)),
    ]
    tensors = [*weights, numbers("none", 0), numbers("axis", axis)]
    return program(nodes, tensors, outputs=(("y", 1, (None,) * 4),))


def _forbidden_programs(said: Graph) -> Iterator[tuple[str, Graph | bytes]]:
    """Operators and sizes that are not for a stranger."""
    for operator in (
        "If", "Loop", "Scan", "RandomNormal", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout", "NonZero", "Unique", "Compress", "StringNormalizer",
        "RegexFullMatch", "StringSplit", "TfIdfVectorizer", "SequenceEmpty", "SplitToSequence", "Optional", "ImageDecoder", "NonMaxSuppression", "MaxUnpool",
        "Col2Im", "STFT", "HannWindow", "QuantizeLinear", "GridSample", "EyeLike\0", "relu", "", "PyOp",
    ):  # fmt: skip
        yield f"operator {operator!a}", program([Node(operator, ("x",), ("z",)), *said.nodes], said.tensors)
    cast = Node("Cast", ("x",), ("i",), (Attribute("to", INT, 7),))
    flat = [cast, Node("Reshape", ("i", "one"), ("s",))]
    one = numbers("one", -1)
    for operator, inputs in (
        ("ConstantOfShape", ("s",)), ("Expand", ("x", "s")), ("Tile", ("x", "s")), ("Reshape", ("x", "s")), ("Range", ("a", "s", "a")), ("OneHot", ("a", "s", "x")),
        ("Pad", ("x", "s")), ("Resize", ("x", "", "", "s")), ("Slice", ("x", "a", "s")), ("TopK", ("x", "s")), ("Split", ("x", "s")), ("Unsqueeze", ("x", "s")), ("ReduceSum", ("x", "s")),
    ):  # fmt: skip
        yield (
            f"an input's numbers decide, {operator}",
            program([*flat, Node(operator, inputs, ("y",))], [one, numbers("a", 1)]),
        )
    hidden = [
        *flat,
        Node("Add", ("s", "one"), ("t",)),
        Node("Concat", ("one", "t"), ("u",), (Attribute("axis", INT, 0),)),
    ]
    yield (
        "an input's numbers decide, in a roundabout way",
        program([*hidden, Node("Expand", ("x", "u"), ("y",))], [one]),
    )
    settings = {
        "cast to words": Attribute("to", INT, 8), "cast to nothing": Attribute("to", INT, 99), "a setting that is no number": Attribute("alpha", FLOAT, float("nan")),
        "a long word": Attribute("mode", STRING, b"a" * 10_000), "a word that is none": Attribute("mode", STRING, b"\xff\xfe"), "a setting without a name": Attribute("", INT, 1),
        "a setting nobody knows": Attribute("evil", INT, 1),
    }  # fmt: skip
    for name, setting in settings.items():
        yield name, program([Node("Cast", ("x",), ("z",), (setting,)), *said.nodes], said.tensors)
    four = floats("f", 1, 1, 1, 1)
    for name, node, tensors in (  # each ended the process of onnxruntime 1.31
        ("a maximum without its last input", Node("Max", ("x", ""), ("y",)), []),
        ("a sum without its first input", Node("Sum", ("", "x"), ("y",)), []),
        ("a normalisation without its last input", Node("LayerNormalization", ("x", "f", ""), ("y",)), [four]),
        ("places in minus two axes", Node("GatherND", ("x", "e"), ("y",), (Attribute("batch_dims", INT, -2),)), [numbers("e")]),
        ("classes without a count", Node("OneHot", ("x", "e", "f"), ("y",)), [numbers("e"), four]),
        ("classes with a count of no whole number", Node("OneHot", ("x", "e", "f"), ("y",)), [Tensor("e", 2, (0,), b""), four]),
        ("dots in a formula", Node("Einsum", ("f", "x"), ("y",), (Attribute("equation", STRING, b"...i,...i->..."),)), [four]),
    ):  # fmt: skip
        yield name, program([node], tensors, outputs=(("y", 1, (None, None)),))
    yield "an LSTM of no rows", recurrent("LSTM", 0)
    yield "a GRU of no rows", recurrent("GRU", 0)
    yield "a GRU of no steps", recurrent("GRU", 1)
    yield (
        "a setting twice",
        program([Node("Cast", ("x",), ("z",), (Attribute("to", INT, 1),) * 2), *said.nodes], said.tensors),
    )
    yield (
        "a constant of two values",
        program(
            [
                Node("Constant", (), ("z",), (Attribute("value_int", INT, 1), Attribute("value_float", FLOAT, 1.0))),
                *said.nodes,
            ],
            said.tensors,
        ),
    )
    yield "a constant without a value", program([Node("Constant", (), ("z",)), *said.nodes], said.tensors)


def _wrong_graphs(said: Graph) -> Iterator[tuple[str, Graph | bytes]]:
    """Known operators, wrongly put together."""
    relu = Node("Relu", ("x",), ("y",))
    x, y = (("x", 1, ("B", 4)),), (("y", 1, ("B", 3)),)
    for number in (0, 1, 16, 99, 1 << 62, -1):
        yield f"operators of version {number}", program(said.nodes, said.tensors, opset=number)
        yield f"format of version {number}", program(said.nodes, said.tensors, ir=number)
    yield "no inputs", program(said.nodes, said.tensors, inputs=())
    yield "no outputs", program(said.nodes, said.tensors, outputs=())
    yield "300 inputs", program(said.nodes, said.tensors, inputs=x + tuple((f"i{k}", 1, (1,)) for k in range(300)))
    yield "an input twice", program(said.nodes, said.tensors, inputs=x * 2)
    yield "an output twice", program(said.nodes, said.tensors, outputs=y * 2)
    yield "an output that nobody makes", program(said.nodes, said.tensors, outputs=(("z", 1, ("B", 3)),))
    yield "another output", program([relu, Node("Neg", ("x",), ("z",))], outputs=(("z", 1, ("B", 4)),))
    yield "an output of another kind", program(said.nodes, said.tensors, outputs=(("y", 7, ("B", 3)),))
    yield "an output of another length", program(said.nodes, said.tensors, outputs=(("y", 1, ("B", 4)),))
    yield "an output of more axes", program(said.nodes, said.tensors, outputs=(("y", 1, ("B", 3, 1)),))
    yield "an input of words", program(said.nodes, said.tensors, inputs=(("x", 8, ("B", 4)),))
    yield "an input of a kind nobody knows", program(said.nodes, said.tensors, inputs=(("x", 77, ("B", 4)),))
    yield "an input of negative length", program(said.nodes, said.tensors, inputs=(("x", 1, (-5, 4)),))
    yield "an input of 2^40", program(said.nodes, said.tensors, inputs=(("x", 1, ("B", 1 << 40)),))
    yield "an input of 100 axes", program(said.nodes, said.tensors, inputs=(("x", 1, (1,) * 100),))
    yield "a size that is no pair", program(said.nodes, said.tensors, inputs=(*x, ("size", 7, (1 << 20,))))
    yield "used before it is made", program(said.nodes[::-1], said.tensors)
    yield "a circle", program([Node("Add", ("x", "b"), ("a",)), Node("Relu", ("a",), ("b",)), relu])
    yield "a node that feeds itself", program([Node("Add", ("x", "y"), ("y",))])
    yield "made twice", program([*said.nodes, *said.nodes], said.tensors)
    yield "a node that makes the input", program([Node("Relu", ("x",), ("x",)), *said.nodes], said.tensors)
    yield "a constant that is the input", program([relu], [floats("x", 1, 1, 1, 1)])
    yield "a constant twice", program([relu], [floats("c", 1)] * 2)
    yield "a constant without a name", program([relu], [floats("", 1)])
    yield "a name with a line end", program([Node("Relu", ("x",), ("a\nb",)), *said.nodes], said.tensors)
    yield "a name of 10,000 letters", program([Node("Relu", ("x",), ("a" * 10_000,)), *said.nodes], said.tensors)
    yield "a node that makes nothing", program([Node("Relu", ("x",), ()), *said.nodes], said.tensors)
    for name, dtype, shape, size in (
        ("too few numbers", 1, (4,), 12), ("too many numbers", 1, (4,), 20), ("a negative length", 1, (-4,), 0), ("two negative lengths", 1, (-2, -2), 16), ("a shape that overflows", 1, (1 << 32, 1 << 32), 0),
        ("100 axes", 1, (1,) * 100, 4), ("words", 8, (1,), 1), ("a kind nobody knows", 50, (1,), 1), ("numbers of 4 bits", 22, (2,), 1), ("bools that are neither", 9, (4,), -4),
    ):  # fmt: skip
        data = b"\2" * -size if size < 0 else bytes(size)
        yield (
            f"a constant of {name}",
            program([Node("Identity", ("c",), ("z",)), *said.nodes], [*said.tensors, Tensor("c", dtype, shape, data)]),
        )
    yield "shapes that do not fit", program([Node("MatMul", ("x", "c"), ("y",))], [floats("c", 1, 2)])
    yield "an axis that is not there", program([Node("Softmax", ("x",), ("y",), (Attribute("axis", INT, 1 << 40),))])
    yield "a place outside", program([Node("Gather", ("x", "c"), ("y",))], [numbers("c", 1 << 40)])
    yield "too many inputs", program([Node("Relu", ("x", "x", "x"), ("y",))])
    yield "too few inputs", program([Node("Add", ("x",), ("y",))])
    yield "a wrong formula", program([Node("Einsum", ("x",), ("y",), (Attribute("equation", STRING, b"a...b,,->->"),))])
    yield "another program", program([Node("Neg", ("x",), ("r",)), said.nodes[1]], said.tensors)


# --- how it goes -------------------------------------------------------------------------------------------------


def peak() -> int:
    """Bytes of memory that this process had at most since the last call, where the system says it (Linux)."""
    text = Path("/proc/self/status").read_text()
    found = int(text.split("VmHWM:")[1].split()[0]) << 10
    Path("/proc/self/clear_refs").write_text("5")
    return found


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.gipi"
        path.write_bytes(joined(good_parts()))
        open_bundle(path)
        for name, content in corpus(good_parts()):
            path.write_bytes(content)
            del content
            peak()
            before, begin = peak(), time.perf_counter()
            try:
                open_bundle(path)
                said = "ACCEPTED"
            except Refused as error:
                said = str(error)
            except Exception as error:
                said = f"CRASHED {type(error).__name__}: {error}"
            rows.append((time.perf_counter() - begin, peak() - before, name, said))
    for seconds, memory, name, said in rows:
        print(f"{1e3 * seconds:8.1f} ms {memory / 2**20:6.1f} MB  {name}: {said[:120]}")
    times = sorted(row[0] for row in rows)
    print(f"{len(rows)} files; median {1e3 * times[len(times) // 2]:.1f} ms, slowest {1e3 * times[-1]:.0f} ms")
    print(f"most memory {max(row[1] for row in rows) / 2**20:.1f} MB")
    bad = [name for _s, _m, name, said in rows if said.startswith(("ACCEPTED", "CRASHED"))]
    print(f"not refused: {bad}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
