"""Classify and regress: learn from rows whose answers are known, and be judged on rows that were set aside."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import systems, tasks
from gipi.algorithms.averaging import Average, refresh_statistics
from gipi.algorithms.regularization import CUTMIX_DRAWS, DRAWS, cutmix, mixed, mixup
from gipi.algorithms.schedules import schedule
from gipi.data.augment import alternating, compose
from gipi.data.drawing import kept_of
from gipi.data.encode import as_input, encode, tokenizer_in
from gipi.data.large_frames import encode_large
from gipi.data.learning import learn, learn_target
from gipi.data.mapped import Chosen
from gipi.data.mapped_stream import MappedStream
from gipi.data.schema import Schema, sizes
from gipi.data.split import fingerprint
from gipi.data.stream import Stream
from gipi.data.text_rows import lengths_of, texts_of
from gipi.data.text_stream import TextStream
from gipi.doctor.finding import View
from gipi.errors import UsageError, nearest
from gipi.jobs import judge
from gipi.jobs.first_batch import check_loss, check_network
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.material import Material
from gipi.jobs.seen import add_looks
from gipi.jobs.shared import check_batches
from gipi.jobs.texts import context_for, said_of_tokens, text_fields, tokenizer_for
from gipi.messages import _
from gipi.models.dense import expanded
from gipi.release.model import Model, gathered
from gipi.release.rows import rows_at_once
from gipi.release.weights import as_trained
from gipi.training.member import Member, Plan, Progress
from gipi.training.parallel import shard, whole
from gipi.training.prepare import dtype_of

FEWEST_STEPS = 1500  # by default, unless nothing improves any more
SMALL = 32  # rows in a batch, by default; a larger one that a system suggests is for many rows
STEPS_TO_LEARN = 40  # in an epoch, before batches are larger than SMALL
PATIENT_STEPS = 500  # without improvement, by default, are not yet a reason to stop
EXPANDED = 1 << 26  # numbers that rows may be as features, of all members together, to be held as such: 256 MB
PREPARED = 5000  # training rows that a system may look at to prepare its network
REFRESH = 4096  # training rows that averaged weights get their batch-norm statistics from


class Supervised(Job):
    """Rows with their answers; see Job."""

    can_be_shared = can_be_sharded = True

    def __init__(self, material: Material, setting: Setting):
        options = setting.options
        self.material = material
        self.setting = setting
        self.task = tasks.load(material.task)
        self.name = material.data.name
        self.dtype = dtype_of(setting.arithmetic.precision)
        self.home = torch.device("cpu") if setting.is_sharded else setting.device  # of whole networks
        self.described: list[tuple[str, Any, int | None]] = []  # the layers, where a whole network is not kept
        standardize = options.scale == "standard"
        data, rows = material.data, material.seen if material.folds else material.parts["train"]
        train, rows = (data, rows) if data.mapped else (data.rows(rows), None)
        levels = self.task.LEVELS if material.target_kind == "quantiles" else ()
        targets = learn_target(train, material.target_kind, standardize, levels, options.positive, rows)
        if data.text:
            texts = [text for name in data.text for text in texts_of(train, name)]
            tokenizer = tokenizer_for(setting, texts)
            self.schema = Schema(text_fields(data, tokenizer, context_for(setting)), targets)
        else:
            bins = getattr(setting.config, "bins", 0)
            self.schema = learn(train, material.kinds, targets, standardize, rows, bins)
        if setting.weights and standardize:
            self.schema = as_trained(self.schema, setting.weights)
        self.sizes = sizes(self.schema, self.task.output(self.schema))
        self.x, self.y = (encode_large if data.mapped else encode)(self.schema, data, dtype=self.dtype)
        self.plain_loss = self._loss()
        self.loss = mixed(self.plain_loss) if options.mixup or options.cutmix else self.plain_loss
        if material.weights is not None or options.class_weight != "none":
            self.count = _weight
        self.folds = material.folds
        self.members = max(1, len(self.folds)) * options.ensemble
        self.defaults = systems.defaults(setting.system)
        rows = len(self._rows(0)[0])
        self.batch_size = _first(options.batch_size, _batch_size(self.defaults.get("batch_size", SMALL), rows)) or rows
        self.schedule_name = _first(options.schedule, self.defaults.get("schedule"), "constant")
        self.averaging = _first(options.averaging, self.defaults.get("averaging"), "none")
        self.augment = _first(options.augment, self.defaults.get("augment") if self.schema.is_picture else None, ())
        self.augment = tuple(name for name in self.augment if name != "none")
        if self.augment and not self.schema.is_picture:
            raise UsageError(_("--augment is for pictures; {name} is a table", name=self.name))
        self.plan = self._plan(rows)
        self.record = {
            "task": material.task,
            "split": fingerprint(material.parts),
            "data": judge.fingerprint_of(self.x, self.y),
            "schema": self.schema.record(),
            "rows": {name: len(rows) for name, rows in material.parts.items()},
            "weights": setting.weights and setting.weights.sha256,
        }
        self.facts = self._facts()
        self.loss_name, self.ways = self._name_loss(), self._describe_ways()
        self.algorithm = self.describe_algorithm()

    # --- what is decided before the first step

    def _loss(self) -> Callable[..., Tensor]:
        options, own = self.setting.options, self.setting.own
        if own.loss is not None:
            return own.loss
        known = self.task.LOSSES[self.material.target_kind]
        if options.loss is not None and options.loss not in known:
            text = _(
                "the loss '{name}' does not fit {kind}; it can be: {known}.",
                name=options.loss,
                kind=self.material.task,
                known=", ".join(known),
            )
            raise UsageError(text + nearest(options.loss, list(known)))
        if options.label_smoothing and self.material.task != "classify":
            raise UsageError(_("--label-smoothing is for classes"))
        return self.task.loss(self.schema, options.loss, options.label_smoothing or 0.0)

    def _plan(self, rows: int) -> Plan:
        """As long as the system suggests; on few rows, where an epoch is a few steps, as many epochs as it takes."""
        options = self.setting.options
        every = -(-rows // self.batch_size)
        fewest = (
            FEWEST_STEPS if self.defaults.get("batch_size") else 0
        )  # systems that see all rows at once know their time
        epochs = options.epochs or max(_first(self.defaults.get("epochs"), 50), fewest // every)
        steps = options.steps or epochs * every
        if steps < 1:
            raise UsageError(_("--epochs and --steps must be at least 1"))
        patience = options.patience
        if patience is None and (patience := self.defaults.get("patience")):
            patience = max(patience, PATIENT_STEPS // every)
        return Plan(steps, min(every, steps), patience)

    def _facts(self) -> list[str]:
        material = self.material
        parts = {"train": _("training"), "valid": _("validation"), "test": _("test")}
        held = {said: len(material.parts[part]) for part, said in parts.items() if part in material.parts}
        sizes = ", ".join(_("{count} {part}", count=count, part=said) for said, count in held.items())
        facts = [_("{rows} rows: {parts}", rows=len(material.data), parts=sizes), *material.notes]
        if self.schema.is_text:
            facts += said_of_tokens(
                tokenizer_in(self.schema), self.schema.inputs[0].shape[0], lengths_of(self.x.numpy())
            )
        return facts

    def _name_loss(self) -> str:
        kind = self.material.target_kind
        usual = {"class": "cross_entropy", "labels": "bce", "number": "mse", "normal": "nll", "quantiles": "quantile"}
        return getattr(self.setting.own.loss, "__name__", "") or self.setting.options.loss or usual[kind]

    def _describe_ways(self) -> list[str]:
        ways = [self.schedule_name] if self.schedule_name != "constant" else []
        if self.averaging != "none":
            ways.append(_("average of weights: {kind}", kind=self.averaging))
        if self.augment:
            ways.append(_("augmentation: {names}", names=" ".join(self.augment)))
        ways += [name for name in ("mixup", "cutmix") if getattr(self.setting.options, name)]
        return ways

    @property
    def _has_weights(self) -> bool:
        """Whether a batch has the weights of its rows behind x and y."""
        return self.material.weights is not None or self.setting.options.class_weight != "none"

    # --- members

    def _rows(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Training and validation rows of a member."""
        if self.folds:
            return self.folds[number // self.setting.options.ensemble]
        return self.material.parts["train"], self.material.parts.get("valid")

    def alike(self, number: int) -> int:
        """Batches of the same sizes, which the number of training rows decides."""
        return len(self._rows(number)[0])

    def build(self, number: int) -> Member:
        options, setting = self.setting.options, self.setting
        train, valid = self._rows(number)
        net = self.network(train)
        if setting.is_sharded:
            self.described = self.layers(net)
            shard(net, setting.device, setting.ranks.size)
        size_of = schedule(self.schedule_name, self.plan.steps, options.warmup)
        players = self.players(net, size_of)
        stream = self._stream(net, train, number)
        average = self._average(net)
        member = Member(number, net, players, stream, self.plan, average=average)
        if valid is not None:
            member.validate = self._validator(net, valid)
        if average and self.averaging == "swa" and not options.freeze:  # the statistics of what is frozen stay
            some = as_input(self.schema, self.x[train[:REFRESH]].to(setting.device), self.dtype)
            member.refresh = lambda: refresh_statistics(net, some.split(rows_at_once(self.x)))
        if hasattr(setting.system, "after"):
            member.after = setting.system.after(net, setting.config)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def whole(self, net: nn.Module) -> nn.Module:
        """A trained network as it is kept: one that is cut among the ranks is put together, on the first."""
        if not self.setting.is_sharded:
            return net
        weights = whole(net.state_dict(), self.setting.ranks)
        if weights:
            net = self.network(self._rows(0)[0])
            net.load_state_dict(weights)
        return net

    def network(self, rows: np.ndarray) -> nn.Module:
        """A new network on its device, prepared by training rows, with the weights of `--weights` where they fit."""
        setting = self.setting
        net = setting.system.Net(self.sizes, setting.config).to(self.home, self.dtype)
        if hasattr(setting.system, "prepare"):
            some = rows[:: max(1, len(rows) // PREPARED)][:PREPARED]  # rows often lie class by class
            setting.system.prepare(net, self._input(self.of(self.x, some)[:].to(self.home)))
        if setting.arithmetic.channels_last:
            net = net.to(memory_format=torch.channels_last)
        x = self._input(self.x[:2].to(self.home))
        output = check_network(net, x, (len(x), self.sizes.output), self.material.task)
        if setting.own.loss is not None:
            check_loss(self.plain_loss, output, self.y, self._has_weights)
        self.take_weights(net)
        return net

    def of(self, values: Tensor, rows: np.ndarray) -> Any:
        """These rows; of data on disk a choice that is gathered piece by piece."""
        return Chosen(values.numpy(), rows) if self.material.data.mapped else values[torch.from_numpy(rows)]

    def _input(self, x: Tensor) -> Tensor:
        return as_input(self.schema, x, self.dtype)

    def _ready(self, net: nn.Module, x: Tensor) -> Tensor:
        """Rows of a table as the features that the network would make of them at each step, where that is known."""
        if self.schema.is_text:
            return x
        is_known = self.setting.system_name in systems.names() or type(net) is nn.Sequential
        return expanded(net, x, EXPANDED // self.members) if is_known and not self.schema.is_picture else x

    def _stream(self, net: nn.Module, rows: np.ndarray, number: int) -> Stream | MappedStream | TextStream:
        options = self.setting.options
        tensors = [self.of(self.x, rows), self.of(self.y, rows)]
        weights = judge.row_weights(self.material, self.y, rows, options.class_weight)
        if weights is not None:
            if options.mixup or options.cutmix:
                raise UsageError(_("--mixup and --cutmix do not go together with weights"))
            tensors.append(torch.from_numpy(weights).to(self.dtype))
        prepare, draws = self._prepare()
        ranks = self.setting.ranks
        check_batches(len(rows), self.batch_size, ranks)
        seed, part, device = options.seed * 1000 + number, (ranks.rank, ranks.size), self.setting.device
        turns = alternating(self.augment)
        if self.material.data.mapped:
            size, workers = self.batch_size, options.workers
            return MappedStream(tensors, size, seed, prepare, draws, workers, device, part=part, alternating=turns)
        x, *others = (tensor.to(device) for tensor in tensors)
        if self.schema.is_text:
            return TextStream((x, *others), self.batch_size, seed, part)
        return Stream((self._ready(net, x), *others), self.batch_size, seed, prepare, draws, part, turns)

    def _prepare(self):
        """Augmentation, normalisation and mixing of a batch, and the draws that a row needs for them."""
        schema, options, dtype = self.schema, self.setting.options, self.dtype
        augment, count = None, 0
        if self.augment:
            augment, count = compose(self.augment, schema.inputs[0].white, schema.inputs[0].center)
        alpha, mix = options.mixup or options.cutmix, mixup if options.mixup else cutmix
        if not (schema.is_picture or alpha):
            return None, 0

        def prepare(batch: tuple[Tensor, ...], draws: Tensor) -> tuple[Tensor, ...]:
            x, *target = batch
            if augment is not None:
                x = augment(x, draws)
            x = as_input(schema, x, dtype)
            return mix(x, target[0], draws[:, count:], alpha) if alpha else (x, *target)

        return prepare, count + (0 if not alpha else DRAWS if options.mixup else CUTMIX_DRAWS)

    def _average(self, net: nn.Module) -> Average | None:
        """Exponential: over about two epochs. Equal: over the last quarter."""
        if self.averaging in ("none", ""):
            return None
        decay = min(0.9999, 1 - 1 / (2 * self.plan.every + 1))
        return Average(
            net, self.averaging, decay=decay, start=self.plan.steps * 3 // 4 if self.averaging == "swa" else 0
        )

    def _validator(self, net: nn.Module, rows: np.ndarray) -> Callable[[], dict[str, float]]:
        if self.schema.is_text:  # by length, so that hardly anything is computed on what is not there
            rows = rows[np.argsort(lengths_of(self.x[torch.from_numpy(rows)].numpy()), kind="stable")]
        y = self.y[torch.from_numpy(rows)].to(self.setting.device)
        x = self.of(self.x, rows).to(self.setting.device)
        at_once = rows_at_once(self.x)
        if isinstance(x, Tensor):
            x = self._ready(net, x)
        if len(rows) <= at_once:
            x = self._input(x[:])
        weights = judge.row_weights(self.material, self.y, rows, self.setting.options.class_weight)
        target = (y,) if weights is None else (y, torch.from_numpy(weights).to(self.setting.device, self.dtype))

        def validate() -> dict[str, float]:
            if len(rows) <= at_once:
                output = net(x)
            else:
                output = gathered((net(self._input(chunk)) for chunk in x.split(at_once)), len(x))
            found = {"loss": self.plain_loss(output, *target).item(), **self.task.quick(output, y, self.schema)}
            return self.setting.ranks.first_says(found)  # what is decided by them is decided by all alike

        return validate

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return self.described or layers_of(net, self._input(self.x[:2].to(self.home)))

    def view(self) -> View:
        material, labels = self.material, self.schema.targets[0].values
        if material.data.mapped:
            return judge.view_of_sample(self)
        x, y, names = self.x.numpy(), self.y.numpy(), material.data.names
        return View(x, y, material.parts, material.target_kind, labels, names=names, **judge.table_of(self))

    # --- when all are trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting = self.setting
        config = setting.config_of_file
        data = self.material.data
        drawing = kept_of(data.pictures, data.white, self.material.parts["train"])
        kept = {**getattr(setting.system, "kept", {}), **drawing}
        model = Model(self.material.task, setting.system_name, self.schema, self.sizes, config, [*nets], extra=kept)
        part = "test" if "test" in self.material.parts else "train"
        rows = judge.judged(self, self.material.parts[part])
        answers, _disagreement = model.answers(self.of(self.x, rows))
        truth = self.task.truth(self.y[rows], self.schema)
        metrics = self.task.metrics(answers, truth, self.schema)
        words = {"test": _("test part"), "train": _("training rows (nothing was set aside)")}
        outcome = Outcome(model, metrics, _("{part}, {rows} rows", part=words[part], rows=len(rows)))
        if self.folds and len(nets) == self.members:  # else they are those of an interrupted run
            judge.add_folds(outcome, self, model)
        if hasattr(setting.system, "explain"):
            train = self.material.parts["train"]
            some = torch.from_numpy(judge.some(self, train) if self.material.data.mapped else train)
            x = self._input(self.x[some].to(self.home))
            outcome.notes += setting.system.explain(nets[0], self.schema, (x, self.y[some].to(self.home)))
        if self.material.data.mapped:
            shown = np.searchsorted(rows, judge.some(self, rows))
            outcome.results += judge.results(self, answers[shown], truth[shown], rows[shown])
        else:
            outcome.results += judge.results(self, answers, truth, rows)
        add_looks(outcome, self, rows, seconds)
        if setting.options.verdict and part == "test":
            judge.add_verdict(outcome, self, answers, truth, seconds)
        return outcome


def _weight(batch: tuple[Tensor, ...]) -> Tensor:
    """What the weighted mean of a batch's losses is divided by: the sum of `(B,)` weights, or of `(members, B)`."""
    return batch[2].sum(-1)


def _batch_size(suggested: int, rows: int) -> int:
    """What a system suggests; less where an epoch would be a few steps."""
    return min(suggested, max(SMALL, rows // STEPS_TO_LEARN // SMALL * SMALL))


def _first(*values: Any) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)
