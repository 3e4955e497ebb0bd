"""Late errors: what goes wrong when a plan is made or run names the lines that recorded it.

The traceback of such an error shows where a value was asked for, which may be far from where it was
defined. Nothing is kept for this while all goes well: what failed is traced again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codegen.errors import (
    CheckError,
    CompileError,
    HostCallError,
    OutOfMemoryError,
    VerifyError,
)
from codegen.ir import provenance
from codegen.pipeline import compile_for
from lazytorch import realize, source
from lazytorch.expression import Call, Expression
from lazytorch.importer import import_graph
from lazytorch.late_errors import add, is_explained
from lazytorch.recompiles import RecompileError
from lazytorch.trace import Trace

_MOST_LINES = 4

_ON_THE_INTERPRETER = (
    'Report it with the kernel\'s file; on device="interpreter" the program runs without kernels.'
)
_ADVICE: dict[type[Exception], str] = {
    CompileError: _ON_THE_INTERPRETER,
    VerifyError: _ON_THE_INTERPRETER,
    OutOfMemoryError: (
        "Make what is computed there smaller (a smaller batch), or let go of tensors that are not "
        "needed any more; explain(t) tells before a run what it takes."
    ),
    HostCallError: (
        "Look at its input for infinities and NaN: with LAZYTORCH_CHECK=1 the first one is named "
        "at its line."
    ),
}


def explain_failure(error: Exception, roots: Sequence[Expression]) -> None:
    """Add to what realizing ``roots`` raised the user's lines that it belongs to, and what to do.

    The text becomes part of the message where the error is the engine's own. Of other errors the
    message is PyTorch's; there it becomes a note (from Python 3.11 on; part of the message before).
    """
    if isinstance(error, (CheckError, RecompileError)) or is_explained(error):
        return
    try:
        trace = _failed(roots)
        lines = () if trace is None else _lines(error, trace)
    except Exception:  # what is wrong may be wrong again; the error itself is worth more
        lines = ()
    advice = _ADVICE.get(type(error), "")
    if lines:
        advice = f"It computes what was recorded at {_listed(lines)}. {advice}".rstrip()
    add(error, advice)


def _failed(roots: Sequence[Expression]) -> tuple[Trace, str] | None:
    """The first trace of those that would have been run which has not."""
    pending = realize.pending_with(roots)
    for device in sorted({e.device for e in pending}):
        chosen = [e for e in pending if e.device == device and e.value is None]
        if chosen:
            return Trace(chosen), device
    return None


def _lines(error: Exception, failed: tuple[Trace, str]) -> Sequence[str]:
    trace, device = failed
    names = getattr(error, "kernels", ())
    if names:
        with provenance.recording():
            graph, _ = import_graph(trace)
            record = compile_for(graph, device, realize.describe(trace, device)).record
        lines = _distinct([line for k in record.kernels if k.name in names for line in k.lines])
        if lines:
            return lines
    calls: Sequence[Call] = trace.calls
    if isinstance(error, OutOfMemoryError):  # where most would be stored
        calls = sorted(calls, key=_bytes, reverse=True)[:1]
    return _distinct([line for call in calls for line in source.likely_lines_of(call)])


def _bytes(call: Call) -> int:
    return sum([t.nbytes for t in call.signature.output_types])


def _distinct(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _listed(lines: Sequence[str]) -> str:
    """The lines in words: the last ones, which are nearest to what was asked for."""
    shown = ", ".join(lines[-_MOST_LINES:])
    more = len(lines) - _MOST_LINES
    return f"{shown}, and {more} lines before" if more > 0 else shown


realize.explain_failure.append(explain_failure)
