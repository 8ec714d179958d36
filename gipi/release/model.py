"""A kept model: what goes in, the networks, what comes out. It answers alike in a run, from a file, behind a server."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import tasks
from gipi.data.dataset import Dataset
from gipi.data.encode import as_input, encode
from gipi.data.images import read_picture
from gipi.data.loose import loose
from gipi.data.schema import Field, Schema, Sizes, target_columns
from gipi.data.text_rows import ENDED, padded
from gipi.errors import UsageError
from gipi.messages import _
from gipi.process import freed_memory_kept
from gipi.release.described import ANY_SIZE
from gipi.release.quick import FEW, Quick, quick
from gipi.release.rows import as_rows, rows_at_once

if TYPE_CHECKING:
    from gipi.release.explain import PictureExplanation, RowExplanation
    from gipi.release.looked import LookExplanation
    from gipi.release.text_saliency import TextExplanation


@dataclass
class Model:
    """One network or several (folds, an ensemble) that answer together.

    Attributes:
        task: classify, regress, cluster, generate or act.
        system: The name of the system; "own" for a module of a person's own.
        schema: What goes in and what comes out.
        sizes: The sizes the networks were built for.
        config: The system's configuration, as JSON.
        members: The networks, in eval mode.
        card: Where it comes from and how good it is: data, metrics, dates, versions.
        extra: What else the task must keep, as JSON (the centres of clusters, the name of an environment).
    """

    task: str
    system: str
    schema: Schema
    sizes: Sizes
    config: dict[str, Any]
    members: list[nn.Module]
    card: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for member in self.members:
            member.eval()

    def outputs(self, x: Tensor) -> list[Tensor]:
        """What each member gives for encoded rows, `(B, output)` each."""
        where = next(self.members[0].parameters())
        several = len(x) > rows_at_once(x)
        order = None
        if several and self.schema.is_text:  # rows of like length together
            order = (x != ENDED).sum(1).argsort(stable=True)
            x = x[order]
        with torch.no_grad(), freed_memory_kept() if several else nullcontext():
            found = [gathered(_outputs(member, x, where, self.schema), len(x)) for member in self.members]
        return found if order is None else [torch.empty_like(one).index_copy_(0, order, one) for one in found]

    def answers(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The members' common answer to encoded rows, and how far they disagree (None for one member)."""
        task = tasks.load(self.task)
        return task.combine([task.answer(output, self.schema) for output in self.outputs(x)], self.schema)

    def encode(self, data: Dataset, with_targets: bool = False) -> tuple[Tensor, ...]:
        """Rows as the networks' tensors."""
        return encode(self.schema, data, with_targets, next(self.members[0].parameters()).dtype)

    def predict(self, rows: Any) -> list[dict[str, Any]]:
        """One answer per row: a label with its probability, a number with its interval, an action, a cluster.

        Args:
            rows: One row or many: dicts, a frame, arrays, a table file, pictures as files or arrays. For a task that
                generates: how many.
        """
        row = rows[0] if type(rows) is list and len(rows) == 1 else rows
        if type(row) is dict and (settled := self._settled()).encode is not None:
            encoded = settled.encode(row)
            if encoded is not None:
                if settled.numbers is not None and settled.say is not None:
                    return [settled.say(*settled.numbers(encoded))]
                return self.said(torch.from_numpy(encoded)[None])
        task = tasks.load(self.task)
        if type(rows) is int and hasattr(task, "sample"):  # so many that nothing is asked of
            return task.sample(self, rows, self.extra.get("seed", 0))
        if hasattr(task, "predict"):  # nothing goes in but how many are wanted
            return task.predict(self, rows, self.extra.get("seed", 0))
        (x,) = self.encode(as_rows(self.schema, rows))
        if 0 < len(x) <= FEW and (settled := self._settled()).numbers and settled.say:
            return [settled.say(*settled.numbers(row)) for row in x.numpy()]
        return self.said(x)

    def ready(self, row: Any, start: int = 0) -> np.ndarray:
        """One row made ready for `answered`; what can be wrong with it is said here. See `Program.ready`."""
        if self.task in ("generate", "stream"):
            return np.asarray(row)
        if self.task in ANY_SIZE:
            return loose([row], self.schema.inputs[0].shape[0])[0][1]
        if self.schema.is_picture:
            field = self.schema.inputs[0]
            picture = read_picture(row, field.shape, field.white)  # type: ignore[arg-type]  # (C, H, W)
            return np.ascontiguousarray(picture.transpose(2, 0, 1))
        read = self._settled().encode if type(row) is dict else None
        found = read(row) if read else None
        return self.ready_all([row], start)[0] if found is None else found

    def ready_all(self, rows: list[Any], start: int = 0) -> list[np.ndarray]:
        """Rows of a table or texts made ready at once; see `Program.ready_all`."""
        x = self.encode(as_rows(self.schema, rows, start=start))[0].numpy()
        return [row[row != ENDED] for row in x] if self.schema.is_text else [*x]

    def answered(self, ready: list[np.ndarray]) -> list[dict[str, Any]]:
        """The answers to rows that were made ready, together."""
        if self.task in ANY_SIZE:
            return self.predict(ready)
        if self.task == "generate":
            rows, members = np.stack(ready), len(self.members)
            places = np.arange(len(rows)) * members + rows[:, -1].astype(int) % members
            noise = np.zeros((len(rows) * members, rows.shape[1] - 1), np.float32)
            noise[places] = rows[:, :-1]  # the members take turns
            made = self.predict(noise)
            return [made[place] for place in places]
        if self.task == "stream":
            return self.predict(np.stack(ready))
        if self.schema.is_text:
            return self.said(torch.from_numpy(padded(ready)))
        is_table = not self.schema.is_picture
        if is_table and len(ready) <= FEW and (settled := self._settled()).numbers and settled.say:
            return [settled.say(*settled.numbers(row)) for row in ready]
        return self.said(torch.from_numpy(np.stack(ready)))

    def explain(
        self, rows: Any, target: Any = None, layer: str | None = None, baseline: Any = None
    ) -> "list[PictureExplanation | RowExplanation | TextExplanation | LookExplanation]":
        """Why it answers as it does, for each row: where in a picture it looks, which words of a text decided, what
        each column of a table does.

        Args:
            rows: One row or many, as in `predict`.
            target: The class, label or target to be explained; None: what is answered (of several targets the first).
            layer: For Grad-CAM: the name of a layer; None: the last that has places enough.
            baseline: For integrated gradients: the picture that says nothing; None: a black one.

        Raises:
            UsageError: The model makes, moves or groups things; there is no such target or layer.

        Example:
            >>> model.explain("digit.png")[0].cam.shape  # doctest: +SKIP
            (8, 8)
        """
        from gipi.release.explain import explanations

        return [*explanations(self, rows, target, layer, baseline)]

    def said(self, x: Tensor) -> list[dict[str, Any]]:
        """The answers to encoded rows, in words."""
        task = tasks.load(self.task)
        if not len(x):
            return []
        if "centers" in self.extra:
            return task.place(x.numpy(), self.sizes, self.extra["centers"])
        if hasattr(task, "told"):  # token by token
            return task.told(self, x)
        return task.decode(*self.answers(x), self.schema)

    def answer(self, x: np.ndarray) -> np.ndarray:
        """The answer to one encoded row, on the shortest way: a row of `encode`, as a NumPy array, without the batch.

        Args:
            x: `(N + K,)`, of the networks' type.

        Returns:
            `(K,)` probabilities, or `(T, Q)` numbers in the targets' own units, as `answers` has them.

        Example:
            >>> (x,) = model.encode(as_rows(model.schema, {"study": 7}))  # doctest: +SKIP
            >>> model.answer(x[0].numpy())                                # doctest: +SKIP
            array([[70.]], dtype=float32)
        """
        settled = self._settled()
        if settled.numbers is None:
            return self.answers(torch.from_numpy(x)[None])[0][0].numpy()
        if x.shape != settled.shape:
            text = _(
                "one encoded row of shape {expected} was expected, {shape} came", expected=settled.shape, shape=x.shape
            )
            raise UsageError(text)
        return np.array(settled.numbers(x if x.dtype == settled.dtype else x.astype(settled.dtype))[0], settled.dtype)

    def _settled(self) -> Quick:
        """The model made ready for single rows, again if its weights were changed since."""
        settled = self.__dict__.get("_quick")
        if settled is None or not settled.is_of(self.members):
            settled = self.__dict__["_quick"] = quick(self)
        return settled

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_quick"}

    def numbers(self, data: Dataset) -> dict[str, np.ndarray]:
        """The answers to rows whose columns have the schema's types, by the names that a program gives them."""
        (x,) = self.encode(data)
        if "centers" in self.extra:
            placed = tasks.load("cluster").place(x.numpy(), self.sizes, self.extra["centers"])
            return {"cluster": np.array([one["cluster"] for one in placed], np.int64)}
        answers, disagreement = self.answers(x)
        if self.task == "embed":
            return {"vector": answers.numpy()}
        return {"answer": answers.numpy()} | ({} if disagreement is None else {"disagreement": disagreement.numpy()})

    def checksum(self) -> str:
        """Names the model by all that its answers come from: task, schema and weights."""
        said = [self.task, self.system, self.schema.to_json(), self.extra]
        digest = hashlib.sha256(json.dumps(said, default=str).encode())
        for member in self.members:
            for name, value in member.state_dict().items():
                digest.update(name.encode())
                if isinstance(value, Tensor):
                    digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def evaluate(self, data: Dataset, intervals: bool = True) -> dict[str, Any]:
        """All metrics on a data set that has the targets.

        Raises:
            UsageError: The task has no targets to compare with.
        """
        task = tasks.load(self.task)
        if hasattr(task, "score_source"):  # it reads pictures and their answers in its own way
            return task.score_source(self, data, intervals)
        if hasattr(task, "score"):  # pictures are their own right answers
            return task.score(self, *self.encode(as_rows(self.schema, data)), intervals)
        if not self.schema.targets or not hasattr(task, "truth"):
            raise UsageError(_("the task {task} has no right answers to compare with", task=self.task))
        x, y = self.encode(as_rows(self.schema, data), with_targets=True)
        answers, _disagreement = self.answers(x)
        return task.metrics(answers, task.truth(y, self.schema), self.schema, intervals)

    @property
    def target_columns(self) -> tuple[Field, ...]:
        """The columns that an evaluation needs."""
        return target_columns(self.schema)

    def save(self, path: str | Path) -> Path:
        """Keep it as one file, a bundle (`.gipi`), with its program where it can have one."""
        from gipi.release.keep import write_release

        return write_release(self, Path(path))


def gathered(pieces: Iterator[Tensor], rows: int) -> Tensor:
    """Pieces as one tensor of so many rows; each is copied as it comes: kept, they would tear the memory to shreds."""
    first = next(pieces)
    whole = first.new_empty((rows, *first.shape[1:]))
    whole[: len(first)] = first
    start = len(first)
    del first
    for piece in pieces:
        whole[start : start + len(piece)] = piece
        start += len(piece)
    return whole


def _outputs(member: nn.Module, x: Tensor, where: Tensor, schema: Schema) -> Iterator[Tensor]:
    return (member(chunk).cpu() for chunk in _chunks(x, where, schema))


def _chunks(x: Tensor, where: Tensor, schema: Schema) -> Iterator[Tensor]:
    count = rows_at_once(x)
    for start in range(0, len(x), count):
        chunk = as_input(schema, x[start : start + count].to(where.device), where.dtype)
        if chunk.ndim == 4:  # convolutions are up to five times as fast on a CPU where the channels lie last
            chunk = chunk.to(memory_format=torch.channels_last)
        yield chunk
