"""The recorded graph under some roots, and PyTorch's errors where what backward reads is gone."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any

from lazytorch import core, late_errors
from lazytorch.autograd import anomaly_mode, known_walks
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.known_walks import is_written
from lazytorch.autograd.node_facts import name_of
from lazytorch.autograd.reads import (
    always_saved,
    asked_for,
    edges,
    goes_on_to,
    gradient_packs,
    gradient_saves,
    in_order,
    saves_any,
    saves_nothing,
    steps_of,
    way_of,
)
from lazytorch.autograd.second_derivatives import is_bilinear
from lazytorch.expression import (
    Call,
    Expression,
    Overwritten,
    SharedSince,
    nobody,
)
from lazytorch.geometry import Geometry, in_elements, places_between
from lazytorch.importer import GRADIENT, TANGENT
from lazytorch.recording import last_recorded
from lazytorch.seen_as import read_view
from lazytorch.tensor import Tensor
from lazytorch.view_history import ViewOrigin, viewed, views


def gradient_source(x: Tensor) -> Expression:
    """The expression whose gradient is the tensor's."""
    if x._storage.shared is not None and x._geometry is None and x._marker is None:
        value = x._storage.expression
        if value.tracked and value.leaf is None and x._connected:
            return last_recorded(value)  # each read is a copy of it
    value = x._read()
    return last_recorded(value)


class Collector:
    """Stands as the leaf of an expression whose gradient its ``target`` gets in another form."""

    requires_grad = is_leaf = True

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def __call__(self) -> Any:
        # In the place of a weak reference: the expression keeps its collector.
        return self

    def as_gradient(self, gradient: Tensor) -> Tensor:
        """The collected gradient as one of the target."""
        raise NotImplementedError


def owner_of(leaf: Any) -> Tensor:
    """The tensor that a leaf's gradient is for."""
    return leaf.target if isinstance(leaf, Collector) else leaf


def as_collected(e: Expression, gradient: Tensor) -> Tensor:
    """The gradient at a leaf, as one of the tensor that it is for."""
    leaf: Any = None if e.leaf is None else e.leaf()
    return leaf.as_gradient(gradient) if isinstance(leaf, Collector) else gradient


class _UnderWay(threading.local):
    """The backward passes that a thread runs, the innermost last."""

    def __init__(self) -> None:
        self.walks: list[Walk] = []


under_way = _UnderWay()


