"""The recorded graph: what each tensor operation leaves behind, until realize() compiles it.

A Call applies a Function to expressions; an Expression is one of its outputs, or a leaf. A
function is traced once for given argument types into a template, so that a call costs one record
however much it computes.
"""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops.calls import CustomGradient, Template
from codegen.ops.leaves import parameter
from codegen.runtime.memory import Buffer
from lazytorch.complex_refusals import RULES_OF_PARTS, check_complex
from lazytorch.limited_types import check_types

if TYPE_CHECKING:
    from codegen.ops.moved_views import Region
    from lazytorch.geometry import Geometry
    from lazytorch.layouts import Layout
    from lazytorch.storage import Storage
    from lazytorch.tensor import Tensor
    from lazytorch.view_history import ViewOrigin

Attributes = tuple[Hashable, ...]
Types = tuple[TensorType, ...]
# Of inputs, and of outputs.
Reads = tuple[frozenset[int], frozenset[int]]

_signature_numbers = itertools.count(0, 4)
# Finding the user's line costs 1 µs, so it is looked for in a signature's first calls alone.
PLACES_NOTED = 64


# In the place of the numbers of all inputs that gradients flow to.
EVERY: frozenset[int] = frozenset([-1])


class Signature:
    """A function at given argument types and attributes: its types of output and its template.

    region  of a view and of a write through one: where it lies; None elsewhere.
    form    then, the number of what it has in common with those that start elsewhere.
    """

    __slots__ = (
        "_template", "always_saved", "attributes", "conditions", "form", "function",
        "has_float_output", "input_types", "layouts", "mixed", "number", "output_types", "place",
        "places_left", "plans", "reaches", "reads", "region", "saving", "second_derivatives",
    )  # fmt: skip

    def __init__(
        self,
        function: Function,
        input_types: Types,
        attributes: Attributes,
        output_types: Types | None = None,
    ) -> None:
        """``output_types``, where they are known: the template is traced when it is asked for."""
        self.function = function
        self.input_types = input_types
        self.attributes = attributes
        self.conditions = trace_conditions()
        self._template: Template | None = None
        if output_types is None:
            # A number that came out of a call is a tensor like any other.
            types = [o.type for o in self.template.outputs]
            output_types = tuple([TensorType(t.shape, t.dtype) for t in types])
            check_types(function.name, input_types, output_types)
        self.output_types = output_types
        self.has_float_output = any([t.dtype.differentiable for t in output_types])
        self.number = next(_signature_numbers)
        self.plans: dict[str, Any] = {}  # of one such call on leaves, by device
        self.places_left = PLACES_NOTED
        self.place: tuple[CodeType, int] | None = None  # the last one that was noted
        # The inputs whose gradients save what backward frees, or EVERY, once that is known.
        self.saving: frozenset[int] | None = None
        # Whether they read none of its inputs, and whether they are constant, once that is known.
        self.second_derivatives: tuple[bool, bool, bool] | None = None
        # Of two inputs, those that the second derivative by both reads, once that is known.
        self.mixed: dict[tuple[int, int], frozenset[int]] = {}
        self.region: Region | None = None
        self.form = -1
        # How the inputs lie -> the outputs' layouts, or None where all are of rows.
        self.layouts: dict[tuple[Any, ...], list[Layout | None] | None] = {}
        # tracked inputs -> (inputs, outputs) whose values the gradient reads; smoothly; and saves
        self.reads: dict[frozenset[int], tuple[Reads, Reads, Reads]] = {}
        # What PyTorch saves whichever gradients are asked for, once that is known.
        self.always_saved: Reads | None = None
        # Of each output, the inputs that its gradient goes on to, where those are not all.
        self.reaches: tuple[frozenset[int], ...] | None = None

    @property
    def template(self) -> Template:
        """The body's graph."""
        if self._template is None:
            self._template = self.function.trace(self.input_types, self.attributes)
        return self._template

    def describe(self) -> tuple[Hashable, ...]:
        """What identifies it in another process."""
        words = (self.function.name, repr(self.attributes), repr(self.input_types))
        return (*words, self.conditions) if self.conditions else words


