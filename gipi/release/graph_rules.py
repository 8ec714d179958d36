"""What a program of a bundle may do: known operators on numbers, in shapes that no input's numbers can change.

The rules give this: **the shape of each value depends on the shapes of the inputs, and on the input `size`, alone.** So
a program that was tried once with inputs of some shapes takes the same memory for all others of these shapes. What
sizes a constant may ask for is bounded here; what grows in ways that no rule of ours sees (a value joined with itself
forty times, products of shapes) shows in the trial, which runs with a limit on memory and time (trial.py).

No operator has a program of its own (Loop, Scan, If), reads anything, or draws random numbers; none gives a shape that
depends on numbers (NonZero, Unique, Compress); there are no functions, strings, sequences or sparse tensors.
"""

import math
import re
from typing import Any

import numpy as np

from gipi.messages import _
from gipi.release.graph import DTYPES, FLOAT, FLOATS, INT, INTS, Attribute, Graph, Node, Tensor, Value
from gipi.release.operators import EQUATION, LENGTHS, LIMITS, MOST_AXES, ONE_NUMBER, OPERATORS, OPTIONAL, SIZED
from gipi.release.refused import Refused
from gipi.release.tensor_file import KINDS, Entry

OPSETS = range(17, 24)
IR_VERSIONS = range(8, 12)
LARGEST_PROGRAM = 16 << 20  # bytes; weights are elsewhere
LARGEST_INLINE = 1 << 20  # bytes of all constants inside a program
LARGEST_CONSTANT = 1 << 16  # bytes of one that is a node's setting
MOST_NODES = 20_000
MOST_TENSORS = 30_000
MOST_VALUES = 256  # inputs, outputs, settings of one node; inputs and outputs of a program
LONGEST_NAME = 512
LONGEST_LIST = 4096
LARGEST_ELEMENTS = 1 << 26  # of a value whose shape is a constant
FOLDED = 64  # numbers of a constant that is followed through the arithmetic of sizes

