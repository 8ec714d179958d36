"""Upscale: small pictures and the large ones that they should become; judged in dB, beside bicubic enlarging."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from gipi.data.dataset import Dataset
from gipi.data.encode import normalize
from gipi.data.enlarged import LONGEST_SIDE, enlarged, open_enlarged
from gipi.data.schema import Field
from gipi.jobs.dense import EXAMPLE, SHOWN, Dense, gallery
from gipi.jobs.dense_parts import with_files
from gipi.jobs.job import Outcome, Setting
from gipi.messages import _
from gipi.release.model import Model
from gipi.tasks import pictures
from gipi.tasks import upscale as task
from gipi.tasks.compared import verdict
from gipi.tasks.intervals import Metric
from gipi.tasks.whole import outputs

CLOSE_UP = 48  # small pixels a side that the report shows


class Upscale(Dense):
    """See Dense."""

    task_name = "upscale"
    watch = "psnr"

    def __init__(self, source: Any, setting: Setting, progress: Any):
        self.factor = getattr(setting.config, "factor", 2)

        def opened(source: Any) -> Dataset:
            return open_enlarged(source, self.factor, setting.options.picture_size, progress)

        data = with_files(opened(source), setting.options, opened)
        assert data.pictures is not None
        side = EXAMPLE * self.factor
        super().__init__(data, Field("picture", "picture", (data.pictures.shape[3], side, side)), setting)

    def _usual_size(self) -> int:
        return LONGEST_SIDE

    def _usual_loss(self) -> str:
        return "mae"

    def _extra(self) -> dict[str, Any]:
        return {**super()._extra(), "factor": self.factor}

    def _sides(self, crop: int) -> tuple[int, int]:
        """No piece reaches beyond its picture: what is beside it is not to be learned."""
        height, width = self.reach[self.parts["train"]].amin(0).tolist()
        return min(crop, height), min(crop, width)

    def _loss(self) -> tuple[Callable[..., Tensor], Callable[[Any], Any] | None]:
        own = self.setting.own.loss
        return (own or task.loss(self.setting.options.loss)), None

    def _look(self, model: Model, rows: np.ndarray) -> dict[str, float]:
        """Loss and PSNR of whole pictures, means over them."""
        loss, each = 0.0, []
        for place, output in outputs(model.members, self.schema, self.x, self.reach, rows, task.answer):
            row = int(rows[place])
            height, width = (self.reach[row] * self.factor).tolist()
            y = normalize(self.schema, self.y[row : row + 1, :, :height, :width].to(output.device)).to(output.dtype)
            assert self.loss is not None
            loss += self.loss(output[None], y).item() / len(rows)
            made = pictures.decode(output[None], self.schema)[0]
            each.append(task.scores(made, self._answer(row), self.factor)[0])
        return {"loss": loss, "psnr": float(np.mean(each))}

    def _made(self, model: Model, rows: np.ndarray) -> list[np.ndarray]:
        return task.enlarged_by(model, self.x, self.reach, rows)

    def _each(self, made: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
        truth = [self._answer(int(row)) for row in rows]
        return np.stack([task.scores(one, true, self.factor) for one, true in zip(made, truth, strict=True)])

    def _figures(self, each: np.ndarray, intervals: bool = True) -> dict[str, Metric]:
        return task.metrics(each, intervals)

    def _judge(self, model: Model, rows: np.ndarray, seconds: float, with_verdict: bool) -> Outcome:
        made = self._made(model, rows)
        truth = [self._answer(int(row)) for row in rows]
        each = self._each(made, rows)
        outcome = Outcome(model, self._figures(each), "")
        outcome.results.append(self._shown(rows, made, truth, each))
        if with_verdict:
            small = [self._picture(int(row)) for row in rows]
            rivals = task.rivals(small, truth, self.factor)
            name, seed = self.setting.system_name, self.setting.options.seed
            held = (rivals, "psnr", lambda sums: task.metrics(sums[:, :2]), task.mean_psnr)
            self.add_verdict(outcome, verdict(name, task.summed(each), seconds, *held, seed=seed))
        return outcome

    def _shown(self, rows: np.ndarray, made: list, truth: list, each: np.ndarray) -> Any:
        """A close-up of each picture where there is most detail: small, bicubic, the network's, true."""
        shown = []
        for place in range(min(len(rows), SHOWN)):
            row = int(rows[place])
            small, r = self._picture(row), self.factor
            top, left = _busiest(small)
            wide = (slice(top * r, (top + CLOSE_UP) * r), slice(left * r, (left + CLOSE_UP) * r))
            views = [
                enlarged(small, r, "nearest")[wide],
                enlarged(small, r)[wide],
                made[place][wide],
                truth[place][wide],
            ]
            file = self.data.frame["file"][row]
            shown.append((f"{file} ({each[place, 0]:.1f} dB)", views))
        columns = [_("small"), _("bicubic"), self.setting.system_name, _("true")]
        return gallery(_("Close-ups, side by side"), columns, shown)


def _busiest(picture: np.ndarray) -> tuple[int, int]:
    """The corner of the square of `CLOSE_UP` pixels in which brightness differs most, on a coarse grid."""
    grey = picture.astype(np.float64).mean(2)
    step = CLOSE_UP // 2
    corners = [
        (top, left)
        for top in range(0, max(1, grey.shape[0] - CLOSE_UP + 1), step)
        for left in range(0, max(1, grey.shape[1] - CLOSE_UP + 1), step)
    ]
    return max(
        corners, key=lambda corner: grey[corner[0] : corner[0] + CLOSE_UP, corner[1] : corner[1] + CLOSE_UP].std()
    )
