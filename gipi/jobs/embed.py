"""Embed: pictures in, vectors out, learned from two views of each picture; labels, where there are any, only judge."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.augment import compose
from gipi.data.drawing import kept_of
from gipi.data.encode import encode, normalize
from gipi.data.learning import learn
from gipi.data.schema import sizes
from gipi.data.stream import generator
from gipi.doctor.finding import View
from gipi.errors import UsageError
from gipi.jobs import judge, unlabelled
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.material import Material
from gipi.jobs.taught import taught
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Clusters
from gipi.tasks import embed as task
from gipi.tasks.baselines import Baseline
from gipi.tasks.figures import chance, duration, figure
from gipi.tasks.verdict import Verdict
from gipi.tasks.verdict import judge as judged
from gipi.training.member import Member, Plan, Progress

STEPS = 10_000  # at most, by default
MOST_CLASSES = 200  # labels that judge; more are names of pictures
PROBE = 0.25  # of the verdict's seconds, for each of three; a network that labels teach has as much
DRAWN = 2000  # points in a report


@dataclass(frozen=True)
class Labels:
    """What judges: classes of training pictures and of test pictures."""

    train: np.ndarray  # rows
    test: np.ndarray
    y: np.ndarray  # (n,) the class of each training row
    truth: np.ndarray  # (m,)
    names: tuple


class Embed(Job):
    """Pictures and a network that says what they show; see Job."""

    members = 1

    def __init__(self, material: Material, setting: Setting):
        options = setting.options
        self.material, self.setting = material, setting
        self.name = material.data.name
        train = material.parts["train"]
        if len(train) < 4:
            raise UsageError(_("pictures are learned from by comparing them; {count} are too few", count=len(train)))
        self.schema = learn(material.data, {}, rows=train)
        self.sizes = sizes(self.schema, task.output(self.schema))
        (self.x,) = encode(self.schema, material.data)
        self.defaults = systems.defaults(setting.system)
        self.batch_size = options.batch_size or min(self.defaults.get("batch_size", 256), max(2, len(train) // 8))
        every = -(-len(train) // self.batch_size)
        most = min(STEPS, self.defaults.get("epochs", STEPS) * every)
        steps = options.steps or (options.epochs * every if options.epochs else most)
        self.plan = Plan(steps, min(steps, every), options.patience)
        chosen = options.augment if options.augment is not None else self.defaults.get("augment", ())
        self.augment = tuple(name for name in chosen if name != "none")
        if not self.augment:
            raise UsageError(
                _("views that do not differ teach nothing: leave out --augment, or name what changes them")
            )
        self.record = unlabelled.record_of("embed", material, self.schema, self.x)
        self.facts = unlabelled.facts_of(material, self.sizes.input)
        self.loss_name = getattr(setting.config, "variant", setting.system_name)
        self.ways = [self._schedule, _("views: {names}", names=" ".join(self.augment))]
        self.algorithm = self.describe_algorithm()

    @property
    def _schedule(self) -> str:
        return self.setting.options.schedule or self.defaults.get("schedule", "constant")

    def _views(self) -> tuple[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], int]:
        """Two views of each picture, as a network sees them, and how many draws a row needs for them."""
        augment, count = compose(self.augment, self.schema.inputs[0].white)

        def views(x: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
            one, other = augment(x, draws[:, :count]), augment(x, draws[:, count:])
            return normalize(self.schema, one), normalize(self.schema, other)

        return views, 2 * count

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        size_of = schedule(self._schedule, self.plan.steps, options.warmup)
        views, draws = self._views()

        def prepare(batch: tuple[Tensor, ...], draws: Tensor) -> tuple[Tensor, ...]:
            return views(batch[0], draws)

        stream = unlabelled.stream_of(self.material, setting, self.x, self.batch_size, prepare, draws)
        member = Member(number, net, self.players(net, size_of), stream, self.plan)
        if len(self.material.parts.get("valid", ())) > 1:
            member.validate = self._validator(member, self._some(self.material.parts["valid"]))
        if hasattr(setting.system, "after"):
            member.after = setting.system.after(net, setting.config)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _some(self, rows: np.ndarray) -> np.ndarray:
        return unlabelled.some_of(self.material, self.setting, self.x, rows)

    def _validator(self, member: Member, rows: np.ndarray) -> Callable[[], dict[str, float]]:
        """The loss on views of validation pictures that stay the same, in batches as large as training's."""
        x = self.x[torch.from_numpy(rows)].to(self.setting.device)
        views, count = self._views()
        draws = self._draws(len(rows), count, "valid").to(x.device)
        parts = max(1, len(rows) // self.batch_size)
        (player,) = member.players.values()

        def validate() -> dict[str, float]:
            pieces = zip(x.tensor_split(parts), draws.tensor_split(parts), strict=True)
            found = [(player.objective(views(*piece)).item(), len(piece[0])) for piece in pieces]  # type: ignore
            return {"loss": sum(loss * count for loss, count in found) / len(x)}

        return validate

    def _draws(self, rows: int, count: int, part: str) -> Tensor:
        return torch.rand(rows, count, generator=generator(self.setting.options.seed, "views", part))

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, normalize(self.schema, self.x[:2].to(self.setting.device)))

    def view(self) -> View:
        return unlabelled.view_of(self.material, self.setting, self.x)

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        model = Model("embed", setting.system_name, self.schema, self.sizes, setting.config_of_file, [*nets])
        data = self.material.data
        model.extra |= kept_of(data.pictures, data.white, self.material.parts["train"])
        part, said = unlabelled.tested_of(self.material)
        test = self._some(self.material.parts[part])
        labels = self._labels(test) if part == "test" else None
        vectors = self._vectors(model, test)
        metrics = self._without_labels(model, test, vectors)
        outcome = Outcome(model, metrics, _("{part}, {rows} rows", part=said, rows=len(test)))
        shown = slice(0, DRAWN)
        groups = [str(labels.names[k]) for k in labels.truth[shown]] if labels else [""] * len(vectors[shown])
        plane = _plane(vectors[shown])
        outcome.results.append(Clusters(plane.tolist(), groups, _("The vectors, along the two axes they differ most")))
        if labels is None:
            outcome.notes.append(_("no labels: nothing says how much of what the pictures show is in the vectors"))
            return outcome
        known = self._vectors(model, labels.train)
        each = options.verdict_seconds * PROBE
        said, settings = task.probe(known, labels.y, vectors, len(labels.names), each, options.seed)
        near = task.neighbors(known, labels.y, vectors, len(labels.names))
        outcome.metrics = {
            "linear_probe": task.share_right(said, labels.truth),
            "neighbors": task.share_right(near, labels.truth),
            **metrics,
        }
        if options.verdict:
            outcome.verdict = self._verdict(labels, said, seconds, settings)
            outcome.baseline_metric, outcome.baselines = "accuracy", judge.baselines_of(outcome.verdict)
        return outcome

    def _vectors(self, model: Model, rows: np.ndarray) -> np.ndarray:
        return model.answers(self.x[torch.from_numpy(rows)])[0].numpy()

    def _without_labels(self, model: Model, rows: np.ndarray, vectors: np.ndarray) -> dict[str, Any]:
        augment, half = compose(self.augment, self.schema.inputs[0].white)
        draws = self._draws(len(rows), 2 * half, "test")
        x = self.x[torch.from_numpy(rows)]
        pieces = zip(x.split(1000), draws.split(1000), strict=True)
        sides = [(augment(some, d[:, :half]), augment(some, d[:, half:])) for some, d in pieces]
        one, other = (torch.cat([model.answers(side[place])[0] for side in sides]).numpy() for place in (0, 1))
        return {"alignment": task.alignment(one, other), "uniformity": task.uniformity(vectors)}

    def _labels(self, test: np.ndarray) -> Labels | None:
        """Classes of at most MOST training pictures and of these test pictures, if the data names them."""
        data, seed = self.material.data, self.setting.options.seed
        if len(data.target) != 1:
            return None
        column = data.frame[data.target[0]]
        if column.null_count() or not 2 <= column.n_unique() <= min(MOST_CLASSES, len(column) // 2):
            return None
        train = self._some(self.material.parts["train"])
        if len(train) > task.MOST:
            train = np.sort(np.random.default_rng(seed).choice(train, task.MOST, replace=False))
        names, codes = np.unique(column.to_numpy(), return_inverse=True)
        if len(np.unique(codes[train])) < len(names):
            return None
        return Labels(train, test, codes[train].astype(np.int64), codes[test].astype(np.int64), tuple(names.tolist()))

    def _verdict(self, labels: Labels, said: np.ndarray, seconds: float, settings: str) -> Verdict:
        """Probes of other vectors of the same pictures, and the same network taught by a tenth of the labels."""
        options, setting = self.setting.options, self.setting
        each, classes = options.verdict_seconds * PROBE, len(labels.names)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(options.seed, "untrained").initial_seed())
            untrained = setting.system.Net(self.sizes, setting.config)
        plain = Model("embed", setting.system_name, self.schema, self.sizes, {}, [untrained.to(setting.device)])
        flat = self.x.flatten(1)
        makes = {
            "random_network": lambda rows: self._vectors(plain, rows),
            "pixels": lambda rows: flat[torch.from_numpy(rows)].float().numpy(),
        }
        baselines = []
        for name, make in makes.items():
            begin = time.perf_counter()
            known, asked = make(labels.train), make(labels.test)
            found, how = task.probe(known, labels.y, asked, classes, each, options.seed)
            baselines.append(Baseline(name, found, time.perf_counter() - begin, 0.0, how, len(known)))
        tenth, cut = self._taught(labels)
        baselines.append(tenth)
        verdict = judged(setting.system_name, said, seconds, baselines, labels.truth, "classify", seed=options.seed)
        note = _("probes are logistic regressions: {how}", how=settings)
        if cut:
            note += f". {tenth.title}: {cut}"
        return replace(verdict, sentence=sentence(verdict), note=note)

    def _taught(self, labels: Labels) -> tuple[Baseline, str]:
        """The classifier whose network the backbone is, taught by a tenth of the labels; and what time cut off it."""
        setting, seed = self.setting, self.setting.options.seed
        some = np.random.default_rng([seed, *b"tenth"]).permutation(len(labels.y))
        first = np.unique(labels.y[some], return_index=True)[1]  # one of each class at least
        some = np.union1d(some[: max(1, round(task.SHARE * len(some)))], some[first])
        begin = time.perf_counter()
        x, y = self.x[torch.from_numpy(labels.train[some])], torch.from_numpy(labels.y[some])
        test = self.x[torch.from_numpy(labels.test)]
        name = getattr(setting.config, "backbone", "convnet")
        budget = setting.options.verdict_seconds
        found, how, cut = taught(name, self.schema, (x, y), test, len(labels.names), budget, seed, setting.device)
        settings = "; ".join(part for part in (how, cut) if part)
        if found is None:
            return Baseline("tenth", None, settings=settings), cut
        return Baseline("tenth", found, time.perf_counter() - begin, 0.0, settings, len(some)), cut


