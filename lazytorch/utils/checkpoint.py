"""torch.utils.checkpoint: run a part of the forward again in backward rather than keep its values.

The part runs twice, in two plans: nothing of the first run stays but arguments and results. Where
``backward()`` comes to it, what is pending is computed first, and the part's gradients at once, so
that the memory of one part is there at a time.
"""

from __future__ import annotations

import contextlib
import enum
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator, Sequence
from operator import and_
from typing import Any

from lazytorch import capture, core, levels
from lazytorch.autograd.backward import backward
from lazytorch.autograd.function import Function, Saved
from lazytorch.autograd.grad_mode import enable_grad, is_grad_enabled
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.graph import CallNode
from lazytorch.autograd.reads import goes_on_to
from lazytorch.autograd.release import free
from lazytorch.autograd.saved import let_read, without_packing, would_pack
from lazytorch.autograd.session import Session, add
from lazytorch.autograd.walk import FREED, Walk, gradient_source, node_name, under_way
from lazytorch.expression import (
    Call,
    Expression,
    Hooks,
    NodeState,
    hooks_of,
    next_in_sequence,
    nobody,
)
from lazytorch.freed import inputs_of
from lazytorch.functions.random import default_generator
from lazytorch.realize import realize
from lazytorch.recording import untracked
from lazytorch.tensor import Tensor, record, wrap
from lazytorch.utils._checkpoint_runs import (
    CheckpointError,
    Kind,
    PartRun,
    compare,
    kind_of,
    other_kinds,
    other_results,
)
from lazytorch.view_history import CANNOT_SAVE

__all__ = [
    "CheckpointError",
    "CheckpointPolicy",
    "SelectiveCheckpointContext",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]

_DETERMINISM_CHECKS = ["default", "none"]


class _Settings:
    """What holds for every checkpoint; None: as it says itself."""

    early_stop: bool | None = None
    debug: bool | None = None


_settings = _Settings()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Within, ``early_stop`` of every checkpoint is this."""
    before, _settings.early_stop = _settings.early_stop, enable
    try:
        yield
    finally:
        _settings.early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Within, ``debug`` of every checkpoint is this (None: as it says itself)."""
    before, _settings.debug = _settings.debug, enabled
    try:
        yield
    finally:
        _settings.debug = before


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing: of the first run, and of the second."""
    return contextlib.nullcontext(), contextlib.nullcontext()


class CheckpointPolicy(enum.Enum):
    """What a policy of a selective checkpoint says of an operator."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


