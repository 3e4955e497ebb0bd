"""LBFGS: steps along an estimate of the inverse Hessian, made of the last few steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import reshape, slice_
from codegen.ops.reduction import sum_
from lazytorch.application import apply, apply_expressions
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.joining import cat
from lazytorch.optim._recorded import number, scaled
from lazytorch.optim.optimizer import Closure, Optimizer, refuse_negative, run_closure
from lazytorch.realize import realize
from lazytorch.tensor import Tensor

# A point of the line search: how far along the direction, loss, gradient, slope.
Point = tuple[float, float, Tensor, float]


def _dot(x: Node, y: Node) -> Node:
    return sum_(ew.mul(x, y), (0,))


def _first_loop(q: Node, *history: Node) -> Sequence[Node]:
    """Turns of the first loop over (step, change, ro) of each: q after them, and their weights."""
    weights = []
    for step, change, ro in zip(history[::3], history[1::3], history[2::3], strict=True):
        weight = ew.mul(_dot(step, q), ro)
        q = ew.sub(q, ew.mul(broadcast_to(weight, q.shape), change))
        weights.append(weight)
    return [q, *weights]


def _second_loop(r: Node, *history: Node) -> Node:
    """Turns of the second loop over (step, change, ro, weight) of each: r after them."""
    parts = [history[i::4] for i in range(4)]
    for step, change, ro, weight in zip(*parts, strict=True):
        rest = ew.sub(weight, ew.mul(_dot(change, r), ro))
        r = scaled(r, broadcast_to(rest, r.shape), step)
    return r


def _moved(*arguments: Any) -> Sequence[Node]:
    """Parameters moved by their parts of ``size`` times a flat direction."""
    *params, direction, size = arguments
    moved, start = [], 0
    for p in params:
        part = reshape(slice_(direction, (start,), (p.type.size,), (1,)), p.shape)
        moved.append(scaled(p, broadcast_to(ew.cast(size, p.dtype), p.shape), part))
        start += p.type.size
    return moved


# So many turns of a loop run at once, and those that remain one by one: few plans then serve for
# every length of history.
TURNS = 8
FIRST_LOOP = Function("lbfgs_first_loop", _first_loop)
SECOND_LOOP = Function("lbfgs_second_loop", _second_loop)
MOVED = Function("lbfgs_moved", _moved)


def _compute(*tensors: Tensor) -> None:
    realize([t._storage.expression for t in tensors])


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal, https://doi.org/10.1090/S0025-5718-1980-0572855-7).

    ``step`` needs a closure that clears the gradients, computes the loss, calls backward and
    returns the loss; it is called several times a step.

    >>> optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    max_iter, max_eval  iterations, and calls of the closure, in a step.
    tolerance_grad      end where no gradient is larger.
    tolerance_change    end where neither parameters nor loss change more.
    history_size        how many steps the estimate is made of.
    line_search_fn      "strong_wolfe", or None for steps of the fixed size ``lr``.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        refuse_negative(("learning rate", lr))
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _flat_gradient(self) -> Tensor:
        parts = []
        for p in self._params:
            parts.append(p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1))
        flat: Tensor = cat(parts, 0)
        return flat

    def _evaluate(self, closure: Closure) -> tuple[Any, float, Tensor]:
        """The closure's result, the loss as a number, and the gradient, in one plan."""
        result = run_closure(closure)
        gradient = self._flat_gradient()
        if isinstance(result, Tensor):
            _compute(result, gradient)
        return result, float(result), gradient

    def _move(self, size: float, direction: Tensor) -> None:
        values = apply_expressions(MOVED, [*self._params, direction, float(size)])
        for p, value in zip(self._params, values, strict=True):
            p._write(value)

    def step(self, closure: Closure) -> Any:  # type: ignore[override]
        """Several iterations; the loss that the closure gave first."""
        with no_grad():
            return self._step(closure)

    def _step(self, closure: Closure) -> Any:
        group = self.param_groups[0]
        lr, max_iter, max_eval = number(group["lr"]), group["max_iter"], group["max_eval"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        result, loss, gradient = self._evaluate(closure)
        evaluations = 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return result
        size: Any = state.get("t")
        before: Tensor | None = state.get("prev_flat_grad")
        iterations = 0
        while iterations < max_iter:
            iterations += 1
            state["n_iter"] += 1
            direction = self._direction(state, gradient, before, size, group["history_size"])
            before, loss_before = gradient, loss
            size = lr
            if state["n_iter"] == 1:
                size = min(1.0, 1.0 / float(gradient.abs().sum())) * lr
            slope = float(gradient.dot(direction))
            state.update(d=direction, t=size, prev_flat_grad=before, prev_loss=loss_before)
            if slope > -group["tolerance_change"]:
                break
            calls = 0
            at_end = iterations == max_iter
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = (0.0, loss, gradient, slope)
                evaluate = self._along(closure, direction)
                most = max_eval - evaluations
                point, calls = _strong_wolfe(evaluate, start, size, _largest(direction), most)
                size, loss, gradient, _ = point
                self._move(size, direction)
            else:
                self._move(size, direction)
                if not at_end:
                    _, loss, gradient = self._evaluate(closure)
                    calls = 1
            state["t"] = size
            evaluations += calls
            state["func_evals"] += calls
            if (
                at_end
                or evaluations >= max_eval
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction) * abs(size) <= group["tolerance_change"]
                or abs(loss - loss_before) < group["tolerance_change"]
            ):
                break
        return result

    def _direction(
        self, state: dict[str, Any], gradient: Tensor, before: Any, size: Any, most: int
    ) -> Tensor:
        """Minus the gradient, times the estimate of the inverse Hessian."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            direction: Tensor = -gradient
            return direction
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        change, step = gradient - before, state["d"] * float(size)
        along = change.dot(step)
        inverse, scale = along.reciprocal(), along / change.dot(change)
        _compute(change, step, along, inverse, scale)
        if float(along) > 1e-10:
            if len(changes) == most:
                for history in (changes, steps, ro):
                    history.pop(0)
            changes.append(change)
            steps.append(step)
            ro.append(inverse)
            state["H_diag"] = scale
        weights: list[Any] = state.setdefault("al", [None] * most)
        q: Tensor = -gradient
        _compute(q)
        for turns in _groups(range(len(changes))[::-1]):
            history = [part for i in turns for part in (steps[i], changes[i], ro[i])]
            q, *found = apply(FIRST_LOOP, (q, *history))
            _compute(q, *found)
            for i, weight in zip(turns, found, strict=True):
                weights[i] = weight
        r: Tensor = q * state["H_diag"]
        _compute(r)
        for turns in _groups(range(len(changes))):
            history = [part for i in turns for part in (steps[i], changes[i], ro[i], weights[i])]
            r = apply(SECOND_LOOP, (r, *history))
            _compute(r)
        return r

    def _along(self, closure: Closure, direction: Tensor) -> Callable[[float], Point]:
        """A function of the step size: the point there. The parameters stay where they are."""
        start = [p.clone() for p in self._params]

        def evaluate(size: float) -> Point:
            self._move(size, direction)
            _, loss, gradient = self._evaluate(closure)
            for p, value in zip(self._params, start, strict=True):
                p.copy_(value)
            return size, loss, gradient, float(gradient.dot(direction))

        return evaluate


def _groups(turns: Sequence[int]) -> Iterator[Sequence[int]]:
    """``turns`` in their order, ``TURNS`` at a time, then one at a time."""
    whole = len(turns) - len(turns) % TURNS
    for start in range(0, whole, TURNS):
        yield turns[start : start + TURNS]
    for i in turns[whole:]:
        yield [i]


def _largest(x: Tensor) -> float:
    return float(x.abs().max())


def _cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points with these slopes is least (Nocedal and Wright,
    Numerical Optimization, equation 3.59)."""
    x1, f1, _, g1 = a
    x2, f2, _, g2 = b
    low, high = bounds or (min(x1, x2), max(x1, x2))
    with np.errstate(all="ignore"):
        d1 = g1 + g2 - 3 * np.float64(f1 - f2) / np.float64(x1 - x2)
        square = d1 * d1 - g1 * g2
        if not square >= 0:
            return (low + high) / 2.0
        d2 = np.sqrt(square)
        if x1 <= x2:
            least = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
        else:
            least = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return float(min(max(least, low), high))


