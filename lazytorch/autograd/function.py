"""torch.autograd.Function: operations whose gradient a user writes.

``apply`` runs the user's forward at once, on lazy tensors, and records its results as one call
(``core.CUSTOM``) through which the compiler lets no gradient. Where ``backward()`` comes to that
call while it records, it runs the user's backward, again on lazy tensors.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from collections.abc import Callable, Container, Sequence
from functools import reduce
from operator import or_
from typing import Any

from lazytorch import core, levels
from lazytorch.autograd.grad_mode import is_grad_enabled, no_grad
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.autograd.graph import CallNode
from lazytorch.autograd.saved import Packed
from lazytorch.autograd.walk import FREED, check_result, modified_text, output_text
from lazytorch.expression import (
    Call,
    Expression,
    NodeState,
    Overwritten,
    SharedSince,
    hooks_of,
    unrecorded,
)
from lazytorch.freed import inputs_of
from lazytorch.layout import strided
from lazytorch.recording import untracked, without_gradient
from lazytorch.storage import Storage
from lazytorch.tensor import Tensor, record, wrap
from lazytorch.view_history import CANNOT_SAVE, OF_FUNCTION, ONE_OF_SEVERAL, viewed, views


class Saved:
    """A tensor that forward saved, or which output it is; and its version then."""

    def __init__(self, tensor: Tensor, output: int | None) -> None:
        self.output = output
        self.shape, self.dtype, self.device = tensor.shape, tensor.dtype, tensor.device
        # The output itself would keep its own graph alive.
        self.tensor = tensor if output is None else None
        self.storage: weakref.ref[Storage] = weakref.ref(tensor._storage)
        self.version = tensor._storage.version
        self.value = tensor._read() if output is not None else None
        # Where hooks pack what is saved: (the tensor's value, what they have made of it).
        self.packed: tuple[Expression, Packed] | None = None

    def pack(self, tensor: Tensor) -> None:
        """Let hooks pack the tensor, as it is after forward."""
        self.packed = (tensor._read(), Packed(tensor))
        self.tensor = self.value = None

    def unpack(self, node: CallNode) -> Tensor:
        if self.packed is not None:
            value, packed = self.packed
            found = packed.unpack()
            if not value.tracked:
                return found
            again = (untracked(found._read()), value)
            return wrap(record(core.REPLACE_VALUE, again, (), value.tracked)[0])
        storage = self.storage()
        if storage is not None and storage.version != self.version:
            made, e = "", self.value
            if self.output is not None:
                made = output_text(self.output, node.name())
            elif self.tensor is not None:
                e = self.tensor._read()
                fn = self.tensor.grad_fn
                if fn is not None:
                    made = output_text(self.tensor.output_nr, fn.name())
            assert e is not None
            raise RuntimeError(modified_text(e, made, storage.version, self.version))
        if self.tensor is not None:
            return self.tensor
        assert self.output is not None and self.value is not None
        call = node._call()
        live = None if call is None else call.outputs[self.output]()
        if live is None:
            return wrap(untracked(self.value))
        if storage is None:
            check_result(live)  # what was written to it the graph knows
        if is_grad_enabled():
            return wrap(record(core.IDENTITY, (live,), (), live.tracked)[0])
        plain = without_gradient(live)
        owner, plain.owner = plain.owner, None
        made_tensor = wrap(plain)
        plain.owner = owner
        return made_tensor


class FunctionCtx:
    """What forward leaves for backward."""

    _to_save: tuple[Any, ...] | None = None
    _saved: list[Any] | None = None
    _freed = False
    _dirty: tuple[Any, ...] = ()
    _non_differentiable: tuple[Any, ...] = ()
    _materialize = True
    _settles = False  # whether what is pending is computed before backward runs
    _sends_none = True  # whether a gradient of None goes on to what is below
    _ends_plainly = False  # of several calls: whether what made the results reads nothing saved
    needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward, where they are ``saved_tensors``."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``jvp``."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs forward has written to; they must be among its outputs."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs no gradient flows through."""
        self._non_differentiable = args

    def mark_shared_storage(self, *pairs: Any) -> None:
        """Does nothing, as in PyTorch, where it is deprecated."""

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (the default) or None for gradients that do not arrive."""
        self._materialize = value


class BackwardCFunction(FunctionCtx, CallNode):
    """The context of one application, which is also its node in the graph."""

    _forward_cls: type[Function]
    _call_reference: weakref.ref[Call] | None = None
    _slots: tuple[int | None, ...] = ()
    _output_types: tuple[Any, ...] = ()
    _argument_types: Sequence[tuple[Any, str] | None] = ()
    _zeros: Sequence[tuple[Any, str]] = ()

    def _call(self) -> Call | None:
        return None if self._call_reference is None else self._call_reference()

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> Any:
        call = self._call()
        if call is None:
            return ()
        from_inputs = CallNode.next_functions.fget(self)  # type: ignore[attr-defined]
        tensors = [s for s in self._slots if s != _NO_TENSOR]
        edges = from_inputs[len(from_inputs) - len([s for s in tensors if s is not None]) :]
        rest = iter(edges)
        return tuple([(None, 0) if s is None else next(rest) for s in tensors])

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors that forward saved.

        RuntimeError after they were freed, or where one of them was written to since.
        """
        if self._freed:
            raise RuntimeError(FREED)
        if self._saved is None:
            return tuple(self._to_save or ())
        return tuple([None if s is None else s.unpack(self) for s in self._saved])

    saved_variables = saved_tensors

    def _free(self) -> None:
        if self._saved:
            self._freed = True
            self._saved = None

    # ---- what a backward pass asks for (session.py) --------------------------------------------

    def _edges(self, call: Call) -> list[Expression | None]:
        """For each argument of forward, the value that its gradient goes to."""
        inputs = inputs_of(call)
        first = len(call.outputs)
        return [None if s is None or s < 0 else inputs[first + s] for s in self._slots]

    def _tensor_arguments(self) -> list[int]:
        """The numbers of the arguments that are tensors, of ``_edges``."""
        return [i for i, slot in enumerate(self._slots) if slot != _NO_TENSOR]

    def _of_results(self, gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """The gradients of all results of forward, given those of the recorded outputs."""
        return tuple(
            [
                gradients[number] if kind == "output" and number < len(gradients) else None
                for kind, number in self._output_types
            ]
        )

    def _materialized(self, gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """Those of all results, with zeros where none arrives, unless forward wanted None."""
        found: list[Tensor | None] = []
        for (kind, _), gradient in zip(self._output_types, gradients, strict=True):
            if gradient is None and kind != "other" and self._materialize:
                made, device = self._zeros[len(found)]
                gradient = _zeros(made, device)
            found.append(gradient)
        return tuple(found)

    def _backward(
        self,
        call: Call,
        gradients: tuple[Tensor | None, ...],
        wanted: Container[Expression] | None,
    ) -> list[Tensor | None]:
        """Run the user's backward: the gradients of forward's arguments, of which those in
        ``wanted`` are asked for."""
        cls = self._forward_cls
        if cls.backward is not Function.backward and cls.vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        rule: Any = cls.vjp if cls.vjp is not Function.vjp else cls.backward
        answer = rule(self, *gradients)
        return self._checked(answer if isinstance(answer, tuple) else (answer,), call)

    def _use_saved_for_forward(self) -> None:
        """``saved_tensors`` are those saved for ``jvp``, never those for backward."""
        kept = self.__dict__.get("saved_for_forward") or ()
        self._to_save, self._saved, self._freed = tuple(kept), None, False

    def _push_forward(
        self, call: Call, parts: Sequence[Expression | None]
    ) -> list[tuple[Expression, Expression]]:
        """Run the user's jvp: those outputs that have tangents, and these."""
        first = len(call.outputs)
        arrived = parts[first:]
        given: list[Tensor | None] = []
        for slot, known in zip(self._slots, self._argument_types, strict=True):
            part = None if slot is None or slot < 0 else arrived[slot]
            if part is not None:
                given.append(wrap(part))
            else:
                given.append(_zeros(*known) if known is not None and self._materialize else None)
        before = self._to_save, self._saved, self._freed
        self._use_saved_for_forward()
        try:
            answer = self._forward_cls.jvp(self, *given)
        finally:
            self._to_save, self._saved, self._freed = before
        results = answer if isinstance(answer, (tuple, list)) else (answer,)
        if len(results) != len(self._output_types):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of forward gradients "
                f"(expected {len(self._output_types)} got {len(results)})"
            )
        found = []
        for (kind, number), tangent in zip(self._output_types, results, strict=True):
            output = call.outputs[number]() if kind == "output" else None
            if output is not None and tangent is not None:
                found.append((output, tangent._read()))
        return found

    def _checked(self, parts: tuple[Any, ...], call: Call) -> list[Tensor | None]:
        wanted = len(self._slots)
        if len(parts) > wanted and all([p is None for p in parts[wanted:]]):
            parts = parts[:wanted]
        if len(parts) != wanted:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected "
                f"{wanted}, got {len(parts)})"
            )
        edges = self._edges(call)
        found: list[Tensor | None] = []
        for number, (part, slot, edge) in enumerate(zip(parts, self._slots, edges, strict=True)):
            if part is None:
                found.append(None)
                continue
            if slot == _NO_TENSOR:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position "
                    f"{number + 1}, but the corresponding forward input was not a Variable"
                )
            if not isinstance(part, Tensor):
                raise TypeError(f"expected Variable or None (got {type(part).__name__})")
            found.append(None if edge is None else self._fitted(part, edge, number))
        return found

    def _fitted(self, part: Tensor, edge: Expression, number: int) -> Tensor:
        """A gradient in its input's shape and element type."""
        shape = edge.type.shape
        if part._type.shape != shape:
            given = part._type.shape
            aligned = given[len(given) - len(shape) :] if len(given) >= len(shape) else None
            if aligned is None or any(
                [n != m and n != 1 for n, m in zip(shape, aligned, strict=True)]
            ):
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {number} - got "
                    f"{list(given)} but expected shape compatible with {list(shape)}"
                )
            extra = len(given) - len(shape)
            kept = [extra + i for i, n in enumerate(shape) if n == 1 != given[extra + i]]
            if kept:
                part = part.sum(kept, keepdim=True)
            part = part.sum(tuple(range(extra))) if extra else part
        return part if part.dtype is edge.type.dtype else part.to(edge.type.dtype)


