"""Recurrent layers: a whole sequence is one call, whose steps are a loop in the compiler.

What does not wait for the step before is done for all steps at once: the products with the input,
and, going back, those with the gradients of the gates. The gradient of a step is linear in what
the step after it hands on, and its coefficients follow from the forward pass alone: they too are
computed for all steps at once, so that the loop back multiplies and adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codegen.dtype import DType
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.indexing import concatenate
from codegen.ops.leaves import iota, parameter
from codegen.ops.loop import LoopBody, element, loop
from codegen.ops.movement import permute, reshape, slice_
from codegen.ops.reduction import broadcast, full, sum_
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.contraction import contract

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


@dataclass(frozen=True)
class Kind:
    """What a layer is, beside its inputs' types; the inputs that it has follow from it.

    mode     a key of GATES.
    reverse  from the last element to the first.
    started  initial states are given; else they are zero.
    masked   a (time, batch) tensor of bools says where a sequence goes on: elsewhere the states
             stay as they are.
    """

    mode: str
    reverse: bool = False
    started: bool = False
    biased: bool = False
    projected: bool = False
    masked: bool = False

    @property
    def states(self) -> int:
        return 2 if self.mode == "LSTM" else 1


@dataclass(frozen=True)
class _Inputs:
    """A layer's inputs by name. x: (T, B, I); mask: (T, B); hidden: (B, P); cell: (B, H);
    weights (G*H, I), (G*H, P) and (P, H); biases (G*H). P is H where there is no projection."""

    x: Node
    weight_ih: Node
    weight_hh: Node
    bias_ih: Node | None
    bias_hh: Node | None
    weight_hr: Node | None
    mask: Node | None
    hidden: Node | None
    cell: Node | None


def _named(inputs: Sequence[Node], kind: Kind) -> _Inputs:
    rest = list(inputs[3:])

    def take(wanted: bool) -> Node | None:
        return rest.pop(0) if wanted else None

    biased, started = kind.biased, kind.started
    x, weight_ih, weight_hh = inputs[:3]
    return _Inputs(
        x, weight_ih, weight_hh, take(biased), take(biased), take(kind.projected),
        take(kind.masked), take(started), take(started and kind.mode == "LSTM"),
    )  # fmt: skip


def _parameters(shapes: Sequence[tuple[Shape, DType]]) -> list[Node]:
    return [parameter(i, TensorType(shape, dtype)) for i, (shape, dtype) in enumerate(shapes)]


def _columns(x: Node, number: int, width: int) -> Node:
    """Columns ``number * width`` to ``(number + 1) * width`` of (…, n)."""
    shape = (*x.shape[:-1], width)
    starts = [0] * (len(shape) - 1) + [number * width]
    return slice_(x, starts, shape, [1] * len(shape))


def _rows(mask: Node, shape: Shape) -> Node:
    return broadcast(mask, shape, tuple(range(len(mask.shape))))


def _where(mask: Node | None, x: Node, other: Node) -> Node:
    """``x`` where a sequence goes on, ``other`` elsewhere."""
    return x if mask is None else ew.where(_rows(mask, x.shape), x, other)


def _zero(x: Node) -> Node:
    return ew.full_like(x, 0)


def _one_minus(x: Node) -> Node:
    return ew.sub(ew.full_like(x, 1), x)


def _derivative(s: Node) -> Node:
    """Of the sigmoid whose value is ``s``."""
    return ew.mul(s, _one_minus(s))


def _tanh_derivative(t: Node) -> Node:
    """Of the hyperbolic tangent whose value is ``t``."""
    return _one_minus(ew.mul(t, t))


# ---- one step -------------------------------------------------------------------------------
# ``given`` is the input's part of the gates, ``recurrent`` the state's: (B, G*H). Out come the
# next states and what the gradient needs to know.


def lstm_step(given: Node, recurrent: Node, cell: Node) -> list[Node]:
    """Hidden and cell state, and the gates i, f, g and o, (B, H) each."""
    width = cell.shape[-1]
    gates = ew.add(given, recurrent)
    i, f, o = [ew.sigmoid(_columns(gates, n, width)) for n in (0, 1, 3)]
    g = ew.tanh(_columns(gates, 2, width))
    cell = ew.add(ew.mul(f, cell), ew.mul(i, g))
    return [ew.mul(o, ew.tanh(cell)), cell, i, f, g, o]


def gru_step(given: Node, recurrent: Node, hidden: Node) -> list[Node]:
    """The hidden state; the gates r, z and n; and what r multiplies in n."""
    width = hidden.shape[-1]
    r, z = [
        ew.sigmoid(ew.add(_columns(given, i, width), _columns(recurrent, i, width))) for i in (0, 1)
    ]
    inner = _columns(recurrent, 2, width)
    n = ew.tanh(ew.add(_columns(given, 2, width), ew.mul(r, inner)))
    return [ew.add(n, ew.mul(z, ew.sub(hidden, n))), r, z, n, inner]


def rnn_step(given: Node, recurrent: Node, mode: str) -> list[Node]:
    total = ew.add(given, recurrent)
    return [ew.tanh(total) if mode == "RNN_TANH" else ew.maximum(total, _zero(total))]


# ---- forward --------------------------------------------------------------------------------


def _layer(*arguments: Any) -> list[Node]:
    """The states after every step, (T, B, P) and for an LSTM (T, B, H), and what the gradient
    reads again: the gates."""
    *inputs, kind = arguments
    p = _named(inputs, kind)
    steps, batch, _ = p.x.shape
    count, width = p.weight_hh.shape
    size = count // GATES[kind.mode]
    dtype = p.x.dtype
    given = contract(p.x, p.weight_ih, "tbi", "ni", "tbn")
    if p.bias_ih is not None:
        given = ew.add(given, broadcast_to(p.bias_ih, given.shape))
    constants = [permute(p.weight_hh, (1, 0))]  # as the product reads it: rows in one piece
    if p.bias_hh is not None and kind.mode == "GRU":
        constants.append(p.bias_hh)
    elif p.bias_hh is not None:
        given = ew.add(given, broadcast_to(p.bias_hh, given.shape))
    if p.weight_hr is not None:
        constants.append(permute(p.weight_hr, (1, 0)))
    sequences = [given] if p.mask is None else [given, p.mask]
    states = [p.hidden or full(0, (batch, width), dtype)]
    if kind.mode == "LSTM":
        states.append(p.cell or full(0, (batch, size), dtype))

    inner = _parameters(
        [(s.shape[1:], s.dtype) for s in sequences] + [(s.shape, s.dtype) for s in states]
        + [(c.shape, c.dtype) for c in constants]
    )  # fmt: skip
    first = len(sequences)
    mask = inner[1] if p.mask is not None else None
    old = inner[first : first + len(states)]
    weight, *others = inner[first + len(states) :]
    recurrent = contract(old[0], weight, "bk", "kn", "bn")
    if kind.mode == "LSTM":
        new = lstm_step(inner[0], recurrent, old[1])
    elif kind.mode == "GRU":
        if others:
            recurrent = ew.add(recurrent, broadcast_to(others[0], recurrent.shape))
        new = gru_step(inner[0], recurrent, old[0])
    else:
        new = rnn_step(inner[0], recurrent, kind.mode)
    if p.weight_hr is not None:
        new[0] = contract(new[0], others[0], "bh", "hp", "bp")
    new[: len(old)] = [_where(mask, n, o) for n, o in zip(new, old, strict=False)]
    body = LoopBody(tuple(inner), tuple(new), first, len(old), steps, kind.reverse)
    return loop(body, [*sequences, *states, *constants])


# ---- backward -------------------------------------------------------------------------------


def _before(x: Node, start: Node | None, reverse: bool) -> Node:
    """The state that each step started from, given those that it ended with: (T, B, n)."""
    steps, *rest = x.shape
    first = reshape(start, (1, *rest)) if start is not None else full(0, (1, *rest), x.dtype)
    if steps == 1:
        return first
    kept = _steps(x, 1 if reverse else 0, steps - 1)
    return concatenate([kept, first] if reverse else [first, kept], 0)


def _steps(x: Node, start: int, count: int) -> Node:
    shape = (count, *x.shape[1:])
    return slice_(x, (start, *[0] * (len(shape) - 1)), shape, [1] * len(shape))


def _to_recurrent_weight(gates: Node, hidden: Node, start: Node | None, reverse: bool) -> Node:
    """The sum over steps of the gates' gradients (T, B, n) times the state before (B, k)."""
    steps = gates.shape[0]
    parts = []
    if steps > 1:
        later, earlier = (0, 1) if reverse else (1, 0)
        moved = _steps(gates, later, steps - 1), _steps(hidden, earlier, steps - 1)
        parts.append(contract(*moved, "tbn", "tbk", "nk"))
    if start is not None:
        first = element(gates, steps - 1 if reverse else 0)
        parts.append(contract(first, start, "bn", "bk", "nk"))
    if not parts:
        return full(0, (gates.shape[2], hidden.shape[2]), gates.dtype)
    return parts[0] if len(parts) == 1 else ew.add(*parts)


