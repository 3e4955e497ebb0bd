"""Recurrent layers: a whole sequence is one call, whose steps are a loop in the compiler.

What does not wait for the step before is done for all steps at once: the products with the input,
and, going back, those of the gates' gradients with inputs, states and weights. The gates are kept
for the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codegen.dtype import DType
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.indexing import concatenate
from codegen.ops.leaves import parameter
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
    """(…, H) each, side by side as gates: (…, G*H)."""
    return parts[0] if len(parts) == 1 else concatenate(parts, len(parts[0].shape) - 1)


class _Reversed:
    """The loop back: its inputs by name, those that there are, and their names in its body."""

    def __init__(
        self,
        sequences: dict[str, Node | None],
        states: dict[str, Node],
        constants: dict[str, Node | None],
    ) -> None:
        self._sequences = {name: x for name, x in sequences.items() if x is not None}
        self._states = states
        self._constants = {name: x for name, x in constants.items() if x is not None}
        shapes = [(s.shape[1:], s.dtype) for s in self._sequences.values()]
        fixed = (*states.values(), *self._constants.values())
        self._parameters = _parameters(shapes + [(x.shape, x.dtype) for x in fixed])
        names = (*self._sequences, *states, *self._constants)
        self._named = dict(zip(names, self._parameters, strict=True))

    def __getitem__(self, name: str) -> Node:
        return self._named[name]

    def get(self, name: str) -> Node | None:
        return self._named.get(name)

    def plus(self, x: Node, name: str) -> Node:
        """``x`` and what there is by that name."""
        other = self.get(name)
        return x if other is None else ew.add(x, other)

    def run(self, outputs: Sequence[Node], steps: int, reverse: bool) -> list[Node]:
        body = LoopBody(
            tuple(self._parameters), tuple(outputs), len(self._sequences), len(self._states),
            steps, reverse,
        )  # fmt: skip
        inputs = (*self._sequences.values(), *self._states.values(), *self._constants.values())
        return loop(body, inputs)


@dataclass(frozen=True)
class _Cotangents:
    """What the loop back finds: of the gates' sums, in the input's product and in the state's,
    (T, B, G*H); of the initial states; and of the projection's weight."""

    of_input: Node
    of_state: Node
    initial: list[Node]
    projection: Node | None = None


def _lstm_back(
    p: _Inputs, outputs: Sequence[Node], given: Sequence[Node | None], kind: Kind
) -> _Cotangents:
    hidden, cell, i, f, g, o = outputs
    steps, reverse = hidden.shape[0], not kind.reverse
    gates = dict(zip(("to_i", "to_f", "to_g", "to_o"), given[2:], strict=True))
    back = _Reversed(
        {
            "to_hidden": given[0] or _zero(hidden), "to_cell": given[1], "cell": cell,
            "before": _before(cell, p.cell, kind.reverse), "i": i, "f": f, "g": g, "o": o,
            **gates, "mask": p.mask,
        },
        {"hidden_later": _zero(element(hidden, 0)), "cell_later": _zero(element(cell, 0))},
        {"weight_hh": p.weight_hh, "weight_hr": p.weight_hr},
    )  # fmt: skip
    mask = back.get("mask")
    i, f, g, o, tanh = back["i"], back["f"], back["g"], back["o"], ew.tanh(back["cell"])
    whole = ew.add(back["to_hidden"], back["hidden_later"])
    live = to_product = _where(mask, whole, _zero(whole))
    if p.weight_hr is not None:
        to_product = contract(live, back["weight_hr"], "bp", "ph", "bh")
    cells = back.plus(back["cell_later"], "to_cell")
    to_cell = ew.mul(ew.mul(to_product, o), _tanh_derivative(tanh))
    to_cell = ew.add(_where(mask, cells, _zero(cells)), to_cell)
    parts = [
        ew.mul(back.plus(ew.mul(to_cell, g), "to_i"), _derivative(i)),
        ew.mul(back.plus(ew.mul(to_cell, back["before"]), "to_f"), _derivative(f)),
        ew.mul(back.plus(ew.mul(to_cell, i), "to_g"), _tanh_derivative(g)),
        ew.mul(back.plus(ew.mul(to_product, tanh), "to_o"), _derivative(o)),
    ]
    sums = _joined(parts)
    through = contract(sums, back["weight_hh"], "bn", "nk", "bk")
    # Past a step where the sequence has ended, states go as they are.
    results = back.run(
        [_where(mask, through, whole), _where(mask, ew.mul(to_cell, f), cells), sums, live],
        steps, reverse,
    )  # fmt: skip
    projection = None
    if p.weight_hr is not None:
        product = ew.mul(outputs[5], ew.tanh(cell))
        projection = contract(results[3], product, "tbp", "tbh", "ph")
    last = 0 if reverse else steps - 1
    initial = [element(r, last) for r in results[:2]]
    return _Cotangents(results[2], results[2], initial, projection)


