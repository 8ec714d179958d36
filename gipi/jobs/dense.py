"""Segment and upscale: a picture in, and for each of its pixels an answer; judged on whole pictures that nobody saw.

Training sees pieces of the pictures, as many in an epoch as cover them about once; where a piece is cut and how it is
turned are functions of (seed, epoch, piece). Validation and test see whole pictures, each as far as it reaches.

N pictures, C channels, H W of the canvas
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import systems
from gipi.algorithms.averaging import Average, refresh_statistics
from gipi.algorithms.schedules import schedule
from gipi.data import crops
from gipi.data.augment import AUGMENTATIONS, alternating, compose, following
from gipi.data.canvas import tensors
from gipi.data.dataset import Dataset
from gipi.data.encode import normalize
from gipi.data.learning import learn
from gipi.data.schema import Field, Schema, sizes
from gipi.data.split import fingerprint
from gipi.data.stream import Stream
from gipi.doctor.finding import View
from gipi.errors import DataError, UsageError, nearest
from gipi.jobs import judge
from gipi.jobs.checks import check_use
from gipi.jobs.dense_parts import parts_of
from gipi.jobs.first_batch import check_network
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.known import of_pictures
from gipi.jobs.shared import check_batches
from gipi.losses.dense import IGNORED
from gipi.messages import _
from gipi.release.model import Model
from gipi.release.weights import as_trained
from gipi.report.page import Baseline, Pictures
from gipi.tasks.intervals import Metric
from gipi.tasks.verdict import Verdict
from gipi.training.member import Member, Plan, Progress
from gipi.training.prepare import dtype_of

EXAMPLE = 32  # pixels a side of the pictures that a bundle is checked with; any size goes in
LOOKS = 12  # at validation in a run: whole pictures cost more than pieces
MOST_LOOKED_AT = 4 << 20  # pixels of validation pictures at each look
SHOWN = 6  # test pictures in the report


class Dense(Job):
    """Pictures and an answer for each pixel; see Job. What is particular to a task is in the classes below it.

    Attributes:
        watch: The validation number that decides which weights are best; more of it is better.
        factor: How many times as high and wide an answer is as its picture.
    """

    can_be_shared = True
    task_name: str
    factor = 1
    watch: str

    def __init__(self, data: Dataset, target: Field, setting: Setting):
        options = setting.options
        self.data, self.setting = data, setting
        self.name = data.name
        self.dtype = dtype_of(setting.arithmetic.precision)
        self.parts, self.folds = parts_of(data, options)
        self.schema = self._schema(data, target)
        if setting.weights:
            self.schema = as_trained(self.schema, setting.weights)
        self.sizes = sizes(self.schema, len(target.values) or target.shape[0])
        self.x, self.y, self.reach = tensors(data, self.schema.inputs[0].shape[0])
        self.members = max(1, options.folds) * options.ensemble
        self.defaults = systems.defaults(setting.system)
        self.sides = self._sides(getattr(setting.config, "crop", 64))
        self.loss, self.count = self._loss()
        self.augment = self._augment()
        train = self.parts["train"]
        area = self.reach[train].prod(1).double().mean().item()
        self.repeats = max(1, round(area / (self.sides[0] * self.sides[1])))  # pieces of each picture in an epoch
        rows = len(self._rows(0)[0]) * self.repeats
        self.batch_size = min(options.batch_size or self.defaults.get("batch_size", 8), rows)
        check_batches(rows, self.batch_size, setting.ranks)
        every = -(-rows // self.batch_size)
        steps = options.steps or (options.epochs or 0) * every or self.defaults.get("steps", 2000)
        look = max(every, -(-steps // LOOKS // every) * every)
        self.plan = Plan(steps, min(steps, look), options.patience, watch=self.watch, higher=True)
        self.schedule_name = options.schedule or self.defaults.get("schedule", "constant")
        self.averaging = options.averaging or self.defaults.get("averaging", "none")
        self.record = {
            "task": self.task_name,
            "split": fingerprint(self.parts),
            "data": judge.fingerprint_of(self.x, self.y, self.reach),
            "schema": self.schema.to_json(),
            "rows": {name: len(rows) for name, rows in self.parts.items()},
            "weights": setting.weights and setting.weights.sha256,
        }
        self.facts = self._facts()
        self.loss_name = options.loss or getattr(setting.own.loss, "__name__", "") or self._usual_loss()
        self.ways = self._ways()
        self.algorithm = self.describe_algorithm()

    # --- what a task decides

    @abstractmethod
    def _loss(self) -> tuple[Callable[..., Tensor], Callable[[Any], Any] | None]:
        """The loss, and what it is a mean over if that is not the rows."""

    @abstractmethod
    def _usual_loss(self) -> str: ...

    @abstractmethod
    def _look(self, model: Model, rows: np.ndarray) -> dict[str, float]:
        """Validation's numbers of these pictures."""

    @abstractmethod
    def _judge(self, model: Model, rows: np.ndarray, seconds: float, with_verdict: bool) -> Outcome:
        """The figures of these pictures, what to show of them, and how simpler ways do."""

    @abstractmethod
    def _each(self, made: Sequence[Any], rows: np.ndarray) -> np.ndarray:
        """What was made of each of these pictures beside what it should be, `(n, D)`: what figures are added up of."""

    @abstractmethod
    def _made(self, model: Model, rows: np.ndarray) -> list[Any]:
        """What the model makes of these pictures."""

    @abstractmethod
    def _figures(self, each: np.ndarray, intervals: bool = True) -> dict[str, Metric]:
        """All figures of `_each`."""

    def _extra(self) -> dict[str, Any]:
        """What the model must keep beside the schema."""
        return {"longest": int(self.setting.options.picture_size or self._usual_size())}

    @abstractmethod
    def _usual_size(self) -> int: ...

    # --- what is decided before the first step

    def _schema(self, data: Dataset, target: Field) -> Schema:
        """Centered and scaled by training pictures; of an example's size, since the network takes any."""
        (field,) = learn(data, {}, rows=self.parts["train"]).inputs
        channels = field.shape[0]
        shape = (channels, EXAMPLE, EXAMPLE)
        return Schema((Field("picture", "picture", shape, center=field.center, scale=field.scale),), (target,))

    def _sides(self, crop: int) -> tuple[int, int]:
        height, width = self.x.shape[2:]
        return min(crop, height), min(crop, width)

    def _augment(self) -> tuple[str, ...]:
        options = self.setting.options
        names = self.defaults.get("augment", ()) if options.augment is None else options.augment
        names = tuple(name for name in names if name != "none")
        known = ("turn", *(AUGMENTATIONS if self.factor == 1 else ("flip",)))
        odd = [name for name in names if name not in known]
        if odd:
            text = _(
                "the answers of the task {task} cannot follow '{name}'; they follow: {known}.",
                task=self.task_name,
                name=odd[0],
                known=", ".join(known),
            )
            raise UsageError(text + nearest(odd[0], list(known)))
        return names

    def _facts(self) -> list[str]:
        words = {"train": _("training"), "valid": _("validation"), "test": _("test")}
        held = ", ".join(
            _("{count} {part}", count=len(self.parts[part]), part=said)
            for part, said in words.items()
            if part in self.parts
        )
        shape = tuple(self.x.shape[1:])
        return [
            _("{rows} pictures of up to {shape}: {parts}", rows=len(self.x), shape=shape, parts=held),
            *self.data.notes,
        ]

    def _ways(self) -> list[str]:
        ways = [self.schedule_name] if self.schedule_name != "constant" else []
        ways.append(_("pieces of {height} x {width}", height=self.sides[0], width=self.sides[1]))
        if self.averaging != "none":
            ways.append(_("average of weights: {kind}", kind=self.averaging))
        if self.augment:
            ways.append(_("augmentation: {names}", names=" ".join(self.augment)))
        return ways

    # --- members

    def _rows(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Training and validation pictures of a member."""
        if self.folds:
            return self.folds[number // self.setting.options.ensemble]
        return self.parts["train"], self.parts.get("valid")

    def build(self, number: int) -> Member:
        options, setting = self.setting.options, self.setting
        net = self._network()
        size_of = schedule(self.schedule_name, self.plan.steps, options.warmup)
        players = self.players(net, size_of)
        stream = self._stream(number, (setting.ranks.rank, setting.ranks.size))
        average = self._average(net)
        member = Member(number, net, players, stream, self.plan, average=average)
        valid = self._rows(number)[1]
        if valid is not None:
            rows = self._looked_at(valid)
            model = self._model([net])
            member.validate = lambda: setting.ranks.first_says(self._look(model, rows))
        if average and self.averaging == "swa":
            batches = self._stream(number)  # whole ones, also where ranks share them: each keeps the same statistics
            member.refresh = lambda: refresh_statistics(net, [next(batches)[0] for _ in range(8)])
        if hasattr(setting.system, "after"):
            member.after = setting.system.after(net, setting.config)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _network(self) -> nn.Module:
        setting = self.setting
        net = setting.system.Net(self.sizes, setting.config).to(setting.device, self.dtype)
        if setting.arithmetic.channels_last:
            net = net.to(memory_format=torch.channels_last)
        x = torch.zeros(2, *self.sizes.input, dtype=self.dtype, device=setting.device)
        side = EXAMPLE * self.factor
        check_network(net, x, (2, self.sizes.output, side, side), self.task_name)
        self.take_weights(net)
        return net

    def _stream(self, number: int, part: tuple[int, int] = (0, 1)) -> Stream:
        device, dtype, schema = self.setting.device, self.dtype, self.schema
        x, reach = self.x.to(device), self.reach.to(device)
        y = (self.y[:, None] if self.factor == 1 and self.y.ndim == 3 else self.y).to(device)
        rows = torch.from_numpy(np.tile(self._rows(number)[0], self.repeats)).to(device)

        turns = crops.TURN if "turn" in self.augment else 0
        names = tuple(name for name in self.augment if name != "turn")
        augment, count = compose(names, fill=schema.inputs[0].center)
        follow = following(names, fill=IGNORED)
        first = crops.PLACE + turns  # of the draws of `augment`

        def prepare(batch: tuple[Tensor, ...], draws: Tensor) -> tuple[Tensor, ...]:
            (chosen,) = batch
            found = []
            for values, factor, change in ((x, 1, augment), (y, self.factor, follow)):
                piece = crops.pieces(values, chosen, reach, draws[:, : crops.PLACE], self.sides, factor)
                piece = crops.turn(piece, draws[:, crops.PLACE : first]) if turns else piece
                found.append(change(piece, draws[:, first:]))
            return normalize(schema, found[0]).to(dtype), self._target(found[1])

        places = tuple(first + place for place in alternating(names))
        seed = self.setting.options.seed * 1000 + number
        return Stream((rows,), self.batch_size, seed, prepare, first + count, part, places)

    def _target(self, answer: Tensor) -> Tensor:
        """An answer's piece as the loss wants it: large pictures in the units of the small ones."""
        return normalize(self.schema, answer).to(self.dtype)

    def _average(self, net: nn.Module) -> Average | None:
        if self.averaging == "none":
            return None
        start = self.plan.steps * 3 // 4 if self.averaging == "swa" else 0
        return Average(net, self.averaging, decay=min(0.999, 1 - 10 / (self.plan.steps + 10)), start=start)

    def _looked_at(self, rows: np.ndarray) -> np.ndarray:
        """As many validation pictures as a look may take."""
        pixels = np.cumsum(self.reach[rows].prod(1).numpy())
        return rows[: max(1, int((pixels <= MOST_LOOKED_AT).sum()))]

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        x = torch.zeros(2, self.sizes.input[0], *self.sides, dtype=self.dtype, device=self.setting.device)
        return layers_of(net, x)

    def view(self) -> View:
        names = self.data.names or (self.data.frame["file"].to_list() if "file" in self.data.frame.columns else ())
        return of_pictures(self.x, self.parts, names, False, self.setting.options.seed)

    # --- when all are trained

    def _model(self, nets: Sequence[nn.Module]) -> Model:
        """Nets as a model that answers; it leaves them in training mode if they are."""
        config = self.setting.config_of_file
        modes = [net.training for net in nets]
        model = Model(self.task_name, self.setting.system_name, self.schema, self.sizes, config, [*nets])
        for net, mode in zip(nets, modes, strict=True):
            net.train(mode)
        model.extra.update(self._extra())
        return model

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        for net in nets:
            net.eval()
        model = self._model(nets)
        part = "test" if "test" in self.parts else "train"
        outcome = self._judge(model, self.parts[part], seconds, self.setting.options.verdict and part == "test")
        words = {"test": _("test part"), "train": _("training pictures (nothing was set aside)")}
        outcome.metrics_of = _("{part}, {rows} pictures", part=words[part], rows=len(self.parts[part]))
        if self.folds and len(nets) == self.members:  # else they are those of an interrupted run
            self._add_folds(outcome, model)
        return outcome

    def _add_folds(self, outcome: Outcome, model: Model) -> None:
        """Each fold judged on the pictures that it was validated on, and all of them together."""
        valid = [rows for _train, rows in self.folds]
        models = judge.models_of_folds(model, len(self.folds))
        each = [self._each(self._made(one, rows), rows) for one, rows in zip(models, valid, strict=True)]
        figures = [self._figures(some, intervals=False) for some in each]
        judge.say_folds(outcome, figures, self._figures(np.concatenate(each)), self.watch)

    def add_verdict(self, outcome: Outcome, found: Verdict) -> None:
        outcome.verdict, outcome.baseline_metric = found, found.metric
        outcome.baselines = [
            Baseline(row.title, float(row.figure), row.figure.low, row.figure.high, row.seconds_fit, row.is_ours)
            for row in found.models
            if row.figure is not None
        ]

    def _picture(self, row: int) -> np.ndarray:
        """A picture `(h, w, C)` uint8, as far as it reaches."""
        height, width = self.reach[row].tolist()
        return self.x[row, :, :height, :width].permute(1, 2, 0).numpy()

    def _answer(self, row: int) -> np.ndarray:
        """What it should become, `(h', w')` or `(h', w', C)`."""
        height, width = (self.reach[row] * self.factor).tolist()
        found = self.y[row, ..., :height, :width]
        return found.numpy() if found.ndim == 2 else found.permute(1, 2, 0).numpy()


def gallery(name: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]]) -> Pictures:
    """Rows of pictures side by side, each with its column's name, and the row's at the first."""
    pictures = [picture for _name, row in rows for picture in row]
    captions = [f"{said}: {name}" if not place else said for name, _row in rows for place, said in enumerate(columns)]
    return Pictures(pictures, captions, name)


def dense_job(source: Any, task: str, setting: Setting, progress: Any) -> Dense:
    """The job of this task on this data.

    Raises:
        DataError: The data cannot be used; names the file.
        UsageError: An option does not fit.
    """
    from gipi.jobs.segment import Segment
    from gipi.jobs.upscale import Upscale

    check_use(setting.options, task, "", "picture")
    if hasattr(source, "__fspath__") or isinstance(source, str):
        source = str(source)
    elif isinstance(source, Dataset):
        raise DataError(
            _("pictures and answers are given as a folder, an archive or arrays for the task {task}", task=task)
        )
    return {"segment": Segment, "upscale": Upscale}[task](source, setting, progress)
