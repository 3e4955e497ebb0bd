"""backward() and grad(): checks what was saved, then records the gradient as one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from codegen import spans
from codegen.ops import elementwise as ew
from lazytorch import capture, core
from lazytorch.application import written_over
from lazytorch.autograd import anomaly_mode, known_walks
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.graph import GradientEdge, tensor_at
from lazytorch.autograd.release import free, note_readers, reader
from lazytorch.autograd.session import ADD, ZEROS_LIKE, Session, add, call_hooks
from lazytorch.autograd.walk import (
    FREED,
    Collector,
    Walk,
    as_collected,
    gradient_source,
    has_hooks,
    owner_of,
)
from lazytorch.expression import Expression, Function
from lazytorch.importer import GRADIENT
from lazytorch.layout import strided
from lazytorch.layouts import is_dense
from lazytorch.leaves import LivingOn, settle_grad
from lazytorch.levels import UnknownValue
from lazytorch.levels import state as levels
from lazytorch.realize import flush
from lazytorch.recording import last_recorded
from lazytorch.result_layouts import lay_out
from lazytorch.size import Size
from lazytorch.storage import pending_writes
from lazytorch.tensor import Tensor, record, wrap
from lazytorch.transfer import moved
from lazytorch.view_history import views

ONES_LIKE = Function("ones_like", lambda x: ew.full_like(x, 1))

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
    began = spans.now() if spans.listeners else 0
    if levels.inside:
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use "
            "functorch.grad or functorch.vjp instead or call backward() outside of functorch "
            "transforms."
        )
    if inputs is not None:
        inputs = _listed(inputs, "backward")
    roots = _as_tuple(tensors)
    if grad_tensors is not None and grad_variables is not None:
        raise RuntimeError(
            "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to "
            "`backward()`. Please only use `grad_tensors`."
        )
    given = grad_tensors if grad_tensors is not None else grad_variables
    retain = create_graph if retain_graph is None else retain_graph
    _flush_parameters()
    if not retain and given is None and inputs is None and len(roots) == 1 and _run_known(roots[0]):
        if began:
            spans.note("backward", "python", began)
        return
    values = [last_recorded(t._read()) for t in roots]
    seeds = _seeds(roots, values, given)
    if inputs is not None:
        edges = [isinstance(t, GradientEdge) for t in inputs]
        inputs = tuple([t._collecting() for t in _as_tuple(inputs)])
        for t, is_edge in zip(inputs, edges, strict=True):
            if not is_edge:
                t.retain_grad()  # leaves do not
    chosen = None if inputs is None else {id(t) for t in inputs}
    sources = None if inputs is None else [gradient_source(t) for t in inputs]
    walk = Walk(values, sources, runs_targets=True, defers=True)
    session = Session(values, seeds, walk, create_graph)
    collection = _Collection(session, chosen)
    queued = len(at_the_end)
    try:
        with walk:
            session.run_hooks(retain, collection.turn, collection.give_passed)
            rest = collection.arrived()
            free(walk, retain, session.readers)
            collection.give(rest)
    except Exception:
        del at_the_end[queued:]
        raise
    for tensor, e in collection.leaves:
        if type(e.leaf) is LivingOn:
            settle_grad(tensor)
    while len(at_the_end) > queued:
        at_the_end.pop(queued)()
    if began:
        spans.note("backward", "python", began)


class _Collection:
    """Gives leaves their gradients: where hooks or Functions run, those with hooks in their turn
    among these, with the leaves passed so far; all others at the end."""

    def __init__(self, session: Session, chosen: set[int] | None) -> None:
        self.session, self.chosen = session, chosen
        self.passed: dict[Expression, None] = {}
        # Of each leaf the values that stand for it, and how many of these were not passed yet.
        self.values: dict[int, list[Expression]] = {}
        self.to_come: dict[int, int] = {}
        self.leaves: list[tuple[Tensor, Expression]] = []  # that got theirs

    def turn(self, e: Expression) -> None:
        """All that arrives at a value of a leaf has arrived."""
        if not self.values:
            for x in self.session.walk.order:
                if x.leaf is not None:
                    self.values.setdefault(id(x.leaf), []).append(x)
            self.to_come = {leaf: len(values) for leaf, values in self.values.items()}
        assert e.leaf is not None
        leaf, tensor = id(e.leaf), e.leaf()
        self.to_come[leaf] -= 1
        if not self.to_come[leaf]:
            self.passed.update(dict.fromkeys(self.values[leaf]))
            if isinstance(tensor, Tensor) and has_hooks(tensor):
                self.give_passed()

    def give_passed(self) -> None:
        """Give the leaves passed so far what has arrived there."""
        self.give(self.arrived(self.passed))

    def arrived(self, only: Iterable[Expression] | None = None) -> list[tuple[Any, Tensor | None]]:
        """The leaves that got no gradient yet, all or ``only`` some of them in this order, and what
        has arrived there."""
        session, chosen = self.session, self.chosen
        known = {e for _, e in self.leaves}
        leaves = [(t, e) for t, e in session.walk.leaves() if e not in known]
        if chosen is not None:
            leaves = [(t, e) for t, e in leaves if id(owner_of(t)) in chosen]
        if only is not None:
            tensors = {e: t for t, e in leaves}
            leaves = [(tensors[e], e) for e in only if e in tensors]
        self.leaves += leaves
        undefined: list[tuple[Any, None]] = []
        if session.reached is not None:
            nothing = session.undefined - session.reached
            undefined = [(t, None) for t, e in leaves if e in nothing]
            leaves = [(t, e) for t, e in leaves if e in session.reached]
        gradients = session.cotangents([e for _, e in leaves])
        found = [*undefined, *[(t, g) for (t, _), g in zip(leaves, gradients, strict=True)]]
        if only is None and len(found) > 1 and any([has_hooks(owner_of(t)) for t, _ in found]):
            turns = session.walk.order_of_leaves()
            found.sort(key=lambda pair: turns.get(id(pair[0]), (0, 0)))
        return found

    def give(self, found: Sequence[tuple[Any, Tensor | None]]) -> None:
        """Add up what has arrived at leaves, with their hooks."""
        total: dict[int, tuple[Tensor, Tensor | None]] = {}
        for leaf, gradient in found:
            if gradient is None:
                total.setdefault(id(leaf), (leaf, None))
                continue
            if isinstance(leaf, Collector):
                total[id(leaf)] = (leaf.target, leaf.as_gradient(gradient))
                continue
            # A leaf whose memory NumPy shares is read afresh by each use; its parts add up.
            _, before = total.get(id(leaf), (leaf, None))
            device = leaf._storage.expression.device
            if gradient._storage.expression.device != device:
                gradient = moved(gradient, device)
            total[id(leaf)] = (leaf, gradient if before is None else add(before, gradient))
        create_graph = self.session.create_graph
        before_mode, grad_state.enabled = grad_state.enabled, create_graph  # that of hooks
        try:
            for tensor, gradient in total.values():
                _accumulate(tensor, gradient, create_graph)
        finally:
            grad_state.enabled = before_mode


def _run_known(root: Tensor) -> bool:
    """The whole of ``backward`` from a number on the cpu whose graph is a known one, where Python
    takes no part in it; False, and nothing is done, where that is not so."""
    value = root._storage.expression
    if (
        value.leaf is not None
        or not value.tracked
        or value.type.size != 1
        or value.type.dtype.is_complex
        or value.device != "cpu"
        or capture.state.active is not None
        or views.watched
        or anomaly_mode.state.enabled
        or root._read() is not value
    ):
        return False
    found = known_walks.recognised(value)
    if found is None or found[0].is_hooked:
        return False
    known, order, calls = found
    leaves, collecting = [], []
    for i in known.leaves:
        e = order[i]
        tensor: Any = e.leaf()  # type: ignore[misc]
        if tensor is None:
            continue
        if (
            e.device != "cpu"
            or not isinstance(tensor, Tensor)
            or tensor._storage.expression is not e
            or has_hooks(tensor)
        ):
            return False
        leaves.append(e)
        collecting.append(tensor)
    if not leaves:
        return False
    (seed,) = record(ONES_LIKE, (value,), (), False)
    gradients = record(GRADIENT, (value, seed, *leaves), (1, 0), False)
    made = gradients[0].call
    if made is not None:
        made.has_gradient = True
        note_readers(calls, [reader(made)])
    for call in calls:
        call.freed = True
    enabled = grad_state.enabled
    grad_state.enabled = False
    try:
        for tensor, gradient in zip(collecting, gradients, strict=True):
            _collect(tensor, gradient)
    finally:
        grad_state.enabled = enabled
    return True


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
) -> Any:
    """The gradients of ``outputs`` with respect to ``inputs``, given and not accumulated.

    Both may be gradient edges in the place of tensors; inputs given by name give a dictionary.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if is_grads_batched:
        return _batched(
            outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused,
            materialize_grads,
        )  # fmt: skip
    if allow_unused is False and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    roots, listed = _as_tuple(outputs), _listed(inputs, "grad")
    given = _as_tuple(listed)
    wanted = tuple([t._collecting() for t in given])
    _flush_parameters()
    retain = create_graph if retain_graph is None else retain_graph
    values = [last_recorded(t._read()) for t in roots]
    seeds = _seeds(roots, values, grad_outputs)
    sources = []
    for t in wanted:
        if not t.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        sources.append(gradient_source(t))
    walk = Walk(values, sources, defers=True)
    session = Session(values, seeds, walk, create_graph)
    with walk:
        found = _found(session, wanted, sources, retain, bool(allow_unused or materialize_grads))
    for number, gradient in enumerate(found):
        if gradient is None and materialize_grads:
            if isinstance(listed[number], GradientEdge):
                raise RuntimeError(
                    "materialize_grads cannot be used when the given input is a GradientEdge"
                )
            zeros = wrap(record(ZEROS_LIKE, (wanted[number]._read(),), (), False)[0])
            found[number] = zeros._require_grad_(create_graph)
    result = [None if g is None else t._as_gradient(g) for t, g in zip(given, found, strict=True)]
    return dict(zip(inputs, result, strict=True)) if type(inputs) is dict else tuple(result)


