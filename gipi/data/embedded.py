"""The data sets that need no download: scikit-learn's own files, read without importing it, and one table of our own.

Importing sklearn.datasets takes 1.6 seconds. The numbers are the same (a test compares them); only classes have their
names instead of numbers, and the digits are pictures of 0..255 instead of rows of 0..16.
"""

import gzip
import importlib.util
import io
from pathlib import Path

import numpy as np
import polars as pl

from gipi.data.dataset import Dataset
from gipi.errors import DataError
from gipi.messages import _

IRIS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
WINE = (
    *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
    *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline"),
)
CELL = (
    *("radius", "texture", "perimeter", "area", "smoothness"),
    *("compactness", "concavity", "concave points", "symmetry", "fractal dimension"),
)
BREAST_CANCER = (*(f"mean {x}" for x in CELL), *(f"{x} error" for x in CELL), *(f"worst {x}" for x in CELL))
DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def open_embedded(name: str, target: tuple[str, ...]) -> Dataset:
    """The embedded data set of this name."""
    read = {
        "digits": _digits,
        "iris": lambda: _classes("iris.csv", IRIS, target[0]),
        "wine": lambda: _classes("wine_data.csv", WINE, target[0]),
        "breast-cancer": lambda: _classes("breast_cancer.csv", BREAST_CANCER, target[0]),
        "diabetes": lambda: _diabetes(target[0]),
        "grades": lambda: Dataset("grades", pl.DataFrame({"study": [9, 8, 4, 2], "score": [90, 80, 40, 20]})),
    }[name]
    data = read()
    data.name, data.target, data.origin = name, target, name
    return data


def _digits() -> Dataset:
    rows = _numbers(_bytes("digits.csv.gz"), ",").to_numpy()  # (1797, 64 + 1), ink 0..16 and the digit
    ink = rows[:, :64].reshape(-1, 8, 8, 1)
    pictures = np.round(ink * (255 / 16)).astype(np.uint8)
    note = _("The ink of 0 .. 16 was brought to 0 .. 255, as in picture files.")
    return Dataset("digits", pl.DataFrame({"label": rows[:, 64].astype(np.int64)}), pictures, notes=[note])


def _classes(file: str, columns: tuple[str, ...], target: str) -> Dataset:
    """A file whose first line is `rows, columns, class, class ...` and whose last column is the number of the class."""
    header, _newline, body = _bytes(file).partition(b"\n")
    rows, width, *classes = header.decode().strip().split(",")
    frame = _numbers(body, ",")
    assert frame.shape == (int(rows), int(width) + 1) and len(columns) == int(width)
    words = [classes[int(code)] for code in frame.to_series(-1)]
    return Dataset(
        file,
        frame[:, :-1].rename(dict(zip(frame.columns, columns, strict=False))).with_columns(pl.Series(target, words)),
    )


def _diabetes(target: str) -> Dataset:
    """The raw measures, not the centered and scaled ones that load_diabetes gives unless told otherwise."""
    measures = _numbers(_bytes("diabetes_data_raw.csv.gz"), " ")
    outcome = _numbers(_bytes("diabetes_target.csv.gz"), " ").to_series()
    frame = measures.rename(dict(zip(measures.columns, DIABETES, strict=True)))
    return Dataset("diabetes", frame.with_columns(outcome.alias(target)))


def _numbers(body: bytes, separator: str) -> pl.DataFrame:
    """A frame of float64."""
    width = body.partition(b"\n")[0].count(separator.encode()) + 1
    schema = {f"column_{i}": pl.Float64 for i in range(width)}
    return pl.read_csv(io.BytesIO(body), has_header=False, separator=separator, schema=schema)


def _bytes(name: str) -> bytes:
    """A data file of the installed scikit-learn, which is found but not imported."""
    spec = importlib.util.find_spec("sklearn")
    for place in (spec.submodule_search_locations if spec else None) or ():
        path = Path(place) / "datasets" / "data" / name
        if path.is_file():
            data = path.read_bytes()
            return gzip.decompress(data) if path.suffix == ".gz" else data
    raise DataError(_("scikit-learn's data file {name} is not there; install scikit-learn again.", name=name))
