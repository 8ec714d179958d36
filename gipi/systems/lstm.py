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
from typing import Literal

import torch
from torch import Tensor, nn

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.training.player import learner

tasks = ("classify", "regress", "write", "chat")
kinds = ("text",)
defaults = {"steps": 2000, "epochs": 8, "batch_size": 32, "schedule": "cosine", "clip": 1.0, "context": 128}


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


def mirrored(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row of `(B, T, D)` from its last token to its first; what is behind the last stays where it is."""
    places = torch.arange(x.shape[1], device=x.device)
    back = lengths[:, None] - 1 - places  # (B, T), below zero behind the last
    back = torch.where(back < 0, places, back)
    return x.gather(1, back[:, :, None].expand_as(x))


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
        if torch.compiler.is_exporting():  # recurrent layers would be unrolled, for texts of one length alone
            raise UsageError(_("a recurrent network reads texts of any length, step by step"))
        there = x >= 0
        h = self.dropout(self.embedding(x.clamp(min=0)))  # (B, T, D)
        for number, layer in enumerate(self.forth):
            forth = layer(h)[0]
            if self.back:
                lengths = there.sum(1)
                back = mirrored(self.back[number](mirrored(h, lengths))[0], lengths)
                forth = torch.cat([forth, back], 2)
            h = self.dropout(forth)
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