def _found(
    session: Session,
    wanted: Sequence[Tensor],
    sources: Sequence[Expression],
    retain: bool,
    allow_unused: bool,
) -> list[Tensor | None]:
    """The gradients at the wanted tensors, whose values are ``sources``."""
    walk, create_graph = session.walk, session.create_graph
    known: dict[int, Tensor] = {}  # a tensor asked for twice has one gradient
    hooked = [t for t in wanted if t.is_leaf and t._backward_hooks]

    def turn(e: Expression) -> None:
        """A leaf's hooks run as soon as all has arrived there."""
        for tensor in hooked:
            if session.arrived([e]) and walk.readings(tensor) == [e]:
                known[id(tensor)] = _at_tensor(tensor, session.cotangents([e]), create_graph)

    session.run_hooks(retain, turn)
    targets = [session.arrived([*walk.readings(t), *walk.collected_for(t)]) for t in wanted]
    if not allow_unused:
        for number, readings in enumerate(targets):
            if not readings:
                if walk.lost([sources[number]]):
                    raise RuntimeError(FREED)
                free(walk, retain, session.readers)
                raise RuntimeError(
                    f"The differentiated Tensor at index {number} appears to not have been used in "
                    "the graph. Set allow_unused=True if this is the desired behavior."
                )
    for tensor, readings in zip(wanted, targets, strict=True):
        if not readings and tensor.is_leaf and gradient_source(tensor) in session.undefined:
            _after_hooks(tensor, None, create_graph)
    arrived = list(dict.fromkeys([e for readings in targets for e in readings]))
    computed = dict(zip(arrived, session.cotangents(arrived), strict=True))
    if len(session.roots) == 1 and not session.replaced:
        (root,), (seed,) = session.roots, session.seeds
        if root in computed and seed.tracked:  # as in PyTorch, what was given, with its history
            computed[root] = wrap(record(core.IDENTITY, (seed,), (), seed.tracked)[0])
    free(walk, retain, session.readers)
    result: list[Tensor | None] = []
    for tensor, readings in zip(wanted, targets, strict=True):
        if id(tensor) in known:
            result.append(known[id(tensor)])
        elif readings:
            parts = [as_collected(e, computed[e]) for e in readings]
            known[id(tensor)] = gradient = _at_tensor(tensor, parts, create_graph)
            result.append(gradient)
        else:
            result.append(None)
    return result