class SparseOperand(NotImplementedError):
    """A sparse tensor reached an operation on dense ones."""


_functions: dict[str, Function] = {}


def all_functions() -> Sequence[Function]:
    return list(_functions.values())


# What bodies depend on besides their arguments, in words: name -> value.
_conditions: dict[str, str] = {}


def trace_under(name: str, value: str) -> None:
    """Trace every function anew: something that bodies depend on has another value."""
    _conditions[name] = value
    for function in _functions.values():
        function.forget_signatures()


def trace_conditions() -> str:
    """What functions are traced under now, other than by default."""
    return " ".join([f"{name}={value}" for name, value in sorted(_conditions.items())])


Body = Callable[..., "Node | Sequence[Node]"]


class Function:
    """What a call computes: a ``body`` over typed nodes and attributes, and its gradient.

    body      (*nodes, *attributes) -> node or nodes, in primitive operations.
    gradient  optional: (inputs, outputs, cotangents, *attributes) -> the inputs' cotangents;
              without it the body itself is differentiated.
    saves_inputs  PyTorch's gradient saves the inputs (or the result), if only for their shapes or
              to compare them: it requires grad as they do, and is differentiated to zeros.
    joint     PyTorch has one node for the gradients of all inputs: each of them requires grad where
              an input does, but is differentiated by what it reads alone. With ``saves_inputs``.
    saves     (number of inputs, *attributes) -> what PyTorch's gradient saves in any case, where
              it reads less: inputs by their number i, outputs by ~i.
    saves_exactly  (types of the inputs, those that a gradient is asked for, *attributes) -> all
              that PyTorch's gradient saves, so numbered, where it reads something else than ours.
    saves_own  the inputs that PyTorch saves besides for their own gradient.
    spares    as ``saves``: what may be written to before backward, because PyTorch's nodes read
              values of their own that are made of it.
    keeps_numbers  PyTorch's gradient reads its numbers, which are never freed.
    recomputes  PyTorch's gradient computes the result anew from the inputs where it needs it.
    """

    __slots__ = (
        "body", "gradient", "gradient_name", "joint", "keeps_numbers", "name", "plain_pairs",
        "recomputes", "refusal", "saves", "saves_exactly", "saves_inputs", "saves_own",
        "signatures", "spares",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        body: Body,
        gradient: Callable[..., Sequence[Node | None]] | None = None,
        gradient_name: str | None = None,
        saves_inputs: bool = False,
        keeps_numbers: bool = False,
        recomputes: bool = False,
        joint: bool = False,
        saves: Callable[..., Sequence[int]] | None = None,
        saves_own: tuple[int, ...] = (),
        spares: Callable[..., Sequence[int]] | None = None,
        saves_exactly: Callable[..., Sequence[int]] | None = None,
    ) -> None:
        self.name = name
        self.joint = joint
        self.saves, self.saves_own, self.spares = saves, saves_own, spares
        self.saves_exactly = saves_exactly
        self.recomputes = recomputes
        self.keeps_numbers = keeps_numbers
        self.saves_inputs = saves_inputs
        self.body = body
        self.gradient = gradient
        # What backward raises that finds this on its way (done in place, or not), of functions that
        # have no derivative.
        self.refusal: Callable[[bool], Exception] | None = getattr(gradient, "refusal", None)
        self.gradient_name = gradient_name or _camel_case(name) + "Backward0"
        self.signatures: dict[tuple[Types, Attributes], Signature] = {}
        # Of two inputs, without attributes, with one output, whose calls' places are noted.
        self.plain_pairs: dict[Types, Signature] = {}
        if name in _functions:
            # Plans are kept on disk under the names of what they compute.
            raise ValueError(f"there is a function named {name!r} already")
        _functions[name] = self

    def signature(self, input_types: Types, attributes: Attributes) -> Signature:
        """The signature for these types; raises what the body raises on types it refuses."""
        key = (input_types, attributes)
        found = self.signatures.get(key)
        if found is None:
            found = self.signatures[key] = Signature(self, input_types, attributes)
        return found

    def plain_pair(self, *types: TensorType) -> Signature | None:
        """The signature for two types, where it is known and nothing is to be done at each call;
        it is found among ``plain_pairs`` from then on."""
        found = self.signatures.get((types, ()))
        if found is None or found.places_left or len(found.output_types) != 1:
            return None
        self.plain_pairs[types] = found
        return found

    def forget_signatures(self) -> None:
        """Trace anew what is called from now on."""
        self.signatures.clear()
        self.plain_pairs.clear()

    def trace(self, input_types: Types, attributes: Attributes) -> Template:
        parameters = tuple([parameter(i, t) for i, t in enumerate(input_types)])
        check_complex(self.name, input_types)
        result = self.body(*parameters, *attributes)
        outputs = (result,) if isinstance(result, Node) else tuple(result)
        rule = self._custom_gradient(attributes)
        if (
            rule is not None
            and self.refusal is None
            and self.name not in RULES_OF_PARTS
            and any([n.dtype.is_complex for n in (*parameters, *outputs)])
        ):
            rule = None  # it is one for real numbers
        return Template(self.name, parameters, outputs, rule)

    def _custom_gradient(self, attributes: Attributes) -> CustomGradient | None:
        rule = self.gradient
        if rule is None:
            return None
        return lambda inputs, outputs, cotangents: rule(inputs, outputs, cotangents, *attributes)

    def __repr__(self) -> str:
        return f"<function {self.name}>"


