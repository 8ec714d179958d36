"""The same answer everywhere: networks, program, and a process that has neither PyTorch nor the model's source.

Each released system with each of its tasks is kept, opened in both ways, and asked rows that it was not kept with.
"""

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from released import cases, released, rows

import gipi
from gipi.release.alike import difference
from gipi.release.examples import packed, shortened, unit
from gipi.release.keep import write_bundle, write_release
from gipi.release.runtime import by_tiles

every_case = pytest.mark.parametrize("case", cases())
# One of each task, system and kind of target once more with three members, which answer together.
SEVERAL = ("mlp classify table class", "mlp regress table normal", "dqn act environment -", "gan generate picture -")
JOINED = ("tabm classify table labels", "convnet regress picture quantiles", "unet segment picture -")


def asked(model):
    return 6 if model.task == "generate" else rows(model)


@cache
def kept_file(case, members=1):
    """The model's file; made once, since making its program takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="gipi-kept-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return released(case, members).save(folder / "kept")


def check_alike(case, members):
    model = released(case, members)
    path = kept_file(case, members)
    expected = shortened(model.predict(asked(model)))
    assert len(expected) >= 5
    for runtime in ("torch", "onnx"):
        kept = gipi.load(path, runtime=runtime)
        assert difference(shortened(kept.predict(asked(model))), expected, unit(model.schema)) is None, runtime


@every_case
def test_networks_and_program_answer_alike(case):
    check_alike(case, 1)


@pytest.mark.parametrize("case", SEVERAL + JOINED)
def test_members_answer_together_alike(case):
    check_alike(case, 3)


ALONE = """
import json, sys
sys.modules["torch"] = None  # an import of it fails, as where it is not installed
sys.modules["sklearn"] = None
import numpy as np
import gipi
from gipi.release.examples import packed, shortened, unpacked
for line in sys.stdin:
    path, rows = json.loads(line)
    answers = gipi.load(path, runtime="onnx").predict(unpacked(rows))
    print(json.dumps(packed(shortened(answers))), flush=True)
