"""Optimizers whose step is one recorded call for all parameters of a group.

Numbers that change between steps (a learning rate, a step count) enter the call as arguments,
so that no step but the first compiles anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from lazytorch import capture
from lazytorch.application import apply_expressions, written_over
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.core import broadcast_to
from lazytorch.expression import Attributes, Function, scalar
from lazytorch.functions.bodies import with_rule
from lazytorch.layout import strided
from lazytorch.optim.optimizer import Closure, Optimizer, Recording, run_closure
from lazytorch.storage import from_array
from lazytorch.tensor import Tensor, record, wrap


class RecordedOptimizer(Optimizer):
    """Base of optimizers that update each element by a formula of its own gradient and state.

    update  the Function: inputs are the parameters, their gradients, each state of all of them
            in turn, and numbers; outputs are the new parameters and the new states.
    """

    update: Function
    # States that are one number a parameter, by name: floats here, 0-d float32 tensors in state
    # dicts, as in PyTorch.
    counters: tuple[str, ...] = ("step",)

    def state_names(self, group: dict[str, Any]) -> tuple[str, ...] | None:
        """The state tensors of each parameter under the group's options; None where they are not
        the same for all."""
        raise NotImplementedError

    def attributes(self, group: dict[str, Any]) -> Attributes:
        """Options that decide the formula's form."""
        raise NotImplementedError

    def numbers(self, group: dict[str, Any], step: Any) -> list[float]:
        """The formula's numbers in this step, which ``advance`` gave; the first is number 1."""
        raise NotImplementedError

    def form(self, group: dict[str, Any], names: tuple[str, ...]) -> Attributes:
        """``attributes`` for parameters with these states, where it depends on them."""
        return self.attributes(group)

    def names_of(self, group: dict[str, Any], p: Tensor) -> tuple[str, ...]:
        """The state tensors of a parameter: ``state_names``, unless that gives None."""
        names = self.state_names(group)
        assert names is not None
        return names

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters once; the closure's result, if there is a closure."""
        with Recording(self.defaults.get("differentiable", False)):
            loss = run_closure(closure)
            for group in self.param_groups:
                self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        # Parameters that first met a gradient at different steps count them apart.
        batches: dict[Any, tuple[list[Tensor], list[Tensor], list[Any]]] = {}
        names_of_all = self.state_names(group)
        for p in group["params"]:
            gradient = p._grad
            if gradient is None:
                continue
            if type(gradient) is not Tensor and gradient.layout is not strided:
                gradient = self.step_sparse(p, gradient, group)
                if gradient is None:
                    continue
            names = self.names_of(group, p) if names_of_all is None else names_of_all
            state = self.state[p] if names else None
            step = self.advance(p, state, names, group) if state is not None else 1.0
            key = (step, p._storage.expression.device, names)
            batch = batches.get(key)
            if batch is None:
                batch = batches[key] = ([], [], [])
            batch[0].append(p)
            batch[1].append(gradient)
            batch[2].append(state)
        for (step, _, names), (params, gradients, states) in batches.items():
            tensors = [s[name] for name in names for s in states]
            form = self.form(group, names)
            numbers = self.numbers(group, step)
            if capture.state.active is not None:
                noted = capture.OptimizerStep(self, group, params, states, form)
                numbers = capture.state.active.note_step(noted, numbers)
            self._update(params, gradients, tensors, numbers, (len(params), *form))

    def step_sparse(self, p: Tensor, gradient: Any, group: dict[str, Any]) -> Tensor | None:
        """Update a parameter by a sparse gradient; or give the dense gradient that does the same,
        or raise RuntimeError."""
        name = type(self).__name__
        instead = ", please consider SparseAdam instead" if name == "Adam" else ""
        raise RuntimeError(f"{name} does not support sparse gradients{instead}")

    def _update(
        self,
        params: list[Tensor],
        gradients: list[Tensor],
        states: list[Tensor],
        numbers: list[float],
        attributes: Attributes,
    ) -> None:
        inputs = [*params, *gradients, *states]
        targets = [*params, *states]
        if written_over(self.update, [*inputs, *numbers], attributes, targets):
            return
        if grad_state.enabled or not all(map(_is_plain, inputs)):
            values = apply_expressions(self.update, [*inputs, *numbers], attributes)
            for target, value in zip(targets, values, strict=True):
                target._write(value)
            return
        # What reading and writing come to where nothing but the step looks at the memory.
        arguments = [t._storage.expression for t in inputs]
        arguments.extend([scalar(x, "cpu") for x in numbers])
        values = record(self.update, tuple(arguments), attributes, False)
        for target, value in zip(targets, values, strict=True):
            target._storage.write(value)

    def advance(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> Any:
        """Count a step of a parameter, filling in what its state lacks; the count, or whatever
        else ``numbers`` needs to know and parameters of one call have in common."""
        if "step" not in state:
            started: dict[str, Any] = {}
            self.start(p, started, names, group)
            state.update(started)  # all of it or, on Ctrl-C, nothing
        step, changes = self.following(p, state, group)
        state.update(changes)
        return step

    def following(
        self, p: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> tuple[Any, dict[str, float]]:
        """What ``advance`` gives of a state that lacks nothing, and the counters after it."""
        step = state["step"] + 1.0
        return step, {"step": step}

    def start(
        self, p: Tensor, state: dict[str, Any], names: Sequence[str], group: dict[str, Any]
    ) -> None:
        """Fill in a parameter's state before its first step."""
        state["step"] = 0.0
        for name in names:
            state[name] = full_state(p, self.first_value(name, group))

    def first_value(self, name: str, group: dict[str, Any]) -> float:
        """What a state tensor holds before the first step."""
        return 0.0

    def _pack_state(self, state: Any) -> Any:
        if not isinstance(state, dict):
            return state
        return {
            name: _number_tensor(value)
            if name in self.counters and isinstance(value, float)
            else value
            for name, value in state.items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for p in group["params"]:
                for name in self.counters:
                    if p in self.state and name in self.state[p]:
                        self.state[p][name] = float(self.state[p][name])


def _is_plain(x: Tensor) -> bool:
    """Whether a tensor is the whole of a storage that nobody outside the engine looks into."""
    storage = x._storage
    if storage.shared is not None or x._geometry is not None or x._marker is not None:
        return False
    value = storage.expression
    return value.leaf is not None or not value.tracked


def full_state(p: Tensor, value: float, shape: tuple[int, ...] | None = None) -> Tensor:
    """A realized tensor like ``p``, so that the first step has the form of all others."""
    type_ = p._type if shape is None else TensorType(shape, p._type.dtype)
    if type_.dtype.name == "bfloat16":
        array = np.full(type_.shape, np.float32(value).view(np.uint32) >> 16, np.uint16)
    else:
        array = np.full(type_.shape, value, type_.dtype.numpy)
    return wrap(from_array(array, type_, p._storage.device).expression)


def rounded(value: float) -> float:
    """As a float32 holds it, which is what PyTorch keeps a counter in."""
    return float(np.float32(value))


def _number_tensor(value: float) -> Tensor:
    from_number = np.asarray(value, np.float32)
    return wrap(from_array(from_number, TensorType((), dt.float32), "cpu").expression)


def number(value: Any) -> float:
    """An option that may be a one-element tensor, as a number."""
    return value if type(value) is float else float(value)


class Formula:
    """The inputs of one parameter's update, ready for arithmetic in the parameter's type."""

    def __init__(self, inputs: Sequence[Node], count: int, index: int) -> None:
        self.inputs = inputs
        self.count = count
        self.index = index
        self.param = inputs[index]
        self.gradient = ew.cast(inputs[count + index], self.dtype)

    @property
    def dtype(self) -> DType:
        return self.param.dtype

    def state(self, n: int) -> Node:
        """The parameter's ``n``-th state."""
        return self.inputs[(2 + n) * self.count + self.index]

    def spread(self, number: Node) -> Node:
        """A number in the parameter's shape and type."""
        return broadcast_to(ew.cast(number, self.dtype), self.param.shape)


def scaled(x: Node, factor: Node, y: Node) -> Node:
    """x + factor * y."""
    return ew.add(x, ew.mul(factor, y))


# Below it a number is subnormal. float16 gets there too soon to be rounded, and is computed in
# float32, where it is not subnormal.
_SMALLEST_NORMAL = {dt.float32: 2.0**-126, dt.bfloat16: 2.0**-126, dt.float64: 2.0**-1022}


def settled(momentum: Node) -> Node:
    """A momentum, zero where it has decayed to a subnormal number.

    Where no gradient comes any more (a unit that is never active), a momentum of 0.9 gets there in
    800 steps, and stays: 0.9 of the smallest rounds to itself. Processors take 70 times as long to
    multiply such numbers. Its derivative is that of what was not rounded.
    """
    smallest = _SMALLEST_NORMAL.get(momentum.dtype)
    if smallest is None:
        return momentum

    def rounded_down(x: Node) -> Node:
        is_subnormal = ew.lt(ew.abs_(x), ew.full_like(x, smallest))
        return ew.where(is_subnormal, ew.full_like(x, 0), x)

    return with_rule(rounded_down, lambda g, _: (g,), momentum)