SAME_NUMBERS = {"Cast", "CastLike", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
ARITHMETIC = {"Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": lambda a, b: a * b}
ITEMSIZE = {number: KINDS[name].itemsize for name, number in DTYPES.items()}
BOOL, INT64 = DTYPES["BOOL"], DTYPES["I64"]
NUMPY = {DTYPES[name]: KINDS[name] for name in ("I64", "I32", "F32", "F64")}


def check(graph: Graph, entries: dict[str, Entry]) -> None:
    """Whether a program keeps the rules.

    Args:
        graph: By `graph.read`.
        entries: Of the weights' file that belongs to it, by `tensor_file.header`.

    Raises:
        Refused: It does not; the text says which rule.
    """
    if graph.opset not in OPSETS or graph.ir_version not in IR_VERSIONS:
        came = f"opset {graph.opset}, IR {graph.ir_version}"
        raise _refused(_("it is written for {came}, which this gipi does not read", came=came))
    if len(graph.nodes) > MOST_NODES or len(graph.tensors) > MOST_TENSORS:
        raise _refused(_("it has too many parts"))
    if not 0 < len(graph.inputs) <= MOST_VALUES or not 0 < len(graph.outputs) <= MOST_VALUES:
        raise _refused(_("it has no inputs or outputs, or too many"))
    for value in (*graph.inputs, *graph.outputs):
        _check_value(value)
    for tensor in graph.tensors:
        _check_tensor(tensor, entries)
    if sum(len(tensor.data) for tensor in graph.tensors if tensor.data is not None) > LARGEST_INLINE:
        raise _refused(_("it holds too many constants inside"))
    _Flow(graph).follow()


def _check_value(value: Value) -> None:
    if value.dtype not in ITEMSIZE:
        raise _refused(_("'{name}' has numbers of a kind that is not known", name=_short(value.name)))
    for axis in value.shape:
        is_length = isinstance(axis, int) and 0 <= axis < 1 << 31
        is_name = isinstance(axis, str) and 0 < len(axis) <= LONGEST_NAME and axis.isprintable()
        if not (is_length or is_name or axis is None) or len(value.shape) > MOST_AXES:
            raise _refused(_("'{name}' has a shape that is none", name=_short(value.name)))
    if value.name == "size" and (value.dtype, value.shape) != (INT64, (2,)):
        raise _refused(_("'{name}' has a shape that is none", name=_short(value.name)))


def _check_tensor(tensor: Tensor, entries: dict[str, Entry], largest: int = LARGEST_INLINE) -> None:
    """A constant's bytes are as many as its shape says, here or in the weights' file."""
    name = _short(tensor.name)
    if tensor.dtype not in ITEMSIZE:
        raise _refused(_("'{name}' has numbers of a kind that is not known", name=name))
    if len(tensor.shape) > MOST_AXES or any(not 0 <= length < 1 << 48 for length in tensor.shape):
        raise _refused(_("'{name}' has a shape that is none", name=name))
    size = math.prod(tensor.shape) * ITEMSIZE[tensor.dtype]
    if tensor.data is None:
        entry = entries.get(tensor.name)
        if entry is None or (DTYPES.get(entry.dtype), entry.shape) != (tensor.dtype, tensor.shape):
            raise _refused(_("'{name}' is not in weights.safetensors as it says", name=name))
        if tensor.place != (entry.start, entry.stop - entry.start):
            raise _refused(_("'{name}' is not in weights.safetensors as it says", name=name))
    elif len(tensor.data) != size or size > largest:
        raise _refused(_("'{name}' has not as many numbers as its shape says, or too many", name=name))
    elif not size and tensor.dtype != INT64:  # no shape or list of axes; onnxruntime may crash on it
        raise _refused(_("'{name}' has no numbers", name=name))
    elif tensor.dtype == BOOL and size and max(bytes(tensor.data)) > 1:
        raise _refused(_("'{name}' has bools that are neither 0 nor 1", name=name))


class _Flow:
    """Follows the values through the program, in the order of the nodes."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.known: set[str] = set()
        self.from_numbers: set[str] = set()  # values that depend on the numbers of an input other than `size`
        self.constants: dict[str, list] = {}  # small constants, their numbers in one row
        self.tensors = {tensor.name: tensor for tensor in graph.tensors}  # and those of nodes
        self.with_rows: set[str] = set()  # values of three axes, the second of which is never empty

    def follow(self) -> None:
        for value in self.graph.inputs:
            self.define(value.name, value.name != "size")
        for tensor in self.graph.tensors:
            self.define(tensor.name, False)
            self.keep(tensor.name, _numbers(tensor))
        for node in self.graph.nodes:
            self.node(node)
        for value in self.graph.outputs:
            if value.name not in self.known:
                raise _refused(_("'{name}' is used before it is made", name=_short(value.name)))
        if len({value.name for value in self.graph.outputs}) != len(self.graph.outputs):
            raise _refused(_("it gives an output twice"))

    def define(self, name: str, is_from_numbers: bool) -> None:
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise _refused(_("it has a value without a name"))
        if name in self.known:
            raise _refused(_("'{name}' is made twice", name=_short(name)))
        self.known.add(name)
        if is_from_numbers:
            self.from_numbers.add(name)

    def keep(self, name: str, numbers: list | None) -> None:
        if numbers is not None and len(numbers) <= FOLDED:
            if any(not -(2**63) <= number < 2**63 for number in numbers if isinstance(number, int)):
                raise _refused(_("it asks for more than may be: {operator}", operator="int64"))
            self.constants[name] = numbers

    def node(self, node: Node) -> None:
        if node.operator not in OPERATORS:
            raise _refused(_("it has an operator that gipi does not run: {operator}", operator=_short(node.operator)))
        if max(len(node.inputs), len(node.outputs), len(node.attributes)) > MOST_VALUES or not node.outputs:
            raise _refused(
                _("it has a node with too many inputs, or without outputs: {operator}", operator=node.operator)
            )
        for place, name in enumerate(node.inputs):
            if not name and (place < OPTIONAL.get(node.operator, MOST_VALUES) or place == len(node.inputs) - 1):
                raise _refused(_("it leaves out an input of {operator}", operator=node.operator))
            if name and name not in self.known:
                raise _refused(_("'{name}' is used before it is made", name=_short(name)))
        _check_attributes(node)
        for place in SIZED.get(node.operator, ()):
            if place < len(node.inputs) and node.inputs[place] in self.from_numbers:
                raise _refused(_("the numbers of an input would decide a size, in {operator}", operator=node.operator))
            tensor = self.tensors.get(node.inputs[place]) if place < len(node.inputs) else None
            is_odd = tensor and node.operator in ONE_NUMBER and math.prod(tensor.shape) != 1
            if tensor and (is_odd or tensor.dtype not in NUMPY):
                raise _refused(_("it has a size that is none, in {operator}", operator=node.operator))
        self.check_sizes(node)
        self.check_rows(node)
        is_from_numbers = node.operator not in ("Shape", "Size") and not self.from_numbers.isdisjoint(node.inputs)
        for name in filter(None, node.outputs):
            self.define(name, is_from_numbers)
        if len(node.outputs) == 1 and node.outputs[0]:
            self.keep(node.outputs[0], self.folded(node))

    def constant(self, node: Node, place: int) -> list | None:
        return self.constants.get(node.inputs[place]) if place < len(node.inputs) else None

    def folded(self, node: Node) -> list | None:
        """What small constants become, where that is plain; None: not known."""
        if node.operator == "Constant":
            attribute = node.attributes[0]
            if isinstance(attribute.value, Tensor):
                self.tensors[node.outputs[0]] = attribute.value
                return _numbers(attribute.value)
            if attribute.kind in (INTS, FLOATS):
                return list(attribute.value)  # type: ignore[arg-type]
            return [attribute.value] if attribute.kind in (INT, FLOAT) else None
        inputs = [self.constants.get(name) for name in node.inputs if name]
        if node.operator in SAME_NUMBERS and inputs:
            return inputs[0]
        if not inputs or any(numbers is None for numbers in inputs):
            return None
        if node.operator == "Concat":
            return [number for numbers in inputs for number in numbers or ()]
        if node.operator in ARITHMETIC and len(inputs) == 2:
            first, second = inputs[0] or [0], inputs[1] or [0]
            count = max(len(first), len(second))
            pairs = zip(first * (count // len(first)), second * (count // len(second)), strict=False)
            return [ARITHMETIC[node.operator](*pair) for pair in pairs]
        return None

    def check_sizes(self, node: Node) -> None:
        """Sizes that are known now are no larger than any program of ours asks for."""
        first, second = self.constant(node, 0), self.constant(node, 1)
        elements = 0.0
        if node.operator == "ConstantOfShape" and first is not None:
            elements = _product(first)
        elif node.operator in ("Expand", "Tile") and second is not None:
            elements = _product(second)
        elif node.operator == "Range" and None not in (steps := [self.constant(node, place) for place in range(3)]):
            start, limit, step = (numbers[0] if numbers else 0 for numbers in steps)  # type: ignore[union-attr]
            elements = (limit - start) / step if step else math.inf
        elif node.operator == "OneHot" and second:
            elements = max(map(abs, second)) * 64
        elif node.operator == "Pad" and second:
            elements = max(map(abs, second)) * 1024
        elif node.operator == "Resize":
            scales, sizes = self.constant(node, 2) or [0], self.constant(node, 3) or [0]
            elements = max(max(map(abs, scales)) * (1 << 20), _product(sizes))
        if not elements <= LARGEST_ELEMENTS:  # NaN too
            raise _refused(_("it asks for more than may be: {operator}", operator=node.operator))

    def check_rows(self, node: Node) -> None:
        """Recurrent layers are given a row more than there are, so never none, and the lengths of all rows."""
        if node.operator == "Pad" and _adds_rows(node, self.tensors):
            self.with_rows.add(node.outputs[0])
        if node.operator not in LENGTHS:
            return
        if LENGTHS[node.operator] >= len(node.inputs) or not node.inputs[LENGTHS[node.operator]]:
            raise _refused(_("it leaves out an input of {operator}", operator=node.operator))
        if node.inputs[0] not in self.with_rows:
            raise _refused(_("it might have no rows for {operator}", operator=node.operator))


def _adds_rows(node: Node, tensors: dict[str, Tensor]) -> bool:
    """Whether this Pad of three axes makes the second longer, and none shorter."""
    around = tensors.get(node.inputs[1]) if len(node.inputs) in (2, 3) else None
    modes = [attribute.value for attribute in node.attributes]
    if around is None or around.dtype != INT64 or modes not in ([], [b"constant"]):
        return False
    counts = _numbers(around) or []
    return len(counts) == 6 and min(counts) >= 0 and counts[1] + counts[4] > 0


def _check_attributes(node: Node) -> None:
    names = [attribute.name for attribute in node.attributes]
    if len(set(names)) != len(names):
        raise _refused(_("it has a node with a setting twice: {operator}", operator=node.operator))
    if node.operator == "Constant" and len(names) != 1:
        raise _refused(_("it has a constant without a value"))
    for attribute in node.attributes:
        if not _is_sane(attribute):
            what = f"{node.operator}.{_short(attribute.name)}"
            raise _refused(_("it has a setting that cannot be: {what}", what=what))


def _is_sane(attribute: Attribute) -> bool:
    value = attribute.value
    if isinstance(value, Tensor):
        _check_tensor(value, {}, LARGEST_CONSTANT)
        return True
    values: Any = value if isinstance(value, tuple) else (value,)
    if len(values) > LONGEST_LIST or not 0 < len(attribute.name) <= LONGEST_NAME:
        return False
    if attribute.kind in (FLOAT, FLOATS):
        return all(map(math.isfinite, values))
    if attribute.kind in (INT, INTS):
        least, greatest = LIMITS.get(attribute.name, (1, 0))
        is_known = attribute.name not in ("to", "dtype") or all(one in ITEMSIZE for one in values)
        return is_known and all(least <= one <= greatest for one in values)
    is_formula = attribute.name != "equation" or all(re.fullmatch(EQUATION, one.decode("latin-1")) for one in values)
    return is_formula and all(len(one) <= LONGEST_NAME and one.isascii() for one in values)


def _numbers(tensor: Tensor) -> list | None:
    """The numbers of a small constant; None for others."""
    code = NUMPY.get(tensor.dtype)
    if code is None or tensor.data is None or len(tensor.data) > 8 * FOLDED:
        return None
    return np.frombuffer(tensor.data, code).tolist()


def _product(lengths: list) -> float:
    """Of all lengths, as if a missing one (-1 and 0 may mean that) were 1."""
    return math.prod(max(1, abs(length)) for length in lengths)


def _short(name: str) -> str:
    return ascii(name)[1:-1][:80]


def _refused(reason: str) -> Refused:
    return Refused(_("program.onnx cannot be used: {reason}", reason=reason))
