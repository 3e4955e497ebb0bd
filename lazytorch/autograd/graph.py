"""torch.autograd.graph: the nodes of the recorded graph, as ``grad_fn`` shows them."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from codegen.dtype import DType
from codegen.ir.node import TensorType
from lazytorch.autograd.node_facts import number_of, shown_by
from lazytorch.autograd.reads import always_saved, arguments_of, asked_for, gradient_saves
from lazytorch.autograd.saved import (  # noqa: F401  they are named here
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    pack_saved,
    refuse_hooks_anew,
    save_on_cpu,
    saved_tensors_hooks,
)
from lazytorch.autograd.walk import (
    FREED,
    Walk,
    check_input,
    check_result,
    name_of_node,
    node_name,
    under_way,
)
from lazytorch.device import Device
from lazytorch.expression import (
    Call,
    Expression,
    NodeState,
    SharedSince,
    hooks_of,
    new_expression,
    node_state,
)
from lazytorch.freed import inputs_of
from lazytorch.functions.data import as_tensor
from lazytorch.leaves import keep
from lazytorch.recording import last_recorded, record
from lazytorch.size import Size
from lazytorch.storage import Storage
from lazytorch.tensor import Tensor, wrap
from lazytorch.utils.hooks import RemovableHandle
from lazytorch.view_history import ViewOrigin, viewed, watch

Hook = Callable[..., Any]


class Node:
    """What made a tensor that requires grad: a node of the graph that backward walks."""

    def name(self) -> str:
        """The name of the node, such as ``MulBackward0``."""
        raise NotImplementedError

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes of the inputs, each with the number of the output that the input is."""
        raise NotImplementedError

    @property
    def metadata(self) -> dict[Any, Any]:
        """Whatever a user wants to keep here."""
        raise NotImplementedError

    def register_hook(self, fn: Hook) -> RemovableHandle:
        """Call ``fn(grad_inputs, grad_outputs)`` after the node's backward; it may return the
        inputs' gradients anew."""
        raise NotImplementedError

    def register_prehook(self, fn: Hook) -> RemovableHandle:
        """Call ``fn(grad_outputs)`` before the node's backward; it may return them anew."""
        raise NotImplementedError


def _register(registry: OrderedDict[int, Any], hook: Hook) -> RemovableHandle:
    handle = RemovableHandle(registry)
    registry[handle.id] = hook
    return handle


class CallNode(Node):
    """A node that is a recorded call, or what stands for one."""

    def _call(self) -> Call | None:
        raise NotImplementedError

    def _is_hooked(self) -> None:
        """Called before a hook is added."""

    def _state(self) -> NodeState:
        call = self._call()
        if call is None:
            raise RuntimeError("the graph of this node is gone")
        self._is_hooked()
        state = node_state(call)
        for reference in call.outputs:
            e = reference()
            if e is not None:
                hooks_of(e).node = state
        return state

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        call = self._call()
        if call is None:
            return ()
        inputs = inputs_of(call)
        return tuple([_edge(inputs[i]) for i in arguments_of(call)])

    @property
    def metadata(self) -> dict[Any, Any]:
        call = self._call()
        return {} if call is None else node_state(call).metadata

    def register_hook(self, fn: Hook) -> RemovableHandle:
        return _register(self._state().after, fn)

    def register_prehook(self, fn: Hook) -> RemovableHandle:
        return _register(self._state().before, fn)


class InputMetadata(NamedTuple):
    """What the gradient of one of a node's results is like."""

    shape: Size
    dtype: DType
    device: Device
    is_nested_tensor: bool = False


