"""SimCLR: a network that learns what pictures show without a label: two views of one picture shall say the same.

Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", 2020,
https://arxiv.org/abs/2002.05709; `--variant byol`: Grill et al., "Bootstrap Your Own Latent", 2020,
https://arxiv.org/abs/2006.07733, which needs no other pictures to be different from.
Ours differs: AdamW in place of LARS, without dropout, any classifying network of ours as the backbone, by its name; no
blurred views (appendix B.9 of the paper: not for small pictures). The backbone's weights have the names that they have
in the classifier, behind `model.`, so a classifier can begin with them.

B batch, C channels, H W height and width, F features, P numbers of a projection
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from gipi.algorithms.optimizers import make
from gipi.data.schema import Sizes
from gipi.errors import UsageError
from gipi.messages import _
from gipi.training.player import Player

tasks = ("embed",)
kinds = ("picture",)
defaults = {"epochs": 100, "batch_size": 256, "schedule": "cosine", "augment": ("resized-crop", "flip", "colour")}


@dataclass(frozen=True)
class Config:
    backbone: str = "convnet"  # the system whose network is taught to see: one that classifies pictures
    variant: Literal["simclr", "byol"] = "simclr"  # simclr: unlike all others of the batch; byol: like its own average
    projection: int = 64  # numbers that two views are compared in, behind the features
    temperature: float = 0.5  # simclr: the smaller, the more the nearest of the others count
    momentum_share: float = 0.99  # byol: share of the old average of the network that stays at each step
    lr: float | Literal["auto"] | None = 2e-3  # largest step size
    weight_decay: float = 1e-4  # shrinks the weights at each step


def backbone(name: str, sizes: Sizes) -> tuple[nn.Module, int]:
    """A classifier's network without its last layer, `(B, C, H, W)` to `(B, F)`, and F.

    Raises:
        UsageError: There is no such system, or it does not classify pictures by a last linear layer.
    """
    from gipi import systems

    known = [one for one in systems.names() if {"classify"} <= {*systems.describe(one).tasks}]
    fitting = [one for one in known if "picture" in systems.describe(one).kinds]
    if name not in fitting:
        text = _(
            "the backbone '{name}' is no system for pictures; these are: {known}", name=name, known=", ".join(fitting)
        )
        raise UsageError(text)
    system = importlib.import_module(f"gipi.systems.{name}")
    net = system.Net(sizes, system.Config())
    place, last = [(place, part) for place, part in net.named_modules() if isinstance(part, nn.Linear)][-1]
    parent, _dot, own = place.rpartition(".")
    setattr(net.get_submodule(parent), own, nn.Identity())
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return net, last.in_features


def head(inputs: int, outputs: int) -> nn.Sequential:
    """Two layers that views are compared behind: what they must forget need not be forgotten by the features."""
    hidden = min(inputs, 256)
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


class Net(nn.Module):
    """The backbone, a projection of its features, and for byol a slow copy of both and a prediction of its answer."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.model, self.features = backbone(config.backbone, sizes)
        self.project = head(self.features, config.projection)
        self.is_byol = config.variant == "byol"
        if self.is_byol:
            self.predict = head(config.projection, config.projection)
            slow = nn.ModuleList([backbone(config.backbone, sizes)[0], head(self.features, config.projection)])
            slow.load_state_dict(nn.ModuleList([self.model, self.project]).state_dict())
            self.slow = slow.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, F)
        return self.model(x).flatten(1)

    def contrast(self, one: Tensor, other: Tensor, temperature: float) -> Tensor:
        """The loss of two views `(B, C, H, W)` of each picture."""
        if not self.is_byol:
            both = self.project(self.forward(torch.cat([one, other])))
            first, second = both.chunk(2)
            return nt_xent(first, second, temperature)
        views = torch.cat([one, other])
        said = self.predict(self.project(self.forward(views)))
        with torch.no_grad():
            model, project = self.slow
            wanted = project(model(views).flatten(1))
        first, second = wanted.chunk(2)
        return (2 - 2 * (normalize(said) * normalize(torch.cat([second, first]))).sum(1)).mean()


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """How badly each view `(B, P)` finds the other view of its picture among all others of the batch; equation 1."""
    z = normalize(torch.cat([one, other]))  # (2 B, P)
    near = z @ z.T / temperature
    near = near.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)  # not itself
    partner = torch.arange(len(z), device=z.device).roll(len(one))
    return cross_entropy(near, partner)


def players(net: Net, config: Config, loss, schedule) -> dict[str, Player]:
    """One learner that wants two views alike; a batch is `(one, other)`, or `(x,)` where each is its own other."""
    params: list[Tensor] = [p for p in net.parameters() if p.requires_grad]
    optimizer = make("adamw", params, schedule(config.lr), weight_decay=config.weight_decay)

    def objective(batch: tuple[Tensor, ...]) -> Tensor:
        return net.contrast(batch[0], batch[-1], config.temperature)

    return {"learner": Player(params, objective, optimizer, splittable=False)}


def after(net: Net, config: Config) -> Callable[[int], None]:
    """byol: the slow copy follows the network."""
    if not net.is_byol:
        return lambda step: None
    fast = nn.ModuleList([net.model, net.project])
    pairs = list(zip(net.slow.parameters(), fast.parameters(), strict=True))
    statistics = list(zip(net.slow.buffers(), fast.buffers(), strict=True))

    def follow(step: int) -> None:
        with torch.no_grad():
            for slow, quick in pairs:
                slow.lerp_(quick, 1 - config.momentum_share)
            for slow, quick in statistics:  # batch norm's
                slow.copy_(quick)

    return follow
