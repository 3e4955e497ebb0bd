"""Turns nodes at index points into statements, each placed in the outermost loop that fixes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.index.access import Guard, source_of
from codegen.index.algebra import Index, flatten
from codegen.index.algebra import constant as constant_index
from codegen.ir.node import Node, in_memory_as
from codegen.loops.grammar import (
    Argument,
    Computed,
    Let,
    Load,
    Position,
    Select,
    Statement,
    Store,
)
from codegen.loops.signs import operation_of
from codegen.ops.leaves import constant

_ZERO = constant_index(0)
Indices = tuple[Index, ...]
Operand = tuple[str, int]  # C text, and how deep in the loops it is known


@dataclass
class Scope:
    """An open loop: its variables, its statements so far, and what is known in it."""

    variables: frozenset[str]
    statements: list[Statement] = field(default_factory=list)
    known: dict[tuple[Node, Indices, Guard], Operand] = field(default_factory=dict)


class Emitter:
    """Writes the statements of one kernel.

    ``in_memory`` says which nodes are loaded rather than computed here; ``results`` gives those
    that a reduction of this kernel has finished; ``revisited`` those that an earlier loop of this
    kernel has left in a buffer.
    """

    def __init__(self, in_memory: Callable[[Node], bool]) -> None:
        self.scopes = [Scope(frozenset())]
        self.arguments: dict[Node, Argument] = {}
        self.in_memory = in_memory
        self.results: dict[Node, Callable[[], Operand]] = {}
        self.revisited: dict[Node, Callable[[Indices], Operand]] = {}
        self.accesses: list[Index] = []  # every index used, for merging axes
        self._count = 0
        self._names: dict[str, int] = {}

    # ---- scopes -------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    @contextmanager
    def loop(
        self, variables: Iterable[str], make: Callable[[list[Statement]], Statement]
    ) -> Iterator[Scope]:
        """Statements emitted inside go into the loop that ``make`` builds from them."""
        scope = Scope(frozenset(variables))
        self.scopes.append(scope)
        yield scope
        self.scopes.pop()
        self.add(make(scope.statements))

    def add(self, statement: Statement, depth: int | None = None) -> None:
        self.scopes[self.depth if depth is None else depth].statements.append(statement)

    def depth_of(self, variables: frozenset[str]) -> int:
        """The outermost scope in which all these variables are known."""
        missing = set(variables)
        for depth, scope in enumerate(self.scopes):
            missing -= scope.variables
            if not missing:
                return depth
        raise AssertionError(f"no open loop over {sorted(missing)}")

    def name(self, stem: str) -> str:
        number = self._names.get(stem, 0)
        self._names[stem] = number + 1
        return f"{stem}_{number}"

    def argument(self, node: Node, written: bool = False) -> Argument:
        found = self.arguments.get(node)
        if found is None:
            stem = "out" if written else "in"
            found = Argument(f"{stem}{len(self.arguments)}", node.type, written)
            self.arguments[node] = found
        return found

    # ---- values -------------------------------------------------------------------------------

    def value(self, node: Node, indices: Indices, guard: Guard = ()) -> Operand:
        """The text of a node's element, and the depth at which it is known."""
        result = self.results.get(node)
        if result is not None:
            return result()
        found = self._found((node, indices, guard))
        if found is not None:
            return found
        # Inputs first: the turns of a loop are a chain that is longer than calls may be deep.
        chain = [node]
        while chain:
            missing = self._missing(chain[-1], indices, guard)
            if missing is not None:
                chain.append(missing)
                continue
            e = chain.pop()
            operand = self._compute(e, indices, guard)
            self.scopes[operand[1]].known[e, indices, guard] = operand
        return operand

    def _found(self, key: tuple[Node, Indices, Guard]) -> Operand | None:
        for scope in reversed(self.scopes):
            found = scope.known.get(key)
            if found is not None:
                return found
        return None

    def _missing(self, node: Node, indices: Indices, guard: Guard) -> Node | None:
        """The first input at the same place that is computed here and not known yet."""
        if node.operation.kind != "elementwise" or node in self.revisited or self.in_memory(node):
            return None
        for i in node.inputs:
            if i not in self.results and self._found((i, indices, guard)) is None:
                return i
        return None

    def _compute(self, node: Node, indices: Indices, guard: Guard) -> Operand:
        revisit = self.revisited.get(node)
        if revisit is not None:
            return revisit(indices)
        kind = node.operation.kind
        if node.operation.name == "constant":
            return literal(node.attributes[0], node.dtype), 0
        if self.in_memory(node):
            return self._load(node, indices, guard)
        if node.operation.name == "iota":
            return self._position(indices[0], node.dtype)
        if kind == "movement":
            return self._move(node, indices, guard)
        if node.operation.name == "gather":
            return self._gather(node, indices, guard)
        if kind != "elementwise":
            raise AssertionError(f"{node} is neither in memory nor computed in this kernel")
        if node.operation.name in ("again", "kept"):
            return self.value(node.inputs[0], indices, guard)
        operands = [self.value(i, indices, guard) for i in node.inputs]
        depth = max([d for _, d in operands], default=0)
        return self.let(node, [text for text, _ in operands], depth), depth

    def let(self, node: Node, operands: list[str], depth: int) -> str:
        name = self.name(node.operation.name.rstrip("_"))
        self.add(
            Let(
                name, node.dtype, operation_of(node), tuple(operands), node.inputs[0].dtype,
                node.attributes,
            ),
            depth,
        )  # fmt: skip
        return name

    def _load(self, node: Node, indices: Indices, guard: Guard) -> Operand:
        place = flatten(indices, node.shape)
        self.accesses.append(place)
        variables = place.variables()
        for condition in guard:
            variables |= condition.variables()
            self.accesses.append(condition.index)
        depth = self.depth_of(variables)
        argument = self.argument(node)
        name = self.name(argument.name)
        self.add(Load(name, node.dtype, argument.name, place, guard), depth)
        return name, depth

    def _position(self, index: Index, dtype: DType) -> Operand:
        self.accesses.append(index)
        number = index.constant_value()
        if number is not None:
            return literal(number, dtype), 0
        depth = self.depth_of(index.variables())
        name = self.name("position")
        self.add(Position(name, dtype, index), depth)
        return name, depth

    def _move(self, node: Node, indices: Indices, guard: Guard) -> Operand:
        source, condition = source_of(node, indices)
        if condition is None:
            return self.value(self._fill(node), (), guard)
        if not condition:
            return self.value(node.inputs[0], source, guard)
        merged = (*guard, *[c for c in condition if c not in guard])
        text, depth = self.value(node.inputs[0], source, merged)
        fill = self._fill(node)
        otherwise, fill_depth = self.value(fill, (), guard)
        if self.in_memory(node.inputs[0]) and fill.attributes[0] == 0:
            return text, depth  # a guarded load gives 0 by itself
        variables: frozenset[str] = frozenset().union(*[c.variables() for c in condition])
        self.accesses.extend([c.index for c in condition])
        depth = max(depth, fill_depth, self.depth_of(variables))
        name = self.name("padded")
        self.add(Select(name, node.dtype, condition, text, otherwise), depth)
        return name, depth

    def _fill(self, node: Node) -> Node:
        from_pad = node.operation.name == "pad"
        return node.inputs[1] if from_pad else constant(0, node.dtype)

    def _gather(self, node: Node, indices: Indices, guard: Guard) -> Operand:
        x, index = node.inputs
        (axis,) = node.attributes
        assert isinstance(axis, int)
        number, depth = self.value(index, indices, guard)
        place = self.computed(x, axis, indices, number)
        argument = self.argument(in_memory_as(x))
        name = self.name("gathered")
        variables = place.offset.variables().union(*[c.variables() for c in guard])
        depth = max(depth, self.depth_of(variables))
        self.add(Load(name, node.dtype, argument.name, place, guard), depth)
        return name, depth

    def computed(
        self, x: Node, axis: int, indices: Indices, number: str, in_range: bool = False
    ) -> Computed:
        """The place in ``x`` of an element whose index along an axis is a number; ``indices`` are
        those of the number itself, in an index's shape."""
        after = len(x.shape) - axis - 1
        rest = (*indices[:axis], _ZERO, *indices[len(indices) - after :])
        offset = flatten(rest, x.shape)
        self.accesses.append(offset)
        return Computed(number, x.shape[axis], prod(x.shape[axis + 1 :]), offset, in_range)

    def store(self, node: Node, place: Index, value: str) -> None:
        self.accesses.append(place)
        self.add(Store(self.argument(node, True).name, node.dtype, place, value))


def literal(value: Any, dtype: DType) -> str:
    """A constant as C text."""
    if dtype.kind != "float":
        number = int(value)
        if dtype is dt.int64:
            return f"(-{(1 << 63) - 1}L - 1)" if number == -(1 << 63) else f"{number}L"
        return str(number) + {"uint32": "u", "uint64": "uL"}.get(dtype.name, "")
    number_text = repr(float(value))
    if number_text == "nan":
        return '__builtin_nanf("")' if dtype is not dt.float64 else '__builtin_nan("")'
    if number_text in ("inf", "-inf"):
        infinity = "__builtin_inff()" if dtype is not dt.float64 else "__builtin_inf()"
        return f"(-{infinity})" if number_text[0] == "-" else infinity
    text = number_text if any(c in number_text for c in ".e") else number_text + ".0"
    text += "f" if dtype is not dt.float64 else ""
    return f"({text})" if text[0] == "-" else text
