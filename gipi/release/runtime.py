"""A kept model that runs by its program: the graph in onnxruntime, and nothing of PyTorch.

It answers rows as `Model` does, in the same words. It is the way where PyTorch is not installed, where a model must be
there at once, and the only one for a module of a person's own whose source is not at hand.

B rows, H W h w C pictures, r a factor, Z noise, M members
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gipi.data.dataset import Dataset
from gipi.data.features import picture_rows, raw_rows
from gipi.data.images import read_picture, resized
from gipi.data.loose import fitting_size, loose
from gipi.data.schema import Field, Schema, target_columns
from gipi.data.text_rows import ENDED, padded, text_rows
from gipi.errors import DataError, UsageError
from gipi.messages import _
from gipi.release.described import ANY_SIZE
from gipi.release.rows import as_rows, rows_at_once
from gipi.release.single import Encoder, raw_encoder
from gipi.tasks.latent import noise_of
from gipi.tasks.said import Said, of_mask, said

Array = np.ndarray
Run = Callable[[dict[str, Array]], dict[str, Array]]  # a program: named inputs to named outputs

TILE = 256  # small pixels a side that go through an enlarging network at once


@dataclass
class Program:
    """A model as its program. It has the face of `Model`, as far as that needs no networks.

    Attributes:
        task: classify, regress, cluster, generate ...
        system: The name of the system; "own" for a module of a person's own.
        schema: What goes in and what comes out.
        config: The system's configuration, as JSON.
        run: The graph.
        card: Where it comes from and how good it is.
        extra: What else the task keeps.
        reach: Of a network that enlarges: small pixels that a large one depends on, to each side; 0: unknown.
        sum: The checksum of the file that it came from.
    """

    task: str
    system: str
    schema: Schema
    config: dict[str, Any]
    run: Run
    card: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    reach: int = 0
    sum: str = ""

    def predict(self, rows: Any) -> list[Said]:
        """One answer per row; see `Model.predict`.

        Raises:
            DataError: A row lacks a column, or a value cannot be read.
            RunError: The program takes too long, or fails.
        """
        if self.task == "generate":
            noise = noise_of(rows, self.config["latent"], self.extra.get("seed", 0))
            return self._generated(noise, range(len(noise)))
        if self.task == "segment":
            return [self._masked(name, picture) for name, picture in loose(rows, self._channels)]
        if self.task == "upscale":
            return [self._enlarged(name, picture) for name, picture in loose(rows, self._channels)]
        if self.task == "stream":
            return said("stream", self.schema, self.extra, self.run({"x": _batch(rows, self.extra)}))
        if type(rows) is int and not self.schema.is_picture:
            raise DataError(_("rows were expected, a number came: {given}", given=rows))
        if type(rows) is int:
            raise UsageError(_("new pictures need the networks: open the file with PyTorch installed"))
        return said(self.task, self.schema, self.extra, self.outputs(self.inputs(rows)))

    def ready(self, row: Any, start: int = 0) -> Array:
        """One row made ready for `answered`; what can be wrong with it is said here.

        Args:
            row: A dict, a picture as the bytes of a file or an array, a row of a stream's batch, or noise `(Z + 1,)`:
                the last says whose turn it is, of several members.
            start: How many rows stand before it, for errors.

        Raises:
            DataError: It lacks a column, or a value cannot be read.
        """
        if self.task in ("generate", "stream"):
            return np.asarray(row)
        if self.task in ANY_SIZE:
            return loose([row], self._channels)[0][1]
        if self.schema.is_picture:
            field = self.schema.inputs[0]
            return read_picture(row, field.shape, field.white)  # type: ignore[arg-type]  # (C, H, W)
        found = self._raw(row) if self._raw and type(row) is dict else None
        if found is None:
            (found,) = self.ready_all([row], start)
        return found

    def ready_all(self, rows: list[Any], start: int = 0) -> list[Array]:
        """Rows of a table made ready at once: out of the ordinary, they take hardly longer than one of them.

        Raises:
            DataError: A value of one of them cannot be read.
        """
        whole = self._encoded(as_rows(self.schema, rows, start=start))
        if self.schema.is_text:
            return [row[row != ENDED] for row in whole["tokens"]]
        return [*np.concatenate([whole[name] for name in ("numbers", "codes") if name in whole], 1)]

    def answered(self, ready: list[Array]) -> list[Said]:
        """The answers to rows that were made ready, together."""
        if self.task in ANY_SIZE:
            return self.predict(ready)
        if self.schema.is_text:
            return said(self.task, self.schema, self.extra, self.outputs({"tokens": _int64(padded(ready))}))
        rows = np.stack(ready)
        if self.task == "generate":
            return self._generated(np.array(rows[:, :-1], np.float32), rows[:, -1].astype(int).tolist())
        if self.task == "stream":
            return self.predict(rows)
        if self.schema.is_picture:
            return said(self.task, self.schema, self.extra, self.outputs({"pictures": rows}))
        count = sum(field.kind != "category" for field in self.schema.inputs)
        inputs = {"numbers": rows[:, :count]} if count else {}
        if count < rows.shape[1]:
            inputs["codes"] = rows[:, count:].astype(np.int64)
        return said(self.task, self.schema, self.extra, self.outputs(inputs))

    @cached_property
    def _raw(self) -> Encoder | None:
        return raw_encoder(self.schema)

    def numbers(self, data: Dataset) -> dict[str, Array]:
        """The answers to rows whose columns have the schema's types, by the names of the program's outputs."""
        return self.outputs(self._encoded(data))

    def checksum(self) -> str:
        """Names the model by all that its answers come from: the file's own checksum."""
        return self.sum

    def inputs(self, rows: Any) -> dict[str, Array]:
        """Rows as what goes into the program."""
        return self._encoded(as_rows(self.schema, rows))

    def _encoded(self, data: Dataset) -> dict[str, Array]:
        if self.schema.is_picture:
            pictures = picture_rows(self.schema.inputs[0], data).transpose(0, 2, 3, 1)
            return {"pictures": np.ascontiguousarray(pictures)}
        if self.schema.is_text:
            return {"tokens": _int64(text_rows(self.schema.inputs, data))}
        numbers, codes = raw_rows(self.schema.inputs, data)
        found = {"numbers": numbers} if numbers.shape[1] else {}
        return found | ({"codes": codes} if codes.shape[1] else {})

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What the program gives for any number of rows, as many at once as suit it."""
        first = next(iter(inputs.values()))
        count = rows_at_once(first)
        if len(first) <= count:
            return self.run(dict(inputs))
        pieces = [
            self.run({name: array[start : start + count] for name, array in inputs.items()})
            for start in range(0, len(first), count)
        ]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    @property
    def target_columns(self) -> tuple[Field, ...]:
        """The columns that an evaluation needs."""
        return target_columns(self.schema)

    def explain(self, rows: Any, target: Any = None, layer: str | None = None, baseline: Any = None) -> Any:
        """A program cannot be looked into.

        Raises:
            UsageError: Always; says what can.
        """
        raise UsageError(_("an explanation needs the networks: open the file with PyTorch and the model's source"))

    def evaluate(self, data: Any, intervals: bool = True) -> dict[str, Any]:
        """All metrics on a data set that has the targets; this alone needs PyTorch.

        Raises:
            UsageError: The task's metrics need the networks.
        """
        from gipi import tasks
        from gipi.data.encode import encode
        from gipi.data.mapped import as_tensor

        task = tasks.load(self.task)
        if not self.schema.targets or not hasattr(task, "truth"):
            raise UsageError(
                _("the task {task} is evaluated with its networks; open the file with them", task=self.task)
            )
        rows = as_rows(self.schema, data)
        answers = as_tensor(self.outputs(self.inputs(rows))["answer"])
        y = encode(self.schema, rows, with_targets=True)[1]
        return task.metrics(answers, task.truth(y, self.schema), self.schema, intervals)

    # --- pictures ------------------------------------------------------------------------------------------------

    @property
    def _channels(self) -> int:
        return self.schema.inputs[0].shape[0]

    def _generated(self, noise: Array, turns: Sequence[int]) -> list[Said]:
        if not len(noise):
            return []
        made = self.run({"noise": noise})["picture"]  # (M, B, H, W, C): the members take turns
        return [{"picture": made[turn % len(made), place]} for place, turn in enumerate(turns)]

    def _masked(self, name: str | None, picture: Array) -> Said:
        height, width = picture.shape[:2]
        small = resized(picture, *fitting_size(height, width, self.extra["longest"]))
        size = np.array([height, width], np.int64)
        mask = self.run({"pictures": _one(small), "size": size})["mask"][0]
        return ({} if name is None else {"file": name}) | of_mask(mask, picture, self.extra["classes"])

    def _enlarged(self, name: str | None, picture: Array) -> Said:
        factor = self.extra["factor"]
        large = by_tiles(lambda piece: self.run({"pictures": _one(piece)})["picture"][0], picture, factor, self.reach)
        return ({} if name is None else {"file": name}) | {"picture": large, "factor": factor}


def by_tiles(through: Callable[[Array], Array], picture: Array, factor: int, reach: int, tile: int = TILE) -> Array:
    """A small picture `(h, w, C)` through what enlarges it, a piece at a time: `(r h, r w, C)`.

    Each piece goes in with as much of its surroundings as its pixels depend on, so the seams are not seen.
    """
    height, width = picture.shape[:2]
    if not reach or max(height, width) <= tile + 2 * reach:
        return through(picture)
    whole = np.empty((height * factor, width * factor, picture.shape[2]), np.uint8)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            above, before = min(top, reach), min(left, reach)
            made = through(picture[top - above : top + tile + reach, left - before : left + tile + reach])
            into = whole[top * factor : (top + tile) * factor, left * factor : (left + tile) * factor]
            into[:] = made[above * factor :, before * factor :][: into.shape[0], : into.shape[1]]
    return whole


def _int64(tokens: Array) -> Array:
    return tokens.astype(np.int64)


def _one(picture: Array) -> Array:
    return np.ascontiguousarray(picture)[None]


def _batch(rows: Any, extra: Mapping[str, Any]) -> Array:
    """A batch as the stream gave them."""
    try:
        return np.asarray(rows, np.float32 if extra.get("takes_floats", True) else np.int64)
    except (TypeError, ValueError) as error:
        text = _("a batch of numbers was expected, as the stream gave them: {reason}", reason=error)
        raise DataError(text) from error
