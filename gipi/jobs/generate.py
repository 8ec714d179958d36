"""Generate: pictures in, new ones of the same kind out; compared with pictures that training never saw."""

from collections.abc import Sequence
from typing import Any

import torch

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.encode import encode, normalize
from gipi.data.learning import learn
from gipi.data.schema import sizes
from gipi.data.stream import generator
from gipi.doctor.finding import View
from gipi.jobs import unlabelled
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.material import Material
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Pictures
from gipi.tasks import generate as task
from gipi.tasks.variety import MOST, variety_of
from gipi.training.member import Member, Plan, Progress

LOOKS = 10  # epochs between two looks at how the pictures compare with validation's
COMPARED = 500  # generated pictures of each look
SHOWN = 36


class Generate(Job):
    """Pictures and two players; see Job."""

    members = 1

    def __init__(self, material: Material, setting: Setting):
        options = setting.options
        self.material, self.setting = material, setting
        self.name = material.data.name
        train = material.parts["train"]
        self.schema = learn(material.data, {}, rows=train)
        self.sizes = sizes(self.schema, task.output(self.schema))
        (self.x,) = encode(self.schema, material.data)
        self.defaults = systems.defaults(setting.system)
        self.batch_size = options.batch_size or self.defaults["batch_size"]
        every = -(-len(train) // self.batch_size)
        steps = options.steps or (options.epochs or 0) * every or self.defaults["steps"]
        self.plan = Plan(steps, min(steps, LOOKS * every), None, watch="frechet")
        self.record = unlabelled.record_of("generate", material, self.schema, self.x)
        self.facts = unlabelled.facts_of(material, self.sizes.input)
        self.loss_name = setting.system_name
        self.algorithm = self.describe_algorithm()

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        size_of = schedule(options.schedule or "constant", self.plan.steps, options.warmup)

        def prepare(batch: tuple[torch.Tensor, ...], draws: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (normalize(self.schema, batch[0]),)

        stream = unlabelled.stream_of(self.material, setting, self.x, self.batch_size, prepare)
        held_out = self._pictures(self.material.parts.get("valid", self.material.parts["train"]))

        def validate() -> dict[str, float]:
            made = self._made(net, COMPARED, "valid")
            return {"frechet": float(task.frechet_metric(made, held_out, intervals=False))}

        after = setting.system.after(net, setting.config)
        return Member(number, net, self.players(net, size_of), stream, self.plan, validate, after)

    def _pictures(self, rows: Any) -> Any:
        """Held-out pictures, flat, as generated ones are compared with them; of very many a sample."""
        rows = unlabelled.some_of(self.material, self.setting, self.x, rows)
        x = normalize(self.schema, self.x[torch.from_numpy(rows)])
        return task.decode(x, self.schema).reshape(len(rows), -1).astype("float64")

    def _made(self, net: Any, count: int, part: str) -> Any:
        pictures = task.decode(net.generate(count, generator(self.setting.options.seed, part)), self.schema)
        return pictures.reshape(count, -1).astype("float64")

    def layers(self, net: Any) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, torch.zeros(2, self.setting.config.latent, device=self.setting.device))

    def view(self) -> View:
        return unlabelled.view_of(self.material, self.setting, self.x)

    def finish(self, nets: Sequence[Any], progress: Sequence[Progress], seconds: float) -> Outcome:
        model = Model(
            "generate", self.setting.system_name, self.schema, self.sizes, self.setting.config_of_file, [*nets]
        )
        model.extra["seed"] = self.setting.options.seed
        rows = self.material.parts.get("test", self.material.parts["train"])
        rows = unlabelled.some_of(self.material, self.setting, self.x, rows)
        shape = (len(rows), *task.decode(self.x[:1].float(), self.schema).shape[1:])
        made = self._made(nets[0], len(rows), "test")
        train = self._pictures(self.material.parts["train"])
        metrics = task.metrics(made.reshape(shape), self._pictures(rows).reshape(shape), train.reshape(-1, *shape[1:]))
        outcome = Outcome(model, metrics, _("as many generated pictures as test pictures, {rows}", rows=len(rows)))
        if self.setting.options.doctor:
            outcome.evidence["variety"] = variety_of(self._made(nets[0], MOST, "variety"), train)
        outcome.results.append(Pictures([*made.reshape(shape)[:SHOWN].astype("uint8")], name=_("Generated pictures")))
        return outcome
