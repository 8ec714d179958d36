"""`gipi show --layer`, `gipi show --map`: what is inside a kept model, drawn."""

from typing import TYPE_CHECKING, Any

from gipi.errors import DataError, UsageError
from gipi.messages import _
from gipi.run import Run
from gipi.verbs.drawing import Drawing
from gipi.verbs.load import load_networks
from gipi.verbs.reopened import own_material

if TYPE_CHECKING:
    import numpy as np

    from gipi.data.dataset import Dataset
    from gipi.release.model import Model

MOST_ROWS = 1000  # on a map


def layer(source: Any, name: str, picture: Any = None) -> Drawing:
    """The filters of a layer, or what it makes of a picture. Of folds and ensembles it is the first network's.

    Args:
        source: A run, its folder or name, or a bundle.
        name: Of the layer, as in `net.named_modules()`; of a part with several layers the first with filters is taken.
        picture: A file or an array; None: the filters.

    Raises:
        UsageError: There is no such layer, it has no filters, or what it makes has no places.
        DataError: The picture cannot be read.

    Example:
        >>> gipi.Run("last").layer("0").save("filters.png")                  # doctest: +SKIP
        >>> gipi.Run("last").layer("3", "digit.png").save("maps.png")        # doctest: +SKIP
    """
    from gipi.release.explain import shown
    from gipi.release.inside import feature_maps, filters
    from gipi.release.rows import as_rows
    from gipi.report.sheet import MOST_INPUTS, MOST_TILES, filter_sheet, map_sheet

    model = _opened(source)
    notes = [] if len(model.members) == 1 else [_("of {count} networks this is the first", count=len(model.members))]
    if picture is None:
        found, full = filters(model, name)
        outputs, inputs, height, width = found.shape
        seen = MOST_TILES if inputs in (1, 3) else MOST_INPUTS
        if outputs > seen or (inputs > MOST_INPUTS and inputs != 3):
            many, deep = min(outputs, seen), inputs if inputs == 3 else min(inputs, MOST_INPUTS)
            text = _(
                "of {outputs} filters {shown} are drawn, and of the {inputs} channels that go in {deep}",
                outputs=outputs,
                shown=many,
                inputs=inputs,
                deep=deep,
            )
            notes.append(text)
        return Drawing(filter_sheet(found, f"{full} · {outputs} × {inputs} × {height} × {width}"), notes)
    _check_answers(model)
    if not model.schema.is_picture:
        raise UsageError(_("what a layer makes of a picture can be drawn; this model takes a table"))
    (x,) = model.encode(as_rows(model.schema, picture))
    if len(x) != 1:
        raise UsageError(_("one picture was expected, {count} came", count=len(x)))
    maps = feature_maps(model, x, name)
    if len(maps) >= MOST_TILES:
        notes.append(_("of {count} maps {shown} are drawn", count=len(maps), shown=MOST_TILES - 1))
    title = f"{name} · {len(maps)} × {maps.shape[1]} × {maps.shape[2]}"
    return Drawing(map_sheet(shown(x, model.schema.inputs[0].white)[0], maps, title), notes)


def plane(source: Any, data: Any = None) -> Drawing:
    """Rows on a plane by what the network sees in them: the features before its last layer, by principal components.

    Rows that lie near each other are alike for the network. Colours are the true answers, or, where the data has none,
    what the model says. Of folds and ensembles the features are the first network's.

    Args:
        source: A run, its folder or name, or a bundle.
        data: Anything that `fit` takes; None: the run's own test part.

    Raises:
        UsageError: The data was in memory, or the source is a bundle: data must be given.
        RunError: The run's data is not what it was.

    Example:
        >>> gipi.Run("last").map().save("map.png")     # doctest: +SKIP
    """
    from gipi.data.sources import open_data
    from gipi.release.rows import as_rows

    model = _opened(source)
    _check_answers(model)
    if data is None:
        rows = _own_test_part(source)
    else:
        target = [field.name for field in model.target_columns] or None
        size = model.schema.inputs[0].shape[1:] if model.schema.is_picture else None
        try:
            rows = open_data(data, target=target, picture_size=size)  # type: ignore[arg-type]  # (H, W)
        except (DataError, UsageError):  # without the answers, it may be; if it cannot be read at all, that is said
            rows = as_rows(model.schema, data)
    return drawn_plane(model, rows, MOST_ROWS)


def drawn_plane(model: "Model", data: "Dataset", most: int) -> Drawing:
    """At most so many of these rows on the plane, drawn by chance, but always the same ones."""
    import numpy as np

    from gipi.release.explain import named, shown
    from gipi.release.inside import features, principal
    from gipi.release.rows import as_rows
    from gipi.report.plane import plane as draw

    notes = []
    if len(data) > most:
        notes.append(_("of {rows} rows {shown} are drawn", rows=len(data), shown=most))
        data = data.rows(np.sort(np.random.default_rng(0).choice(len(data), most, replace=False)))
    if len(data) < 2:
        raise UsageError(_("a map needs at least two rows, {count} came", count=len(data)))
    data = as_rows(model.schema, data)
    x, groups, is_said = _with_groups(model, data)
    if is_said:
        notes.append(_("colours are what the model says: the data has no answers"))
    places, shares = principal(features(model, x))
    is_number = model.schema.targets[0].kind not in ("class", "labels")
    pictures = shown(x, model.schema.inputs[0].white) if model.schema.is_picture else None
    title = model.schema.targets[0].name if model.schema.targets[0].kind != "labels" else ""
    return Drawing(draw(places, shares, pictures, groups, () if is_number else named(model.schema), title), notes)


def _with_groups(model: "Model", data: "Dataset") -> "tuple[Any, np.ndarray, bool]":
    """Encoded rows, the class or number of each, and whether that is what the model says, for want of an answer."""
    import torch

    from gipi import tasks
    from gipi.release.explain import scores

    schema = model.schema
    is_class = schema.targets[0].kind in ("class", "labels")
    if all(field.name in data.frame.columns for field in model.target_columns):
        x, y = model.encode(data, with_targets=True)
        truth = torch.from_numpy(tasks.load(model.task).truth(y, schema))
        return x, (truth if truth.ndim == 1 else truth.argmax(1) if is_class else truth[:, 0]).numpy(), False
    (x,) = model.encode(data)
    found = scores(model.answers(x)[0], schema)
    return x, (found.argmax(1) if is_class else found[:, 0]).numpy(), True


def _opened(source: Any) -> "Model":
    return load_networks(source.model if isinstance(source, Run) else source)


def _check_answers(model: "Model") -> None:
    if model.task not in ("classify", "regress"):
        text = _("this can be drawn of models that classify or regress; this one's task is {task}", task=model.task)
        raise UsageError(text)


def _own_test_part(source: Any) -> "Dataset":
    """The rows that a run was judged by, opened once more."""
    material = own_material(source, "gipi show RUN DATA --map, run.map(data)")
    part = "test" if "test" in material.parts else "train"
    return material.data.rows(material.parts[part])
