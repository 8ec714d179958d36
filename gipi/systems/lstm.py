"""LSTM: a text read token by token into a memory, which says what comes next, or what the text is.

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997, https://doi.org/10.1162/neco.1997.9.8.1735,
with the forget gate of Gers, Schmidhuber & Cummins 2000; the GRU (`--cell gru`) of Cho et al. 2014,
https://arxiv.org/abs/1406.1078; the plain network (`--cell rnn`) of Elman 1990; both directions (of a text that is
judged) as in Schuster & Paliwal 1997.
Ours differs: PyTorch's gates, without peepholes; the forget gate begins open (Jozefowicz et al. 2015); a text is judged
by the mean and the maximum of all that was in the memory, not by its last state alone.

`Sizes` choose the head: `output` numbers for a text, else a score for each token of the vocabulary at each place.

B batch, T tokens, V vocabulary, L layers, D width, K outputs
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.training.player import learner

tasks = ("classify", "regress", "write", "chat")
kinds = ("text",)
defaults = {"steps": 2000, "epochs": 8, "batch_size": 32, "schedule": "cosine", "clip": 1.0, "context": 128}


# where each of ONNX's gates (iofc, zrh) stands among PyTorch's (ifco, rzh)
ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


@dataclass(frozen=True)
class Config:
    cell: Literal["lstm", "gru", "rnn"] = "lstm"  # what remembers
    width: int = 128  # numbers in the memory of each layer and direction; as many stand for a token
    layers: int = 1  # one upon the other
    directions: Literal["auto", "one", "both"] = "auto"  # auto: both where a text is judged; what writes has one
    dropout: float = 0.2  # share of what each layer gives that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 3e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


def recurrent(cell: str, inputs: int, width: int) -> nn.RNNBase:
    """One layer in one direction: `(B, T, inputs)` to `(B, T, width)`."""
    layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](inputs, width, batch_first=True)
    if cell == "lstm":
        with torch.no_grad():
            layer.bias_ih_l0[width : 2 * width] += 1.0  # the forget gate
    return layer


def weights_of(layer: nn.RNNBase) -> list[Tensor]:
    """What meets the tokens, what meets the memory, and the bias of each."""
    return [getattr(layer, name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]


def mirrored(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row of `(B, T, D)` from its last token to its first; what is behind the last stays where it is."""
    places = torch.arange(x.shape[1], device=x.device)
    back = lengths[:, None] - 1 - places  # (B, T), below zero behind the last
    back = torch.where(back < 0, places, back)
    return x.gather(1, back[:, :, None].expand_as(x))


def read(ways: list, x: Tensor, lengths: Tensor) -> Tensor:
    """What a layer of one direction or both makes of `(B, T, inputs)`: `(B, T, ways D)`, of any kind behind the end."""
    if torch.onnx.is_in_onnx_export():
        return as_operator(ways, x, lengths)
    run = as_loop if torch.compiler.is_exporting() else in_order
    if len(ways) == 1:
        return run(ways[0], x)
    forth, back = ways
    return torch.cat([run(forth, x), mirrored(run(back, mirrored(x, lengths)), lengths)], 2)


def in_order(layer: nn.RNNBase, x: Tensor) -> Tensor:
    """One direction, from the first token on: `(B, T, inputs)` to `(B, T, D)`."""
    return layer(x)[0]


