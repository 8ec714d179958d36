"""Every optimizer against its paper's update, written here once more in NumPy float64; and what all of them promise."""

import math

import numpy as np
import pytest
import torch

from gipi.algorithms import lbfgs
from gipi.algorithms.optimizers import OPTIMIZERS, STEP_SIZES, make
from gipi.errors import UsageError

SHAPES = [(5, 4), (4,), (3, 2, 2, 2), (), (2, 6)]
FIRST_ORDER = [name for name in OPTIMIZERS if name != "lbfgs"]
LR = {"adadelta": 1.0, "lars": 2.0, "sgd": 0.05, "momentum": 0.05, "nag": 0.05}
DECAY = 0.03


def begin(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]


def slope(p, step):
    """The gradient of a bumpy function that changes with the step, in NumPy or torch alike."""
    sin = torch.sin if isinstance(p, torch.Tensor) else np.sin
    return 0.7 * p + sin(3 * p + 0.3 * step) + 0.1


def run(optimizer, params, steps, start=0):
    for step in range(start, steps):
        optimizer.step(lambda step=step: (params[0].sum(), [slope(p, step) for p in params]), step)
    return params


# The papers' updates: (p, g, memory, t, lr, weight decay) -> p; t counts from 1, memory is a dict for each parameter.


def np_sgd(p, g, m, t, lr, decay):
    return p - lr * (g + decay * p)


def np_momentum(p, g, m, t, lr, decay):
    m["v"] = 0.9 * m.get("v", 0) - lr * (g + decay * p)  # Polyak's heavy ball
    return p + m["v"]


def np_adagrad(p, g, m, t, lr, decay):
    g = g + decay * p
    m["s"] = m.get("s", 0) + g**2
    return p - lr / (np.sqrt(m["s"]) + 1e-10) * g


def np_adadelta(p, g, m, t, lr, decay):
    g = g + decay * p
    m["g"] = 0.95 * m.get("g", 0) + 0.05 * g**2
    change = -np.sqrt(m.get("x", 0) + 1e-6) / np.sqrt(m["g"] + 1e-6) * g
    m["x"] = 0.95 * m.get("x", 0) + 0.05 * change**2
    return p + lr * change


def np_rmsprop(p, g, m, t, lr, decay):
    g = g + decay * p
    m["s"] = 0.9 * m.get("s", 0) + 0.1 * g**2
    return p - lr * g / (np.sqrt(m["s"]) + 1e-8)


def np_adam(p, g, m, t, lr, decay, beta2=0.999, epsilon=1e-8):
    g = g + decay * p
    m["m"] = 0.9 * m.get("m", 0) + (1 - 0.9) * g
    m["v"] = beta2 * m.get("v", 0) + (1 - beta2) * g**2
    mean, square = m["m"] / (1 - 0.9**t), m["v"] / (1 - beta2**t)
    return p - lr * mean / (np.sqrt(square) + epsilon)


def np_adamw(p, g, m, t, lr, decay, **other):
    return np_adam(p, g, m, t, lr, 0.0, **other) - lr * decay * p


def np_muon(p, g, m, t, lr, decay):
    if p.ndim < 2:
        return np_adamw(p, g, m, t, 0.015 * lr, decay, beta2=0.95, epsilon=1e-10)
    m["v"] = 0.95 * m.get("v", 0) + 0.05 * g
    x = (0.05 * g + 0.95 * m["v"]).reshape(len(p), -1)
    rows, columns = x.shape
    x = x / (np.sqrt((x**2).sum()) + 1e-7)
    for _ in range(5):  # on whichever side: an odd matrix polynomial is the same from both
        a = x.T @ x
        x = 3.4445 * x - 4.7750 * x @ a + 2.0315 * x @ a @ a
    return p * (1 - lr * decay) - lr * math.sqrt(max(1, rows / columns)) * x.reshape(p.shape)


def np_lars(p, g, m, t, lr, decay):
    local = 1.0
    if p.ndim >= 2:
        local = 0.001 * np.linalg.norm(p.ravel()) / (np.linalg.norm(g.ravel()) + decay * np.linalg.norm(p.ravel()))
    m["v"] = 0.9 * m.get("v", 0) + lr * local * (g + decay * p)
    return p - m["v"]


