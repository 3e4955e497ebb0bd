"""Check mode: every kernel against the interpreter, and the first NaN or infinity, at its line."""

from __future__ import annotations

from types import TracebackType

from codegen.errors import CheckError
from lazytorch import source
from lazytorch.realize import checking

__all__ = ["CheckError", "check"]


class check:
    """Run every kernel against the interpreter inside; ``LAZYTORCH_CHECK=1`` does so everywhere.

    Each kernel runs alone, and what it stored is compared with the interpreter's result on the
    same inputs, with room for what rounding can do to these very operations and numbers.
    The first that differs, and the first that makes a NaN or an infinity out of finite numbers,
    raises ``CheckError`` with the user's line, the inputs' ranges and the kernel's source file.
    What counts is where a value is computed, not where it was recorded. Slow: for finding a
    mistake, not for training.

    >>> with lazytorch.inspect.check():
    ...     print((lazytorch.ones(2) + 1).tolist())
    [2.0, 2.0]
    """

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._before = (False, False)

    def __enter__(self) -> check:
        self._before = checking.active, source.records_all()
        checking.active = self._enabled
        source.record_lines(self._enabled or self._before[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        checking.active = self._before[0]
        source.record_lines(self._before[1])


if checking.active:
    source.record_lines(True)