class Walk:
    """The tracked graph under some roots: its expressions, inputs first, checked for backward.

    Given ``targets``, only what lies between the roots and them; nothing below ``stop``. With
    ``runs_targets``, what made the targets is run too, though nothing is sent on from there.

    Entered as a context, it is that of the innermost pass ``under_way``.

    refusals  the calls that backward refuses to pass, and why, where the caller ``defers`` that
              until it comes to them: hooks and Functions may raise first, or send None there.
    is_old    whether Python has run since: it may have freed what is still to come, or written to
              what that reads.
    """

    def __init__(
        self,
        values: Sequence[Expression],
        targets: Sequence[Expression] | None = None,
        stop: Sequence[Expression] = (),
        runs_targets: bool = False,
        defers: bool = False,
    ) -> None:
        self.refusals: dict[Call, Exception] = {}
        self.is_old = False
        self._leaves: dict[int, list[Expression]] | None = None
        self.order: list[Expression] = []
        self.seen: set[Expression] = set()
        self.calls: list[Call] = []
        self.targets = () if targets is None else tuple(targets)
        self.stop = tuple(stop)
        self.roots = tuple(values)
        # The values whose gradients are given to the caller, and not accumulated.
        self.captured = () if runs_targets else self.targets
        may_be_known = targets is None and len(values) == 1 and not stop and not views.watched
        if may_be_known and (found := known_walks.recognised(values[0])) is not None:
            _, self.order, self.calls = found
            self.seen.update(self.order)
            self._walked, self.passed = self.order, None
            return
        self.seen.update(stop)
        for value in values:
            self._visit(value)
        if views.watched or _has_view(targets):
            while self._lead_through_views(targets or ()):  # to views that are led on themselves
                self.order, self.seen = [], {*stop}
                for value in values:
                    self._visit(value)
        # Where targets are known: the values that a gradient arrives at, and whose calls are run.
        self._walked = self.order
        self.passed = passed = None if targets is None else self._keep_above(targets)
        if passed is not None and runs_targets:
            run = [e for e in self.targets if e.leaf is None and e in self.seen]
            # Of a gradient that would be the last of many nodes: it is not freed for that.
            passed.update([e for e in run if not hasattr(e.call, "way")])
        checked: set[int] = set()
        failing: list[tuple[Expression, Call, Exception]] = []
        for e in reversed(self.order):
            if passed is not None and e not in passed:
                continue
            call = e.call
            if call is None or not call.tracked or e.leaf is not None:
                continue
            known = id(call) in checked
            if not known:
                checked.add(id(call))
                self.calls.append(call)
            if not known or way_of(call) is not None:
                refusal = _refusal_of(e, call)
                if refusal is not None:
                    failing.append((e, call, refusal))
        if failing:
            # PyTorch runs what was recorded last first.
            failing.sort(key=lambda found: found[1].sequence, reverse=True)
            self.refusals = {call: error for _, call, error in reversed(failing)}
            if not defers:
                e, call, _ = failing[0]
                self.refuse(e, call)
            return
        if may_be_known:
            known_walks.remember(values[0], self.order, self.calls)

    def __enter__(self) -> Walk:
        under_way.walks.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        under_way.walks.remove(self)

    def refuse(self, e: Expression, call: Call) -> None:
        """Raise what was deferred until backward comes to the call that made a value."""
        refusal = self.refusals.get(call)
        if refusal is None and self.is_old and (self.passed is None or e in self.passed):
            refusal = _refusal_of(e, call)
        if refusal is not None:
            if anomaly_mode.state.enabled:
                anomaly_mode.warn_of(call, node_name(call))
            raise refusal

    def lost(self, targets: Sequence[Expression]) -> list[Call]:
        """The calls that were freed, and have no inputs any more, and led to these values."""
        calls = [e.call for e in self._walked if e.leaf is None and e.call is not None]
        calls = [c for c in calls if c.freed and c.tracked and not c.inputs]
        return [c for c in calls if any([self._leads_to(c, e) for e in targets])]

    def _leads_to(self, call: Call, target: Expression) -> bool:
        tensor = None if target.leaf is None else target.leaf()
        made = target.call if target.leaf is None else None
        stack, seen = [call], {call}
        while stack:
            for e in edges(stack.pop()):
                if e.leaf is not None:
                    if tensor is not None and e.leaf() is tensor:
                        return True
                elif e.tracked and e.call is not None and e.call not in seen:
                    if e.call is made:
                        return True
                    seen.add(e.call)
                    stack.append(e.call)
        return False

    def _lead_through_views(self, targets: Sequence[Expression]) -> bool:
        """Let each view of a view be read from that one, where its gradient matters.

        All are read from the storage's value otherwise, which is the same and costs less.
        """
        changed = False
        for e in self.order:
            call = e.call
            if call is None or call.signature.function is not core.VIEW or not call.inputs:
                continue
            via = getattr(call, "via", None)
            source = via[0] if via is not None else None
            while source is not None:
                value = source.value(viewed(e))
                if value is not None and _is_read_from(e, value):
                    break
                if value is not None and value is not e:
                    recorded = last_recorded(value)
                    if recorded.hooks or recorded in targets:
                        changed = _read_from(e, source, value) or changed
                        break
                source = source.source
        return changed

    def _visit(self, root: Expression) -> None:
        seen, order = self.seen, self.order
        # Values to be listed next, and, in tuples, those that are yet to be visited.
        stack: list[Any] = [(root,)]
        while stack:
            e = stack.pop()
            if type(e) is tuple:
                (e,) = e
                if e in seen:
                    continue
                seen.add(e)
                following = goes_on_to(e)
                if following:
                    stack.append(e)
                    for child in following[::-1]:
                        if child not in seen:
                            stack.append((child,))
                    continue
            order.append(e)

    def _keep_above(self, given: Sequence[Expression]) -> set[Expression]:
        """Forget all but the targets and what is made of them; the latter."""
        given = [e for e in given if e.leaf is not nobody]
        tensors = {id(e.leaf()) for e in given if e.leaf is not None}
        targets = {*given}
        targets.update(
            [e for e in self.order if e.leaf is not None and id(owner_of(e.leaf())) in tensors]
        )
        nodes = {_node_of_several(e) for e in given} - {None}
        if nodes:
            # A gradient goes as far as the node, of which another output may be the target.
            targets.update([e for e in self.order if _node_of_several(e) in nodes])
        lost = {*self.lost(self.targets)}
        above: set[Expression] = set()
        for e in self.order:
            if any([i in above or i in targets for i in goes_on_to(e)]) or (
                (nodes and _is_made_through(e, nodes)) or (e.leaf is None and e.call in lost)
            ):
                above.add(e)
        self.order = [e for e in self.order if e in above or e in targets]
        self.seen = {*self.order, *targets.intersection(self.stop)}
        return above

    def readings(self, tensor: Tensor) -> list[Expression]:
        """Where the graph reads a tensor: a leaf perhaps before a write that was not recorded, or,
        where NumPy shares its memory, afresh in each use."""
        value = gradient_source(tensor)
        if value.leaf is None:
            return [value] if value in self.seen else []
        if not tensor._collects:
            return []
        if self._leaves is None:
            self._leaves = {}
            for e in self.order:
                if e.leaf is not None:
                    self._leaves.setdefault(id(e.leaf()), []).append(e)
        return self._leaves.get(id(tensor), [])

    def awaits(self, tensor: Tensor) -> bool:
        """Whether PyTorch says, while the pass runs, that it goes through a tensor's node. It does
        not of a single root's, and will not say of a leaf whose gradient it gives."""
        found = self.readings(tensor)
        if not found:
            return self.passed is None and bool(self.lost([gradient_source(tensor)]))
        if len(self.roots) == 1:
            (root,) = self.roots
            if found[0] is root or (root.call is not None and found[0].call is root.call):
                return False
        if any([e.leaf is not None and e in self.captured for e in found]):
            raise RuntimeError(
                "A leaf node was passed to _will_engine_execute_node but we are currently running "
                "autograd.grad(). This is currently not supported."
            )
        return True

    def collected_for(self, tensor: Tensor) -> list[Expression]:
        """The leaves whose collectors give a tensor its gradient."""
        found = []
        for e in self.order:
            leaf: Any = None if e.leaf is None else e.leaf()
            if isinstance(leaf, Collector) and leaf.target is tensor:
                found.append(e)
        return found

    def order_of_leaves(self) -> dict[int, tuple[int, int]]:
        """For the identity of each leaf, where its turn comes: as soon as what reads it was run, of
        which PyTorch runs the latest first, and passes on by one input after the other."""
        last: dict[int, tuple[int, int]] = {}
        for e in self.order:
            call = e.call
            if call is None or e.leaf is not None or not call.tracked:
                continue
            for number, x in enumerate(in_order(call, goes_on_to(e))):
                if x.leaf is not None:
                    key = id(x.leaf())
                    turn = -call.sequence, number
                    last[key] = max(last.get(key, turn), turn)
        return last

    def leaves(self) -> list[tuple[Tensor, Expression]]:
        found = []
        for e in self.order:
            if e.leaf is not None:
                tensor = e.leaf()
                if tensor is None:
                    continue
                if isinstance(tensor, Tensor) and tensor._storage.expression is e:
                    found.append((tensor, e))  # it still is the leaf that it was
                elif tensor.requires_grad or has_hooks(tensor):
                    if not tensor.is_leaf:
                        raise RuntimeError("leaf variable has been moved into the graph interior")
                    found.append((tensor, e))
        return found


