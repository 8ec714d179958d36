"""Every loss against its equation in NumPy float64, with and without weights, and by gradcheck, from one table."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from gipi import losses
from gipi.errors import UsageError

B, T, C, L = 7, 3, 4, 5


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape)), dtype=torch.float64)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def spread(raw):
    return np.log(1 + np.exp(raw)) + 1e-4


def np_cross_entropy(o, y, smooth=0.0):
    target = np.eye(o.shape[1])[y] * (1 - smooth) + smooth / o.shape[1]
    return -(target * np.log(softmax(o))).sum(1)


def np_bce(o, y, smooth=0.0):
    y = y * (1 - smooth) + smooth / 2
    return -(y * np.log(sigmoid(o)) + (1 - y) * np.log(1 - sigmoid(o))).mean(1)


def np_nll(o, y):
    mean, sd = o[..., 0], spread(o[..., 1])
    return -np.log(np.exp(-((y - mean) ** 2) / (2 * sd**2)) / np.sqrt(2 * np.pi * sd**2)).mean(1)


def np_quantile(o, y, levels):
    total = 0
    for q, level in enumerate(levels):
        below = y < o[..., q]
        total = total + np.where(below, (1 - level) * (o[..., q] - y), level * (y - o[..., q]))
    return (total / len(levels)).mean(1)


def np_hinge(o, y):
    rows = []
    for scores, right in zip(o, y, strict=True):
        rows.append(max(max(0.0, 1 + s - scores[right]) if j != right else 0.0 for j, s in enumerate(scores)))
    return np.array(rows)


def np_focal(o, y, gamma):
    p = softmax(o)[np.arange(len(y)), y]
    return -((1 - p) ** gamma) * np.log(p)


def np_focal_labels(o, y, gamma=2.0):
    p = np.where(y == 1, sigmoid(o), 1 - sigmoid(o))
    return (-((1 - p) ** gamma) * np.log(p)).mean(1)


class Case(NamedTuple):
    function: object
    output: torch.Tensor
    y: torch.Tensor
    equation: object  # (output, y) in NumPy -> a loss for each row
    options: dict = {}  # noqa: RUF012


CLASSES = torch.tensor([0, 1, 2, 3, 1, 1, 0])
LABELS = (draw(B, L) > 0).double()
LEVELS = (0.1, 0.5, 0.9)
CASES = {
    "mse": Case(losses.mse, draw(B, T), draw(B, T, 1)[..., 0], lambda o, y: ((o - y) ** 2).mean(1)),
    "mae": Case(losses.mae, draw(B, T), draw(B, T, 1)[..., 0], lambda o, y: np.abs(o - y).mean(1)),
    "huber": Case(
        losses.huber,
        draw(B, T),
        draw(B, T, 1)[..., 0],
        lambda o, y: np.where(np.abs(o - y) <= 0.7, (o - y) ** 2 / 2, 0.7 * (np.abs(o - y) - 0.35)).mean(1),
        {"delta": 0.7},
    ),
    "nll": Case(losses.nll, draw(B, T, 2), draw(B, T), np_nll),
    "nll, flat": Case(losses.nll, draw(B, 2 * T), draw(B, T), lambda o, y: np_nll(o.reshape(len(o), -1, 2), y)),
    "quantile": Case(
        losses.quantile, draw(B, T, 3), draw(B, T), lambda o, y: np_quantile(o, y, LEVELS), {"levels": LEVELS}
    ),
    "quantile, flat": Case(
        losses.quantile,
        draw(B, T * 3),
        draw(B, T),
        lambda o, y: np_quantile(o.reshape(len(o), -1, 3), y, LEVELS),
        {"levels": LEVELS},
    ),
    "cross_entropy": Case(losses.cross_entropy, draw(B, C), CLASSES, np_cross_entropy),
    "cross_entropy, smooth": Case(
        losses.cross_entropy, draw(B, C), CLASSES, lambda o, y: np_cross_entropy(o, y, 0.2), {"label_smoothing": 0.2}
    ),
    "cross_entropy, mixed": Case(
        losses.cross_entropy, draw(B, C), draw(C, B).T.softmax(1), lambda o, y: -(y * np.log(softmax(o))).sum(1)
    ),
    "bce": Case(losses.bce, draw(B, L), LABELS, np_bce),
    "bce, smooth": Case(losses.bce, draw(B, L), LABELS, lambda o, y: np_bce(o, y, 0.2), {"label_smoothing": 0.2}),
    "hinge": Case(losses.hinge, draw(B, C), CLASSES, np_hinge),
    "hinge, two classes": Case(losses.hinge, draw(B, 2), CLASSES % 2, np_hinge),
    "hinge, one score": Case(
        losses.hinge, draw(B, 1), CLASSES % 2, lambda o, y: np.maximum(0, 1 - (2 * y - 1) * o[:, 0])
    ),
    "hinge, labels": Case(losses.hinge, draw(B, L), LABELS, lambda o, y: np.maximum(0, 1 - (2 * y - 1) * o).mean(1)),
    "focal": Case(losses.focal, draw(B, C), CLASSES, lambda o, y: np_focal(o, y, 2.0)),
    "focal, gamma": Case(losses.focal, draw(B, C), CLASSES, lambda o, y: np_focal(o, y, 0.5), {"gamma": 0.5}),
    "focal, labels": Case(losses.focal, draw(B, L), LABELS, np_focal_labels),
}


def test_every_named_loss_is_proven():
    assert {name.split(",")[0] for name in CASES} == set(losses.LOSSES)
    assert all(losses.named(name) is getattr(losses, name) for name in losses.LOSSES)


@pytest.mark.parametrize("name", CASES)
def test_equals_its_equation(name):
    case = CASES[name]
    rows = case.equation(case.output.numpy(), case.y.numpy())
    assert rows.shape == (B,)
    plain = case.function(case.output, case.y, **case.options)
    assert plain.shape == () and plain.item() == pytest.approx(rows.mean(), rel=1e-12)
    weight = draw(B).abs()
    weighted = case.function(case.output, case.y, weight, **case.options)
    w = weight.numpy()
    assert weighted.item() == pytest.approx((w * rows).sum() / w.sum(), rel=1e-12)
    even = case.function(case.output, case.y, torch.full((B,), 0.3, dtype=torch.float64), **case.options)
    assert even.item() == pytest.approx(plain.item(), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    case = CASES[name]
    output = case.output.clone().requires_grad_()
    weight = draw(B).abs()
    assert torch.autograd.gradcheck(lambda o: case.function(o, case.y, **case.options), [output])
    assert torch.autograd.gradcheck(lambda o: case.function(o, case.y, weight, **case.options), [output])


@pytest.mark.parametrize("name", CASES)
def test_far_values_stay_finite(name):
    """Sure and right, sure and wrong: neither the loss nor its gradient may overflow in float32."""
    case = CASES[name]
    for scale in (1e3, 1e-30):
        output = (case.output * scale).float().requires_grad_()
        y = case.y.float() if case.y.is_floating_point() else case.y
        loss = case.function(output, y, **case.options)
        (gradient,) = torch.autograd.grad(loss, output)
        assert loss.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("name", CASES)
def test_a_weight_of_zero_leaves_a_row_out(name):
    case = CASES[name]
    weight = torch.ones(B, dtype=torch.float64)
    weight[2] = 0
    rest = torch.arange(B) != 2
    assert case.function(case.output, case.y, weight, **case.options).item() == pytest.approx(
        case.function(case.output[rest], case.y[rest], **case.options).item(), rel=1e-12
    )
    nothing = case.function(case.output, case.y, torch.zeros(B, dtype=torch.float64), **case.options)
    assert nothing.item() == 0.0


def test_class_weights_are_row_weights():
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
    ours = losses.cross_entropy(draw(B, C), CLASSES, weights[CLASSES])
    theirs = torch.nn.functional.cross_entropy(draw(B, C), CLASSES, weight=weights)
    torch.testing.assert_close(ours, theirs)


def test_one_target_may_come_without_its_axis():
    output, y = draw(B, 1), draw(B)
    assert losses.mse(output, y).item() == pytest.approx(((output[:, 0] - y) ** 2).mean().item())
    assert losses.bce(output, (y > 0).long()).item() == pytest.approx(
        np_bce(output.numpy(), (y > 0).numpy()[:, None]).mean()
    )


@pytest.mark.parametrize("function", [losses.mse, losses.mae, losses.huber, losses.bce])
def test_shapes_that_do_not_belong_together_are_refused(function):
    with pytest.raises(ValueError, match="the model gives"):
        function(draw(B, 2), draw(B))


def test_normal_reads_a_positive_spread():
    mean, sd = losses.normal(torch.tensor([[1.0, -200.0, 2.0, 200.0]]))
    assert mean.tolist() == [[1.0, 2.0]]
    assert sd[0, 0].item() == pytest.approx(1e-4) and sd[0, 1].item() == pytest.approx(200.0, rel=1e-5)


def test_likelihood_finds_mean_and_spread():
    """Maximum likelihood on numbers alone: the sample's mean and standard deviation."""
    y = draw(200, 1) * 0.5 + 3
    output = torch.zeros(1, 1, 2, dtype=torch.float64, requires_grad=True)
    from gipi.algorithms.optimizers import make

    def evaluate():
        loss = losses.nll(output.expand(200, 1, 2), y)
        return loss.detach(), list(torch.autograd.grad(loss, [output]))

    optimizer = make("lbfgs", [output])
    for step in range(3):
        optimizer.step(evaluate, step)
    mean, sd = losses.normal(output.detach())
    assert mean.item() == pytest.approx(y.mean().item(), abs=1e-6)
    assert sd.item() == pytest.approx(y.std(correction=0).item(), abs=1e-6)


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'huber'"):
        losses.named("hubber")
