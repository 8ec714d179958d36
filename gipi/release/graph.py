"""A program in ONNX, from bytes to plain records and back, by hand: what we understood is what the runtime will see.

ONNX is protobuf (https://protobuf.dev/programming-guides/encoding/; the numbers of the fields are those of onnx.proto).
Protobuf lets one message be written in many ways: fields twice, in any order, unknown, numbers with needless bytes.
`write` knows one way, and a program of a stranger must be, byte for byte, `write(read(program))`; so a second reader
cannot find anything in it that this one did not. Fields that no program of ours needs (names of nodes, remarks, shapes
in between, functions, training) have no place in the records at all.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from gipi.messages import _
from gipi.release.refused import Refused
from gipi.release.tensor_file import Entry

WEIGHTS = "weights.safetensors"  # where tensors lie that are not in the program
MOST_FIELDS = 250_000  # of a program; a vision transformer of 12 layers has 30,000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SIZES = {FIXED64: 8, FIXED32: 4}
# kinds of attribute, and the data types of tensors, by onnx.proto's numbers
FLOAT, INT, STRING, TENSOR, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 6, 7, 8
ATTRIBUTES = {  # in which field the value stands, and whether it is a list
    FLOAT: (2, False), INT: (3, False), STRING: (4, False), TENSOR: (5, False),
    FLOATS: (7, True), INTS: (8, True), STRINGS: (9, True),
}  # fmt: skip
DTYPES = {
    "F32": 1, "U8": 2, "I8": 3, "U16": 4, "I16": 5, "I32": 6, "I64": 7, "BOOL": 9, "F16": 10, "F64": 11, "U32": 12,
    "U64": 13, "BF16": 16,
}  # fmt: skip

Field = tuple[int, int, Any]  # its number, how it is written, its value


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant: its numbers, little endian, or their place in the weights' file: (offset, bytes)."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    data: bytes | memoryview | None
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """A setting of a node; `kind` is INT, FLOATS ... above and says what `value` is."""

    name: str
    kind: int
    value: int | float | bytes | Tensor | tuple


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; an input "" is one that is left out."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of the program; an axis is a length, a name, or None: not known."""

    name: str
    dtype: int
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A program: its nodes in the order in which they run."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    opset: int
    ir_version: int
    name: str = "gipi"


def read(data: bytes | memoryview, canonical: bool = True) -> Graph:
    """A program from the bytes of an ONNX model.

    Args:
        data: The model.
        canonical: It must be written as `write` writes. False: as exporters write, whose remarks are skipped; for
            programs that we have just made, never for a stranger's.

    Raises:
        Refused: It is no ONNX model, or has what no program of ours has.
    """
    try:
        graph = _Reader(canonical).model(memoryview(data).cast("B"))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise _refused(_("it is cut short or damaged")) from error
    if canonical and write(graph) != data:
        raise _refused(_("it is not written as gipi writes programs"))
    return graph


def outside(graph: Graph, entries: dict[str, Entry]) -> Graph:
    """The program with those of its tensors that `weights.safetensors` has taken from there instead.

    Args:
        graph: With its numbers inside.
        entries: Of the weights' file, by `tensor_file.header`; names are the same as in the program.
    """
    tensors = []
    for tensor in graph.tensors:
        if (entry := entries.get(tensor.name)) is not None:
            assert (DTYPES[entry.dtype], entry.shape) == (tensor.dtype, tensor.shape), tensor.name
            tensor = replace(tensor, data=None, place=(entry.start, entry.stop - entry.start))
        tensors.append(tensor)
    return replace(graph, tensors=tuple(tensors))


# --- reading -----------------------------------------------------------------------------------------------------


