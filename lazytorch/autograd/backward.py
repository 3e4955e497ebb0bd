"""backward() and grad(): checks what was saved, then records the gradient as one call."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from codegen.graph.differentiate import cotangents
from codegen.ir.node import Node, topological
from codegen.ops import elementwise as ew
from codegen.ops.calls import call as call_node
from codegen.ops.leaves import parameter
from lazytorch import capture, core
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.expression import Call, Expression, Function, Overwritten, Signature
from lazytorch.importer import GRADIENT, TANGENT
from lazytorch.realize import flush
from lazytorch.storage import pending_writes
from lazytorch.tensor import Tensor, record, wrap
from lazytorch.transfer import moved

ONES_LIKE = Function("ones_like", lambda x: ew.full_like(x, 1))
ADD_GRADIENTS = Function("accumulate_grad", ew.add)

Tensors = Tensor | Sequence[Tensor]


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of ``tensors`` into the ``.grad`` of the leaves they were made from.

    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.autograd.backward((x * 3).sum())
    >>> x.grad
    tensor([3., 3.])
    """
    roots = _as_tuple(tensors)
    given = grad_tensors if grad_tensors is not None else grad_variables
    if inputs is not None and len(_as_tuple(inputs)) == 0:
        raise RuntimeError("`inputs` argument to `backward` cannot be empty.")
    retain = create_graph if retain_graph is None else retain_graph
    _flush_parameters()
    values = [t._read() for t in roots]
    seeds = _seeds(roots, values, given)
    chosen = None if inputs is None else {id(t) for t in _as_tuple(inputs)}
    walk = _Walk(
        values, None if inputs is None else [gradient_source(t) for t in _as_tuple(inputs)]
    )
    session = _Session(values, seeds, walk, create_graph)
    session.run_hooks()
    leaves = [(t, e) for t, e in walk.leaves() if chosen is None or id(t) in chosen]
    if chosen is not None:
        for t in _as_tuple(inputs):
            if not t.is_leaf:
                leaves.extend([(t, e) for e in walk.readings(t)])
    gradients = session.gradients([e for _, e in leaves])
    walk.free(retain, session.readers)
    total: dict[int, tuple[Tensor, Tensor]] = {}
    for (tensor, _), gradient in zip(leaves, gradients, strict=True):
        before = total.get(id(tensor))
        # A leaf whose memory NumPy shares is read afresh by each use; its parts add up.
        if gradient._storage.device != tensor._storage.device:
            gradient = moved(gradient, tensor._storage.device)
        total[id(tensor)] = (tensor, gradient if before is None else _sum(before[1], gradient))
    for tensor, gradient in total.values():
        _accumulate(tensor, gradient, create_graph)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, given and not accumulated.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched is not supported yet")
    if allow_unused is False and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    roots, wanted = _as_tuple(outputs), _as_tuple(inputs)
    _flush_parameters()
    retain = create_graph if retain_graph is None else retain_graph
    values = [t._read() for t in roots]
    seeds = _seeds(roots, values, grad_outputs)
    for t in wanted:
        if not t.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    walk = _Walk(values, [gradient_source(t) for t in wanted])
    session = _Session(values, seeds, walk, create_graph)
    session.run_hooks()
    targets = [walk.readings(t) for t in wanted]
    if not all(targets) and not (allow_unused or materialize_grads):
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set "
            "allow_unused=True if this is the desired behavior."
        )
    computed = iter(session.gradients([e for readings in targets for e in readings]))
    walk.free(retain, session.readers)
    result: list[Tensor | None] = []
    for tensor, readings in zip(wanted, targets, strict=True):
        if readings:
            gradient = next(computed)
            for _ in readings[1:]:
                gradient = _sum(gradient, next(computed))
            if gradient._storage.device != tensor._storage.device:
                gradient = moved(gradient, tensor._storage.device)
            result.append(_after_hooks(tensor, gradient) if tensor.is_leaf else gradient)
        elif materialize_grads:
            result.append(wrap(record(_ZEROS_LIKE, (tensor._read(),), (), False)[0]))
        else:
            result.append(None)
    return tuple(result)


_ZEROS_LIKE = Function("zeros_like", lambda x: ew.full_like(x, 0))


