"""Hooks on what backward saves: torch.autograd.graph.saved_tensors_hooks and its relatives.

Nothing is saved here, the recorded graph has it all. With hooks, each recorded call packs the
values that its gradient reads, and where backward comes to the call, its gradient is computed from
what was unpacked.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, TensorType, substitute
from codegen.ops.calls import call as call_node
from codegen.ops.leaves import parameter
from codegen.ops.reduction import full
from lazytorch import core
from lazytorch.application import pack_reads as packs_reads
from lazytorch.application import refuse_saving as refuses_saving
from lazytorch.autograd.grad_mode import saved_hooks
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.walk import gradient_reads
from lazytorch.expression import (
    Call,
    Expression,
    Function,
    Overwritten,
    SharedSince,
    Signature,
    all_functions,
    hooks_of,
    node_state,
)
from lazytorch.importer import GRADIENT, TANGENT
from lazytorch.recording import record, untracked
from lazytorch.tensor import Tensor, wrap
from lazytorch.view_history import CANNOT_SAVE

Pack = Callable[[Tensor], Any]
Unpack = Callable[[Any], Tensor]

_NESTED = "allow_mutation_on_saved_tensors contexts cannot be nested"


class saved_tensors_hooks:
    """Within, ``pack_hook`` gets each tensor that backward will read, and ``unpack_hook`` makes a
    tensor again of what that returned.

    >>> with torch.autograd.graph.saved_tensors_hooks(lambda x: x.tolist(), torch.tensor):
    ...     x = torch.tensor([1.0, 2.0], requires_grad=True)
    ...     y = x * x
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pack_hook: Pack, unpack_hook: Unpack) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if grad_state.hooks_refused is not None:
            raise RuntimeError(grad_state.hooks_refused)
        saved_hooks.used = True
        grad_state.saved_hooks = (*grad_state.saved_hooks, (self.pack_hook, self.unpack_hook))

    def __exit__(self, *_: object) -> None:
        grad_state.saved_hooks = grad_state.saved_hooks[:-1]


class save_on_cpu(saved_tensors_hooks):
    """Within, what backward will read is kept in the host's memory; ``pin_memory`` does nothing."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: (x.device, x.cpu()), lambda packed: packed[1].to(packed[0]))


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within, ``saved_tensors_hooks`` raises a RuntimeError of this text."""
    before = grad_state.hooks_refused
    if grad_state.saved_hooks:
        raise RuntimeError(error_message)
    grad_state.hooks_refused = error_message
    try:
        yield
    finally:
        grad_state.hooks_refused = before


class _AllowMutationOnSavedContext:
    """What ``allow_mutation_on_saved_tensors`` gives."""

    def clear(self) -> None:
        """Does nothing: values that backward reads are never overwritten here."""


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_AllowMutationOnSavedContext]:
    """Within, backward reads saved values as they were, also where they were written to since."""
    if grad_state.mutation_allowed:
        raise RuntimeError(_NESTED)
    grad_state.mutation_allowed = True
    try:
        yield _AllowMutationOnSavedContext()
    finally:
        grad_state.mutation_allowed = False


