"""Tensors by name in files of the safetensors format, through its library."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazytorch import _serialization_engine as engine
from lazytorch._archive import replaced_when_complete
from lazytorch.tensor import Tensor

# The format's name of each element type.
_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "complex64": "C64",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


def _library() -> Any:
    try:
        return importlib.import_module("safetensors")
    except ImportError as error:
        raise ImportError(
            "Files of the safetensors format are read and written by its library: "
            "pip install safetensors"
        ) from error


def save_safetensors(
    tensors: Mapping[str, Tensor],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write tensors by name, each whole (two that share memory are written twice).

    The file is replaced once the new one is complete. TypeError for what is no tensor,
    ImportError without the library.

    >>> torch.save_safetensors(model.state_dict(), "model.safetensors")
    """
    library = _library()
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise TypeError(
                "save_safetensors takes a dict of str to Tensor, and got "
                f"{type(name).__name__} to {type(tensor).__name__}"
            )
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    engine.realize_all(list(whole.values()))
    # The arrays stay alive here, because the library may be given their addresses.
    arrays = {name: np.ascontiguousarray(tensor._array()) for name, tensor in whole.items()}
    described = {
        name: _described(library, engine.dtype_name(whole[name].dtype), array)
        for name, array in arrays.items()
    }
    with replaced_when_complete(Path(os.fspath(filename))) as file:
        file.write(library.serialize(described, metadata=metadata))


def _described(library: Any, dtype: str, array: np.ndarray[Any, Any]) -> Any:
    """A tensor as the library takes it: by its address, or in versions before 0.7 as bytes."""
    shape = list(array.shape)
    if hasattr(library, "TensorSpec"):
        address = array.__array_interface__["data"][0]
        return library.TensorSpec(dtype=dtype, shape=shape, data_ptr=address, data_len=array.nbytes)
    return {"dtype": dtype, "shape": shape, "data": array.tobytes()}


def load_safetensors(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors in a file, by name, on a device. RuntimeError where the file is damaged,
    ImportError without the library.

    >>> torch.save_safetensors(model.state_dict(), "model.safetensors")
    >>> model.load_state_dict(torch.load_safetensors("model.safetensors"))
    <All keys matched successfully>
    """
    library = _library()
    content = Path(os.fspath(filename)).read_bytes()
    try:
        entries = library.deserialize(content)
    except library.SafetensorError as error:
        raise RuntimeError(
            f"{os.fspath(filename)} is no file of the safetensors format, or is damaged: {error}"
        ) from error
    loaded = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise RuntimeError(
                f"tensor {name!r} has the element type {entry['dtype']}, which lazytorch lacks"
            )
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        memory = np.frombuffer(bytearray(entry["data"]), np.uint8)
        storage = engine.place(engine.make_storage(memory, dtype), str(device))
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        loaded[name] = engine.rebuild(storage, dtype, 0, shape, strides, False)
    return loaded