def _as_tuple(tensors: Any) -> tuple[Tensor, ...]:
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _flush_parameters() -> None:
    """Finish the last step's updates first, so that every step runs the same plans."""
    for reference in pending_writes.values():
        storage = reference()
        if storage is not None and storage.expression.leaf is not None:
            flush()
            return


def _seeds(roots: Sequence[Tensor], values: Sequence[Expression], given: Any) -> list[Expression]:
    """The cotangents of the roots: as given, or 1 for a scalar."""
    if given is None:
        cotangent_list: list[Any] = [None] * len(roots)
    else:
        cotangent_list = [given] if isinstance(given, Tensor) else list(given)
    if len(cotangent_list) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(cotangent_list)} gradients")
    seeds = []
    for number, (root, value, cotangent) in enumerate(
        zip(roots, values, cotangent_list, strict=True)
    ):
        if not root.requires_grad:
            raise RuntimeError(
                f"element {number} of tensors does not require grad and does not have a grad_fn"
            )
        if cotangent is None:
            if root.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            seeds.append(record(ONES_LIKE, (value,), (), False)[0])
        else:
            if cotangent.shape != root.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{number}] has a shape of {cotangent.shape} "
                    f"and output[{number}] has a shape of {root.shape}."
                )
            seed = cotangent._read()
            if seed.type.dtype is not value.type.dtype:
                seed = record(core.CAST, (seed,), (value.type.dtype,), seed.tracked)[0]
            seeds.append(seed)
    return seeds


def gradient_source(x: Tensor) -> Expression:
    """The expression whose gradient is the tensor's."""
    if x._storage.shared is not None and x._geometry is None and x._marker is None:
        value = x._storage.expression
        if value.tracked and value.leaf is None and x._connected:
            return value  # each read is a copy of it
    return x._read()


class _Walk:
    """The tracked graph under some roots: its expressions, inputs first, checked for backward.

    Given ``targets``, only what lies between the roots and them.
    """

    def __init__(
        self, values: Sequence[Expression], targets: Sequence[Expression] | None = None
    ) -> None:
        self.order: list[Expression] = []
        self.seen: set[Expression] = set()
        self.calls: list[Call] = []
        for value in values:
            self._visit(value)
        passed = None if targets is None else self._keep_above(targets)
        checked: set[int] = set()
        for e in reversed(self.order):
            if passed is not None and e not in passed:
                continue
            if e.call is not None and e.call.tracked and id(e.call) not in checked:
                checked.add(id(e.call))
                self.calls.append(e.call)
                _check_call(e.call)

    def _visit(self, root: Expression) -> None:
        seen, order = self.seen, self.order
        if root in seen:
            return
        seen.add(root)
        stack: list[tuple[Expression, Iterator[Expression]]] = [(root, _tracked_inputs(root))]
        while stack:
            e, pending = stack[-1]
            for child in pending:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, _tracked_inputs(child)))
                    break
            else:
                order.append(e)
                stack.pop()

    def _keep_above(self, given: Sequence[Expression]) -> set[Expression]:
        """Forget all but the targets and what is made of them; the latter."""
        tensors = {id(e.leaf()) for e in given if e.leaf is not None}
        targets = {*given}
        targets.update([e for e in self.order if e.leaf is not None and id(e.leaf()) in tensors])
        above: set[Expression] = set()
        for e in self.order:
            if any([i in above or i in targets for i in _tracked_inputs(e)]):
                above.add(e)
        self.order = [e for e in self.order if e in above or e in targets]
        self.seen = set(self.order)
        return above

    def readings(self, tensor: Tensor) -> list[Expression]:
        """Where the graph reads a tensor: a leaf perhaps before a write that was not recorded, or,
        where NumPy shares its memory, afresh in each use."""
        value = gradient_source(tensor)
        if value.leaf is None:
            return [value] if value in self.seen else []
        if value in self.seen and tensor._storage.shared is None:
            return [value]
        return [e for e in self.order if e.leaf is not None and e.leaf() is tensor]

    def leaves(self) -> list[tuple[Tensor, Expression]]:
        found = []
        for e in self.order:
            if e.leaf is not None:
                tensor = e.leaf()
                if tensor is not None and tensor.requires_grad:
                    found.append((tensor, e))
        return found

    def free(self, retain: bool, readers: list[weakref.ref[Call]]) -> None:
        if not retain:
            for call in self.calls:
                call.freed = True
                call.readers = readers


