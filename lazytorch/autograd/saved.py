"""Hooks on what backward saves: torch.autograd.graph.saved_tensors_hooks and its relatives.

Nothing is saved here, the recorded graph has it all. With hooks, each recorded call packs the
tensors that its gradient reads, and where backward comes to the call, its gradient is computed from
what was unpacked. As in PyTorch, a hook is given the very tensor, where there is one: a hook that
keeps it sees what is written to it later. What an operation in place writes over is copied first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, TensorType, substitute, topological
from codegen.ops.calls import call as call_node
from codegen.ops.leaves import parameter
from codegen.ops.reduction import full
from lazytorch import core, levels
from lazytorch.application import pack_reads as packs_reads
from lazytorch.application import pack_results as packs_results
from lazytorch.application import refuse_saving as refuses_saving
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.grad_mode import unusual
from lazytorch.autograd.reads import (
    always_saved,
    asked_for,
    gradient_packs,
    gradient_saves,
    tracked_reads,
)
from lazytorch.expression import (
    Call,
    Expression,
    Function,
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
        if not (callable(self.pack_hook) and callable(self.unpack_hook)):
            raise TypeError(
                "_push_saved_tensors_default_hooks(): incompatible function arguments. The "
                "following argument types are supported:\n    1. (arg0: collections.abc.Callable, "
                "arg1: collections.abc.Callable) -> None\n\nInvoked with: "
                f"{self.pack_hook!r}, {self.unpack_hook!r}"
            )
        unusual.active.append(self)
        grad_state.saved_hooks = (*grad_state.saved_hooks, (self.pack_hook, self.unpack_hook))

    def __exit__(self, *_: object) -> None:
        grad_state.saved_hooks = grad_state.saved_hooks[:-1]
        unusual.active.remove(self)


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


_WRITTEN_BY_HOOK = (
    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack "
    "hook cannot be modified by in-place operations as this can lead to unexpected side-effects. "
    "Please open an issue if you need to perform in-place operations on the input to a pack hook."
)


class Packed:
    """A value that was packed, and how it is unpacked."""

    __slots__ = ("packed", "type", "unpack_hook")

    def __init__(self, value: Tensor) -> None:
        pack_hook, self.unpack_hook = grad_state.saved_hooks[-1]
        self.type = value._type
        storage = value._storage
        version = storage.version
        with quietly():
            self.packed = pack_hook(value)
        if storage.version != version:
            raise RuntimeError(_WRITTEN_BY_HOOK)

    def unpack(self) -> Tensor:
        found = self.unpack_hook(self.packed)
        if not isinstance(found, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(found).__name__}"
            )
        return found


class Known:
    """A value that a gradient reads, and ``original``, to which that one's derivatives go on."""

    __slots__ = ("original", "value")

    def __init__(self, value: Expression, original: Expression) -> None:
        self.value, self.original = value, original

    def unpack(self) -> Tensor:
        return wrap(untracked(self.value))


def let_read(call: Call, others: Mapping[Expression, Expression]) -> None:
    """Where the gradient of a call reads a value that is another's too: further derivatives go on
    to that."""
    if call.signature.function in _NEVER_PACKED or not call.inputs:
        return
    outputs = [reference() for reference in call.outputs]
    of_inputs, of_results = gradient_packs(call.signature, asked_for(call.inputs))
    read = [(True, i, call.inputs[i]) for i in sorted(of_inputs) if not call.inputs[i].type.weak]
    read += [(False, i, e) for i in sorted(of_results) if (e := outputs[i]) is not None]
    if others.keys().isdisjoint([e for _, _, e in read]):
        return
    state = node_state(call)
    state.packed = [(is_input, i, Known(e, others.get(e, e))) for is_input, i, e in read]
    for output in outputs:
        if output is not None:
            hooks_of(output).node = state


_HOOKED_BEFORE = (
    "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one "
    "pair of hooks is allowed at a time."
)


def refuse_hooks_anew(call: Call, of_input: bool, number: int) -> None:
    """Raise where a value that a gradient reads is packed already."""
    packed = getattr(call, "node", None) and call.node.packed
    for is_input, i, item in packed or ():
        if is_input is of_input and i == number and isinstance(item, Packed):
            raise RuntimeError(_HOOKED_BEFORE)


def pack_saved(
    call: Call, of_input: bool, number: int, value: Tensor, hooks: tuple[Pack, Unpack]
) -> None:
    """Pack one of the values that the gradient of a call reads, by hooks of its own."""
    state, outputs = node_state(call), [reference() for reference in call.outputs]
    if state.packed is None:
        of_inputs, of_results = gradient_packs(call.signature, asked_for(call.inputs))
        read = [(True, i, call.inputs[i]) for i in sorted(of_inputs)]
        read += [(False, i, e) for i in sorted(of_results) if (e := outputs[i]) is not None]
        state.packed = [(is_input, i, Known(e, e)) for is_input, i, e in read if not e.type.weak]
    for place, (is_input, i, _) in enumerate(state.packed):
        if is_input is of_input and i == number:
            before, grad_state.saved_hooks = grad_state.saved_hooks, (hooks,)
            try:
                state.packed[place] = (is_input, i, Packed(value))
            finally:
                grad_state.saved_hooks = before
    for e in outputs:
        if e is not None:
            hooks_of(e).node = state


