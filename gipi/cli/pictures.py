"""Answers that are pictures, written as files in the folder that a person is in.

What goes with a picture (the numbers of its code) stands beside it as JSON. A mask is written in the colours of its
classes, with an overlay of it on the picture; an enlarged picture as it is.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gipi.errors import cannot_write
from gipi.messages import _
from gipi.report.text import clean

KINDS = {"mask_picture": "mask", "overlay": "overlay", "picture": "x{factor}"}  # key of an answer -> end of a file name


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
    from gipi.training.checkpoint import write_atomically

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
            write_atomically(files[-1], json.dumps(others).encode() + b"\n")
    return files


def written_each(answers: list[dict[str, Any]], run: str, is_said: bool) -> list[dict[str, Any]]:
    """The answers with the paths of the files in place of the pictures; a person is told each of them.

    Args:
        answers: With `mask`, `mask_picture` and `overlay`, or with `picture` and `factor`; perhaps with `file`.
        run: Names the files of pictures that came without a name.
        is_said: Whether a person is told.

    Raises:
        RunError: A file cannot be written.
    """
    taken: set[str] = set()
    told = []
    for number, answer in enumerate(answers, 1):
        stem = Path(answer["file"]).stem if "file" in answer else f"{run}-{number}"
        while stem in taken:  # pictures of the same name from two folders
            stem = f"{stem}-{number}"
        taken.add(stem)
        paths = {
            key: write_picture(answer[key], f"{stem}-{end.format(factor=answer.get('factor'))}.png")
            for key, end in KINDS.items()
            if key in answer
        }
        names = {"mask_picture": "mask"}
        said = {name: value for name, value in answer.items() if name not in ("mask", *KINDS)}
        said |= {names.get(key, key): path for key, path in paths.items()}
        told.append(said)
        if is_said:
            shares = ", ".join(f"{name} {share:.1%}" for name, share in answer.get("share", {}).items() if share > 0)
            print(clean("  ".join(part for part in (answer.get("file", stem), shares) if part)))
            print("  " + _("written to {path}", path=", ".join(paths.values())))
    return told


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
