"""One model on several devices: each rank takes its part of every batch, and together they take one step.

Two ways. Copies: every rank has the whole network, and one exchange of one flat tensor makes the loss and the gradients
those of the whole batch; so the copies stay alike to the bit. Shards (FSDP2): every rank holds a part of each layer's
weights and of what the optimizer remembers, and a layer is whole only while it works: for a network that is larger than
a device. Zhao 2023, https://arxiv.org/abs/2304.11277
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gipi.data.stream import generator
from gipi.errors import UsageError
from gipi.messages import _
from gipi.training import chance
from gipi.training.checkpoint import Checkpoint
from gipi.training.distributed import Ranks
from gipi.training.group import beneath
from gipi.training.player import Count, Player, Plays

GOOD = "good."  # what the names in a checkpoint begin with of the state that a fault goes back to
Drawn = tuple[dict[str, Tensor], dict[str, Any]]  # the states of one process's generators

# --- gradients of the whole batch


def of_all_ranks(players: dict[str, Plays], net: nn.Module, ranks: Ranks, is_sharded: bool) -> dict[str, Plays]:
    """The players with the loss and the gradients of all ranks' parts of a batch.

    Args:
        players: Made for `net`.
        net: Sharded already, if it is to be.
        ranks: Who trains together.
        is_sharded: Whether each of them holds a part of the network, or all of it.

    Raises:
        UsageError: A player learns in another way than by gradients.
    """
    if ranks.is_alone:
        return players
    statistics = statistics_of(net)
    found: dict[str, Plays] = {}
    for name, player in players.items():
        if not isinstance(player, Player):
            raise UsageError(_("the {player} does not learn by gradients; it trains in one process", player=name))
        gradient = by_shards(statistics, ranks.size) if is_sharded else by_all_reduce(statistics)
        found[name] = replace(player, gradient=gradient)
    return found


def statistics_of(net: nn.Module) -> list[Tensor]:
    """Batch norm's running mean and variance; ranks see other rows, and must keep the same."""
    norms = [part for part in net.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    return [t for norm in norms for t in (norm.running_mean, norm.running_var) if t is not None]


def by_all_reduce(statistics: Sequence[Tensor]) -> Callable:
    """Each rank's loss and gradients, weighted by the count of things that they are means of, in one exchange.

    The loss that comes out is the whole batch's too, and so are batch norm's running statistics.
    """

    def gradient(loss: Tensor, params: Sequence[Tensor], count: Count) -> tuple[Tensor, list[Tensor | None]]:
        found = torch.autograd.grad(loss, params, allow_unused=True)
        if all(one is None for one in found):
            return loss.detach(), [*found]  # said by whoever asked; it is so on all ranks
        own = [torch.zeros_like(p) if g is None else g for p, g in zip(params, found, strict=True)]
        whole = mean_of_all([loss.detach(), *statistics, *own], count())
        for kept, mean in zip(statistics, whole[1:], strict=False):
            kept.copy_(mean)
        return whole[0], [*whole[1 + len(statistics) :]]

    return gradient


@torch.no_grad()
def mean_of_all(tensors: Sequence[Tensor], count: int | Tensor) -> list[Tensor]:
    """The ranks' means of so many things each, as the mean of all the things: one exchange of one flat tensor."""
    flat = torch.cat([t.reshape(-1) for t in tensors])
    flat = torch.cat([flat * count, torch.ones_like(flat[:1]) * count])
    dist.all_reduce(flat)
    pieces = (flat[:-1] / _not_zero(flat[-1])).split([t.numel() for t in tensors])
    return [piece.view(t.shape).to(t.dtype) for piece, t in zip(pieces, tensors, strict=True)]


def _not_zero(total: Tensor) -> Tensor:
    """A batch whose rows all have weight 0 has loss 0, not 0 / 0."""
    return torch.where(total > 0, total, 1)


# --- shards


def by_shards(statistics: Sequence[Tensor], size: int) -> Callable:
    """FSDP2's way back: each rank gets its own shard of the gradients' mean over ranks, weighted here by count."""

    def gradient(loss: Tensor, params: Sequence[Tensor], count: Count) -> tuple[Tensor, list[Tensor | None]]:
        share = count()
        (loss * share).backward()  # not with `inputs=`: under FSDP2 that gives None
        found = [param.grad for param in params]
        for param in params:
            param.grad = None
        with torch.no_grad():
            held = [loss.detach(), *statistics]
            odd = [~one.to_local().isfinite().all() for one in found if one is not None]  # type: ignore[attr-defined]
            ends = torch.stack([torch.stack(odd).any().to(loss.dtype), torch.ones_like(loss) * share])
            flat = torch.cat([torch.cat([t.reshape(-1) for t in held]) * share, ends])
            dist.all_reduce(flat)
            total = _not_zero(flat[-1])
            total = torch.where(flat[-2] > 0, torch.nan, total)  # odd numbers in one shard: nobody may move
            whole, *means = (flat[:-2] / total).split([t.numel() for t in held])
            for kept, mean in zip(statistics, means, strict=True):
                kept.copy_(mean.view(kept.shape))
            for one in found:
                if one is not None:  # FSDP2 gives the mean of `size` sums
                    one.to_local().mul_(size / total)  # type: ignore[attr-defined]
        return whole.reshape(()), [*found]

    return gradient


def shard(net: nn.Module, device: torch.device, size: int) -> None:
    """Cut the network's weights among the ranks, layer by layer; it may be on the CPU until now.

    A layer is a child of the network, or of a list or chain of children. Where two layers share a weight, the network
    is one layer.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (size,))
    names = [name for name, _param in net.named_parameters(remove_duplicate=False)]
    if len(names) == len([*net.parameters()]):
        for layer in _layers(net):
            fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    for buffer in net.buffers():
        buffer.data = buffer.data.to(device)


def _layers(part: nn.Module) -> list[nn.Module]:
    found = []
    for child in part.children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            found += _layers(child)
        elif any(True for _param in child.parameters()):
            found.append(child)
    return found


def is_shard(tensor: Tensor) -> bool:
    """Whether it is one rank's part of a tensor. Only a sharded network has any."""
    return hasattr(tensor, "full_tensor")


def whole(tensors: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """Tensors as one process would have them, on the first rank; on the others nothing. All ranks call it alike."""
    found = {}
    for name, tensor in tensors.items():
        full = tensor.full_tensor() if is_shard(tensor) else tensor  # type: ignore[attr-defined]
        if ranks.is_first:
            found[name] = full.cpu() if is_shard(tensor) else full
    return found


def _cut_like(full: Tensor, like: Tensor | None) -> Tensor:
    """A whole tensor as this rank holds it."""
    if like is None or not is_shard(like):
        return full
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = like.device_mesh, like.placements  # type: ignore[attr-defined]
    return distribute_tensor(full.to(mesh.device_type), mesh, placements, src_data_rank=None)


# --- checkpoints


def handed_out(held: Checkpoint | None, like: Mapping[str, Tensor], ranks: Ranks) -> Checkpoint | None:
    """The first rank's checkpoint, on all of them, each with its own shards; it alone can read the run's folder.

    Args:
        held: What the first rank has read.
        like: Tensors by the names that the checkpoint may have, as they are on this rank.
    """
    if ranks.is_alone:
        return held
    said = None
    if held:
        kinds = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in held.tensors.items()}
        said = str(held.path), kinds, held.state
    said = ranks.first_says(said)
    if said is None:
        return None
    path, kinds, state = said
    tensors = {}
    for name, (shape, dtype) in kinds.items():
        own = held.tensors[name] if held else torch.empty(shape, dtype=dtype)
        tensors[name] = _cut_like(ranks.first_sends(own), like.get(name))
    return Checkpoint(Path(path), tensors, state)


def likeness(named: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Which of a checkpoint's tensors are cut, and how; a member's by their names, best weights as the network's."""
    weights = net.state_dict()
    found = {**weights, **{f"best.{name}": tensor for name, tensor in weights.items()}, **named}
    return {**found, **{f"{GOOD}{name}": tensor for name, tensor in found.items()}}


def chances(ranks: Ranks, drawn: Drawn | None = None) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The states of all ranks' generators, as they are now or were once; the first rank's under plain names."""
    states = ranks.each_says(drawn or (chance.tensors(), chance.json_state()))
    named = {}
    for rank, (tensors, _json) in enumerate(states):
        named |= {f"random.{place}" if rank == 0 else f"random.{rank}.{place}": t for place, t in tensors.items()}
    return named, [json for _tensors, json in states]


def take_chances(held: Checkpoint, ranks: Ranks) -> list[str]:
    """Go on with this rank's generators; one that was not there when the checkpoint was written gets new ones."""
    states = [held.state["random"], *held.state.get("others", [])]
    remarks = []
    if len(states) != ranks.size:
        text = _(
            "processes: {before} until now, {now} from here; rows come in the same order, but dropout draws others",
            before=len(states),
            now=ranks.size,
        )
        remarks.append(text)
    drawn = drawn_by(ranks, held.tensors, held.state)
    if drawn is None:
        seed = generator(held.state["step"], "rank", ranks.rank, len(states)).initial_seed()
        chance.seed_all(seed)
        return remarks
    chance.set_tensors(drawn[0])
    chance.set_json_state(drawn[1])
    return remarks


def drawn_by(ranks: Ranks, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Drawn | None:
    """The states of this rank's generators that `chances` gave; None for a rank that was not there then."""
    states = [state["random"], *state.get("others", [])]
    if ranks.rank >= len(states):
        return None
    prefix = "random." if ranks.is_first else f"random.{ranks.rank}."
    return beneath(prefix, tensors), states[ranks.rank]