class _Reader:
    """Reads messages, and counts their fields, because each costs memory."""

    def __init__(self, canonical: bool):
        self.left = MOST_FIELDS
        self.canonical = canonical

    def fields(self, data: memoryview) -> Iterator[Field]:
        """The fields of a message, one after the other."""
        place = 0
        while place < len(data):
            self.left -= 1
            if self.left < 0:
                raise _refused(_("it has too many parts"))
            key, place = _varint(data, place)
            wire, value = key & 7, None
            if wire == VARINT:
                value, place = _varint(data, place)
            else:
                if wire == BYTES:
                    size, place = _varint(data, place)
                else:
                    size = SIZES.get(wire, len(data))  # groups, of old protobuf, do not fit
                if size > len(data) - place:
                    raise _refused(_("it is cut short or damaged"))
                value, place = data[place : place + size], place + size
            yield key >> 3, wire, value

    def message(self, data: memoryview, readers: dict[tuple[int, int], Callable], skipped: tuple[int, ...]) -> dict:
        """{field: the values of its occurrences, each read by its reader}; other fields than these are refused."""
        found: dict[int, list] = {number: [] for number, _wire in readers}
        for number, wire, value in self.fields(data):
            if (reader := readers.get((number, wire))) is not None:
                found[number].append(reader(value))
            elif self.canonical or number not in skipped:
                raise _refused(_("it has a field that no program of gipi has"))
        return found

    def model(self, data: memoryview) -> Graph:
        readers = {(1, VARINT): int, (7, BYTES): self.graph, (8, BYTES): self.opset}
        whole = self.message(data, readers, (2, 3, 4, 5, 6, 14))
        graph: Graph = _one(whole[7])
        return replace(graph, ir_version=_one(whole[1]), opset=_one(whole[8]))

    def opset(self, data: memoryview) -> int:
        said = self.message(data, {(1, BYTES): _text, (2, VARINT): _signed}, ())
        if said[1] not in ([], [""]):
            raise _refused(_("it needs operators that are not ONNX's own"))
        return _one(said[2])

    def graph(self, data: memoryview) -> Graph:
        readers = {
            (1, BYTES): self.node,
            (2, BYTES): _text,
            (5, BYTES): self.tensor,
            (11, BYTES): self.value,
            (12, BYTES): self.value,
        }
        said = self.message(data, readers, (10, 13, 16))
        return Graph(tuple(said[11]), tuple(said[12]), tuple(said[1]), tuple(said[5]), 0, 0, _one(said[2]))

    def node(self, data: memoryview) -> Node:
        readers = {(1, BYTES): _text, (2, BYTES): _text, (4, BYTES): _text, (5, BYTES): self.attribute}
        if not self.canonical:
            readers[7, BYTES] = _text
        said = self.message(data, readers, (3, 6, 9))
        if said.get(7, []) not in ([], [""]):
            raise _refused(_("it needs operators that are not ONNX's own"))
        inputs = said[1]
        while not self.canonical and inputs and not inputs[-1]:
            inputs.pop()  # left out by an empty name, as exporters may write; the rules want it gone
        return Node(_one(said[4]), tuple(inputs), tuple(said[2]), tuple(said[5]))

    def attribute(self, data: memoryview) -> Attribute:
        readers = {
            (1, BYTES): _text,
            (2, FIXED32): _float,
            (3, VARINT): _signed,
            (4, BYTES): bytes,
            (5, BYTES): self.tensor,
            (7, FIXED32): _float,
            (8, VARINT): _signed,
            (9, BYTES): bytes,
            (20, VARINT): int,
        }
        said = self.message(data, readers, (13,))
        kind = _one(said[20])
        if kind not in ATTRIBUTES:
            raise _refused(_("it has a node with a program of its own, or something else that is not known"))
        field, is_list = ATTRIBUTES[kind]
        value = tuple(said[field]) if is_list else _one(said[field])
        if any(values for number, values in said.items() if number not in (1, 20, field)):
            raise _refused(_("it has a node with a setting of two kinds"))
        return Attribute(_one(said[1]), kind, value)

    def tensor(self, data: memoryview) -> Tensor:
        readers = {
            (1, VARINT): _signed,
            (2, VARINT): int,
            (8, BYTES): _text,
            (9, BYTES): lambda data: data,
            (13, BYTES): self.pair,
            (14, VARINT): int,
        }
        said = self.message(data, readers, (12, 16))
        name = said[8][0] if len(said[8]) == 1 else ""
        place = None
        if said[14] == [1] and not said[9]:
            place = _place(said[13])
        elif said[13] or said[14] not in ([], [0]):
            raise _refused(_("tensor '{name}' does not lie where it may", name=name))
        return Tensor(name, _one(said[2]), tuple(said[1]), None if place else _one(said[9] or [b""]), place)

    def pair(self, data: memoryview) -> tuple[str, str]:
        said = self.message(data, {(1, BYTES): _text, (2, BYTES): _text}, ())
        return _one(said[1]), _one(said[2])

    def value(self, data: memoryview) -> Value:
        said = self.message(data, {(1, BYTES): _text, (2, BYTES): self.kind}, (3, 4))
        dtype, shape = _one(said[2])
        return Value(_one(said[1]), dtype, shape)

    def kind(self, data: memoryview) -> tuple[int, tuple]:
        said = self.message(data, {(1, BYTES): self.tensor_kind}, (6,))
        return _one(said[1])

    def tensor_kind(self, data: memoryview) -> tuple[int, tuple]:
        said = self.message(data, {(1, VARINT): int, (2, BYTES): self.shape}, ())
        return _one(said[1]), _one(said[2])

    def shape(self, data: memoryview) -> tuple[int | str | None, ...]:
        return tuple(self.message(data, {(1, BYTES): self.axis}, ())[1])

    def axis(self, data: memoryview) -> int | str | None:
        said = self.message(data, {(1, VARINT): _signed, (2, BYTES): _text}, (3,))
        values = said[1] + said[2]
        return _one(values) if values else None


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number of up to 64 bits, seven bits a byte, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= 1 << 64:
                raise _refused(_("it is cut short or damaged"))
            return value, place
        shift += 7
        if shift > 63:
            raise _refused(_("it is cut short or damaged"))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _float(data: memoryview) -> float:
    return struct.unpack("<f", data)[0]


