"""Weights from files of every kind, from a server on this machine, and from files that mean harm."""

import hashlib
import os
import pickle
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gipi.data.encode import normalize
from gipi.data.schema import Field, Schema
from gipi.errors import DataError, RunError, UsageError
from gipi.release import weight_files
from gipi.release.published import network_of, published
from gipi.release.weight_files import Weights, read_weights, settled_source, tensors_of
from gipi.release.weights import as_trained, freeze, take, trunk


def net(classes: int = 10, channels: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, classes))


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def state():
    torch.manual_seed(1)
    return net().state_dict()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda state: save_file(state, "w.safetensors"),
        lambda state: torch.save(state, "w.pth"),
        lambda state: torch.save(state, "w.pt", _use_new_zipfile_serialization=False),
        lambda state: torch.save({"state_dict": state, "epoch": 3}, "w.pt"),
        lambda state: torch.save({"model": state, "args": [1, "two"]}, "w.pth"),
    ],
    ids=["safetensors", "pickle", "pickle of before", "beside other things", "as a model"],
)
def test_a_file_gives_its_tensors(write, state):
    write(state)
    (path,) = Path().glob("w.*")
    weights = read_weights(settled_source(str(path)))
    assert same(weights.tensors, state)
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    "write",
    [
        lambda: torch.save({"weight": torch.ones(2), "harm": Harm()}, "w.pth"),
        lambda: torch.save(Harm(), "w.pth", _use_new_zipfile_serialization=False),
        lambda: Path("w.pth").write_bytes(pickle.dumps(Harm())),
        lambda: torch.save(nn.Linear(2, 2), "w.pth"),
    ],
    ids=["zip", "before", "plain pickle", "a whole module"],
)
def test_a_pickle_that_runs_code_is_refused(write):
    write()
    with pytest.raises(RunError, match=r"w\.pth holds (more than tensors .* keep model\.state_dict|no weights)"):
        tensors_of(Path("w.pth"))
    assert not Path("harm").exists()
    with pytest.raises(RunError, match="holds"):
        tensors_of(Path("w.pth"))


def test_what_would_run_is_named():
    torch.save({"harm": Harm()}, "w.pth")
    with pytest.raises(RunError, match=r"more than tensors \(posix\.mkdir\)|more than tensors \(nt\.mkdir\)"):
        tensors_of(Path("w.pth"))


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ([torch.ones(2)], "a list"),
        ({"a": torch.ones(2), "epoch": 3}, "epoch"),
        ({}, "a dict"),
        ({1: torch.ones(2)}, "a dict"),
        (torch.ones(2), "a Tensor"),
    ],
)
def test_other_things_than_weights_are_refused(held, says):
    torch.save(held, "w.pth")
    with pytest.raises(RunError, match=says):
        tensors_of(Path("w.pth"))


