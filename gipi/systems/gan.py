"""GAN: two players, one forges pictures and one inspects them, and each improves the other.

Goodfellow et al., "Generative Adversarial Nets", 2014, https://arxiv.org/abs/1406.2661
Ours differs: the non-saturating loss of the paper's section 3; convolutions as in DCGAN (Radford 2015,
https://arxiv.org/abs/1511.06434); spectral normalisation in the inspector (Miyato 2018,
https://arxiv.org/abs/1802.05957), and RMSprop, which is his Adam with betas 0 and 0.9 but for the first steps; the
pictures that people see come from an average of the forger over time (Yazici 2018, https://arxiv.org/abs/1806.04498).

B batch, Z latent, C channels, H W height and width
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from gipi.algorithms.optimizers import make
from gipi.data.schema import Sizes
from gipi.models.conv import smallest
from gipi.training.player import Player

tasks = ("generate",)
kinds = ("picture",)
defaults = {"steps": 3000, "batch_size": 64}


@dataclass(frozen=True)
class Config:
    latent: int = 64  # length of the noise that a picture grows from
    width: int = 16  # channels next to the picture; twice as many after each halving
    lr: float = 1e-3  # step size of both players
    smoothing: float = 0.995  # share of the old average of the forger that stays at each step


class Forger(nn.Module):
    """Noise grows into a picture: doubled in size, then convolved, until it is large enough."""

    def __init__(self, shape: tuple[int, ...], config: Config):
        super().__init__()
        channels, self.height, self.width = shape
        doublings, low, narrow = smallest(self.height, self.width)
        wide = config.width * 2**doublings
        self.seed = nn.Sequential(
            nn.Linear(config.latent, wide * low * narrow, bias=False),
            nn.Unflatten(1, (wide, low, narrow)),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
        )
        layers: list[nn.Module] = []
        for _ in range(doublings):
            layers += [nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(wide // 2), nn.ReLU()]
            wide //= 2
        self.grow = nn.Sequential(*layers, nn.Conv2d(wide, channels, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:  # (B, Z)
        x = self.grow(self.seed(z))  # (B, C, >= H, >= W)
        return x[:, :, : self.height, : self.width]  # (B, C, H, W), centered and scaled as the real ones are


class Inspector(nn.Module):
    """A picture in, one number out: positive where it is taken for real."""

    def __init__(self, shape: tuple[int, ...], config: Config):
        super().__init__()
        channels, height, width = shape
        halvings, low, narrow = smallest(height, width)
        margin = nn.ZeroPad2d((0, narrow * 2**halvings - width, 0, low * 2**halvings - height))
        wide = config.width
        layers = [margin, spectral_norm(nn.Conv2d(channels, wide, 3, 1, 1)), nn.LeakyReLU(0.1)]
        for _ in range(halvings):
            layers += [spectral_norm(nn.Conv2d(wide, wide * 2, 4, 2, 1)), nn.LeakyReLU(0.1)]
            wide *= 2
        self.score = nn.Sequential(*layers, nn.Flatten(), spectral_norm(nn.Linear(wide * low * narrow, 1)))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B,)
        return self.score(x)[:, 0]


class Net(nn.Module):
    """The two players, and the forger's average over time, which makes the pictures that people see."""

    def __init__(self, sizes: Sizes, config: Config):
        super().__init__()
        self.latent = config.latent
        self.forger = Forger(sizes.input, config)
        self.inspector = Inspector(sizes.input, config)
        self.artist = Forger(sizes.input, config).requires_grad_(False)
        self.artist.load_state_dict(self.forger.state_dict())

    def forward(self, z: Tensor) -> Tensor:  # (B, Z) -> (B, C, H, W)
        return self.artist(z)

    @torch.no_grad()
    def generate(self, count: int, generator: torch.Generator) -> Tensor:
        """New pictures, `(count, C, H, W)`, a pure function of the weights and of the generator."""
        z = torch.randn(count, self.latent, generator=generator)
        mode = self.training
        self.eval()
        try:
            return self(z.to(next(self.parameters())))
        finally:
            self.train(mode)


def players(net: Net, config: Config, loss, schedule) -> dict[str, Player]:
    """The inspector wants to tell the pictures apart; the forger wants its own taken for real."""

    def forge(real: Tensor) -> Tensor:
        return net.forger(torch.randn(len(real), config.latent, dtype=real.dtype, device=real.device))

    def inspect(batch: tuple[Tensor, ...]) -> Tensor:
        real = batch[0]  # (B, C, H, W); labels, where there are any, are not looked at
        fake = forge(real).detach()
        return softplus(-net.inspector(real)).mean() + softplus(net.inspector(fake)).mean()

    def deceive(batch: tuple[Tensor, ...]) -> Tensor:
        return softplus(-net.inspector(forge(batch[0]))).mean()

    def player(part: nn.Module, objective) -> Player:
        params: list[Tensor] = list(part.parameters())
        return Player(params, objective, make("rmsprop", params, schedule(config.lr)), splittable=False)

    return {"inspector": player(net.inspector, inspect), "forger": player(net.forger, deceive)}


def after(net: Net, config: Config) -> Callable[[int], None]:
    """The artist follows the forger slowly: the average of a game's many positions is steadier than any of them."""
    pairs = list(zip(net.artist.parameters(), net.forger.parameters(), strict=True))
    statistics = list(zip(net.artist.buffers(), net.forger.buffers(), strict=True))

    def follow(step: int) -> None:
        share = max(1 - config.smoothing, 9 / (step + 9))  # it forgets its beginnings sooner; as TensorFlow has it
        with torch.no_grad():
            for artist, forger in pairs:
                artist.lerp_(forger, share)
            for artist, forger in statistics:  # batch norm's
                artist.copy_(forger)

    return follow
