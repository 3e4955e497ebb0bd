"""Which function transforms are under way: their inputs, and what depends on them.

vmap calls a function once, on placeholders for one example. What the function records then depends
on no value, so nothing of it can be computed before the transform is done.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from codegen.ir.node import Node, TensorType
from codegen.ops.indexing import empty
from lazytorch.expression import Call, Expression, Function, new_call, new_expression

if TYPE_CHECKING:
    from lazytorch.storage import Storage
    from lazytorch.tensor import Tensor


F = TypeVar("F", bound=Callable[..., Any])

# What runs a function that reads values for each example, what gives a value for all examples, and
# the text of one: func/by_example.py puts them here.
run_by_example: list[Callable[..., Any]] = []
over_all_examples: list[Callable[[Any], Any]] = []
text_over_all_examples: list[Callable[[Any], str | None]] = []
# The tangent that a dual tensor has now: autograd/forward_ad.py puts it here.
tangent_of: list[Callable[[Any], Any]] = []


def _placeholder(type_: TensorType) -> Node:
    return empty(type_.shape, type_.dtype)


PLACEHOLDER = Function("vmap_input", _placeholder)


class Placeholder:
    """An input for one example: its expression and tensor, and the input for all examples, of
    which they lie along dimension ``dim``."""

    __slots__ = ("actual", "dim", "expression", "tensor")

    def __init__(self, actual: Tensor, dim: int, expression: Expression, tensor: Tensor) -> None:
        self.actual = actual
        self.dim = dim
        self.expression = expression
        self.tensor = tensor


class Level:
    """A vmap under way over ``size`` examples.

    bit     tells this level from those around it.
    number  which of torch.func's transforms under way it is, from 1 on.
    draws   the numbers of the examples, where random numbers are to differ.
    writes  the storages that were given values of this level, and what they held before.
    outer   what derivatives around this level are taken by.
    """

    def __init__(self, size: int, randomness: str, bit: int, outer: dict[Expression, int]) -> None:
        self.size = size
        self.randomness = randomness
        self.bit = bit
        self.number = state.inside + 1
        self.placeholders: list[Placeholder] = []
        self.draws: Tensor | None = None
        self.writes: list[tuple[weakref.ref[Storage], Expression]] = []
        self.outer = outer

    def depends(self, value: Expression) -> bool:
        """Whether a value differs between the examples, as far as calls tell."""
        return bool(_levels_below(value) & self.bit)


class Derivative:
    """A derivative of torch.func under way, and what its function makes.

    number   which of torch.func's transforms under way it is, from 1 on.
    sources  what it is taken by.
    outer    the one around it.
    made     the storages that were made within, by identity.
    seen     as many of ``storage.born`` are known.
    """

    def __init__(self, number: int, sources: Sequence[Expression], seen: int) -> None:
        self.number = number
        self.sources = sources
        self.outer = state.derivative
        self.made: dict[int, weakref.ref[Storage]] = {}
        self.seen = seen

    def has_made(self, storage: Storage) -> bool:
        reference = self.made.get(id(storage))
        return reference is not None and reference() is storage


class Derivatives:
    """``count``: how many are under way in the process; without one, nobody asks further."""

    count = 0


derivatives = Derivatives()


class Levels(threading.local):
    """Each thread's transforms.

    derivative  the innermost under way.
    active   vmaps, outermost first.
    sources  inputs of derivatives under way, and whether a gradient or a tangent may still be asked
             for, as ``Expression.tracked`` says it.
    vmaps    how many vmaps were entered and not left, those that are not active now included.
    inside   how many of torch.func's transforms are under way.
    """

    def __init__(self) -> None:
        self.active: list[Level] = []
        self.sources: dict[Expression, int] = {}
        self.derivative: Derivative | None = None
        self.known: dict[Expression, int] = {}
        self.vmaps = 0
        self.inside = 0


state = Levels()


def enter(size: int, randomness: str) -> Level:
    """Begin a vmap."""
    level = Level(size, randomness, 1 << state.vmaps, dict(state.sources))
    state.active.append(level)
    state.vmaps += 1
    state.inside += 1
    return level


def leave(level: Level) -> None:
    """End it."""
    assert state.active.pop() is level
    state.vmaps -= 1
    state.inside -= 1
    if not state.vmaps:
        state.known.clear()


@contextlib.contextmanager
def outside_all() -> Iterator[None]:
    """As if no transform were under way: what is recorded depends on none."""
    active, inside = state.active, state.inside
    state.active, state.inside = [], 0
    try:
        yield
    finally:
        state.active, state.inside = active, inside


def new_placeholder(level: Level, type_: TensorType, device: str, tracked: int) -> Expression:
    """One example's value of an input."""
    call = new_call(PLACEHOLDER.signature((), (type_,)), (), tracked)
    is_tracked = tracked if type_.dtype.differentiable else False
    made = new_expression(type_, device, call, 0, None, is_tracked, 1)
    call.outputs = (weakref.ref(made),)
    state.known[made] = level.bit
    return made


