"""The doctor in loops of a person's own: what it finds, what it leaves alone, what it must not break or change."""

import copy
import io
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import gipi
from gipi.doctor.hook import Hook
from gipi.doctor.told import ROOM, Curve, Numbers, Rows, inputs_and_target
from gipi.errors import DoctorWarning, UsageError

N, D, K = 480, 8, 3  # rows, inputs, classes
CALM = pytest.mark.filterwarnings("ignore::gipi.errors.DoctorWarning")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def classes(seed=0, rows=N):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, D, generator=random)
    return x, (x @ torch.randn(D, K, generator=torch.Generator().manual_seed(1))).argmax(1)


def mlp(*more, width=32, out=K):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(D, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out), *more
    )


def batches(x, y, epochs=6, size=32, is_shuffled=True):
    random = torch.Generator().manual_seed(2)
    for _epoch in range(epochs):
        order = torch.randperm(len(x), generator=random) if is_shuffled else torch.arange(len(x))
        for start in range(0, len(x) - size + 1, size):
            yield x[order[start : start + size]], y[order[start : start + size]]


def trained(net, loss=functional.cross_entropy, data=None, optimizer=None, every=5, stream=None, loss_function=None):
    """A loop as people write it, watched; gives the doctor."""
    optimizer = optimizer or torch.optim.Adam(net.parameters(), 3e-3)
    doctor = gipi.doctor.watch(net, optimizer, loss_function, every=every)
    for x, y in stream or batches(*(data or classes())):
        value = loss(net(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        doctor.loss(value)
        doctor.batch((x, y))
    return doctor


def names(doctor, severity=None):
    return [one.name for one in doctor.findings() if severity in (None, one.severity)]


def problems(doctor):
    return names(doctor, "problem")


# --- what is wrong is found --------------------------------------------------------------------------------------


def test_softmax_is_taken_twice():
    assert problems(trained(mlp(nn.Softmax(1))))[:1] == ["softmax-twice"]


def test_softmax_is_taken_twice_where_the_loss_was_told_as_a_number():
    net = mlp(nn.Softmax(1))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    doctor = gipi.doctor.watch(net, optimizer, every=5)
    for x, y in batches(*classes()):
        loss = functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        doctor.loss(loss.item())
        doctor.batch({"input": x, "label": y})
    assert "softmax-twice" in problems(doctor)


def test_scores_where_logarithms_of_probabilities_are_wanted():
    assert "loss-mismatch" in problems(trained(mlp(), functional.nll_loss))


def test_sigmoid_before_a_loss_that_takes_one():
    x, y = classes()
    doctor = trained(
        mlp(nn.Sigmoid(), out=1), functional.binary_cross_entropy_with_logits, (x, (y == 0).float()[:, None])
    )
    assert "loss-mismatch" in names(doctor)


def test_targets_of_another_shape_than_outputs():
    x, _y = classes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own
        doctor = trained(mlp(out=1), functional.mse_loss, (x, x.sum(1)))
    assert "loss-mismatch" in problems(doctor)


def test_gradient_is_cut_off():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = mlp(out=16), nn.Linear(16, K)

        def forward(self, x):
            return self.head(self.body(x).detach())

    assert "no-gradient" in problems(trained(Net()))


def test_gradients_are_emptied_before_the_step():
    net = mlp()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    doctor = gipi.doctor.watch(net, optimizer, every=5)
    for x, y in batches(*classes()):
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        doctor.loss(loss)
    assert "no-gradient" in problems(doctor)


def test_layer_is_not_given_to_the_optimizer():
    net = mlp()
    doctor = trained(net, optimizer=torch.optim.Adam(net[-1].parameters(), 3e-3))
    assert "frozen-layer" in problems(doctor)


def test_optimizer_of_another_model():
    doctor = trained(mlp(), optimizer=torch.optim.Adam(mlp().parameters(), 3e-3))
    assert "frozen-layer" in problems(doctor)


def test_layers_in_a_plain_list():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.head = [nn.Linear(D, D) for _ in range(2)], nn.Linear(D, K)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x).relu()
            return self.head(x)

    assert "frozen-layer" in names(trained(Net()))


def test_rows_come_in_the_order_of_their_labels():
    x, y = classes()
    order = y.argsort()
    doctor = trained(mlp(), stream=batches(x[order], y[order], is_shuffled=False))
    assert "not-shuffled" in problems(doctor)


@CALM
def test_step_is_too_large():
    x, _y = classes()
    net = mlp(out=1)
    optimizer = torch.optim.SGD(net.parameters(), 30.0)
    doctor = trained(net, functional.mse_loss, (x, x.sum(1, keepdim=True)), optimizer)
    assert problems(doctor)[:1] == ["step-too-large"]
    assert "divergence" in problems(doctor)


def test_step_is_too_small():
    net = mlp()
    assert "step-too-small" in names(trained(net, optimizer=torch.optim.SGD(net.parameters(), 1e-6)))


def test_units_are_dead():
    net = mlp()
    with torch.no_grad():
        net[2].bias.fill_(-100.0)
    assert "dead-units" in problems(trained(net))


def test_units_are_saturated():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(D, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, K))
    x, y = classes()
    assert "saturated-units" in names(
        trained(net, data=(1000 * x, y), optimizer=torch.optim.SGD(net.parameters(), 1e-3))
    )


