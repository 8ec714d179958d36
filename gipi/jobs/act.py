"""Act: learn by playing; the best weights are chosen on some episodes and reported on others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.environments import Environment, opener
from gipi.data.schema import sizes
from gipi.errors import UsageError
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Baseline, Values
from gipi.tasks import act as task
from gipi.tasks.intervals import Metric
from gipi.training.member import Member, Plan, Progress

REPORTED = 100  # episodes that the figures are of: Gymnasium's and the literature's habit
LOOKS = 50  # times that a run looks at validation episodes
CHOSEN_BY = 20  # episodes of each look


class Act(Job):
    """An environment and a player; see Job."""

    members = 1
    is_repeatable = False  # its first moves take longer than an estimate may

    def __init__(self, source: str | Callable[[], Environment], setting: Setting):
        options = setting.options
        if options.folds or options.ensemble > 1:
            raise UsageError(_("folds and ensembles are for rows; {name} is an environment", name=source))
        self.setting = setting
        self.source = source
        self.environment = opener(source)()
        self.name = self.environment.name.removeprefix("gym:")
        self.schema = task.schema(self.environment)
        self.sizes = sizes(self.schema, task.output(self.schema))
        self.defaults = systems.defaults(setting.system)
        self.batch_size = options.batch_size or self.defaults["batch_size"]
        steps = options.steps or self.defaults["steps"]
        self.plan = Plan(steps, max(1, steps // LOOKS), options.patience, watch="return", higher=True)
        self.record = {
            "task": "act",
            "schema": self.schema.to_json(),
            "data": self.environment.name,
            "split": options.seed,
        }
        seen, offered = self.environment.features, self.environment.actions
        self.facts = [_("{seen} numbers to see, {offered} actions to choose from", seen=seen, offered=offered)]
        self.stream: Any = None  # of the member, when it is built
        self.loss_name = setting.system_name
        self.algorithm = self.describe_algorithm()

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        size_of = schedule(options.schedule or "constant", self.plan.steps, options.warmup)
        stream = setting.system.stream(opener(self.source)(), net, setting.config, self.batch_size, options.seed)
        self.stream = stream

        def validate() -> dict[str, float]:
            returns = task.evaluate(net, self.source, CHOSEN_BY, options.seed, "valid")
            return {"return": float(returns.mean())}

        after = setting.system.after(net, setting.config)
        return Member(number, net, self.players(net, size_of), stream, self.plan, validate, after)

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        device = next(net.parameters()).device
        return layers_of(net, torch.zeros(2, *self.sizes.input, device=device))

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        options = self.setting.options
        model = Model("act", self.setting.system_name, self.schema, self.sizes, self.setting.config_of_file, [*nets])
        model.extra["environment"] = self.environment.name
        returns = task.evaluate(nets[0], self.source, REPORTED, options.seed, "test")
        chance = task.evaluate_random(self.source, REPORTED, options.seed, "test")
        metrics = task.metrics(returns)
        by_chance = task.metrics(chance)["return"]
        outcome = Outcome(model, metrics, _("{count} episodes that nothing was chosen on", count=REPORTED))
        outcome.results.append(Values(returns.tolist(), _("Return of each episode")))
        found: Metric = metrics["return"]
        outcome.baselines = [
            Baseline(self.setting.system_name, float(found), found.low, found.high, seconds, True),
            Baseline(_("by chance"), float(by_chance), by_chance.low, by_chance.high),
        ]
        outcome.baseline_metric = "return"
        worth = {"mean": float(found), "low": found.low, "high": found.high, "chance": float(by_chance)}
        outcome.evidence = {"returns": worth, "actions": remembered(self.stream, self.environment.actions)}
        outcome.notes.append(
            _(
                "mean return {ours} of {episodes} episodes; {chance} by chance",
                ours=f"{found:.4g}",
                episodes=REPORTED,
                chance=f"{by_chance:.4g}",
            )
        )
        return outcome


def remembered(stream: Any, actions: int) -> dict[str, Any]:
    """What was done of late, as far as a stream remembers: how many moves, and the share of each action."""
    held = getattr(stream, "memory", None)
    moves = getattr(stream, "moves", 0)
    if not isinstance(held, dict) or "action" not in held or not moves:
        return {}
    counts = np.bincount(held["action"][:moves].cpu().numpy().astype(np.int64), minlength=actions)
    return {"moves": int(counts.sum()), "shares": (counts / counts.sum()).tolist()}