def _tracked_inputs(e: Expression) -> Iterator[Expression]:
    call = e.call
    if call is None or not call.tracked or e.leaf is not None:
        return iter(())
    return iter([i for i in call.inputs if i.tracked])


class _Session:
    """One backward pass: the roots, their cotangents, and those that hooks have replaced."""

    def __init__(
        self,
        roots: Sequence[Expression],
        seeds: Sequence[Expression],
        walk: _Walk,
        create_graph: bool,
    ) -> None:
        self.roots = tuple(roots)
        self.seeds = tuple(seeds)
        self.walk = walk
        self.create_graph = create_graph
        self.replaced: list[tuple[Expression, Expression]] = []
        self.readers: list[weakref.ref[Call]] = []

    def gradients(self, targets: Sequence[Expression]) -> list[Tensor]:
        """The targets' cotangents, as one pending call."""
        if not targets:
            return []
        inputs = (
            *self.roots,
            *self.seeds,
            *[e for e, _ in self.replaced],
            *[g for _, g in self.replaced],
            *targets,
        )
        tracked = self.create_graph and any(e.tracked for e in inputs)
        outputs = record(GRADIENT, inputs, (len(self.roots), len(self.replaced)), tracked)
        call = outputs[0].call
        if call is not None:
            call.has_gradient = True
            self.readers.append(weakref.ref(call))
        return [wrap(e) for e in outputs]

    def run_hooks(self) -> None:
        """Call the hooks of intermediate values, those nearest the roots first."""
        for e in reversed(self.walk.order):
            hooks = e.hooks
            if hooks is None:
                continue
            (gradient,) = self.gradients([e])
            gradient = _call_hooks(hooks.functions, gradient)
            if hooks.functions:
                self.replaced.append((e, gradient._read()))
            tensor = hooks.retained_by() if hooks.retained_by is not None else None
            if tensor is not None:
                before = tensor._grad
                capture.refuse("a computed tensor keeps its gradient")
                tensor._grad = gradient if before is None else _sum(before, gradient)


def _call_hooks(functions: dict[int, Any], gradient: Tensor) -> Tensor:
    for function in list(functions.values()):
        result = function(gradient)
        if result is not None:
            if not isinstance(result, Tensor):
                raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
            if result.shape != gradient.shape:
                raise RuntimeError(
                    f"hook '{getattr(function, '__name__', function)}' has changed the size of "
                    "value"
                )
            gradient = result
    return gradient


def _after_hooks(tensor: Tensor, gradient: Tensor) -> Tensor:
    hooks = tensor._backward_hooks
    return _call_hooks(hooks, gradient) if hooks else gradient


def _accumulate(tensor: Tensor, gradient: Tensor, create_graph: bool) -> None:
    if tensor._backward_hooks:
        # A hook may keep what it saw, which later gradients are not added to.
        seen = _after_hooks(tensor, gradient)
        gradient = wrap(record(core.IDENTITY, (seen._read(),), (), create_graph)[0])
    if tensor.is_leaf is False and not tensor._retains_grad:
        tensor._retains_grad = True
    before = tensor._grad
    if capture.state.active is not None:
        capture.state.active.note_grad(tensor)
    if before is None:
        if gradient._storage.expression.leaf is not None or gradient._geometry is not None:
            gradient = wrap(record(core.IDENTITY, (gradient._read(),), (), False)[0])
        tensor._grad = gradient
    elif create_graph:
        tensor._grad = _sum(before, gradient)
    else:
        enabled = grad_state.enabled
        grad_state.enabled = False
        try:
            before._write(record(ADD_GRADIENTS, (before._read(), gradient._read()), (), False)[0])
        finally:
            grad_state.enabled = enabled
    for hook in list((tensor.__dict__.get("_post_accumulate_hooks") or {}).values()):
        hook(tensor)


def _sum(x: Tensor, y: Tensor) -> Tensor:
    a, b = x._read(), y._read()
    return wrap(record(ADD_GRADIENTS, (a, b), (), a.tracked or b.tracked)[0])


# ---- what backward reads -------------------------------------------------------------------