def has_hooks(leaf: Tensor) -> bool:
    hung = leaf.__dict__.get
    return bool(leaf._backward_hooks or hung("_post_accumulate_hooks") or hung("_node_hooks"))


def _has_view(targets: Sequence[Expression] | None) -> bool:
    calls = [e.call for e in targets or ()]
    return any([c is not None and c.signature.function is core.VIEW for c in calls])


def _node_of_several(e: Expression) -> object:
    """What stands for the node of a value, if that has several outputs in PyTorch too."""
    call = e.call
    if call is None or e.leaf is not None or call.signature.function in (GRADIENT, TANGENT):
        return None
    return call if len(call.outputs) > 1 else getattr(call, "siblings", None)


def _is_made_through(e: Expression, nodes: set[object]) -> bool:
    """Whether a view was made of an output of one of these nodes, which it is not read from."""
    via = None if e.call is None else getattr(e.call, "via", None)
    source = None if via is None else via[0]
    while source is not None:
        if source.siblings is not None and source.siblings in nodes:
            return True
        source = source.source
    return False


def _is_read_from(e: Expression, value: Expression) -> bool:
    """Whether a view is read from this value, perhaps seen as numbers of another kind."""
    call = e.call
    while call is not None and call.inputs:
        (x,) = call.inputs
        if x is value:
            return True
        call = x.call
        if call is None or getattr(call, "via", call) is not None:
            return False
    return False