def _joined(parts: Sequence[Node]) -> Node:
    """(T, B, H) each, side by side as gates: (T, B, G, H)."""
    shape = (*parts[0].shape[:2], 1, parts[0].shape[2])
    return concatenate([reshape(part, shape) for part in parts], 2)


def _masked(mask: Node | None, x: Node) -> Node:
    return _where(mask, x, _zero(x))


class _Reversed:
    """The loop back: its sequences, states and constants by the names of its body."""

    def __init__(self, steps: int, reverse: bool) -> None:
        self.steps, self.reverse = steps, reverse
        self.sequences: list[Node] = []
        self.states: list[Node] = []
        self.constants: list[Node] = []

    def parameters(self) -> tuple[list[Node], list[Node], list[Node]]:
        """The body's parameters: elements of the sequences, states, constants."""
        a, b = len(self.sequences), len(self.sequences) + len(self.states)
        found = _parameters(
            [(s.shape[1:], s.dtype) for s in self.sequences]
            + [(s.shape, s.dtype) for s in (*self.states, *self.constants)]
        )
        return found[:a], found[a:b], found[b:]

    def run(self, outputs: Sequence[Node]) -> list[Node]:
        inputs = [*self.sequences, *self.states, *self.constants]
        elements, states, constants = self.parameters()
        body = LoopBody(
            (*elements, *states, *constants), tuple(outputs), len(elements), len(states),
            self.steps, self.reverse,
        )  # fmt: skip
        return loop(body, inputs)


