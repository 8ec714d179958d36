"""`gipi evaluate`: a kept model judged on other data, or on its own test part once more."""

from typing import Any

from gipi.verbs.load import load


def evaluate(source: Any, data: Any = None) -> dict[str, Any]:
    """All metrics of a kept model.

    Args:
        source: A run, its folder or name, or a bundle.
        data: Anything that `fit` takes, with the target columns in it; None: the metrics of the run's test part.

    Raises:
        DataError: The data lacks a column, or holds a label that the model does not know.
    """
    model = load(source)  # before the imports: they are large, and it sees to that
    from gipi import tasks
    from gipi.data.plain_folder import plain_folder
    from gipi.data.sources import open_data
    from gipi.jobs.target import OF_PICTURES

    if data is None:
        from gipi.tasks.intervals import metric_from_json

        return {name: metric_from_json(value) for name, value in model.card.get("metrics", {}).items()}
    if hasattr(tasks.load(model.task), "score_source"):
        return model.evaluate(data)
    target = [field.name for field in model.target_columns] or None
    size = model.schema.inputs[0].shape[1:] if model.schema.is_picture else None
    plain = plain_folder(data, size) if model.task in OF_PICTURES else None
    return model.evaluate(plain or open_data(data, target=target, picture_size=size))  # type: ignore  # (H, W)
