"""Pictures that do not fit into a limit on memory are decoded, learned from and scored; and epochs add nothing.

The limit is that of a process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gipi.data import budget, mapped_stream
from gipi.data.mapped import Chosen, as_tensor, is_mapped
from gipi.data.mapped_stream import MappedStream
from gipi.data.sources import open_data
from gipi.data.stream import Stream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks are read from /proc")

COUNT, SIDE = 1500, 128  # 74 MB decoded: five times that, which training in memory takes, is more than is left
LIMIT = 720 << 20  # bytes of its own (RLIMIT_DATA), of which PyTorch, scikit-learn and stacks take 400 million
GROWTH = 16 << 20  # bytes that the second and third epoch may add: a fifth of the decoded pictures

RUN = """
import json, resource, sys
folder, run, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
import torch
torch.set_num_threads(1)
import gipi
found = gipi.fit(folder, run=run, quiet=True, threads=1, system="linear", picture_size=128, batch_size=32, steps=30,
                 verdict_seconds=1)
print(json.dumps({"mapped": gipi.data.sources.open_data(folder, picture_size=128).mapped,
                  "accuracy": float(found.metrics["accuracy"]),
                  "again": float(gipi.evaluate(found, folder)["accuracy"])}))
"""


def own() -> int:
    """Bytes that this process has of its own."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Noise with a bright left or right half."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    noise = np.random.default_rng(0).integers(0, 200, (16, SIDE, SIDE, 3), np.uint8)
    for number in range(COUNT):
        picture = np.roll(noise[number % 16], number, axis=0)
        which = number % 2
        picture[:, SIDE // 2 * which : SIDE // 2 * (which + 1)] += 40
        path = tmp_path / "set" / ("left", "right")[which] / f"{number:05d}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "set"


@pytest.mark.slow
def test_a_folder_larger_than_the_limit_is_learned_and_scored(folder, tmp_path):
    command = [sys.executable, "-c", RUN, str(folder), str(tmp_path / "run"), str(LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["mapped"] and found["accuracy"] > 0.9 and found["again"] > 0.9


@pytest.mark.parametrize("is_large", [True, False])
def test_three_epochs_take_no_more_memory_than_one(folder, monkeypatch, is_large):
    """Counted at each batch; what is gathered ahead, which fills in the first epochs, is kept small."""
    monkeypatch.setattr(mapped_stream, "MOST_BYTES", 4 << 20)
    monkeypatch.setattr(budget, "available", lambda: 0 if is_large else 10**12)
    pictures = open_data(folder, picture_size=SIDE).pictures
    assert pictures is not None and is_mapped(pictures) is is_large
    x = as_tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    source = Chosen(x.numpy(), np.arange(len(x))) if is_large else x
    stream = MappedStream([source], 32, 0) if is_large else Stream((x,), 32, 0)
    taken = []
    for _step in range(3 * stream.batches):
        (batch,) = next(stream)
        assert batch.shape[1:] == (3, SIDE, SIDE)
        taken.append(own())
    assert max(taken[stream.batches :]) - max(taken[: stream.batches]) < GROWTH