def _text(data: memoryview) -> str:
    return str(data, "utf-8")


def _one(values: list) -> Any:
    if len(values) != 1:
        raise _refused(_("it lacks something, or has it twice"))
    return values[0]


def _place(pairs: list[tuple[str, str]]) -> tuple[int, int]:
    """Where in the weights' file a tensor lies: (offset, bytes)."""
    said = dict(pairs)
    if set(said) != {"location", "offset", "length"} or len(pairs) != 3 or said["location"] != WEIGHTS:
        raise _refused(_("it wants to read a file"))
    numbers = [said["offset"], said["length"]]
    if not all(n.isascii() and n.isdecimal() and len(n) < 19 for n in numbers):
        raise _refused(_("it wants to read a file"))
    return int(numbers[0]), int(numbers[1])


def _refused(reason: str) -> Refused:
    return Refused(_("program.onnx cannot be used: {reason}", reason=reason))


# --- writing -----------------------------------------------------------------------------------------------------


def write(graph: Graph) -> bytes:
    """The program as an ONNX model, in the one way that `read` takes; protobuf's own writer gives the same bytes."""
    content = _repeated(1, map(_node, graph.nodes))
    content += _text_field(2, graph.name)
    content += _repeated(5, map(_tensor, graph.tensors))
    content += _repeated(11, map(_value, graph.inputs))
    content += _repeated(12, map(_value, graph.outputs))
    return _number(1, graph.ir_version) + _bytes(7, content) + _bytes(8, _number(2, graph.opset))


def _node(node: Node) -> bytes:
    content = b"".join(_text_field(1, name) for name in node.inputs)
    content += b"".join(_text_field(2, name) for name in node.outputs)
    return content + _text_field(4, node.operator) + _repeated(5, map(_attribute, node.attributes))


def _attribute(attribute: Attribute) -> bytes:
    number, is_list = ATTRIBUTES[attribute.kind]
    writer = WRITERS[attribute.kind]
    values: Any = attribute.value if is_list else (attribute.value,)
    content = b"".join(writer(number, value) for value in values)
    return _text_field(1, attribute.name) + content + _number(20, attribute.kind)


def _tensor(tensor: Tensor) -> bytes:
    content = b"".join(_number(1, length) for length in tensor.shape) + _number(2, tensor.dtype)
    if tensor.name:
        content += _text_field(8, tensor.name)
    if tensor.place is None:
        assert tensor.data is not None
        return content + _bytes(9, tensor.data)
    where = zip(("location", "offset", "length"), (WEIGHTS, *map(str, tensor.place)), strict=True)
    content += _repeated(13, (_text_field(1, key) + _text_field(2, value) for key, value in where))
    return content + _number(14, 1)


def _value(value: Value) -> bytes:
    shape = _repeated(1, map(_axis, value.shape))
    kind = _number(1, value.dtype) + _bytes(2, shape)
    return _text_field(1, value.name) + _bytes(2, _bytes(1, kind))


def _axis(axis: int | str | None) -> bytes:
    if axis is None:
        return b""
    return _text_field(2, axis) if isinstance(axis, str) else _number(1, axis)


def _repeated(number: int, messages: Any) -> bytes:
    return b"".join(_bytes(number, message) for message in messages)


def _bytes(number: int, content: bytes | memoryview) -> bytes:
    return b"".join((_code(number << 3 | BYTES), _code(len(content)), content))


def _text_field(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _number(number: int, value: int) -> bytes:
    return _code(number << 3 | VARINT) + _code(value % (1 << 64))


def _code(value: int) -> bytes:
    """A number, seven bits a byte."""
    code = bytearray()
    while value > 127:
        code.append(value & 127 | 128)
        value >>= 7
    code.append(value)
    return bytes(code)


WRITERS: dict[int, Callable[[int, Any], bytes]] = {
    FLOAT: lambda number, value: _code(number << 3 | FIXED32) + struct.pack("<f", value),
    INT: _number,
    STRING: _bytes,
    TENSOR: lambda number, value: _bytes(number, _tensor(value)),
}
WRITERS |= {FLOATS: WRITERS[FLOAT], INTS: WRITERS[INT], STRINGS: WRITERS[STRING]}
