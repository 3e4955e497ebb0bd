"""Optimizer steps as one recorded call over all parameters.

In: parameters, gradients, states, and numbers that change freely (learning rate, betas, step).
Out: the new parameters and the new states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.movement import reshape
from lazytorch.expression import Function
from lazytorch.functions.bodies import number
from lazytorch.tensor import Tensor, apply_expressions, wrap


def _scalar(value: Node) -> Node:
    """A number, or a tensor of one element, in double precision."""
    return ew.cast(reshape(value, ()), dt.float64)


def _scaled(x: Node, factor: Node) -> Node:
    return ew.mul(x, number(factor, x))


def _one_less(value: Node) -> Node:
    return ew.sub(ew.full_like(value, 1), value)


def _sgd(*arguments: Any) -> list[Node]:
    """Inputs: params, grads, buffers (with momentum, after the first step), then lr, momentum,
    dampening, weight decay."""
    count, nesterov, maximize, has_momentum, first_step, has_decay = arguments[-6:]
    nodes = arguments[:-6]
    lr, momentum, dampening, decay = [_scalar(n) for n in nodes[-4:]]
    params, grads = nodes[:count], nodes[count : 2 * count]
    buffers = nodes[2 * count : -4]
    new_params, new_buffers = [], []
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        g = ew.cast(g, p.dtype)
        if maximize:
            g = ew.neg(g)
        if has_decay:
            g = ew.add(g, _scaled(p, decay))
        if has_momentum:
            buffer = g
            if not first_step:
                kept = _scaled(buffers[i], momentum)
                buffer = ew.add(kept, _scaled(g, _one_less(dampening)))
            new_buffers.append(buffer)
            g = ew.add(g, _scaled(buffer, momentum)) if nesterov else buffer
        new_params.append(ew.sub(p, _scaled(g, lr)))
    return [*new_params, *new_buffers]


def _adam(*arguments: Any) -> list[Node]:
    """Inputs: params, grads, first moments, second moments, (their maxima), then lr, beta1,
    beta2, eps, weight decay, step. Kingma and Ba (2015); Loshchilov and Hutter (2019)."""
    count, maximize, amsgrad, decoupled, has_decay = arguments[-5:]
    nodes = arguments[:-5]
    lr, beta1, beta2, eps, decay, step = [_scalar(n) for n in nodes[-6:]]
    groups = [nodes[i * count : (i + 1) * count] for i in range(5 if amsgrad else 4)]
    size = ew.div(lr, _one_less(ew.pow_(beta1, step)))
    root = ew.sqrt(_one_less(ew.pow_(beta2, step)))
    shrink = _one_less(ew.mul(lr, decay))
    outputs: list[list[Node]] = [[], [], [], []]
    for i, (p, g, mean, square) in enumerate(zip(*groups[:4], strict=True)):
        g = ew.cast(g, p.dtype)
        if maximize:
            g = ew.neg(g)
        if has_decay and decoupled:
            p = _scaled(p, shrink)
        elif has_decay:
            g = ew.add(g, _scaled(p, decay))
        mean = ew.add(mean, _scaled(ew.sub(g, mean), _one_less(beta1)))
        square = ew.add(
            _scaled(square, beta2), _scaled(ew.mul(g, g), _one_less(beta2))
        )
        largest = square
        if amsgrad:
            largest = ew.maximum(groups[4][i], square)
            outputs[3].append(largest)
        below = ew.add(ew.div(ew.sqrt(largest), number(root, p)), number(eps, p))
        outputs[0].append(ew.sub(p, _scaled(ew.div(mean, below), size)))
        outputs[1].append(mean)
        outputs[2].append(square)
    return [node for group in outputs for node in group]


SGD_UPDATE = Function("sgd_update", _sgd)
ADAM_UPDATE = Function("adam_update", _adam)

Tensors = Sequence[Tensor]


def _record(
    function: Function, inputs: Sequence[Any], attributes: tuple[Any, ...], count: int
) -> list[list[Tensor]]:
    """The outputs in groups of one for each parameter."""
    made = [wrap(e) for e in apply_expressions(function, inputs, attributes)]
    return [made[i : i + count] for i in range(0, len(made), count)]


def sgd_update(
    params: Tensors, grads: Tensors, buffers: Tensors, *, lr: Any, momentum: float = 0.0,
    dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
    maximize: bool = False,
) -> list[list[Tensor]]:  # fmt: skip
    """[new params] or, with momentum, [new params, new buffers]. No buffers: the first step."""
    inputs = (*params, *grads, *buffers, lr, float(momentum), float(dampening), float(weight_decay))
    first = not buffers
    attributes = (len(params), nesterov, maximize, momentum != 0, first, weight_decay != 0)
    return _record(SGD_UPDATE, inputs, attributes, len(params))


def adam_update(
    params: Tensors, grads: Tensors, exp_avgs: Tensors, exp_avg_sqs: Tensors,
    max_exp_avg_sqs: Tensors = (), *, lr: Any, beta1: Any, beta2: Any, eps: float,
    weight_decay: float, step: Any, maximize: bool = False, decoupled: bool = False,
) -> list[list[Tensor]]:  # fmt: skip
    """[new params, new exp_avgs, new exp_avg_sqs], and new maxima where amsgrad keeps them.

    ``step`` counts from 1; ``decoupled`` weight decay is AdamW's.
    """
    numbers = [float(x) if isinstance(x, int) else x for x in (lr, beta1, beta2, eps, weight_decay, step)]
    inputs = (*params, *grads, *exp_avgs, *exp_avg_sqs, *max_exp_avg_sqs, *numbers)
    attributes = (len(params), maximize, bool(max_exp_avg_sqs), decoupled, weight_decay != 0)
    return _record(ADAM_UPDATE, inputs, attributes, len(params))