def as_loop(layer: nn.RNNBase, x: Tensor) -> Tensor:
    """The same as a loop, for a program of PyTorch's: its exporter would unroll a layer, for texts of one length."""
    from torch._higher_order_ops.scan import scan  # torch has no public name for it yet

    weights = weights_of(layer)
    first = x.new_zeros(x.shape[0], layer.hidden_size)

    def step(state: tuple[Tensor, ...], tokens: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        if layer.mode == "LSTM":
            state = torch.lstm_cell(tokens, state, *weights)
        else:
            cell = torch.gru_cell if layer.mode == "GRU" else torch.rnn_tanh_cell
            state = (cell(tokens, state[0], *weights),)
        return state, state[0].clone()

    begin = (first, first.clone()) if layer.mode == "LSTM" else (first,)
    return scan(step, begin, x.transpose(0, 1))[1].transpose(0, 1)


def as_operator(ways: list[nn.RNNBase], x: Tensor, lengths: Tensor) -> Tensor:
    """`read` in a program of ONNX: its own LSTM, GRU or RNN, which gives 0 behind the end of a text.

    https://onnx.ai/onnx/operators/onnx__LSTM.html: its gates stand in another order than PyTorch's. They are put in
    order in the program, so that a bundle's weights stay the network's; onnxruntime does it once, on opening.
    """
    name, width = ways[0].mode.removesuffix("_TANH"), ways[0].hidden_size
    parts = zip(*map(weights_of, ways), strict=True)
    inner, outer, *biases = (torch.stack([ordered(weight, name) for weight in part]) for part in parts)
    attributes: dict[str, Any] = {"hidden_size": width}
    if len(ways) == 2:
        attributes["direction"] = "bidirectional"
    if name == "GRU":  # as PyTorch has it: the reset gate acts on what the memory has become, bias and all
        attributes["linear_before_reset"] = 1
    # One row more, of no tokens: onnxruntime 1.31 ends the whole process when it is given no rows.
    rows, lengths = F.pad(x.transpose(0, 1), (0, 0, 0, 1)), F.pad(lengths.int(), (0, 1))
    given = (rows, inner, outer, torch.cat(biases, 1), lengths)
    shape = (x.shape[1], len(ways), x.shape[0] + 1, width)
    h = torch.onnx.ops.symbolic(name, given, attributes, dtype=x.dtype, shape=shape, version=14)
    return h[:, :, :-1].permute(2, 0, 1, 3).flatten(2)


def ordered(weight: Tensor, name: str) -> Tensor:
    """`(gates D, ...)` with the gates in ONNX's order, which begin in PyTorch's."""
    gates = weight.chunk(len(ORDERS[name]))
    return torch.cat([gates[place] for place in ORDERS[name]]) if len(gates) > 1 else weight


class Net(nn.Module):
    """Tokens, layers of memory, and a head.

    Attributes:
        context: How many tokens its memory holds; None: any number, each fades.
    """

    context = None

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.is_judge = sizes.output > 0
        if config.directions == "both" and not self.is_judge:
            raise UsageError(_("what writes cannot read from the end: --directions both is for texts that are judged"))
        is_both = config.directions == "both" or (config.directions == "auto" and self.is_judge)
        width, ways = config.width, 2 if is_both else 1
        self.embedding = nn.Embedding(sizes.vocabulary, width)
        self.dropout = nn.Dropout(config.dropout)
        layers = range(config.layers)
        self.forth = nn.ModuleList(recurrent(config.cell, (ways if n else 1) * width, width) for n in layers)
        self.back = nn.ModuleList(recurrent(config.cell, 2 * width if n else width, width) for n in layers if is_both)
        self.head = nn.Linear(2 * ways * width, sizes.output) if self.is_judge else nn.Linear(width, sizes.vocabulary)
        nn.init.normal_(self.embedding.weight, std=0.1)  # as large as what the layers begin with

    def forward(self, x: Tensor) -> Tensor:  # (B, T), -1 where a text has ended
        there = x >= 0
        lengths = there.sum(1)
        h = self.dropout(self.embedding(x.clamp(min=0)))  # (B, T, D)
        for number, forth in enumerate(self.forth):
            ways = [forth, self.back[number]] if self.back else [forth]
            h = self.dropout(read(ways, h, lengths))  # (B, T, ways D)
        return self.head(self.summary(h, there) if self.is_judge else h)

    def summary(self, h: Tensor, there: Tensor) -> Tensor:
        """Mean and maximum of each number over the tokens that are there: `(B, T, ways D)` to `(B, 2 ways D)`."""
        is_gap = ~there[:, :, None]
        mean = h.masked_fill(is_gap, 0).sum(1) / there.sum(1, keepdim=True).clamp(min=1)
        most = h.masked_fill(is_gap, torch.finfo(h.dtype).min).amax(1)
        return torch.cat([mean, torch.where(there.any(1, keepdim=True), most, 0)], 1)

    # --- writing

    def memory(self, rows: int) -> list[Tensor]:
        """What it remembers before the first token: `(rows, L, D)`, of an LSTM twice."""
        first = self.forth[0]
        assert isinstance(first, nn.RNNBase)
        count = 2 if isinstance(first, nn.LSTM) else 1
        shape = (rows, len(self.forth), first.hidden_size)
        return [self.head.weight.new_zeros(shape) for _part in range(count)]

    def follow(self, x: Tensor, memory: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The scores `(B, V)` of what comes behind new tokens `(B, n)`, and what it remembers then."""
        h, new = self.embedding(x), []
        for number, layer in enumerate(self.forth):
            state = tuple(part[None, :, number].contiguous() for part in memory)  # (1, B, D) each
            h, state = layer(h, state if len(state) == 2 else state[0])
            new.append(state if isinstance(state, tuple) else (state,))
        together = [torch.stack([layer[part][0] for layer in new], 1) for part in range(len(memory))]
        return self.head(h[:, -1]), together


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""
    return learner(net, loss, from_config(config, schedule))
