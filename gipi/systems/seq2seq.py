"""Seq2seq: one recurrent network reads a sentence, another writes its translation, and looks back at what was read.

Sutskever, Vinyals, Le, "Sequence to Sequence Learning with Neural Networks", 2014, https://arxiv.org/abs/1409.3215
(`--attention none`: the source is read backwards, and all that is known of it is the last state); Bahdanau, Cho,
Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", 2014, https://arxiv.org/abs/1409.0473
(additive: the source is read both ways, and each word of the translation looks for its place in it); Luong, Pham,
Manning, "Effective Approaches to Attention-based Neural Machine Translation", 2015, https://arxiv.org/abs/1508.04025
(dot: their "general" score, asked after the recurrence). The cell: GRU of Cho et al. 2014, LSTM, or Elman's of 1990.
Ours differs: without maxout, the state, what was found and the last word go through one tanh layer to the word table,
which source, target and output share; AdamW with dropout.

B rows, K hypotheses of a row, S source tokens, T target tokens, D width, H what is read (2 D or D), V target vocabulary
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.training.player import translator

tasks = ("translate",)
kinds = ("text",)
defaults = {
    "epochs": 10,
    "batch_size": 64,
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
    "clip": 1.0,
    "vocabulary": 4000,
}


@dataclass(frozen=True)
class Config:
    cell: Literal["lstm", "gru", "rnn"] = "gru"  # what remembers
    attention: Literal["additive", "dot", "none"] = "dot"  # how the source is looked at; none: only its last state
    width: int = 256  # numbers in a state, one direction, and in a word's vector
    layers: int = 1  # one upon the other
    tied: bool = True  # one vocabulary and one table of embeddings for both languages and for the output
    dropout: float = 0.2  # share of what each layer gives that is switched off at each step
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 2e-3  # largest step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step
    beams: int = 4  # beginnings of a translation that are kept while it is looked for; 1: the greedy way
    length_penalty: float = 0.6  # how much the length of a translation is forgiven; 0: not, so short ones win


def recurrence(config: Config, inputs: int, layers: int, both_ways: bool = False) -> nn.RNNBase:
    """Layers of the cell, rows first; an LSTM begins by forgetting nothing (Jozefowicz et al. 2015)."""
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[config.cell]
    dropout = config.dropout if layers > 1 else 0.0
    made = kind(inputs, config.width, layers, batch_first=True, dropout=dropout, bidirectional=both_ways)
    if config.cell == "lstm":
        for name, bias in made.named_parameters():
            if name.startswith("bias_ih"):
                nn.init.ones_(bias.data[config.width : 2 * config.width])
    return made


def backwards(x: Tensor) -> Tensor:
    """Each row `(B, S)` from its last token to its first; -1 stays behind the end.

    Example:
        >>> backwards(torch.tensor([[5, 6, 7], [8, 9, -1]]))
        tensor([[ 7,  6,  5],
                [ 9,  8, -1]])
    """
    places = torch.arange(x.shape[1], device=x.device).expand_as(x)
    mirror = (x >= 0).sum(1, keepdim=True) - 1 - places
    return x.gather(1, torch.where(mirror >= 0, mirror, places))


class Additive(nn.Module):
    """v tanh(W s + U h): Bahdanau's score of each place for each state; appendix A.1.2."""

    def __init__(self, width: int, read: int):
        super().__init__()
        self.ask = nn.Linear(width, width, bias=False)
        self.know = nn.Linear(read, width)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:  # (B, T, D), (B, S, D) -> (B, T, S)
        return self.weigh((self.ask(states)[:, :, None] + keys[:, None]).tanh())[..., 0]


class Dot(nn.Module):
    """s W h: Luong's "general" score of each place for each state; section 3.1."""

    def __init__(self, width: int, read: int):
        super().__init__()
        self.know = nn.Linear(read, width, bias=False)

    def forward(self, states: Tensor, keys: Tensor) -> Tensor:
        return states @ keys.transpose(1, 2)


