"""Fill: a text with words left out in, the words that may stand there out, each with its probability.

Figures are of masked tokens of windows that nobody learned from (data/masking.py has what is masked): `accuracy`, how
often the most probable token is the right one; `loss`, the mean surprise at the right one in nats; `perplexity`, its
exponential: as unsure as among so many tokens that are equally probable. They depend on the tokenizer: compare models
with the same tokens only.

n windows, B rows, M masks of a row, V vocabulary
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi.data.asked import texts_asked
from gipi.data.corpus import open_corpus
from gipi.data.encode import tokenizer_in
from gipi.data.masking import EDGES, covering, masked, most_asked, ordinary
from gipi.data.schema import Schema
from gipi.data.stream import generator
from gipi.data.token_files import tokens_of
from gipi.data.tokenizers import Tokenizer
from gipi.errors import DataError
from gipi.messages import _
from gipi.tasks.intervals import Array, Metric, Resample

default = {"text": "bert"}
loss = None  # the system has its own
MARK = "[MASK]"  # what a person writes in place of a word
SHOWN = 10  # words that are answered for each mask
AT_ONCE = 32  # windows that go through a network together
MOST = 400  # windows that figures are of
RIGHT, SURPRISE, ASKED = range(3)  # what is summed of each window

Masked = tuple[Tensor, Tensor, Tensor]  # x `(B, T)`, places `(B, M)`, y `(B, M)`: -1 where nothing is asked


def output(schema: Schema) -> int:
    """A score of each word of the vocabulary at each place, and none for the text as a whole."""
    return 0


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "accuracy"


# --- figures -----------------------------------------------------------------------------------------------------


def held_out(tokens: Array, tokenizer: Tokenizer, context: int, seed: int, most: int = MOST) -> Masked:
    """Windows that cover a part once, at most so many, with masks that are the same each time."""
    x = covering(tokens, context, tokenizer, most)
    return masked(x, tokenizer.mask, ordinary(tokenizer), most_asked(x.shape[1]), generator(seed, "held out"))


def scored(members: Sequence[Any], held: Masked) -> Array:
    """RIGHT, SURPRISE and ASKED of each window `(n, 3)`, by the members' mean probability."""
    device = next(members[0].parameters()).device
    found = []
    for x, places, y in zip(*(part.split(AT_ONCE) for part in held), strict=True):
        with torch.no_grad():
            each = [member.guesses(x.to(device), places.to(device)).float().softmax(2) for member in members]
        found.append(sums_of(torch.stack(each).mean(0).cpu().log(), y))
    return np.concatenate(found)


def sums_of(logs: Tensor, y: Tensor) -> Array:
    """RIGHT, SURPRISE and ASKED of each window `(B, 3)` of logarithms of probabilities `(B, M, V)` and tokens y."""
    is_asked = y >= 0
    right = (logs.argmax(2) == y) & is_asked
    surprise = -logs.gather(2, y.clamp(min=0)[:, :, None])[:, :, 0].clamp(min=-100.0) * is_asked
    return torch.stack([right.sum(1), surprise.sum(1), is_asked.sum(1)], 1).double().numpy()


def accuracy_of(sums: Array) -> Array:
    """Accuracy of sums `(..., 3)`."""
    return sums[..., RIGHT] / np.maximum(sums[..., ASKED], 1)


def metrics(sums: Array, intervals: bool = True, seed: int = 0) -> dict[str, Metric]:
    """Accuracy, loss and perplexity of sums of windows `(n, 3)`; intervals by the bootstrap over windows."""
    resample = Resample(len(sums), 1000 if intervals else 0, seed)
    blocks = resample.sums(sums)

    def surprise(s: Array) -> Array:
        return s[..., SURPRISE] / np.maximum(s[..., ASKED], 1)

    return {
        "accuracy": resample.metric(blocks, accuracy_of, is_share=True),
        "loss": resample.metric(blocks, surprise, higher_is_better=False),
        "perplexity": resample.metric(blocks, lambda s: np.exp(surprise(s)), higher_is_better=False),
    }


def score_source(model: Any, data: Any, intervals: bool = True) -> dict[str, Metric]:
    """All figures on other text, as `fit` takes it; what is masked is the same each time."""
    tokenizer = tokenizer_in(model.schema)
    corpus = open_corpus(data)
    tokens = tokens_of(corpus, tokenizer)
    if len(tokens) < 2:
        raise DataError(_("{name}: two words at least are needed to guess one by the other", name=corpus.name))
    held = held_out(tokens, tokenizer, model.schema.inputs[0].shape[0], model.extra.get("seed", 0))
    return metrics(scored(model.members, held), intervals)


