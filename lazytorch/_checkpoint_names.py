"""PyTorch's names in checkpoints: of element types, of storages, and of our own classes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

from lazytorch import _serialization_engine as engine

# The names in a file are PyTorch's; those of our own package stand in the same places.
THEIRS, OURS = "torch", "lazytorch"

# Files of ours that PyTorch lacks, and where it shows what stands in them.
_OTHER_PLACES = {
    "lazytorch.functions.linear_cross_entropy": "torch.nn",
    "lazytorch.nn.modules.attention": "torch.nn.modules.activation",
    "lazytorch.nn.modules.lazy": "torch.nn.modules",
    "lazytorch.nn.modules.linear_cross_entropy": "torch.nn.modules.loss",
}

# Element type: the class that PyTorch's pickles name a storage of it by, and bytes an element.
TYPED_STORAGES = {
    "float64": ("DoubleStorage", 8),
    "float32": ("FloatStorage", 4),
    "float16": ("HalfStorage", 2),
    "bfloat16": ("BFloat16Storage", 2),
    "int64": ("LongStorage", 8),
    "int32": ("IntStorage", 4),
    "int16": ("ShortStorage", 2),
    "int8": ("CharStorage", 1),
    "uint8": ("ByteStorage", 1),
    "bool": ("BoolStorage", 1),
    "complex64": ("ComplexFloatStorage", 8),
    "complex128": ("ComplexDoubleStorage", 16),
}
# Element types that came later: their storages are raw bytes, and the tensor names the type.
UNTYPED = {"uint16": 2, "uint32": 4, "uint64": 8}
ITEM_SIZES = {**{name: size for name, (_, size) in TYPED_STORAGES.items()}, **UNTYPED}
# What one byte-swapped number takes: complex numbers are two.
SWAPPED_SIZES = ITEM_SIZES | {"complex64": 4, "complex128": 8}


@dataclass(frozen=True)
class Name:
    """Something that the file names as ``module.name``, whether or not it exists here."""

    module: str
    name: str

    def __call__(self) -> None:
        """Only what can be called may stand as the function of a pickle's REDUCE."""


SIZE = Name("torch", "Size")
DEVICE = Name("torch", "device")


@cache
def dtype_name(name: str) -> Name:
    return Name("torch", name)


def foreign_name(item: Any) -> Name | None:
    """PyTorch's name for one of our classes, functions or dtypes; None for all else."""
    if isinstance(item, Name):
        return item
    if isinstance(item, engine.DType):
        return dtype_name(engine.dtype_name(item))
    for own, name in class_names():
        if item is own:
            return name
    module = getattr(item, "__module__", None)
    if not isinstance(module, str) or module.split(".", 1)[0] != OURS:
        return None
    if isinstance(item, FunctionType):
        module = _public_home(item) or module
    if module in _OTHER_PLACES:
        return Name(_OTHER_PLACES[module], item.__qualname__)
    if module == "lazytorch.nn.modules._hooks":
        return Name("torch.nn.modules.module", f"_{item.__qualname__}")
    return Name(THEIRS + module.removeprefix(OURS), item.__qualname__)


@cache
def class_names() -> list[tuple[Any, Name]]:
    return [
        (engine.Tensor, Name("torch", "Tensor")),
        (engine.Parameter, Name("torch.nn.parameter", "Parameter")),
        (engine.Size, SIZE),
        (engine.Device, DEVICE),
    ]


def _public_home(function: FunctionType) -> str | None:
    """The public module that shows ``function``, where our own layout differs from PyTorch's."""
    for home in (f"{OURS}.nn.functional", f"{OURS}.nn.init", OURS):
        module = sys.modules.get(home)
        if getattr(module, function.__name__, None) is function:
            return home
    return None
