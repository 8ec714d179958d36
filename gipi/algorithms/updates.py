"""The updates themselves: each optimizer's rule as a plain function on lists of tensors, as its paper has it.

Every function moves `params` in place, given their `gradients` (never written to: two parameters may share one), what
the rule remembers (`memory`, one list for each name in its `Rule`), and the step size. `optimizers.py` calls them with
gradients laid out as their parameters are, because the fused kernels walk raw memory.

`decay` is weight decay: L2, added to the gradient, unless the rule says that it is decoupled.
"""

# pyright: reportPrivateImportUsage=false
# torch's fused and foreach kernels are private by name, and the fastest there is; tests pin what they compute

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Tensors = list[Tensor]

# Newton-Schulz coefficients, steps and epsilon: Jordan 2024, https://kellerjordan.github.io/posts/muon/
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
# AdamW's step size beside Muon's, for biases and the like: 3e-4 to 0.02, https://github.com/KellerJordan/Muon
MUON_ADAMW_RATIO = 0.015


class NotFinite(ArithmeticError):  # noqa: N818  # says what was found
    """A gradient is not a number, or infinite; the parameters were left as they were. Carries the optimizer."""


class Move(NamedTuple):
    """How far an update goes.

    Attributes:
        lr: The step size.
        decay: Weight decay.
        found: Not zero: the gradients are not finite, and fused kernels leave everything as it is. None: they are.
    """

    lr: float
    decay: float = 0.0
    found: Tensor | None = None


Update = Callable[[Tensors, Tensors, list[Tensors], Tensors, Move], None]


class Rule(NamedTuple):
    """An update and what it remembers.

    Attributes:
        update: `(params, gradients, memory, counts, move)`, in place.
        memory: Names of the tensors, shaped as the parameter, that are kept for each parameter.
        is_counted: The update needs the number of updates so far, this one included, in `counts`.
        ratio: The step size is multiplied by this.
        skips: It heeds `move.found`.
        is_elementwise: No number of a tensor looks at another, so members can be stacked in one tensor.
    """

    update: Update
    memory: tuple[str, ...] = ()
    is_counted: bool = False
    ratio: float = 1.0
    skips: bool = False
    is_elementwise: bool = True


def with_decay(params: Tensors, gradients: Tensors, decay: float) -> Tensors:
    """Gradients of the loss plus `decay / 2 * |param|^2`, in new tensors."""
    return list(torch._foreach_add(gradients, params, alpha=decay)) if decay else gradients


def own_part(tensors: Tensors) -> Tensors:
    """What this process holds of them: torch's fused kernels do not all know tensors that are cut among processes."""
    return [t.to_local() for t in tensors] if hasattr(tensors[0], "to_local") else tensors  # type: ignore[attr-defined]


