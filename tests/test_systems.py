"""The contract that every system keeps, walked over all that are found: a new file in gipi/systems/ is tested too."""

import ast
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import gipi
from gipi import losses, systems, tasks
from gipi.data.schema import Sizes
from gipi.data.skipgrams import Skipgrams
from gipi.jobs.options import Fit
from gipi.losses.dense import pixel_cross_entropy
from gipi.training import fit as loop

KINDS = ("table", "picture", "text", "environment")
SIZES = {
    "table": Sizes(input=(3,), output=3, categories=(2, 4)),
    "picture": Sizes(input=(1, 8, 8), output=3),
    "environment": Sizes(input=(4,), output=2),
}
TOKENS, WORDS = 10, 20  # of a text, and of the vocabulary
TEXTS = {
    "classify": {"output": 3},
    "regress": {"output": 3},
    "translate": {"target_vocabulary": WORDS},
    "tag": {"tags": 3},
}
# Options that make a system small, where it has them: a contract is kept at any size.
SMALL = {
    "hidden": (8, 6),
    "width": 4,
    "size": "mini",
    "patch": 4,
    "latent": 5,
    "memory": 200,
    "first_moves": 40,
    "moves": 16,
    "batches": 8,
    "copy_every": 2,
    "layers": 1,
    "heads": 2,
}
SMALLEST = {"bert": {"size": "tiny", "width": 8}, "gpt": {"size": "tiny", "width": 8}}  # whose sizes have other names
ROWS = 12
STEPS = 3


def cases() -> list[tuple[str, str, str]]:
    """Each system with each task and kind of data that it says it does."""
    return [
        (name, task, kind)
        for name in systems.names()
        for task in systems.describe(name).tasks
        for kind in systems.describe(name).kinds
        if kind in tasks.load(task).default
    ]


every_system = pytest.mark.parametrize("name", systems.names())
every_case = pytest.mark.parametrize(("name", "task", "kind"), cases(), ids=lambda part: part)


class World:
    """A corridor of four numbers: action 1 goes right and is rewarded, and an episode ends after ten moves."""

    name, features, actions = "corridor", 4, 2

    def reset(self, seed: int) -> np.ndarray:
        self.moves, self.place = 0, np.random.default_rng(seed).random(4).astype(np.float32)
        return self.place.copy()

    def step(self, action: int):
        self.moves += 1
        self.place = self.place + np.float32(0.1) * (1 if action else -1)
        return self.place.copy(), float(action), self.moves >= 10, False


def small(name: str):
    """The system's module and a small Config."""
    system = systems.load(name)
    known = {field.name for field in dataclasses.fields(system.Config)}
    return system, system.Config(**{option: value for option, value in small_options(name).items() if option in known})


def small_options(name: str) -> dict:
    """The options that make this system small."""
    own = {option: value for option, value in SMALL.items() if option != "layers" or name != "resnet"}
    return own | SMALLEST.get(name, {})


def sizes_of(task: str, kind: str) -> Sizes:
    """The sizes of a network that does this task with this kind of data."""
    if kind != "text":
        return SIZES[kind]
    return Sizes(**{"input": (TOKENS,), "output": 0, "vocabulary": WORDS, "end": 1, **TEXTS.get(task, {})})


def batches(system, task: str, kind: str, net, config):
    """An endless stream of small batches such as the task has."""
    if hasattr(system, "stream"):
        return system.stream(World(), net, config, ROWS, 0)
    draws = torch.Generator().manual_seed(1)
    if kind == "text":
        batch = batch_of_texts(task, draws)
        return iter(lambda: batch, None)
    x = torch.randn(ROWS, *SIZES[kind].input, generator=draws)
    if kind == "table":
        codes = [torch.randint(0, count + 1, (ROWS, 1), generator=draws) for count in SIZES[kind].categories]
        x = torch.cat([x, *codes], 1)
    if task == "classify":
        batch = (x, torch.arange(ROWS) % 3)
    elif task == "regress":
        batch = (x, torch.randn(ROWS, 3, generator=draws))
    elif task == "segment":
        batch = (x, torch.randint(0, 3, (ROWS, 8, 8), generator=draws))
    elif task == "upscale":
        batch = (x, torch.randn(ROWS, 1, 16, 16, generator=draws))
    else:
        batch = (x,)
    return iter(lambda: batch, None)