_NO_TENSOR = -1


def _zeros(type_: Any, device: str) -> Tensor:
    from_function: Tensor = creation[0](type_.shape, dtype=type_.dtype, device=device)
    return from_function


# torch.zeros, which functions/creation.py makes after this; what lazytorch/func/custom.py gives
# for an example of a vmap.
creation: list[Any] = []
batched_forward: list[Any] = []


class _FunctionMeta(type):
    """Gives each Function the class of its contexts, named after it."""

    def __init__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> None:
        super().__init__(name, bases, attributes)
        contexts = type(f"{name}Backward", (BackwardCFunction,), {"_forward_cls": cls})
        contexts.__module__ = "torch.autograd.function"
        cls._backward_cls = contexts

    _backward_cls: Any


class Function(metaclass=_FunctionMeta):
    """An operation with a gradient of its own: subclass it, and call ``apply``.

    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * grad
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor([12.])
    """

    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The results: with ``ctx`` first, or without where ``setup_context`` is defined."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """What forward leaves for backward, where it takes no ``ctx``."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of forward's arguments, given those of its results."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def vjp(ctx: Any, *grad_outputs: Any) -> Any:
        """Another name for ``backward``; only one of them may be defined."""
        return Function.backward(ctx, *grad_outputs)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the results, given those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """The results for many examples at once, and where their dimension lies."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod "
            "or set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and record it."""
        return _apply(cls, args, kwargs)


