"""Translate: a text in one language becomes a text in another, found token by token by beam search.

A batch is `(x, y)`: the tokens of the sources and of their translations, each row `[begin] tokens [end]` and -1 behind
its end. Figures: BLEU and chrF as sacreBLEU computes them (tasks/bleu.py), with intervals by bootstrap over the texts.

B rows, S source tokens, T target tokens, V target vocabulary
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gipi.data.schema import Schema
from gipi.data.text_rows import ENDED
from gipi.data.tokenizers import Tokenizer, tokenizer_of
from gipi.errors import UsageError
from gipi.messages import _
from gipi.models.beam import Said, search
from gipi.tasks.bleu import bleu, bleu_counts, counts_of, figures, signature
from gipi.tasks.compared import FEWEST, Way, verdict
from gipi.tasks.figures import chance, distance, duration, figure
from gipi.tasks.intervals import Array, Metric, Resample
from gipi.tasks.verdict import Verdict

__all__ = ["figures", "signature"]  # of bleu.py, for whoever scores translations

default = {"text": "seq2seq"}
AT_ONCE = 64  # rows that are translated together
LONGER = 2, 10  # a translation has at most twice as many tokens as its source, and ten more


def output(schema: Schema) -> int:
    """Numbers for each row: none, some for each token."""
    return 0


def headline(schema: Schema) -> str:
    """The metric that a person reads first."""
    return "bleu"


def loss(label_smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Minus the log-probability of each token `(B, T)`, from scores `(B, T, V)`: the mean over those that are there."""

    def of(output: Tensor, y: Tensor) -> Tensor:
        scores, wanted = output.flatten(0, 1).float(), y.flatten()
        return cross_entropy(scores, wanted, ignore_index=ENDED, label_smoothing=label_smoothing)

    return of


def count(batch: tuple[Tensor, ...]) -> Tensor:
    """What the loss of a batch is a mean over: all target tokens but those that begin."""
    return (batch[1][:, 1:] != ENDED).sum()


def target_tokenizer(schema: Schema) -> Tokenizer:
    """How translations become tokens; one that both languages share stands with the source."""
    return tokenizer_of(schema.targets[0].tokenizer or schema.inputs[0].tokenizer)


# --- answers -----------------------------------------------------------------------------------------------------


def translated(net: Any, x: Tensor, schema: Schema, beams: int, alpha: float) -> list[Said]:
    """The best translation that was found for each row `(B, S)`; what has no word has an empty one."""
    tokenizer, longest = target_tokenizer(schema), schema.targets[0].shape[0]
    where = next(net.parameters()).device
    lengths = (x != ENDED).sum(1)
    found: list[Said] = [Said([], 0.0, 0.0, True)] * len(x)
    order = lengths.argsort(stable=True)
    order = order[lengths[order] > 2]  # more than a beginning and an end
    factor, more = LONGER
    for rows in order.split(AT_ONCE) if len(order) else ():
        most = (factor * lengths[rows] + more).clamp(max=longest).to(where)
        with torch.no_grad():
            source = net.read(x[rows, : int(lengths[rows].max())].long().to(where))
            ends = {"begin": tokenizer.begin, "end": tokenizer.end}
            said = search(net.follow, source, net.state(source), **ends, most=most, beams=beams, alpha=alpha)
        for row, one in zip(rows.tolist(), said, strict=True):
            found[row] = one
    return found


def texts_said(found: Sequence[Said], schema: Schema) -> list[str]:
    """Tokens as a person reads them."""
    tokenizer = target_tokenizer(schema)
    return [tokenizer.decode(one.tokens).strip() for one in found]


def told(model: Any, x: Tensor) -> list[dict[str, Any]]:
    """The answers to encoded rows: the translation, and its log-probability over the penalty of its length."""
    return in_words(model, found_by(model, x))


def found_by(model: Any, x: Tensor) -> list[Said]:
    """The best translations that a model finds, by its own settings."""
    return translated(model.members[0], x, model.schema, model.config["beams"], model.config["length_penalty"])


def in_words(model: Any, found: Sequence[Said]) -> list[dict[str, Any]]:
    """What was found, for a person."""
    said = texts_said(found, model.schema)
    return [{"text": text, "score": round(one.score, 4)} for text, one in zip(said, found, strict=True)]