def _lstm_back(
    p: _Inputs, outputs: Sequence[Node], given: Sequence[Node | None], kind: Kind
) -> tuple[Node, Node, list[Node], Node | None]:
    """The gradients of the gates before their activations, for the input's product and for the
    state's, those of the initial states, and that of the projection's weight."""
    hidden, cell, i, f, g, o = outputs
    tanh = ew.tanh(cell)
    before = _before(cell, p.cell, kind.reverse)
    slopes = (_derivative(i), _derivative(f), _tanh_derivative(g), _derivative(o))
    factors = [ew.mul(x, s) for x, s in zip((g, before, i, tanh), slopes, strict=True)]
    steps, batch, size = cell.shape
    back = _Reversed(steps, not kind.reverse)
    back.sequences = [
        given[0] or _zero(hidden),
        _joined([_masked(p.mask, x) for x in factors]),
        f,
        ew.mul(o, _tanh_derivative(tanh)),
    ]
    extra = _extra_gates(given[2:], slopes)
    optional = {"cell": given[1], "gates": extra, "mask": p.mask}
    names = [name for name, x in optional.items() if x is not None]
    back.sequences += [x for x in optional.values() if x is not None]
    back.states = [_zero(element(hidden, 0)), _zero(element(cell, 0))]
    back.constants = [p.weight_hh] + ([] if p.weight_hr is None else [p.weight_hr])

    (to_hidden, factor, forget, through, *rest), (carried, kept), weights = back.parameters()
    found = dict(zip(names, rest, strict=True))
    mask = found.get("mask")
    whole = ew.add(to_hidden, carried)
    live = _masked(mask, whole)
    to_product = contract(live, weights[1], "bp", "ph", "bh") if p.weight_hr is not None else live
    cells = ew.add(kept, found["cell"]) if "cell" in found else kept
    to_cell = ew.add(_masked(mask, cells), ew.mul(to_product, through))
    shape = (batch, 4, size)
    is_output = ew.eq(broadcast(iota(4), shape, (1,)), full(3, shape, iota(4).dtype))
    wide = [broadcast(x, shape, (0, 2)) for x in (to_product, to_cell)]
    gates = reshape(ew.mul(factor, ew.where(is_output, *wide)), (batch, 4 * size))
    if "gates" in found:
        gates = ew.add(gates, found["gates"])
    back_cell = _pass_by(mask, ew.mul(to_cell, forget), cells)
    back_hidden = _pass_by(mask, contract(gates, weights[0], "bn", "nk", "bk"), whole)
    results = back.run([back_hidden, back_cell, gates, live])
    to_start = [element(r, 0 if back.reverse else steps - 1) for r in results[:2]]
    to_projection = None
    if p.weight_hr is not None:
        to_projection = contract(results[3], ew.mul(o, tanh), "tbp", "tbh", "ph")
    return results[2], results[2], to_start, to_projection


