"""A job of SageMaker's in a folder of its own: what it finds under /opt/ml, and the process that it starts."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ALONE = {"current_host": "algo-1", "hosts": ["algo-1"]}
QUICK = {"target": "grade", "system": "mlp", "hidden": "[8]", "threads": "1", "verdict": "False", "epochs": "5"}


def job(root: Path, hyperparameters: dict, channels: tuple[str, ...] = ("train",), hosts: dict | None = None) -> Path:
    """The folder as SageMaker makes it; each channel a table of grades with other rows."""
    (root / "input" / "config").mkdir(parents=True)
    for name in ("model", "output"):
        (root / name).mkdir()
    for number, name in enumerate(channels):
        folder = root / "input" / "data" / name
        folder.mkdir(parents=True)
        write_table(folder / "grades.csv", 120 if number == 0 else 40, seed=number)
    said = {name: {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"} for name in channels}
    for name, content in {
        "hyperparameters": hyperparameters,
        "inputdataconfig": said,
        "resourceconfig": hosts or ALONE,
    }.items():
        (root / "input" / "config" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def write_table(path: Path, rows: int, seed: int) -> None:
    """Grades that follow from hours and school."""
    draw = np.random.default_rng(seed)
    lines = ["hours,school,grade"]
    for _row in range(rows):
        hours, school = draw.uniform(0, 10), draw.choice(["north", "south"])
        lines.append(f"{hours:.2f},{school},{2 * hours + 3 * (school == 'north') + draw.normal() / 2:.2f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def started(*words: str, **more) -> subprocess.Popen:
    """What `docker run IMAGE WORDS` starts."""
    line = [sys.executable, "-m", "gipi.sagemaker", *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
