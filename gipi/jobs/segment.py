"""Segment: pictures and their masks; judged by confusion matrices, beside trees that see each pixel's surroundings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gipi.data.dataset import Dataset
from gipi.data.masks import IGNORED, LONGEST_SIDE, open_masks
from gipi.data.schema import Field
from gipi.jobs.dense import SHOWN, Dense, gallery
from gipi.jobs.dense_parts import with_files
from gipi.jobs.job import Outcome, Setting
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Table
from gipi.tasks import segment as task
from gipi.tasks.compared import verdict
from gipi.tasks.intervals import Metric
from gipi.tasks.said import coloured, overlay
from gipi.tasks.whole import outputs


class Segment(Dense):
    """See Dense."""

    task_name = "segment"
    watch = "mean_iou"

    def __init__(self, source: Any, setting: Setting, progress: Any):
        options = setting.options
        data, self.classes = open_masks(source, options.picture_size, options.ignore, progress=progress)

        def more(path: str) -> Dataset:
            return open_masks(path, options.picture_size, known=self.classes, progress=progress)[0]

        data = with_files(data, options, more)
        super().__init__(data, Field("mask", "mask", values=self.classes.names), setting)
        counts = self._counts(self.parts["train"])
        unseen = [name for name, count in zip(self.classes.names, counts, strict=True) if not count]
        if unseen:
            self.facts.append(_("no training picture shows: {names}; they cannot be learned", names=", ".join(unseen)))
        for number, (train, _valid) in enumerate(self.folds):
            found = zip(self.classes.names, counts, self._counts(train), strict=True)
            if lacking := [name for name, count, own in found if count and not own]:
                words = {"fold": number + 1, "names": ", ".join(lacking)}
                self.facts.append(_("fold {fold} learns from no picture that shows: {names}", **words))

    def _counts(self, rows: np.ndarray) -> np.ndarray:
        """Pixels of each class."""
        return np.bincount(self.y[torch.from_numpy(rows)].reshape(-1).numpy(), minlength=256)[: len(self.classes.names)]

    def _usual_size(self) -> int:
        return LONGEST_SIDE

    def _usual_loss(self) -> str:
        return "cross_entropy"

    def _extra(self) -> dict[str, Any]:
        return {**super()._extra(), "classes": self.classes.json()}

    def _loss(self) -> tuple[Callable[..., Tensor], Callable[[Any], Any] | None]:
        own, options = self.setting.own.loss, self.setting.options
        if own is not None:
            return own, None
        weight = None
        if options.class_weight == "balanced":
            counts = np.maximum(self._counts(self.parts["train"]), 1)
            weight = torch.tensor(counts.sum() / (len(counts) * counts), dtype=self.dtype, device=self.setting.device)
        return task.loss(options.loss, weight)

    def _target(self, answer: Tensor) -> Tensor:
        return answer[:, 0].long()  # (B, S, S')

    def _look(self, model: Model, rows: np.ndarray) -> dict[str, float]:
        """Loss and mean IoU of whole pictures; the loss is the mean over pictures."""
        loss, confusions = 0.0, 0.0
        for place, scores in outputs(model.members, self.schema, self.x, self.reach, rows, lambda output: output):
            truth = self._answer(int(rows[place]))
            y = torch.from_numpy(truth)[None].long().to(scores.device)
            assert self.loss is not None
            loss += self.loss(scores[None], y).item() / len(rows)
            confusions = confusions + task.confusion(scores.argmax(0).cpu().numpy(), truth, len(self.classes.names))
        return {"loss": loss, "mean_iou": float(task.mean_iou(np.asarray(confusions)[None])[0])}

    def _made(self, model: Model, rows: np.ndarray) -> list[np.ndarray]:
        return task.masks_of(model, self.x, self.reach, rows)

    def _each(self, made: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
        count, truth = len(self.classes.names), [self._answer(int(row)) for row in rows]
        return np.stack([task.confusion(mask, true, count) for mask, true in zip(made, truth, strict=True)])

    def _figures(self, each: np.ndarray, intervals: bool = True) -> dict[str, Metric]:
        return task.metrics(each, self.classes.names, intervals)

    def _judge(self, model: Model, rows: np.ndarray, seconds: float, with_verdict: bool) -> Outcome:
        names = self.classes.names
        masks = self._made(model, rows)
        truth = [self._answer(int(row)) for row in rows]
        each = self._each(masks, rows)
        outcome = Outcome(model, self._figures(each), "")
        outcome.results += [self._shown(rows, masks, truth, each), self._table(outcome, each)]
        if with_verdict:
            from gipi.tasks.pixel_baselines import pixel_baselines

            options = self.setting.options
            train = np.sort(np.concatenate([part for name, part in self.parts.items() if name != "test"]))
            held = (self.x, self.y, self.reach, train, rows, len(names))
            rivals = pixel_baselines(*held, options.verdict_seconds, options.seed)
            name = self.setting.system_name
            found = verdict(name, each, seconds, rivals, "mean_iou", self._figures, task.mean_iou, seed=options.seed)
            self.add_verdict(outcome, found)
        return outcome

    def _shown(self, rows: np.ndarray, masks: list, truth: list, each: np.ndarray) -> Any:
        """The pictures with the worst and the best masks: what is so, what was said, and where they differ."""
        order = np.argsort(task.mean_iou(each), kind="stable")
        half = SHOWN // 2
        chosen = order if len(order) <= SHOWN else np.concatenate([order[:half], order[-half:]])
        shown = []
        for place in chosen:
            picture, mask, true = self._picture(int(rows[place])), masks[place], truth[place]
            wrong = np.where(true == IGNORED, 255, np.where(mask == true, 200, 0)).astype(np.uint8)
            overlays = [overlay(picture, coloured(one, self.classes.colours)) for one in (true, mask)]
            iou = float(task.mean_iou(each[place : place + 1])[0])
            file = self.data.frame["file"][int(rows[place])]
            shown.append((f"{file} (IoU {iou:.2f})", [picture, *overlays, wrong]))
        columns = [_("picture"), _("true"), _("said"), _("wrong is black")]
        return gallery(_("Masks, the worst and the best"), columns, shown)

    def _table(self, outcome: Outcome, each: np.ndarray) -> Table:
        """Each class: its colour, its share, its figures."""
        right, said, true = (part[0] for part in task._parts(each.sum(0, keepdims=True)))
        total = max(true.sum(), 1)
        lines = []
        for place, name in enumerate(self.classes.names):
            iou = outcome.metrics[f"iou_{name}"]
            dice = 2 * right[place] / max(said[place] + true[place], 1)
            colour = "#" + "".join(f"{part:02x}" for part in self.classes.colours[place])
            lines.append([name, colour, f"{100 * true[place] / total:.1f} %", float(iou), float(dice)])
        return Table([_("class"), _("colour"), _("share"), "IoU", "Dice"], lines, _("Class by class"))