def _apply(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    splits = cls.setup_context is not Function.setup_context
    if kwargs:
        if not splits:
            raise TypeError("apply() takes no keyword arguments")
        bound = cls.forward.__code__
        names = bound.co_varnames[: bound.co_argcount]
        args = (*args, *[kwargs[n] for n in names[len(args) :] if n in kwargs])
    if levels.state.inside and not splits:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, "
            "jacrev, ...), it must override the setup_context staticmethod. For more details, "
            "please see https://pytorch.org/docs/main/notes/extending.func.html"
        )
    ctx = cls._backward_cls()
    ctx.needs_input_grad = tuple([isinstance(a, Tensor) and a.requires_grad for a in args])
    # What the arguments are before forward, which may write to them.
    sources = [a._read() if isinstance(a, Tensor) else None for a in args]
    sources = [e if e is not None and e.tracked else None for e in sources]
    recorded: int = reduce(or_, [e.tracked for e in sources if e is not None], False)
    recorded = recorded if is_grad_enabled() else unrecorded(recorded)
    batched = batched_forward[0](cls, args) if levels.state.active else NotImplemented
    before = grad_state.enabled
    grad_state.enabled = False
    try:
        if splits:
            result = cls.forward(*args) if batched is NotImplemented else batched
            cls.setup_context(ctx, args, result)
        else:
            result = cls.forward(ctx, *args)
    finally:
        grad_state.enabled = before
    if not recorded:
        for x in ctx._dirty:
            if not x._silent:
                x._storage.version += 1  # as the recorded write would
        ctx._saved = _save(ctx, [], recorded=False)
        given = [a for a in args if isinstance(a, Tensor) and not _is_among(a, ctx._dirty)]
        if isinstance(result, Tensor):
            return _unless_given(result, given)
        if isinstance(result, tuple):
            return tuple([_unless_given(x, given) for x in result])
        return result
    results = result if isinstance(result, (tuple, list)) else (result,)
    made = _record(ctx, args, sources, results, recorded, batched is not NotImplemented)
    if isinstance(result, tuple):
        return tuple(made)
    return made if isinstance(result, list) else made[0]