def batch_of_texts(task: str, draws: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Rows of tokens, each of a length of its own, and what the task wants to be said of them."""
    x = torch.randint(3, WORDS, (ROWS, TOKENS), generator=draws)
    if task == "relate":
        words = x.flatten().numpy().astype(np.int32)
        lines, counts = np.arange(len(words)) // TOKENS, np.ones(WORDS, np.int64)
        return next(Skipgrams(words, lines, counts, len(words), window=5, sample=0, update=32, seed=0))
    ended = torch.arange(TOKENS) >= 3 + torch.arange(ROWS)[:, None] % 8
    after = x.roll(-1, 1).masked_fill(ended.roll(-1, 1) | ended, -1)
    x = x.masked_fill(ended, -1)
    return {
        "classify": (x, torch.arange(ROWS) % 3),
        "regress": (x, torch.randn(ROWS, 3, generator=draws)),
        "translate": (x, x.flip(0)),
        "tag": (x, (x % 3).masked_fill(ended, -1)),
        "fill": (x, torch.arange(2).expand(ROWS, 2), x[:, :2]),
        "write": (x.clamp(min=0), after),
        "chat": (x.clamp(min=0), after),
    }[task]


def at_tokens(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross entropy at the tokens that something is asked of."""
    return torch.nn.functional.cross_entropy(output.flatten(0, 1), y.flatten(), ignore_index=-1)


class Trained:
    """A small system, built from a seed and trained for some steps."""

    def __init__(self, name: str, task: str, kind: str, steps: int = STEPS, seed: int = 0):
        torch.manual_seed(seed)
        self.system, self.config = small(name)
        self.net = self.system.Net(sizes_of(task, kind), self.config)
        self.before = {key: value.clone() for key, value in self.net.state_dict().items()}
        self.players = self.system.players(self.net, self.config, LOSS.get(task), lambda lr: lambda step: lr)
        self.after = self.system.after(self.net, self.config) if hasattr(self.system, "after") else lambda step: None
        self.stream = batches(self.system, task, kind, self.net, self.config)
        self.losses: list[dict] = []
        torch.manual_seed(seed + 1)
        self.go_on(0, steps)

    def go_on(self, start: int, steps: int) -> None:
        for _step, found in loop(self.players, self.stream, steps, self.after, start):
            self.losses.append({name: loss.item() for name, loss in found.items()})


LOSS = {
    "classify": losses.cross_entropy,
    "regress": losses.mse,
    "segment": pixel_cross_entropy,
    "upscale": losses.mae,
    **dict.fromkeys(("translate", "tag", "write", "chat"), at_tokens),
}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# --- what a file says of itself ----------------------------------------------------------------------------------


@every_system
def test_description_read_from_the_text_is_the_config(name):
    described, system = systems.describe(name), systems.load(name)
    fields = dataclasses.fields(system.Config)
    assert [option.name for option in described.options] == [field.name for field in fields]
    assert [option.default for option in described.options] == [field.default for field in fields]
    assert described.tasks == system.tasks
    assert described.kinds == system.kinds
    assert described.defaults == system.defaults
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.Config().anything = 1


@every_system
def test_story_names_it_and_where_it_comes_from(name):
    story = systems.describe(name).story
    assert re.match(r"[\w -]+: .+[.]\n\n", story), "the first line: its name, a colon, what it is"
    assert re.search(r"\b(18|19|20)\d\d\b", story), "a year"
    assert "Ours differs" in story


@every_system
def test_each_option_has_a_remark(name):
    described = systems.describe(name)
    missing = [option.name for option in described.options if not option.remark]
    assert not missing


@every_system
def test_file_has_its_parts_in_order(name):
    tree = ast.parse((systems.FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    order = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    places = [order.index(part) for part in ("Config", "Net", "players")]
    assert places == sorted(places)


@every_system
def test_tasks_kinds_and_defaults_are_known(name):
    described = systems.describe(name)
    assert described.tasks and set(described.tasks) <= set(tasks.TASKS)
    assert described.kinds and set(described.kinds) <= set(KINDS)
    assert set(described.defaults) <= {field.name for field in dataclasses.fields(Fit)}


def test_each_task_has_a_default_system_that_does_it():
    for task in tasks.TASKS:
        for kind, name in tasks.load(task).default.items():
            described = systems.describe(name)
            assert task in described.tasks, (task, name)
            assert kind in described.kinds, (kind, name)


# --- how it learns -----------------------------------------------------------------------------------------------


@every_case
def test_a_few_steps_change_what_it_learns(name, task, kind):
    trained = Trained(name, task, kind)
    assert trained.players
    assert len(trained.losses) == STEPS
    assert all(np.isfinite(loss) for step in trained.losses for loss in step.values())
    assert not same(trained.before, trained.net.state_dict())


@every_case
def test_each_player_changes_only_its_own(name, task, kind):
    torch.manual_seed(0)
    trained = Trained(name, task, kind, steps=0)
    own = {label: {id(p) for p in getattr(player, "params", ())} for label, player in trained.players.items()}
    batch = next(trained.stream)
    for label, player in trained.players.items():
        if not own[label]:  # the perceptron has no gradients
            continue
        before = {id(p): p.detach().clone() for p in trained.net.parameters()}
        player.play(batch, 0)
        for p in trained.net.parameters():
            assert id(p) in own[label] or torch.equal(p.detach(), before[id(p)]), f"{label} moved what is not its own"


@every_case
def test_same_seed_same_bits(name, task, kind):
    one, other = Trained(name, task, kind), Trained(name, task, kind)
    assert one.losses == other.losses
    assert same(one.net.state_dict(), other.net.state_dict())


@every_case
def test_weights_go_into_a_new_network(name, task, kind):
    trained = Trained(name, task, kind)
    fresh = trained.system.Net(sizes_of(task, kind), trained.config)
    fresh.load_state_dict(trained.net.state_dict())
    x = torch.randn(4, trained.config.latent) if task == "generate" else next(trained.stream)[0][:4]
    trained.net.eval()
    fresh.eval()
    with torch.no_grad():
        assert torch.equal(fresh(x), trained.net(x))


@every_case
def test_it_goes_on_where_it_was_cut(name, task, kind):
    """All that lasts is in the network, the players' tensors and the stream."""
    whole = Trained(name, task, kind, steps=0)
    torch.manual_seed(5)
    whole.go_on(0, 2)
    weights = {key: value.clone() for key, value in whole.net.state_dict().items()}
    memory = {label: {k: v.clone() for k, v in p.tensors().items()} for label, p in whole.players.items()}
    acts = hasattr(whole.system, "stream")
    if acts:
        position = whole.stream.state_dict()
        remembered = {key: value.clone() for key, value in whole.stream.tensors().items()}
    torch.manual_seed(6)
    whole.go_on(2, 4)

    cut = Trained(name, task, kind, steps=0, seed=99)
    with torch.no_grad():
        cut.net.load_state_dict(weights)
        for label, player in cut.players.items():
            player.load(memory[label])
    if acts:
        for key, value in cut.stream.tensors().items():
            value.copy_(remembered[key])
        cut.stream.load_state_dict(position)
    torch.manual_seed(6)
    cut.go_on(2, 4)
    assert cut.losses == whole.losses[2:]
    assert same(cut.net.state_dict(), whole.net.state_dict())


# --- from data to answers ----------------------------------------------------------------------------------------


def data_for(task: str, kind: str):
    """Small real data, options, and what to ask the kept model."""
    if kind == "environment":
        pytest.importorskip("gymnasium", reason="pip install 'gipi[rl]'")
        return "gym:CartPole-v1", {}, [[0.0, 0.1, 0.0, -0.1]]
    if kind == "picture":
        from sklearn.datasets import load_digits

        digits = load_digits()
        pictures = (digits.images[:240] * 15.9).astype(np.uint8)
        if task == "classify":
            return (pictures, digits.target[:240]), {"task": task}, pictures[:3]
        if task == "regress":
            ink = pictures.mean((1, 2), dtype=np.float64)
            return (pictures, ink), {"task": task}, pictures[:3]
        if task == "segment":
            return (pictures, (pictures > 100).astype(np.uint8)), {"task": task}, pictures[:3]
        if task == "upscale":  # small ones must not be too small
            return pictures[:60].repeat(4, 1).repeat(4, 2), {"task": task}, pictures[:3]
        return pictures, {"task": task}, 3 if task == "generate" else pictures[:3]
    if kind == "text":
        return texts_for(task)
    if task == "cluster":
        return "iris", {"no_target": True}, [IRIS]
    return {"classify": ("iris", {}, [IRIS]), "regress": ("grades", {}, [{"study": 7}])}[task]


def texts_for(task: str):
    """Rows of little texts, or a text, with what to ask."""
    said = [f"the {'good' if number % 3 else 'bad'} film number {number % 7} was seen again" for number in range(60)]
    if task in ("classify", "regress"):
        answers = [number % 3 > 0 if task == "classify" else number % 7 + 0.5 for number in range(60)]
        options = {"target": "answer", "text": "said", "task": task, "tokenizer": "characters", "vocabulary": 300}
        return {"said": said, "answer": answers}, options, ["the good film", ""]
    if task in ("chat", "translate"):
        data = {"said": said, "answer": [f"no film {number % 7}" for number in range(60)]}
        return data, {"task": task, "text": "said", "target": "answer", "vocabulary": 300}, ["the good film", ""]
    if task == "tag":
        tags = {"good": "B-KIND", "bad": "B-KIND"}
        tagged = ["\n".join(f"{word}\t{tags.get(word, 'O')}" for word in text.split()) for text in said]
        Path("tags.tsv").write_text("\n\n".join(tagged) + "\n")
        return "tags.tsv", {"task": task}, ["the good film"]
    own = {"min_count": 1} if task == "relate" else {"tokenizer": "characters", "vocabulary": 300}
    asked = {"write": ["the "], "fill": ["the [MASK] film"], "relate": ["film"]}[task]
    return said, {"task": task, **own}, asked


IRIS = {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2}


@pytest.mark.parametrize(
    ("name", "task", "kind"),
    [case for case in cases() if case[1] != "regress" or systems.describe(case[0]).tasks[0] == "regress"],
    ids=lambda part: part,
)
def test_fit_save_load_predict(name, task, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, options, rows = data_for(task, kind)
    known = {option.name for option in systems.describe(name).options}
    sized = {option: value for option, value in small_options(name).items() if option in known}
    run = gipi.fit(
        data, system=name, steps=6, verdict=False, quiet=True, threads=1, run=str(tmp_path / "run"), **options, **sized
    )
    assert run.status == "done"
    assert run.metrics and all(np.isfinite(float(value)) for value in run.metrics.values())
    answers = run.predict(rows)
    assert len(answers) == (rows if isinstance(rows, int) else len(rows))
    again = gipi.load(run.save(tmp_path / "kept.gipi")).predict(rows)
    assert str(again) == str(answers)
    assert run.report.exists()