def _camel_case(name: str) -> str:
    return "".join([word[:1].upper() + word[1:] for word in name.split("_")])


class Overwritten:
    """Stands where an owner stood: a write ``by`` another replaced the value of this version.
    ``silent``: backward does not look for that write, but for those after it."""

    __slots__ = ("by", "silent", "storage", "version")

    storage: weakref.ref[Storage]
    version: int
    by: weakref.ref[Expression]
    silent: bool


def overwritten(
    storage: weakref.ref[Storage], version: int, by: weakref.ref[Expression], silent: bool
) -> Overwritten:
    """What stands for an owner from a write on."""
    made = Overwritten()
    made.storage, made.version, made.by, made.silent = storage, version, by, silent
    return made


class SharedSince:
    """Stands where an owner stands, of a value that lies in a storage's memory without being its
    value: what was written to a part of it, or a reading without history. Any write after this
    version is one to the value. ``detached``: it was the value, until ``detach_()``."""

    __slots__ = ("detached", "storage", "version")

    def __init__(self, storage: weakref.ref[Storage], version: int) -> None:
        self.storage = storage
        self.version = version
        self.detached = False

    def by(self) -> None:
        """No value in the place of this one is known."""


def shared_owner(value: Expression) -> weakref.ref[Storage] | Overwritten | SharedSince | None:
    """What owns a reading of a storage's present value."""
    owner = value.owner
    if type(owner) is weakref.ref:
        storage = owner()
        if storage is not None:
            return SharedSince(owner, storage.version)
    return owner


# What is tracked for tangents: no gradient goes through it, and it does not require grad. What is
# tracked for gradients as well is ``True | FORWARD``.
FORWARD = 2


def unrecorded(tracked: int) -> int:
    """What is tracked of a result where gradients are not recorded: tangents alone."""
    return tracked & FORWARD or False


# Numbers tracked calls: one that another reads has a lower number.
next_in_sequence = itertools.count().__next__


class Call:
    """One application of a function, to be run at some realize().

    tracked    a gradient flows through it.
    freed      backward has been through it without retain_graph.
    led_to     where its inputs were let go: what is left of them (freed.py); not set elsewhere.
    readers    the gradient calls of any backward, which need its inputs until they have run.
    place      the user's code that made it and the instruction in there, where noted (source.py).
    node       what was hung on it as a node of the graph; not set where there is nothing.
    via        of a view: what it was made from, how that is called, where it lies in the storage,
               and where in a copy of what it was made from, if that overlaps; None of what is only
               a part of a view; not set elsewhere.
    siblings   of one of several views: an object that all of them have, the outputs of one node;
               not set elsewhere.
    way        of a tracked gradient call: what a gradient of it goes on to; not set elsewhere.
    in_place   its result replaced its first input, as x.sin_() does, of which PyTorch saves a copy;
               not set elsewhere.
    sequence   of a tracked call: how many tracked calls there were before it; not set elsewhere.
    """

    __slots__ = (
        "__weakref__", "freed", "has_gradient", "in_place", "inputs", "led_to", "node",
        "outputs", "place", "readers", "sequence", "siblings", "signature", "tracked", "via", "way",
    )  # fmt: skip
    in_place: bool
    led_to: tuple[Expression, ...]
    node: NodeState
    sequence: int
    siblings: object
    via: tuple[ViewOrigin | None, str, Geometry, Geometry | None] | None
    way: Way

    signature: Signature
    inputs: tuple[Expression, ...]
    tracked: int
    has_gradient: bool
    freed: bool
    place: tuple[CodeType, int] | None
    readers: Any  # weak references, shared with other calls
    outputs: tuple[weakref.ref[Expression], ...]


