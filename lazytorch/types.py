"""``torch.types``: names for annotations."""

# Values, which ``|`` of a class and a name in quotes is not:
# ruff: noqa: UP007

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Union

from codegen.dtype import DType
from lazytorch.device import Device as _Device
from lazytorch.size import Size
from lazytorch.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Storage", "_bool", "_dtype", "_float", "_int", "_size"]

_int, _float, _bool = int, float, bool
_dtype, _device = DType, _Device
_size = Union[Size, Sequence[int]]
_TensorOrTensors = Union[Tensor, Sequence[Tensor]]
Number = Union[int, float, bool]
Device = Union[_Device, str, int, None]
FileLike = Union[str, "os.PathLike[str]", Any]
Storage = Any
