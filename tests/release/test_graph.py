"""Programs in ONNX: what we read and write is what protobuf and onnxruntime read, and the rules hold."""

import random
import warnings

import numpy as np
import pytest
import torch

from gipi import systems
from gipi.data.schema import Sizes
from gipi.release import graph, graph_rules, operators, tensor_file
from gipi.release.graph import FLOAT, FLOATS, INT, INTS, STRING, STRINGS, TENSOR, Attribute, Graph, Node, Tensor, Value
from gipi.release.refused import Refused
from gipi.release.session import Session

onnx = pytest.importorskip("onnx", reason="the export extra is not installed")
pytest.importorskip("onnxruntime", reason="the export extra is not installed")

SIZES = {"table": Sizes((3,), 3, (2, 4)), "picture": Sizes((1, 8, 8), 3), "environment": Sizes((4,), 2)}
SMALL = {"hidden": (8, 6), "width": 4, "size": "mini", "patch": 4, "latent": 5}
ONCE = ("mlp", "table")  # the others take a while to export
NUMPY = {number: tensor_file.KINDS[name] for name, number in graph.DTYPES.items()}


def every_system() -> list:
    kinds = [(name, kind) for name in systems.names() for kind in systems.describe(name).kinds if kind in SIZES]
    return [pytest.param(*case, marks=[] if case == ONCE else pytest.mark.slow, id="-".join(case)) for case in kinds]


def exported(name: str, kind: str) -> tuple[bytes, torch.Tensor, torch.Tensor]:
    """A small system's network as torch.onnx writes it, inputs, and its outputs for them."""
    system = systems.load(name)
    config = system.Config(**{key: value for key, value in SMALL.items() if key in system.Config.__dataclass_fields__})
    torch.manual_seed(0)
    net = system.Net(SIZES[kind], config).eval()
    x = torch.randn(4, *SIZES[kind].input)
    if kind == "table":
        x = torch.cat([x, *(torch.randint(0, count + 1, (4, 1)).float() for count in SIZES[kind].categories)], 1)
    if "generate" in systems.describe(name).tasks:
        x = torch.randn(4, config.latent)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = net(x)
        sizes = ({0: torch.export.Dim("B")},)
        made = torch.onnx.export(
            net, (x,), dynamo=True, optimize=False, opset_version=20, dynamic_shapes=sizes, verbose=False
        )
    assert made is not None
    return made.model_proto.SerializeToString(), x, y if isinstance(y, torch.Tensor) else y[0]


def answers(program: bytes, x: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


@pytest.mark.parametrize(("name", "kind"), every_system())
def test_exported_systems_are_read_written_and_allowed(name, kind):
    content, x, y = exported(name, kind)
    said = graph.read(content, canonical=False)
    inside = graph.write(said)
    assert onnx.load_from_string(inside).SerializeToString(deterministic=True) == inside
    onnx.checker.check_model(onnx.load_from_string(inside))
    weights = b"".join(
        tensor_file.packed({t.name: np.frombuffer(t.data, NUMPY[t.dtype]).reshape(t.shape) for t in said.tensors})
    )
    program = graph.write(graph.outside(said, tensor_file.header(weights)))
    again = graph.read(program)
    graph_rules.check(again, tensor_file.header(weights))
    before, after = answers(content, x.numpy()), answers(inside, x.numpy())
    assert all((one == other).all() for one, other in zip(before, after, strict=True))
    found = Session(program, tensor_file.arrays(weights)).run({again.inputs[0].name: x.numpy()}, 60)
    assert all((one == other).all() for one, other in zip(before, found.values(), strict=True))
    np.testing.assert_allclose(before[0], y.detach().numpy(), rtol=1e-4, atol=1e-5)


def sample() -> Graph:
    """One of everything."""
    settings = (
        Attribute("a", FLOAT, 0.5),
        Attribute("b", INT, -3),
        Attribute("c", STRING, b"word"),
        Attribute("d", TENSOR, Tensor("", 7, (2,), np.array([1, -1]).tobytes())),
        Attribute("e", FLOATS, (0.25, -1.0)),
        Attribute("f", INTS, (1, -(2**63), 2**63 - 1)),
        Attribute("g", STRINGS, (b"one", b"")),
        Attribute("h", INTS, ()),
    )
    tensors = (
        Tensor("w", 1, (2, 3), None, (1000, 24)),
        Tensor("s", 10, (), bytes(2)),
        Tensor("n", 1, (0,), b""),
    )
    return Graph(
        (Value("x", 1, ("B", 4, None)), Value("size", 7, (2,))),
        (Value("y", 11, ()),),
        (Node("Op", ("x", "", "w"), ("y", ""), settings), Node("Other", (), ("z",))),
        tensors,
        20,
        10,
    )


def test_written_as_protobuf_writes_and_read_back():
    content = graph.write(sample())
    assert graph.read(content) == sample()
    said = onnx.load_from_string(content)
    assert said.SerializeToString(deterministic=True) == content
    node = said.graph.node[0]
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if a.name not in "dh"}
    assert found == {
        "a": 0.5,
        "b": -3,
        "c": b"word",
        "e": [0.25, -1.0],
        "f": [1, -(2**63), 2**63 - 1],
        "g": [b"one", b""],
    }
    assert list(onnx.numpy_helper.to_array(node.attribute[3].t)) == [1, -1]
    assert [d.dim_param or d.dim_value for d in said.graph.input[0].type.tensor_type.shape.dim] == ["B", 4, 0]
    assert {e.key: e.value for e in said.graph.initializer[0].external_data} == {
        "location": "weights.safetensors",
        "offset": "1000",
        "length": "24",
    }