class Packed:
    """A value that was packed, and how it is unpacked.

    The hook is given the tensor that the value was ``read_from``, so what is written there later is
    read by backward: versions are not checked through hooks. Of what an operation in place writes
    over, and of an output, it is given a copy.
    """

    __slots__ = ("packed", "shown", "unpack_hook")

    def __init__(self, value: Expression, read_from: Any = None) -> None:
        pack_hook, self.unpack_hook = grad_state.saved_hooks[-1]
        with quietly():
            if isinstance(read_from, Tensor) and read_from._type == value.type:
                shown = read_from
            else:
                shown = wrap(record(core.IDENTITY, (value,), (), value.tracked)[0])
            self.shown = weakref.ref(shown)
            self.packed = pack_hook(shown)

    def follow(self, output: Expression) -> None:
        """Let what was packed of an output, before that had any, show the output's memory."""
        shown, owner = self.shown(), output.owner
        if shown is None or type(owner) is SharedSince or owner is None:
            return
        storage = owner.storage() if type(owner) is Overwritten else owner()  # type: ignore[operator]
        if storage is not None and storage.expression.type == output.type:
            shown._storage = storage

    def unpack(self) -> Tensor:
        found = self.unpack_hook(self.packed)
        if not isinstance(found, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(found).__name__}"
            )
        return found


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Nothing is packed or recorded within: a hook is at work."""
    hooks, enabled = grad_state.saved_hooks, grad_state.enabled
    grad_state.saved_hooks, grad_state.enabled = (), False
    try:
        yield
    finally:
        grad_state.saved_hooks, grad_state.enabled = hooks, enabled


def pack_reads(outputs: Sequence[Expression], read_from: Sequence[Any]) -> None:
    """Pack what the gradient of a call on ``read_from`` reads; ``outputs`` are all that it made."""
    call = outputs[0].call
    if call is None or not call.tracked or call.signature.function in _NEVER_PACKED:
        return
    tracked = frozenset([i for i, e in enumerate(call.inputs) if e.tracked])
    inputs, results = gradient_reads(call.signature, tracked)
    if read_from[0] is grad_state.written:
        read_from = (None, *read_from[1:])
    packed = [(True, i, Packed(call.inputs[i], read_from[i])) for i in sorted(inputs)
              if not call.inputs[i].type.weak]  # fmt: skip
    packed += [(False, i, Packed(outputs[i])) for i in sorted(results)]
    if packed:
        state = node_state(call)
        state.packed = packed
        for e in outputs:
            hooks_of(e).node = state


packs_reads.append(pack_reads)


def refuse_saving(
    signature: Signature, inputs: Sequence[Any], expressions: Sequence[Expression]
) -> None:
    """Raise where the gradient of a call would read an inference tensor among its inputs."""
    made = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x._storage.is_inference()]
    if made and signature.function not in _NEVER_PACKED:
        tracked = frozenset([i for i, e in enumerate(expressions) if e.tracked])
        if not gradient_reads(signature, tracked)[0].isdisjoint(made):
            raise RuntimeError(CANNOT_SAVE)


refuses_saving.append(refuse_saving)
_NEVER_PACKED = (GRADIENT, TANGENT, core.CUSTOM, core.VIEW, core.REPLACE_VALUE)


# ---- the gradient of a call from what was saved -------------------------------------------------


def _gradient(
    nodes: Sequence[Node],
    name: str,
    attributes: tuple[Any, ...],
    types: tuple[TensorType, ...],
    tracked: tuple[int, ...],
    read: tuple[tuple[bool, int], ...],
    arrived: tuple[int, ...],
) -> Sequence[Node]:
    """The cotangents of the ``tracked`` inputs, of nodes for what is ``read`` and for the outputs'
    cotangents that have ``arrived``."""
    (function,) = [f for f in all_functions() if f.name == name]
    template = function.signature(types, attributes).template
    inputs = template.parameters
    seeds = {i: parameter(_SEED + i, template.outputs[i].type) for i in arrived}
    if template.gradient is not None:
        made = [call_node(template, inputs, i) for i in range(len(template.outputs))]
        none: Node | None = None
        parts = template.gradient(
            inputs,
            made,
            [seeds.get(i, none) for i in range(len(made))],
        )
        found = [parts[i] or full(0, types[i].shape, types[i].dtype) for i in tracked]
    else:
        made = inline_plain(template.outputs)
        roots = [made[i] for i in arrived]
        found = cotangents(roots, list(seeds.values()), {}, [inputs[i] for i in tracked])
    places = [inputs[i] if of_input else made[i] for of_input, i in read]
    return substitute(found, dict(zip([*places, *seeds.values()], nodes, strict=True)))


_SEED = 1000

SAVED_GRADIENT = Function("gradient_of_saved", lambda *all_: _gradient(all_[:-6], *all_[-6:]))


def gradients_of_saved(
    call: Call, packed: Sequence[tuple[bool, int, Packed]], given: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of a call's inputs from what was packed, given those of its outputs."""
    create_graph = grad_state.enabled
    outputs = [reference() for reference in call.outputs]
    values: list[Expression] = []
    for of_input, i, item in packed:
        original = call.inputs[i] if of_input else outputs[i]
        if not of_input and original is not None:
            item.follow(original)
        value = item.unpack()._read()
        if create_graph and original is not None and original.tracked:
            # Further derivatives go on to what was packed.
            value = record(core.REPLACE_VALUE, (untracked(value), original), (), True)[0]
        values.append(value)
    arrived = tuple([i for i, g in enumerate(given) if g is not None])
    seeds = [g._read() for g in given if g is not None]
    tracked = tuple([i for i, e in enumerate(call.inputs) if e.tracked])
    read = tuple([(of_input, i) for of_input, i, _ in packed])
    signature = call.signature
    weak = [(True, i) for i, t in enumerate(signature.input_types) if t.weak]
    read += tuple(weak)
    values += [call.inputs[i] for _, i in weak]
    attributes = (
        signature.function.name, signature.attributes, signature.input_types, tracked, read, arrived
    )  # fmt: skip
    inputs = (*values, *seeds)
    tracks = create_graph and any([e.tracked for e in inputs])
    made = record(SAVED_GRADIENT, inputs, attributes, tracks)
    found = dict(zip(tracked, made, strict=True))
    return [wrap(found[i]) if i in found else None for i in range(len(call.inputs))]