# --- answers -----------------------------------------------------------------------------------------------------


def cut_at_marks(text: str, tokenizer: Tokenizer) -> list[int]:
    """The tokens of a text, with the mask's where a mark stands: `[MASK]`, or what the tokenizer calls it.

    A token that begins a word has the blank before it inside; so a blank before a mark is left to the word that is
    looked for, but where each character is a token. Tokens that are whole words are cut with a word at each mark.
    """
    parts = parts_around(text, tokenizer)
    word = next((id for id, is_word in enumerate(tokenizer.spaced) if is_word), None)
    if word is not None and (ids := _with_word(parts, tokenizer, word)):
        return ids
    ids = []
    for place, part in enumerate(parts):
        is_cut = place < len(parts) - 1 and tokenizer.kind != "characters"
        ids += [*[tokenizer.mask] * (place > 0), *tokenizer.encode(part.removesuffix(" ") if is_cut else part)]
    return ids


def parts_around(text: str, tokenizer: Tokenizer) -> list[str]:
    """A text cut where marks stand."""
    for name in {MARK, tokenizer.shown(tokenizer.mask)}:
        text = text.replace(name, "\0")  # no text has it: it was cleaned
    return text.split("\0")


def _with_word(parts: list[str], tokenizer: Tokenizer, word: int) -> list[int]:
    """The same by way of a text that has this word at each mark; nothing where it grows together with others."""
    filler = tokenizer.shown(word)
    ends = np.cumsum([len(part) + len(filler) for part in parts[:-1]]).tolist()
    marks = {(end - len(filler), end) for end in ends}
    pieces = tokenizer.pieces(filler.join(parts))
    ids = [tokenizer.mask if (start, stop) in marks else id for id, start, stop in pieces]
    return ids if ids.count(tokenizer.mask) == len(marks) else []


def predict(model: Any, rows: Any, seed: int = 0) -> list[dict[str, Any]]:
    """For each text `{"text": filled in, "words": [{"word", "probability"}]}`: what may stand at `[MASK]`, best first.

    Where a text has several masks `words` is of the first, and `masks` has the same list for each.

    Raises:
        DataError: A text has no mask.
    """
    tokenizer, room = tokenizer_in(model.schema), model.schema.inputs[0].shape[0] - EDGES
    answers = []
    for number, text in enumerate(texts_asked(rows, model.schema.inputs[0].name), 1):
        ids = cut_at_marks(text, tokenizer)
        places = [place for place, id in enumerate(ids) if id == tokenizer.mask]
        if not places:
            raise DataError(
                _("row {row}: there is no {mark} in the text; write it where a word is left out", row=number, mark=MARK)
            )
        found = [_words(model, ids, place, room, tokenizer) for place in places]
        answer: dict[str, Any] = {"text": _filled(text, found, tokenizer), "words": found[0]}
        answers.append(answer | ({"masks": found} if len(found) > 1 else {}))
    return answers


def _words(model: Any, ids: list[int], place: int, room: int, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The most probable words at one mask; of a long text as much around it as the network can see."""
    start = max(0, min(place - room // 2, len(ids) - room))
    x = torch.tensor([[tokenizer.begin, *ids[start : start + room], tokenizer.end]])
    device = next(model.members[0].parameters()).device
    where = torch.tensor([[1 + place - start]], device=device)
    with torch.no_grad():
        each = [member.guesses(x.to(device), where)[0, 0].double().softmax(0) for member in model.members]
    mean = torch.stack(each).mean(0).cpu()
    for id in tokenizer.special:
        mean[id] = 0.0
    best = mean.topk(min(SHOWN, len(mean) - len(tokenizer.special)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{"word": tokenizer.shown(id).strip() or tokenizer.shown(id), "probability": sure} for id, sure in pairs]


def _filled(text: str, found: Sequence[Sequence[dict[str, Any]]], tokenizer: Tokenizer) -> str:
    """The text with the most probable word at each mask."""
    first, *rest = parts_around(text, tokenizer)
    return first + "".join(words[0]["word"] + part for words, part in zip(found, rest, strict=True))
