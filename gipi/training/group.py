"""A group: members that train at once, as one batched computation; or one member by itself.

Folds and ensemble members of a small model differ in their numbers only, so their parameters are stacked, and each
kernel works for all of them: sixteen small networks take little more time than one. Each has its own rows in its own
order, is judged by itself, keeps its own best weights and stops by itself. A member's network
looks at its own slice of what is stacked, so whoever asks it sees it as it is.

M members
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gipi.algorithms.optimizers import FirstOrder
from gipi.data.stream import Stream
from gipi.training.loop import nothing
from gipi.training.member import Member, Progress
from gipi.training.player import Batch, Player, Plays, rows
from gipi.training.tape import Tapes

MOST = 64  # members at once: more would only take memory
SLOWER = 0.25  # the step size is multiplied by it each time that training went wrong

# These gain nothing from being stacked (a convolution of stacked kernels is slower than one after the other).
ALONE = (nn.modules.conv._ConvNd, nn.RNNBase, nn.modules.batchnorm._BatchNorm)


class Group:
    """What `train` trains.

    Attributes:
        members: At least one.
        players: Who plays, for all of them.
        stream: Batches, of all of them.
        step: Steps that were taken.
    """

    def __init__(self, members: Sequence[Member], players: dict[str, Plays], stream: Any):
        self.members = list(members)
        self.players = players
        self.stream = stream
        self.plan = members[0].plan
        self.step = 0

    @property
    def first(self) -> int:
        return self.members[0].number

    @property
    def last(self) -> int:
        return self.members[-1].number

    @property
    def is_finished(self) -> bool:
        return all(member.progress.finished for member in self.members)

    @property
    def learning(self) -> list[Member]:
        """Those that have not ended; in a group the others wait for them."""
        return [member for member in self.members if not member.progress.finished]

    def after(self) -> Any:
        """What happens after each step: the systems' hooks, and averages of weights."""
        hooks = [member.after for member in self.members if member.after is not nothing]
        hooks += [member.average.update for member in self.members if member.average]
        if len(hooks) < 2:
            return hooks[0] if hooks else nothing

        def every(step: int) -> None:
            for hook in hooks:
                hook(step)

        return every

    def note(self, seconds: float) -> None:
        """Let the members know where they stand; each took its share of the time."""
        for member in self.members:
            member.progress.seconds = seconds / len(self.members)
        for member in self.learning:
            member.progress.step = self.step

    def parts(self) -> dict[str, int]:
        """How many parts each player works a batch through in."""
        return {name: player.parts for name, player in self.players.items() if isinstance(player, Player)}

    # --- what must be kept to go on

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes while they train but the random generators, to be kept and restored in place."""
        named: dict[str, Tensor] = {}
        for prefix, member in self._named():
            named |= {f"{prefix}{name}": tensor for name, tensor in member.tensors().items()}
            if member.best is not None:
                named |= {f"{prefix}best.{name}": tensor for name, tensor in member.best.items()}
        for player_name, player in self.players.items():
            named |= {f"player.{player_name}.{name}": tensor for name, tensor in player.tensors().items()}
        if hasattr(self.stream, "tensors"):
            named |= {f"stream.{name}": tensor for name, tensor in self.stream.tensors().items()}
        return named

    def state(self) -> dict[str, Any]:
        """The rest of it, as JSON."""
        return {
            "members": [member.number for member in self.members],
            "step": self.step,
            "progress": [member.progress.json() for member in self.members],
            "parts": self.parts(),
            "stream": self.stream.state_dict(),
        }

    def load(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from what `tensors` and `state` gave; everything is copied in place.

        Raises:
            KeyError, RuntimeError, ValueError: It does not fit what the members are made of.
        """
        if state["members"] != [member.number for member in self.members]:
            raise ValueError(f"members {state['members']} -> {[member.number for member in self.members]}")
        own = {name: tensor for prefix, member in self._named() for name, tensor in _under(prefix, member).items()}
        if hasattr(self.stream, "tensors"):
            own |= {f"stream.{name}": tensor for name, tensor in self.stream.tensors().items()}
        with torch.no_grad():
            for name, tensor in own.items():
                if tensor.shape != tensors[name].shape:
                    raise ValueError(f"{name} {tuple(tensors[name].shape)} -> {tuple(tensor.shape)}")
                tensor.copy_(tensors[name])
        for name, player in self.players.items():
            player.load(beneath(f"player.{name}.", tensors))
            if isinstance(player, Player):
                player.parts = state["parts"][name]
        for (prefix, member), progress in zip(self._named(), state["progress"], strict=True):
            member.progress = Progress(**progress)
            member.best = {name: one.clone() for name, one in beneath(f"{prefix}best.", tensors).items()} or None
        self.step = state["step"]
        self.stream.load_state_dict(state["stream"])
        self.slow_down()

    def slow_down(self) -> None:
        """Step sizes as small as the faults so far have made them; what a GPU's kernels had found is forgotten."""
        for player in self.players.values():
            if (optimizer := getattr(player, "optimizer", None)) is not None:
                optimizer.scale = SLOWER ** len(self.members[0].progress.faults)
            for optimizer in _first_orders(player):
                optimizer.bad.zero_()

    def stuck(self) -> str:
        """A player that does not move any more, because a GPU's kernels have found gradients that are not finite."""
        for name, player in self.players.items():
            if any(not optimizer.is_host and optimizer.bad.item() for optimizer in _first_orders(player)):
                return name
        return ""

    def _named(self) -> Iterator[tuple[str, Member]]:
        """Members, and what their tensors' names begin with."""
        for member in self.members:
            yield (f"{member.number}." if len(self.members) > 1 else ""), member