def _pass_by(mask: Node | None, through: Node, whole: Node) -> Node:
    """What a state hands on: through the step, or past it where the sequence has ended."""
    return _where(mask, through, whole)


def _extra_gates(given: Sequence[Node | None], slopes: Sequence[Node]) -> Node | None:
    """What gradients of the gates themselves (in a second derivative) add: (T, B, G*H)."""
    if all(x is None for x in given):
        return None
    parts = [_zero(s) if x is None else ew.mul(x, s) for x, s in zip(given, slopes, strict=True)]
    joined = _joined(parts)
    return reshape(joined, (*joined.shape[:2], joined.shape[2] * joined.shape[3]))


def _simple_back(
    p: _Inputs, outputs: Sequence[Node], given: Sequence[Node | None], kind: Kind
) -> tuple[Node, Node, list[Node], Node | None]:
    """As ``_lstm_back``, of the networks whose state is their output alone."""
    hidden = outputs[0]
    steps, batch, size = hidden.shape
    keep = extra = last_extra = None
    if kind.mode == "GRU":
        _, r, z, n, inner = outputs
        slopes = [_derivative(r), _derivative(z), _tanh_derivative(n)]
        last = ew.mul(_one_minus(z), slopes[2])  # through n to its sum
        before = _before(hidden, p.hidden, kind.reverse)
        through_r = ew.mul(ew.mul(last, inner), slopes[0])
        factors = [through_r, ew.mul(ew.sub(before, n), slopes[1]), ew.mul(last, r)]
        keep = z
        if any(x is not None for x in given[1:]):
            to_r, to_z, to_n, to_inner = [x or _zero(r) for x in given[1:]]
            last_extra = ew.mul(to_n, slopes[2])
            parts = [
                ew.mul(ew.add(to_r, ew.mul(last_extra, inner)), slopes[0]),
                ew.mul(to_z, slopes[1]),
                ew.add(to_inner, ew.mul(last_extra, r)),
            ]
            extra = reshape(_joined(parts), (steps, batch, 3 * size))
    elif kind.mode == "RNN_TANH":
        factors = [_tanh_derivative(hidden)]
    else:
        positive = ew.gt(hidden, _zero(hidden))
        factors = [ew.where(positive, ew.full_like(hidden, 1), _zero(hidden))]
    count = len(factors)
    back = _Reversed(steps, not kind.reverse)
    back.sequences = [
        given[0] or _zero(hidden),
        _joined([_masked(p.mask, x) for x in factors]),
    ]
    optional = {"keep": keep, "gates": extra, "mask": p.mask}
    names = [name for name, x in optional.items() if x is not None]
    back.sequences += [x for x in optional.values() if x is not None]
    back.states = [_zero(element(hidden, 0))]
    back.constants = [p.weight_hh]

    (to_hidden, factor, *rest), (carried,), (weight,) = back.parameters()
    found = dict(zip(names, rest, strict=True))
    mask = found.get("mask")
    whole = ew.add(to_hidden, carried)
    live = _masked(mask, whole)
    gates = ew.mul(factor, broadcast(live, (batch, count, size), (0, 2)))
    gates = reshape(gates, (batch, count * size))
    if "gates" in found:
        gates = ew.add(gates, found["gates"])
    through = contract(gates, weight, "bn", "nk", "bk")
    if "keep" in found:
        through = ew.add(through, ew.mul(live, found["keep"]))
    results = back.run([_pass_by(mask, through, whole), gates, live])
    to_start = [element(results[0], 0 if back.reverse else steps - 1)]
    of_input = results[1]
    if kind.mode == "GRU":  # the input's part of n is not multiplied by r
        to_n = ew.mul(results[2], last)
        if last_extra is not None:
            to_n = ew.add(to_n, last_extra)
        shared = slice_(of_input, (0, 0, 0), (steps, batch, 2 * size), (1, 1, 1))
        of_input = concatenate([shared, to_n], 2)
    return of_input, results[1], to_start, None