def _is_among(x: Any, others: Sequence[Any]) -> bool:
    return any([x is other for other in others])


def _unless_given(x: Any, given: Sequence[Tensor]) -> Any:
    """What forward gave back without being recorded; a view of it where it was an argument."""
    if not _is_among(x, given) or x.layout is not strided:
        return x
    if x.requires_grad:
        return x._alias(type(x), connected=False)
    with no_grad():
        view = x._view(x._type.shape, x._strides(), x.storage_offset())
    view._of_function = ("", 0, OF_FUNCTION)
    return view


def _record(
    ctx: Any,
    args: tuple[Any, ...],
    sources: Sequence[Expression | None],
    results: Sequence[Any],
    recorded: int,
    batched: bool,
) -> list[Any]:
    """Make the results outputs of a call whose node is ``ctx``. Those of a vmap rule keep their
    history, which derivatives outside the vmap go through."""
    if views.watched:
        sources = [
            _of_base(a, e) if e is not None and _is_among(a, ctx._dirty) else e
            for a, e in zip(args, sources, strict=True)
        ]
    tracked = [e for e in sources if e is not None]
    count = iter(range(len(tracked)))
    ctx._slots = tuple(
        [
            (None if e is None else next(count)) if isinstance(a, Tensor) else _NO_TENSOR
            for a, e in zip(args, sources, strict=True)
        ]
    )
    for x in ctx._dirty:
        if not _is_among(x, results):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as "
                "output. The inputs that are modified inplace must all be outputs of the Function."
            )
    outputs = [
        x
        for x in results
        if isinstance(x, Tensor)
        and x.dtype.differentiable
        and not _is_among(x, ctx._non_differentiable)
    ]
    kinds: list[tuple[str, int]] = []
    for x in results:
        if not isinstance(x, Tensor):
            kinds.append(("other", 0))
        elif _is_among(x, outputs):
            kinds.append(("output", [x is o for o in outputs].index(True)))
        else:
            kinds.append(("constant", 0))
    ctx._output_types = tuple(kinds)
    ctx._zeros = [
        (x._type, x._storage.device) if isinstance(x, Tensor) else (None, "") for x in results
    ]
    ctx._argument_types = [
        (a._type, a._storage.device) if isinstance(a, Tensor) else None for a in args
    ]
    given = [a for a in args if isinstance(a, Tensor) and not _is_among(a, ctx._dirty)]
    made = [None if _is_among(x, given) else x for x in outputs]
    ctx._saved = _save(ctx, made, recorded=True)
    to_save, ctx._to_save = ctx._to_save, None
    if not outputs:
        return list(results)
    for x in ctx._dirty:
        is_leaf = x.requires_grad and x._is_leaf()
        try:
            if not is_leaf:
                x._refuse_recorded_write(x._storage.expression, True)
        except RuntimeError:
            x._storage.version += 1  # as in PyTorch, the refused write counts
            raise
        if is_leaf:
            x._storage.version += 1  # that of the write that is refused below
    raw = [x._read() if batched else _value_of(x) for x in outputs]
    values = record(core.CUSTOM, (*raw, *tracked), (len(raw),), recorded)
    call = values[0].call
    assert call is not None
    state = call.node = NodeState()
    state.custom = ctx
    ctx._call_reference = weakref.ref(call)
    for e in values:
        hooks_of(e).node = state
    shown: dict[int, Tensor] = {}
    for number, (x, value) in enumerate(zip(outputs, values, strict=True)):
        if _is_among(x, ctx._dirty):
            if x.is_leaf and x.requires_grad:
                raise RuntimeError(
                    "a leaf Variable that requires grad has been used in an in-place operation."
                )
            x._write(value)
            x._grad = None
            shown[id(x)] = x
        else:
            several = len(outputs) > 1
            shown[id(x)] = _with_history(x, value, _is_among(x, args), number, several, ctx)
    for x in results:
        if isinstance(x, Tensor) and id(x) not in shown and _is_among(x, args):
            shown[id(x)] = x._alias(type(x), connected=False)
    ctx._dirty = ctx._non_differentiable = ()
    if grad_state.saved_hooks:
        for x, saved in zip(to_save or (), ctx._saved, strict=True):
            if saved is not None:
                saved.pack(shown.get(id(x), x))
    return [shown.get(id(x), x) if isinstance(x, Tensor) else x for x in results]


