"""L-BFGS: quasi-Newton steps from the last few moves, each along a line that is searched until it is good enough.

Liu & Nocedal, "On the limited memory BFGS method", 1989; the line search is algorithms 3.5 and 3.6 of Nocedal & Wright,
"Numerical Optimization", 2006, with their strong Wolfe conditions. It finds the solution of a linear model exactly, and
wants the same data each time it asks: one step makes up to 20 iterations on the batch it is given. Line searches read
the loss back from the device; there is no other way.

n numbers in all parameters together, M moves remembered
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

MEMORY = 10  # M; Nocedal & Wright: 3 to 20 do
ITERATIONS = 20  # of one step, as torch.optim.LBFGS
EVALUATIONS = 25  # of one line search, at most; it usually takes one
DECREASE, CURVATURE = 1e-4, 0.9  # c1 and c2, Nocedal & Wright, page 62


class Point(NamedTuple):
    """A place on the line: how far, the value there, the slope along the line, the gradient."""

    distance: float
    value: float
    slope: float
    gradient: Tensor


class LBFGS:
    """Several quasi-Newton iterations a step; for small models and whole data.

    Args:
        params: Of one type and on one device.
        weight_decay: L2, on parameters with two axes or more.
    """

    def __init__(self, params: list[Tensor], weight_decay: float = 0.0):
        assert len({(p.dtype, p.device) for p in params}) == 1, "L-BFGS wants parameters of one type on one device"
        self.params = params
        self.weight_decay = weight_decay
        self.scale = 1.0  # the line search finds its own
        length = sum(p.numel() for p in params)
        self.moves = params[0].detach().new_zeros(MEMORY, length)  # (M, n) changes of the parameters
        self.turns = torch.zeros_like(self.moves)  # (M, n) changes of the gradient
        self.held = torch.zeros(2, dtype=torch.int64)  # how many are remembered, and where the next one goes
        self.epsilon = torch.finfo(params[0].dtype).eps

    def tensors(self) -> dict[str, Tensor]:
        return {"moves": self.moves, "turns": self.turns, "held": self.held}

    def load(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])

    def step(self, evaluate: Callable[[], tuple[Tensor, list[Tensor]]], step: int) -> Tensor:
        first, gradients = evaluate()
        with torch.no_grad():
            place = torch.cat([p.reshape(-1) for p in self.params])
            value, gradient = self._with_decay(first, gradients)
            for _iteration in range(ITERATIONS):
                # scale-free in the parameters: 4e-11 in float64, 2e-5 in float32
                if not math.isfinite(value) or gradient.abs().max().item() <= self.epsilon ** (2 / 3):
                    break
                direction, slope = self._direction(gradient)
                has_history = self.held[0].item() > 0
                if has_history and -slope <= self.epsilon * abs(value):
                    break  # what a quasi-Newton step promises is below rounding
                begin = 1.0 if has_history else min(1.0, 1.0 / gradient.abs().sum().item())
                found = search(self._along(evaluate, place, direction), Point(0.0, value, slope, gradient), begin)
                if found is None:
                    if not has_history:
                        break
                    self.held.zero_()  # forget, and try the steepest way
                    continue
                move, turn = direction * found.distance, found.gradient - gradient
                self._remember(move, turn)
                place = place + move
                value, gradient = found.value, found.gradient
            self._write(place)
        return first

    def _write(self, place: Tensor) -> None:
        lengths = [p.numel() for p in self.params]
        for param, piece in zip(self.params, place.split(lengths), strict=True):
            param.copy_(piece.view(param.shape))

    def _with_decay(self, loss: Tensor, gradients: list[Tensor]) -> tuple[float, Tensor]:
        """The value that is made small, and its gradient `(n,)`."""
        value = loss.item()
        if self.weight_decay:
            is_weight = [p.ndim >= 2 for p in self.params]
            gradients = [
                g + self.weight_decay * p if decays else g
                for g, p, decays in zip(gradients, self.params, is_weight, strict=True)
            ]
            squares = [p.square().sum() for p, decays in zip(self.params, is_weight, strict=True) if decays]
            value += self.weight_decay / 2 * sum(square.item() for square in squares)
        return value, torch.cat([g.reshape(-1) for g in gradients])

    def _along(self, evaluate: Callable, place: Tensor, direction: Tensor) -> Callable[[float], Point]:
        def measure(distance: float) -> Point:
            self._write(place + distance * direction)
            with torch.enable_grad():
                loss, gradients = evaluate()
            value, gradient = self._with_decay(loss, gradients)
            return Point(distance, value, gradient.dot(direction).item(), gradient)

        return measure

    def _remember(self, move: Tensor, turn: Tensor) -> None:
        if turn.dot(move).item() <= self.epsilon * turn.dot(turn).item():
            return  # no curvature to be learned: the matrix would lose its positive definiteness
        count, position = self.held.tolist()
        self.moves[position], self.turns[position] = move, turn
        self.held[0], self.held[1] = min(count + 1, MEMORY), (position + 1) % MEMORY

    def _direction(self, gradient: Tensor) -> tuple[Tensor, float]:
        """Minus the inverse Hessian's estimate times the gradient, and its slope. Nocedal & Wright, algorithm 7.4."""
        count, position = self.held.tolist()
        newest_first = [(position - 1 - i) % MEMORY for i in range(count)]
        direction = -gradient
        shares = []
        for i in newest_first:
            share = self.moves[i].dot(direction) / self.turns[i].dot(self.moves[i])
            direction = direction - share * self.turns[i]
            shares.append(share)
        if newest_first:
            move, turn = self.moves[newest_first[0]], self.turns[newest_first[0]]
            direction = direction * (turn.dot(move) / turn.dot(turn))
        for i, share in zip(reversed(newest_first), reversed(shares), strict=True):
            back = self.turns[i].dot(direction) / self.turns[i].dot(self.moves[i])
            direction = direction + (share - back) * self.moves[i]
        slope = gradient.dot(direction).item()
        if slope < 0:
            return direction, slope
        self.held.zero_()
        return -gradient, -gradient.dot(gradient).item()