def descend(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
    """p <- p - lr g. Robbins & Monro 1951."""
    torch._fused_sgd_(
        own_part(params),
        own_part(gradients),
        [],
        weight_decay=move.decay,
        momentum=0.0,
        lr=move.lr,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        found_inf=move.found,
    )


def heavy_ball(momentum: float, is_nesterov: bool) -> Update:
    """v <- momentum v + g; p <- p - lr v. Polyak 1964; Nesterov 1983 in the form of Sutskever 2013 and Bengio 2012.

    The step size stands outside the velocity (as in torch): the papers' form for a constant step size, and a schedule
    then takes effect at once. For Nesterov `p` is the papers' look-ahead point, where the gradient is taken.
    """

    def update(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
        torch._fused_sgd_(
            own_part(params),
            own_part(gradients),
            own_part(memory[0]),
            weight_decay=move.decay,
            momentum=momentum,
            lr=move.lr,
            dampening=0.0,
            nesterov=is_nesterov,
            maximize=False,
            is_first_step=False,  # the velocity begins at zero, so the first step is no exception
            found_inf=move.found,
        )

    return update


def adagrad(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
    """s <- s + g^2; p <- p - lr g / (sqrt(s) + 1e-10). Duchi, Hazan & Singer 2011; epsilon as in torch."""
    gradients = with_decay(params, gradients, move.decay)
    (total,) = memory
    torch._foreach_addcmul_(total, gradients, gradients)
    _divide_and_move(params, gradients, total, move.lr, 1e-10)


def adadelta(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
    """Zeiler 2012, algorithm 1, with rho = 0.95 and epsilon = 1e-6 (his section 4.1); he has lr = 1."""
    rho, epsilon = 0.95, 1e-6
    gradients = with_decay(params, gradients, move.decay)
    square, moved = memory
    torch._foreach_mul_(square, rho)
    torch._foreach_addcmul_(square, gradients, gradients, 1 - rho)
    change = list(torch._foreach_add(moved, epsilon))
    torch._foreach_div_(change, torch._foreach_add(square, epsilon))
    torch._foreach_sqrt_(change)
    torch._foreach_mul_(change, gradients)
    torch._foreach_mul_(moved, rho)
    torch._foreach_addcmul_(moved, change, change, 1 - rho)
    torch._foreach_add_(params, change, alpha=-move.lr)


def rmsprop(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
    """s <- 0.9 s + 0.1 g^2; p <- p - lr g / (sqrt(s) + 1e-8). Tieleman & Hinton 2012, lecture 6e of the course."""
    gradients = with_decay(params, gradients, move.decay)
    (square,) = memory
    torch._foreach_mul_(square, 0.9)
    torch._foreach_addcmul_(square, gradients, gradients, 1 - 0.9)
    _divide_and_move(params, gradients, square, move.lr, 1e-8)


def _divide_and_move(params: Tensors, gradients: Tensors, square: Tensors, lr: float, epsilon: float) -> None:
    """p <- p - lr g / (sqrt(square) + epsilon)"""
    size = list(torch._foreach_sqrt(square))
    torch._foreach_add_(size, epsilon)
    torch._foreach_addcdiv_(params, gradients, size, -lr)


def adam(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
    """Kingma & Ba 2015, algorithm 1, with their 0.9, 0.999 and 1e-8."""
    torch._fused_adam_(
        own_part(params),
        own_part(gradients),
        own_part(memory[0]),
        own_part(memory[1]),
        [],
        counts,
        lr=move.lr,
        beta1=0.9,
        beta2=0.999,
        weight_decay=move.decay,
        eps=1e-8,
        amsgrad=False,
        maximize=False,
        found_inf=move.found,
    )


def adamw(beta2: float = 0.999, epsilon: float = 1e-8) -> Update:
    """Adam, and p <- p - lr decay p beside it. Loshchilov & Hutter 2019, algorithm 2, with lr scaling the decay."""

    def update(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
        torch._fused_adamw_(
            own_part(params),
            own_part(gradients),
            own_part(memory[0]),
            own_part(memory[1]),
            [],
            counts,
            lr=move.lr,
            beta1=0.9,
            beta2=beta2,
            weight_decay=move.decay,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
            found_inf=move.found,
        )

    return update


def muon(momentum: float, iterations: int = NEWTON_SCHULZ_STEPS, keeps_norm: bool = False) -> Update:
    """The nearest orthogonal matrix to the Nesterov momentum is the direction. Jordan 2024 (see NEWTON_SCHULZ).

    For matrices; a convolution's kernel counts as `(channels out, everything else)`. Weight decay is decoupled.
    `keeps_norm`: before each update a matrix is scaled to the norm sqrt(rows), as in airbench.
    """

    def update(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
        (average,) = memory
        torch._foreach_lerp_(average, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, average, momentum)
        if move.decay:
            torch._foreach_mul_(params, 1 - move.lr * move.decay)
        for param, direction in zip(params, ahead, strict=True):
            if keeps_norm:
                param.mul_(math.sqrt(len(param)) / param.norm())
            matrix = direction.flatten(1)
            scale = math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1]))
            param.add_(orthogonal(matrix, iterations).view(param.shape), alpha=-move.lr * scale)

    return update


def orthogonal(matrix: Tensor, iterations: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """About U V^T, where `matrix` `(rows, columns)` is U S V^T, by some steps of a Newton-Schulz iteration.

    In bfloat16 on a GPU, as Jordan has it; in the matrix's own precision on a CPU and in float64.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16() if matrix.is_cuda and matrix.dtype != torch.float64 else matrix
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / (x.norm() + 1e-7)
    for _step in range(iterations):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.T if is_tall else x).to(matrix.dtype).contiguous()


def muon_of_layers(momentum: float, parts: int = 1) -> Update:
    """Muon for layers that are alike, those of a transformer: equal matrices are worked on together, as one product.

    The matrices are `(inputs, outputs)`, as GPT-2's are kept; `parts`: each is so many matrices side by side (queries,
    keys, values), which have directions of their own.
    """

    def update(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
        (average,) = memory
        torch._foreach_lerp_(average, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, average, momentum)
        if move.decay:
            torch._foreach_mul_(params, 1 - move.lr * move.decay)
        for shape in dict.fromkeys(param.shape for param in params):
            alike = [place for place, param in enumerate(params) if param.shape == shape]
            inputs, outputs = shape[0], shape[1] // parts
            stack = torch.stack([ahead[place] for place in alike])  # (layers, inputs, parts outputs)
            pieces = stack.view(-1, inputs, parts, outputs).transpose(1, 2).reshape(-1, inputs, outputs)
            found = orthogonal_all(pieces).view(-1, parts, inputs, outputs).transpose(1, 2).reshape(stack.shape)
            scale = math.sqrt(max(1.0, outputs / inputs))
            torch._foreach_add_([params[place] for place in alike], list(found), alpha=-move.lr * scale)

    return update


def orthogonal_all(matrices: Tensor, iterations: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """`orthogonal` of each of many matrices `(n, rows, columns)`; in bfloat16 where the hardware multiplies in it."""
    a, b, c = NEWTON_SCHULZ
    is_quick = matrices.is_cuda or torch.cpu._is_amx_tile_supported()
    x = matrices.bfloat16() if is_quick and matrices.dtype != torch.float64 else matrices
    is_tall = x.shape[1] > x.shape[2]
    x = x.mT if is_tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _step in range(iterations):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if is_tall else x).to(matrices.dtype)


def lars(momentum: float, trust: float = 0.001) -> Update:
    """v <- momentum v + lr local (g + decay p); p <- p - v, where local = trust |p| / (|g| + decay |p|), by tensor.

    You, Gitman & Ginsburg 2017, algorithm 1 and equation 6. A tensor (or gradient) of zeros has local = 1, so that it
    can begin to move. One norm for each tensor: not for members stacked in one tensor.
    """

    def update(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
        (velocity,) = memory
        size, slope = torch.stack(torch._foreach_norm(params)), torch.stack(torch._foreach_norm(gradients))
        local = torch.where((size > 0) & (slope > 0), trust * size / (slope + move.decay * size), 1.0) * move.lr
        change = torch._foreach_mul(with_decay(params, gradients, move.decay), list(local.unbind()))
        torch._foreach_mul_(velocity, momentum)
        torch._foreach_add_(velocity, change)
        torch._foreach_sub_(params, velocity)

    return update


def momentum_inside(momentum: float) -> Update:
    """v <- momentum v + lr g; p <- p - v: what LARS comes to where it does not adapt."""

    def update(params: Tensors, gradients: Tensors, memory: list[Tensors], counts: Tensors, move: Move):
        (velocity,) = memory
        torch._foreach_mul_(velocity, momentum)
        torch._foreach_add_(velocity, gradients, alpha=move.lr)
        torch._foreach_sub_(params, velocity)

    return update


def rules(name: str, momentum: float | None) -> tuple[Rule, Rule]:
    """The rule for weights (two axes and more) and the rule for the rest (biases, scales) of a named optimizer."""
    mu = (0.95 if name == "muon" else 0.9) if momentum is None else momentum
    if name == "muon":
        rest = Rule(adamw(beta2=0.95, epsilon=1e-10), ("mean", "square"), True, MUON_ADAMW_RATIO, skips=True)
        return Rule(muon(mu), ("momentum",), is_elementwise=False), rest
    if name == "lars":
        return Rule(lars(mu), ("velocity",), is_elementwise=False), Rule(momentum_inside(mu), ("velocity",))
    rule = {
        "sgd": Rule(descend, skips=True),
        "momentum": Rule(heavy_ball(mu, is_nesterov=False), ("velocity",), skips=True),
        "nag": Rule(heavy_ball(mu, is_nesterov=True), ("velocity",), skips=True),
        "adagrad": Rule(adagrad, ("total",)),
        "adadelta": Rule(adadelta, ("square", "moved")),
        "rmsprop": Rule(rmsprop, ("square",)),
        "adam": Rule(adam, ("mean", "square"), True, skips=True),
        "adamw": Rule(adamw(), ("mean", "square"), True, skips=True),
    }[name]
    return rule, rule
