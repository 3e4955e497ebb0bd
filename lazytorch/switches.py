"""Settings of a process that PyTorch has: determinism, denormal numbers, warnings, threads.

Most hold by themselves here: the same program on as many threads gives the same bits.
"""

from __future__ import annotations

import os
from typing import Any

from lazytorch.tensor import Tensor


class _Switches:
    deterministic = False
    warn_only = False
    warn_always = False
    between_threads = os.cpu_count() or 1


_state = _Switches()
_MODES = ("default", "warn", "error")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Kept for scripts: every operation here is deterministic already."""
    _state.deterministic, _state.warn_only = bool(mode), bool(warn_only) and bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether ``use_deterministic_algorithms`` asked for them."""
    return _state.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it asked for warnings in place of errors."""
    return _state.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same by a name or number: 0 "default", 1 "warn", 2 "error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        debug_mode = _MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2, as ``set_deterministic_debug_mode`` takes it."""
    return 0 if not _state.deterministic else 1 if _state.warn_only else 2


def set_flush_denormal(mode: bool) -> bool:
    """False: numbers below the smallest normal one always stay, as without this call."""
    return False


def set_warn_always(b: bool, /) -> None:
    """Kept for scripts: warnings are Python's, whose filters decide."""
    if not isinstance(b, bool):
        raise TypeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _state.warn_always = b


def is_warn_always_enabled() -> bool:
    """Whether ``set_warn_always`` was called with True."""
    return _state.warn_always


def get_num_interop_threads() -> int:
    """What ``set_num_interop_threads`` chose; plans run one after another."""
    return _state.between_threads


def set_num_interop_threads(count: int) -> None:
    """Kept for scripts: plans run one after another."""
    if not isinstance(count, int):
        raise TypeError(f"set_num_interop_threads expects an int, but got {type(count).__name__}")
    if count < 1:
        raise RuntimeError("expected positive number of threads")
    _state.between_threads = count


def typename(obj: Any, /) -> str:
    """The name of an object's type, with its module: of a tensor, "torch.FloatTensor"."""
    if isinstance(obj, Tensor):
        return str(obj.type())
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None)
    if module in (None, "", "builtins"):
        return str(named.__qualname__)
    return f"{module}.{named.__qualname__}"


def compiled_with_cxx11_abi() -> bool:
    """True, as PyTorch's on Linux."""
    return True


def is_vulkan_available() -> bool:
    """False: there is no such device."""
    return False


__all__ = [
    "are_deterministic_algorithms_enabled", "compiled_with_cxx11_abi",
    "get_deterministic_debug_mode", "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled", "is_vulkan_available",
    "is_warn_always_enabled", "set_deterministic_debug_mode", "set_flush_denormal",
    "set_num_interop_threads", "set_warn_always", "typename", "use_deterministic_algorithms",
]  # fmt: skip