def search(measure: Callable[[float], Point], start: Point, begin: float) -> Point | None:
    """A point on the line that meets the strong Wolfe conditions; failing that, a lower one; failing that, None."""
    previous, distance, left = start, begin, EVALUATIONS
    while left:
        point = measure(distance)
        left -= 1
        if _is_too_high(point, start) or (previous is not start and point.value >= previous.value):
            return _zoom(measure, start, previous, point, left)
        if abs(point.slope) <= -CURVATURE * start.slope:
            return point
        if point.slope >= 0:
            return _zoom(measure, start, point, previous, left)
        far = _lowest(previous, point)
        previous, distance = point, min(max(far, 2 * distance), 10 * distance)
    return previous if previous.value < start.value else None


def _zoom(measure: Callable[[float], Point], start: Point, low: Point, high: Point, left: int) -> Point | None:
    """The interval between a low point and one beyond the valley, made smaller until a point in it will do."""
    earlier = math.inf  # how wide the interval was a point ago
    while left:
        width = high.distance - low.distance
        part = (_lowest(low, high) - low.distance) / width if width else 0.0
        # halve where the cubic fits badly: it points at the high end, or shrinks too little (Moré & Thuente 1994)
        part = 0.5 if part > 0.9 or abs(width) > 2 / 3 * earlier else max(part, 0.1)
        distance = low.distance + part * width
        earlier = abs(width)
        if distance in (low.distance, high.distance):
            break
        point = measure(distance)
        left -= 1
        if _is_too_high(point, start) or point.value >= low.value:
            high = point
            continue
        if abs(point.slope) <= -CURVATURE * start.slope:
            return point
        if point.slope * width >= 0:
            high = low
        low = point
    return low if low.value < start.value else None


def _is_too_high(point: Point, start: Point) -> bool:
    """It does not go down enough for how far it goes; not a number counts as too high."""
    return not point.value <= start.value + DECREASE * point.distance * start.slope


def _lowest(a: Point, b: Point) -> float:
    """Where the cubic through two points with their slopes is lowest (Nocedal & Wright, 3.59); else the middle."""
    middle = (a.distance + b.distance) / 2
    if not all(map(math.isfinite, (a.value, b.value, a.slope, b.slope))) or a.distance == b.distance:
        return middle
    first = a.slope + b.slope - 3 * (a.value - b.value) / (a.distance - b.distance)
    square = first * first - a.slope * b.slope
    if not 0 <= square < math.inf:
        return middle
    second = math.copysign(math.sqrt(square), b.distance - a.distance)
    bottom = b.slope - a.slope + 2 * second
    lowest = b.distance - (b.distance - a.distance) * (b.slope + second - first) / bottom if bottom else middle
    return lowest if math.isfinite(lowest) else middle
