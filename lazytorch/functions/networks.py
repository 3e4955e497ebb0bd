"""Recurrent networks of one or more layers, over padded or packed batches, and single cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch import autocasting
from lazytorch.application import apply
from lazytorch.functions.data import of_array
from lazytorch.functions.dropout import dropout as drop
from lazytorch.functions.indexing import index_select
from lazytorch.functions.joining import cat
from lazytorch.functions.recurrent import CELL, LAYER, Kind
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor

States = tuple[Tensor, ...]


def run_network(
    mode: str, x: Tensor, states: States | None, weights: Sequence[Tensor], has_biases: bool,
    num_layers: int, dropout: float, train: bool, bidirectional: bool, mask: Tensor | None = None,
) -> tuple[Tensor, States]:  # fmt: skip
    """The last layer's hidden states, (T, B, D*P), and every layer's last states, (L*D, B, ·).

    x: (T, B, I). mask: (T, B), true where a sequence goes on. ``weights``: those of each layer
    and direction in turn, in the order in which modules have them. States of None are zero.
    """
    if not x._type.shape[0]:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    as_shown: DType | None = None
    if autocasting.enabled_for(x):
        x, states, weights, as_shown = _autocast(mode, x, states, weights)
    directions = 2 if bidirectional else 1
    each = len(weights) // (num_layers * directions)
    projected = each == (5 if has_biases else 3)
    last: list[list[Tensor]] = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            number = layer * directions + direction
            inputs: list[Any] = [x, *weights[number * each : (number + 1) * each]]
            if mask is not None:
                inputs.append(mask)
            if states is not None:
                inputs += [state[number] for state in states]
            kind = Kind(
                mode, direction == 1, states is not None, has_biases, projected, mask is not None
            )
            found = apply_layer(inputs, kind)
            outputs.append(found[0])
            end = slice(0, 1) if kind.reverse else slice(-1, None)
            last.append([state[end] for state in found])
        x = outputs[0] if directions == 1 else cat(outputs, -1)
        if dropout and train and layer < num_layers - 1:
            x = drop(x, dropout, True)
    if as_shown is not None:
        x, last = x.to(as_shown), [[h.to(as_shown), *others] for h, *others in last]
    if len(last) == 1:
        return x, tuple(last[0])
    return x, tuple([cat(parts, 0) for parts in zip(*last, strict=True)])


def _autocast(
    mode: str, x: Tensor, states: States | None, weights: Sequence[Tensor]
) -> tuple[Tensor, States | None, Sequence[Tensor], DType | None]:
    """A network's inputs as autocast casts them, and the type that its outputs are to have where
    that is another. In PyTorch what is added to a state has the type of that, products the lower
    precision; here all is computed in the first."""
    lower = autocasting.lower_precision(x)
    gates, state = weights[1]._type.shape
    projected = mode == "LSTM" and gates != 4 * state
    by_state = mode == "GRU" or projected
    dtype = (x if states is None else states[-1]).dtype if by_state else lower
    states = None if states is None else tuple(_cast(states, dtype))
    return _cast((x,), dtype)[0], states, _cast(weights, dtype), lower if projected else None


def _cast(values: Sequence[Tensor], dtype: DType) -> list[Tensor]:
    return [x if x.dtype is dt.float64 else x.to(dtype) for x in values]


def apply_layer(inputs: Sequence[Any], kind: Kind) -> States:
    """The states after every step."""
    found = apply(LAYER, inputs, (kind,))
    return (found,) if isinstance(found, Tensor) else found[: kind.states]


# ---- packed batches -----------------------------------------------------------------------


def padded_places(batch_sizes: Sequence[int]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For a packed batch: (T, B) rows of the packed data, and where there are such."""
    sizes = np.asarray(batch_sizes, np.int64)
    column = np.arange(sizes[0])
    inside = column[None] < sizes[:, None]
    starts = np.cumsum(sizes) - sizes
    return np.where(inside, starts[:, None] + column[None], 0), inside


