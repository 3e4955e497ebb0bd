"""Batches of sequences of different lengths: padded to one length, or packed without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from codegen import dtype as dt
from lazytorch.functions.creation import arange, empty_like
from lazytorch.functions.data import as_tensor, of_array
from lazytorch.functions.indexing import index_select
from lazytorch.functions.joining import cat, stack
from lazytorch.functions.networks import padded_places
from lazytorch.nn.functional import pad
from lazytorch.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _PackedSequence(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


def _to(name: str) -> Callable[[Any], Any]:
    """The method that converts a packed sequence's data to an element type."""
    return lambda self: self.to(dt.BY_NAME[name])


class PackedSequence(_PackedSequence):
    """Sequences sorted by falling length, element by element.

    `data` has the first elements of all sequences, then the second ones, and so on; `batch_sizes`
    says how many there are of each. `sorted_indices` is the order in which the sequences were
    taken, `unsorted_indices` its inverse. Made by `pack_padded_sequence` and `pack_sequence`.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:  # PackedSequence((data, batch_sizes))
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually. They should be instantiated by functions like pack_sequence "
                "and pack_padded_sequences in nn.utils.rnn. "
                "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        assert batch_sizes is not None
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data converted, and the indices where the data is."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(data.device)

        return type(self)(
            data, self.batch_sizes, moved(self.sorted_indices), moved(self.unsorted_indices)
        )

    double, float, half = _to("float64"), _to("float32"), _to("float16")
    long, int, short = _to("int64"), _to("int32"), _to("int16")
    char, byte = _to("int8"), _to("uint8")

    def cpu(self) -> PackedSequence:
        return self.to("cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        return self.to(*(args or ("cuda",)), **kwargs)

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return str(self.data.device).startswith("cuda")

    def is_pinned(self) -> bool:
        return False

    def pin_memory(self) -> PackedSequence:
        return self


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one."""
    if permutation is None:
        return None
    output = empty_like(permutation)
    count = permutation.numel()
    output.scatter_(0, permutation, arange(0, count, device=permutation.device))
    return output


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack a padded batch, (T, B, *) or (B, T, *), of sequences that are ``lengths`` long.

    With ``enforce_sorted`` the lengths must fall; else they are sorted here.
    """
    given = lengths if isinstance(lengths, Tensor) else as_tensor(lengths, dtype=dt.int64)
    sizes = np.array(given.tolist(), np.int64).reshape(-1)
    axis = 0 if batch_first else 1
    if len(sizes) != input.size(axis):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} "
            f"(batch_size={input.size(axis)})"
        )
    indices = None
    if not enforce_sorted:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
        indices = of_array(order, dt.int64, input._storage.device)
        input = index_select(input, axis, indices)
    if not len(sizes) or sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if (sizes[1:] > sizes[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    time = input.size(1 - axis)
    if sizes[0] > time:
        raise RuntimeError(
            f"Expected `len(lengths)` to be at most the input's length {time}, but got {sizes[0]}"
        )
    x = input.transpose(0, 1) if batch_first else input
    inside = np.arange(sizes[0])[:, None] < sizes[None]
    flat = x.reshape(time * len(sizes), *x.shape[2:])
    rows = of_array(np.flatnonzero(inside), dt.int64, input._storage.device)
    counts = of_array(inside.sum(1).astype(np.int64), dt.int64)
    return PackedSequence(index_select(flat, 0, rows), counts, indices, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded batch that was packed, (T, B, *) or (B, T, *), and its lengths."""
    sizes = sequence.batch_sizes.tolist()
    time = len(sizes)
    if total_length is not None and total_length < time:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {time}"
        )
    rows, inside = padded_places(sizes)
    missing = (total_length or time) - time
    rows, inside = [np.pad(a, ((0, missing), (0, 0))) for a in (rows, inside)]
    data, device = sequence.data, sequence.data._storage.device
    # Places beyond a sequence's end read the row of padding that is put behind the data.
    filled = cat([data, data.new_full((1, *data.shape[1:]), padding_value)], 0)
    places = of_array(np.where(inside, rows, data.size(0)).ravel(), dt.int64, device)
    output = index_select(filled, 0, places).reshape(*rows.shape, *data.shape[1:])
    if batch_first:
        output = output.transpose(0, 1)
    lengths = inside.sum(0).astype(np.int64)
    order = sequence.unsorted_indices
    if order is None:
        return output, of_array(lengths, dt.int64)
    sorted_back = index_select(output, 0 if batch_first else 1, order)
    return sorted_back, of_array(lengths[np.array(order.tolist(), np.int64)], dt.int64)


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L, *) of any lengths as one tensor, (T, B, *) or (B, T, *)."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    parts = list(sequences)
    if not parts:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    longest = max([p.size(0) for p in parts])
    padded = []
    for p in parts:
        missing = longest - p.size(0)
        amounts = [missing, 0] if padding_side == "left" else [0, missing]
        padded.append(pad(p, [0, 0] * (p.dim() - 1) + amounts, value=padding_value))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each as long as it is."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    numbers = lengths.tolist()
    return [x[:n] for x, n in zip(padded_sequences, numbers, strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L, *), by falling length if ``enforce_sorted``."""
    lengths = [s.size(0) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, in their first order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
