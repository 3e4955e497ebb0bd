"""Connectionist temporal classification: the probability of a label sequence at any pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from codegen.ops.indexing import gather
from codegen.ops.leaves import constant, iota
from codegen.ops.movement import pad_to, reshape, slice_
from codegen.ops.reduction import broadcast, expand_back, max_, sum_
from lazytorch.expression import Function
from lazytorch.functions.bodies import apply_one, need_float, reduced
from lazytorch.functions.data import of_array
from lazytorch.functions.losses import chosen_reduction
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor

_INFINITY = float("inf")


def _log_sum(parts: Sequence[Node]) -> Node:
    """log of the sum of exponentials, minus infinity where every part is."""
    top = parts[0]
    for part in parts[1:]:
        top = ew.maximum(top, part)
    top = detach(top)
    none = ew.eq(top, ew.full_like(top, -_INFINITY))
    top = ew.where(none, ew.full_like(top, 0), top)
    total = ew.exp(ew.sub(parts[0], top))
    for part in parts[1:]:
        total = ew.add(total, ew.exp(ew.sub(part, top)))
    found = ew.log(ew.where(none, ew.full_like(total, 1), total))
    return ew.where(none, ew.full_like(top, -_INFINITY), ew.add(found, top))


def _after(x: Node, places: int) -> Node:
    """(N, L) moved along by ``places``, with minus infinity at the front."""
    n, length = x.shape
    kept = slice_(x, (0, 0), (n, length - places), (1, 1))
    return pad_to(kept, x.shape, (0, places), (1, 1), constant(-_INFINITY, x.dtype))


def _ctc(
    x: Node, labels: Node, may_skip: Node, steps: Node, sizes: Node, reduction: str, finite: bool
) -> Node:
    """x: (T, N, C) log-probabilities; labels: (N, L) classes with blanks between; steps, sizes:
    (N) lengths of input and target. Graves et al. (2006), equations 6 to 8."""
    need_float(x, "ctc_loss")
    time, batch, _classes = x.shape
    length = labels.shape[1]
    shape = (time, batch, length)
    emitted = gather(x, broadcast(labels, shape, (1, 2)), 2)

    def at(t: int) -> Node:
        return reshape(slice_(emitted, (t, 0, 0), (1, batch, length), (1, 1, 1)), (batch, length))

    position = broadcast(iota(length), (batch, length), (1,))
    last = expand_back(ew.add(sizes, sizes), (batch, length), (1,))
    never = ew.full_like(at(0), -_INFINITY)
    starts = ew.and_(ew.lt(position, ew.full_like(position, 2)), ew.le(position, last))
    alpha = ew.where(starts, at(0), never)
    for t in range(1, time):
        skipped = ew.where(may_skip, _after(alpha, 2), never) if length > 2 else never
        arrived = _log_sum([alpha, _after(alpha, 1) if length > 1 else never, skipped])
        running = expand_back(ew.lt(ew.full_like(steps, t), steps), alpha.shape, (1,))
        alpha = ew.where(running, ew.add(arrived, at(t)), alpha)
    ends = ew.or_(ew.eq(position, last), ew.eq(position, ew.sub(last, ew.full_like(last, 1))))
    final = ew.where(ends, alpha, never)
    top = detach(max_(final, (1,)))
    impossible = ew.eq(top, ew.full_like(top, -_INFINITY))
    top = ew.where(impossible, ew.full_like(top, 0), top)
    total = sum_(ew.exp(ew.sub(final, expand_back(top, final.shape, (1,)))), (1,))
    total = ew.where(impossible, ew.full_like(total, 1), total)
    loss = ew.neg(ew.add(ew.log(total), top))
    # PyTorch's gradient takes log_softmax's into account: it has a part exp(x), the value none.
    moments = broadcast(iota(time), x.shape, (0,))
    inside = ew.lt(moments, broadcast(steps, x.shape, (1,)))
    chances = sum_(ew.where(inside, ew.exp(x), ew.full_like(x, 0)), (0, 2))
    loss = ew.add(loss, ew.sub(chances, detach(chances)))
    loss = ew.where(impossible, ew.full_like(loss, 0.0 if finite else _INFINITY), loss)
    if reduction == "mean":
        loss = ew.div(loss, ew.cast(ew.maximum(sizes, ew.full_like(sizes, 1)), loss.dtype))
    return reduced(loss, reduction)


CTC = Function("ctc_loss", _ctc, gradient_name="MeanBackward0", saves=lambda *_: (0, 1))


def _lengths(given: Any, name: str, batch: int) -> list[int]:
    numbers = given.reshape(-1).tolist() if isinstance(given, Tensor) else list(given)
    if len(numbers) != batch:
        raise RuntimeError(f"{name}_lengths must be of size batch_size")
    return [int(n) for n in numbers]


def _with_blanks(
    targets: NDArray[Any], sizes: Sequence[int], blank: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Label rows with blanks around and between, and where two places may be passed at once."""
    longest = max(sizes, default=0)
    rows = np.full((len(sizes), 2 * longest + 1), blank, np.int64)
    start = 0
    for i, size in enumerate(sizes):
        row = targets[start : start + size] if targets.ndim == 1 else targets[i, :size]
        rows[i, 1 : 2 * size : 2] = row
        start += size
    may_skip = rows != blank
    may_skip[:, 2:] &= rows[:, 2:] != rows[:, :-2]
    may_skip[:, :2] = False
    return rows, may_skip


@operation(method=False)
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Minus the log-probability of the targets, summed over every alignment.

    log_probs: (T, N, C) or (T, C); targets: (N, S), or (sum of target_lengths). The lengths are
    read when the call is made.
    """
    reduction = chosen_reduction(reduction)
    batched = log_probs.dim() == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    time, batch, classes = x._type.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    steps = _lengths(input_lengths, "input", batch)
    sizes = _lengths(target_lengths, "target", batch)
    if max(steps, default=0) > time or min(steps, default=0) < 0:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {time}, but got value {max(steps)} "
            "(while checking arguments for ctc_loss_cpu)"
        )
    array = np.array(targets.detach()._float_array()).astype(np.int64)
    if not batched and array.ndim == 1:
        array = array[None]
    labels, may_skip = _with_blanks(array, sizes, blank)
    device = x._storage.device
    inputs = (
        x,
        of_array(labels, dt.int64, device),
        of_array(may_skip, dt.bool_, device),
        of_array(np.array(steps, np.int64), dt.int64, device),
        of_array(np.array(sizes, np.int64), dt.int64, device),
    )
    loss = apply_one(CTC, inputs, (reduction, bool(zero_infinity)))
    return loss.reshape(()) if not batched and reduction == "none" else loss
