"""Recurrent layers over sequences, and their single steps as cells."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from lazytorch.autocasting import active
from lazytorch.functions.creation import empty, zeros
from lazytorch.functions.indexing import index_select
from lazytorch.functions.networks import (
    gru_cell,
    lstm_cell,
    rnn_relu_cell,
    rnn_tanh_cell,
    run_network,
    run_packed,
)
from lazytorch.functions.recurrent import GATES
from lazytorch.nn import init
from lazytorch.nn.modules.module import Module
from lazytorch.nn.parameter import Parameter
from lazytorch.nn.utils.rnn import PackedSequence
from lazytorch.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

Hidden = tuple[int, int, int]


def _reordered(x: Tensor, permutation: Tensor | None) -> Tensor:
    return x if permutation is None else index_select(x, 1, permutation)


class RNNBase(Module):
    """`num_layers` recurrent layers, each over one direction or both.

    Parameters of layer k: `weight_ih_lk` (G*hidden, input), `weight_hh_lk` (G*hidden, state),
    `bias_ih_lk` and `bias_hh_lk` (G*hidden), `weight_hr_lk` (proj_size, hidden); with `_reverse`
    behind for the other direction. G gates: 4 in an LSTM, 3 in a GRU, else 1. All start uniform
    in ±1/sqrt(hidden_size).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates, state = GATES[mode] * hidden_size, proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            inputs = state * directions if layer else input_size
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (gates, inputs),
                "weight_hh": (gates, state),
            }
            if bias:
                shapes.update(bias_ih=(gates,), bias_hh=(gates,))
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                names = [f"{name}_l{layer}{suffix}" for name in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, in the order of the parameters."""
        limit = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -limit, limit)

    def flatten_parameters(self) -> None:
        """Does nothing: parameters need not lie side by side."""

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for names in self._all_weights for name in names]

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    # ---- checks ---------------------------------------------------------------------------

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        dtype = self._flat_weights[0].dtype
        if input.dtype != dtype and not active.count:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert "
                f"input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        dimensions = 2 if batch_sizes is not None else 3
        if input.dim() != dimensions:
            raise RuntimeError(f"input must have {dimensions} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.size(-1)}"
            )

    def _batch_size(self, input: Tensor, batch_sizes: Tensor | None) -> int:
        if batch_sizes is not None:
            return int(batch_sizes[0])
        return int(input.size(0 if self.batch_first else 1))

    def _states_of(self, width: int, input: Tensor, batch_sizes: Tensor | None) -> Hidden:
        directions = 2 if self.bidirectional else 1
        return (self.num_layers * directions, self._batch_size(input, batch_sizes), width)

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> Hidden:
        return self._states_of(self.proj_size or self.hidden_size, input, batch_sizes)

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: Hidden,
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        if tuple(hx.size()) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        if hidden is not None:
            self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        return _reordered(hx, permutation)

    def _check_ranks(self, states: tuple[Tensor, ...], batched: bool) -> None:
        (hx,) = states
        if hx.dim() != (3 if batched else 2):
            kind, rank = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
            raise RuntimeError(
                f"For {kind} input, hx should also be {rank}-D but got {hx.dim()}-D tensor"
            )

    # ---- running --------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None) -> Any:
        """input: (T, B, input), (B, T, input) with batch_first, (T, input), or packed; hx: the
        initial states, (layers*directions, B, ·), zero where None. The last layer's outputs, of
        the input's form, and the last states of every layer."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            tail = " tensor" if self.mode.startswith("RNN") else ""
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got "
                f"{input.dim()}D{tail} instead"
            )
        batched = input.dim() == 3
        axis = 0 if self.batch_first else 1
        if hx is not None:
            self._check_ranks(self._as_states(hx), batched)
        if not batched:
            input = input.unsqueeze(axis)
            if hx is not None:
                hx = self._as_hx([s.unsqueeze(1) for s in self._as_states(hx)])
        self.check_forward_args(input, hx, None)
        x = input.transpose(0, 1) if self.batch_first else input
        output, last = run_network(
            self.mode, x, None if hx is None else self._as_states(hx), *self._options()
        )
        if self.batch_first:
            output = output.transpose(0, 1)
        if not batched:
            return output.squeeze(axis), self._as_hx([s.squeeze(1) for s in last])
        return output, self._as_hx(last)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, order, back = input
        if hx is not None:
            hx = self.permute_hidden(hx, order)
        self.check_forward_args(data, hx, batch_sizes)
        states = None if hx is None else self._as_states(hx)
        output, last = run_packed(self.mode, data, batch_sizes.tolist(), states, *self._options())
        packed = PackedSequence(output, batch_sizes, order, back)
        return packed, self.permute_hidden(self._as_hx(last), back)

    def _options(self) -> tuple[Any, ...]:
        return (
            self._flat_weights, self.bias, self.num_layers, self.dropout, self.training,
            self.bidirectional,
        )  # fmt: skip

    def _as_states(self, hx: Any) -> tuple[Tensor, ...]:
        return (hx,)

    def _as_hx(self, states: Any) -> Any:
        return states[0]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0,
            "bidirectional": False,
        }  # fmt: skip
        for name, value in defaults.items():
            if getattr(self, name) != value:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


