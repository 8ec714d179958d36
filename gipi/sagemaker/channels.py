"""SageMaker's channels: which folder of data is for training, which for validation, which for the test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _
from gipi.sagemaker.places import Places

NAMES = {  # of `gipi.fit`'s parts, and how channels are called
    "train": ("train", "training"),
    "valid": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}


def parts_of(places: Places, options: Mapping[str, Any]) -> dict[str, str]:
    """The path of the data of each part that has a channel: train, and perhaps valid and test.

    A channel with one file in it is that file; else its folder, for instance one with pictures in a folder for each
    class.

    Args:
        places: Where the channels lie.
        options: Of the training; `weights` may lie in a channel of its own.

    Raises:
        UsageError: A channel has a name that nothing reads, or comes in a way that is not read.
        DataError: There is no training channel, or a channel is empty.
    """
    said = places.said("inputdataconfig.json")
    if said is None:  # somebody runs the container by hand
        said = {path.name: {} for path in sorted(places.data.glob("*")) if path.is_dir()}
    for name, about in said.items():
        mode = about.get("TrainingInputMode", "File") if isinstance(about, dict) else "?"
        if mode != "File":
            raise UsageError(
                _(
                    "the channel {name} comes in the input mode {mode}; gipi reads File and FastFile",
                    name=name,
                    mode=mode,
                )
            )
    found: dict[str, str] = {}
    for name in said:
        part = next((part for part, names in NAMES.items() if name in names), None)
        if part is None:
            if _holds(places.data / name, options.get("weights")):
                continue
            known = [each for names in NAMES.values() for each in names]
            text = _(
                "nothing reads the channel {name}; channels are called {known}.", name=name, known=", ".join(known)
            )
            raise UsageError(text + nearest(name, known))
        if part in found:
            names = ", ".join(each for each in NAMES[part] if each in said)
            raise UsageError(_("the channels {names} are for one part; give one of them", names=names))
        found[part] = str(content(places.data / name, name))
    if "train" not in found:
        raise DataError(_("there is no channel train (or training): nothing to learn from"))
    return found


def content(folder: Path, name: str) -> Path:
    """The one file that is in a channel, else its folder.

    Raises:
        DataError: Nothing is in it.
    """
    found = sorted(path for path in folder.glob("*") if not path.name.startswith((".", "_")))
    if not found:
        raise DataError(_("the channel {name} is empty: there is nothing in {folder}", name=name, folder=folder))
    return found[0] if len(found) == 1 and found[0].is_file() else folder


def _holds(folder: Path, weights: Any) -> bool:
    return isinstance(weights, str) and Path(weights).is_relative_to(folder)