class Net(nn.Module):
    """Reads a text `(B, S)`, -1 behind its end, and goes on with its translation."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        width, layers = config.width, config.layers
        self.kind = config.attention
        looks = self.kind != "none"
        read = (2 if looks else 1) * width
        self.embedding = table(sizes.vocabulary, width)
        is_one = config.tied and sizes.target_vocabulary == sizes.vocabulary
        self.target_embedding = None if is_one else table(sizes.target_vocabulary, width)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = recurrence(config, width, layers, both_ways=looks)
        self.bridge = nn.Linear(width, width) if looks else None
        self.attention = {"additive": Additive, "dot": Dot}[self.kind](width, read) if looks else None
        self.decoder = recurrence(config, width + (read if self.kind == "additive" else 0), layers)
        self.readout = nn.Linear({"additive": 2 * width + read, "dot": width + read, "none": width}[self.kind], width)
        self.bias = nn.Parameter(torch.zeros(sizes.target_vocabulary))
        self.output = None if config.tied else nn.Linear(width, sizes.target_vocabulary, bias=False)

    def forward(self, x: Tensor, said: Tensor | None = None) -> Tensor:
        """Scores `(B, T, V)` of what follows each of `said` `(B, T)`; nothing said stands for token 0, which begins."""
        source = self.read(x)
        said = x.new_zeros(len(x), 1) if said is None else said
        return self._write(said, source, self.state(source))[0]

    @property
    def words(self) -> nn.Embedding:
        """The embeddings of the target."""
        return self.embedding if self.target_embedding is None else self.target_embedding

    # --- the source

    def read(self, x: Tensor) -> list[Tensor]:
        """What was read `(B, S, H)`, what that is found by `(B, S, D)`, where it is `(B, S)`, and the first states.

        The rows are packed: the way back begins at each row's last word, and no padding has a part in anything.
        """
        x = backwards(x) if self.attention is None else x
        there = x >= 0
        packed = pack_padded_sequence(
            self.dropout(self.embedding(x.clamp(min=0))), there.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, last = self.encoder(packed)
        seen = self.dropout(pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0])
        last = last if isinstance(last, tuple) else (last,)  # an LSTM's: hidden, cell
        if self.attention is None or self.bridge is None:
            return [seen, seen, there, *(part.transpose(0, 1) for part in last)]
        first, *cell = (part[1::2].transpose(0, 1) for part in last)  # of the way back, (B, layers, D)
        return [seen, self.attention.know(seen), there, self.bridge(first).tanh(), *cell]

    def state(self, source: list[Tensor]) -> list[Tensor]:
        """The states before anything is said, `(B, layers, D)` each."""
        return source[3:]

    # --- the target

    def _write(
        self, said: Tensor, source: list[Tensor], state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Scores `(B K, T, V)` behind each token of `(B K, T)`, the states then, and where was looked `(B K, T, S)`."""
        words = self.dropout(self.words(said.clamp(min=0)))  # (B K, T, D)
        if self.kind == "additive":
            return self._step_by_step(words, source, state)
        states, state = self._carried(words, state)
        if self.attention is None:
            return self.scores(states), state, None
        found, looked = self._look(states, source)
        return self.scores(torch.cat([states, found], 2)), state, looked

    def _step_by_step(
        self, words: Tensor, source: list[Tensor], state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """As Bahdanau has it: where to look is asked by the state before, and what is found goes into the next."""
        made: list[Tensor] = []
        places: list[Tensor] = []
        for word in words.split(1, 1):  # (B K, 1, D)
            found, looked = self._look(state[0][:, -1:], source)
            now, state = self._carried(torch.cat([word, found], 2), state)
            made.append(torch.cat([now, found, word], 2))
            places.append(looked)
        return self.scores(torch.cat(made, 1)), state, torch.cat(places, 1)

    def _carried(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The decoder's states `(B K, T, D)` for what goes in, and its last."""
        before = [part.transpose(0, 1).contiguous() for part in state]
        states, last = self.decoder(x, before[0] if len(before) == 1 else (before[0], before[1]))
        return states, [part.transpose(0, 1) for part in (last if isinstance(last, tuple) else (last,))]

    def _look(self, states: Tensor, source: list[Tensor]) -> tuple[Tensor, Tensor]:
        """What states `(B K, T, D)` find, `(B K, T, H)`, and how much they look at each place, `(B K, T, S)`."""
        assert self.attention is not None
        seen, keys, there = source[:3]
        asked = states.reshape(len(seen), -1, states.shape[2])  # the K hypotheses of a row ask side by side
        looked = self.attention(asked, keys).masked_fill(~there[:, None], -torch.inf).softmax(2)
        return (looked @ seen).reshape(*states.shape[:2], -1), looked.reshape(*states.shape[:2], -1)

    def scores(self, x: Tensor) -> Tensor:
        """States and what was found, `(B K, T, ...)`, as scores of the next token."""
        x = self.dropout(self.readout(x).tanh())
        return linear(x, self.words.weight if self.output is None else self.output.weight, self.bias)

    def follow(self, said: Tensor, source: list[Tensor], state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Scores `(B K, V)` of what follows the token `(B K,)` said last, and the states then."""
        scores, state, _looked = self._write(said[:, None], source, state)
        return scores[:, 0], state

    def attended(self, x: Tensor, said: Tensor) -> Tensor | None:
        """How much the network looks at each of the source when it says what follows each of `said`, `(B, T, S)`."""
        source = self.read(x)
        return self._write(said, source, self.state(source))[2]


def table(vocabulary: int, width: int) -> nn.Embedding:
    """An embedding whose vectors have a length of about one."""
    made = nn.Embedding(vocabulary, width)
    nn.init.normal_(made.weight, std=width**-0.5)
    return made


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small, for batches `(x, y)`."""
    return translator(net, loss, from_config(config, schedule))