assert not any(name.startswith(("torch.", "gipi.systems", "gipi.training", "gipi.models")) for name in sys.modules)
"""


def test_a_process_without_training_code_answers_alike():
    """One process for all of them: the start is what takes time."""
    from gipi.release.examples import unpacked

    small = ("mlp classify table", "mlp regress table normal", "autoencoder", "dqn", "edsr", "gan", "simclr", "unet")
    chosen = [case for case in cases() if case.startswith(small)]
    assert {case.split()[1] for case in chosen} == {case.split()[1] for case in cases()}  # every task
    told = []
    for case in chosen:
        model = released(case)
        told.append((case, model, json.dumps([str(kept_file(case)), packed(asked(model))])))
    done = subprocess.run(
        [sys.executable, "-c", ALONE], input="\n".join(line for *_, line in told), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [unpacked(json.loads(line)) for line in done.stdout.splitlines()]
    assert len(answers) == len(told)
    for (case, model, _line), answer in zip(told, answers, strict=True):
        expected = shortened(model.predict(asked(model)))
        expected = unpacked(json.loads(json.dumps(packed(expected))))  # tuples are lists there
        assert difference(answer, expected, unit(model.schema)) is None, case


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
@pytest.mark.parametrize(
    "case", ["mlp classify table class", "tabm regress table number", "convnet classify picture class"]
)
def test_an_answer_does_not_depend_on_its_neighbours(case, runtime):
    kept = gipi.load(kept_file(case), runtime=runtime)
    given = rows(kept)
    together, alone = kept.predict(given), [kept.predict([row])[0] for row in given]
    many = kept.predict(given * 300)
    assert difference(alone, together, unit(kept.schema)) is None
    assert difference(many[-len(given) :], together, unit(kept.schema)) is None


def test_a_run_keeps_no_program_and_its_save_does(tmp_path):
    model = released("mlp classify table class")
    with pytest.raises(gipi.errors.UsageError, match="has no program"):
        gipi.load(write_bundle(model, tmp_path / "a"), runtime="onnx")
    assert gipi.load(write_release(model, tmp_path / "b"), runtime="onnx").task == "classify"


def test_a_module_of_ones_own_is_opened_without_its_source(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    options = {"epochs": 2, "quiet": True, "verdict": False, "doctor": False, "run": str(tmp_path / "run")}
    run = gipi.fit((x, x[:, 0] - x[:, 1]), model=net, **options)
    kept = gipi.load(run.save(tmp_path / "own"))
    assert difference(kept.predict(x[:7]), run.predict(x[:7])) is None
    with pytest.raises(gipi.errors.UsageError, match="needs the networks"):
        kept.explain(x[:1])


def test_a_stream_of_ones_own_is_opened_without_its_source(tmp_path):
    def batches():
        while True:
            x = torch.randn(8, 4)
            yield x, x.sum(1, keepdim=True)

    net = torch.nn.Linear(4, 1)
    options = {"loss": torch.nn.MSELoss(), "steps": 5, "quiet": True, "run": str(tmp_path / "run")}
    run = gipi.fit(batches(), model=net, **options)
    kept = gipi.load(run.save(tmp_path / "own"))
    assert difference(kept.predict(np.ones((3, 4))), run.predict(np.ones((3, 4), np.float32))) is None


def test_what_cannot_be_a_program_is_kept_all_the_same_and_says_why(tmp_path):
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Linear(3, 1)

        def forward(self, x):
            return self.one(x) * (1.0 if float(x.sum()) > 0 else 2.0)  # a branch on numbers is no graph

    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    options = {"epochs": 1, "quiet": True, "verdict": False, "doctor": False, "run": str(tmp_path / "run")}
    run = gipi.fit((x, x[:, 0]), model=Odd(), **options)
    with pytest.warns(gipi.errors.ProgramWarning, match="without a program: the network cannot be exported"):
        path = run.save(tmp_path / "odd")
    assert gipi.load(path, model=Odd()).predict(x[:2]) == run.predict(x[:2])
    with pytest.raises(gipi.errors.UsageError, match="has no program: the network cannot be exported"):
        gipi.load(path, runtime="onnx")


def test_pictures_of_a_seed_are_the_same_in_both_ways():
    path = kept_file("gan generate picture -")
    one, other = gipi.load(path, runtime="torch").predict(4), gipi.load(path, runtime="onnx").predict(4)
    assert difference(one, other) is None and not np.array_equal(one[0]["picture"], one[1]["picture"])


def test_tiles_fit_together_without_a_seam():
    """A filter that reaches two pixels, in tiles of seven: as the whole."""
    from scipy.ndimage import uniform_filter

    def through(piece):
        made = uniform_filter(piece.astype(float), (5, 5, 1), mode="nearest")
        return np.repeat(np.repeat(made, 2, 0), 2, 1).round().astype(np.uint8)

    picture = np.random.default_rng(0).integers(0, 256, (40, 23, 3), dtype=np.uint8)
    assert np.array_equal(by_tiles(through, picture, 2, 2, tile=7), through(picture))


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (31, 17), (120, 300), (3, 200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_resized_alike_by_us_by_pillow_and_by_the_program(shape, channels, tmp_path):
    """Within one level of 255: what a network sees of a picture does not depend on who resized it."""
    import dataclasses

    import onnxruntime
    from PIL import Image

    from gipi.data.images import read_picture
    from gipi.release.program import exported

    class See(torch.nn.Module):
        """Gives back what it sees."""

        def __init__(self):
            super().__init__()
            self.own = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x + self.own

    like = released("autoencoder denoise picture -")
    (field,) = like.schema.inputs
    field = dataclasses.replace(field, shape=(channels, 12, 10))
    schema = dataclasses.replace(like.schema, inputs=(field,))
    sizes = dataclasses.replace(like.sizes, input=field.shape)
    model = dataclasses.replace(like, schema=schema, sizes=sizes, members=[See()])
    picture = np.random.default_rng(1).integers(0, 256, (*shape, channels), dtype=np.uint8)
    session = onnxruntime.InferenceSession(exported(model).SerializeToString())
    (by_program,) = session.run(None, {"pictures": picture[None]})
    ours = read_picture(picture, field.shape)
    image = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
    pillow = np.asarray(image.resize((10, 12), Image.Resampling.BICUBIC)).reshape(12, 10, channels)
    assert np.abs(ours.astype(int) - pillow).max() <= 1
    assert np.abs(by_program[0].astype(int) - pillow).max() <= 1
    assert pillow.std() > 1  # noise that was averaged, but no plain grey


def test_the_file_is_opened_with_its_weights_beside_any_onnx_runtime(tmp_path):
    """Unzipped, the program finds its weights by itself: nobody needs gipi to run it."""
    import zipfile

    import onnxruntime

    model = released("mlp classify table class")
    path = kept_file("mlp classify table class")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "open")
    session = onnxruntime.InferenceSession(str(tmp_path / "open" / "program.onnx"))
    given = gipi.load(path, runtime="onnx").inputs(rows(model))
    (answer,) = session.run(["answer"], given)
    expected = [said["probability"] for said in model.predict(rows(model))]
    assert answer.max(1) == pytest.approx(expected, rel=1e-4)