def _read_from(e: Expression, source: ViewOrigin, value: Expression) -> bool:
    """Define a view's value by that of a view it was made from; False where that cannot be."""
    call = e.call
    assert call is not None and call.via is not None
    _, _, view, _ = call.via
    of, dtype = source.geometry, e.type.dtype
    try:
        places = places_between(_chain(call.via, source), in_elements(of, value.type.dtype, dtype))
    except RuntimeError:
        return False
    shown = read_view(value, of, dtype, view, [place.place for place in places], True)
    assert shown.call is not None
    call.signature, call.inputs = shown.call.signature, shown.call.inputs
    return True


def _chain(
    via: tuple[ViewOrigin | None, str, Geometry, Geometry | None], source: ViewOrigin
) -> list[tuple[Geometry, Geometry | None]]:
    """A view and what it was made from, up to (and without) ``source``."""
    origin, _, geometry, within = via
    chain = [(geometry, within)]
    while origin is not None and origin is not source:
        chain.append((origin.geometry, origin.within))
        origin = origin.source
    return chain


# ---- what backward reads -------------------------------------------------------------------


FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


def _refusal_of(e: Expression, call: Call) -> Exception | None:
    try:
        check_value(e, call)
    except RuntimeError as error:
        return error
    return None


def check_value(e: Expression, call: Call) -> None:
    """Raise PyTorch's error where the call that made a value has no gradient, or one that reads
    what is gone. All outputs of a call are checked with one; not so those of a gradient."""
    refusal = call.signature.function.refusal
    if refusal is not None:
        raise refusal(getattr(call, "in_place", False))
    way = way_of(call)
    if call.freed and not call.inputs:
        raise RuntimeError(FREED)
    if way is None:
        _check_read(call, None, call.freed)
        return
    for step, differentiated, freed in reversed([*steps_of(way, e.number)]):
        # What was done last comes first. Derivatives of a product's gradient read its cotangent;
        # by that one, what it reads.
        skips = not step.arriving and is_bilinear(differentiated.signature)
        _check_read(differentiated, step.number, freed, skips)
        inner = way_of(differentiated)
        for before, call, _ in () if inner is None else steps_of(inner, step.number):
            # And derivatives of these, where one arrives here or is multiplied by another below.
            reads = before.arriving and (before.beyond or step.arriving)
            skips = not reads and is_bilinear(call.signature)
            _check_read(call, before.number, False, skips)


