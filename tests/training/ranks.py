"""What several processes do together, as a script that torchrun starts; each check writes down what it found.

torchrun --nproc-per-node 2 ranks.py FOLDER       # FOLDER/0.json and FOLDER/1.json, one of each rank
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from kept import outcome
from torch import nn

import gipi
from gipi.algorithms.averaging import Average
from gipi.algorithms.optimizers import make
from gipi.data.stream import Stream
from gipi.jobs.shared import remarks_on
from gipi.jobs.trunk import paced
from gipi.losses.classification import cross_entropy
from gipi.release.weights import freeze
from gipi.signals import Stopped
from gipi.training.distributed import Council, Ranks, joined
from gipi.training.parallel import mean_of_all, of_all_ranks, shard, whole
from gipi.training.player import Player, learner

ROWS, STEPS = 41, 12  # 41 rows in three batches: shares of 7 and 7, 7 and 7, 7 and 6
TRUNK = frozenset({"0.weight", "0.bias"})
SHARDED = ("sgd", "nag", "adam", "adamw", "adagrad", "adadelta", "rmsprop", "muon", "lars")


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 5, generator=draw, dtype=torch.float64)
    return x, torch.randint(3, (ROWS,), generator=draw), torch.rand(ROWS, generator=draw, dtype=torch.float64) + 0.1


def network(*between: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), *between, nn.Linear(7, 3)).double()


def frozen() -> nn.Module:
    """The network as `--freeze` leaves it."""
    net = network()
    freeze(net, TRUNK)
    return net


def curve(
    ranks: Ranks, optimizer: str, is_sharded: bool = False, is_weighted: bool = False, net=None, pace: float = 1.0
) -> dict:
    """Losses and weights of a training by these ranks (alone: by one process), with clipping and an average."""
    x, y, weights = data()
    net = network() if net is None else net
    if is_sharded and not ranks.is_alone:
        shard(net, torch.device("cpu"), ranks.size)
    tensors = (x, y, weights) if is_weighted else (x, y)
    stream = Stream(tensors, 14, seed=3, part=(ranks.rank, ranks.size))
    players = learner(net, cross_entropy, lambda params: make(optimizer, params, 0.03))
    players = paced(players, net, TRUNK, pace)  # as `--trunk-lr` does
    for player in players.values():
        player.clip = 0.4
        player.count = (lambda batch: batch[2].sum()) if is_weighted else player.count
    players = of_all_ranks(players, net, ranks, is_sharded and not ranks.is_alone)
    average = Average(net, "ema", decay=0.9)
    losses = []
    for step in range(STEPS):
        losses.append(float(players["learner"].play(next(stream), step)))
        average.update(step)
    kept = {**net.state_dict(), **{f"average.{name}": t for name, t in average.tensors().items()}}
    return {"losses": losses, "weights": {name: t.tolist() for name, t in whole(kept, ranks).items()}}


def replicas(ranks: Ranks) -> str:
    """Two players whose copies see other rows and other noise: a hash of this rank's weights at the end."""
    net = nn.ModuleDict({"forger": nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5)), "inspector": nn.Linear(5, 1)})
    torch.manual_seed(5)
    for param in net.parameters():
        nn.init.normal_(param)
    torch.manual_seed(10 + ranks.rank)

    def inspect(batch):
        fake = net["forger"](torch.randn(len(batch[0]), 2)).detach()
        return (net["inspector"](fake) - net["inspector"](batch[0])).mean() + net["inspector"].weight.square().sum()

    def forge(batch):
        return -net["inspector"](net["forger"](torch.randn(len(batch[0]), 2))).mean()

    def player(name, objective):
        params = [*net[name].parameters()]
        return Player(params, objective, make("adam", params, 0.01))

    players = {"inspector": player("inspector", inspect), "forger": player("forger", forge)}
    players = of_all_ranks(players, net, ranks, False)
    stream = Stream((data()[0].float(),), 14, seed=3, part=(ranks.rank, ranks.size))
    for step in range(STEPS):
        batch = next(stream)
        for one in players.values():
            one.play(batch, step)
    content = b"".join(tensor.numpy().tobytes() for tensor in net.state_dict().values())
    return hashlib.sha256(content).hexdigest()