def test_what_is_taken_is_what_protobuf_understands():
    """Thousands of changed programs: each that is taken, protobuf writes just so; nothing is in it that we missed."""
    content, draws, taken = graph.write(sample()), random.Random(0), 0
    for _round in range(6000):
        changed = bytearray(content)
        for _change in range(draws.choice((1, 1, 2))):
            place = draws.randrange(len(changed))
            match draws.randrange(3):
                case 0:
                    changed[place] ^= 1 << draws.randrange(8)
                case 1:
                    changed[place] = draws.randrange(256)
                case 2:
                    stop = place + draws.randrange(6)
                    changed[place:place] = changed[place:stop]
        try:
            graph.read(bytes(changed))
        except Refused:
            continue
        taken += 1
        assert onnx.load_from_string(bytes(changed)).SerializeToString(deterministic=True) == bytes(changed)
    assert taken > 100


def test_exporters_remarks_are_skipped_and_only_then():
    model = onnx.load_from_string(graph.write(allowed()))
    model.producer_name, model.doc_string, model.graph.doc_string = "somebody", "hello", "hello"
    model.metadata_props.add(key="a", value="b")
    model.graph.node[0].name, model.graph.node[0].domain = "n", ""
    model.graph.value_info.add(name="v")
    content = model.SerializeToString()
    assert graph.read(content, canonical=False) == allowed()
    with pytest.raises(Refused):
        graph.read(content)
    model.functions.add(name="f", domain="mine")
    with pytest.raises(Refused):
        graph.read(model.SerializeToString(), canonical=False)


# --- rules -------------------------------------------------------------------------------------------------------


def numbers(name: str, *values: int) -> Tensor:
    return Tensor(name, 7, (len(values),), np.array(values, np.int64).tobytes())


RELU = (Node("Relu", ("x",), ("y",)),)


def allowed(nodes=RELU, tensors=(), inputs=(), opset=20) -> Graph:
    return Graph(
        (Value("x", 1, ("B", 4)), *inputs), (Value("y", 1, (None, None)),), tuple(nodes), tuple(tensors), opset, 10
    )


SIZE = (Value("size", 7, (2,)),)
SHAPE = Node("Shape", ("x",), ("s",))


@pytest.mark.parametrize(
    "program",
    [
        allowed(),
        allowed([Node("Resize", ("x", "", "", "size"), ("y",))], inputs=SIZE),
        allowed([Node("Expand", ("x", "size"), ("y",))], inputs=SIZE),
        allowed([SHAPE, Node("Mul", ("s", "k"), ("t",)), Node("Expand", ("x", "t"), ("y",))], [numbers("k", 2)]),
        allowed([Node("Tile", ("x", "r"), ("y",))], [numbers("r", 1, 8)]),
        allowed([Node("Size", ("x",), ("n",)), Node("Range", ("k", "n", "k"), ("y",))], [numbers("k", 1)]),
        allowed([Node("ConstantOfShape", ("s",), ("y",))], [numbers("s", 1 << 13, 1 << 13)]),
        allowed(opset=23),
    ],
    ids=lambda program: program.nodes[-1].operator,
)  # fmt: skip
def test_allows(program):
    graph_rules.check(graph.read(graph.write(program)), {})


def test_a_size_may_not_come_from_numbers_whatever_way_they_take():
    """Ten operators between an input and a size change nothing; its shape may decide all the same."""
    way = [Node("Cast", ("x",), ("v0",), (Attribute("to", INT, 7),))]
    way += [Node("Add", (f"v{k}", "c"), (f"v{k + 1}",)) for k in range(10)]
    tail = [Node("Reshape", ("v10", "m"), ("s",)), Node("ConstantOfShape", ("s",), ("y",))]
    tensors = [numbers("c", 1), numbers("m", -1)]
    with pytest.raises(Refused, match="numbers of an input would decide a size, in ConstantOfShape"):
        graph_rules.check(allowed([*way, *tail], tensors), {})
    way[5] = Node("Shape", ("v4",), ("v5",))
    graph_rules.check(allowed([*way, *tail], tensors), {})


def test_a_tensor_outside_is_the_one_of_its_name():
    entries = {"w": tensor_file.Entry("F32", (4,), 96, 112)}
    nodes = [Node("Add", ("x", "w"), ("y",))]
    graph_rules.check(allowed(nodes, [Tensor("w", 1, (4,), None, (96, 16))]), entries)
    for wrong in (
        Tensor("w", 1, (4,), None, (92, 16)),
        Tensor("w", 1, (4,), None, (96, 12)),
        Tensor("w", 1, (2, 2), None, (96, 16)),
        Tensor("w", 6, (4,), None, (96, 16)),
        Tensor("v", 1, (4,), None, (96, 16)),
    ):
        with pytest.raises(Refused, match="not in weights"):
            graph_rules.check(allowed(nodes, [wrong]), entries)


