"""Translate: pairs of texts in, a network that turns the one into the other out, judged on pairs that were set aside.

Tokenizers learn from the training pairs alone: one for both languages, or one for each (`--no-tied`). Batches are of
pairs of like lengths. Which weights are kept is decided by the BLEU of validation texts, translated the greedy way.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gipi import systems
from gipi.algorithms.averaging import Average
from gipi.algorithms.schedules import schedule
from gipi.data.dataset import Dataset
from gipi.data.schema import Field, Schema, sizes
from gipi.data.split import fingerprint, split
from gipi.data.text_rows import ENDED, lengths_of, text_rows, texts_of
from gipi.data.text_stream import TextStream
from gipi.data.texts import open_rows
from gipi.doctor.finding import View
from gipi.errors import DataError, UsageError
from gipi.jobs import judge
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.pieces import Progress as Telling
from gipi.jobs.texts import context_for, tokenizer_for
from gipi.messages import _
from gipi.models.beam import Said
from gipi.release.model import Model
from gipi.report.page import Grid, Table
from gipi.tasks import translate as task
from gipi.tasks.translation_baselines import translation_baselines
from gipi.training.member import Member, Plan, Progress

ASIDE = (
    2000  # pairs in the test and in the validation part, at most, unless a share is asked for: a share of a corpus is
)
BETWEEN = 150  # steps, at least, between two looks at validation
LOOKED_AT = 500  # validation texts that are translated at each look
SHOWN, LOOKED = 20, 4  # translations in the report, and pictures of where was looked
LONGEST_LOOK = 40  # tokens of a text whose picture can be read
FEWEST = 30  # pairs; of fewer nothing is set aside


class Translate(Job):
    """Pairs of texts; see Job."""

    members = 1

    def __init__(self, source: Any, setting: Setting, progress: Telling | None = None):
        self.defaults = systems.defaults(setting.system)
        options = setting.options
        self.setting = replace(setting, options=replace(options, clip=options.clip or self.defaults.get("clip")))
        self.data, self.parts = _opened(source, setting, progress)
        self.name = self.data.name
        self.source = texts_of(self.data, self.data.text[0])
        self.target = texts_of(self.data, self.data.target[0])
        self.schema = self._schema()
        self.sizes = sizes(self.schema, task.output(self.schema))
        self.x = torch.from_numpy(text_rows(self.schema.inputs, self.data))
        self.y = self._targets()
        self.smoothing = _first(options.label_smoothing, self.defaults.get("label_smoothing"), 0.0)
        self.plain_loss = task.loss()
        self.loss = setting.own.loss or task.loss(self.smoothing)
        self.count = task.count
        rows = len(self.parts["train"])
        self.batch_size = min(options.batch_size or self.defaults.get("batch_size", 64), rows)
        every = -(-rows // self.batch_size)
        steps = options.steps or (options.epochs or self.defaults.get("epochs", 10)) * every
        look = -(-BETWEEN // every) * every  # whole epochs: translating takes longer than a few steps
        self.plan = Plan(steps, min(steps, look), options.patience, watch="bleu", higher=True)
        self.schedule_name = options.schedule or self.defaults.get("schedule", "constant")
        self.averaging = options.averaging or self.defaults.get("averaging", "none")
        self.record = {
            "task": "translate",
            "split": fingerprint(self.parts),
            "data": judge.fingerprint_of(self.x, self.y),
            "schema": self.schema.record(),
            "rows": {name: len(rows) for name, rows in self.parts.items()},
            "weights": setting.weights and setting.weights.sha256,
        }
        self.facts = self._facts()
        self.loss_name = getattr(setting.own.loss, "__name__", "") or "cross_entropy"
        self.ways = self._describe_ways()
        self.algorithm = self.describe_algorithm()

    # --- what is decided before the first step

    def _schema(self) -> Schema:
        """How both languages become tokens, as training pairs have it; a tokenizer for both stands with the source."""
        train, context = self.parts["train"], context_for(self.setting)
        ours, theirs = ([texts[row] for row in train] for texts in (self.source, self.target))
        if self.setting.config.tied:
            first, second = tokenizer_for(self.setting, [*ours, *theirs]).to_json(), ""
        else:
            first, second = (tokenizer_for(self.setting, texts).to_json() for texts in (ours, theirs))
        (name,), (target,) = self.data.text, self.data.target
        return Schema(
            (Field(name, "text", (context,), tokenizer=first),), (Field(target, "text", (context,), tokenizer=second),)
        )

    def _targets(self) -> Tensor:
        """Translations as tokens `(rows, T)`; of one that was cut the end is not learned: it is none."""
        (field,) = self.schema.targets
        field = replace(field, tokenizer=field.tokenizer or self.schema.inputs[0].tokenizer)
        y = text_rows((field,), self.data)
        if y.shape[1] == field.shape[0]:
            y[:, -1] = ENDED
        return torch.from_numpy(y)

    def _facts(self) -> list[str]:
        (source,), (target,), context = self.schema.inputs, self.schema.targets, self.schema.inputs[0].shape[0]
        words = {"train": _("training"), "valid": _("validation"), "test": _("test")}
        held = ", ".join(
            _("{count} {part}", count=len(self.parts[part]), part=said)
            for part, said in words.items()
            if part in self.parts
        )
        both = _("one vocabulary of {count} tokens", count=self.sizes.vocabulary)
        if target.tokenizer:
            both = _("{count} tokens and {other}", count=self.sizes.vocabulary, other=self.sizes.target_vocabulary)
        lengths = [lengths_of(rows.numpy()) for rows in (self.x, self.y)]
        means = {"mean": f"{lengths[0].mean():.1f}", "other": f"{lengths[1].mean():.1f}"}
        names = {"rows": len(self.data), "source": source.name, "target": target.name}
        facts = [
            _("{rows} pairs, {source} to {target}: {parts}", **names, parts=held),
            _("{tokens}; {mean} in a source, {other} in a translation on average", tokens=both, **means),
        ]
        cut = int((lengths[0] >= context).sum()), int((lengths[1] >= context - 1).sum())
        if any(cut):
            facts.append(
                _(
                    "texts longer than {most} tokens are cut (--context): {count} sources, {other} translations",
                    most=context,
                    count=cut[0],
                    other=cut[1],
                )
            )
        if both_sides := self._in_both():
            facts.append(_("test sources that are training sources too: {count}", count=both_sides))
        return [*facts, *self.data.notes]

    def _in_both(self) -> int:
        seen = {self.source[row] for row in self.parts["train"]}
        return sum(self.source[row] in seen for row in self.parts.get("test", ()))

    def _describe_ways(self) -> list[str]:
        ways = [self.schedule_name] if self.schedule_name != "constant" else []
        if self.smoothing:
            ways.append(_("label smoothing {share}", share=self.smoothing))
        if self.averaging != "none":
            ways.append(_("average of weights: {kind}", kind=self.averaging))
        return ways

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        some = self.x[: min(2, len(self.x))].long().to(self.setting.device)
        return layers_of(net, some[:, : int((some != ENDED).sum(1).max())])

    def view(self) -> View:
        return View(self.x.numpy(), self.y.numpy(), self.parts)

    # --- the member

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        self.take_weights(net)
        size_of = schedule(self.schedule_name, self.plan.steps, options.warmup)
        train = torch.from_numpy(self.parts["train"])
        held = (self.x[train].to(setting.device), self.y[train].to(setting.device))
        part = (setting.ranks.rank, setting.ranks.size)
        stream = TextStream(held, self.batch_size, options.seed, part, texts=2)
        member = Member(number, net, self.players(net, size_of), stream, self.plan, average=self._average(net))
        if "valid" in self.parts:
            member.validate = self._validator(net)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _average(self, net: nn.Module) -> Average | None:
        """Exponential: over about two epochs. Equal: over the last quarter."""
        if self.averaging in ("none", ""):
            return None
        decay = min(0.9999, 1 - 1 / (2 * self.plan.every + 1))
        start = self.plan.steps * 3 // 4 if self.averaging == "swa" else 0
        return Average(net, self.averaging, decay=decay, start=start)

    def _validator(self, net: nn.Module) -> Callable[[], dict[str, float]]:
        """The loss of all validation pairs, and the BLEU of some, translated the greedy way."""
        rows = self.parts["valid"]
        order = rows[np.lexsort([lengths_of(side[rows].numpy()) for side in (self.x, self.y)])]
        pieces = [torch.from_numpy(piece) for piece in np.array_split(order, -(-len(order) // task.AT_ONCE))]
        some = torch.from_numpy(rows[:LOOKED_AT])
        wanted = [self.target[row] for row in some]

        def validate() -> dict[str, float]:
            total = tokens = 0.0
            for piece in pieces:
                x, y = (_trimmed(side[piece]).to(self.setting.device) for side in (self.x, self.y))
                count = float(task.count((x, y)))
                total += self.plain_loss(net(x, y[:, :-1]), y[:, 1:]).item() * count
                tokens += count
            said = task.texts_said(task.translated(net, self.x[some], self.schema, 1, 0.0), self.schema)
            found = {"loss": total / tokens, "bleu": float(task.figures(said, wanted, intervals=False)["bleu"])}
            return self.setting.ranks.first_says(found)

        return validate

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        model = Model("translate", setting.system_name, self.schema, self.sizes, setting.config_of_file, [*nets])
        part = "test" if "test" in self.parts else "train"
        rows = self.parts[part][: ASIDE if part == "train" else None]
        beams, alpha = setting.config.beams, setting.config.length_penalty
        found = task.translated(nets[0], self.x[torch.from_numpy(rows)], self.schema, beams, alpha)
        said, wanted = task.texts_said(found, self.schema), [self.target[row] for row in rows]
        words = {"test": _("test part"), "train": _("training rows (nothing was set aside)")}
        metrics = task.figures(said, wanted, seed=options.seed)
        outcome = Outcome(model, metrics, _("{part}, {rows} rows", part=words[part], rows=len(rows)))
        outcome.notes.append(task.signature())
        cut = sum(not one.is_ended for one in found)
        if cut:
            outcome.notes.append(_("translations that came to no end by themselves, and were cut: {count}", count=cut))
        lines = [[self.source[row], self.target[row], text] for row, text in zip(rows[:SHOWN], said, strict=False)]
        outcome.results.append(Table([_("source"), _("wanted"), _("said")], lines, _("Translations")))
        outcome.results += self._looks(model, rows, found)
        if options.verdict and part == "test":
            known = np.concatenate([self.parts[name] for name in ("train", "valid") if name in self.parts])
            pairs = [self.source[row] for row in known], [self.target[row] for row in known]
            asked = [self.source[row] for row in rows]
            ways = translation_baselines(pairs, asked, wanted, options.verdict_seconds, options.seed)
            counts = task.counts(said, wanted)
            outcome.verdict = task.judged(setting.system_name, counts, seconds, ways, options.seed)
            outcome.baseline_metric, outcome.baselines = "bleu", judge.baselines_of(outcome.verdict)
        return outcome

    def _looks(self, model: Model, rows: np.ndarray, found: Sequence[Said]) -> list[Grid]:
        """Where was looked for each token of the first translations that are short enough to be shown."""
        lengths = lengths_of(self.x[torch.from_numpy(rows)].numpy())
        chosen = [
            place
            for place, one in enumerate(found)
            if max(lengths[place], len(one.tokens)) <= LONGEST_LOOK and one.tokens
        ][:LOOKED]
        seen = task.looked(model, self.x[torch.from_numpy(rows[chosen])], [found[place] for place in chosen])
        note = _(
            "A row for each token that was said, a column for each of the source: the deeper, the more it looked there."
        )
        return [
            Grid(said, source, weights.tolist(), _("Where it looked: {text}", text=self.source[rows[place]]), note)
            for place, (source, said, weights) in zip(chosen, seen or [], strict=False)
        ]


def _opened(source: Any, setting: Setting, progress: Telling | None) -> tuple[Dataset, dict[str, np.ndarray]]:
    """All pairs, and which are of which part; those of `--test` and `--valid` behind the others."""
    options = setting.options
    data = open_rows(source, options.text, options.target, progress)
    if len(data.text) != 1 or len(data.target) != 1:
        raise UsageError(_("a translation is of one column into one other: say --text COLUMN --target COLUMN"))
    columns = [*data.text, *data.target]
    if any(data.frame.schema[name] != pl.String for name in columns):
        raise DataError(
            _("{data}: texts are needed in both columns, {names}", data=data.name, names=", ".join(columns))
        )
    frames, given, notes = [data.frame.select(columns)], dict(data.parts), list(data.notes)
    for part, path in (("test", options.test), ("valid", options.valid)):
        if path is None:
            continue
        more = open_rows(path, data.text, data.target, progress)
        start = sum(frame.height for frame in frames)
        given[part] = np.arange(start, start + len(more))
        frames.append(more.frame.select(columns))
        notes += more.notes
    whole = replace(data, frame=pl.concat(frames), parts=given, notes=notes)
    count = len(whole)
    if count < FEWEST and not given:
        return whole, {"train": np.arange(count)}
    usual = type(options)()
    shares = {"test": options.test_share, "valid": options.valid_share}
    shares = {
        part: min(share, ASIDE / count) if share == getattr(usual, f"{part}_share") else share
        for part, share in shares.items()
    }
    return whole, split(count, options.seed, test=shares["test"], valid=shares["valid"], given=given)


def _trimmed(tokens: Tensor) -> Tensor:
    """Rows `(B, T)` cut to the longest of them."""
    return tokens[:, : int((tokens != ENDED).sum(1).max())].long()


def _first(*values: Any) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)