def _gru_back(
    p: _Inputs, outputs: Sequence[Node], given: Sequence[Node | None], kind: Kind
) -> _Cotangents:
    hidden, r, z, n, inner = outputs
    steps, reverse = hidden.shape[0], not kind.reverse
    gates = dict(zip(("to_r", "to_z", "to_n", "to_inner"), given[1:], strict=True))
    back = _Reversed(
        {
            "to_hidden": given[0] or _zero(hidden), "r": r, "z": z, "n": n, "inner": inner,
            "before": _before(hidden, p.hidden, kind.reverse), **gates, "mask": p.mask,
        },
        {"later": _zero(element(hidden, 0))},
        {"weight_hh": p.weight_hh},
    )  # fmt: skip
    mask = back.get("mask")
    r, z, n = back["r"], back["z"], back["n"]
    whole = ew.add(back["to_hidden"], back["later"])
    live = _where(mask, whole, _zero(whole))
    to_n = back.plus(ew.mul(live, _one_minus(z)), "to_n")
    to_n = ew.mul(to_n, _tanh_derivative(n))
    to_z = back.plus(ew.mul(live, ew.sub(back["before"], n)), "to_z")
    to_z = ew.mul(to_z, _derivative(z))
    to_r = back.plus(ew.mul(to_n, back["inner"]), "to_r")
    to_r = ew.mul(to_r, _derivative(r))
    sums = _joined([to_r, to_z, back.plus(ew.mul(to_n, r), "to_inner")])
    through = contract(sums, back["weight_hh"], "bn", "nk", "bk")
    through = ew.add(through, ew.mul(live, z))
    results = back.run([_where(mask, through, whole), sums, to_n], steps, reverse)
    # The input's part of n is not multiplied by r.
    size = hidden.shape[2]
    shared = slice_(results[1], (0, 0, 0), (*hidden.shape[:2], 2 * size), (1, 1, 1))
    initial = [element(results[0], 0 if reverse else steps - 1)]
    return _Cotangents(concatenate([shared, results[2]], 2), results[1], initial)


def _rnn_back(
    p: _Inputs, outputs: Sequence[Node], given: Sequence[Node | None], kind: Kind
) -> _Cotangents:
    (hidden,) = outputs
    steps, reverse = hidden.shape[0], not kind.reverse
    back = _Reversed(
        {"to_hidden": given[0] or _zero(hidden), "hidden": hidden, "mask": p.mask},
        {"later": _zero(element(hidden, 0))},
        {"weight_hh": p.weight_hh},
    )
    mask, after = back.get("mask"), back["hidden"]
    whole = ew.add(back["to_hidden"], back["later"])
    if kind.mode == "RNN_TANH":
        sums = ew.mul(whole, _tanh_derivative(after))
    else:
        sums = ew.where(ew.gt(after, _zero(after)), whole, _zero(whole))
    sums = _where(mask, sums, _zero(sums))
    through = contract(sums, back["weight_hh"], "bn", "nk", "bk")
    results = back.run([_where(mask, through, whole), sums], steps, reverse)
    initial = [element(results[0], 0 if reverse else steps - 1)]
    return _Cotangents(results[1], results[1], initial)


def _layer_rule(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None], kind: Kind
) -> Sequence[Node | None]:
    p = _named(inputs, kind)
    back = {"LSTM": _lstm_back, "GRU": _gru_back}.get(kind.mode, _rnn_back)
    found = back(p, outputs, cotangents, kind)
    of_input, of_state = found.of_input, found.of_state
    result: list[Node | None] = [
        contract(of_input, p.weight_ih, "tbn", "ni", "tbi"),
        contract(of_input, p.x, "tbn", "tbi", "ni"),
        _to_recurrent_weight(of_state, outputs[0], p.hidden, kind.reverse),
    ]
    if kind.biased:
        result += [sum_(of_input, (0, 1)), sum_(of_state, (0, 1))]
    if kind.projected:
        result.append(found.projection)
    if kind.masked:
        result.append(None)
    return [*result, *(found.initial if kind.started else [])]


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


CELL = Function("recurrent_cell", _cell, saves_inputs=True)