def test_gradient_vanishes():
    torch.manual_seed(0)
    layers = [part for _ in range(8) for part in (nn.Linear(32, 32), nn.Sigmoid())]
    net = nn.Sequential(nn.Linear(D, 32), nn.Sigmoid(), *layers, nn.Linear(32, K))
    assert "vanishing-gradient" in names(trained(net, optimizer=torch.optim.SGD(net.parameters(), 0.1)))


def test_batch_norm_of_two_rows():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(D, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, K))
    assert "small-batch-norm" in problems(trained(net, stream=batches(*classes(), epochs=1, size=2)))


def test_first_loss_is_far_off():
    net = mlp()
    with torch.no_grad():
        for one in net.parameters():
            one.mul_(20)
    assert "initial-loss" in names(trained(net))


def test_shift_of_a_text_is_forgotten():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))
    text = torch.randint(0, 20, (64, 24))
    doctor = trained(net, lambda o, y: functional.cross_entropy(o.flatten(0, 1), y.flatten()), (text, text.clone()))
    assert "shifted-targets" in problems(doctor)


def test_targets_slipped_by_a_row():
    x, y = classes()
    doctor = trained(mlp(), stream=((a, b.roll(1)) for a, b in batches(x, y)))
    assert "shifted-targets" in problems(doctor)


def test_input_is_ignored():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mlp()

        def forward(self, x):
            return self.body(x.mean(0, keepdim=True).expand_as(x))

    assert {"input-ignored", "cannot-memorise"} & {*problems(trained(Net()))}


def test_copies_of_validation_rows():
    x, y = classes()
    doctor = trained(mlp(), data=(x, y))
    doctor.batch((x[:60], y[:60]), part="valid")
    assert "duplicate-rows" in names(doctor)


def test_overfitting():
    net = mlp(width=64)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    x, y = classes(rows=32)
    y = y[torch.randperm(32)]
    others = classes(seed=5)
    doctor = gipi.doctor.watch(net, optimizer, every=5)
    for _epoch in range(30):
        for a, b in batches(x, y, epochs=4):
            loss = functional.cross_entropy(net(a), b)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.loss(loss)
        with torch.no_grad():
            scores = net(others[0])
        doctor.loss(functional.cross_entropy(scores, others[1]), part="valid")
        doctor.metric((scores.argmax(1) == others[1]).float().mean(), "accuracy")
    assert "overfitting" in names(doctor)
    history = doctor.view().history
    assert len(history) == 30
    assert history[3]["step"] == 16
    assert {*history[0]["valid"]} == {"loss", "accuracy"}
    assert history[-1]["train"]["learner"] < 0.5 < history[-1]["valid"]["loss"]


def test_inspector_wins():
    real = torch.randn(N, 2) + 20.0
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    inspector = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    doctor = gan(generator, inspector, real, 1e-5, 1e-2)
    assert "inspector-wins" in problems(doctor)


def gan(generator, inspector, real, forging, inspecting, steps=200):
    makers = torch.optim.Adam(generator.parameters(), forging), torch.optim.Adam(inspector.parameters(), inspecting)
    nets = {"generator": generator, "discriminator": inspector}
    doctor = gipi.doctor.watch(nets, dict(zip(nets, makers, strict=True)), every=10)
    for _step in range(steps):
        some = real[torch.randint(0, len(real), (32,))]
        fake = generator(torch.randn(32, 4))
        judged = functional.softplus(-inspector(some)).mean() + functional.softplus(inspector(fake.detach())).mean()
        makers[1].zero_grad()
        judged.backward()
        makers[1].step()
        forged = functional.softplus(-inspector(fake)).mean()
        makers[0].zero_grad()
        forged.backward()
        makers[0].step()
        doctor.loss(judged, "discriminator")
        doctor.loss(forged, "generator")
    return doctor
