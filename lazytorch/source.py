"""The user's line behind a call: the innermost frame that is neither ours nor Python's own."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from sys import _getframe
from types import CodeType, FrameType

import codegen
from lazytorch.expression import PLACES_NOTED, Call, all_functions

_OURS = (str(Path(__file__).parent) + os.sep, str(Path(codegen.__file__).parent) + os.sep)
_PYTHON = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")}
    | {_PYTHON + "site-packages" + os.sep, _PYTHON + "dist-packages" + os.sep}
)


class _Internal(dict[str, bool]):
    """Whether a file is ours or Python's own; decided once a file."""

    def __missing__(self, filename: str) -> bool:
        library = filename.startswith(_PYTHON) and not filename.startswith(_INSTALLED)
        found = library or filename.startswith((*_OURS, "<frozen "))
        self[filename] = found
        return found


_internal = _Internal()
_always = False


def is_internal(filename: str) -> bool:
    """Whether a file is ours or Python's own, not the user's or another library's."""
    return _internal[filename]


def every_line_is_noted() -> bool:
    """Whether ``record_lines`` is on."""
    return _always


def note_place(call: Call) -> None:
    """Remember in a call, while it is recorded, which user code makes it."""
    frame: FrameType | None = _getframe(2)
    while frame is not None and _internal[frame.f_code.co_filename]:
        frame = frame.f_back
    if frame is not None:
        call.place = call.signature.place = (frame.f_code, frame.f_lasti)
    if not _always:
        call.signature.places_left -= 1


def record_lines(always: bool = True) -> None:
    """Note the user's line of every call from now on (1 µs each).

    Otherwise only the first calls of each kind are noted: enough for the first steps of a loop.
    """
    global _always
    _always = always
    if not always:
        return
    for function in all_functions():
        function.plain_pairs.clear()
        for signature in function.signatures.values():
            signature.places_left = PLACES_NOTED


def records_all() -> bool:
    """Whether every call's line is noted."""
    return _always


def line_number(code: CodeType, instruction: int) -> int:
    """The line of the instruction at this offset in the code."""
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def lines_of(call: Call) -> tuple[str, ...]:
    """``file:line``, with the file as seen from the current folder; nothing where unknown."""
    return () if call.place is None else (_words(*call.place),)


def likely_lines_of(call: Call) -> tuple[str, ...]:
    """As ``lines_of``; where that is unknown, the line of the last such call that was noted."""
    place = call.place or call.signature.place
    return () if place is None else (_words(*place),)


def _words(code: CodeType, instruction: int) -> str:
    name = code.co_filename.removeprefix(os.getcwd() + os.sep)
    return f"{name}:{line_number(code, instruction)}"