@contextlib.contextmanager
def without_packing() -> Iterator[None]:
    """No hooks are called for what is recorded within."""
    hooks, grad_state.saved_hooks = grad_state.saved_hooks, ()
    try:
        yield
    finally:
        grad_state.saved_hooks = hooks


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Nothing is packed or recorded within: a hook is at work."""
    enabled, grad_state.enabled = grad_state.enabled, False
    try:
        with without_packing():
            yield
    finally:
        grad_state.enabled = enabled


def pack_reads(outputs: Sequence[Expression], inputs: Sequence[Any]) -> None:
    """Pack what the gradient of a call reads of its ``inputs``, tensors and numbers; its results
    wait until there are tensors of them. ``outputs`` are all that it has made."""
    call = outputs[0].call
    if call is None or not call.tracked or call.signature.function in _NEVER_PACKED:
        return
    of_inputs, of_results = gradient_packs(call.signature, asked_for(call.inputs))
    written = [i for i, x in enumerate(inputs) if x is grad_state.written][:1]
    packed: list[tuple[bool, int, Packed]] = []
    for i in sorted(of_inputs):
        e = call.inputs[i]
        if not e.type.weak:
            x = inputs[i]
            is_itself = isinstance(x, Tensor) and x._type == e.type and i not in written
            packed.append((True, i, Packed(x if is_itself else _copy(e))))
    if packed or of_results:
        state = node_state(call)
        state.packed = packed
        for e in outputs:
            hooks_of(e).node = state
        if of_results:
            grad_state.waiting = (outputs, sorted(of_results), packed)


def pack_results(results: Sequence[Tensor] | None, waiting: Any = None) -> None:
    """Pack those results of the call that waits which its gradient reads; copies of them, where
    what is made of them is not known. Where one may be written to a tensor, they wait on."""
    if waiting is None:
        waiting, grad_state.waiting = grad_state.waiting, None
        if grad_state.waiting_for_write is not None and results is not None:
            grad_state.waiting_for_write.append((*waiting, results))
            return
    outputs, numbers, packed = waiting[:3]
    for i in numbers:
        packed.append((False, i, Packed(_copy(outputs[i]) if results is None else results[i])))


def would_pack(call: Call | None) -> bool:
    """Whether hooks would be called for what the gradient of a call reads."""
    if call is None or call.signature.function in (GRADIENT, TANGENT, core.CUSTOM):
        return True
    of_inputs, of_results = gradient_packs(call.signature, asked_for(call.inputs))
    return bool(of_results) or not all([call.inputs[i].type.weak for i in of_inputs])


def _copy(e: Expression) -> Tensor:
    return wrap(record(core.IDENTITY, (e,), (), e.tracked)[0])


packs_reads.append(pack_reads)
packs_results.append(pack_results)


def refuse_saving(
    signature: Signature, inputs: Sequence[Any], expressions: Sequence[Expression]
) -> None:
    """Raise where the gradient of a call would read an inference tensor among its inputs. What a
    transform differentiates is its own affair."""
    if levels.state.inside:
        return
    made = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x._storage.is_inference()]
    if not made or signature.function in _NEVER_PACKED:
        return
    saved = gradient_saves(signature, asked_for(expressions))[0] | always_saved(signature)[0]
    if not saved.isdisjoint(made):
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


def _note_reaches(signature: Signature, compared: bool) -> None:
    """Note which inputs each output is made of: they are gradients that PyTorch has a formula each
    for, of what that reads. ``compared``: also those that it only compares."""
    if signature.reaches is None:
        inputs, outputs = signature.template.parameters, signature.template.outputs

        def hides(node: Node) -> bool:
            return not (compared or node.dtype.differentiable)

        made_of = [{*topological([o], stop=hides)} for o in outputs]
        signature.reaches = tuple(
            [frozenset([i for i, p in enumerate(inputs) if p in nodes]) for nodes in made_of]
        )


_SEED = 1000

SAVED_GRADIENT = Function("gradient_of_saved", lambda *all_: _gradient(all_[:-6], *all_[-6:]))


def gradients_of_saved(
    call: Call, packed: Sequence[tuple[bool, int, Packed | Known]], given: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of a call's inputs from what was packed, given those of its outputs."""
    create_graph = grad_state.enabled
    outputs = [reference() for reference in call.outputs]
    values: list[Expression] = []
    for of_input, i, item in packed:
        value = item.unpack()._read()
        original = call.inputs[i] if of_input else outputs[i]
        if type(item) is Known:
            original = item.original
        if create_graph and original is not None and original.tracked:
            # Further derivatives go on to what was packed.
            value = record(core.REPLACE_VALUE, (untracked(value), original), (), True)[0]
        values.append(value)
    arrived = tuple([i for i, g in enumerate(given) if g is not None])
    seeds = [g._read() for g in given if g is not None]
    tracked = tuple(sorted(asked_for(call.inputs)))
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
    try:
        made = record(SAVED_GRADIENT, inputs, attributes, tracks)
    except ValueError as error:  # what was unpacked is of another type
        raise RuntimeError(str(error)) from error
    found = dict(zip(tracked, made, strict=True))
    if tracks and made[0].call is not None:
        _note_reaches(made[0].call.signature, signature.function.saves_inputs)
    if tracks and not any([e.tracked for e in seeds]):
        for i, e in found.items():
            e.tracked = bool(tracked_reads(call, i))  # else it compares what it reads at most
    return [wrap(found[i]) if i in found else None for i in range(len(call.inputs))]