def _levels_below(value: Expression) -> int:
    """The bits of the levels whose placeholders a value is computed from."""
    known = state.known
    stack = [value]
    while stack:
        e = stack[-1]
        if e in known:
            stack.pop()
            continue
        inputs = () if e.value is not None or e.call is None else e.call.inputs
        missing = [i for i in inputs if i not in known]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        bits = 0
        for i in inputs:
            bits |= known[i]
        known[e] = bits
    return known[value]


def is_unknown(value: Expression) -> bool:
    """Whether a value depends on placeholders, and so cannot be computed now."""
    return bool(state.active) and bool(_levels_below(value))


IN_PLACE_REQUIRES_GRAD = (
    "You are attempting to call Tensor.requires_grad_() (or perhaps using "
    "torch.autograd.functional.* APIs) inside of a function being transformed by a functorch "
    "transform. This is unsupported, please attempt to use the functorch transforms (e.g. grad, "
    "vjp, jacrev, jacfwd, hessian) or call requires_grad_() outside of a function being "
    "transformed instead."
)

RETAINED = IN_PLACE_REQUIRES_GRAD.replace("requires_grad_()", "retain_grad()").replace(
    " (or perhaps using torch.autograd.functional.* APIs)", ""
)


def is_vmap_innermost() -> bool:
    """Whether the innermost transform is a vmap."""
    return bool(state.active) and state.active[-1].number == state.inside


_WRITTEN = (
    "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor "
    "`other` in extra_args that has more elements than `self`. This happened due to `other` being "
    "vmapped over but `self` not being vmapped over in a vmap. Please try to use out-of-place "
    "operators instead of inplace arithmetic. If said operator is being called inside the PyTorch "
    "framework, please file a bug report instead."
)


def refuse_write() -> None:
    """A value for each example was written into a tensor that they share."""
    raise RuntimeError(_WRITTEN)


def note_write(storage: Storage, value: Expression) -> None:
    """A storage gets a new value while a vmap is under way."""
    bits = _levels_below(value)
    before = storage.expression
    for level in state.active:
        if level.bit & bits and not level.depends(before):
            if before.value is not None:
                refuse_write()
            level.writes.append((weakref.ref(storage), before))


class UnknownValue(RuntimeError):
    """The value of a placeholder was asked for; ``text``: what PyTorch says of it instead."""

    def __init__(self, text: str = "") -> None:
        super().__init__(
            text
            or "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over "
            "calling .item() on a Tensor, please try to rewrite what you're doing with other "
            "operations. If error is occurring somewhere inside PyTorch internals, please file a "
            "bug report."
        )

    def in_control_flow(self) -> RuntimeError:
        """The error where the value was to decide what runs."""
        return RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control "
            "flow. We don't support that yet, please file an issue at "
            "https://github.com/pytorch/pytorch/issues ."
        )


# A traceback shows it as what it is to PyTorch's programs.
UnknownValue.__name__ = UnknownValue.__qualname__ = "RuntimeError"
UnknownValue.__module__ = "builtins"


def by_example(function: F) -> F:
    """A function that reads values to find its result, through which no gradient flows: under vmap
    it is called on each example's values, and the results, of one shape, are stacked."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if state.active:
            return run_by_example[0](function, args, kwargs)
        return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def refuses_examples(text: str) -> Callable[[F], F]:
    """A function that reads values and that PyTorch does not batch: it says ``text`` of that."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except UnknownValue:
                raise UnknownValue(text) from None

        return wrapped  # type: ignore[return-value]

    return decorate


def dynamic_shape(name: str) -> str:
    """What PyTorch says of an operator whose result's shape depends on values."""
    return (
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to "
        f"vmap over aten::{name}. Please file an issue at "
        "https://github.com/pytorch/pytorch/issues if you need this feature."
    )


def for_all_examples(x: Tensor) -> Tensor:
    """A tensor that is known: ``x``, or its values for all examples, these in front. For checks."""
    return over_all_examples[0](x) if state.active else x


_ESCAPED = (
    "Either your tensor may have escaped from inside a function being vmapped and this is a user "
    "error (see https://pytorch.org/functorch/stable/ux_limitations.html), or there is an internal "
    "functorch error in `gen_vmap_plumbing` Please file an issue if it looks like the latter"
)


def refuse_reading(call: Call) -> None:
    """Raise if a call that is to be run gives a placeholder."""
    if call.signature.function is PLACEHOLDER:
        raise UnknownValue("" if state.active else _ESCAPED)


def check_randomness() -> list[Level]:
    """The levels whose examples draw apart; refuses a draw that some level forbids."""
    for level in state.active:
        if level.randomness == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use "
                "the 'same' or 'different' randomness flags on vmap or perform the randomness "
                "operation out of vmap"
            )
    return [level for level in state.active if level.draws is not None]
