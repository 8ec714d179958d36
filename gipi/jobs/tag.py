"""Tag: sentences with labelled stretches in, a network that finds such stretches out; judged on sentences set aside."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.schema import Field, Schema, sizes
from gipi.data.split import fingerprint, split
from gipi.data.tags import Sentence, open_tagged
from gipi.data.text_rows import lengths_of
from gipi.data.text_stream import TextStream
from gipi.data.tokenizers import Tokenizer
from gipi.doctor.finding import View
from gipi.errors import UsageError
from gipi.jobs import judge
from gipi.jobs.first_batch import check_network
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.texts import context_for, said_of_tokens, tokenizer_for
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Table
from gipi.tasks import spans
from gipi.tasks import tag as task
from gipi.tasks.compared import Way
from gipi.tasks.summed import judge_sums
from gipi.tasks.tag_baselines import fit_taggers, title
from gipi.tasks.verdict import Verdict
from gipi.training.member import Member, Plan, Progress

FEWEST = 30  # sentences; of fewer none is set aside
FEWEST_STEPS = 1000  # by default, unless nothing improves any more
PATIENCE, PATIENT_STEPS = 4, 500  # looks, and steps, without improvement before it stops, by default
LOOKED_AT = 1000  # validation sentences at each look
SHOWN = 12  # sentences with mistakes in the report


class Tag(Job):
    """Tagged sentences; see Job."""

    members = 1
    count = staticmethod(task.asked)

    def __init__(self, source: Any, setting: Setting, progress: Any = None):
        options = setting.options
        self.setting = setting
        others = {part: file for part, file in (("valid", options.valid), ("test", options.test)) if file}
        self.data = data = open_tagged(source, others)
        self.name = data.name
        if len(data) < FEWEST and not data.parts:
            self.parts = {"train": np.arange(len(data))}
            words = {"rows": len(data)}
            data.notes.append(
                _("{rows} rows are too few to set any aside: all are for training, and the figures are theirs", **words)
            )
        else:
            test, valid = options.test_share, options.valid_share
            self.parts = split(len(data), options.seed, test=test, valid=valid, given=data.parts)
        self.tokenizer = self._tokenizer()
        context = context_for(setting)
        if context < 8:
            raise UsageError(_("--context {context} is too short to see a word; at least 8", context=context))
        text = Field("text", "text", (context,), tokenizer=self.tokenizer.to_json())
        self.schema = Schema((text,), (Field("tags", "tags", values=task.tags_of(data.labels)),))
        self.sizes = sizes(self.schema, task.output(self.schema))
        self.x, self.y, self.whose = task.rows_of(data.sentences, self.schema)
        self.defaults = systems.defaults(setting.system)
        self.batch_size, self.plan = self._plan(len(self._rows("train")))
        self.schedule_name = options.schedule or self.defaults.get("schedule", "constant")
        self.loss, self.loss_name = task.loss, "cross_entropy"
        self.record = {
            "task": "tag",
            "split": fingerprint(self.parts),
            "data": judge.fingerprint_of(self.x, self.y),
            "schema": self.schema.record(),
            "rows": {name: len(rows) for name, rows in self.parts.items()},
            "weights": setting.weights and setting.weights.sha256,
        }
        self.facts = self._facts()
        self.ways = [self.schedule_name] if self.schedule_name != "constant" else []
        self.algorithm = self.describe_algorithm()

    # --- what is decided before the first step

    def _tokenizer(self) -> Tokenizer:
        """Characters where the file has characters: then no stretch can end in the middle of a token."""
        setting = self.setting
        texts = [sentence.text for sentence in self._of("train")]
        is_free = setting.options.tokenizer is None and not (setting.weights and setting.weights.tokenizer)
        if is_free and not self.data.glue:
            setting = replace(setting, options=replace(setting.options, tokenizer="characters"))
        return tokenizer_for(setting, texts)

    def _plan(self, rows: int) -> tuple[int, Plan]:
        options = self.setting.options
        batch_size = min(rows, options.batch_size or self.defaults.get("batch_size", 32))
        every = -(-rows // batch_size)
        epochs = options.epochs or max(self.defaults.get("epochs", 12), FEWEST_STEPS // every)
        steps = options.steps or epochs * every
        patience = max(PATIENCE, PATIENT_STEPS // every) if options.patience is None else options.patience
        return batch_size, Plan(steps, min(every, steps), patience)

    def _facts(self) -> list[str]:
        words = {"train": _("training"), "valid": _("validation"), "test": _("test")}
        held = [(said, len(self.parts[part])) for part, said in words.items() if part in self.parts]
        sizes = ", ".join(_("{count} {part}", count=count, part=said) for said, count in held)
        count = sum(len(sentence.spans) for sentence in self.data.sentences)
        labels = ", ".join(self.data.labels[:20])
        lengths = lengths_of(self.x.numpy())
        return [
            _("{rows} sentences: {parts}", rows=len(self.data), parts=sizes),
            _("{count} labelled stretches; labels: {labels}", count=count, labels=labels),
            *self.data.notes,
            *said_of_tokens(self.tokenizer, int(lengths.max()) + 1, lengths),
        ]

    def _of(self, part: str) -> list[Sentence]:
        return [self.data.sentences[place] for place in self.parts[part]]

    def _rows(self, part: str) -> np.ndarray:
        """The rows of a part's sentences: one each, several of those that are longer than the context."""
        return np.flatnonzero(np.isin(self.whose, self.parts[part]))

    # --- the member

    def build(self, number: int) -> Member:
        options, setting = self.setting.options, self.setting
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        x = self._input(self.x[:2])
        check_network(net, x, (*x.shape, self.sizes.tags), "tag")
        self.take_weights(net)
        size_of = schedule(self.schedule_name, self.plan.steps, options.warmup)
        rows = torch.from_numpy(self._rows("train"))
        held = self.x[rows].to(setting.device), self.y[rows].to(setting.device)
        stream = TextStream(held, self.batch_size, options.seed)
        member = Member(number, net, self.players(net, size_of), stream, self.plan)
        if "valid" in self.parts:
            member.validate = self._validator(net)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _input(self, x: Tensor) -> Tensor:
        return x[:, : int(lengths_of(x.numpy()).max())].long().to(self.setting.device)

    def _validator(self, net: nn.Module) -> Callable[[], dict[str, float]]:
        """The loss of the rows and F1 of the sentences."""
        sentences, rows = self._of("valid")[:LOOKED_AT], self._rows("valid")
        rows = rows[np.isin(self.whose[rows], self.parts["valid"][:LOOKED_AT])]
        rows = rows[np.argsort(lengths_of(self.x[torch.from_numpy(rows)].numpy()), kind="stable")]

        def validate() -> dict[str, float]:
            total = count = 0.0
            for some in np.array_split(rows, -(-len(rows) // 64)):
                y = self.y[torch.from_numpy(some)].to(self.setting.device)
                asked = (y >= 0).sum().item()
                total += task.loss(net(self._input(self.x[torch.from_numpy(some)])), y).item() * asked
                count += asked
            counts, _found = task.counts_of(self._model([net]), sentences)
            figures = spans.metrics(counts, intervals=False)
            return {"loss": total / max(count, 1), "f1": float(figures["f1"])}

        return validate

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, self._input(self.x[:2]))

    def view(self) -> View:
        rows = {part: self._rows(part) for part in self.parts}
        return View(self.x.numpy(), self.y.numpy(), rows)

    def _model(self, nets: Sequence[nn.Module]) -> Model:
        """Nets as a model that answers; it leaves them in training mode if they are."""
        config = self.setting.config_of_file
        modes = [net.training for net in nets]
        model = Model("tag", self.setting.system_name, self.schema, self.sizes, config, [*nets])
        for net, mode in zip(nets, modes, strict=True):
            net.train(mode)
        return model

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        for net in nets:
            net.eval()
        model = self._model(nets)
        part = "test" if "test" in self.parts else "train"
        sentences = self._of(part)
        counts, found = task.counts_of(model, sentences)
        words = {"test": _("test part"), "train": _("training rows (nothing was set aside)")}
        said = _("{part}, {rows} sentences", part=words[part], rows=len(sentences))
        outcome = Outcome(model, spans.metrics(counts, seed=self.setting.options.seed), said)
        outcome.results += [self._by_label(sentences, found), self._mistakes(sentences, found)]
        if self.setting.options.verdict and part == "test":
            outcome.verdict = self._verdict(counts, sentences, seconds)
            outcome.baseline_metric, outcome.baselines = "f1", judge.baselines_of(outcome.verdict)
        return outcome

    def _by_label(self, sentences: list[Sentence], found: list) -> Table:
        table = spans.by_label(sentences, found, self.data.labels)
        rows = [[label, *(round(value, 4) for value in row[:3]), row[3]] for label, row in table.items()]
        columns = [_("label"), _("precision"), _("recall"), _("F1"), _("true stretches")]
        return Table(columns, rows, _("Label by label"))

    def _mistakes(self, sentences: list[Sentence], found: list) -> Table:
        """The sentences with the most stretches that are wrong or missing."""
        wrong = [len({*one.spans} ^ {*said}) for one, said in zip(sentences, found, strict=True)]
        worst = [place for place in np.argsort(np.negative(wrong), kind="stable")[:SHOWN] if wrong[place]]

        def shown(sentence: Sentence, some: Any) -> str:
            return ", ".join(f"{sentence.text[one.start : one.stop]} ({one.label})" for one in sorted(some)) or "-"

        rows = [
            [
                sentences[place].text,
                shown(sentences[place], {*sentences[place].spans} - {*found[place]}),
                shown(sentences[place], {*found[place]} - {*sentences[place].spans}),
            ]
            for place in worst
        ]
        return Table([_("sentence"), _("missed"), _("said wrongly")], rows, _("The sentences with most mistakes"))

    def _verdict(self, counts: np.ndarray, sentences: list[Sentence], seconds: float) -> Verdict:
        """Against simpler ways that learn from all sentences but the test part."""
        options, labels = self.setting.options, self.data.labels
        seen = [self.data.sentences[p] for name, rows in self.parts.items() if name != "test" for p in rows]
        rivals = []
        for one in fit_taggers(seen, sentences, labels, options.verdict_seconds, options.seed):
            sums = np.array([spans.counted(s, f, labels) for s, f in zip(sentences, one.spans, strict=True)])
            rivals.append(Way(one.name, title(one.name), sums, one.seconds, None, one.settings))

        def figures(each: np.ndarray) -> dict[str, Any]:
            return spans.metrics(each, seed=options.seed)

        name = self.setting.system_name
        return judge_sums(name, counts, seconds, rivals, "f1", figures, spans.f1_of, options.seed)
