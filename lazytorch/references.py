"""How many references an object has beside those that the asker knows of.

CPython counts a name's or an attribute's reference differently from version to version, so the
counts are measured here once rather than assumed.
"""

from __future__ import annotations

import sys
from typing import Any


class _Holder:
    __slots__ = ("held",)
    held: object


def _count_of_a_name() -> int:
    item = object()
    return sys.getrefcount(item)


def _count_of_an_attribute() -> int:
    holder = _Holder()
    holder.held = object()
    return sys.getrefcount(holder.held)


# sys.getrefcount of an object that only the asking function's local name refers to.
BY_NAME = _count_of_a_name()
# … of an object that only the attribute refers to, through which it is asked about.
BY_ATTRIBUTE = _count_of_an_attribute()

count: Any = sys.getrefcount
