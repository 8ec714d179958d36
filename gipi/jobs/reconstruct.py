"""Compress and denoise: pictures in, pictures out, each compared with the one that it should be; without labels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import systems, tasks
from gipi.algorithms.schedules import schedule
from gipi.data.drawing import kept_of
from gipi.data.encode import encode, normalize
from gipi.data.large_frames import sample
from gipi.data.learning import learn
from gipi.data.noise import DRAWS, add_noise
from gipi.data.schema import sizes
from gipi.doctor.finding import View
from gipi.jobs import judge, unlabelled
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.material import Material
from gipi.messages import _
from gipi.release.model import Model, gathered
from gipi.release.rows import rows_at_once
from gipi.report.page import Pictures
from gipi.report.text import number
from gipi.tasks import pictures as measure
from gipi.tasks.scored import Rival, judge_scores
from gipi.training.member import Member, Plan, Progress

STEPS = 8000  # at most, by default
SHOWN = 24  # pictures in a report
SAMPLE = 20_000  # pictures that principal components are learned from


class Reconstruct(Job):
    """Pictures and a network that gives pictures; see Job."""

    members = 1

    def __init__(self, material: Material, setting: Setting):
        options = setting.options
        self.material, self.setting = material, setting
        self.task = tasks.load(material.task)
        self.name = material.data.name
        self.is_noisy = material.task == "denoise"
        train = material.parts["train"]
        self.schema = learn(material.data, {}, rows=train)
        self.sizes = sizes(self.schema, self.task.output(self.schema))
        (self.x,) = encode(self.schema, material.data)
        self.defaults = systems.defaults(setting.system)
        self.batch_size = min(options.batch_size or max(64, self.defaults.get("batch_size", 64)), len(train))
        every = -(-len(train) // self.batch_size)
        most = min(STEPS, self.defaults.get("epochs", STEPS) * every)
        steps = options.steps or (options.epochs * every if options.epochs else most)
        patience = self.defaults.get("patience") if options.patience is None else options.patience
        self.plan = Plan(steps, min(steps, every), patience)
        self.record = unlabelled.record_of(material.task, material, self.schema, self.x)
        self.facts = unlabelled.facts_of(material, self.sizes.input)
        if self.is_noisy:
            words = {"noise": f"{options.noise:g}"}
            self.facts.append(
                _("noise: normal, standard deviation {noise} of white, cut off at black and white", **words)
            )
        self.loss_name = _("squared error of the rebuilt pictures")
        self.ways = [self._schedule]
        self.algorithm = self.describe_algorithm()

    @property
    def _schedule(self) -> str:
        return self.setting.options.schedule or "cosine"

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        size_of = schedule(self._schedule, self.plan.steps, options.warmup)
        white = self.schema.inputs[0].white

        def prepare(batch: tuple[Tensor, ...], draws: Tensor) -> tuple[Tensor, ...]:
            clean = normalize(self.schema, batch[0])
            if not self.is_noisy:
                return (clean,)
            return normalize(self.schema, add_noise(batch[0], draws, options.noise, white)), clean

        draws = DRAWS if self.is_noisy else 0
        stream = unlabelled.stream_of(self.material, setting, self.x, self.batch_size, prepare, draws)
        member = Member(number, net, self.players(net, size_of), stream, self.plan)
        if "valid" in self.material.parts:
            member.validate = self._validator(net, self._some(self.material.parts["valid"]))
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _some(self, rows: np.ndarray) -> np.ndarray:
        return unlabelled.some_of(self.material, self.setting, self.x, rows)

    def _given(self, rows: np.ndarray) -> Tensor:
        """What the network is asked with: the pictures of these rows, with their noise if that is to be taken out."""
        x = self.x[torch.from_numpy(rows)]
        options = self.setting.options
        return self.task.noisy(x, rows, options.noise, self.schema, options.seed) if self.is_noisy else x

    def _validator(self, net: nn.Module, rows: np.ndarray) -> Callable[[], dict[str, float]]:
        device = self.setting.device
        given, truth = self._given(rows).to(device), self.x[torch.from_numpy(rows)].to(device)
        shape = self.schema.inputs[0].shape

        def validate() -> dict[str, float]:
            chunks = given.split(rows_at_once(given))
            made = gathered((net(normalize(self.schema, chunk)) for chunk in chunks), len(given))
            made = made.flatten(1)[:, -truth[0].numel() :].unflatten(1, shape)
            loss = nn.functional.mse_loss(made, normalize(self.schema, truth)).item()
            near = measure.psnr(measure.decode(made, self.schema), measure.as_bytes(truth, self.schema))
            return {"loss": loss, "psnr": float(near.mean())}

        return validate

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, normalize(self.schema, self.x[:2].to(self.setting.device)))

    def view(self) -> View:
        return unlabelled.view_of(self.material, self.setting, self.x)

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        config = setting.config_of_file
        model = Model(self.material.task, setting.system_name, self.schema, self.sizes, config, [*nets])
        data = self.material.data
        model.extra = {"seed": options.seed, **kept_of(data.pictures, data.white, self.material.parts["train"])}
        if self.is_noisy:
            model.extra["noise"] = options.noise
        part, said = unlabelled.tested_of(self.material)
        rows = self._some(self.material.parts[part])
        given, truth = self._given(rows), measure.as_bytes(self.x[torch.from_numpy(rows)], self.schema)
        made = self.task.rebuilt(model.answers(given)[0], self.schema)
        scores = measure.scores(made, truth)
        metrics = measure.means(scores, seed=options.seed)
        outcome = Outcome(model, metrics, _("{part}, {rows} rows", part=said, rows=len(rows)))
        outcome.results.append(self._shown(given, made, truth, scores))
        if options.verdict and part == "test":
            rivals = self._rivals(nets[0], given, truth)
            name, metric = setting.system_name, self.task.headline(self.schema)
            outcome.verdict = judge_scores(name, scores, seconds, rivals, metric, options.seed)
            outcome.baseline_metric, outcome.baselines = metric, judge.baselines_of(outcome.verdict)
        return outcome

    def _rivals(self, net: nn.Module, given: Tensor, truth: np.ndarray) -> list[Rival]:
        rows = sample(self.material.seen, self.x[0].numel(), self.setting.options.seed)
        most = self.task.TRIED if self.is_noisy else SAMPLE
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(self.setting.options.seed).choice(rows, most, replace=False))
        if self.is_noisy:
            clean = measure.as_bytes(self.x[torch.from_numpy(rows)], self.schema)
            noisy = measure.as_bytes(self._given(rows), self.schema)
            return self.task.rivals((noisy, clean), (measure.as_bytes(given, self.schema), truth))
        seen = measure.as_bytes(self.x[torch.from_numpy(rows)], self.schema)
        numbers = self.task.code_length(net, self.x[:1], self.schema)
        return self.task.rivals(seen, truth, numbers, self.setting.options.seed)

    def _shown(self, given: Tensor, made: np.ndarray, truth: np.ndarray, scores: dict[str, np.ndarray]) -> Pictures:
        """The first pictures: what went in, what came out, and (of noisy ones) what should have come out."""
        several = [truth[:SHOWN], made[:SHOWN]]
        name = _("Pictures (left) and what was rebuilt from their codes (right)")
        if self.is_noisy:
            several = [measure.as_bytes(given[:SHOWN], self.schema), made[:SHOWN], truth[:SHOWN]]
            name = _("Noisy pictures (left), what was made of them, and what they were without noise (right)")
        captions = [f"{number(float(near), 3)} dB" for near in scores["psnr"][:SHOWN]]
        return Pictures(measure.beside(*several), captions, name)
