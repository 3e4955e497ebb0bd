"""Collating: a list of samples becomes one batch of tensors, nested as the samples are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from lazytorch.utils.data import _engine as engine

CollateFunction = Callable[..., Any]

_CANNOT_COLLATE = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)
# NumPy's kinds of text, bytes, objects and records, which no tensor holds.
_NOT_NUMBERS = "SaUOV"


def default_convert(data: Any) -> Any:
    """NumPy arrays inside ``data`` become tensors; all else stays."""
    if isinstance(data, engine.Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in _NOT_NUMBERS else engine.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        converted = [default_convert(item) for item in data]
        return type(data)(*converted) if hasattr(data, "_fields") else converted
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(item) for item in data])
    return data


def default_collate(batch: Any) -> Any:
    """One batch from a list of samples.

    Tensors and arrays are stacked along a new first axis, numbers become a tensor (Python floats
    one of float64), mappings and sequences are collated part by part, text stays a list.
    TypeError names a type that none of this fits.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(
    batch: Any,
    *,
    collate_fn_map: dict[type | tuple[type, ...], CollateFunction] | None = None,
) -> Any:
    """``default_collate`` with another table from sample types to functions."""
    first = batch[0]
    kind = type(first)
    table = collate_fn_map or {}
    if kind in table:
        return table[kind](batch, collate_fn_map=collate_fn_map)
    for known, function in table.items():
        if isinstance(first, known):
            return function(batch, collate_fn_map=collate_fn_map)

    def part(samples: Any) -> Any:
        return collate(samples, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        return _like_mapping(first, {key: part([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(part(samples) for samples in zip(*batch, strict=False)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [part(samples) for samples in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _like_sequence(first, columns)
    raise TypeError(_CANNOT_COLLATE.format(kind))


def _like_mapping(model: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """A mapping of the model's type; a plain dict where that type cannot be made."""
    try:
        if isinstance(model, MutableMapping):
            # A copy keeps what a subclass carries besides its items.
            clone = copy.copy(model)
            clone.update(values)
            return clone
        return type(model)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def _like_sequence(model: Sequence[Any], values: list[Any]) -> Any:
    """A sequence of the model's type; a plain list where that type cannot be made."""
    if type(model) is list:
        return values
    try:
        if isinstance(model, MutableSequence):
            clone = copy.copy(model)
            for position, value in enumerate(values):
                clone[position] = value
            return clone
        return type(model)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def collate_tensor_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return engine.stack(batch)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    first = batch[0]
    if first.dtype.kind in _NOT_NUMBERS:
        raise TypeError(_CANNOT_COLLATE.format(first.dtype))
    alike = all(
        type(array) is np.ndarray and (array.shape, array.dtype) == (first.shape, first.dtype)
        for array in batch
    )
    if alike:
        return engine.as_tensor(np.stack(batch))
    return engine.stack([engine.as_tensor(array) for array in batch])


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return engine.as_tensor(np.asarray(batch))


def collate_float_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return engine.float64_tensor(batch)


def collate_int_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return engine.int64_tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[type | tuple[type, ...], CollateFunction] = {
    engine.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