def _check_read(call: Call, number: int | None, freed: bool, skips: bool = False) -> None:
    """Raise where what the gradient of a call, by one of its inputs or by all that are asked for,
    reads is ``freed``, or gone (unless that ``skips``)."""
    outputs = [reference() for reference in call.outputs]
    if not freed and _are_as_they_were(call.inputs) and _are_as_they_were(outputs):
        return
    overwritten_inputs = [i for i, e in enumerate(call.inputs) if _overwritten(e) is not None]
    overwritten_outputs = [
        i for i, e in enumerate(outputs) if e is not None and is_written(e.owner)
    ]
    if not (freed or overwritten_inputs or overwritten_outputs):
        return
    if call.signature.function in (GRADIENT, TANGENT, core.CUSTOM):
        return  # what a Function has saved, it checks itself
    tracked = asked_for(call.inputs) if number is None else frozenset([number])
    if freed:
        of_inputs, of_outputs = gradient_packs(call.signature, tracked)
        saves = of_outputs or saves_any(call.signature, of_inputs)
        if not call.inputs or saves or (number is None and not saves_nothing(call)):
            raise RuntimeError(FREED)
    if skips or grad_state.mutation_allowed or (getattr(call, "node", None) and call.node.packed):
        return  # read as they were, or as they are unpacked
    of_inputs, of_outputs = gradient_saves(call.signature, tracked)
    if number is None:
        always = always_saved(call.signature)
        of_inputs, of_outputs = of_inputs | always[0], of_outputs | always[1]
    spares = call.signature.function.spares
    spared = () if spares is None else spares(len(call.inputs), *call.signature.attributes)
    # PyTorch looks at what it saved by name: "other", or "mat2", and then "self".
    for i in sorted(overwritten_inputs, key=lambda number: (number == 0, number)):
        # PyTorch keeps a copy of what an operation in place writes over, not of its arguments.
        kept = i in spared or (i == 0 and getattr(call, "in_place", False))
        if i in of_inputs and not kept:
            _raise_overwritten(call.inputs[i])
    for i in overwritten_outputs:
        e = outputs[i]
        if i in of_outputs and ~i not in spared and e is not None:
            _raise_overwritten(e, call)


def _are_as_they_were(values: Sequence[Expression | None]) -> bool:
    """Whether values are what they were when they were read, at first sight: none was written over
    or shares memory, or is an alias of another."""
    for e in values:
        if e is None:
            continue
        if type(e.owner) in _MARKS:
            return False
        call = e.call
        if call is not None and call.signature.function in core.ALIASES:
            return False
    return True


def _overwritten(e: Expression) -> Overwritten | SharedSince | None:
    itself = True  # of what detach() has made, that the other was detached in place is nothing
    while True:
        owner = e.owner
        if is_written(owner) or (type(owner) is SharedSince and owner.detached and itself):
            return owner  # type: ignore[return-value]
        call = e.call
        if call is None or not call.inputs or call.signature.function not in core.ALIASES:
            return None
        itself = itself and call.signature.function not in (core.DETACH, core.SOURCE)
        e = call.inputs[0]


def check_result(e: Expression) -> None:
    """Raise PyTorch's error where a result that its call has saved was written to."""
    if is_written(e.owner):
        _raise_overwritten(e, e.call)


def check_input(e: Expression) -> None:
    """Raise PyTorch's error where an input that a call has saved was written to."""
    if _overwritten(e) is not None:
        _raise_overwritten(e)


_MARKS = (Overwritten, SharedSince)


def _last_known(e: Expression, mark: Overwritten | SharedSince) -> tuple[int, Expression]:
    """What is left of a storage that is gone: the version after the last write to it whose value
    the graph has, and that value."""
    last = e
    while (written := mark.by()) is not None:
        last, owner = written, written.owner
        if type(owner) is not Overwritten:
            break
        mark = owner
    is_silent = type(mark) is Overwritten and mark.silent
    return mark.version + (not is_silent), last