PADS = (0, 0, 0, 0, 1, 0)  # a row behind the others
HIDDEN = (Attribute("hidden_size", INT, 1),)


def recurrent(operator="LSTM", pads=PADS, inputs=("p", "w", "r", "", "l"), mode=b"constant", more=()) -> Graph:
    """A recurrent layer behind a Pad of three axes."""
    pad = Node("Pad", ("t", "pads", *more), ("p",), (Attribute("mode", STRING, mode),))
    weights = [Tensor(name, 1, (1, 4, size), bytes(16 * size)) for name, size in (("w", 4), ("r", 1))]
    nodes = [Node("Unsqueeze", ("x", "zero"), ("t",)), pad, Node(operator, inputs, ("y",), HIDDEN)]
    return allowed(nodes, [*weights, numbers("pads", *pads), numbers("zero", 0)], (Value("l", 6, (None,)),))


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_a_recurrent_layer_is_never_without_rows(operator):
    """onnxruntime 1.31 ends the process where one is (tests/release/hostile.py has such programs)."""
    graph_rules.check(recurrent(operator), {})
    graph_rules.check(recurrent(operator, (0, 1, 0, 0, 0, 0)), {})
    for wrong in (
        recurrent(operator, (0, 0, 0, 0, 0, 0)),
        recurrent(operator, (1, 0, 1, 1, 0, 1)),
        recurrent(operator, (0, 2, 0, 0, -1, 0)),
        recurrent(operator, (0, 1, 0, 1)),
        recurrent(operator, mode=b"reflect"),
        recurrent(operator, more=("", "zero")),
        recurrent(operator, inputs=("t", "w", "r", "", "l")),
    ):
        with pytest.raises(Refused, match=f"it might have no rows for {operator}"):
            graph_rules.check(wrong, {})
    for inputs in (("p", "w", "r"), ("p", "w", "r", "", "", "w")):
        with pytest.raises(Refused, match=f"it leaves out an input of {operator}"):
            graph_rules.check(recurrent(operator, inputs=inputs), {})


def test_rows_that_a_recurrent_layer_gets_more_of_are_counted_by_a_constant():
    """Not by sums of constants, whose shapes are not followed."""
    whole = recurrent()
    first, _pad, last = whole.nodes
    nodes = [first, Node("Add", ("pads", "zero"), ("sum",)), Node("Pad", ("t", "sum"), ("p",)), last]
    with pytest.raises(Refused, match="no rows"):
        graph_rules.check(allowed(nodes, whole.tensors, whole.inputs[1:]), {})


PLACES = {("GatherND", 1), ("ScatterND", 1), ("Trilu", 1)}  # int64 that say where, not how much


def test_each_operator_that_asks_for_a_shape_is_watched():
    """By onnx's own descriptions: an input that can be int64 alone is a size, or one of the known others."""
    for operator in operators.OPERATORS:
        for version in graph_rules.OPSETS:
            try:
                schema = onnx.defs.get_schema(operator, version)
            except onnx.defs.SchemaError:
                continue  # newer than this version
            whole = {place for place, one in enumerate(schema.inputs) if set(one.types) == {"tensor(int64)"}}
            whole -= {place for known, place in PLACES if known == operator}
            assert whole <= set(operators.SIZED.get(operator, ())), (operator, version)
    assert operators.SIZED["Range"] == (0, 1, 2) and operators.SIZED["OneHot"] == (1,)  # these take other kinds too


def test_no_operator_with_a_program_or_numbers_of_chance_is_allowed():
    kinds = onnx.defs.OpSchema.AttrType
    for schema in onnx.defs.get_all_schemas():
        if schema.domain == "" and schema.name in operators.OPERATORS:
            assert not any(a.type in (kinds.GRAPH, kinds.GRAPHS) for a in schema.attributes.values()), schema.name
            assert "seed" not in schema.attributes, schema.name
            types = {t for one in (*schema.inputs, *schema.outputs) for t in one.types}
            assert any(t.startswith("tensor") for t in types) or schema.name == "Constant", schema.name


def test_every_whole_number_among_the_settings_has_its_limits():
    """By onnx's descriptions: each setting of an operator that we allow, and each input that may be left out."""
    whole = (onnx.defs.OpSchema.AttrType.INT, onnx.defs.OpSchema.AttrType.INTS)
    for operator in operators.OPERATORS:
        for version in graph_rules.OPSETS:
            try:
                schema = onnx.defs.get_schema(operator, version)
            except onnx.defs.SchemaError:
                continue
            names = {name for name, setting in schema.attributes.items() if setting.type in whole}
            assert names <= set(operators.LIMITS), (operator, version)
            optional = [place for place, one in enumerate(schema.inputs) if one.option.name == "Optional"]
            assert not optional or operators.OPTIONAL[operator] == optional[0], (operator, version)