def _at_tensor(tensor: Tensor, parts: Sequence[Tensor], create_graph: bool) -> Tensor:
    """The gradient of a tensor of which ``parts`` have arrived, as a leaf's hooks leave it."""
    gradient = parts[0]
    for part in parts[1:]:
        gradient = add(gradient, part)
    if gradient.layout is strided and gradient._storage.device != tensor._storage.device:
        gradient = moved(gradient, tensor._storage.device)
    return _after_hooks(tensor, gradient, create_graph) if tensor.is_leaf else gradient


def _batched(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any,
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool | None,
    materialize_grads: bool,
) -> tuple[Tensor | None, ...]:
    """As ``grad``, for each row of the given cotangents."""
    given = _as_tuple(grad_outputs)
    roots = _as_tuple(outputs)
    for number, (root, cotangents) in enumerate(zip(roots, given, strict=False)):
        if cotangents is not None and cotangents.shape[1:] != root.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                "match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output[{number}] has a shape of {Size(cotangents.shape[1:])} and "
                f"output[{number}] has a shape of {root.shape}. If you only want some tensors in "
                "`grad_output` to be considered batched, consider using vmap."
            )
    count = next(c.shape[0] for c in given if c is not None)
    retain = create_graph if retain_graph is None else retain_graph
    try:
        return _at_once(roots, inputs, given, retain, create_graph, allow_unused, materialize_grads)
    except UnknownValue:  # what computes values on the way back, as a checkpoint does
        pass
    rows = [
        grad(
            roots, inputs, [None if c is None else c[i] for c in given],
            retain or i + 1 < count, create_graph, True, allow_unused, False, materialize_grads,
        )
        for i in range(count)
    ]  # fmt: skip
    columns = zip(*rows, strict=True)
    return tuple([None if c[0] is None else stacked[0](list(c)) for c in columns])