_DETACHED = (
    "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_().This is "
    "not supported, please use out-of-place `.detach()` instead"
)


def _is_detached(e: Expression, mark: Overwritten | SharedSince) -> bool:
    """Whether the tensor that had a value with a history has none any more, by ``detach_()``:
    PyTorch looks for that before it looks at versions."""
    storage = mark.storage()
    if storage is None:
        last = _last_known(e, mark)[1].owner
        return type(last) is SharedSince and last.detached
    if storage.expression.tracked and storage.expression.leaf is None:
        return False
    if type(mark) is SharedSince:
        return mark.detached
    return e.owner is mark and bool(e.tracked) and e.leaf is None


def _raise_overwritten(e: Expression, saved_by: Call | None = None) -> None:
    """Raise PyTorch's error; ``saved_by``: the call that made it and saved it as its output."""
    mark = _overwritten(e)
    assert mark is not None
    if saved_by is None and _is_detached(e, mark):
        raise RuntimeError(_DETACHED)
    storage = mark.storage()
    if storage is not None:
        now, shown = storage.version, storage.expression  # PyTorch names what made it last
    else:
        now, shown = _last_known(e, mark)
    made = ""
    shown = last_recorded(shown)
    if saved_by is not None:
        if e.type.dtype.differentiable:
            made = output_text(e.number, node_name(saved_by))
    elif shown.call is not None and shown.call.tracked:
        made = output_text(shown.number, node_name(shown.call))
    error = RuntimeError(modified_text(e, made, now, mark.version))
    written = mark.by()
    late_errors.add_overwritten_lines(error, e.call, None if written is None else written.call)
    raise error


def node_name(call: Call) -> str:
    """What PyTorch calls the node of a call."""
    if call.signature.function is core.CUSTOM and call.node.custom is not None:
        return str(call.node.custom.name())
    via = getattr(call, "via", None)
    return name_of(call.signature) if via is None else name_of_node(via[1])


def name_of_node(operation: str) -> str:
    """The node of an operation, which PyTorch may have several of: Squeeze, and Squeeze1."""
    number = operation[-1] if operation[-1].isdigit() else "0"
    return f"{operation.rstrip('0123456789')}Backward{number}"


def output_text(number: int, name: str) -> str:
    """PyTorch's words for what made a value."""
    operation = re.sub(r"Backward0?([1-9]?)$", r"\1", name)
    return f", which is output {number} of {operation},"


_HINTS = {
    False: "enable anomaly detection to find the operation that failed to compute its gradient, "
    "with torch.autograd.set_detect_anomaly(True, check_nan=False).",
    True: "the backtrace further above shows the operation that failed to compute its gradient. "
    "The variable in question was changed in there or anywhere later. Good luck!",
}


def modified_text(e: Expression, made: str, now: int, expected: int) -> str:
    """PyTorch's text where a saved value was written to."""
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{type_name(e)} {list(e.type.shape)}]{made} is at version {now}; expected "
        f"version {expected} instead. Hint: {_HINTS[anomaly_mode.state.enabled]}"
    )


# Types that had a class of tensors each, before there were dtypes, are called by it.
_TYPE_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "uint8": "Byte", "int8": "Char",
    "int16": "Short", "int32": "Int", "int64": "Long",
}  # fmt: skip
_LATER_TYPE_NAMES = {
    "bfloat16": "BFloat16", "bool_": "Bool", "complex64": "ComplexFloat",
    "complex128": "ComplexDouble", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
}  # fmt: skip


def type_name(e: Expression) -> str:
    name = e.type.dtype.name
    if name in _TYPE_NAMES:
        return f"torch.{_TYPE_NAMES[name]}Tensor"
    kind = "CPU" if e.device in ("cpu", "interpreter") else "CUDA"
    return f"{kind}{_LATER_TYPE_NAMES[name]}Type"
