"""What it costs to answer a whole table file: rows in, rows with their answers out.

    python bench/batch.py [--quick] [--turns 5] [--rows 300000]

The model is an MLP of 64 and 64 for a table with 8 numbers and 3 categories. `gipi` is `gipi predict FILE --out`, in
pieces, with its journal and every part flushed to the disk; `by rows` asks the same model for an answer for each row, a
dict, and makes a table of the dicts; `torch` reads the whole file at once by polars, standardises it and makes its
categories one-hot by scikit-learn, passes it through a network of the same size in pieces, and writes the table. So
torch holds the whole table and has no journal.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from predict import CATEGORIES, NUMBERS, kept, network, table
from turns import Bench, Figure, Turn, arguments, hold

PIECE = 50_000  # rows that torch and `by rows` take at once
TRAINED = 2000  # rows


def files(options: argparse.Namespace) -> tuple[Any, Path, Any]:
    """A folder that stays as long as it is held, the CSV and the Parquet file in it."""
    import polars as pl

    folder = tempfile.TemporaryDirectory()
    frame = pl.DataFrame(table(options.rows)).drop("label")
    frame.write_csv(f"{folder.name}/rows.csv")
    frame.write_parquet(f"{folder.name}/rows.parquet")
    return folder, Path(folder.name), frame.columns


def timed(work: Any, folder: Any, path: Path) -> Turn:
    """Seconds of one pass over the file; what it writes is removed."""

    def turn() -> dict[str, float]:
        assert folder.name
        began = time.perf_counter()
        work()
        spent = time.perf_counter() - began
        for left in path.glob("*out.*"):
            left.unlink()
        return {"time": spent}

    return turn


def trained(options: argparse.Namespace) -> Any:
    return kept(argparse.Namespace(**{**vars(options), "rows": TRAINED}))[0]


def ours(kind: str) -> Any:
    def make(options: argparse.Namespace) -> Turn:
        from gipi.jobs.batch import answer_file

        model, (folder, path, _names) = trained(options), files(options)
        return timed(lambda: answer_file(model, [path / f"rows{kind}"], path / "out.parquet", True), folder, path)

    return make


def by_rows(kind: str) -> Any:
    def make(options: argparse.Namespace) -> Turn:
        import polars as pl

        model, (folder, path, _names) = trained(options), files(options)

        def work() -> None:
            frame = pl.read_csv(path / "rows.csv") if kind == ".csv" else pl.read_parquet(path / "rows.parquet")
            answers = []
            for start in range(0, frame.height, PIECE):
                answers += model.predict(frame[start : start + PIECE])
            pl.concat([frame, pl.DataFrame(answers)], how="horizontal").write_parquet(path / "out.parquet")

        return timed(work, folder, path)

    return make


def plain(kind: str) -> Any:
    def make(options: argparse.Namespace) -> Turn:
        import polars as pl
        import torch
        from sklearn.compose import ColumnTransformer
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        torch.set_num_threads(options.threads)
        folder, path, _names = files(options)
        steps = [("numbers", StandardScaler(), NUMBERS), ("words", OneHotEncoder(sparse_output=False), [*CATEGORIES])]
        preprocess = ColumnTransformer(steps).set_output(transform="default")
        inputs = preprocess.fit_transform(pl.DataFrame(table(TRAINED)).drop("label")).shape[1]
        net = network(inputs)

        def work() -> None:
            frame = pl.read_csv(path / "rows.csv") if kind == ".csv" else pl.read_parquet(path / "rows.parquet")
            x = torch.from_numpy(preprocess.transform(frame).astype("float32"))
            with torch.inference_mode():
                answers = torch.cat([net(piece).softmax(1) for piece in x.split(PIECE)])
            best = answers.max(1)
            found = pl.DataFrame({"label": best.indices.numpy(), "probability": best.values.numpy()})
            each = pl.DataFrame(answers.numpy(), schema=["low", "high"])
            pl.concat([frame, found, each], how="horizontal").write_parquet(path / "out.parquet")

        return timed(work, folder, path)

    return make


BENCH = Bench(
    "batch",
    {
        f"{name} {kind[1:]}": make(kind)
        for kind in (".csv", ".parquet")
        for name, make in (("gipi", ours), ("by rows", by_rows), ("torch", plain))
    },
    [
        figure
        for kind in ("csv", "parquet")
        for figure in (
            Figure(f"by rows {kind}", f"gipi {kind}", least=1.5),
            Figure(f"gipi {kind}", f"torch {kind}", most=2.0),
        )
    ],
    "s",
)

if __name__ == "__main__":
    hold(BENCH, arguments(__doc__, 5, 1, {"rows": (300_000, 20_000)}))
