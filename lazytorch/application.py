"""Applying functions to tensors: what every operation comes down to."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from codegen.ir.node import Node, TensorType
from codegen.ops.strided import contiguous_strides, view
from lazytorch import autocasting, capture, levels
from lazytorch.autocasting import active as autocast_active
from lazytorch.autograd.grad_mode import inference, unusual
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.device import finish
from lazytorch.expression import (
    Attributes,
    Call,
    Expression,
    Function,
    SparseOperand,
    scalar,
    unrecorded,
)
from lazytorch.geometry import Geometry
from lazytorch.realize import realize
from lazytorch.recording import MAXIMUM_TURNS, is_long, outputs_of_call
from lazytorch.records import known_to_native, native
from lazytorch.result_layouts import LaidOut, laid_out
from lazytorch.source import note_place
from lazytorch.storage import Storage, born
from lazytorch.tensor import Tensor, eager, wrap
from lazytorch.view_history import RefusedView

_new, _reference = object.__new__, weakref.ref
known_to_native["Tensor"] = Tensor

# What hooks on saved values do with a recorded call, and with the tensors of its results:
# autograd/saved.py puts it here.
pack_reads: list[Any] = []
pack_results: list[Any] = []
# What refuses calls that would save inference tensors: from there too.
refuse_saving: list[Any] = []
# What ``apply`` does where an input is sparse: sparse/rules.py puts it here.
apply_to_sparse: list[Any] = []


def apply(function: Function, inputs: Sequence[Any], attributes: Attributes = ()) -> Any:
    """Call a function on tensors and Python numbers: a tensor, or a tuple of them."""
    plain = native.plain
    if plain is not None and not unusual.active and not autocast_active.count:
        storage = plain(function, inputs, attributes, grad_state.enabled)
        if storage.__class__ is Storage:
            made = _new(Tensor)
            made._storage, made._type = storage, storage.expression.type
            made._geometry = made._marker = None
            return made
        if storage is not None:
            return tuple([_shown(s) for s in storage])
    try:
        outputs = _recorded(function, inputs, attributes)
    except SparseOperand:
        return apply_to_sparse[0](function, inputs, attributes)
    except RefusedView:
        outputs = _recorded_apart(function, inputs, attributes)
    if outputs.__class__ is LaidOut:
        return _laid_out(outputs)
    if len(outputs) == 1:
        (value,) = outputs
        storage = Storage()
        storage.expression, storage.version, storage.regions, storage.special = value, 0, 0, None
        value.owner = reference = _reference(storage)
        born.append(reference)
        made = _new(Tensor)  # as ``wrap``
        made._storage, made._type, made._geometry, made._marker = storage, value.type, None, None
        if unusual.active:
            if grad_state.inference:
                storage.inference = True
            if grad_state.waiting is not None:
                pack_results[0]((made,))
        return made
    results = tuple([wrap(e) for e in outputs])
    if unusual.active and grad_state.waiting is not None:
        pack_results[0](results)
    return results


def written_over(
    function: Function, inputs: Sequence[Any], attributes: Attributes, targets: list[Any]
) -> bool:
    """Write what a function makes of tensors, expressions and numbers into tensors of the types of
    its outputs, while nothing is recorded for backward and nobody watches what is written. False
    where that is not so, or a tensor not the whole of its memory, and nothing is done."""
    write = native.write_over
    return (
        write is not None
        and (not grad_state.enabled or _is_recorded_for_nobody(inputs, targets))
        and not unusual.active
        and capture.state.active is None
        and not levels.state.inside
        and write(function, inputs, attributes, targets) is not None
    )


def _is_recorded_for_nobody(inputs: Sequence[Any], targets: Sequence[Tensor]) -> bool:
    """Whether no gradient flows through a write while it is recorded, and it is not refused."""
    if levels.derivatives.count or autocast_active.count:
        return False
    for x in inputs:
        if isinstance(x, Tensor):
            if x._storage.expression.tracked:
                return False
        elif isinstance(x, Expression) and x.tracked:
            return False
    return all([
        not x._storage.expression.tracked and x._source is None and x._of_function is None
        for x in targets
    ])  # fmt: skip


def _shown(storage: Storage) -> Tensor:
    """A new tensor that shows the whole of a storage that was made for it."""
    made = _new(Tensor)
    made._storage, made._type = storage, storage.expression.type
    made._geometry = made._marker = None
    return made


def _laid_out(outputs: Any) -> Any:
    results = tuple([wrap(e, layout) for e, layout in zip(outputs, outputs.layouts, strict=True)])
    if unusual.active and grad_state.waiting is not None:
        pack_results[0](results)
    return results[0] if len(results) == 1 else results


def of_two(
    function: Function,
    otherwise: Callable[[Any, Any], Any],
    of_views: Function | None = None,
) -> Callable[[Any, Any], Any]:
    """``apply`` of a function to two values. Two plain tensors through which no gradient flows, the
    commonest inputs in a loop over small ones, are done with at a third of ``apply``'s cost; what
    else there is goes ``otherwise``. ``of_views``: the function ``over_views``, if there is one,
    for whole tensors seen in another order."""
    signatures = function.plain_pairs

    def apply_to_two(a: Any, b: Any) -> Any:
        if type(a) is not Tensor or type(b) is not Tensor:
            return otherwise(a, b)
        first, second = a._storage, b._storage
        x, y = first.expression, second.expression
        if (
            x.tracked
            or y.tracked
            or first.special is not None
            or second.special is not None
            or a._marker is not None
            or b._marker is not None
            or x.device != "cpu"
            or y.device != "cpu"
            or autocast_active.count
        ):
            return otherwise(a, b)
        if a._geometry is None and b._geometry is None:
            signature = signatures.get((x.type, y.type))
            if signature is None:
                signature = function.plain_pair(x.type, y.type)
                if signature is None:
                    return otherwise(a, b)
        else:
            if of_views is None or not (_is_whole(a, x) and _is_whole(b, y)):
                return otherwise(a, b)
            types, places = (x.type, y.type), (a._geometry, b._geometry)
            signature = of_views.signatures.get((types, places))
            if signature is None:
                function.signature((a._type, b._type), ())  # the error is its own, if there is one
                signature = of_views.signature(types, places)
        has_gradient, depth = False, 1
        if x.value is None:
            depth, has_gradient = x.depth + 1, x.call.has_gradient  # type: ignore[union-attr]
        if y.value is None:
            if y.depth >= depth:
                depth = y.depth + 1
            if y.call.has_gradient:  # type: ignore[union-attr]
                has_gradient = True
        if depth > MAXIMUM_TURNS and is_long(depth, has_gradient, signature.output_types[0]):
            return otherwise(a, b)
        call = Call()
        call.signature, call.inputs, call.tracked = signature, (x, y), False
        call.has_gradient, call.freed, call.place, call.readers = has_gradient, False, None, ()
        if signature.places_left:
            note_place(call)
        value = Expression()
        (value.type,) = signature.output_types
        value.device, value.call, value.number, value.depth = "cpu", call, 0, depth
        value.value, value.leaf, value.hooks, value.tracked = None, None, None, False
        call.outputs = (_reference(value),)
        storage = Storage()
        storage.expression, storage.version, storage.regions, storage.special = value, 0, 0, None
        value.owner = reference = _reference(storage)
        born.append(reference)
        if inference.used and grad_state.inference:
            storage.inference = True
        made = _new(Tensor)
        made._storage, made._type, made._geometry, made._marker = storage, value.type, None, None
        return made

    return apply_to_two


def _is_whole(x: Tensor, value: Expression) -> bool:
    """Whether a tensor shows the whole of its storage's value, and nothing is to be done where it
    is read but to find its elements in their order."""
    geometry = x._geometry
    return geometry is None or (
        geometry.offset == 0
        and x._type.size == value.type.size
        and x._type.dtype is value.type.dtype
        and not (x._overlaps or geometry.changes_values)
        and x._parent is None
        and not (x._without_recording and grad_state.enabled)
    )


def over_views(function: Function) -> Function:
    """A function of two tensors, whose result lies in rows however they do, over the values of
    their storages and where they lie in them: one call instead of up to three."""

    def body(a: Node, b: Node, first: Geometry | None, second: Geometry | None) -> Any:
        if first is not None:
            a = view(a, *first.place)
        return function.body(a, b if second is None else view(b, *second.place))

    return Function(f"{function.name}_of_views", body)


def apply_expressions(
    function: Function, inputs: Sequence[Any], attributes: Attributes = ()
) -> list[Expression]:
    """As ``apply``; the outputs' expressions, owned by nobody yet."""
    try:
        outputs = _recorded(function, inputs, attributes)
    except RefusedView:
        outputs = _recorded_apart(function, inputs, attributes)
    if unusual.active and grad_state.waiting is not None:
        pack_results[0](None)
    return outputs


