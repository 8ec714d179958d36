"""Answers that are pictures of their own size, one for each that came in: written beside each other as PNG files.

A mask is written in the colours of its classes, with an overlay of it on the picture; an enlarged picture as it is.
"""

from pathlib import Path
from typing import Any

from gipi.cli.pictures import write_picture
from gipi.messages import _

KINDS = {"mask_picture": "mask", "overlay": "overlay", "picture": "x{factor}"}  # key of an answer -> end of a file name


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
            print("  ".join(part for part in (answer.get("file", stem), shares) if part))
            print("  " + _("written to {path}", path=", ".join(paths.values())))
    return told