def test_damaged_and_missing_files_are_refused(state, monkeypatch):
    for name in ("w.pth", "w.safetensors"):
        with pytest.raises(RunError, match="cannot read"):
            tensors_of(Path(name))
        Path(name).write_bytes(b"no weights at all")
        with pytest.raises(RunError, match="damaged"):
            tensors_of(Path(name))
    torch.save(state, "w.pth")
    whole = Path("w.pth").read_bytes()
    Path("w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match="damaged"):
        tensors_of(Path("w.pth"))
    with zipfile.ZipFile("w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"." * 5000)
    with pytest.raises(RunError, match="damaged: compressed"):
        tensors_of(Path("w.pth"))
    torch.save(state, "w.pth")
    monkeypatch.setattr(weight_files, "MOST_BYTES", 100)
    with pytest.raises(RunError, match="larger than"):
        tensors_of(Path("w.pth"))
    Path("w.bin").write_bytes(whole)
    with pytest.raises(UsageError, match=r"\.safetensors"):
        settled_source("w.bin")
    with pytest.raises(RunError, match="no run 'nothing'"):
        settled_source("nothing")


# --- addresses ---------------------------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_an_address_with_its_hash_is_fetched_once(server, state):
    folder, address = server
    save_file(state, folder / "w.safetensors")
    sha256 = hashlib.sha256((folder / "w.safetensors").read_bytes()).hexdigest()
    source = f"{address}/w.safetensors#sha256={sha256}"
    seen = []
    weights = read_weights(settled_source(source), lambda name, done, total: seen.append((name, done, total)))
    assert same(weights.tensors, state) and weights.sha256 == sha256
    assert seen[-1] == ("w.safetensors", *[(folder / "w.safetensors").stat().st_size] * 2)
    (folder / "w.safetensors").unlink()
    assert same(read_weights(source).tensors, state)


def test_the_name_may_say_how_the_hash_begins(server, state):
    folder, address = server
    torch.save(state, folder / "w.pth")
    begins = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()[:8]
    (folder / "w.pth").rename(folder / f"net-{begins}.pth")
    assert same(read_weights(f"{address}/net-{begins}.pth").tensors, state)
    torch.save(state, folder / "net-0badc0de.pth")
    with pytest.raises(DataError, match="expected 0badc0de"):
        read_weights(f"{address}/net-0badc0de.pth")


@pytest.mark.parametrize("end", ["", "#sha256=abc", "#md5=" + "0" * 32, "#sha256=" + "g" * 64])
def test_an_address_without_a_hash_is_refused(end):
    with pytest.raises(UsageError, match="#sha256="):
        read_weights(f"https://example.org/w.pth{end}")


def test_other_addresses_are_refused():
    with pytest.raises(DataError, match="https"):
        read_weights("http://example.org/w.pth#sha256=" + "0" * 64)
    with pytest.raises(UsageError, match=r"\.pth"):
        read_weights("https://example.org/w.tar#sha256=" + "0" * 64)


def test_a_published_name_knows_its_pictures_and_its_network(server, state, monkeypatch):
    folder, address = server
    torch.save(state, folder / "w.pth")
    begins = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()[:8]
    _address, _begins, *rest = published["resnet18"]
    monkeypatch.setitem(published, "resnet18", (f"{address}/w.pth", begins, *rest))
    weights = read_weights(settled_source("resnet18"))
    assert weights.size == (224, 224) and weights.center == (0.485, 0.456, 0.406)
    assert (weights.system, weights.options) == network_of("resnet18")


# --- what fits ---------------------------------------------------------------------------------------------------


def test_the_last_layer_of_other_classes_is_left(state):
    other = net(5)
    before = other.state_dict()["4.weight"].clone()
    loaded, said = take(other, Weights("w", state))
    assert same({**other.state_dict(), "4.weight": state["4.weight"], "4.bias": state["4.bias"]}, state)
    assert torch.equal(other.state_dict()["4.weight"], before)
    assert said == (
        "weights of w: 7 of 9 fit; left at their beginning: 4.weight (10x16 came, 5x16 is needed), "
        "4.bias (10 came, 5 is needed)"
    )
    assert trunk(other, loaded) == {"0.weight", "0.bias", "1.weight", "1.bias"}


@pytest.mark.parametrize("before", ["module.", "model."])
def test_what_a_program_put_before_each_name_is_no_hindrance(before, state):
    other = net()
    loaded, said = take(other, Weights("w", {f"{before}{name}": one for name, one in state.items()}))
    assert same(other.state_dict(), state) and said == "weights of w: 9 of 9 fit"
    assert trunk(other, loaded) == {"0.weight", "0.bias", "1.weight", "1.bias"}  # all fit: the last layer is not it


def test_a_vision_transformer_is_known_by_its_older_names():
    from gipi.data.schema import Sizes
    from gipi.systems import vit

    net, other = (vit.Net(Sizes((3, 16, 16), 4), vit.Config(size="tiny", patch=8)) for _ in range(2))
    older = {
        name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): one.clone()
        for name, one in net.state_dict().items()
    }
    assert older.keys() != net.state_dict().keys()
    loaded, _said = take(other, Weights("file", older))
    assert loaded == net.state_dict().keys()
    assert all(torch.equal(one, other.state_dict()[name]) for name, one in net.state_dict().items())


def test_nothing_that_fits_is_an_error(state):
    with pytest.raises(RunError, match=r"nothing in w fits .* 0\.weight 4x3x3x3, .* and 7 more came, weight 2x2, bias"):
        take(nn.Linear(2, 2), Weights("w", state))
    norm = nn.Sequential(nn.Identity(), nn.BatchNorm2d(7))  # a counter of batches fits, which is nothing
    with pytest.raises(RunError, match="nothing in w fits"):
        take(norm, Weights("w", state))


def test_weights_that_are_no_numbers_are_refused(state):
    state["1.weight"][2] = torch.nan
    other = net()
    before = {name: one.clone() for name, one in other.state_dict().items()}
    with pytest.raises(RunError, match=r"w: 1\.weight has numbers that are not finite"):
        take(other, Weights("w", state))
    assert same(other.state_dict(), before)


def test_grey_pictures_through_weights_for_three_channels(state):
    colour, grey = net().eval(), net(channels=1).eval()
    colour.load_state_dict(state)
    _loaded, said = take(grey, Weights("w", state))
    x = torch.randn(2, 1, 4, 4)
    assert torch.allclose(grey(x), colour(x.expand(2, 3, 4, 4)), atol=1e-6)
    assert "grey: 0.weight was summed" in said


def test_frozen_is_what_was_loaded(state):
    other = net(5)
    loaded, _said = take(other, Weights("w", state))
    freeze(other, loaded)
    assert [name for name, param in other.named_parameters() if param.requires_grad] == ["4.weight", "4.bias"]
    assert [part.training for part in other] == [True, False, True, True, True]


# --- pictures as the weights saw them ----------------------------------------------------------------------------


def picture(channels: int, white: float = 255.0) -> Schema:
    return Schema((Field("picture", "picture", (channels, 2, 2), center=100.0, scale=50.0, white=white),))


@pytest.mark.parametrize("white", [255.0, 1.0])
def test_each_channel_is_centered_as_the_weights_know_it(white):
    weights = Weights("w", {}, center=(0.5, 0.4, 0.3), scale=(0.2, 0.3, 0.4))
    schema = as_trained(picture(3, white), weights)
    x = torch.rand(2, 3, 2, 2)
    expected = (x - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    assert torch.allclose(normalize(schema, x * white), expected, atol=1e-5)
    assert Schema.from_json(schema.to_json()) == schema
    grey = as_trained(picture(1, white), weights)
    assert torch.allclose(normalize(grey, x[:, :1] * white), (x[:, :1] - 0.4) / 0.3, atol=1e-5)


def test_where_nothing_is_known_the_pictures_decide():
    assert as_trained(picture(3), Weights("w", {})) == picture(3)