def new_call(signature: Signature, inputs: tuple[Expression, ...], tracked: int) -> Call:
    """A call, whose outputs are still to be made."""
    made = Call()
    made.signature, made.inputs, made.tracked = signature, inputs, tracked
    made.has_gradient = made.freed = False
    made.place, made.readers, made.outputs = None, (), ()
    if tracked:
        made.sequence = next_in_sequence()
    return made


class WayStep:
    """A call that a gradient call differentiates by one of its inputs (a gradient call: one of its
    outputs), whose ``number`` that is.

    A gradient is a sum of products, and their *degree* is how many factors are tracked: infinite
    where one is no factor, as in a cosine. ``arriving`` is that of what comes to the call, ``own``
    that of what the call multiplies it by (0 for a gradient call, whose factors have their own),
    ``beyond`` that of what it is multiplied by from there on.
    """

    __slots__ = ("arriving", "beyond", "call", "number", "own")

    def __init__(self, call: weakref.ref[Call], number: int) -> None:
        self.call, self.number = call, number
        self.arriving: float = 0
        self.own: float = 0
        self.beyond: float = 0


class Way:
    """What the outputs of a gradient call were made of, as PyTorch's would have been. The roots of
    the gradient call keep all of it alive.

    cotangents  those that came in and are tracked.
    steps       the calls that were differentiated.
    made_of     of each output: a bit for each of the steps, and then of the cotangents.
    degrees     of each output.
    freed       the bits of outputs that backward has been through without retain_graph.
    """

    __slots__ = ("cotangents", "degrees", "freed", "made_of", "steps")

    def __init__(self) -> None:
        self.cotangents: list[weakref.ref[Expression]] = []
        self.steps: list[WayStep] = []
        self.made_of: list[int] = []
        self.degrees: list[float] = []
        self.freed = 0


class NodeState:
    """What hangs on a call as a node of the graph.

    before, after  hooks: on the outputs' gradients, and on those of the inputs.
    shown          the object that ``grad_fn`` shows, while somebody holds it.
    custom         the user's Function that made the values, and gives their gradient.
    packed         what hooks have packed: (whether of an input, its number, what was packed).
    """

    __slots__ = ("after", "before", "custom", "metadata", "packed", "shown")

    def __init__(self) -> None:
        self.before: OrderedDict[int, Any] = OrderedDict()
        self.after: OrderedDict[int, Any] = OrderedDict()
        self.metadata: dict[Any, Any] = {}
        self.shown: weakref.ref[Any] | None = None
        self.custom: Any = None
        self.packed: Any = None

    def acts(self) -> bool:
        """Whether backward has something to do here."""
        return bool(self.custom is not None or self.before or self.after or self.packed)


class Hooks:
    """What backward does with the gradient of a value that is no leaf.

    functions    called with it; what they return replaces it.
    retained_by  the tensor that keeps it in ``.grad``.
    node         hooks of the call that made the value, shared by all its outputs.
    """

    __slots__ = ("functions", "node", "retained_by")

    def __init__(self) -> None:
        self.functions: OrderedDict[int, Callable[[Tensor], Tensor | None]] = OrderedDict()
        self.retained_by: weakref.ref[Tensor] | None = None
        self.node: NodeState | None = None


def nobody() -> None:
    """In the place of a reference to the tensor that collects a leaf's gradient: none is asked
    for, though what is made of the leaf requires one."""