def held(ranks: Ranks) -> list[int]:
    """Numbers that this rank holds of a sharded network and of what Adam remembers; and how many there are in all."""
    net = network(nn.Linear(7, 7))
    shard(net, torch.device("cpu"), ranks.size)
    optimizer = make("adam", [*net.parameters()])
    tensors = [*net.parameters(), *(t for name, t in optimizer.tensors().items() if "count" not in name)]
    return [sum(t.to_local().numel() for t in tensors), sum(t.numel() for t in tensors)]  # type: ignore[attr-defined]


def agreement(ranks: Ranks) -> dict:
    """The last rank is asked to stop at its tenth step: at which step does this one hear of it?"""
    council, asked = Council(ranks, 0), []
    for step in range(1, 1000):
        if step == 10 and ranks.rank == ranks.size - 1:
            asked.append(15)
        stop, _is_due = council.asks(step, asked, lambda: False)
        if stop:
            return {"step": step, "signal": stop}
    return {}


def stopped_and_resumed(folder: Path, is_sharded: bool) -> dict:
    """A run with dropout on two ranks, whole; and one that the second is asked to stop, and that goes on."""
    folder = folder / ("shards" if is_sharded else "copies")
    options = {
        "system": "mlp",
        "hidden": (8,),
        "dropout": 0.3,
        "averaging": "ema",
        "steps": 60,
        "batch_size": 16,
        "patience": 0,
        "shard": is_sharded,
        "threads": 1,
        "verdict": False,
        "quiet": True,
    }
    calls = 0

    def loss(output, y):
        nonlocal calls
        calls += 1
        if calls == 30 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)
        return cross_entropy(output, y)

    one = gipi.fit("iris", run=folder / "whole", loss=cross_entropy, **options)
    try:
        gipi.fit("iris", run=folder / "stopped", loss=loss, **options)
        code = 0
    except Stopped as stop:
        code = stop.signal_number
    at = gipi.Run(folder / "stopped").status
    other = gipi.resume(folder / "stopped", loss=cross_entropy)
    same = outcome(one.path)["weights"] == outcome(other.path)["weights"], one.steps == other.steps
    return {"signal": code, "status": at, "then": other.status, "same": same}


def main(folder: Path) -> None:
    found: dict = {}
    with joined() as ranks:
        x = torch.arange(4.0) + 10 * ranks.rank
        found["mean"] = [t.tolist() for t in mean_of_all([x[0], x], 1 + 2 * ranks.rank)]
        found["adam"] = curve(ranks, "adam")
        found["weighted"] = curve(ranks, "momentum", is_weighted=True)
        found["paced"] = curve(ranks, "adam", pace=0.1)
        found["frozen"] = curve(ranks, "adam", net=frozen())
        found["frozen shards"] = curve(ranks, "adam", is_sharded=True, net=frozen())
        found["normed"] = curve(ranks, "adam", is_sharded=True, net=network(nn.BatchNorm1d(7)))["losses"]
        found["copies normed"] = curve(ranks, "adam", net=network(nn.BatchNorm1d(7)))["losses"]
        found["sharded"] = {name: curve(ranks, name, is_sharded=True) for name in SHARDED}
        found["replicas"] = replicas(ranks)
        found["held"] = held(ranks)
        found["agreement"] = agreement(ranks)
        job = SimpleNamespace(setting=SimpleNamespace(ranks=ranks, is_sharded=False))
        norm = network(nn.BatchNorm1d(7))
        member = SimpleNamespace(players=learner(norm, cross_entropy, lambda params: make("sgd", params)))
        found["remarks"] = remarks_on(job, member)  # type: ignore[arg-type]
        rank = ranks.rank
    found["resumed"] = [stopped_and_resumed(folder, is_sharded) for is_sharded in (False, True)]
    (folder / f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
