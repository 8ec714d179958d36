"""How a set of pictures is laid out: which file is of which class and which part, told from the paths alone.

A folder for each class; folders train, valid (or val) and test above them become parts. The paths may be those of a
folder on disk or of a zip: nothing here opens a file.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gipi.data.images import SUFFIXES
from gipi.errors import DataError
from gipi.messages import _

PARTS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
    "testing": "test",
}
Place = tuple[str, ...]  # the parts of a path below the root


@dataclass
class Tree:
    """The files and folders below a root, hidden ones left out, and how to get at a file.

    Attributes:
        shown: What errors call the root.
        files: The parts of each file's path below the root, in order.
        folders: Likewise; empty folders among them, the root not.
        source: What `read_picture` takes for a file: a path, or a file in a zip.
    """

    shown: str
    files: list[Place]
    folders: list[Place]
    source: Callable[[Place], Any]


@dataclass
class Layout:
    """Pictures in order, with the class and the part of each; the part is "" where there are none."""

    files: list[Place] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def tree_of_folder(path: Path) -> Tree:
    """What lies in a folder on disk. Links are followed, but into no folder twice.

    Raises:
        DataError: It is no folder, or must not be read.
    """
    try:
        next(iter(os.scandir(path)), None)
    except NotADirectoryError:
        raise DataError(_("{path} is a file; expected a folder of pictures for each class.", path=path)) from None
    except FileNotFoundError:
        raise DataError(_("{path}: there is no such folder.", path=path)) from None
    except PermissionError:
        raise DataError(_("{path}: reading this folder is not permitted.", path=path)) from None
    files: list[Place] = []
    folders: list[Place] = []
    _walk(path, (), [], files, folders)
    return Tree(str(path), sorted(files), sorted(folders), lambda place: path.joinpath(*place))


def _walk(folder: Path, place: Place, above: list[str], files: list[Place], folders: list[Place]) -> None:
    here = os.path.realpath(folder)
    if here in above:  # a link to a folder that it lies in
        return
    try:
        entries = [entry for entry in os.scandir(folder) if not is_hidden((entry.name,))]
    except PermissionError:
        raise DataError(_("{path}: reading this folder is not permitted.", path=folder)) from None
    for entry in entries:
        if entry.is_dir():
            folders.append((*place, entry.name))
            _walk(Path(entry.path), (*place, entry.name), [*above, here], files, folders)
        elif entry.is_file():
            files.append((*place, entry.name))


def is_hidden(place: Iterable[str]) -> bool:
    """Names that begin with a dot, and what programs leave behind in folders and archives."""
    return any(name.startswith(".") or name in ("__MACOSX", "__pycache__") for name in place)


def is_picture(place: Place) -> bool:
    return PurePosixPath(place[-1]).suffix.lower() in SUFFIXES


def layout_of(tree: Tree) -> Layout:
    """The classes and parts of a tree of pictures.

    Raises:
        DataError: There are no pictures, or fewer than two classes.
    """
    found = Layout()
    root = _unwrapped(tree, found.notes)
    parts = _part_folders(tree, root)
    if parts:
        others = [place[-1] for place in _folders(tree, root) if place not in parts.values()]
        if others:
            found.notes.append(_("Folders beside train, valid and test were left out: {names}.", names=few(others)))
    below = _by_folder(tree.files, len(root) + (2 if parts else 1))
    num_others = 0
    for part, folder in parts.items() if parts else {"": root}.items():
        for place in _folders(tree, folder):
            files = below.get(place, [])
            pictures = [file for file in files if is_picture(file)]
            num_others += len(files) - len(pictures)
            if not pictures:
                found.notes.append(_("The folder {name} has no picture and was left out.", name="/".join(place)))
            found.files += pictures
            found.labels += [place[-1]] * len(pictures)
            found.parts += [part] * len(pictures)
    if num_others:
        found.notes.append(_("{count} files that are not pictures were left out.", count=num_others))
    found.labels = joined_classes(found.labels, found.notes)
    check_classes(tree, found.labels)
    return found


def check_classes(tree: Tree, labels: Sequence[str]) -> None:
    """There must be two classes; else what is there says what may have been meant."""
    names = sorted(set(labels))
    if len(names) > 1:
        return
    if names:
        raise DataError(
            _(
                "{path}: all pictures are in one class, '{name}'; expected a folder for each of two or more classes.",
                path=tree.shown,
                name=names[0],
            )
        )
    loose = sum(map(is_picture, tree.files))
    if loose:
        raise DataError(
            _(
                "{path}: {count} pictures lie in the folder itself; expected a folder for each class, "
                "or a CSV that names files and labels.",
                path=tree.shown,
                count=loose,
            )
        )
    raise DataError(
        _(
            "{path}: there are no pictures in this folder; expected a folder of pictures for each class.",
            path=tree.shown,
        )
    )


def joined_classes(labels: Sequence[str], notes: list[str]) -> list[str]:
    """Names of classes that differ only in case or in blanks around them are one class, by its most frequent spelling.

    Single letters stay apart: of letters, `A` and `a` are two classes. What was joined is added to the notes.

    Example:
        >>> notes = []
        >>> joined_classes(["Rose", "rose ", "rose ", "tulip", "a", "A"], notes)
        ['rose', 'rose', 'rose', 'tulip', 'a', 'A']
        >>> len(notes)
        1
    """
    spellings: dict[str, Counter[str]] = {}
    for label, count in Counter(labels).items():
        plain = label.strip() or label
        spellings.setdefault(plain.casefold() if len(plain) > 1 else plain, Counter())[label] += count
    name_of: dict[str, str] = {}
    joined = []
    for found in spellings.values():
        best = max(found, key=lambda label: (found[label], label))
        name_of |= dict.fromkeys(found, best.strip() or best)
        if len(found) > 1:
            joined.append(" = ".join(f"'{label}' ({found[label]})" for label in sorted(found)))
    if joined:
        notes.append(
            _(
                "Names of classes that differ only in case or blanks were taken for one class: {names}. "
                "Rename them if they are different.",
                names="; ".join(joined),
            )
        )
    return [name_of[label] for label in labels]


def few(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (", " + _("and {count} more", count=rest) if rest > 0 else "")


def _unwrapped(tree: Tree, notes: list[str]) -> Place:
    """The folder in which the classes or parts are: archives often wrap it in one more."""
    folders = _folders(tree, ())
    is_wrapped = len(folders) == 1 and len(_folders(tree, folders[0])) > 1
    if is_wrapped and not any(len(file) == 1 and is_picture(file) for file in tree.files):
        notes.append(_("The classes are the folders in {name}.", name=folders[0][-1]))
        return folders[0]
    return ()


def _part_folders(tree: Tree, root: Place) -> dict[str, Place]:
    """train, valid and test, in this order, if there is a train folder that holds class folders."""
    found = {PARTS[place[-1].lower()]: place for place in _folders(tree, root) if place[-1].lower() in PARTS}
    if "train" not in found or not _folders(tree, found["train"]):
        return {}
    return {part: found[part] for part in ("train", "valid", "test") if part in found}


def _folders(tree: Tree, above: Place) -> list[Place]:
    """The folders that lie in this one."""
    depth = len(above)
    return [place for place in tree.folders if len(place) == depth + 1 and place[:depth] == above]


def _by_folder(files: Sequence[Place], depth: int) -> dict[Place, list[Place]]:
    """Files by the folder that is so many steps below the root, however much deeper they lie."""
    found: dict[Place, list[Place]] = {}
    for file in files:
        if len(file) > depth:
            found.setdefault(file[:depth], []).append(file)
    return found
