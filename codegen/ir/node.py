"""The one IR node: an operation applied to nodes, frozen and interned, so equal means identical."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, ClassVar, NoReturn

from codegen.dtype import DType
from codegen.ir import provenance

if TYPE_CHECKING:
    from codegen.ops.registry import Operation

Shape = tuple[int, ...]


class TensorType:
    """Shape and element type of a value; interned, so types compare by identity.

    ``weak`` marks a Python number, which gives way in type promotion.
    """

    __slots__ = ("dtype", "nbytes", "number", "shape", "size", "weak")
    _table: ClassVar[dict[tuple[Shape, DType, bool], TensorType]] = {}
    shape: Shape
    dtype: DType
    weak: bool
    size: int  # number of elements
    nbytes: int
    number: int  # unique in this process, from 16 on

    def __new__(cls, shape: Shape, dtype: DType, weak: bool = False) -> TensorType:
        key = (shape, dtype, weak)
        found = cls._table.get(key)
        if found is None:
            if not dtype.storage_c:
                raise NotImplementedError(f"lazytorch has no tensors of {dtype!r}")
            found = object.__new__(cls)
            found.shape, found.dtype, found.weak = key
            found.size = prod(shape)
            found.number = len(cls._table) + 16
            found.nbytes = found.size * dtype.itemsize
            cls._table[key] = found
        return found

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape)) or "scalar"
        return f"{self.dtype.name.rstrip('_')}[{shape}]" + ("~" if self.weak else "")


class Node:
    """``operation`` applied to ``inputs`` with static ``attributes``; made by ``make`` only."""

    __slots__ = ("__weakref__", "attributes", "inputs", "operation", "type")
    operation: Operation
    inputs: tuple[Node, ...]
    attributes: tuple[Hashable, ...]
    type: TensorType

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a node's {name} does not change")

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    def __repr__(self) -> str:
        return f"<{self.operation.name} {self.type}>"


_Key = tuple["Operation", tuple[Node, ...], tuple[Hashable, ...]]
# A table of weak references of its own: a graph has hundreds of thousands of nodes, and a
# WeakValueDictionary runs Python for each.
_table: dict[_Key, weakref.ref[Node]] = {}
_keys: dict[weakref.ref[Node], _Key] = {}

# What makes the node of an operation on complex inputs: ops/complex_numbers.py puts it here.
on_complex: list[Callable[[Operation, tuple[Node, ...], tuple[Hashable, ...]], Node | None]] = []

_new, _reference = object.__new__, weakref.ref
_set_operation, _set_inputs = Node.operation.__set__, Node.inputs.__set__  # type: ignore
_set_attributes, _set_type = Node.attributes.__set__, Node.type.__set__  # type: ignore


def make(operation: Operation, inputs: tuple[Node, ...], attributes: tuple[Hashable, ...]) -> Node:
    """The node of this operation on these inputs; the operation's type rule refuses bad ones. Of
    complex inputs, what their real and imaginary parts make."""
    key = (operation, inputs, attributes)
    known = _table.get(key)
    if known is not None:
        found = known()
        if found is not None:
            return found
    for x in inputs:
        if x.type.dtype.kind == "complex":
            parts = on_complex[0](operation, inputs, attributes)
            if parts is not None:
                return parts
            break
    made = _new(Node)
    _set_operation(made, operation)
    _set_inputs(made, inputs)
    _set_attributes(made, attributes)
    _set_type(made, operation.infer(inputs, *attributes))
    reference = _reference(made, _forget)
    _table[key] = reference
    _keys[reference] = key
    return made


def _forget(reference: weakref.ref[Node]) -> None:
    """A node is gone."""
    key = _keys.pop(reference)
    if _table.get(key) is reference:
        del _table[key]


def topological(roots: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """Every node under the roots, inputs before users, without recursion.

    Nodes for which ``stop`` holds are listed, but not what they are made of.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack: list[tuple[Node, Iterator[Node]]] = [
            (root, iter(() if stop is not None and stop(root) else root.inputs))
        ]
        while stack:
            node, pending = stack[-1]
            for child in pending:
                if child not in seen:
                    seen.add(child)
                    children = () if stop is not None and stop(child) else child.inputs
                    stack.append((child, iter(children)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def rebuild(
    roots: Sequence[Node],
    change: Callable[[Node, tuple[Node, ...]], Node],
    known: Mapping[Node, Node] | None = None,
) -> list[Node]:
    """Rewrite bottom-up: ``change(node, new_inputs)`` gives each node's replacement.

    ``known`` fixes the replacement of some nodes, whose inputs are then not visited.
    """
    done: dict[Node, Node] = dict(known or {})
    origins = provenance.state.active
    for node in topological(roots, stop=lambda n: n in done):
        if node not in done:
            inputs = tuple([done[i] for i in node.inputs])
            done[node] = change(node, inputs)
            if origins is not None:
                origins.inherit(node, done[node], inputs)
    return [done[root] for root in roots]


def same(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node on new inputs; the node itself where nothing changed."""
    return node if inputs == node.inputs else make(node.operation, inputs, node.attributes)


def substitute(roots: Sequence[Node], mapping: Mapping[Node, Node]) -> list[Node]:
    """The roots with some nodes replaced."""
    return rebuild(roots, same, mapping) if mapping else list(roots)


def in_memory_as(node: Node) -> Node:
    """The node whose memory, once it is stored, holds this one's elements in the same order."""
    while node.operation.name == "reshape":
        (source,) = node.inputs
        if source.operation.kind == "leaf" and source.operation.name != "parameter":
            break  # a constant or a count is nowhere in memory
        node = source
    return node