def _of_base(x: Tensor, e: Expression) -> Expression:
    """What forward has written over in place: of a view of a storage, read from there."""
    base = viewed(e)
    owner = base.owner
    storage = owner.storage() if type(owner) is Overwritten else None
    return x._of_base(base, e) if storage is x._storage else e


def _value_of(x: Tensor) -> Expression:
    value = x._read()
    return untracked(value) if value.tracked else value


def _with_history(
    x: Tensor, value: Expression, is_input: bool, number: int, several: bool, ctx: Any
) -> Tensor:
    """A result of forward as the output of the call: itself, or an alias where it is a view."""
    storage = x._storage
    if x._source is None and not is_input and not x._connected:
        x._marker = (storage.expression, value)  # what detach() gives is no view
        return x
    if x._geometry is None and not is_input and storage.expression.tracked is False:
        old = storage.expression
        if storage.shared is None:
            old.owner = None
            storage.expression = value
            value.owner = weakref.ref(storage)
            return x
    alias = x._alias(type(x), connected=False)
    alias._marker = (storage.expression, value)
    value.owner = SharedSince(weakref.ref(storage), storage.version)
    why = ONE_OF_SEVERAL if several else OF_FUNCTION
    alias._of_function, alias._made_at = (ctx._forward_cls.__name__, number, why), storage.version
    alias._view_of = x if is_input else x._source
    return alias


def _save(ctx: Any, outputs: Sequence[Tensor | None], recorded: bool) -> list[Any]:
    saved: list[Any] = []
    for number, x in enumerate(ctx._to_save or ()):
        if x is None:
            saved.append(None)
            continue
        if not isinstance(x, Tensor):
            raise TypeError(
                "save_for_backward can only save variables, but argument "
                f"{number} is of type {type(x).__name__}"
            )
        if recorded and x._storage.is_inference():
            raise RuntimeError(CANNOT_SAVE)
        places = [x is o for o in outputs]
        saved.append(Saved(x, places.index(True) if True in places else None))
    return saved


# ---- derivatives that are not to be differentiated -----------------------------------------------


class _DelayedError(Function):
    """The identity, whose gradient is an error."""

    generate_vmap_rule = True

    @staticmethod
    def forward(text: str, *tensors: Tensor) -> Any:
        return tuple([t.detach() for t in tensors])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.text = inputs[0]

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(ctx.text)


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Say that a ``backward`` cannot be differentiated itself: doing so raises."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            outputs = fn(ctx, *args)
        if not is_grad_enabled():
            return outputs
        if not any([isinstance(a, Tensor) and a.requires_grad for a in args]):
            return outputs
        many = isinstance(outputs, tuple)
        parts = outputs if many else (outputs,)
        given = [p.detach()._require_grad_() for p in parts if isinstance(p, Tensor)]
        text = "trying to differentiate twice a function that was marked with @once_differentiable"
        made = _DelayedError.apply(text, *given)
        rest = iter(made)
        found = tuple([next(rest) if isinstance(p, Tensor) else p for p in parts])
        return found if many else found[0]

    return wrapper


class InplaceFunction(Function):
    """As Function; PyTorch has it for modules that may work in place."""