def _layer_rule(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None], kind: Kind
) -> Sequence[Node | None]:
    p = _named(inputs, kind)
    back = _lstm_back if kind.mode == "LSTM" else _simple_back
    of_input, of_state, to_start, to_projection = back(p, outputs, cotangents, kind)
    result: list[Node | None] = [
        contract(of_input, p.weight_ih, "tbn", "ni", "tbi"),
        contract(of_input, p.x, "tbn", "tbi", "ni"),
        _to_recurrent_weight(of_state, outputs[0], p.hidden, kind.reverse),
    ]
    if kind.biased:
        result += [sum_(of_input, (0, 1)), sum_(of_state, (0, 1))]
    if kind.projected:
        result.append(to_projection)
    if kind.masked:
        result.append(None)
    return [*result, *(to_start if kind.started else [])]


LAYER = Function("recurrent_layer", _layer, _layer_rule, gradient_name="RecurrentBackward0")


# ---- cells ----------------------------------------------------------------------------------


def _cell(*arguments: Any) -> list[Node]:
    """One step. x: (B, I); then the states (B, H), weights, and biases where there are such."""
    *inputs, mode = arguments
    states = 2 if mode == "LSTM" else 1
    x, hidden, *rest = inputs
    cell = rest.pop(0) if states == 2 else hidden
    weight_ih, weight_hh, *biases = rest
    parts = [contract(a, w, "bk", "nk", "bn") for a, w in ((x, weight_ih), (hidden, weight_hh))]
    if biases:
        parts = [ew.add(a, broadcast_to(b, a.shape)) for a, b in zip(parts, biases, strict=True)]
    given, recurrent = parts
    if mode == "LSTM":
        return lstm_step(given, recurrent, cell)[:2]
    if mode == "GRU":
        return gru_step(given, recurrent, hidden)[:1]
    return rnn_step(given, recurrent, mode)


CELL = Function("recurrent_cell", _cell)