class GradientNode(CallNode):
    """The node of an operation."""

    def __init__(self, expression: Expression, name: str) -> None:
        self._expression = expression
        self._name = name
        self.view: Tensor | None = None  # what it is the node of, where that is a view

    def _is_hooked(self) -> None:
        if self.view is not None:
            watch(self.view, self._expression)

    def _call(self) -> Call | None:
        return self._expression.call

    def name(self) -> str:
        return self._name

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        source = _source_of_view(self._expression)
        if source is not None:
            return ((node_of_tensor(source), 0),)
        return super().next_functions

    requires_grad = True

    def _sequence_nr(self) -> int:
        """The node's number in the order of recording."""
        call = self._call()
        return 0 if call is None else call.sequence

    @property
    def _input_metadata(self) -> tuple[InputMetadata, ...]:
        call = self._call()
        types = () if call is None else call.signature.output_types
        device = Device(self._expression.device)
        return tuple([InputMetadata(Size(t.shape), t.dtype, device) for t in types])

    def _shown(self) -> dict[str, str]:
        """The names of what the node has saved, with where each is from."""
        call = self._call()
        if call is None or getattr(call, "via", None) is not None:
            return {}  # of views nobody noted what they were asked for
        types = call.signature.input_types
        every = [i for i, t in enumerate(types) if t.dtype.differentiable and not t.weak]
        return shown_by(call, gradient_saves(call.signature, frozenset(every)))

    def __dir__(self) -> list[str]:
        shown = self._shown()
        raw = ["_raw_saved_" + name for name, source in shown.items() if self._is_raw(source)]
        return sorted([*super().__dir__(), *["_saved_" + name for name in shown], *raw])

    def __getattr__(self, name: str) -> Any:
        """``_saved_self``, ``_saved_other``, ``_saved_result``…: what the gradient reads."""
        _, is_saved, saved_name = name.partition("_saved_")
        source = self._shown().get(saved_name) if is_saved else None
        if source is not None and name.startswith("_saved_"):
            return self._value_of(source)
        if source is not None and name.startswith("_raw_saved_") and self._is_raw(source):
            return SavedTensor(self, source)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _is_raw(self, source: str) -> bool:
        """Whether a source is a tensor in PyTorch's node, which some numbers are too."""
        call = self._call()
        if call is None or not _is_tensor(source):
            return False
        return not source.isdigit() or not call.signature.input_types[int(source)].weak

    def _value_of(self, source: str) -> Any:
        call = self._call()
        assert call is not None
        if not _is_tensor(source):
            return number_of(call, source)
        if call.freed:
            raise RuntimeError(FREED)
        of_result, number = source[0] == "r", int(source.lstrip("rmw"))
        for is_input, i, item in call.node.packed or () if hasattr(call, "node") else ():
            if is_input is not of_result and i == number:
                return item.unpack()
        if not of_result and call.inputs[number].type.weak:
            value = call.inputs[number].value
            return as_tensor(value) if source[0] == "w" else value
        saved = gradient_saves(call.signature, asked_for(call.inputs))[of_result]
        if number not in saved | always_saved(call.signature)[of_result]:
            return None
        if of_result:
            e = call.outputs[number]()
            if e is None:  # nobody else holds it
                signature = call.signature
                made = record(signature.function, call.inputs, signature.attributes, call.tracked)
                return wrap(made[number])
            check_result(e)
            return _showing(e)
        if number or not getattr(call, "in_place", False):
            check_input(call.inputs[number])
        found = _shown(call.inputs[number])
        return found.t() if source[0] == "m" else found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"


class SavedTensor:
    """A tensor that a node has saved: ``grad_fn._raw_saved_self``."""

    def __init__(self, node: GradientNode, source: str) -> None:
        self._node, self._source = node, source

    @property
    def data(self) -> Tensor | None:
        return self.unpack()

    def unpack(self) -> Tensor | None:
        found: Tensor | None = self._node._value_of(self._source)
        return found

    def register_hooks(self, pack_hook: Hook, unpack_hook: Hook) -> None:
        """Call ``pack_hook`` with the tensor now, and ``unpack_hook`` with what that gave where
        backward reads it."""
        call = self._node._call()
        of_result, number = self._source[0] == "r", int(self._source.lstrip("rmw"))
        if call is not None:
            refuse_hooks_anew(call, not of_result, number)
        value = self.unpack()
        if call is None or value is None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor with value None is forbidden"
            )
        pack_saved(call, not of_result, number, value, (pack_hook, unpack_hook))


def _is_tensor(source: str) -> bool:
    return source.lstrip("rmw").isdigit()


