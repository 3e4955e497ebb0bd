"""Anomaly mode: which operation of the forward a failing backward belongs to."""

from __future__ import annotations

import linecache
import threading
import warnings
from typing import Any

from lazytorch.expression import Call
from lazytorch.source import line_number, record_lines

__all__ = ["detect_anomaly", "set_detect_anomaly"]


class _State(threading.local):
    enabled = False
    check_nan = True


state = _State()


def is_anomaly_enabled() -> bool:
    return state.enabled


def is_anomaly_check_nan_enabled() -> bool:
    return state.check_nan


def checks_numbers() -> bool:
    """Whether backward looks at what each node sends on."""
    return state.enabled and state.check_nan


def _set(enabled: bool, check_nan: bool) -> None:
    if enabled and not state.enabled:
        record_lines(True)
    elif state.enabled and not enabled:
        record_lines(False)
    state.enabled, state.check_nan = enabled, check_nan


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Turn anomaly mode on or off."""
    _set(enabled, check_nan)


class set_detect_anomaly:
    """Turn anomaly mode on or off; as a context manager, until its end."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (state.enabled, state.check_nan)
        _set(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        _set(*self._before)


class detect_anomaly:
    """Within, an error in backward names the line of the forward, and a NaN is an error.

    Every gradient is computed and looked at on its own: for finding mistakes alone.

    >>> x = torch.tensor(-1.0, requires_grad=True)
    >>> with torch.autograd.detect_anomaly(check_nan=False):
    ...     x.square().backward()
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._before = (state.enabled, state.check_nan)
        _set(True, self.check_nan)

    def __exit__(self, *_: Any) -> None:
        _set(*self._before)


def warn_of(call: Call, name: str) -> None:
    """Say on which line of the forward a call was made whose backward fails."""
    if call.place is None:
        warnings.warn(
            f"Error detected in {name}. No forward pass information available. Enable detect "
            "anomaly during forward pass for more information.",
            stacklevel=2,
        )
        return
    code, instruction = call.place
    line = line_number(code, instruction)
    text = linecache.getline(code.co_filename, line).strip()
    warnings.warn(
        f"Error detected in {name}. Traceback of forward call that caused the error:\n"
        f'  File "{code.co_filename}", line {line}, in {code.co_name}\n    {text}\n',
        stacklevel=2,
    )