def _first_orders(player: Plays) -> list[FirstOrder]:
    """The player's optimizer, or the `parts` of one that is made of several."""
    optimizer = getattr(player, "optimizer", None)
    return [one for one in getattr(optimizer, "parts", [optimizer]) if isinstance(one, FirstOrder)]


def _under(prefix: str, member: Member) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in member.tensors().items()}


def beneath(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is kept under a name, by the rest of its name."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def alone(member: Member) -> Group:
    """A group of one."""
    return Group([member], member.players, member.stream)


# --- several at once ---------------------------------------------------------------------------------------------


def can_join(member: Member) -> bool:
    """Whether members like this one can train at once: one small player that follows gradients, number by number."""
    player = next(iter(member.players.values()))
    if len(member.players) != 1 or not isinstance(player, Player) or player.tapes is None:
        return False
    _net, *parts = member.net.modules()
    if member.after is not nothing or any(isinstance(part, ALONE) or not _is_known(part) for part in parts):
        return False
    optimizer = player.optimizer
    if not isinstance(optimizer, FirstOrder) or not all(rule.is_elementwise for rule in optimizer.pair):
        return False
    learned = [id(param) for param in member.net.parameters() if param.requires_grad]
    return optimizer.factors is None or learned == [id(param) for param in player.params]  # each finds its factor


def _is_known(part: nn.Module) -> bool:
    """Parts of torch's and of gipi's shelf can be stacked; what a system's file has for itself may not."""
    return type(part).__module__.startswith(("torch.nn.", "gipi.models."))


def together(members: Sequence[Member]) -> Group:
    """Members for which `can_join` says yes, as one computation. Their networks become slices of what is stacked."""
    (name,) = members[0].players
    player = members[0].players[name]
    assert isinstance(player, Player) and isinstance(player.optimizer, FirstOrder)
    nets = [member.net for member in members]
    stacked = {place: _stacked([dict(net.named_parameters())[place] for net in nets]) for place in _learned(nets[0])}
    buffers = {place: [dict(net.named_buffers())[place] for net in nets] for place, _b in nets[0].named_buffers()}
    kept = {place: _stacked(own) for place, own in buffers.items() if any(not torch.equal(own[0], b) for b in own)}
    whole = _Objective(nets[0], player.objective)

    def objective(batch: Batch) -> Tensor:  # of (M, B, ...) tensors; gives (M,)
        def one(params: dict[str, Tensor], buffers: dict[str, Tensor], batch: Batch) -> Tensor:
            return functional_call(whole, {**params, **buffers}, (batch,))

        params = {f"net.{place}": tensor for place, tensor in stacked.items()}
        buffers = {f"net.{place}": tensor for place, tensor in kept.items()}
        return vmap(one, randomness="different")(params, buffers, tuple(batch))

    params = list(stacked.values())
    optimizer = player.optimizer.for_members(params)
    assert optimizer is not None
    joined = replace(player, params=params, objective=objective, optimizer=optimizer, is_stacked=True)
    joined.count = rows_beside if player.count is rows else player.count
    joined.tapes = Tapes(joined.differentiate, list(kept.values()))
    return Group(members, {name: joined}, Beside([member.stream for member in members]))


def rows_beside(batch: Batch) -> int:
    """The rows of each member's batch, of `(M, B, ...)` tensors."""
    return batch[0].shape[1]


class _Objective(nn.Module):
    """An objective as a module, so that the network's parameters can be replaced wherever it uses them."""

    def __init__(self, net: nn.Module, objective: Any):
        super().__init__()
        self.net = net
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        return self.objective(batch)


def _learned(net: nn.Module) -> list[str]:
    return [name for name, param in net.named_parameters() if param.requires_grad]


def _stacked(slices: list[Tensor]) -> Tensor:
    """These as one `(M, ...)` tensor, of which each is a slice from now on."""
    whole = torch.stack([one.detach() for one in slices]).requires_grad_(slices[0].requires_grad)
    for one, part in zip(slices, whole.detach().unbind(), strict=True):
        one.data = part
    return whole


class Beside:
    """Several streams side by side: the batches of all members, `(M, B, ...)`.

    Where nothing is done to a batch but to cut it, a whole epoch is put side by side at once.
    """

    def __init__(self, streams: list[Any]):
        self.streams = streams
        self.are_plain = all(isinstance(one, Stream) and one.prepare is None for one in streams)
        self.epoch = -1  # the epoch that `pieces` belongs to
        self.pieces: list[tuple[Tensor, ...]] = []

    def __next__(self) -> tuple[Tensor, ...]:
        if not self.are_plain:
            return tuple(map(torch.stack, zip(*map(next, self.streams), strict=True)))
        first = self.streams[0]
        epoch, batch = divmod(first.position, first.batches)
        if epoch != self.epoch:
            columns = zip(*(stream.columns(epoch) for stream in self.streams), strict=True)
            self.pieces = list(zip(*(torch.stack(own).tensor_split(first.batches, 1) for own in columns), strict=True))
            self.epoch = epoch
        first.position += 1  # the others stand where it stands
        return self.pieces[batch]

    def state_dict(self) -> dict:
        return {"streams": [(self.streams[0] if self.are_plain else stream).state_dict() for stream in self.streams]}

    def load_state_dict(self, state: dict) -> None:
        for stream, own in zip(self.streams, state["streams"], strict=True):
            stream.load_state_dict(own)