def hooks_of(e: Expression) -> Hooks:
    """The hooks of a value, made where there are none."""
    if e.hooks is None:
        e.hooks = Hooks()
    return e.hooks


def node_state(call: Call) -> NodeState:
    """What hangs on a call as a node, made where there is nothing; its outputs refer to it."""
    state = getattr(call, "node", None)
    if state is None:
        state = call.node = NodeState()
    return state


class Expression:
    """A value that is computed, or will be: one output of a call, or a leaf.

    value    a Buffer once realized; a Python number for a scalar; None while pending.
    tracked  a gradient may be asked for: a tracked call made it, or it is a leaf that requires
             grad, and then ``leaf`` refers to the tensor that collects it. ``FORWARD``: a tangent
             alone, with ``| FORWARD`` both.
    owner    the storage that shows this value now, if any: what is owned is kept when computed.
             Overwritten once a write replaced it, which backward looks for; SharedSince of a
             value in the memory of another.
    hooks    what backward calls with its gradient, for a value that is no leaf.
    depth    pending calls on the longest path below.
    """

    __slots__ = (
        "__weakref__", "call", "depth", "device", "hooks", "leaf", "number", "owner", "tracked",
        "type", "value",
    )  # fmt: skip

    type: TensorType
    device: str
    call: Call | None
    number: int
    value: Any
    tracked: int
    depth: int
    owner: weakref.ref[Storage] | Overwritten | SharedSince | None
    leaf: Callable[[], Tensor | None] | None
    hooks: Hooks | None


def new_expression(
    type_: TensorType,
    device: str,
    call: Call | None = None,
    number: int = 0,
    value: Any = None,
    tracked: int = False,
    depth: int = 0,
) -> Expression:
    """A value that no storage shows yet."""
    made = Expression()
    made.type, made.device, made.call, made.number = type_, device, call, number
    made.value, made.tracked, made.depth = value, tracked, depth
    made.owner = made.leaf = made.hooks = None
    return made


WEAK_FLOAT = TensorType((), dt.float64, True)
_WEAK_COMPLEX = TensorType((), dt.complex128, True)
WEAK_INT = TensorType((), dt.int64, True)
_WEAK_BOOL = TensorType((), dt.bool_, True)
_LEAST_INT, _GREATEST_INT = -(1 << 63), (1 << 63) - 1


# Where a value comes from at each replay: a kind, and what that kind needs to know.
Source = tuple[Any, ...]


class SourcedFloat(float):
    """A number that is made anew at each replay."""

    source: Source


class SourcedInt(int):
    """As ``SourcedFloat``: a seed, a stream number."""

    source: Source


def sourced(value: float | int, source: Source) -> SourcedFloat | SourcedInt:
    """``value``, knowing where it comes from."""
    made = SourcedInt(value) if isinstance(value, int) else SourcedFloat(value)
    made.source = source
    return made


def scalar(value: Any, device: str) -> Expression:
    """A Python number as an argument of the plan: another value compiles nothing."""
    kind = type(value)
    made = Expression()
    if kind is float:
        made.type = WEAK_FLOAT
    elif kind is bool:
        made.type = _WEAK_BOOL
    elif isinstance(value, np.bool_):
        made.type, value = _WEAK_BOOL, bool(value)
    elif isinstance(value, (int, np.integer)):
        if kind is not int and kind is not SourcedInt:
            value = int(value)
        if not _LEAST_INT <= value <= _GREATEST_INT:
            raise RuntimeError("value cannot be converted to type int64_t without overflow")
        made.type = WEAK_INT
    elif isinstance(value, (complex, np.complexfloating)):
        # Two numbers do not fit into one argument: memory of its own.
        made.type, value = _WEAK_COMPLEX, Buffer.wrapping(np.array(value, np.complex128))
    elif isinstance(value, (float, np.floating)):
        made.type, value = WEAK_FLOAT, value if kind is SourcedFloat else float(value)
    else:
        raise TypeError(f"argument must be Tensor or Number, not {kind.__name__}")
    made.device, made.value = device, value
    made.call, made.number, made.tracked, made.depth = None, 0, False, 0
    made.owner, made.leaf, made.hooks = None, None, None
    return made
