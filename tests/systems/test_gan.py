"""GAN: two players on the one loop, bit for bit what a hand-written loop does, and it learns real digits."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from gipi.data.encode import normalize
from gipi.data.schema import Field, Schema, Sizes
from gipi.data.sources import open_data
from gipi.data.stream import Stream, generator
from gipi.systems import gan
from gipi.tasks import generate
from gipi.training.loop import fit

SMALL = gan.Config(latent=8, width=4)


def constant(lr):
    return lambda step: lr


def pictures(rows=64, shape=(1, 8, 8)):
    return torch.randn(rows, *shape, generator=generator(0, "pictures"))


def build(config=SMALL, shape=(1, 8, 8), seed=0):
    torch.manual_seed(seed)
    return gan.Net(Sizes(shape, 0), config)


def test_through_fit_it_equals_a_hand_written_loop_bit_for_bit():
    steps, shape = 200, (1, 4, 4)
    data = pictures(shape=shape)
    net = build(shape=shape)
    twin = copy.deepcopy(net)

    torch.manual_seed(1)
    players = gan.players(net, SMALL, None, constant)
    for _step, _losses in fit(players, Stream((data,), 16, seed=0), steps, gan.after(net, SMALL)):
        pass

    torch.manual_seed(1)
    settings = {"lr": SMALL.lr, "alpha": 0.9, "eps": 1e-8, "foreach": True}
    inspector = torch.optim.RMSprop(twin.inspector.parameters(), **settings)
    forger = torch.optim.RMSprop(twin.forger.parameters(), **settings)
    stream = Stream((data,), 16, seed=0)
    for step in range(steps):
        (real,) = next(stream)
        fake = twin.forger(torch.randn(len(real), SMALL.latent)).detach()
        inspector.zero_grad()
        (softplus(-twin.inspector(real)).mean() + softplus(twin.inspector(fake)).mean()).backward()
        inspector.step()
        forger.zero_grad()
        softplus(-twin.inspector(twin.forger(torch.randn(len(real), SMALL.latent)))).mean().backward()
        forger.step()
        with torch.no_grad():
            for slow, quick in zip(twin.artist.parameters(), twin.forger.parameters(), strict=True):
                slow.lerp_(quick, max(1 - SMALL.smoothing, 9 / (step + 9)))
            for slow, quick in zip(twin.artist.buffers(), twin.forger.buffers(), strict=True):
                slow.copy_(quick)

    ours, theirs = net.state_dict(), twin.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert not torch.equal(ours["forger.seed.0.weight"], build(shape=shape).state_dict()["forger.seed.0.weight"])


@pytest.mark.parametrize(("who", "other"), [("inspector", "forger"), ("forger", "inspector")])
def test_a_player_moves_its_own_part_only(who, other):
    net = build()
    before = {name: tensor.clone() for name, tensor in net.named_parameters()}
    gan.players(net, SMALL, None, constant)[who].play((pictures(8),), 0)
    moved = {name for name, tensor in net.named_parameters() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if name.startswith(who)}
    assert all(tensor.grad is None for name, tensor in net.named_parameters() if name.startswith(other))


def test_labels_are_not_looked_at():
    def weights(*labels):
        net = build()
        torch.manual_seed(1)
        for player in gan.players(net, SMALL, None, constant).values():
            player.play((pictures(8), *labels), 0)
        return torch.nn.utils.parameters_to_vector(net.parameters())

    assert torch.equal(weights(), weights(torch.arange(8)))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 5, 40), (1, 1, 1), (1, 15, 9)])
def test_pictures_of_any_size(shape):
    net = build(gan.Config(latent=4, width=2), shape)
    made = net.generate(3, generator(0, "pictures"))
    assert made.shape == (3, *shape)
    assert net.inspector(made).shape == (3,)


def test_generation_is_a_function_of_weights_and_generator():
    net = build()
    state = torch.get_rng_state()
    first, again = (net.generate(4, generator(5)) for _time in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, net.generate(4, generator(6)))
    assert torch.equal(state, torch.get_rng_state())
    assert net.training


def test_a_cut_run_goes_on_to_the_same_weights():
    def begin():
        net = build()
        return net, gan.players(net, SMALL, None, constant), Stream((pictures(),), 16, seed=0)

    def run(net, players, stream, start, steps):
        for _step, _losses in fit(players, stream, steps, gan.after(net, SMALL), start):
            pass

    whole, *rest = begin()
    run(whole, *rest, 0, 20)

    net, players, stream = begin()
    run(net, players, stream, 0, 7)
    weights = copy.deepcopy(net.state_dict())
    moments = {name: copy.deepcopy(player.optimizer.tensors()) for name, player in players.items()}
    position, noise = stream.state_dict(), torch.get_rng_state()

    net, players, stream = begin()
    net.load_state_dict(weights)
    stream.load_state_dict(position)
    for name, player in players.items():
        for key, tensor in player.optimizer.tensors().items():
            tensor.copy_(moments[name][key])
    torch.set_rng_state(noise)
    run(net, players, stream, 7, 20)
    ours, theirs = net.state_dict(), whole.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def digits():
    """Real digits, apart: for training, held out; and their schema."""
    data = open_data("digits")
    images = data.pictures
    assert images is not None
    order = np.random.default_rng(0).permutation(len(images))
    held, train = images[order[:360]], images[order[360:]]
    field = Field(
        "picture", "picture", (1, 8, 8), center=float(train.mean()), scale=float(train.std()), white=data.white
    )
    return train, held, Schema((field,))


def learn_digits(steps, config):
    """The metrics before and after."""
    train, held, schema = digits()

    def ready(images):
        return normalize(schema, torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))

    net = build(config)
    players = gan.players(net, config, None, constant)
    stream = Stream((ready(train),), 64, seed=0)

    def score():
        made = generate.decode(net.generate(len(held), generator(0, "score")), schema)
        shown = [generate.decode(ready(part), schema) for part in (held, train)]
        return generate.metrics(made, *shown, intervals=False)

    before = score()
    for _step, _losses in fit(players, stream, steps, gan.after(net, config)):
        pass
    return before, score()


def test_it_begins_to_learn_digits():
    before, after = learn_digits(120, gan.Config(width=8))
    assert after["frechet"] < 0.5 * before["frechet"]
    assert after["variety"] > 0.5


@pytest.mark.slow
def test_it_learns_digits():
    _before, after = learn_digits(gan.defaults["steps"], gan.Config())
    assert after["frechet"] < 2.5 * after["frechet_of_real"]
    assert after["told_apart"] < 0.85
    assert 0.85 < after["variety"] < 1.1