PAPERS = {
    "sgd": np_sgd,
    "momentum": np_momentum,
    "adagrad": np_adagrad,
    "adadelta": np_adadelta,
    "rmsprop": np_rmsprop,
    "adam": np_adam,
    "adamw": np_adamw,
    "muon": np_muon,
    "lars": np_lars,
}


def by_paper(name, lr, decay, steps=50):
    ends = []
    for p in [p.numpy() for p in begin()]:
        kept = decay if p.ndim >= 2 else 0.0
        memory: dict = {}
        for step in range(steps):
            p = PAPERS[name](p, slope(p, step), memory, step + 1, lr, kept)
        ends.append(p)
    return ends


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("name", PAPERS)
def test_equals_its_paper(name, decay):
    lr = LR.get(name, 0.01)
    params = begin()
    run(make(name, params, lr, weight_decay=decay), params, 50)
    for p, expected in zip(params, by_paper(name, lr, decay), strict=True):
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_nag_equals_its_paper():
    """Nesterov as Sutskever 2013 has it: the gradient at theta + mu v. Ours keeps that look-ahead point."""
    params = begin()
    run(make("nag", params, 0.05), params, 50)
    for p, start in zip(params, begin(), strict=True):
        theta, v = start.numpy(), 0.0
        for step in range(50):
            v = 0.9 * v - 0.05 * slope(theta + 0.9 * v, step)
            theta = theta + v
        np.testing.assert_allclose(p.numpy(), theta + 0.9 * v, rtol=1e-9)


def test_every_named_optimizer_is_proven_and_has_a_step_size():
    assert set(OPTIMIZERS) == {*PAPERS, "nag", "lbfgs"} == set(STEP_SIZES)


TORCH = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05),
    "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    "nag": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.05),
    "adadelta": lambda p: torch.optim.Adadelta(p, 0.05, rho=0.95),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.05, alpha=0.9),
    "adam": lambda p: torch.optim.Adam(p, 0.05),
    "adamw": lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.0),
}


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch(name):
    ours, theirs = begin(), begin()
    run(make(name, ours, 0.05), ours, 50)
    run(make(TORCH[name], theirs), theirs, 50)
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_schedule_and_momentum_reach_the_rule():
    params = begin()
    run(make("momentum", params, lambda step: 0.1 if step < 1 else 0.0, momentum=0.5), params, 3)
    for p, start in zip(params, begin(), strict=True):
        torch.testing.assert_close(p, start - 0.1 * slope(start, 0))
    slow, fast = begin(), begin()
    run(make("muon", slow, 0.01, momentum=0.5), slow, 5)
    run(make("muon", fast, 0.01), fast, 5)
    assert not torch.equal(slow[0], fast[0])


# Layout in memory: the fused kernels walk raw memory, and autograd gives gradients in whatever layout was handy


