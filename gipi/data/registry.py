"""Data sets that have a name: `gipi fit digits`, `gipi fit fashion-mnist`; `gipi data` lists them.

Small ones are embedded: they come with scikit-learn or are written in embedded.py. The others are public files, fetched
when they are asked for. A folder laid out as the entries of catalog.py say (`FOLDER/FILE`) and named by the environment
variable GIPI_DATA is searched first; its files must hash to what the entry says.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gipi.data.catalog import Entry, File, embedded_entries, public_entries
from gipi.data.text_catalog import text_entries
from gipi.errors import DataError, UsageError, nearest
from gipi.messages import _

if TYPE_CHECKING:
    import polars as pl

    from gipi.data.dataset import Dataset

Progress = Callable[[str, int, int | None], None]  # the file's name, bytes so far, bytes in all


def known() -> list[Entry]:
    """Every data set with a name: the embedded ones, then the public ones, those of texts last."""
    return [*embedded_entries(), *public_entries(), *text_entries()]


def entry_of(name: str) -> Entry | None:
    """The entry of this name, however it is capitalised and hyphenated."""
    wanted = name.strip().lower().replace("_", "-")
    return next((entry for entry in known() if entry.name == wanted), None)


def open_named(name: str, progress: Progress | None = None) -> "Dataset":
    """The data set of this name; a public one is fetched unless it is in GIPI_DATA or in the cache.

    Raises:
        UsageError: There is no such name; says the nearest.
        DataError: A file cannot be fetched, or is not the one that is meant.
    """
    entry = entry_of(name)
    if entry is None:
        names = [known_entry.name for known_entry in known()]
        raise UsageError(
            _("There is no data set '{name}'.", name=name)
            + nearest(name, names)
            + " "
            + _("Known are: {names}.", names=", ".join(names))
        )
    if entry.is_embedded:
        from gipi.data import embedded

        return embedded.open_embedded(entry.name, entry.target)
    paths = [located(file, progress) for file in entry.files]
    data = _READERS[entry.form](entry, paths)
    data.name, data.target, data.text, data.origin = entry.name, entry.target, entry.text, entry.name
    return data


def located(file: File, progress: Progress | None = None) -> Path:
    """Where a public file lies on this machine, verified: in GIPI_DATA, in the cache, or just fetched into it."""
    from gipi.data.fetch import cache_folder, fetch, hash_of

    if folder := os.environ.get("GIPI_DATA"):
        here = Path(folder) / file.path
        found = hash_of(here)
        if found == file.sha256:
            return here
        if found is not None:
            raise DataError(
                _(
                    "{path} has SHA-256 {found}; expected {expected}: it is another version or was changed. Remove it, "
                    "or unset GIPI_DATA, to have it fetched; or open it by its path instead of its name.",
                    path=here,
                    found=found,
                    expected=file.sha256,
                )
            )
    name = file.path.rpartition("/")[2]
    said = None if progress is None else lambda done, total: progress(name, done, total)
    return fetch(file.address, file.sha256, cache_folder() / "data" / file.path, said, size=file.size)


# --- readers -----------------------------------------------------------------------------------------------------


def _read_table(entry: Entry, paths: list[Path]) -> "Dataset":
    from gipi.data.dataset import Dataset
    from gipi.data.tables import read_table

    notes: list[str] = []
    if entry.columns:
        frame = _headerless(paths[0], entry.columns)
    else:
        frame, notes = read_table(paths[0])
    if entry.drop:
        frame = frame.drop(entry.drop)
        left_out = _("Left out, because they give the answer away: {names}.", names=", ".join(entry.drop))
        notes = [*notes, left_out]
    return Dataset(entry.name, frame, notes=notes)


def _headerless(path: Path, columns: tuple[str, ...]) -> "pl.DataFrame":
    """A comma-separated file without names of columns; text cells, "?" and nothing are gaps, empty lines no rows."""
    import polars as pl

    frame = pl.read_csv(path, has_header=False, infer_schema=False, new_columns=list(columns))
    frame = frame.select(pl.all().str.strip_chars().replace(["", "?"], None))
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))


def _read_idx(entry: Entry, paths: list[Path]) -> "Dataset":
    from gipi.data.idx import pictures_of_pairs

    return pictures_of_pairs(list(zip(paths[::2], paths[1::2], strict=True)), entry.classes)


def _read_cifar10(_entry: Entry, paths: list[Path]) -> "Dataset":
    from gipi.data.cifar import pictures_of_cifar_archive

    return pictures_of_cifar_archive(paths[0])


def _read_texts(entry: Entry, paths: list[Path]) -> "Dataset":
    from gipi.data import named_texts

    readers = {
        "archive": named_texts.read_archive,
        "parallel": named_texts.read_parallel,
        "rows": named_texts.read_rows,
    }
    return readers.get(entry.form, named_texts.refuse_running)(entry, paths)


_READERS = {
    "table": _read_table,
    "idx": _read_idx,
    "cifar10": _read_cifar10,
    **dict.fromkeys(("text", "archive", "parallel", "rows", "tags"), _read_texts),
}