def _at_once(
    roots: Tensors,
    inputs: Tensors,
    given: Sequence[Any],
    retain: bool,
    create_graph: bool,
    allow_unused: bool | None,
    materialize_grads: bool,
) -> tuple[Tensor | None, ...]:
    """All rows by one vmap."""
    unused: list[bool] = []

    def one(rows: Sequence[Any]) -> tuple[Tensor, ...]:
        found = grad(
            roots, inputs, rows, retain, create_graph, True, allow_unused, False,
            materialize_grads,
        )  # fmt: skip
        unused[:] = [g is None for g in found]
        return tuple([g for g in found if g is not None])

    dims = [None if c is None else 0 for c in given]
    rest = iter(vmapped[0](one, (dims,))(list(given)))
    return tuple([None if missing else next(rest) for missing in unused])


# torch.stack, which functions/joining.py makes after this, and func/vmap.py's vmap.
stacked: list[Any] = []
vmapped: list[Any] = []


def _as_tuple(tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, those at gradient edges among them."""
    if isinstance(tensors, Tensor):
        return (tensors,)
    listed = (tensors,) if isinstance(tensors, GradientEdge) else tuple(tensors)
    return tuple([tensor_at(t) if isinstance(t, GradientEdge) else t for t in listed])


def _listed(inputs: Any, caller: str) -> tuple[Any, ...]:
    """Inputs as they were given: one, several, or by name."""
    if isinstance(inputs, (Tensor, GradientEdge)):
        return (inputs,)
    if isinstance(inputs, Mapping) and type(inputs) is not dict:
        raise TypeError(
            f"`inputs` argument to `{caller}()` must be a dict, not {type(inputs).__name__}. "
            "Other Mapping types are not supported."
        )
    found = tuple(inputs.values() if type(inputs) is dict else inputs)
    if not found:
        raise RuntimeError(f"`inputs` argument to `{caller}()` cannot be empty.")
    for x in found:
        if not isinstance(x, (Tensor, GradientEdge)):
            raise RuntimeError(
                f"all inputs have to be Tensors or GradientEdges, but got {type(x).__name__}"
            )
    return found


def _flush_parameters() -> None:
    """Finish the last step's updates first, so that every step runs the same plans."""
    for reference, _ in pending_writes.values():
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
        if not root.requires_grad or not root._collects:
            raise RuntimeError(
                f"element {number} of tensors does not require grad and does not have a grad_fn"
            )
        if cotangent is None:
            if root.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if root.dtype.is_complex:
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{root.dtype!r}"
                )
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