def _strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    size: float,
    longest: float,
    most: int,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance: float = 1e-9,
) -> tuple[Point, int]:
    """A point that satisfies the strong Wolfe conditions (Nocedal and Wright, algorithm 3.5), and
    how often the closure was called. ``longest`` is the direction's largest element."""
    _, f, _, slope = start
    bracket, calls, done = _bracket(evaluate, start, size, most, c1, c2)
    turns = calls - 1
    insufficient = False
    low, high = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and turns < most:
        ends = (bracket[0][0], bracket[1][0])
        left, right = min(ends), max(ends)
        if (right - left) * longest < tolerance:
            break
        t = _cubic_minimum(bracket[0], bracket[1])
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            # Too near to an end: once that is let pass, unless it is the end itself.
            if insufficient or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                insufficient = False
            else:
                insufficient = True
        else:
            insufficient = False
        point = evaluate(t)
        calls += 1
        turns += 1
        if point[1] > f + c1 * t * slope or point[1] >= bracket[low][1]:
            bracket[high] = point
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(point[3]) <= -c2 * slope:
                done = True
            elif point[3] * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
    return bracket[low], calls


def _bracket(
    evaluate: Callable[[float], Point], start: Point, size: float, most: int, c1: float, c2: float
) -> tuple[list[Point], int, bool]:
    """Two points with one that will do between them, or one that will do; calls; which it is."""
    _, f, _, slope = start
    before, point = start, evaluate(size)
    calls = 1
    while calls - 1 < most:
        t, loss, _, here = point
        if loss > f + c1 * t * slope or (calls > 2 and loss >= before[1]):
            return [before, point], calls, False
        if abs(here) <= -c2 * slope:
            return [point], calls, True
        if here >= 0:
            return [before, point], calls, False
        bounds = (t + 0.01 * (t - before[0]), t * 10)
        following = _cubic_minimum(before, point, bounds)
        before, point = point, evaluate(following)
        calls += 1
    return [start, point], calls, False
