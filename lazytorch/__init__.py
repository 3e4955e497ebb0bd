"""lazytorch: a lazy, graph-compiling tensor engine with PyTorch's face."""

from __future__ import annotations

from math import e, inf, nan, pi

from codegen.dtype import DType as dtype
from codegen.errors import OutOfMemoryError
from codegen.runtime.cpu import get_num_threads, set_num_threads
from codegen.statistics import Statistics, statistics
from lazytorch import (
    accelerator,
    amp,
    autograd,
    cuda,
    fft,
    func,
    functions,
    inspect,
    linalg,
    masked,
    nn,
    optim,
    signal,
    sparse,
    special,
    utils,
)
from lazytorch.amp.autocast_mode import (
    autocast,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_enabled,
    set_autocast_dtype,
)
from lazytorch.autograd import anomaly_mode as _anomaly
from lazytorch.autograd import backward as _backward
from lazytorch.autograd import forward_ad as _forward_ad
from lazytorch.autograd import function as _function
from lazytorch.autograd import functional as _functional
from lazytorch.autograd import gradcheck as _gradcheck
from lazytorch.autograd import graph as _graph
from lazytorch.autograd import methods as _methods  # noqa: F401  completes Tensor
from lazytorch.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from lazytorch.compiled import compile as compile
from lazytorch.defaults import (
    get_default_device,
    get_default_dtype,
    get_float32_matmul_precision,
    set_default_device,
    set_default_dtype,
    set_float32_matmul_precision,
)
from lazytorch.device import Device as device
from lazytorch.dtypes import NAMES as _DTYPES
from lazytorch.dtypes import can_cast, finfo, iinfo
from lazytorch.func.vmap import vmap
from lazytorch.functions.creation import TYPED_CLASSES as _TYPED_CLASSES
from lazytorch.functions.promotion import promote_types
from lazytorch.functions.random import Generator, default_generator
from lazytorch.functions.registration import PUBLIC as _PUBLIC
from lazytorch.inspect import dump, dump_all, graph, kernels
from lazytorch.layout import (
    Layout as layout,
)
from lazytorch.layout import (
    MemoryFormat as memory_format,
)
from lazytorch.layout import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    preserve_format,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from lazytorch.nn.parallel.data_parallel import functional_call as _functional_call
from lazytorch.printing import get_printoptions, printoptions, set_printoptions
from lazytorch.realize import realize as _realize
from lazytorch.safetensors_files import load_safetensors, save_safetensors
from lazytorch.serialization import load, save
from lazytorch.size import Size
from lazytorch.tensor import Tensor
from lazytorch.utils import checkpoint as _checkpoint  # noqa: F401  utils itself stands below this

newaxis = None
_functional_call.append(func.functional_call)
_function.creation.append(_PUBLIC["zeros"])
_backward.stacked.append(_PUBLIC["stack"])
globals().update(_PUBLIC)
globals().update(_DTYPES)
globals().update(_TYPED_CLASSES)


# These need tensor.py, which needs a part of autograd.
for _name, _member in (
    ("backward", _backward.backward), ("grad", _backward.grad), ("Variable", Tensor),
    ("graph", _graph), ("functional", _functional), ("function", _function),
    ("Function", _function.Function), ("gradcheck", _gradcheck.gradcheck),
    ("gradgradcheck", _gradcheck.gradgradcheck), ("anomaly_mode", _anomaly),
    ("detect_anomaly", _anomaly.detect_anomaly),
    ("set_detect_anomaly", _anomaly.set_detect_anomaly),
    ("forward_ad", _forward_ad),
):  # fmt: skip
    setattr(autograd, _name, _member)


def realize(*tensors: Tensor) -> None:
    """Compute these tensors now, in one plan."""
    _realize([t._storage.expression for t in tensors])


def stats() -> Statistics:
    """Counters of what the engine did in this process; ``stats().reset()`` sets them to zero."""
    return statistics


__all__ = [
    "Generator", "OutOfMemoryError", "Size", "Tensor", "accelerator", "amp", "autocast",
    "autograd", "can_cast",
    "channels_last", "channels_last_3d", "contiguous_format", "cuda", "default_generator", "device",
    "dtype", "dump", "dump_all", "e", "enable_grad", "fft", "finfo", "func", "functions",
    "get_autocast_dtype", "get_default_device", "get_default_dtype",
    "get_float32_matmul_precision", "get_num_threads",
    "get_printoptions", "graph", "iinfo", "inf", "inference_mode", "inspect",
    "is_autocast_cache_enabled", "is_autocast_enabled", "is_grad_enabled",
    "is_inference_mode_enabled", "kernels", "layout", "linalg", "load", "load_safetensors",
    "masked", "memory_format", "nan", "newaxis", "nn", "no_grad", "optim", "pi", "preserve_format",
    "printoptions", "promote_types", "realize", "save", "save_safetensors",
    "set_autocast_dtype", "set_default_device",
    "set_default_dtype", "set_float32_matmul_precision", "set_grad_enabled", "set_num_threads",
    "set_printoptions", "signal", "sparse", "sparse_coo", "sparse_csc", "sparse_csr", "special",
    "stats", "strided", "utils", "vmap", *_PUBLIC, *_DTYPES, *_TYPED_CLASSES,
]  # fmt: skip
__version__ = "0.1.0"