def _recorded_apart(
    function: Function, inputs: Sequence[Any], attributes: Attributes
) -> list[Expression]:
    """What a view that is refused is no obstacle to, since no gradient flows through the results;
    raises that refusal again where one might."""
    plain = [x.detach() if isinstance(x, Tensor) else x for x in inputs]
    outputs = _recorded(function, plain, attributes)
    if any([e.type.dtype.differentiable for e in outputs]):
        raise
    return outputs


def _recorded(
    function: Function, inputs: Sequence[Any], attributes: Attributes
) -> list[Expression]:
    tracked: int = False
    has_gradient = is_special = False
    depth, device = 0, None
    expressions: list[Expression] = []
    types: list[TensorType] = []
    made_nodes: list[Tensor] = []  # views whose node this reading made
    eager.wanted = False
    for x in inputs:
        if isinstance(x, Tensor):
            # The commonest cases of ``_read``, without the call.
            storage = x._storage
            e = storage.expression
            if x._geometry is not None or x._marker is not None or storage.special is not None:
                fresh = not x._has_node
                e = x._read()
                is_special = is_special or not _lies_in_rows(x)
                if e.tracked:
                    tracked |= e.tracked
                    if fresh and x._has_node:
                        made_nodes.append(x)
            elif e.tracked:
                leaf = e.leaf
                if not x._connected or (leaf is not None and leaf() is not x):
                    e = x._read()
                if e.tracked:
                    tracked |= e.tracked
            if device is None:
                device = e.device
            elif e.device != device:
                device = _common_device(device, e)
            if e.value is None:
                if e.depth > depth:
                    depth = e.depth
                if e.call is not None and e.call.has_gradient:
                    has_gradient = True
        else:
            e = scalar(x, "cpu")
        expressions.append(e)
        types.append(e.type)
    if autocast_active.count:
        fitted = autocasting.fitted(function.name, expressions)
        if fitted is not expressions:
            expressions, types = fitted, [e.type for e in fitted]
    if (
        not tracked
        and native.record is not None
        and not (is_special or eager.wanted or autocast_active.count)
    ):
        made = native.record(function, tuple(expressions), attributes, False)
        if made is not None:
            return made  # type: ignore[no-any-return]
    key = (tuple(types), attributes)
    signature = function.signatures.get(key) or function.signature(*key)
    if tracked and inference.used and grad_state.enabled:
        refuse_saving[0](signature, inputs, expressions)
    if made_nodes and not signature.has_float_output:
        for x in made_nodes:
            x._has_node = False  # as a comparison has no node, PyTorch makes none for its inputs
    outputs = outputs_of_call(
        signature, tuple(expressions), tracked if grad_state.enabled else unrecorded(tracked),
        depth + 1, has_gradient, device or "cpu",
    )  # fmt: skip
    if tracked and grad_state.saved_hooks:
        pack_reads[0](outputs, inputs)
    if eager.wanted:
        eager.wanted = False
        realize(outputs)
        if device is not None and device != "cpu":
            finish(device)  # before somebody writes to the memory that it reads
    return laid_out(signature, inputs, outputs) if is_special else outputs


def _lies_in_rows(x: Tensor) -> bool:
    """Whether its elements lie as those of a result of its shape do."""
    geometry = x._geometry
    if geometry is None:
        return x._storage.layout is None
    return geometry.strides == contiguous_strides(geometry.shape)


def _common_device(device: str, e: Expression) -> str:
    """The device of a call on values of two."""
    if not e.type.shape and e.device == "cpu":
        return device
    if device == "cpu":
        # A 0-d tensor on the cpu may meet tensors elsewhere; anything else may not.
        return e.device
    raise RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{device} and {e.device}!"
    )