def _shown(e: Expression) -> Tensor:
    """A saved value as a tensor: a leaf is itself."""
    leaf = None if e.leaf is None else e.leaf()
    return _showing(e) if leaf is None else leaf


class AccumulateGrad(Node):
    """Where a leaf collects its gradient."""

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        return ()

    @property
    def metadata(self) -> dict[Any, Any]:
        found: dict[Any, Any] = self.variable.__dict__.setdefault("_node_metadata", {})
        return found

    def register_hook(self, fn: Hook) -> RemovableHandle:
        return _register(leaf_hooks(self.variable)[1], fn)

    def register_prehook(self, fn: Hook) -> RemovableHandle:
        return _register(leaf_hooks(self.variable)[0], fn)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


LeafHooks = tuple["OrderedDict[int, Any]", "OrderedDict[int, Any]"]


def leaf_hooks(variable: Tensor) -> LeafHooks:
    """The hooks before and after a leaf has collected its gradient."""
    found: LeafHooks | None = variable.__dict__.get("_node_hooks")
    if found is None:
        found = variable.__dict__["_node_hooks"] = (OrderedDict(), OrderedDict())
        keep(variable)
    return found


_classes: dict[str, type[GradientNode]] = {}


def _class(name: str) -> type[GradientNode]:
    return type(name.split(":")[-1], (GradientNode,), {"__module__": "torch.autograd.graph"})


def node_of(e: Expression, name: str | None = None) -> Node | None:
    """The node that made a tracked value; a leaf's is where its gradient is collected."""
    if not e.tracked:
        return None
    e = last_recorded(e)
    if e.leaf is not None:
        return accumulator(e.leaf())
    call = e.call
    state = None if call is None else getattr(call, "node", None)
    if state is not None:
        if state.custom is not None:
            return state.custom  # type: ignore[no-any-return]
        shown: Node | None = None if state.shown is None else state.shown()
        if shown is not None:
            return shown
    if name is None:
        name = "Backward0" if call is None else node_name(call)
    cls = _classes.get(name)
    if cls is None:
        cls = _classes[name] = _class(name)
    made = cls(e, name)
    if call is not None:
        node_state(call).shown = weakref.ref(made)
    return made


def accumulator(variable: Tensor | None) -> Node | None:
    """The node of a leaf, the same one for as long as somebody holds it."""
    if variable is None:
        return None
    reference = variable.__dict__.get("_accumulator")
    made = None if reference is None else reference()
    if made is None:
        made = AccumulateGrad(variable)
        variable.__dict__["_accumulator"] = weakref.ref(made)
    return made


def gradient_node(e: Expression, operation: str) -> Node:
    """The node of an operation that made a tensor of other parts than one value."""
    name = name_of_node(operation)
    cls = _classes.get(name)
    if cls is None:
        cls = _classes[name] = _class(name)
    return cls(e, name)


def node_of_tensor(x: Tensor) -> Node | None:
    """What a tensor that requires grad and is no leaf shows as its ``grad_fn``."""
    value = x._read()
    made = node_of(value)
    if x._geometry is not None and isinstance(made, GradientNode):
        made.view = x
    return made


def _source_of_view(e: Expression) -> Tensor | None:
    """The view that a view was made from, if that is still what it was then."""
    via = None if e.call is None else getattr(e.call, "via", None)
    if via is None or via[0] is None:
        return None
    source, value = via[0].view(), viewed(e)
    if source is None:
        # Not of an alias with a history of its own, in whose value views lie elsewhere.
        return None if type(value.owner) is SharedSince else _remade(via[0], value)
    known = source._view_cache
    is_current = source._storage.expression is value or (known is not None and known[0] is value)
    return source if is_current else None


def _remade(origin: ViewOrigin, value: Expression) -> Tensor:
    """A view that nobody holds any more, over the storage's value at that time."""
    made = _showing(value)
    storage = made._storage
    chain: list[ViewOrigin] = []
    step: ViewOrigin | None = origin
    while step is not None:
        chain.append(step)
        step = step.source
    for step in reversed(chain):
        held = step.view()
        if held is not None and held._storage.expression is value:
            made = held
            continue
        source, made = made, object.__new__(Tensor)
        made._storage, made._source = storage, source
        made._geometry, made._view_name, made._has_node = step.geometry, step.name, True
        made._type = TensorType(step.geometry.shape, step.dtype)
        made._origin, made._watched = step, step.watched
        known = step.value(value)
        if known is not None:
            made._view_cache = (value, known)
        step.view = weakref.ref(made)
    return made