def looked(model: Any, x: Tensor, found: Sequence[Said]) -> list[tuple[list[str], list[str], Array]] | None:
    """Where was looked for each token of each translation: source tokens, target tokens, `(T, S)`; None: nowhere.

    The last row is the end of the translation.
    """
    tokenizer, source = target_tokenizer(model.schema), tokenizer_of(model.schema.inputs[0].tokenizer)
    net = model.members[0]
    where = next(net.parameters()).device
    seen = []
    for row, one in zip(x, found, strict=True):
        tokens = row[row != ENDED].long()
        said = torch.tensor([[tokenizer.begin, *one.tokens]], device=where)
        with torch.no_grad():
            weights = net.attended(tokens[None].to(where), said)
        if weights is None:
            return None
        names = [_name(source, token) for token in tokens.tolist()]
        seen.append(
            (names, [_name(tokenizer, token) for token in (*one.tokens, tokenizer.end)], weights[0].cpu().numpy())
        )
    return seen


def _name(tokenizer: Tokenizer, token: int) -> str:
    """A token for a person; what begins and ends a text is no part of it."""
    names = {tokenizer.begin: "⊢", tokenizer.end: "⊣"}
    return names.get(token) or tokenizer.shown(token).strip() or tokenizer.shown(token)


# --- scores ------------------------------------------------------------------------------------------------------


def score_source(model: Any, source: Any, intervals: bool = True) -> dict[str, Metric]:
    """All figures on texts whose translations are known.

    Args:
        model: The kept model.
        source: A table or parallel files with the columns that it was trained on; or `(sources, translations)`.
        intervals: Find the 95 % intervals.

    Raises:
        UsageError: There are no rows.
        DataError: A column is missing.
    """
    from gipi.data.dataset import Dataset
    from gipi.data.text_rows import texts_of
    from gipi.data.texts import open_rows

    ours, theirs = model.schema.inputs[0].name, model.schema.targets[0].name
    data = source if isinstance(source, Dataset) else open_rows(source, (ours,), (theirs,), None)
    if not len(data):
        raise UsageError(_("there is not a single row to look at"))
    (x,) = model.encode(replace(data, text=(ours,)))
    said = [answer["text"] for answer in told(model, x)]
    return figures(said, texts_of(data, theirs), intervals)


def judged(name: str, counts: Array, seconds: float, rivals: list[Way], seed: int = 0) -> Verdict:
    """Our translations against simpler ways to them, on the same texts.

    Args:
        name: Of our model.
        counts: BLEU's, `(n, 10)` of each test text.
        seconds: What fitting it cost.
        rivals: The simpler ways.
        seed: Of the resampling.
    """

    def metrics_of(sums: Array) -> dict[str, Metric]:
        resample = Resample(len(sums), 1000, seed)
        return {"bleu": resample.metric(resample.sums(sums), bleu)}

    found = verdict(name, counts, seconds, rivals, "bleu", metrics_of, bleu, seed=seed)
    note = _("the best of the simpler ways was chosen on these same test texts, which flatters it a little")
    return replace(found, sentence=sentence(found), note=f"{note}; {signature()}")


def sentence(verdict: Verdict) -> str:
    """The verdict in a sentence."""
    ours = verdict.models[0]
    if verdict.rival is None or verdict.difference is None or verdict.p_value is None:
        return _("There is nothing to compare {ours} with.", ours=ours.title)
    rival = next(row for row in verdict.models if row.name == verdict.rival)
    assert ours.figure is not None and rival.figure is not None
    words = {
        "ours": ours.title,
        "ours_figure": figure("bleu", ours.figure),
        "rival": rival.title,
        "rival_figure": figure("bleu", rival.figure),
        "texts": verdict.rows,
        "chance": chance(verdict.p_value),
    }
    if verdict.rows < FEWEST:
        return _(
            "Too few test texts for a verdict ({texts}; it takes {fewest}): BLEU is {ours_figure} for {ours} and "
            "{rival_figure} for the best simpler way: {rival}.",
            fewest=FEWEST,
            **words,
        )
    if verdict.winner is None:
        return _(
            "No clear winner: on the same {texts} test texts BLEU is {ours_figure} for {ours} and {rival_figure} for "
            "the best simpler way: {rival}; chance alone can make that difference ({chance}).",
            **words,
        )
    words["difference"] = distance("bleu", verdict.difference)
    if verdict.winner == ours.name:
        return _(
            "{ours} wins: BLEU {ours_figure} against {rival_figure} for the best simpler way: {rival}; on the same "
            "{texts} test texts ({difference}, {chance}). Fitting took {ours_seconds} against {rival_seconds}.",
            ours_seconds=duration(ours.seconds_fit),
            rival_seconds=duration(rival.seconds_fit),
            **words,
        )
    return _(
        "Not worth it here: BLEU is {rival_figure} for a simpler way ({rival}) and {ours_figure} for {ours} on the "
        "same {texts} test texts ({difference}, {chance}).",
        **words,
    )


def counts(said: Sequence[str], wanted: Sequence[str]) -> Array:
    """What BLEU is a function of the sums of, for each text, `(n, 10)`."""
    return counts_of(said, wanted, bleu_counts)
