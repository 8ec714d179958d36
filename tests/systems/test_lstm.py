"""LSTM, GRU and plain network beside PyTorch's own, packed; rows say what they say whoever stands beside them."""

import pytest
import torch
from torch import nn

from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.release.program import quiet
from gipi.systems import lstm

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
every_cell = pytest.mark.parametrize("cell", CELLS)


def net_of(cell: str, output: int = 0, **options) -> lstm.Net:
    torch.manual_seed(0)
    config = lstm.Config(cell=cell, width=8, layers=2, **options)  # type: ignore[arg-type]
    return lstm.Net(Sizes((16,), output, vocabulary=20), config).eval()


def rows() -> torch.Tensor:
    x = torch.randint(0, 20, (4, 10), generator=torch.Generator().manual_seed(0))
    x[0, 5:], x[1, 1:], x[2, 9:] = -1, -1, -1
    return x


@every_cell
def test_both_directions_are_pytorchs_packed(cell):
    net, x = net_of(cell, 3), rows()
    reference = CELLS[cell](8, 8, 2, batch_first=True, bidirectional=True)
    for number in range(2):
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            for way, layers in (("", net.forth), ("_reverse", net.back)):
                getattr(reference, f"{kind}_l{number}{way}").data.copy_(getattr(layers[number], f"{kind}_l0"))
    with torch.no_grad():
        packed = nn.utils.rnn.pack_padded_sequence(
            net.embedding(x.clamp(min=0)), (x >= 0).sum(1), batch_first=True, enforce_sorted=False
        )
        h, _lengths = nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
        expected = torch.stack(
            [torch.cat([row[:n].mean(0), row[:n].amax(0)]) for row, n in zip(h, (x >= 0).sum(1), strict=True)]
        )
        torch.testing.assert_close(net(x), net.head(expected), atol=1e-6, rtol=1e-6)


@every_cell
@pytest.mark.parametrize("directions", ["one", "both"])
def test_padding_and_neighbours_say_nothing(cell, directions):
    net, x = net_of(cell, 3, directions=directions), rows()
    with torch.no_grad():
        together = net(x)
        for row, length in enumerate((x >= 0).sum(1).tolist()):
            assert (net(x[row : row + 1, :length]) - together[row]).abs().max() < 1e-6


def test_an_empty_text_has_an_answer():
    x = torch.full((2, 3), -1)
    x[1] = 4
    with torch.no_grad():
        assert torch.isfinite(net_of("lstm", 2)(x)).all()


@every_cell
def test_token_by_token_is_all_at_once(cell):
    net = net_of(cell)
    x = torch.randint(0, 20, (3, 10))
    with torch.no_grad():
        whole = net(x)
        scores, memory = net.follow(x[:, :4], net.memory(3))
        torch.testing.assert_close(scores, whole[:, 3], atol=1e-6, rtol=1e-6)
        for place in range(4, 10):
            scores, memory = net.follow(x[:, place : place + 1], memory)
            torch.testing.assert_close(scores, whole[:, place], atol=1e-6, rtol=1e-6)
    assert all(part.shape == (3, 2, 8) for part in memory)


def texts(rows: int, most: int) -> torch.Tensor:
    """Rows of different lengths, one of them empty."""
    x = torch.randint(0, 20, (rows, most), generator=torch.Generator().manual_seed(rows))
    return torch.where(torch.arange(most) < torch.arange(rows)[:, None], x, -1)


SIZES = [(1, 1), (5, 4), (3, 40), (0, 2)]
FREE = ({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},)


def slow(*cases) -> list:
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(
    ("cell", "directions"), [("gru", "both"), *slow(("lstm", "both"), ("lstm", "one"), ("rnn", "both"))]
)
def test_onnx_program_reads_texts_of_any_length(cell, directions):
    runtime = pytest.importorskip("onnxruntime", reason="the export extra is not installed")
    pytest.importorskip("onnxscript", reason="the export extra is not installed")
    net = net_of(cell, 3, directions=directions)
    with torch.no_grad(), quiet():
        made = torch.onnx.export(net, (rows(),), dynamo=True, opset_version=20, dynamic_shapes=FREE, verbose=False)
        assert made is not None
        session = runtime.InferenceSession(made.model_proto.SerializeToString())
        (name,) = [one.name for one in session.get_inputs()]
        for count, most in SIZES:
            x = texts(count, most)
            (found,) = session.run(None, {name: x.numpy()})
            torch.testing.assert_close(torch.from_numpy(found), net(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", ["gru", *slow(("lstm",), ("rnn",))])
def test_program_of_pytorch_reads_texts_of_any_length(cell):
    net = net_of(cell, 3)
    with torch.no_grad():
        program = torch.export.export(net, (rows(),), dynamic_shapes=FREE).module()
        for count, most in SIZES:
            x = texts(count, most)
            torch.testing.assert_close(program(x), net(x), atol=1e-6, rtol=1e-5)


def test_forget_gate_begins_open():
    layer = net_of("lstm").forth[0]
    assert (layer.bias_ih_l0[8:16] > 0.5).all() and (layer.bias_ih_l0[:8] < 0.5).all()  # type: ignore[operator, union-attr]


def test_what_writes_has_one_direction():
    with pytest.raises(UsageError, match="both"):
        net_of("lstm", 0, directions="both")