class GradientEdge(NamedTuple):
    """Where a gradient arrives: a node, and the number of its output. ``ownership_token`` keeps the
    graph where the node does not."""

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of a tensor that requires grad arrives.

    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.autograd.grad((x * 3).sum(), torch.autograd.graph.get_gradient_edge(x))
    (tensor([3., 3.]),)
    """
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    if tensor.is_leaf:
        return GradientEdge(accumulator(tensor), 0)
    node, value = node_of_tensor(tensor), last_recorded(tensor._read())
    if isinstance(node, GradientNode) and (node.view is not None or node._expression is value):
        return GradientEdge(node, tensor.output_nr)
    return GradientEdge(node, tensor.output_nr, gradient_node(value, "view"))


def tensor_at(edge: GradientEdge) -> Tensor:
    """A tensor whose gradient arrives at an edge."""
    node = edge.node
    if isinstance(node, AccumulateGrad):
        return node.variable
    if edge.ownership_token is not None:
        return _showing(edge.ownership_token._expression)
    if isinstance(node, GradientNode) and node.view is not None:
        return node.view
    call = node._call() if isinstance(node, CallNode) else None
    outputs = [] if call is None else [reference() for reference in call.outputs]
    value = outputs[edge.output_nr] if edge.output_nr < len(outputs) else None
    if value is None:
        raise RuntimeError("the graph of this gradient edge is gone")
    return _showing(value)


def _showing(value: Expression) -> Tensor:
    """A tensor of a value that it does not own."""
    storage = object.__new__(Storage)
    storage.expression, storage.version, storage.regions, storage.special = value, 0, 0, None
    made = object.__new__(Tensor)
    made._storage, made._type = storage, value.type
    made._geometry = made._marker = None
    return made


def increment_version(tensor: Any) -> None:
    """Count a write to tensors that autograd does not see."""
    for x in (tensor,) if isinstance(tensor, Tensor) else tensor:
        before = x._storage.expression
        if before.leaf is None and before.value is not None:
            x._storage.write(new_expression(before.type, before.device, value=before.value))
        else:
            x._storage.version += 1


class _MultiHandle:
    """Removes the hooks of several tensors."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _MultiHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Hook, *, mode: str = "all"
) -> _MultiHandle:
    """Call ``fn`` once a backward pass has the gradients of those of the tensors that it goes
    through, with a list of them and None for the others; with ``mode="any"``, with the first
    gradient alone."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    found: WeakKeyDictionary[Walk, dict[int, Any]] = WeakKeyDictionary()
    awaited: WeakKeyDictionary[Walk, int] = WeakKeyDictionary()

    def hook_of(number: int) -> Hook:
        def hook(gradient: Tensor) -> None:
            walk = under_way.walks[-1]
            is_first = walk not in found
            gradients = found.setdefault(walk, {})
            if is_first and mode == "all":
                awaited[walk] = sum([walk.awaits(t) for t in tensors])
            gradients[number] = gradient
            if mode == "any":
                if is_first:
                    fn(gradient)
                return
            if len(gradients) == awaited[walk]:
                del found[walk]  # as in PyTorch, the others are given in a call of their own
                fn([gradients.get(i) for i in range(len(tensors))])

        return hook

    tensors = tuple(tensors)
    if mode == "all" and not all([t.requires_grad for t in tensors]):
        raise AssertionError("Expected every tensor to require grad")
    hooked = [(i, t) for i, t in enumerate(tensors) if t.requires_grad]
    return _MultiHandle([t.register_hook(hook_of(i)) for i, t in hooked])


def _edge(e: Expression) -> tuple[Node | None, int]:
    if not e.tracked:
        return (None, 0)
    e = last_recorded(e)
    return (node_of(e), 0 if e.leaf is not None else e.number)