def run_packed(
    mode: str, data: Tensor, batch_sizes: Sequence[int], states: States | None,
    weights: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float, train: bool,
    bidirectional: bool,
) -> tuple[Tensor, States]:  # fmt: skip
    """As ``run_network``, of packed data (N, I)."""
    rows, inside = padded_places(batch_sizes)
    device = data._storage.device
    flat = of_array(rows.ravel(), dt.int64, device)
    x = index_select(data, 0, flat).reshape(*rows.shape, -1)
    mask = None if inside.all() else of_array(inside, dt.bool_, device)
    output, last = run_network(
        mode, x, states, weights, has_biases, num_layers, dropout, train, bidirectional, mask
    )
    if mask is None:
        return output.reshape(rows.size, -1), last
    kept = of_array(np.flatnonzero(inside.ravel()), dt.int64, device)
    return index_select(output.reshape(rows.size, -1), 0, kept), last


# ---- as functions -------------------------------------------------------------------------


def _network(mode: str, input: Tensor, *rest: Any) -> States:
    """PyTorch's two forms: (input, hx, params, has_biases, num_layers, dropout, train,
    bidirectional, batch_first) and, of packed data, (data, batch_sizes, hx, params, …)."""
    if isinstance(rest[1], Tensor) or (mode == "LSTM" and isinstance(rest[0], Tensor)):
        batch_sizes, hx, *others = rest
        states = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        output, last = run_packed(mode, input, batch_sizes.tolist(), states, *others)
        return (output, *last)
    hx, *others, batch_first = rest
    states = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
    x = input.transpose(0, 1) if batch_first else input
    output, last = run_network(mode, x, states, *others)
    return (output.transpose(0, 1) if batch_first else output, *last)


@operation(method=False)
def lstm(data: Tensor, *args: Any) -> States:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): outputs, last h, last c."""
    return _network("LSTM", data, *args)


@operation(method=False)
def gru(data: Tensor, *args: Any) -> States:
    """Gated recurrent units (Cho et al., 2014), the reset gate after the product: outputs, h."""
    return _network("GRU", data, *args)


@operation(method=False)
def rnn_tanh(data: Tensor, *args: Any) -> States:
    """h = tanh(W x + b + V h + c): outputs, last h."""
    return _network("RNN_TANH", data, *args)


@operation(method=False)
def rnn_relu(data: Tensor, *args: Any) -> States:
    """h = relu(W x + b + V h + c): outputs, last h."""
    return _network("RNN_RELU", data, *args)


def _run_cell(
    mode: str, input: Tensor, states: States, weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor | None, Tensor | None],
) -> Any:  # fmt: skip
    given = () if biases[0] is None else biases
    x, hidden, expected = input.size(-1), states[0].size(-1), weights[0].size(-1)
    if x != expected:
        raise RuntimeError(f"input has inconsistent input_size: got {x} expected {expected}")
    if input.size(0) != states[0].size(0):
        raise RuntimeError(
            f"Input batch size {input.size(0)} doesn't match hidden0 batch size {states[0].size(0)}"
        )
    expected = weights[1].size(-1)
    if hidden != expected:
        raise RuntimeError(
            f"hidden0 has inconsistent hidden_size: got {hidden}, expected {expected}"
        )
    inputs: Sequence[Tensor] = (input, *states, *weights, *given)
    if autocasting.enabled_for(input):
        low = autocasting.lower_precision(input)
        inputs = _cast(inputs, low if mode.startswith("RNN") else states[-1].dtype)
    return apply(CELL, inputs, (mode,))


@operation(method=False)
def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step: input (B, I) and states (B, H) to the next states."""
    found: tuple[Tensor, Tensor] = _run_cell("LSTM", input, tuple(hx), (w_ih, w_hh), (b_ih, b_hh))
    return found


@operation(method=False)
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step: input (B, I) and state (B, H) to the next state."""
    found: Tensor = _run_cell("GRU", input, (hx,), (w_ih, w_hh), (b_ih, b_hh))
    return found


@operation(method=False)
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step: input (B, I) and state (B, H) to the next state."""
    found: Tensor = _run_cell("RNN_TANH", input, (hx,), (w_ih, w_hh), (b_ih, b_hh))
    return found


@operation(method=False)
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """One step: input (B, I) and state (B, H) to the next state."""
    found: Tensor = _run_cell("RNN_RELU", input, (hx,), (w_ih, w_hh), (b_ih, b_hh))
    return found
