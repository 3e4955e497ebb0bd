"""What an error says besides its message: lines that its traceback does not have."""

from __future__ import annotations

from codegen.errors import CodegenError
from lazytorch import source
from lazytorch.expression import Call


def is_explained(error: BaseException) -> bool:
    """Whether something was added to an error already."""
    return getattr(error, "lazytorch_explained", False)


def add(error: BaseException, text: str) -> None:
    """Let an error say something more: in the message of an error of the engine's own; elsewhere,
    where the message is PyTorch's or the user's, in a note (before Python 3.11 in the message)."""
    if not text:
        return
    error.lazytorch_explained = True  # type: ignore[attr-defined]
    if hasattr(error, "add_note") and not isinstance(error, CodegenError):
        error.add_note(text)
    elif len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{text}",)


def add_forward_line(error: BaseException, call: Call, name: str) -> None:
    """Name the line of the forward that a failing backward belongs to."""
    lines = () if is_explained(error) else source.likely_lines_of(call)
    if lines:
        add(error, f"This is in the backward of {name}, which was recorded at {lines[0]}.")


def add_overwritten_lines(error: BaseException, made: Call | None, written: Call | None) -> None:
    """Name the lines where a value that backward reads was made, and written to."""
    parts = [
        f"{what} at {lines[0]}"
        for what, call in (("computed", made), ("overwritten", written))
        if call is not None and (lines := source.likely_lines_of(call))
    ]
    if parts:
        add(
            error,
            f"The value was {' and '.join(parts)}: write into a clone() of it, or make the "
            "operation not an in-place one.",
        )


def add_replayed(error: BaseException, function: object) -> None:
    """Name the compiled function in whose replay something failed: no line of it was run."""
    code = getattr(function, "__code__", None)
    if code is not None and not is_explained(error):
        add(
            error,
            f"It ran in a replay of {code.co_name} ({code.co_filename}:{code.co_firstlineno}): "
            "called without compile, the error names the line inside.",
        )