def _check_call(call: Call) -> None:
    """Raise PyTorch's error where a value that this call's gradient reads is gone."""
    overwritten_inputs = [i for i, e in enumerate(call.inputs) if _overwritten(e) is not None]
    outputs = [reference() for reference in call.outputs]
    overwritten_outputs = [
        i for i, e in enumerate(outputs) if e is not None and type(e.owner) is Overwritten
    ]
    if not (call.freed or overwritten_inputs or overwritten_outputs):
        return
    if call.signature.function in (GRADIENT, TANGENT):
        return
    reads_inputs, reads_outputs = gradient_reads(
        call.signature, frozenset([i for i, e in enumerate(call.inputs) if e.tracked])
    )
    if call.freed and (reads_inputs or reads_outputs or not call.inputs):
        raise RuntimeError(
            "Trying to backward through the graph a second time (or directly access saved tensors "
            "after they have already been freed). Saved intermediate values of the graph are freed "
            "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need "
            "to backward through the graph a second time or if you need to access saved tensors "
            "after calling backward."
        )
    for i in overwritten_inputs:
        if i in reads_inputs and not _wrote_itself(call, call.inputs[i]):
            _raise_overwritten(call.inputs[i])
    for i in overwritten_outputs:
        e = outputs[i]
        if i in reads_outputs and e is not None:
            _raise_overwritten(e)


def _overwritten(e: Expression) -> Overwritten | None:
    while type(e.owner) is not Overwritten:
        call = e.call
        if call is None or not call.inputs or call.signature.function not in _ALIASES:
            return None
        e = call.inputs[0]
    return e.owner


_ALIASES = (core.VIEW, core.DETACH)


def _wrote_itself(call: Call, e: Expression) -> bool:
    """Whether the call's own result replaced its input, as x.sin_() does: the input is kept."""
    mark = _overwritten(e)
    written = None if mark is None else mark.by()
    while written is not None and written.call is not None:
        made = written.call
        if made is call:
            return True
        if made.signature.function not in _WRITES or not made.inputs:
            return False
        written = made.inputs[-1]
    return False


# What a written value passes through on its way into the storage: the last input is the value.
_WRITES = (core.WRITE_VIEW, core.IDENTITY, core.CAST)


def _raise_overwritten(e: Expression) -> None:
    mark = _overwritten(e)
    assert mark is not None
    storage = mark.storage()
    now = storage.version if storage is not None else mark.version + 1
    made = ""
    if e.call is not None and e.call.tracked:
        made = f", which is output {e.number} of {e.call.signature.function.gradient_name},"
    name = type_name(e)
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{name} {list(e.type.shape)}]{made} is at version {now}; expected version "
        f"{mark.version} instead. Hint: enable anomaly detection to find the operation that failed "
        "to compute its gradient, with torch.autograd.set_detect_anomaly(True)."
    )


_TYPE_NAMES = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16"}


def type_name(e: Expression) -> str:
    return f"torch.{_TYPE_NAMES.get(e.type.dtype.name, e.type.dtype.name)}Tensor"


def gradient_reads(
    signature: Signature, tracked: frozenset[int]
) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of the inputs and outputs whose values the gradient of a call reads."""
    found = signature.reads.get(tracked)
    if found is None:
        found = signature.reads[tracked] = _find_reads(signature, tracked)
    return found


def _find_reads(
    signature: Signature, tracked: frozenset[int]
) -> tuple[frozenset[int], frozenset[int]]:
    template = signature.template
    inputs = template.parameters
    seeds = [parameter(1000 + i, o.type) for i, o in enumerate(template.outputs)]
    if template.gradient is not None:
        outputs: Sequence[Node] = [
            call_node(template, inputs, i) for i in range(len(template.outputs))
        ]
        parts = template.gradient(inputs, outputs, seeds)
        results = [p for i, p in enumerate(parts) if p is not None and i in tracked]
    else:
        outputs = template.outputs
        flows = [(o, s) for o, s in zip(outputs, seeds, strict=True) if o.dtype.kind == "float"]
        results = cotangents(
            [o for o, _ in flows], [s for _, s in flows], {}, [inputs[i] for i in sorted(tracked)]
        )
    own = {o for o in outputs if o not in inputs}
    visited = set(topological(results, stop=lambda node: node in own))
    return (
        frozenset([i for i, p in enumerate(inputs) if p in visited]),
        frozenset([i for i, o in enumerate(outputs) if o in own and o in visited]),
    )


class RemovableHandle:
    """Takes a hook away again: ``handle.remove()``, or leaving ``with handle``."""

    _next = 0

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._dict = hooks
        self.id = RemovableHandle._next
        RemovableHandle._next += 1

    def remove(self) -> None:
        self._dict.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()
