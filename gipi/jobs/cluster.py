"""Cluster: no target; groups of rows by k-means and by an autoencoder's code, side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.encode import encode
from gipi.data.learning import learn
from gipi.data.schema import sizes
from gipi.data.stream import Stream
from gipi.doctor.finding import View
from gipi.jobs import unlabelled
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.material import Material
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Clusters, Table
from gipi.tasks import cluster as task
from gipi.training.member import Member, Plan, Progress


class Cluster(Job):
    """Rows without a target; see Job. The test part has nothing to be tested, so all rows are grouped."""

    members = 1

    def __init__(self, material: Material, setting: Setting):
        options = setting.options
        self.material, self.setting = material, setting
        self.name = material.data.name
        self.schema = learn(material.data, material.kinds)
        self.sizes = sizes(self.schema, task.output(self.schema))
        (self.x,) = encode(self.schema, material.data)
        task.check(self.x.numpy(), self.sizes, options.clusters)
        self.defaults = systems.defaults(setting.system)
        self.train = np.sort(np.concatenate([rows for name, rows in material.parts.items() if name != "valid"]))
        self.batch_size = options.batch_size or self.defaults["batch_size"]
        every = -(-len(self.train) // self.batch_size)
        steps = options.steps or (options.epochs or self.defaults["epochs"]) * every
        patience = self.defaults.get("patience") if options.patience is None else options.patience
        self.plan = Plan(steps, min(steps, every), patience)
        self.record = unlabelled.record_of("cluster", material, self.schema, self.x)
        self.facts = [_("{rows} rows, nothing to predict", rows=len(material.data)), *material.notes]
        self.loss_name = _("squared error of the rebuilt rows")
        self.algorithm = self.describe_algorithm()

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        size_of = schedule(options.schedule or "constant", self.plan.steps, options.warmup)
        stream = Stream((self.x[self.train].to(setting.device),), self.batch_size, options.seed)
        member = Member(number, net, self.players(net, size_of), stream, self.plan)
        if "valid" in self.material.parts:
            x = self.x[self.material.parts["valid"]].to(setting.device)
            member.validate = lambda: {"loss": float(setting.system.reconstruction(net, x))}
        return member

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, self.x[:2].to(self.setting.device))

    def view(self) -> View:
        """All rows are grouped: none is held out, of which copies could be elsewhere."""
        data = self.material.data
        rows = {"train": np.arange(len(self.x))}
        return View(self.x.numpy(), None, rows, frame=data.frame, used=dict(self.material.kinds))

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        model = Model("cluster", setting.system_name, self.schema, self.sizes, setting.config_of_file, [*nets])
        codes = torch.cat(model.outputs(self.x)).numpy()
        columns = self.material.data.frame.select(list(self.material.kinds))
        found = task.cluster(self.x.numpy(), self.sizes, codes, columns, options.clusters, options.seed)
        model.extra["centers"] = found.views[0].centers.tolist()
        outcome = Outcome(model, found.metrics, _("all {rows} rows", rows=len(self.x)), notes=[found.sentence])
        heading, *lines = found.table()
        outcome.results.append(Table(heading, lines, _("The clusters")))
        plane = codes if codes.shape[1] == 2 else _plane(codes)
        for view in found.views:
            name = {"inputs": _("k-means on the inputs"), "code": _("k-means on the autoencoder's code")}[view.name]
            outcome.results.append(Clusters(plane.tolist(), [int(g) + 1 for g in view.assignments], name))
        outcome.extra["clusters"] = found.json()
        return outcome


def _plane(codes: np.ndarray) -> np.ndarray:
    """The two directions in which codes differ most, `(n, 2)`; a code of one number gets a second of zeros."""
    centered = codes - codes.mean(0)
    if codes.shape[1] == 1:
        return np.concatenate([centered, np.zeros_like(centered)], 1)
    return centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