def sentence(verdict: Verdict) -> str:
    """The verdict in a sentence: what the labels say of the vectors, beside the best of the others."""
    ours = verdict.models[0]
    rival = next(row for row in verdict.models if row.name == verdict.rival)
    assert ours.figure is not None and rival.figure is not None and verdict.p_value is not None
    words = {
        "ours": ours.title,
        "ours_figure": figure("accuracy", ours.figure),
        "rival": rival.title,
        "rival_figure": figure("accuracy", rival.figure),
        "rows": verdict.rows,
        "chance": chance(verdict.p_value),
        "seconds": duration(ours.seconds_fit),
    }
    if verdict.winner == ours.name:
        return _(
            "A linear probe of the vectors of {ours} is right about {ours_figure} of {rows} test pictures; the best of "
            "the others ({rival}) about {rival_figure} ({chance}). Learning took {seconds}.",
            **words,
        )
    if verdict.winner:
        return _(
            "Not worth it here: {rival} is right about {rival_figure} of {rows} test pictures, a linear probe of the "
            "vectors of {ours} about {ours_figure} ({chance}). Learning took {seconds}.",
            **words,
        )
    return _(
        "No clear winner: a linear probe of the vectors of {ours} is right about {ours_figure} of {rows} test "
        "pictures, the best of the others ({rival}) about {rival_figure} ({chance}). Learning took {seconds}.",
        **words,
    )


def _plane(vectors: np.ndarray) -> np.ndarray:
    """The two directions in which vectors differ most, `(n, 2)`."""
    centered = vectors - vectors.mean(0)
    return centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
