"""Versions: PyTorch's, whose names and behaviour these are, and the package's own."""

from __future__ import annotations

import re
from typing import Any

# The package's version; pyproject.toml has the same.
package = "0.1.0"


class TorchVersion(str):
    """A version that compares by its numbers, with text or with a tuple of numbers.

    >>> TorchVersion("2.13.0+lazytorch0.1.0") >= "2.4", TorchVersion("2.13.0") < (2, 2)
    (True, False)
    """

    __hash__ = str.__hash__

    def _numbers(self, other: Any) -> tuple[list[int], list[int]]:
        def parts(version: Any) -> list[int]:
            if isinstance(version, str):
                version = re.findall(r"\d+", version.partition("+")[0])
            return [int(part) for part in version]

        mine, theirs = parts(self), parts(other)
        length = max(len(mine), len(theirs))
        return mine + [0] * (length - len(mine)), theirs + [0] * (length - len(theirs))

    def _comparable(self, other: Any) -> bool:
        return isinstance(other, (str, tuple, list))

    def __eq__(self, other: object) -> bool:
        if not self._comparable(other) or str(self) == other:
            return str(self) == other
        mine, theirs = self._numbers(other)
        return mine == theirs

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        mine, theirs = self._numbers(other)
        return mine < theirs

    def __le__(self, other: Any) -> bool:
        mine, theirs = self._numbers(other)
        return mine <= theirs

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        return not self < other


# Scripts ask for it to choose among PyTorch's ways to do something.
__version__ = TorchVersion(f"2.13.0+lazytorch{package}")
debug = False
git_version = "unknown"
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
