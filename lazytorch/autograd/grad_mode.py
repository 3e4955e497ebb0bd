"""Whether operations are recorded for backward: a switch of each thread, and its contexts."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class GradState(threading.local):
    """Each thread's own switches."""

    enabled = True  # whether operations are recorded
    inference = False
    wanted = True  # what the program has set: inference mode records nothing all the same
    # Hooks on what backward saves (saved.py): pairs that pack and unpack, the innermost last.
    saved_hooks: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = ()
    hooks_refused: str | None = None  # why there may be none
    mutation_allowed = False  # whether saved values may have been written to since
    # The call whose results hooks wait for, until there are tensors of them; the tensor that is
    # about to be written in place, and what waits until it is.
    waiting: Any = None
    written: Any = None
    waiting_for_write: list[Any] | None = None


state = GradState()


class _InferenceMode:
    """``used``: whether any thread ever entered it; until then nobody looks for its tensors."""

    used = False


inference = _InferenceMode()


class _Unusual:
    """``active``: contexts that threads are in, of inference mode and of hooks on what backward
    saves."""

    def __init__(self) -> None:
        self.active: list[Any] = []


unusual = _Unusual()


def is_grad_enabled() -> bool:
    return state.enabled or (state.inference and state.wanted)


def is_inference_mode_enabled() -> bool:
    return state.inference


def _set(mode: bool) -> None:
    state.wanted, state.enabled = mode, mode and not state.inference


class _GradContext:
    """A context manager, also usable as a decorator, that sets the switch and puts it back."""

    _mode = True
    _inference: bool | None = None

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((state.enabled, state.inference, state.wanted))
        if self._inference is not None:
            state.inference = self._inference
            if self._inference:
                inference.used = True
                unusual.active.append(self)
        _set(self._mode)

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        state.enabled, state.inference, state.wanted = self._before.pop()
        if self._inference:
            unusual.active.remove(self)

    def clone(self) -> _GradContext:
        return type(self)()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            sent = None
            while True:
                try:
                    with self.clone():
                        item = generator.send(sent)
                except StopIteration as stop:
                    return stop.value
                sent = yield item

        return wrapper


class no_grad(_GradContext):
    """Operations inside are not recorded for backward."""

    _mode = False

    def __new__(cls, function: Any = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__()


class enable_grad(no_grad):
    """Operations inside are recorded for backward, also within no_grad."""

    _mode = True


class inference_mode(_GradContext):
    """no_grad, whose new tensors are inference tensors: outside, they are neither written to nor
    saved for backward.

    >>> with torch.inference_mode():
    ...     x = torch.ones(2)
    >>> x.is_inference(), x.clone().is_inference()
    (True, False)
    """

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls(True)(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__()
        self._mode = not mode
        self._inference = bool(mode)

    def clone(self) -> _GradContext:
        return type(self)(bool(self._inference))


class set_multithreading_enabled(contextlib.ContextDecorator):
    """Does nothing: one thread runs backward in any case, its kernels run on all."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass


class set_grad_enabled(_GradContext):
    """Sets the switch at once; as a context manager puts it back at the end."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(
                "set_grad_enabled(): argument 'enabled' (position 1) must be bool, not "
                f"{type(mode).__name__}"
            )
        self._mode = mode
        self._earlier = (state.enabled, state.inference, state.wanted)
        _set(self._mode)

    def __enter__(self) -> None:
        self._before.append(self._earlier)
        _set(self._mode)

    def clone(self) -> _GradContext:
        return type(self)(self._mode)

    def __call__(self, function: F) -> F:
        state.enabled, _, state.wanted = self._earlier
        return super().__call__(function)