def odd_layouts(dtype=torch.float64):
    """Parameters, and for each a function that lays a gradient out differently."""
    generator = torch.Generator().manual_seed(1)
    first, second, third, fourth = (
        torch.randn(shape, generator=generator, dtype=dtype) for shape in [(4, 3, 2, 2), (3, 5), (5, 4), (4,)]
    )
    params = [first, second, third.t().contiguous().t(), fourth]  # the third lies transposed
    layouts = [
        lambda g: g.contiguous(memory_format=torch.channels_last),
        lambda g: g.t().contiguous().t(),
        lambda g: g.contiguous(),
        lambda g: torch.stack([g, g], 1)[:, 0],
    ]
    return params, layouts


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_layout_of_gradients_does_not_matter(name):
    params, layouts = odd_layouts()
    plain, _ = odd_layouts()
    odd_run, plain_run = make(name, params, 0.01), make(name, plain, 0.01)
    for step in range(3):

        def odd(step=step):
            gradients = [lay(slope(p, step)) for p, lay in zip(params, layouts, strict=True)]
            assert [g.stride() for g in gradients] != [p.stride() for p in params]
            return sum(p.square().sum() for p in params), gradients

        odd_run.step(odd, step)
        plain_run.step(lambda s=step: (sum(p.square().sum() for p in plain), [slope(p, s) for p in plain]), step)
    for p, q in zip(params, plain, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


def test_without_the_guard_the_fused_kernel_is_wrong(monkeypatch):
    """So the test above can fail."""
    monkeypatch.setattr("gipi.algorithms.optimizers.laid_out", lambda gradients, params: gradients)
    with pytest.raises(AssertionError, match="not close"):
        test_layout_of_gradients_does_not_matter("adam")


def test_channels_last_network_trains_as_a_contiguous_one():
    """The real case: a channels-last picture makes autograd give channels-last gradients for contiguous weights."""

    def train(layout):
        torch.manual_seed(0)
        net = torch.nn.Conv2d(3, 4, 3).double()
        params = list(net.parameters())
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64).contiguous(memory_format=layout)
        optimizer = make("adam", params, 0.1)
        for step in range(3):

            def evaluate():
                loss = net(x).square().mean()
                return loss, list(torch.autograd.grad(loss, params))

            optimizer.step(evaluate, step)
        return params

    for p, q in zip(train(torch.channels_last), train(torch.contiguous_format), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-10)


def test_fused_torch_optimizer_is_guarded_too():
    params, layouts = odd_layouts(torch.float32)
    plain, _ = odd_layouts(torch.float32)
    odd_run = make(lambda p: torch.optim.Adam(p, 0.1, fused=True), params)
    plain_run = make("adam", plain, 0.1)
    for step in range(3):
        odd_run.step(
            lambda s=step: (params[0].sum(), [lay(slope(p, s)) for p, lay in zip(params, layouts, strict=True)]), step
        )
        plain_run.step(lambda s=step: (plain[0].sum(), [slope(p, s) for p in plain]), step)
    for p, q in zip(params, plain, strict=True):
        torch.testing.assert_close(p, q)


def test_a_parameter_with_gaps_is_refused():
    with pytest.raises(UsageError, match="gaps"):
        make("adam", [torch.zeros(4, 6)[:, ::2]], 0.1)