def _check_options(
    input_size: Any, hidden_size: Any, num_layers: int, bias: Any, batch_first: Any,
    dropout: Any, proj_size: int,
) -> None:  # fmt: skip
    is_number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
    if not is_number or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an "
            "element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, wanted in (
        ("bias", bias, bool), ("batch_first", batch_first, bool), ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):  # fmt: skip
        if not isinstance(value, wanted):
            raise TypeError(
                f"{name} should be of type {wanted.__name__}, got: {type(value).__name__}"
            )
        if wanted is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _refuse_projection(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """h = tanh(W x + b + V h + c), or relu of it: Elman's network. Options: see `RNNBase`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if self.nonlinearity not in modes:
            raise ValueError(
                f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(modes[self.nonlinearity], *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997); states are pairs (h, c).

    With `proj_size`, h is projected to that size (Sak et al., 2014). Options: see `RNNBase`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> Hidden:
        return self._states_of(self.hidden_size, input, batch_sizes)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        if hidden is None:
            return
        sizes = (
            self.get_expected_hidden_size(input, batch_sizes),
            self.get_expected_cell_size(input, batch_sizes),
        )
        for i, size in enumerate(sizes):
            self.check_hidden_size(hidden[i], size, f"Expected hidden[{i}] size {{}}, got {{}}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        return tuple([_reordered(x, permutation) for x in hx])

    def _check_ranks(self, states: tuple[Tensor, ...], batched: bool) -> None:
        kind, rank = ("batched 3-D", 3) if batched else ("unbatched 2-D", 2)
        if any(s.dim() != rank for s in states):
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {rank}-D but got "
                f"({states[0].dim()}-D, {states[1].dim()}-D) tensors"
            )

    def _as_states(self, hx: Any) -> tuple[Tensor, ...]:
        return tuple(hx)

    def _as_hx(self, states: Any) -> Any:
        return tuple(states)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al., 2014), the reset gate behind the product.

    Options: see `RNNBase`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


# ---- cells ----------------------------------------------------------------------------------


class RNNCellBase(Module):
    """One step of a layer: `weight_ih` (G*hidden, input), `weight_hh` (G*hidden, hidden), and
    `bias_ih` and `bias_hh` (G*hidden). All start uniform in ±1/sqrt(hidden_size)."""

    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        shapes = {"weight_ih": (gates, input_size), "weight_hh": (gates, hidden_size)}
        for name, shape in shapes.items():
            setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
        for name in ("bias_ih", "bias_hh"):
            value = Parameter(empty(gates, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, in the order of the parameters."""
        limit = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -limit, limit)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"

    def _check(self, input: Tensor, states: tuple[Tensor, ...] | None, paired: bool) -> None:
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for i, state in enumerate(states or ()):
            if state.dim() not in (1, 2):
                place = f"hx[{i}]" if paired else "hidden"
                raise ValueError(
                    f"{name}: Expected {place} to be 1D or 2D, got {state.dim()}D instead"
                )

    def _prepared(
        self, input: Tensor, states: tuple[Tensor, ...] | None, count: int
    ) -> tuple[Tensor, list[Tensor], bool]:
        """The input and the states as batches, and whether they were."""
        self._check(input, states, count == 2)
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if states is None:
            start = zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)
            return input, [start] * count, batched
        return input, [s if batched else s.unsqueeze(0) for s in states], batched

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh


class RNNCell(RNNCellBase):
    """h = tanh(W x + b + V h + c), or relu of it: input (B, I), hx (B, H) to (B, H)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        input, (state,), batched = self._prepared(input, None if hx is None else (hx,), 1)
        cells = {"tanh": rnn_tanh_cell, "relu": rnn_relu_cell}
        if self.nonlinearity not in cells:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        after = cells[self.nonlinearity](input, state, *self._weights())
        return after if batched else after.squeeze(0)


class LSTMCell(RNNCellBase):
    """One step of an LSTM: input (B, I), hx a pair of (B, H), to such a pair."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        given = None if hx is None else tuple(hx)
        input, states, batched = self._prepared(input, given, 2)
        hidden, cell = lstm_cell(input, states, *self._weights())
        return (hidden, cell) if batched else (hidden.squeeze(0), cell.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of a GRU: input (B, I), hx (B, H) to (B, H)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        input, (state,), batched = self._prepared(input, None if hx is None else (hx,), 1)
        after = gru_cell(input, state, *self._weights())
        return after if batched else after.squeeze(0)
