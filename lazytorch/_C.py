"""Names that programs take from PyTorch's compiled part."""

from lazytorch.overrides import (
    DisableTorchFunction,
    DisableTorchFunctionSubclass,
    _disabled_torch_function_impl,
)
from lazytorch.tensor import Tensor

_TensorMeta = type(Tensor)

__all__ = [
    "DisableTorchFunction", "DisableTorchFunctionSubclass", "_TensorMeta",
    "_disabled_torch_function_impl",
]  # fmt: skip
