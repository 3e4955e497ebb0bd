"""autocast: products in a lower precision, losses in float32, within a context."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.autocasting import active, device_type, state
from lazytorch.device import Device
from lazytorch.tensor import Tensor

_DEVICES = ("cpu", "cuda")


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows devices of this type."""
    return Device(device_type).type in _DEVICES


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on for a type of device; of GPUs where none is given, as in PyTorch."""
    if device_type is None:
        return state.enabled.get("cuda", False)
    if not isinstance(device_type, str):
        raise TypeError(
            "is_autocast_enabled(): argument 'device_type' (position 1) must be str, not "
            f"{type(device_type).__name__}"
        )
    return state.enabled.get(Device(device_type).type, False)


def get_autocast_dtype(device_type: str) -> DType:
    """The lower precision of a type of device."""
    kind = Device(device_type).type
    if kind not in state.dtypes:
        raise RuntimeError("unsupported scalarType")
    return state.dtypes[kind]


def set_autocast_dtype(device_type: str, dtype: DType) -> None:
    """Set the lower precision of a type of device."""
    if not isinstance(dtype, DType):
        raise TypeError(
            "set_autocast_dtype(): argument 'dtype' (position 2) must be torch.dtype, not "
            f"{type(dtype).__name__}"
        )
    state.dtypes[device_type] = dtype


def is_autocast_cache_enabled() -> bool:
    return state.cache_enabled


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Turn autocast on or off for a type of device; with one argument, for GPUs."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    if bool(enabled) != state.enabled.get(device_type, False):
        # Functions look at types of devices only where an autocast is active at all.
        active.count += 1 if enabled else -1
    state.enabled[device_type] = bool(enabled)


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether casts of weights are kept until autocast ends."""
    state.cache_enabled = enabled


def clear_autocast_cache() -> None:
    """Nothing is kept: the compiler makes equal casts one."""


_nesting = [0]


def autocast_increment_nesting() -> int:
    """Count an autocast that a user enters by hand."""
    _nesting[0] += 1
    return _nesting[0]


def autocast_decrement_nesting() -> int:
    """Count an autocast that a user leaves by hand."""
    _nesting[0] -= 1
    return _nesting[0]


# The names of old, for one type of device each.
is_autocast_cpu_enabled = functools.partial(is_autocast_enabled, "cpu")
set_autocast_cpu_enabled = functools.partial(set_autocast_enabled, "cpu")
get_autocast_cpu_dtype = functools.partial(get_autocast_dtype, "cpu")
set_autocast_cpu_dtype = functools.partial(set_autocast_dtype, "cpu")
get_autocast_gpu_dtype = functools.partial(get_autocast_dtype, "cuda")
set_autocast_gpu_dtype = functools.partial(set_autocast_dtype, "cuda")


NAMES_OF_TORCH = (
    "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache",
    "get_autocast_cpu_dtype", "get_autocast_gpu_dtype", "is_autocast_cpu_enabled",
    "set_autocast_cache_enabled", "set_autocast_cpu_dtype", "set_autocast_cpu_enabled",
    "set_autocast_enabled", "set_autocast_gpu_dtype",
)  # fmt: skip


class autocast:
    """Within (or in a function that this decorates), matrix products and convolutions run in
    ``dtype``, losses in float32; everything else in the type of its inputs.

    >>> x = torch.ones(2, 2)
    >>> with torch.autocast("cpu"):
    ...     (x @ x).dtype
    torch.bfloat16
    """

    def __init__(
        self,
        device_type: str,
        dtype: DType | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        _need_name(device_type)
        if not is_autocast_available(device_type):
            raise RuntimeError(
                f"User specified an unsupported autocast device_type '{device_type}'"
            )
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and self.fast_dtype not in (dt.bfloat16, dt.float16):
            warnings.warn(
                f"In {device_type.upper()} autocast, but the target dtype is not supported. "
                f"Disabling autocast.\n{device_type.upper()} Autocast only supports dtypes of "
                "torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._cache = state.cache_enabled if cache_enabled is None else cache_enabled
        self._before: list[tuple[bool, DType, bool]] = []

    def __enter__(self) -> autocast:
        device = self.device
        before = (state.enabled.get(device, False), state.dtypes[device], state.cache_enabled)
        self._before.append(before)
        state.enabled[device], state.dtypes[device] = self._enabled, self.fast_dtype
        state.cache_enabled = self._cache
        active.count += 1
        return self

    def __exit__(self, *_: Any) -> None:
        enabled, dtype, state.cache_enabled = self._before.pop()
        state.enabled[self.device], state.dtypes[self.device] = enabled, dtype
        active.count -= 1

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return decorated


def _cast(value: Any, device: str, dtype: DType) -> Any:
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.dtype is not dt.float64
        return value.to(dtype) if fits and device_type(value._storage.device) == device else value
    if isinstance(value, dict):
        return {_cast(k, device, dtype): _cast(v, device, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_cast(v, device, dtype) for v in value])
    return value


def _need_name(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: DType | None = None,
) -> Any:
    """Decorate the ``forward`` of a Function: ``backward``, under ``custom_bwd``, then runs with
    the same autocast. With ``cast_inputs``, inputs are cast and autocast is off within."""
    _need_name(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    function = fwd

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        context._dtype = get_autocast_dtype(device_type)
        enabled = is_autocast_enabled(device_type)
        if cast_inputs is None or not enabled:
            context._fwd_used_autocast = enabled
            return function(*args, **kwargs)
        context._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return function(
                *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs)
            )

    return decorated


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorate the ``backward`` of a Function whose forward ``custom_fwd`` decorates."""
    _need_name(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    function = bwd

    @functools.wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        with autocast(device_type, context._dtype, context._fwd_used_autocast):
            return function(*args, **kwargs)

    return decorated
