"""lazytorch: a lazy, graph-compiling tensor engine with PyTorch's face."""

from __future__ import annotations

import importlib
import sys
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from codegen.dtype import DType as dtype
from codegen.errors import OutOfMemoryError
from codegen.runtime.cpu import get_num_threads, set_num_threads
from codegen.statistics import Statistics, statistics
from lazytorch import (
    _C,  # noqa: F401  found as torch._C
    accelerator,
    amp,
    autograd,
    backends,
    control_flow,
    cuda,
    distributed,
    fft,
    func,
    functions,
    inspect,
    jit,
    linalg,
    masked,
    multiprocessing,
    nn,
    optim,
    overrides,
    profiler,
    random,
    signal,
    sparse,
    special,
    switches,
    undo,  # noqa: F401  which realize calls where something fails
    utils,
    version,
)
from lazytorch.absent import AT_THE_TOP as _AT_THE_TOP
from lazytorch.amp import autocast_mode as _autocast_mode
from lazytorch.amp.autocast_mode import (
    autocast,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_enabled,
    set_autocast_dtype,
)
from lazytorch.amp.grad_scaler import GradScaler
from lazytorch.autograd import anomaly_mode as _anomaly
from lazytorch.autograd import backward as _backward
from lazytorch.autograd import forward_ad as _forward_ad
from lazytorch.autograd import function as _function
from lazytorch.autograd import functional as _functional
from lazytorch.autograd import gradcheck as _gradcheck
from lazytorch.autograd import graph as _graph
from lazytorch.autograd import methods as _methods  # noqa: F401  completes Tensor
from lazytorch.autograd import profiler as _autograd_profiler
from lazytorch.autograd import profiler_util as _profiler_util
from lazytorch.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from lazytorch.compiled import compile as compile
from lazytorch.cuda import amp as _cuda_amp  # noqa: F401  needs amp
from lazytorch.cuda.streams import Event, Stream
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
from lazytorch.functions.storages import STORAGE_CLASSES as _STORAGE_CLASSES
from lazytorch.inspect import check, dump, dump_all, explain, export, graph, kernels
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
from lazytorch.nn.utils import stateless as _stateless  # noqa: F401  needs func
from lazytorch.printing import get_printoptions, printoptions, set_printoptions
from lazytorch.profiler import profile_all as profile
from lazytorch.realize import realize as _realize
from lazytorch.recompiles import RecompileError, assert_no_recompile, recompiles
from lazytorch.safetensors_files import load_safetensors, save_safetensors
from lazytorch.serialization import load, save
from lazytorch.size import Size
from lazytorch.tensor import Tensor
from lazytorch.utils import checkpoint as _checkpoint  # noqa: F401  utils itself stands below this

if TYPE_CHECKING:
    from lazytorch import compiler, cpu, distributions, hub, library, testing, types  # noqa: F401
else:
    _IMPORTED_WHEN_ASKED = {
        "_dynamo", "compiler", "cpu", "distributions", "hub", "library", "testing", "types"
    }  # fmt: skip
    _IMPORTED_WHEN_ASKED.update(_AT_THE_TOP)

    def __getattr__(name: str) -> Any:
        """Parts that most programs do without are imported when they are asked for."""
        if name in _IMPORTED_WHEN_ASKED:
            return importlib.import_module(f"lazytorch.{name}")
        if name == "ops":
            return importlib.import_module("lazytorch.library").ops
        if name.startswith("_foreach_"):
            return getattr(importlib.import_module("lazytorch.foreach"), name)
        raise AttributeError(f"module 'lazytorch' has no attribute {name!r}")


newaxis = None
torch = sys.modules[__name__]  # PyTorch has itself among its names, and libraries found it
_functional_call.append(func.functional_call)
_function.creation.append(_PUBLIC["zeros"])
_backward.stacked.append(_PUBLIC["stack"])
globals().update(_PUBLIC)
globals().update(_DTYPES)
globals().update(_TYPED_CLASSES)
globals().update(_STORAGE_CLASSES)
has_lapack = has_spectral = has_openmp = True
has_mkl = False
legacy_contiguous_format = contiguous_format
# What torch has at its top of the names of a module.
_MODULES_NAMES = (
    (control_flow, control_flow.__all__),
    (switches, switches.__all__),
    (_anomaly, ("is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled")),
    (_autocast_mode, _autocast_mode.NAMES_OF_TORCH),
)
for _module, _names in _MODULES_NAMES:
    globals().update({_name: getattr(_module, _name) for _name in _names})


# These need tensor.py, which needs a part of autograd.
for _name, _member in (
    ("backward", _backward.backward), ("grad", _backward.grad), ("Variable", Tensor),
    ("graph", _graph), ("functional", _functional), ("function", _function),
    ("profiler", _autograd_profiler), ("profiler_util", _profiler_util),
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


def typename(obj: object) -> str:
    """The name of an object's type, of a tensor that of its elements' type too.

    >>> typename(zeros(2)), typename(nn.Identity()), typename(3)
    ('torch.FloatTensor', 'lazytorch.nn.modules.linear.Identity', 'int')
    """
    if isinstance(obj, Tensor):
        return str(obj.type())
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    name = kind.__qualname__
    return name if module in (None, "builtins") else f"{module}.{name}"


def stats() -> Statistics:
    """Counters of what the engine did in this process; ``stats().reset()`` sets them to zero."""
    return statistics


__all__ = [
    "accelerator", "amp", "assert_no_recompile", "autocast", "autograd", "backends", "can_cast",
    "channels_last", "channels_last_3d", "check", "contiguous_format", "cuda", "default_generator",
    "device", "distributed", "distributions", "dtype", "dump", "dump_all", "e", "enable_grad",
    "Event", "explain", "export", "fft", "finfo", "func", "functions", "Generator",
    "get_autocast_dtype", "get_default_device", "get_default_dtype", "get_float32_matmul_precision",
    "get_num_threads", "get_printoptions", "GradScaler", "graph", "has_lapack", "has_mkl",
    "has_openmp", "has_spectral", "hub", "iinfo", "inf", "inference_mode", "inspect",
    "is_autocast_cache_enabled", "is_autocast_enabled", "is_grad_enabled",
    "is_inference_mode_enabled", "jit", "kernels", "layout", "linalg", "load", "load_safetensors",
    "masked", "memory_format", "multiprocessing", "nan", "newaxis", "nn", "no_grad", "optim",
    "OutOfMemoryError", "overrides", "pi", "preserve_format", "printoptions", "profile", "profiler",
    "promote_types", "random", "realize", "RecompileError", "recompiles", "save",
    "save_safetensors", "set_autocast_dtype", "set_default_device", "set_default_dtype",
    "set_float32_matmul_precision", "set_grad_enabled", "set_num_threads", "set_printoptions",
    "signal", "Size", "sparse", "sparse_coo", "sparse_csc", "sparse_csr", "special", "stats",
    "Stream", "strided", "Tensor", "testing", "typename", "types", "utils", "version", "vmap",
    *_PUBLIC, *_DTYPES, *_TYPED_CLASSES, *_STORAGE_CLASSES,
]  # fmt: skip
__version__ = version.__version__
