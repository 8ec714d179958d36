"""Which mask belongs to which picture: by folders, names and lists, as segmentation sets come.

Known layouts: folders `images` and `masks` (or labels, annotations, gt ...), above or below folders train, valid and
test; `train` beside `trainannot` or `train_masks`; both in one folder, the mask with a suffix (`_L`, `_mask` ...).
A mask may have the suffix in a folder of its own too. Parts: those folders, or lists train.txt, valid.txt, test.txt.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from gipi.data.picture_files import PictureFiles, few
from gipi.data.picture_sets import PARTS
from gipi.errors import DataError
from gipi.messages import _

MASKS = re.compile(r"masks?|labels?|labell?ed|annot(ation)?s?|ground[ _-]?truths?|gts?|seg(ment(ation)?s?)?", re.I)
ROLES = re.compile(r"(masks?|labels?|annot(ation)?s?|ground[ _-]?truths?|gts?|segmentations?|images?|imgs?|pictures?)")
SUFFIX = re.compile(r"([ _-](L|P|masks?|labels?|annot(ation)?|gt|seg(mentation)?|groundtruth|volume|image))$", re.I)


@dataclass(frozen=True)
class Pair:
    """A picture and its mask by their names, and the part that their place puts them in ("": none)."""

    picture: str
    mask: str
    part: str


def paired(files: PictureFiles, notes: list[str]) -> list[Pair]:
    """Each picture with its mask; those without one are set aside, and said.

    Raises:
        DataError: There are no pictures, no masks, or none that fit together.
    """
    if not files.pictures:
        raise DataError(_("{path}: there are no pictures in this folder.", path=files.path))
    by_folder = [name for name in files.pictures if _is_in_mask_folder(name)]
    masks = by_folder or [name for name in files.pictures if SUFFIX.search(PurePosixPath(name).stem)]
    if not by_folder:  # `0_image.png` beside `0_mask.png`
        words = re.compile(r"[ _-](volume|image)$", re.I)
        masks = [name for name in masks if not words.search(PurePosixPath(name).stem)]
    chosen = set(masks)
    pictures = [name for name in files.pictures if name not in chosen]
    if not masks or not pictures:
        raise DataError(
            _(
                "{path}: there are {pictures} pictures and {masks} masks; expected a folder 'images' and a folder "
                "'masks' (or labels, annotations) with a mask of the same name for each picture.",
                path=files.path,
                pictures=len(pictures),
                masks=len(masks),
            )
        )
    return _matched(files, pictures, masks, notes)


def _matched(files: PictureFiles, pictures: list[str], masks: list[str], notes: list[str]) -> list[Pair]:
    waiting: dict[tuple[str, str], str] = {}
    for name in masks:
        for key in (_key(name, bare=True), _key(name, bare=False)):  # the whole stem goes before the bare one
            if key in waiting and key == _key(waiting[key], bare=False) and waiting[key] != name:
                continue
            waiting[key] = name
    pairs: list[Pair] = []
    alone: list[str] = []
    used: set[str] = set()
    for name in pictures:
        mask = waiting.get(_key(name, bare=False)) or waiting.get(_key(name, bare=True))
        if mask is None or mask in used:
            alone.append(name)
        else:
            used.add(mask)
            pairs.append(Pair(name, mask, _part(name) or _part(mask)))
    left = [name for name in masks if name not in used]
    if not pairs:
        raise DataError(
            _(
                "{path}: no mask has the name of a picture; pictures: {pictures}; masks: {masks}.",
                path=files.path,
                pictures=few(alone, 3),
                masks=few(left, 3),
            )
        )
    if alone:
        notes.append(
            _("{count} pictures have no mask and were set aside: {names}.", count=len(alone), names=few(alone))
        )
    if left:
        notes.append(_("{count} masks have no picture and were set aside: {names}.", count=len(left), names=few(left)))
    return _listed(files, pairs, notes)


def _listed(files: PictureFiles, pairs: list[Pair], notes: list[str]) -> list[Pair]:
    """Parts by lists train.txt, valid.txt, test.txt, where no folder gives them."""
    if any(pair.part not in ("", "train") for pair in pairs):
        return pairs
    part_of: dict[str, str] = {}
    for name in files.texts:
        part = PARTS.get(PurePosixPath(name).stem.lower())
        if part:
            lines = [line.split() for line in files.text(name).splitlines() if line.strip()]
            part_of |= {PurePosixPath(line[0].replace("\\", "/")).stem: part for line in lines}
    found = [part_of.get(PurePosixPath(pair.picture).stem, "") for pair in pairs]
    if not any(found):
        return [Pair(pair.picture, pair.mask, "") for pair in pairs]  # all in a folder `train`: nothing is set aside
    notes.append(_("The parts are those of the lists beside the pictures."))
    others = "" if "train" in found else "train"
    return [Pair(pair.picture, pair.mask, part or others) for pair, part in zip(pairs, found, strict=True)]


def _is_in_mask_folder(name: str) -> bool:
    return any(_is_mask_word(part) for part in PurePosixPath(name).parts[:-1])


def _is_mask_word(folder: str) -> bool:
    """`masks`, `LabeledApproved_full`, `trainannot`, `train_gt`: one of its words is one of masks."""
    words = [word for word in re.split(r"[ _-]|(?<=[a-z])(?=[A-Z])", folder) if word]
    glued = [folder.lower().removeprefix(part) for part in PARTS if folder.lower().startswith(part)]
    return any(MASKS.fullmatch(word) for word in (*words, *glued) if word)


def _part(name: str) -> str:
    """The part that one of the folders names: `train`, `val_masks`, `testannot`."""
    for folder in PurePosixPath(name).parts[:-1]:
        bare = ROLES.sub("", folder.lower()).strip(" _-")
        if bare in PARTS:
            return PARTS[bare]
    return ""


def _key(name: str, bare: bool) -> tuple[str, str]:
    """What a picture and its mask have in common: the part, and the stem, without a suffix if `bare`.

    Folders of a part's own, a city's say, are part of the stem.
    """
    path = PurePosixPath(name)
    inner = [folder for folder in path.parts[:-1] if not _is_role(folder)]
    stem = SUFFIX.sub("", path.stem) if bare else path.stem
    return _part(name), "/".join([*inner, stem])


def _is_role(folder: str) -> bool:
    """Whether a folder says what is in it, and nothing of which picture it is."""
    lower = folder.lower()
    if _is_mask_word(folder) or lower in PARTS:
        return True
    words = [word for word in re.split(r"[ _-]|(?<=[a-z])(?=[A-Z])", folder) if word]
    return any(
        re.fullmatch(r"images?|imgs?|pictures?|photos?|jpegimages|raw|stills\w*|inputs?|frames?", w, re.I)
        for w in words
    )