class SelectiveCheckpointContext:
    """What a policy is given beside an operator: whether it is recomputed, and what it gave."""

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute = is_recompute
        self.op_output = op_output


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[Any, Any]:
    """The two contexts of a checkpoint that keeps what some operators give.

    Which operators is of no consequence here: a checkpointed part is run again as a whole, in one
    plan, and what its gradients read of it is all that is computed. The results are the same.

    TypeError where the policy is neither a function nor a list of operators.
    """
    if not isinstance(policy_fn_or_list, list) and not callable(policy_fn_or_list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args)``, whose inner values backward computes again.

    With ``preserve_rng_state`` (the default) both runs draw the same random numbers. The function
    must compute the same both times: what both runs save for the gradients is counted, and
    ``determinism_check="default"`` compares the shapes, types and devices of it. With
    ``early_stop`` the second run may save more. CheckpointError says what differs, and with
    ``debug`` what both runs have called.

    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.utils.checkpoint.checkpoint(torch.sin, x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([0.5403, 0.5403])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will raise an "
            "exception. use_reentrant=False is recommended, but if you need to preserve the "
            "current default behavior, you can pass use_reentrant=True. Refer to docs for more "
            "details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        if determinism_check not in _DETERMINISM_CHECKS:
            raise ValueError(
                f"determinism_check should be one of {_DETERMINISM_CHECKS}, but got "
                f"{determinism_check}"
            )
        debug = debug if _settings.debug is None else _settings.debug
        if debug and context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        stop = early_stop if _settings.early_stop is None else _settings.early_stop
        checks = {"kinds": determinism_check == "default", "early_stop": stop, "debug": debug}
        return _checkpoint(function, args, kwargs, preserve, context_fn, checks)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug:
        raise ValueError(
            "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
        )
    if not any([isinstance(a, Tensor) and a.requires_grad for a in args]):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )
    return CheckpointFunction.apply(function, preserve, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A sequence of functions cut into ``segments``, all but the last of them checkpointed."""
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be "
            "passed explicitly. In version 2.9 we will raise an exception if use_reentrant is not "
            "passed. use_reentrant=False is recommended, but if you need to preserve the current "
            "default behavior, you can pass use_reentrant=True. Refer to docs for more details on "
            "the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(start: int, end: int) -> Callable[[Any], Any]:
        def run(value: Any) -> Any:
            for function in functions[start:end]:
                value = function(value)
            return value

        return run

    length = len(functions) // segments
    start = 0
    for _ in range(segments - 1):
        input = checkpoint(
            part(start, start + length), input, use_reentrant=use_reentrant,
            preserve_rng_state=preserve,
        )  # fmt: skip
        start += length
    return part(start, len(functions))(input)


class _RandomState:
    """Where the default generator stands."""

    def __init__(self) -> None:
        self.seed, self.position = default_generator._seed, default_generator._next

    def restore(self) -> None:
        default_generator._seed, default_generator._next = self.seed, self.position


@contextlib.contextmanager
def _again(state: _RandomState | None) -> Any:
    """Within, gradients are recorded and random numbers are those of another time."""
    now = _RandomState()
    try:
        if state is not None:
            capture.refuse("a checkpoint goes back to an earlier random state")
            state.restore()
        with enable_grad():
            yield
    finally:
        if state is not None:
            now.restore()


_FOR_ALL_LEAVES = (
    "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an "
    "`inputs` parameter to .backward(). To resolve this error, you can either set "
    "use_reentrant=False, or call .backward() without passing the `inputs` argument."
)


class CheckpointFunction(Function):
    """The reentrant form: a backward pass within the backward pass."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve: bool, *args: Any) -> Any:
        ctx.run_function, ctx.args = run_function, list(args)
        ctx.random = _RandomState() if preserve else None
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        for i in ctx.places:
            ctx.args[i] = None
        return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        if any([walk.passed is not None for walk in under_way.walks]):
            raise RuntimeError(_FOR_ALL_LEAVES)
        args = list(ctx.args)
        for i, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[i] = tensor.detach()._require_grad_(tensor.requires_grad)
        with _again(ctx.random):
            outputs = ctx.run_function(*args)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = zip(outputs, gradients, strict=True)
        used = [(o, g) for o, g in pairs if isinstance(o, Tensor) and o.requires_grad]
        if not used:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        backward([o for o, _ in used], [g for _, g in used])
        found = [a.grad if isinstance(a, Tensor) else None for a in args]
        realize([g._read() for g in found if g is not None])
        return (None, None, *found)


CheckpointFunction._backward_cls._settles = True


def _read_from_outside(
    outputs: Sequence[Expression], boundary: Sequence[Expression], began: int
) -> tuple[list[Expression], list[Call]]:
    """What a part, begun when so many calls were tracked, has read besides its arguments, in the
    order that a walk from its outputs finds it; and its calls."""

    def is_outside(e: Expression) -> bool:
        return e.leaf is not None or e.call is None or e.call.sequence < began

    def is_view_of_outside(e: Expression) -> bool:
        # A view may be older than its node, or its nodes, which are made when it is read.
        while e.call is not None and e.call.signature.function is core.VIEW:
            below = goes_on_to(e)
            if not below or below[0] in own:
                return False
            (e,) = below
            if is_outside(e):
                return True
        return False

    found: dict[Expression, None] = {}
    calls: dict[Call, None] = {}
    own, seen = {*boundary}, {*boundary}
    stack = list(reversed(outputs))
    while stack:
        e = stack.pop()
        if e in seen:
            continue
        seen.add(e)
        if is_outside(e) or is_view_of_outside(e):
            found[e] = None
        else:
            assert e.call is not None
            calls[e.call] = None
            stack.extend(reversed(goes_on_to(e)))
    return list(found), list(calls)


def _sequence(e: Expression) -> int:
    assert e.call is not None
    return e.call.sequence


def _tensors(values: Any) -> list[Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, (list, tuple)):
        return [t for v in values for t in _tensors(v)]
    return []


def _with(values: Any, replaced: dict[int, Tensor]) -> Any:
    """The same nesting with tensors replaced, by their identity."""
    if isinstance(values, Tensor):
        return replaced.get(id(values), values)
    if isinstance(values, dict):
        return type(values)([(k, _with(v, replaced)) for k, v in values.items()])
    if isinstance(values, list):
        return [_with(v, replaced) for v in values]
    if isinstance(values, tuple):
        parts = [_with(v, replaced) for v in values]
        return tuple(parts) if type(values) is tuple else type(values)(*parts)
    return values


def _take_hooks(results: Sequence[Tensor]) -> list[Hooks | None]:
    """Take what hooks a part has given to its results from these."""
    found: list[Hooks | None] = []
    for x in results:
        e = x._read()
        taken = None
        if e.hooks is not None and e.hooks.functions and e.leaf is None:
            taken = Hooks()
            taken.functions, e.hooks.functions = e.hooks.functions, OrderedDict()
        found.append(taken)
    return found


def _alone(x: Tensor, connected: bool) -> Tensor:
    """A tensor as a value of its own, differentiable to it or not; itself where nobody collects its
    gradient, which is what others make of it then."""
    value = x._read()
    if value.leaf is nobody:
        return x
    if connected:
        return wrap(record(core.IDENTITY, (value,), (), True)[0])
    # Each reading of memory that NumPy shares is another value.
    detached = x.detach() if x._storage.shared is None else x.detach().clone()
    return detached._require_grad_()


class _StopRecomputationError(Exception):
    """All that backward needs of a part's second run is there."""


def _unpacking(results: Sequence[Tensor], calls: Sequence[Call]) -> list[bool]:
    """Of each result of these calls, whether its gradient reads anything that they saved."""
    found: dict[Call | None, bool] = {}
    for call in sorted(calls, key=lambda call: call.sequence):
        found[call] = would_pack(call) or any([found.get(e.call, False) for e in call.inputs])
    return [found.get(t._read().call, False) for t in results]


class CheckpointNode(CallNode):
    """The node of a checkpointed part: backward runs the part again.

    The gradient goes to the arguments and to the values that the part has read besides.
    """

    _settles = True
    _sends_none = False  # a part has not come there

    def __init__(self, function: Any, args: Any, kwargs: Any, context: Any) -> None:
        self.function, self.args, self.kwargs, self.context = function, args, kwargs, context
        self.random: _RandomState | None = None
        self.reference: weakref.ref[Call] | None = None
        self.given = [t for t in _tensors((args, kwargs)) if t.requires_grad]
        # As in PyTorch, arguments must not have been written to before the second run.
        saved = [a for a in args if isinstance(a, Tensor)]
        self._saved = [Saved(a, None) for a in saved]
        # Hooks are given the arguments, and nothing of what the part computes.
        self.packed = bool(grad_state.saved_hooks)
        for a, each in zip(saved, self._saved, strict=True) if self.packed else ():
            each.pack(a)
        self.freed = False
        self._ends_plainly = False
        self.first = PartRun([])
        self.unpacks: list[bool] = []  # of each result: whether its gradient reads what was saved
        self.made_by = "CheckpointBackward"
        # Of the arguments that require grad: whether results are made of them.
        self.used: list[bool] = []
        self.checks: dict[str, bool] = {}
        self.kinds: list[Kind] = []  # what the results were

    def _call(self) -> Call | None:
        return None if self.reference is None else self.reference()

    def name(self) -> str:
        return self.made_by

    def results(self, result: Any, given: Sequence[Tensor]) -> list[Tensor]:
        """Those results of a run of the part, on these arguments, that a gradient comes to."""
        arguments = {id(t) for t in given}
        return [t for t in _tensors(result) if t.requires_grad and id(t) not in arguments]

    def run_again(
        self, connected: bool, unpacked: Sequence[Tensor] | None = None
    ) -> tuple[Any, list[Tensor]]:
        """The part's results, and its arguments that require grad, as values of their own: as they
        were ``unpacked``, where hooks have packed them."""
        saved = [a for a in self.args if isinstance(a, Tensor)]
        now = {id(a): u for a, u in zip(saved, unpacked or saved, strict=True)}
        alone = [_alone(now.get(id(t), t), connected) for t in self.given]
        tensors = [now.get(id(t), t) for t in _tensors((self.args, self.kwargs))]
        detached = {id(t): t.detach() for t in tensors if t.requires_grad}  # by now, perhaps
        replaced = {i: detached.get(id(t), t) for i, t in now.items()} | detached
        replaced.update({id(t): a for t, a in zip(self.given, alone, strict=True)})
        result = self.function(*_with(self.args, replaced), **_with(self.kwargs, replaced))
        return result, alone

    def _edges(self, call: Call) -> list[Expression | None]:
        return [e for e in inputs_of(call) if e.tracked]

    def _tensor_arguments(self) -> list[int]:
        call = self._call()
        return [] if call is None else [*range(len(self._edges(call)))]

    def _of_results(self, gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        return gradients

    _materialized = _of_results

    def _free(self) -> None:
        self.args, self.kwargs, self.given, self._saved = (), {}, [], []
        self.freed = True

    def _backward(
        self, call: Call, gradients: Sequence[Tensor | None], wanted: Container[Expression] | None
    ) -> list[Tensor | None]:
        create_graph = is_grad_enabled()
        if self.freed:
            raise RuntimeError(FREED)
        arguments: list[Tensor] = []
        try:
            arguments = [saved.unpack(self) for saved in self._saved]
        except RuntimeError:
            # Where no gradient has come, the node runs all the same.
            asked = [g is not None for g in gradients]
            read = map(and_, self.unpacks, asked) if any(asked) else self.unpacks
            if self.packed or any(read):
                raise  # as PyTorch does where a gradient reads what was saved
        if grad_state.hooks_refused is not None:
            raise RuntimeError(grad_state.hooks_refused)
        began = next_in_sequence()
        results = [reference() for reference in call.outputs]
        is_example = any([e is not None and levels.is_unknown(e) for e in results])
        with (
            contextlib.suppress(_StopRecomputationError),
            _again(self.random),
            without_packing(),
            contextlib.nullcontext() if is_example else levels.outside_all(),
            self.context,
        ):
            result, alone = self.run_again(create_graph, arguments if self.packed else None)
            outputs = self.results(result, alone)
            _take_hooks(outputs)  # those of the first run were called
            boundary = [a._read() for a, used in zip(alone, self.used, strict=True) if used]
            others, calls = _read_from_outside([o._read() for o in outputs], boundary, began)
            second = PartRun(calls)
            if self.checks["early_stop"] and len(second.saved) >= len(self.first.saved):
                raise _StopRecomputationError  # what the user's context sees in PyTorch
        compare(self.first, second, **self.checks)
        if len(outputs) != len(gradients):
            raise other_results(len(gradients), len(outputs))
        error = other_kinds(self.kinds, [kind_of(o._read()) for o in outputs])
        if error is not None:
            raise error
        pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if g is not None]
        values = [o._read() for o, _ in pairs]
        edges = [e for e in self._edges(call) if e is not None]
        if not pairs:
            return [None] * len(edges)
        # Arguments that the part has read by other names too.
        given = edges[: len(boundary)]
        again = [e for e in others if e in given]
        others = [e for e in others if e not in given]
        if len(boundary) + len(others) != len(edges):
            raise other_results(len(edges), len(boundary) + len(others))
        inner = [*boundary, *others]
        targets = None
        if wanted is not None:
            targets = [e for e, edge in zip(inner, edges, strict=True) if edge in wanted]
            targets += [e for e in again if e in wanted]
        walk = Walk(values, targets, stop=[*inner, *again])
        reached = {*values, *[i for e in walk.order for i in goes_on_to(e)]}
        if create_graph:
            # What gradients read of the results is what the first run gave: its user may
            # differentiate by that.
            pairs_of_runs = zip([o._read() for o in outputs], results, strict=True)
            first = {e: result for e, result in pairs_of_runs if result is not None}
            for each in walk.calls:
                let_read(each, first)
        seeds = [g._read() for _, g in pairs]
        # Names that nobody reads: the results are not computed once more for them.
        del result, outputs, pairs
        session = Session(values, seeds, walk, create_graph)
        session.shown = False
        session.run_hooks(create_graph)
        if targets is not None:
            reached.intersection_update(targets)
            boundary = [e for e in boundary if e in reached]
            others = [e for e in others if e in reached]
            again = [e for e in again if e in reached]
        found = session.gradients(boundary)
        # What is read besides, part of it below the rest or the arguments: each gets what comes to
        # it alone.
        session.stop_at(boundary)
        by_value: dict[Expression, Tensor] = {}
        rest = [*others, *again]
        for e in sorted([e for e in rest if e.leaf is None], key=_sequence, reverse=True):
            (by_value[e],) = session.gradients([e])
            session.stop_at([e])
        leaves = [e for e in rest if e.leaf is not None]
        by_value.update(zip(leaves, session.gradients(leaves), strict=True))
        by_value.update(zip(boundary, found, strict=True))
        sent = [by_value[e] if e in reached else None for e in inner]
        for e in again:
            place, more = given.index(e), by_value[e]
            before = sent[place]
            sent[place] = more if before is None else add(before, more)
        free(walk, create_graph, session.readers)
        if not create_graph and not levels.state.active:
            realize([g._read() for g in sent if g is not None])
        return sent


def _checkpoint(
    function: Any,
    args: Any,
    kwargs: Any,
    preserve: bool,
    context_fn: Callable[[], Any],
    checks: dict[str, bool],
) -> Any:
    first, second = context_fn()
    if not is_grad_enabled():
        return function(*args, **kwargs)
    if any([t._storage.is_inference() for t in _tensors((args, kwargs))]):
        raise RuntimeError(CANNOT_SAVE)
    if grad_state.hooks_refused is not None:
        raise RuntimeError(grad_state.hooks_refused)
    if levels.state.sources:  # a tangent may be asked for, which goes forward with the values
        with first:
            return function(*args, **kwargs)
    node = CheckpointNode(function, args, kwargs, second)
    node.random = _RandomState() if preserve else None
    arguments = [gradient_source(t) for t in node.given]
    began = next_in_sequence()
    with without_packing(), first:
        result = function(*args, **kwargs)
    outputs = node.results(result, node.given)
    if not outputs:
        return result
    found, calls = _read_from_outside([t._read() for t in outputs], (), began)
    node.first, node.checks = PartRun(calls), checks
    node.unpacks = _unpacking(outputs, calls)
    if not node.first.saved:
        return result  # backward asks for nothing that the part has computed
    node.kinds = [kind_of(t._read()) for t in outputs]
    node.used = [e in found for e in arguments]
    given = [e for e in arguments if e in found]
    others = [e for e in found if e not in given]
    # Then backward does not run the part again where a result is the last that it asks for.
    makers = [o._read().call for o in outputs]
    node.made_by = node_name(makers[0]) if makers[0] is not None else node.made_by
    node._ends_plainly = not any([would_pack(call) for call in makers])
    raw = [untracked(t._read()) for t in outputs]
    values = record(core.CUSTOM, (*raw, *given, *others), (len(raw),), True)
    call = values[0].call
    assert call is not None
    state = call.node = NodeState()
    state.custom = node
    node.reference = weakref.ref(call)
    for e, taken in zip(values, _take_hooks(outputs), strict=True):
        e.hooks = taken
        hooks_of(e).node = state
    return _with(result, {id(t): wrap(e) for t, e in zip(outputs, values, strict=True)})
