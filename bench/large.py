"""Data larger than memory: the peak of memory and the time of `gipi fit` on a table and on pictures that do not fit.

A 6 GB CSV is generated (20 columns of numbers, three of words, one of whole numbers, and an answer that depends on
three of them), and `gipi fit` trains on it in a process of its own that may not have more than 2 GB of its own memory
(`RLIMIT_DATA`). Every 50 ms /proc says how much it has: RssAnon is memory of its own, RssFile pages of files that the
system can drop at any time. Pictures are small PNG files, far fewer than 6 GB would take, under a limit that is smaller
in the same measure. Everything that is generated is deleted.

    python bench/large.py table [--gigabytes 6] [--limit 2.0]
    python bench/large.py pictures [--count 60000] [--limit 1.0]
    python bench/large.py gather [--gigabytes 6]      # batches at random places of a file that is not in memory
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PAUSE = 0.05  # seconds between two looks at the process
GIGABYTE = 1 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "pictures", "gather"))
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--limit", type=float, default=2.0, help="gigabytes of memory of its own")
    parser.add_argument("--count", type=int, default=60_000, help="pictures")
    parser.add_argument("--folder", default=None, help="where to generate; a temporary folder if not given")
    options, more = parser.parse_known_args()  # what is left is for gipi fit
    home = Path(tempfile.mkdtemp(prefix="gipi-large-", dir=options.folder))
    try:
        if options.what == "table":
            measure_table(home, int(options.gigabytes * GIGABYTE), options.limit, more)
        elif options.what == "pictures":
            measure_pictures(home, options.count, options.limit, more)
        else:
            measure_gather(home, int(options.gigabytes * GIGABYTE))
    finally:
        shutil.rmtree(home, ignore_errors=True)


# --- tables ------------------------------------------------------------------------------------------------------


def measure_table(home: Path, size: int, limit: float, more: list[str]) -> None:
    path = home / "table.csv"
    began = time.perf_counter()
    rows = write_table(path, size)
    print(f"{path.stat().st_size / GIGABYTE:.2f} GB, {rows:,} rows, written in {time.perf_counter() - began:.0f} s")
    words = ["fit", str(path), "--target", "answer", "--batch-size", "1024", "--epochs", "1", "--verdict-seconds", "10"]
    for run in ("first", "second"):  # the second finds the columns ready
        watched([*words, "--run", str(home / run), *more], home, limit, run)


def write_table(path: Path, size: int, block: int = 200_000) -> int:
    """Rows until the file is so large."""
    import polars as pl

    random, rows, first = np.random.default_rng(0), 0, True
    cities = np.array(["Seoul", "Busan", "Incheon", "Daegu", "Daejeon", "Gwangju", "Ulsan", "Sejong"])
    with path.open("wb") as file:
        while file.tell() < size:
            numbers = random.standard_normal((block, 20)).round(4)
            frame = pl.DataFrame(numbers, schema=[f"x{n}" for n in range(20)])
            city, colour = random.choice(cities, block), random.choice(["red", "green", "blue"], block)
            said = random.choice(["often", "seldom", "never"], block)
            signal = numbers[:, 0] * numbers[:, 1] + numbers[:, 2] + (city == "Seoul") - (colour == "red")
            frame = frame.with_columns(
                city=pl.Series(city),
                colour=pl.Series(colour),
                said=pl.Series(said),
                age=pl.Series(random.integers(18, 90, block)),
                answer=pl.Series(np.where(signal > 0, "yes", "no")),
            )
            frame.write_csv(file, include_header=first)
            rows, first = rows + block, False
    return rows


# --- pictures ----------------------------------------------------------------------------------------------------


def measure_pictures(home: Path, count: int, limit: float, more: list[str]) -> None:
    folder = home / "pictures"
    began = time.perf_counter()
    write_pictures(folder, count)
    decoded = count * 3 * 64 * 64 / GIGABYTE
    print(f"{count:,} pictures, {decoded:.2f} GB decoded, written in {time.perf_counter() - began:.0f} s")
    words = ["fit", str(folder), "--system", "mlp", "--steps", "300", "--batch-size", "64", "--verdict-seconds", "5"]
    for run in ("first", "second"):
        watched([*words, "--run", str(home / run), *more], home, limit, run)


def write_pictures(folder: Path, count: int) -> None:
    """Noise with a bright left or right half, 64 x 64 RGB, as fast PNG files."""
    from PIL import Image

    random = np.random.default_rng(0)
    noise = random.integers(0, 200, (64, 64, 64, 3), dtype=np.uint8)
    for name in ("left", "right"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        picture = np.roll(noise[number % 64], number // 64, axis=0).copy()
        side = number % 2
        picture[:, 32 * side : 32 * side + 32] += 40
        name = ("left", "right")[side]
        Image.fromarray(picture).save(folder / name / f"{number:07d}.png", compress_level=0)


# --- the process that is watched ---------------------------------------------------------------------------------


def watched(words: list[str], home: Path, limit: float, name: str) -> None:
    """Run gipi under the limit and say what it took."""
    most = int(limit * GIGABYTE)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    environment = {**os.environ, "XDG_CACHE_HOME": str(home / "cache")}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "gipi", *words], env=environment, preexec_fn=limited)
    own, files, high = 0, 0, 0
    while process.poll() is None:
        found = memory_of(process.pid)
        own, files = max(own, found.get("RssAnon", 0)), max(files, found.get("RssFile", 0))
        high = max(high, found.get("VmHWM", 0))
        time.sleep(PAUSE)
    seconds = time.perf_counter() - began
    print(
        f"{name} run: ended with {process.returncode} after {seconds:.0f} s; peak of its own memory (RssAnon) "
        f"{own / 1024:.0f} MB of {most >> 20} MB; with pages of files (VmHWM) {high / 1024:.0f} MB, "
        f"of files alone up to {files / 1024:.0f} MB",
        flush=True,
    )


def memory_of(process: int) -> dict[str, int]:
    """Kilobytes by name, from /proc."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}


# --- batches at random places ------------------------------------------------------------------------------------


def measure_gather(home: Path, size: int) -> None:
    """Batches a second from a file that is dropped from memory before each measurement."""
    from gipi.data.mapped import Chosen, mapped
    from gipi.data.mapped_stream import MappedStream

    width = 32  # numbers of a row
    path, rows = home / "rows", size // (4 * width)
    with path.open("wb") as file:
        for start in range(0, rows, 1 << 20):
            count = min(1 << 20, rows - start)
            file.write(np.full((count, width), start, np.float32).data)
        file.flush()
        os.fsync(file.fileno())
    for batch_size in (32, 1024):
        for workers in (0, 1, 4, 16):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            chosen = Chosen(mapped(path, np.float32, (rows, width)), np.arange(rows))
            stream = MappedStream([chosen], batch_size, 0, workers=workers)
            next(stream)  # the order of the epoch
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < 5:
                next(stream)
                count += 1
            rate = count / (time.perf_counter() - began)
            print(f"batch {batch_size}, {workers} threads: {rate:,.0f} batches/s, {rate * batch_size:,.0f} rows/s")
            del stream, chosen


if __name__ == "__main__":
    main()
