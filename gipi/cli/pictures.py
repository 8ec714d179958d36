"""Answers that are pictures, written as files in the folder that a person is in.

What goes with a picture (the numbers of its code) stands beside it as JSON.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gipi.errors import cannot_write


def written(answers: list[dict[str, Any]], run: str, inputs: list[str]) -> list[Path]:
    """Write `answers`, each with a `picture` `(H, W, C)` uint8; gives the files.

    Pictures that were made of nothing stand side by side in one file. Answers to pictures have a file each, named after
    the picture, or numbered where a folder was given.

    Args:
        answers: One for each picture.
        run: What made them, as it was typed.
        inputs: What was typed behind it.

    Raises:
        RunError: A picture cannot be written.
    """
    from gipi.tasks.pictures import picture_grid

    stem = Path(run).stem
    if all(text.isdigit() and not Path(text).exists() for text in inputs):
        name = Path(f"{stem}-{len(answers)}.png")
        write_picture(picture_grid(np.stack([answer["picture"] for answer in answers])), str(name))
        return [name]
    each = len(answers) == len(inputs)
    files = []
    for place, answer in enumerate(answers):
        name = Path(f"{Path(inputs[place]).stem}-{stem}.png" if each else f"{stem}-{place + 1}.png")
        write_picture(answer["picture"], str(name))
        files.append(name)
        others = {what: value for what, value in answer.items() if what != "picture"}
        if others:
            files.append(name.with_suffix(".json"))
            files[-1].write_text(json.dumps(others) + "\n", encoding="utf-8")
    return files


def write_picture(picture: Any, name: str) -> str:
    """`(H, W, C)` uint8 as a PNG file, under a temporary name first, so that nobody sees half a file; gives the name.

    Raises:
        RunError: It cannot be written.
    """
    from PIL import Image

    path, part = Path(name), Path(name).with_name(f".{Path(name).name}.part")
    try:
        Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(part, "PNG")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return name
