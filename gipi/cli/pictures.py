"""Answers that are pictures, written as files in the folder that a person is in.

What goes with a picture (the numbers of its code) stands beside it as JSON.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np


def written(answers: list[dict[str, Any]], run: str, inputs: list[str]) -> list[Path]:
    """Write `answers`, each with a `picture` `(H, W, C)` uint8; gives the files.

    Pictures that were made of nothing stand side by side in one file. Answers to pictures have a file each, named after
    the picture, or numbered where a folder was given.

    Args:
        answers: One for each picture.
        run: What made them, as it was typed.
        inputs: What was typed behind it.
    """
    from PIL import Image

    from gipi.tasks.pictures import picture_grid

    stem = Path(run).stem
    if all(text.isdigit() and not Path(text).exists() for text in inputs):
        name = Path(f"{stem}-{len(answers)}.png")
        Image.fromarray(picture_grid(np.stack([answer["picture"] for answer in answers]))).save(name)
        return [name]
    each = len(answers) == len(inputs)
    files = []
    for place, answer in enumerate(answers):
        name = Path(f"{Path(inputs[place]).stem}-{stem}.png" if each else f"{stem}-{place + 1}.png")
        picture = answer["picture"]
        Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(name)
        files.append(name)
        others = {what: value for what, value in answer.items() if what != "picture"}
        if others:
            files.append(name.with_suffix(".json"))
            files[-1].write_text(json.dumps(others) + "\n", encoding="utf-8")
    return files