def test_a_moved_parameter_is_noticed():
    net = torch.nn.Conv2d(3, 4, 3)
    params = list(net.parameters())
    optimizer = make("adam", params, 0.1)
    net.to(memory_format=torch.channels_last)
    with pytest.raises(AssertionError, match="moved"):
        run(optimizer, params, 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_shared_gradient_is_not_written_to(name):
    a, b = torch.ones(3, 3), torch.ones(3, 3) * 2
    shared = torch.full((3, 3), 0.5)
    make(name, [a, b], 0.01, weight_decay=0.1).step(lambda: ((a + b).sum(), [shared, shared]), 0)
    assert torch.equal(shared, torch.full((3, 3), 0.5))


# What is kept


ADAPTED = {
    "torch adam": lambda p: torch.optim.Adam(p, 0.05),
    "torch rprop": lambda p: torch.optim.Rprop(p, 0.05),
    "torch nadam": lambda p: torch.optim.NAdam(p, 0.05),
    "torch asgd": lambda p: torch.optim.ASGD(p, 0.05),
    "torch sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    "torch lbfgs": lambda p: torch.optim.LBFGS(p, 0.05, max_iter=3),
}


def bowl(params, step):
    return lambda: (
        sum((p.pow(4) / 4 + p.square() * 0.35 - 0.1 * p).sum() for p in params),
        [p**3 + 0.7 * p - 0.1 + 0.001 * step for p in params],
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", [*OPTIMIZERS, *ADAPTED])
def test_continues_to_the_bit(name, dtype):
    """Cut in the middle, put back into a fresh optimizer, in place: the same parameters to the last bit."""

    def fresh(params):
        return make(ADAPTED[name], params) if name in ADAPTED else make(name, params, 0.01, weight_decay=0.01)

    def go(optimizer, params, first, last):
        for step in range(first, last):
            optimizer.step(bowl(params, step), step)

    whole = begin(dtype)
    one = fresh(whole)
    go(one, whole, 0, 5)
    kept = {key: tensor.clone() for key, tensor in one.tensors().items()}
    cut, middle = [p.clone() for p in whole], [p.clone() for p in whole]
    go(one, whole, 5, 9)

    second = fresh(middle)
    second.load(kept)
    go(second, middle, 5, 9)
    assert all(torch.equal(p, q) for p, q in zip(whole, middle, strict=True))
    ends, again = one.tensors(), second.tensors()
    assert ends.keys() == again.keys() and all(torch.equal(ends[key], again[key]) for key in ends)

    if name not in ("sgd", "lbfgs"):  # with nothing put back it goes elsewhere: what is kept matters
        third = [p.clone() for p in cut]
        go(fresh(third), third, 5, 9)
        assert not all(torch.equal(p, q) for p, q in zip(third, middle, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_tensors_are_there_from_the_beginning_and_stay(name):
    """A checkpoint is copied into them, so they must exist before the first step and never be replaced."""
    params = begin()
    optimizer = make(name, params, 0.01)
    before = {key: tensor.data_ptr() for key, tensor in optimizer.tensors().items()}
    for step in range(3):
        optimizer.step(bowl(params, step), step)
    assert {key: tensor.data_ptr() for key, tensor in optimizer.tensors().items()} == before


# L-BFGS


def test_lbfgs_direction_equals_the_dense_update():
    """Nocedal & Wright, equation 7.17 (BFGS of the inverse Hessian from a scaled identity), with dense matrices."""
    rng = np.random.default_rng(0)
    optimizer = lbfgs.LBFGS([torch.zeros(6, dtype=torch.float64)])
    moves = rng.normal(size=(13, 6))
    bend = np.diag(np.arange(1.0, 7.0))
    turns = moves @ bend
    for move, turn in zip(moves, turns, strict=True):
        optimizer._remember(torch.tensor(move), torch.tensor(turn))
    gradient = rng.normal(size=6)
    inverse = np.eye(6) * (turns[-1] @ moves[-1]) / (turns[-1] @ turns[-1])
    for s, y in zip(moves[-10:], turns[-10:], strict=True):
        rho = 1 / (y @ s)
        left = np.eye(6) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    direction, slope_there = optimizer._direction(torch.tensor(gradient))
    np.testing.assert_allclose(direction.numpy(), -inverse @ gradient, rtol=1e-9)
    assert slope_there == pytest.approx(-gradient @ inverse @ gradient)


@pytest.mark.parametrize("begin_at", [1e-4, 0.1, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "function", [lambda t: (t - 1) ** 2, lambda t: t**4 - t, lambda t: -t / (t * t + 2), lambda t: torch.exp(t) - 3 * t]
)
def test_line_search_meets_the_strong_wolfe_conditions(function, begin_at):
    def measure(distance):
        t = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
        value = function(t)
        (gradient,) = torch.autograd.grad(value, t)
        return lbfgs.Point(distance, value.item(), gradient.item(), gradient[None])

    start = measure(0.0)
    point = lbfgs.search(measure, start, begin_at)
    assert point is not None
    assert point.value <= start.value + 1e-4 * point.distance * start.slope
    assert abs(point.slope) <= 0.9 * abs(start.slope)


def least_squares(dtype, rows=60, decay=0.0):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, 8, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(8, 1, generator=generator, dtype=torch.float64) + 0.1 * torch.randn(
        rows, 1, generator=generator
    )
    weight = torch.zeros(8, 1, dtype=dtype, requires_grad=True)
    x, y = x.to(dtype), y.to(dtype)

    def evaluate():
        loss = (x @ weight - y).square().mean()
        return loss.detach(), list(torch.autograd.grad(loss, [weight]))

    exact = torch.linalg.solve(x.T @ x / rows * 2 + decay * torch.eye(8, dtype=dtype), 2 * x.T @ y / rows)
    return weight, evaluate, exact


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_lbfgs_finds_the_closed_form_and_stops(dtype, close, decay):
    weight, evaluate, exact = least_squares(dtype, decay=decay)
    optimizer = make("lbfgs", [weight], weight_decay=decay)
    for step in range(4):
        optimizer.step(evaluate, step)
    torch.testing.assert_close(weight.detach(), exact, rtol=close, atol=close)
    asked = 0

    def counted():
        nonlocal asked
        asked += 1
        return evaluate()

    held = weight.detach().clone()
    optimizer.step(counted, 5)
    assert asked <= 3 or dtype == torch.float32
    torch.testing.assert_close(weight.detach(), held, rtol=close, atol=close)


def test_lbfgs_crosses_the_banana_valley():
    p = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)

    def evaluate():
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        return loss.detach(), list(torch.autograd.grad(loss, [p]))

    optimizer = make("lbfgs", [p])
    for step in range(4):
        optimizer.step(evaluate, step)
    torch.testing.assert_close(p.detach(), torch.ones(2, dtype=torch.float64), rtol=1e-7, atol=1e-7)


def test_lbfgs_never_ends_higher_and_bears_infinity():
    p = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)

    def evaluate():
        loss = (-torch.log(p)).sum() + p.sum()  # not a number below 0
        return loss.detach(), list(torch.autograd.grad(loss, [p]))

    optimizer = make("lbfgs", [p])
    before = math.inf
    for step in range(3):
        loss = optimizer.step(evaluate, step).item()
        assert loss <= before
        before = loss
    assert p.item() == pytest.approx(1.0, abs=1e-6)


def test_lbfgs_leaves_parameters_alone_when_the_loss_is_no_number():
    p = torch.ones(2)
    make("lbfgs", [p]).step(lambda: (torch.tensor(math.nan), [torch.ones(2)]), 0)
    assert torch.equal(p, torch.ones(2))


# Other doors


def test_lars_moves_a_tensor_of_zeros():
    p = torch.zeros(2, 2)
    make("lars", [p], 0.1).step(lambda: (p.sum(), [torch.ones(2, 2)]), 0)
    torch.testing.assert_close(p, torch.full((2, 2), -0.1))


def test_muon_makes_directions_nearly_orthogonal():
    from gipi.algorithms.updates import orthogonal

    for shape in [(8, 3), (3, 8), (6, 6)]:
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        singular = torch.linalg.svdvals(orthogonal(matrix))
        assert singular.min() > 0.5 and singular.max() < 1.5


def test_adapter_takes_a_schedule_and_leaves_no_gradients():
    params = begin()
    optimizer = make(lambda p: torch.optim.SGD(p, lr=123.0), params, lambda step: 0.1 * (step + 1))
    run(optimizer, params, 2)
    for p, start in zip(params, begin(), strict=True):
        once = start - 0.1 * slope(start, 0)
        torch.testing.assert_close(p, once - 0.2 * slope(once, 1))
        assert p.grad is None


def test_a_function_may_give_an_optimizer_of_ones_own():
    class Mine:
        def step(self, evaluate, step):
            return evaluate()[0]

        def tensors(self):
            return {}

        def load(self, tensors):
            pass

    mine = Mine()
    assert make(lambda params: mine, begin(), 0.1) is mine
    with pytest.raises(UsageError, match="gives a int"):
        make(lambda params: 3, begin(), 0.1)


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(UsageError, match=r"adamm.*Did you mean 'adam"):
        make("adamm", begin(), 0.1)


def test_no_parameters_is_said():
    with pytest.raises(UsageError, match="nothing to learn"):
        make("adam", [], 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gpu_gives_the_same_numbers(name):
    on_cpu, on_gpu = begin(), [p.cuda() for p in begin()]
    for params in (on_cpu, on_gpu):
        optimizer = make(name, params, 0.01, weight_decay=0.01)
        for step in range(10):
            optimizer.step(bowl(params, step), step)
    for p, q in zip(on_cpu, on_gpu, strict=True):
        torch.testing.assert_close(p, q.cpu(), rtol=1e-8, atol=1e-10)
