"""The doctor in loops of a person's own: what it finds, what it leaves alone, what it must not break or change."""

import copy
import io
import pickle
import warnings

import pytest
import torch
import torch._dynamo
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
    for judged, forged in played(generator, inspector, makers, real, steps):
        doctor.loss(judged, "discriminator")
        doctor.loss(forged, "generator")
    return doctor


def played(generator, inspector, makers, real, steps):
    """The losses of both, step by step."""
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
        yield judged, forged


def silent(net, x, parameters=None):
    """A loop that tells nothing."""
    optimizer = torch.optim.SGD(parameters or net.parameters(), 0.05)
    doctor = gipi.doctor.watch(net, optimizer, every=5)
    for _step in range(40):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    return names(doctor)


def test_what_is_found_where_nothing_is_told():
    x = classes()[0][:64]
    assert silent(mlp(), x) == []
    net = mlp()
    assert "frozen-layer" in silent(net, x, [*net[0].parameters()])
    torch.manual_seed(0)
    norm = nn.Sequential(nn.Linear(D, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, K))
    assert "small-batch-norm" in silent(norm, x[:2])
    dead = mlp()
    with torch.no_grad():
        dead[2].bias.fill_(-100.0)
    assert "dead-units" in silent(dead, x)
    saturated = nn.Sequential(nn.Linear(D, 16), nn.Tanh(), nn.Linear(16, K))
    assert "saturated-units" in silent(saturated, 1000 * x)
    deep = [part for _ in range(8) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    assert "vanishing-gradient" in silent(nn.Sequential(nn.Linear(D, 16), *deep, nn.Linear(16, K)), x)
    same = nn.Sequential(mlp(), nn.Softmax(0), nn.LayerNorm(K, elementwise_affine=False))
    with torch.no_grad():
        same[0][4].weight.zero_()
    assert "input-ignored" in silent(same, x, [same[0][0].weight])


# --- what is sound is left alone ---------------------------------------------------------------------------------


def test_sound_mlp():
    assert problems(trained(mlp())) == []


def test_sound_mlp_with_a_loss_function():
    doctor = trained(mlp(), loss_function=nn.CrossEntropyLoss())
    assert problems(doctor) == []
    probes = doctor.view().probes
    assert abs(probes["first"]["loss"] - probes["first"]["expected"]) < 0.3
    assert probes["recognised"] == "cross_entropy"


def pictures(rows=160):
    torch.manual_seed(0)
    y = torch.arange(rows) % K
    x = 0.5 * torch.randn(rows, 1, 12, 12)
    for row, label in enumerate(y):
        x[row, 0, 3 * label : 3 * label + 3] += 1
    return x, y


def test_sound_network_for_pictures():
    torch.manual_seed(0)
    blocks = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)]
    blocks += [nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    doctor = trained(nn.Sequential(*blocks, nn.Dropout(0.2), nn.Linear(16, K)), data=pictures())
    assert problems(doctor) == []
    assert {"2", "6"} <= doctor.visits[-1]["layers"].keys()
    assert doctor.visits[-1]["norms"]["1"]["rows"] == 32


class Reader(nn.Module):
    """Tokens to scores, of the whole text or of each place."""

    def __init__(self, kind, out, of_all=False):
        super().__init__()
        self.embedding, self.kind, self.of_all = nn.Embedding(12, 16), kind, of_all
        if kind == "lstm":
            self.body = nn.LSTM(16, 16, batch_first=True)
        else:
            layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
            self.body = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(16, out)

    def forward(self, x):
        x = self.embedding(x)
        x = self.body(x)[0] if self.kind == "lstm" else self.body(x)
        return self.head(x if self.of_all else x.mean(1))


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_sound_network_for_texts(kind):
    torch.manual_seed(0)
    x = torch.randint(0, 12, (N, 10))
    y = (x == 3).sum(1).clamp_max(2)
    net = Reader(kind, K)
    doctor = trained(net, data=(x, y), optimizer=torch.optim.AdamW(net.parameters(), 3e-3))
    assert problems(doctor) == []


def test_sound_language_model():
    torch.manual_seed(0)
    text = (torch.arange(24) + torch.randint(0, 12, (192, 1))) % 12
    data = text[:, :-1], text[:, 1:]
    doctor = trained(Reader("lstm", 12, of_all=True), lambda o, y: functional.cross_entropy(o.mT, y), data)
    assert problems(doctor) == []
    assert doctor.view().probes["tokens"]["best"] == 1


def test_sound_regression():
    x, _y = classes()
    doctor = trained(mlp(out=1), functional.mse_loss, (x, x[:, :2].sum(1, keepdim=True)))
    assert problems(doctor) == []


def test_sound_gan_with_two_who_watch():
    torch.manual_seed(0)
    real = torch.randn(N, 2) * 0.5 + 1
    generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    inspector = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    makers = torch.optim.Adam(generator.parameters(), 1e-3), torch.optim.Adam(inspector.parameters(), 1e-3)
    forging, judging = (
        gipi.doctor.watch(generator, makers[0], every=5),
        gipi.doctor.watch(inspector, makers[1], every=5),
    )
    for judged, forged in played(generator, inspector, makers, real, 100):
        judging.loss(judged)
        forging.loss(forged)
    assert problems(forging) == problems(judging) == []


def test_sound_gan_with_one_who_watches():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    inspector = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    doctor = gan(generator, inspector, torch.randn(N, 2) * 0.5 + 1, 1e-3, 1e-3)
    assert problems(doctor) == []
    assert {"generator.0.weight", "discriminator.0.weight"} <= doctor.visits[-1]["parameters"].keys()


def test_trunk_that_is_frozen_on_purpose():
    trunk = mlp(out=16)
    taught = nn.Sequential(trunk, nn.ReLU(), nn.Linear(16, K))
    for x, y in batches(*classes(), epochs=20):
        for one in taught.parameters():
            one.grad = None
        functional.cross_entropy(taught(x), y).backward()
        with torch.no_grad():
            for one in taught.parameters():
                one.sub_(0.3 * one.grad)
    trunk.requires_grad_(False)
    net = nn.Sequential(trunk, nn.ReLU(), nn.Linear(16, K))
    doctor = trained(net, optimizer=torch.optim.Adam(net[-1].parameters(), 3e-3))
    assert problems(doctor) == []


# --- what it says, and when --------------------------------------------------------------------------------------


def test_a_problem_is_told_once_and_at_the_end():
    net = mlp(nn.Softmax(1))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    told = []
    with gipi.doctor.watch(net, optimizer, every=5, on_finding=told.append) as doctor:
        for x, y in batches(*classes()):
            loss = functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.loss(loss)
    assert [one.name for one in told] == ["softmax-twice"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        doctor.stop()
    assert not caught


def test_a_loss_that_is_no_number_is_told_while_it_trains():
    net, said = mlp(), []
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=2)
    with pytest.warns(DoctorWarning, match="divergence"):
        for step, (x, y) in enumerate(batches(*classes(), epochs=1)):
            loss = functional.cross_entropy(net(x), y) * (float("nan") if step == 5 else 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.loss(loss)
            said.append(len(doctor._told))
    assert said[4] == 0 < said[9]


def test_while_it_trains_a_problem_is_told_if_it_lasts(monkeypatch):
    monkeypatch.setattr("gipi.doctor.watching.UNKNOWN", 0.0)
    monkeypatch.setattr("gipi.doctor.watching.SHARE_OF_CHECKS", 1e9)
    with pytest.warns(DoctorWarning, match="softmax-twice"):
        trained(mlp(nn.Softmax(1)))


def test_what_it_prints():
    doctor = trained(mlp(nn.Softmax(1)))
    said = str(doctor)
    assert "90 steps" in said
    assert "softmax-twice" in said
    assert ".metric(value)" in said
    assert ".loss(loss)" not in said


# --- nothing is changed ------------------------------------------------------------------------------------------


class Noisy(nn.Module):
    """With all that a look could change by chance."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(D, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(16, K)

    def forward(self, x):
        return self.head(functional.relu(self.body(x)))


def weights(optimizer_of, is_watched, parts=1, scaled=False):
    torch.manual_seed(3)
    net = Noisy()
    optimizer = optimizer_of([{"params": net.body.parameters()}, {"params": net.head.parameters(), "lr": 1e-3}])
    doctor = gipi.doctor.watch(net, optimizer, nn.CrossEntropyLoss(), every=3) if is_watched else None
    for step, (x, y) in enumerate(batches(*classes(), epochs=2)):
        optimizer.zero_grad()
        for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True):
            (functional.cross_entropy(net(a), b) / parts).backward()
        loss = functional.cross_entropy(net(x), y)
        if not scaled or step % 4:  # a step that is left out, as where half precision overflows
            optimizer.step()
        if doctor:
            doctor.loss(loss)
            doctor.batch((x, y))
        if step == 20:
            net.eval()
            with torch.no_grad():
                value = functional.cross_entropy(net(x), y)
            net.train()
            if doctor:
                doctor.loss(value, part="valid")
                doctor.findings()
    assert doctor is None or len(doctor.visits) > 3
    return [*net.state_dict().values(), torch.rand(1)]


OPTIMIZERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, 0.1, momentum=0.9),
    "adam foreach": lambda groups: torch.optim.Adam(groups, 1e-2, foreach=True),
    "adam fused": lambda groups: torch.optim.Adam(groups, 1e-2, fused=True),
    "adamw": lambda groups: torch.optim.AdamW(groups, 1e-2),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, 1e-3),
    "adagrad": lambda groups: torch.optim.Adagrad(groups, 1e-2),
    "nadam": lambda groups: torch.optim.NAdam(groups, 1e-3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_are_the_same_to_the_bit(name):
    one, other = weights(OPTIMIZERS[name], True), weights(OPTIMIZERS[name], False)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("parts", "scaled"), [(4, False), (1, True)])
def test_weights_are_the_same_with_parts_of_batches_and_steps_left_out(parts, scaled):
    found = [weights(OPTIMIZERS["adamw"], is_watched, parts, scaled) for is_watched in (True, False)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_weights_are_the_same_with_an_optimizer_that_asks_for_the_loss():
    found = []
    for is_watched in (True, False):
        net = mlp()
        optimizer = torch.optim.LBFGS(net.parameters(), 0.5, max_iter=4)
        doctor = gipi.doctor.watch(net, optimizer, every=2) if is_watched else None
        for x, y in batches(*classes(), epochs=1):

            def closure(x=x, y=y):
                optimizer.zero_grad()  # noqa: B023
                loss = functional.cross_entropy(net(x), y)  # noqa: B023
                loss.backward()
                return loss

            loss = optimizer.step(closure)
            if doctor:
                doctor.loss(loss)
        found.append([*net.parameters()])
        if doctor:
            assert doctor.visits[-1]["parameters"]["0.weight"]["gradient"] > 0
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_weights_are_the_same_beside_a_transformer_that_is_only_used():
    found = []
    for is_watched in (True, False):
        torch.manual_seed(0)
        trunk = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval().requires_grad_(False)
        net = nn.Sequential(nn.Unflatten(1, (-1, 16)), trunk, nn.Flatten(), nn.Linear(32, K))
        optimizer = torch.optim.Adam(net[-1].parameters(), 1e-2)
        doctor = gipi.doctor.watch(net, optimizer, every=1) if is_watched else None
        for _step in range(6):
            loss = net(torch.randn(8, 32)).square().mean()
            loss.backward()
            optimizer.step()
        found.append([*net.parameters()])
        assert doctor is None or len(doctor.visits) == 5
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_gradients_of_half_precision_are_seen_unscaled():
    net = mlp()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2, fused=True)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(1024.0), torch.tensor(0.0)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    sizes = []
    for step in range(6):
        optimizer.found_inf.fill_(float(step == 3))
        (net(torch.ones(4, D)).square().mean() * 1024).backward()
        sizes.append(net[0].weight.grad.square().mean().sqrt().item() / 1024)
        optimizer.step()
        optimizer.zero_grad()
    seen = {visit["step"]: visit["parameters"]["0.weight"]["gradient"] for visit in doctor.visits}
    assert set(seen) == {1, 2, 4, 5}
    assert all(abs(size / sizes[step] - 1) < 1e-4 for step, size in seen.items())
    del optimizer.grad_scale, optimizer.found_inf


# --- nothing is broken -------------------------------------------------------------------------------------------


def step(net, optimizer, x, count=4):
    for _step in range(count):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def hooks_of(net):
    return [
        hook for part in net.modules() for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    ]


def test_all_hooks_go():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    own = net[1].register_forward_hook(lambda *_given: None)
    with gipi.doctor.watch(net, optimizer, every=1) as doctor:
        step(net, optimizer, torch.randn(4, D))
        assert sum(isinstance(hook, Hook) for hook in hooks_of(net)) == 2  # those that wait at the network itself
    assert len(hooks_of(net)) == 1
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    own.remove()
    seen = len(doctor.visits)
    step(net, optimizer, torch.randn(4, D))
    assert len(doctor.visits) == seen
    with pytest.raises(KeyError), gipi.doctor.watch(net, optimizer):
        raise KeyError
    assert not hooks_of(net)


def test_an_error_in_the_loop_is_the_persons_own():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    step(net, optimizer, torch.randn(4, D))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net(torch.randn(4, D + 1))
    step(net, optimizer, torch.randn(4, D))
    assert len(doctor.visits) == 7
    assert "failed" not in doctor._notes


def test_copies_and_files_of_a_network_that_is_watched():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    step(net, optimizer, torch.randn(4, D))
    x = torch.randn(4, D)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(x), net(x))
        assert not any(isinstance(hook, Hook) for hook in hooks_of(other))
    assert b"gipi" not in pickle.dumps(net)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    copied = copy.deepcopy(optimizer)
    assert copied.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    step(net, optimizer, x)
    assert len(doctor.visits) == 7


def test_two_who_watch_the_same():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    one, other = (gipi.doctor.watch(net, optimizer, every=every) for every in (1, 2))
    step(net, optimizer, torch.randn(4, D), 8)
    assert len(one.visits) == 7
    assert one.visits[-1]["layers"].keys() == other.visits[-1]["layers"].keys() == {"1", "3"}
    one.stop()
    step(net, optimizer, torch.randn(4, D), 8)
    assert other.step == 16


def test_model_without_parameters():
    weight = nn.Parameter(torch.ones(D))
    optimizer = torch.optim.SGD([weight], 0.1)
    net = nn.Flatten()
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    for _step in range(4):
        (net(torch.randn(4, D)) * weight).square().mean().backward()
        optimizer.step()
    assert len(doctor.visits) == 3
    assert doctor.visits[0]["parameters"] == {}
    assert problems(doctor) == []


def test_shared_parameters_count_once():
    layer = nn.Linear(D, D)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    step(net, optimizer, torch.randn(4, D))
    assert doctor.visits[-1]["parameters"].keys() == {"0.weight", "0.bias"}
    assert doctor.view().parameters == D * D + D


def test_lazy_parameters():
    net = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(2))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    assert doctor.view().parameters == 0
    step(net, optimizer, torch.randn(4, D))
    assert "failed" not in doctor._notes
    assert doctor.visits[-1]["parameters"]["0.weight"]["shape"] == [16, D]
    assert problems(doctor) == []


def test_compiled_model():
    compiled, count = mlp(), [0]

    def backend(graph, _inputs):
        count[0] += 1
        return graph

    net = torch.compile(compiled, backend=backend)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    step(net, optimizer, torch.randn(4, D), 6)
    assert count == [1]
    assert doctor.visits[-1]["layers"] == {}
    assert doctor.visits[-1]["output"]["shape"] == [4, K]
    assert doctor.visits[-1]["parameters"]["0.weight"]["update"] > 0
    assert "compiled" in str(doctor)


@pytest.mark.parametrize("is_early", [True, False])
def test_model_that_is_compiled_beside_the_one_that_is_watched(is_early):
    plain, count = mlp(), [0]

    def backend(graph, _inputs):
        count[0] += 1
        return graph

    optimizer = torch.optim.SGD(plain.parameters(), 0.1)
    if is_early:
        doctor = gipi.doctor.watch(plain, optimizer, every=1)
        net = torch.compile(plain, backend=backend)
    else:
        net = torch.compile(plain, backend=backend)
        net(torch.randn(4, D))
        doctor = gipi.doctor.watch(plain, optimizer, every=1)
    step(net, optimizer, torch.randn(4, D), 6)
    assert count[0] <= 2
    assert len(doctor.visits) == 5
    assert "failed" not in doctor._notes


def test_model_compiled_in_place_and_a_scripted_one():
    net = mlp()
    net.compile(backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(mlp())
    for one in (net, scripted):
        optimizer = torch.optim.SGD(one.parameters(), 0.1)
        doctor = gipi.doctor.watch(one, optimizer, every=1)
        step(one, optimizer, torch.randn(4, D), 6)
        assert len(doctor.visits) == 5
        assert "compiled" in str(doctor)


def test_parameters_on_other_devices_sparse_gradients_and_complex_numbers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(50, 4, sparse=True)
            self.turn = nn.Parameter(torch.randn(4, dtype=torch.complex64))
            self.away = nn.Linear(2, 2, device="meta")

        def forward(self, x):
            return (self.words(x) * self.turn).abs().sum(1)

    torch.manual_seed(0)
    net = Net()
    makers = [torch.optim.SparseAdam(net.words.parameters(), 0.01), torch.optim.SGD([net.turn], 0.01)]
    doctor = gipi.doctor.watch(net, makers, every=1)
    for _step in range(4):
        net(torch.randint(0, 50, (8, 3))).square().mean().backward()
        for optimizer in makers:
            optimizer.step()
            optimizer.zero_grad()
    found = doctor.visits[-1]["parameters"]
    assert found.keys() == {"words.weight", "turn"}
    assert found["words.weight"]["gradient"] > 0
    assert found["words.weight"]["update"] > 0
    assert found["turn"]["gradient"] > 0
    assert "failed" not in doctor._notes
    doctor.findings()


def test_model_whose_parts_are_called_instead_of_itself():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = mlp(out=16), nn.Linear(16, K)

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    torch._dynamo.utils.counters.clear()  # of other tests: beside what is compiled nothing is done at parts
    for _step in range(6):
        optimizer.zero_grad()
        net.head(net.body(torch.randn(4, D)).relu()).square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            net.head(net.body(torch.zeros(4, D)))
    assert doctor.visits[-1]["layers"].keys() == {"body.1", "body.3", "before head"}
    assert doctor.visits[-1]["layers"]["body.1"]["spread"] > 0
    doctor.stop()
    assert not hooks_of(net)


def test_model_in_data_parallel():
    net = nn.DataParallel(mlp())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    step(net, optimizer, torch.randn(4, D))
    assert "module.1" in doctor.visits[-1]["layers"]


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_network_that_computes_activations_again(use_reentrant):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.three = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, K)

        def body(self, x):
            return functional.dropout(self.two(functional.relu(self.one(x))), 0.2)

        def forward(self, x):
            x = x.requires_grad_()
            return self.three(torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=use_reentrant))

    found = []
    for is_watched in (True, False):
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        doctor = gipi.doctor.watch(net, optimizer, every=1) if is_watched else None
        step(net, optimizer, torch.randn(4, D), 6)
        found.append([*net.parameters()])
        assert doctor is None or len(doctor.visits) == 5
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_judging_between_steps_is_not_listened_to():
    net = Noisy()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    for _step in range(4):
        step(net, optimizer, torch.randn(8, D), 1)
        net.eval()
        with torch.no_grad():
            net(torch.zeros(100, D))
        net(torch.zeros(50, D))
        net.train()
    assert {visit["rows"] for visit in doctor.visits} == {8}


def test_outputs_of_all_kinds():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mlp()

        def forward(self, *, text):
            return {"loss": self.body(text).square().mean(), "logits": self.body(text)}

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    for _step in range(3):
        net(text=torch.randn(4, D))["loss"].backward()
        optimizer.step()
    assert doctor.visits[-1]["output"]["shape"] == [4, K]
    assert doctor.visits[-1]["rows"] == 4


@pytest.mark.parametrize(
    "told",
    ["word", None, float("nan"), [1, 2], torch.ones(3), torch.ones((), device="meta"), torch.tensor(1j), torch.ones(0)],
    ids=str,
)
def test_losses_and_batches_of_all_kinds_break_nothing(told):
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = gipi.doctor.watch(net, optimizer, every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoctorWarning)
        for _step in range(3):
            step(net, optimizer, torch.randn(4, D), 1)
            assert doctor.loss(told) is told
            assert doctor.metric(told) is told
            assert doctor.batch(told) is told
            doctor.batch((told, told), part="valid")
    assert len(doctor.visits) == 2
    assert isinstance(str(doctor), str)


def test_wrong_use():
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for given in (("net", optimizer), (net, "sgd"), (net, net.parameters()), ([], optimizer), (net, {})):
        with pytest.raises(UsageError, match="watch needs"):
            gipi.doctor.watch(*given)
    with pytest.raises(UsageError, match="every"):
        gipi.doctor.watch(net, optimizer, every=0)


# --- what is kept ------------------------------------------------------------------------------------------------


def test_a_curve_stays_small_and_right():
    curve = Curve()
    for number in range(100_000):
        curve.add(number, float(number % 2))
    points = curve.points()
    assert 200 <= len(points) <= 401
    assert abs(points[:, 1].mean() - 0.5) < 1e-2
    assert abs(points[5, 2] - 0.5) < 1e-9
    assert (points[1:, 0] > points[:-1, 0]).all()


def test_numbers_make_a_history():
    numbers = Numbers()
    for epoch in range(3):
        for count in range(4):
            numbers.tell("train", "learner", epoch * 4 + count, float(epoch))
        numbers.tell("valid", "learner", epoch * 4 + 4, torch.tensor(1.0 + epoch))
        numbers.tell("valid", "learner", epoch * 4 + 4, 2.0 + epoch)
        numbers.tell("metric", "accuracy", epoch * 4 + 4, 0.5)
    history = numbers.history()
    assert [one["train"]["learner"] for one in history] == [0.0, 1.0, 2.0]
    assert [one["valid"] for one in history] == [{"loss": 1.5 + n, "accuracy": 0.5} for n in range(3)]
    assert [one["step"] for one in history] == [4, 8, 12]
    assert numbers.first == {"learner": [0.0]}


def test_rows_are_bounded_and_from_all_over():
    rows = Rows()
    for number in range(3000):
        if rows.wants():
            rows.add((torch.full((64, 3, 64, 64), float(number)), torch.full((64,), number)))
    assert sum(x.nbytes + y.nbytes for x, y in rows.batches) <= ROOM
    seen = sorted({int(y[0]) for _x, y in rows.batches})
    assert seen[-1] > 2500
    assert seen[len(seen) // 2] > 700


def test_inputs_and_targets_of_batches_of_all_forms():
    x, y = torch.zeros(4, 2), torch.ones(4)
    for batch in ((x, y), [x, y], {"x": x, "y": y}, {"input_ids": x, "attention_mask": x, "labels": y}, ((x, x), y)):
        found = inputs_and_target(batch)
        assert found[0] is x
        assert found[1] is y
    assert inputs_and_target(x) == (x, None)
    assert inputs_and_target("text") == (None, None)