# What hooks want called once the present backward() has accumulated everything.
at_the_end: list[Callable[[], None]] = []
# Told of each leaf that gets a gradient; benchmarks put one here, to have it computed.
accumulated: list[Callable[[Tensor], None]] = []


def _after_hooks(tensor: Tensor, gradient: Any, create_graph: bool) -> Any:
    hooks = tensor._backward_hooks
    if not hooks:
        return gradient
    before, grad_state.enabled = grad_state.enabled, create_graph
    try:
        return call_hooks(hooks, gradient)
    finally:
        grad_state.enabled = before


def _accumulate(tensor: Tensor, gradient: Any, create_graph: bool) -> None:
    """Add a gradient to a leaf's, with its hooks; of None the hooks are told alone."""
    if tensor._backward_hooks:
        # A hook may keep what it saw, which later gradients are not added to.
        seen = _after_hooks(tensor, gradient, create_graph)
        gradient = seen
        if seen is not None and seen.layout is strided:
            gradient = wrap(record(core.IDENTITY, (seen._read(),), (), seen.requires_grad)[0])
    hooks = tensor.__dict__.get("_node_hooks")
    if hooks:
        for hook in list(hooks[0].values()):
            answer = hook((gradient,))
            if answer is not None:
                gradient = answer if isinstance(answer, Tensor) else answer[0]
    if tensor.requires_grad and gradient is not None:  # still; its hooks see what it would get
        _add_to_grad(tensor, gradient, create_graph)
    after_hooks = tensor.__dict__.get("_post_accumulate_hooks")
    if after_hooks:
        for hook in list(after_hooks.values()):
            answer = hook(tensor)
            if answer is not None:
                if not isinstance(answer, Tensor):
                    kind = type(answer).__name__
                    raise TypeError(f"expected Variable, but hook returned '{kind}'")
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    if hooks:
        for hook in list(hooks[1].values()):
            hook((), (gradient,))


def _collect(tensor: Tensor, gradient: Expression) -> None:
    """``_add_to_grad`` of a value that nobody has yet, while nobody watches."""
    before = tensor._grad
    lies_in_rows = tensor._geometry is None and tensor._storage.special is None
    if type(before) is not Tensor and not (before is None and lies_in_rows):
        _add_to_grad(tensor, wrap(gradient), False)
        return
    for tell in accumulated:
        tell(tensor)
    if before is None:
        tensor._grad = wrap(gradient)
    elif not written_over(ADD, (before, gradient), (), [before]):
        before._write(record(ADD, (before._read(), gradient), (), False)[0])


def _lying_as(gradient: Tensor, tensor: Tensor) -> Tensor:
    """The gradient, or a copy of it that lies in memory as the tensor does, if that is dense."""
    shape, strides = tensor._type.shape, tensor._strides()
    fits = gradient._strides() == strides or (tensor.is_contiguous() and gradient.is_contiguous())
    if fits or not is_dense(shape, strides) or gradient.requires_grad:
        return gradient
    copied = wrap(record(core.IDENTITY, (gradient._read(),), (), False)[0])
    return lay_out(copied, strides)


def _add_to_grad(tensor: Tensor, gradient: Tensor, create_graph: bool) -> None:
    before = tensor._grad
    if capture.state.active is not None:
        capture.state.active.note_grad(tensor)
    for tell in accumulated:
        tell(tensor)
    if gradient.layout is not strided or (before is not None and before.layout is not strided):
        tensor._grad = gradient if before is None else add(before, gradient)
    elif before is None:
        if gradient._storage.expression.leaf is not None or gradient._geometry is not None:
            gradient = wrap(record(core.IDENTITY, (gradient._read(),), (), False)[0])
        if tensor.layout is strided and (
            tensor._geometry is not None or tensor._storage.special is not None
        ):
            gradient = _lying_as(gradient, tensor)
        tensor._grad = gradient
    elif create_graph:
        tensor._grad = add(before, gradient)
    else:
        enabled = grad_state.enabled
        grad_state.enabled = False
        try:
            before._write(record(ADD, (before._read(), gradient._read()), (), False)[0])
        finally:
            grad_state.enabled = enabled
