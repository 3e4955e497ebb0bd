"""What the two runs of a checkpointed part save for its gradients, held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazytorch import core
from lazytorch.autograd.reads import asked_for, gradient_saves
from lazytorch.autograd.walk import node_name
from lazytorch.device import Device
from lazytorch.expression import Call, Expression
from lazytorch.importer import GRADIENT, TANGENT
from lazytorch.size import Size


class CheckpointError(RuntimeError):
    """The two runs of a checkpointed part differ."""


Kind = dict[str, Any]

_TIP = """
Tip: To see a more detailed error message, either pass `debug=True` to
`torch.utils.checkpoint.checkpoint(...)` or wrap the code block
with `with torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to
enable checkpoint‑debug mode globally.
"""
_NUMBERS = (
    "torch.utils.checkpoint: A different number of tensors was saved during the original forward "
    "and recomputation.\nNumber of tensors saved during forward: {}\nNumber of tensors saved "
    "during recomputation: {}.\n"
)
_MORE = (
    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the "
    "original forward pass.\n"
)
_KINDS = (
    "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata "
    "than during the forward pass.\n"
)
_DEBUG = """\
 An error happened while unpacking tensors; dumping logs of latest computation
because you passed `debug=True` to `torch.utils.checkpoint.checkpoint()`.

Operations executed during the original forward:

{}

Operations executed during recomputation:

{}
"""


class PartRun:
    """One run of a part: what its calls saved, in the order in which they were recorded."""

    def __init__(self, calls: Sequence[Call]) -> None:
        calls = sorted(calls, key=lambda call: call.sequence)
        self.names = [node_name(call) for call in calls]
        self.saved = [kind for call in calls for kind in _saved_by(call)]


def compare(first: PartRun, second: PartRun, *, kinds: bool, early_stop: bool, debug: bool) -> None:
    """Raise CheckpointError as PyTorch does where the second run saved something else."""
    error = _difference(first, second, kinds, early_stop)
    if error is None:
        return
    if debug:
        logs = [
            "\n".join(
                [f"{name}   ({i + 1} of {len(run.names)})" for i, name in enumerate(run.names)]
            )
            for run in (first, second)
        ]
        raise CheckpointError(_DEBUG.format(*logs)) from error
    raise error


def other_results(first: int, second: int) -> CheckpointError:
    """Of runs that give different numbers of results, or read different numbers of values."""
    return CheckpointError(_NUMBERS.format(first, second) + _TIP)


def other_kinds(before: Sequence[Kind], now: Sequence[Kind]) -> CheckpointError | None:
    """Of runs where tensors have other shapes, types or devices."""
    differing = [
        f"tensor at position {i}:\nsaved metadata: {a}\nrecomputed metadata: {b}\n"
        for i, (a, b) in enumerate(zip(before, now, strict=False))
        if a != b
    ]
    return CheckpointError(f"{_KINDS}{''.join(differing)}.\n{_TIP}") if differing else None


def _difference(
    first: PartRun, second: PartRun, kinds: bool, early_stop: bool
) -> CheckpointError | None:
    before, now = len(first.saved), len(second.saved)
    if now > before and not early_stop:
        return CheckpointError(_MORE + _TIP)
    if now < before:
        return other_results(before, now)
    return other_kinds(first.saved, second.saved) if kinds else None


def _saved_by(call: Call) -> list[Kind]:
    """What PyTorch's node of a call saves: inputs, then results."""
    function = call.signature.function
    if function is core.CUSTOM:
        saved = [s for s in call.node.custom._saved or () if s is not None]
        return [{name: getattr(s, name) for name in ("shape", "dtype", "device")} for s in saved]
    if function in (GRADIENT, TANGENT):
        return [kind_of(i) for i in call.inputs if not i.type.weak]
    inputs, outputs = gradient_saves(call.signature, asked_for(call.inputs))
    results = [e for e in [reference() for reference in call.outputs] if e is not None]
    read = [call.inputs[i] for i in sorted(inputs) if not call.inputs[i].type.weak]
    return [kind_of(e) for e in [*read, *[e for e in results if e.number in outputs]]]


def kind_of(e: Expression) -> Kind:
    """What is compared of a tensor."""
    return {"shape": Size(e.type.shape), "dtype": e.type.dtype, "device": Device(e.device)}
