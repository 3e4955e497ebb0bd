"""What a function recorded on placeholders, as a graph over a batch of examples.

In: the expressions that the function gave, and the level that it ran under. Out: one call of a
function made from their graph, on the inputs for all examples and on what the examples share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from codegen.graph.batch import batch, lifted
from codegen.graph.expand import take_derivatives
from codegen.graph.inline import inline_plain
from codegen.ir.node import Node, TensorType, rebuild, same
from codegen.ops.calls import CALL, Template, mark
from codegen.ops.leaves import parameter
from codegen.ops.movement import inverse_order, permute
from lazytorch.autograd.reads import goes_on_to
from lazytorch.core import CUSTOM
from lazytorch.expression import Call, Expression, Function
from lazytorch.importer import derivative_ends, import_calls
from lazytorch.levels import Level
from lazytorch.recording import record, tracked_of


class Structure:
    """The structure of a recorded function: equal keys have equal graphs.

    ``region`` holds the recorded calls until the graph is made.
    """

    __slots__ = ("_hash", "key", "region", "words")

    def __init__(self, key: tuple[Any, ...], region: Region) -> None:
        self.key = key
        self.region: Region | None = region
        self.words = ""
        self._hash = hash(key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self.key == other.key

    def __repr__(self) -> str:
        if self.region is not None and not self.words:
            self.words = self.region.digest()
        return self.words


class VmapFunction(Function):
    """A function over a batch of examples; its attribute is the structure of that over one."""

    def trace(self, input_types: tuple[TensorType, ...], attributes: tuple[Any, ...]) -> Template:
        (structure,) = attributes
        assert isinstance(structure, Structure)
        region = structure.region
        assert region is not None
        repr(structure)  # while the words are known
        structure.region = None
        return region.template(input_types)


VMAP = VmapFunction("vmap", lambda *nodes: nodes)


class Region:
    """The calls that some expressions of a level are computed by, and what they are computed from.

    inputs   the placeholders that are read, and what the examples share.
    calls    inputs before users.
    numbers  each expression's number, by the order of a walk that depends on structure alone.
    """

    def __init__(self, level: Level, roots: Sequence[Expression], out_dims: Sequence[int]) -> None:
        self.size = level.size
        self.roots = tuple(roots)
        self.out_dims = tuple(out_dims)
        self.inputs: list[Expression] = []
        self.calls: list[Call] = []
        self.numbers: dict[Expression, int] = {}
        self._chosen = _dependent_calls(level, roots)
        actual = {p.expression: p for p in level.placeholders}
        self._walk()
        self.placeholders = [actual.get(e) for e in self.inputs]
        self.dims = [None if p is None else p.dim for p in self.placeholders]

    def _walk(self) -> None:
        numbers, chosen = self.numbers, self._chosen
        count = 0
        done: set[Call] = set()
        for root in self.roots:
            if root.call is None or root.call not in chosen:  # an input as it came
                if root not in numbers:
                    numbers[root] = count
                    count += 1
                    self.inputs.append(root)
                continue
            stack: list[tuple[Call, bool]] = [(root.call, False)]
            while stack:
                call, ready = stack.pop()
                if call in done:
                    continue
                if not ready:
                    stack.append((call, True))
                    for i in reversed(call.inputs):
                        if i.call is not None and i.call in chosen and i.call not in done:
                            stack.append((i.call, False))
                    continue
                done.add(call)
                for i in call.inputs:
                    if i not in numbers:
                        numbers[i] = count
                        count += 1
                        self.inputs.append(i)
                self.calls.append(call)
                for reference in call.outputs:
                    output = reference()
                    if output is not None:
                        numbers[output] = count + output.number
                count += len(call.outputs)

    def structure(self) -> Structure:
        """A key of integers, made in every run."""
        key: list[Any] = [self.size, *self.out_dims]
        numbers = self.numbers
        for e, dim in zip(self.inputs, self.dims, strict=True):
            key.append((numbers[e], 4 * e.type.number + e.tracked, -1 if dim is None else dim))
        for call in self.calls:
            key.append(call.signature.number + call.tracked)
            key += [numbers[i] for i in call.inputs]
            key.append(tuple([o.leaf is not None for o in _outputs(call)]))
        key.append(tuple([(numbers[e], e.tracked) for e in self.roots]))
        return Structure(tuple(key), self)

    def digest(self) -> str:
        """As the key, in words that mean the same in every process; few of them."""
        numbers = self.numbers
        lines = [f"{self.size} {self.out_dims}"]
        for e, dim in zip(self.inputs, self.dims, strict=True):
            lines.append(f"input {numbers[e]} {e.type!r} {e.tracked} {dim}")
        for call in self.calls:
            leaves = [o.leaf is not None for o in _outputs(call)]
            inputs = [numbers[i] for i in call.inputs]
            lines.append(f"call {call.signature.describe()} {inputs} {call.tracked} {leaves}")
        lines.append(str([(numbers[e], e.tracked) for e in self.roots]))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def reaches(self) -> tuple[frozenset[int], ...]:
        """Of each root, the numbers of the inputs that its gradient goes on to."""
        places = {e: i for i, e in enumerate(self.inputs)}
        found = []
        for root in self.roots:
            seen, stack = {root}, [root] if root.tracked else []
            while stack:
                e = stack.pop()
                following = () if e in places else goes_on_to(e)
                stack += [x for x in following if x not in seen]
                seen.update(following)
            found.append(frozenset([places[e] for e in seen if e in places]))
        return tuple(found)

    def template(self, types: Sequence[TensorType]) -> Template:
        """The calls as a graph over the inputs for all examples."""
        nodes: dict[Expression, Node] = {}
        given: dict[Node, tuple[Node, bool]] = {}
        parameters = tuple([parameter(i, t) for i, t in enumerate(types)])
        for i, (e, dim, p) in enumerate(zip(self.inputs, self.dims, parameters, strict=True)):
            slot = parameter(i, e.type)
            nodes[e] = mark(slot, self.numbers[e]) if e.tracked else slot
            if dim is None:
                given[slot] = p, False
            else:
                rest = [a for a in range(len(p.shape)) if a != dim]
                given[slot] = permute(p, [dim, *rest]), True
        import_calls(self.calls, nodes, self.numbers)
        one = inline_plain(take_derivatives([nodes[e] for e in self.roots]))
        customs = {c.signature.template for c in self.calls if c.signature.function is CUSTOM}
        if customs:
            one = rebuild(one, partial(_opened, customs))
        outputs = []
        for (image, flag), dim in zip(batch(one, given, self.size), self.out_dims, strict=True):
            whole = image if flag else lifted(image, self.size)
            rest = [a for a in range(len(whole.shape)) if a != dim]
            outputs.append(permute(whole, inverse_order([dim, *rest])))
        return Template("vmap", parameters, tuple(outputs))


def _opened(customs: set[Template], node: Node, inputs: tuple[Node, ...]) -> Node:
    """A user's Function lets no gradient taken inside the level through; what it gave is made of
    what its rule gave for all examples, which is differentiable outside."""
    if node.operation is CALL and node.attributes[0] in customs:
        number = node.attributes[1]
        assert isinstance(number, int)
        return inputs[number]
    return same(node, inputs)


def _outputs(call: Call) -> list[Expression]:
    return [e for e in [reference() for reference in call.outputs] if e is not None]


def _dependent_calls(level: Level, roots: Sequence[Expression]) -> set[Call]:
    """The calls whose results differ between the examples, and those that are differentiated."""
    own = {p.expression for p in level.placeholders}
    chosen: set[Call] = set()
    differentiated: list[Call] = []
    stack = [e for e in roots if level.depends(e)]
    while stack or differentiated:
        if not stack:
            stack = [
                e for e in _definition(differentiated.pop()) if e.call not in chosen
            ]  # fmt: skip
            for e in stack:
                _choose(e.call, chosen, differentiated)
            continue
        e = stack.pop()
        if e.call is None or e in own or e.call in chosen:
            continue
        _choose(e.call, chosen, differentiated)
        stack += [i for i in e.call.inputs if level.depends(i)]
    return chosen


def _choose(call: Call | None, chosen: set[Call], differentiated: list[Call]) -> None:
    if call is not None and call not in chosen:
        chosen.add(call)
        if derivative_ends(call) is not None:
            differentiated.append(call)


def _definition(derivative: Call) -> list[Expression]:
    """What lies between the roots of a derivative and what it is taken by."""
    ends = derivative_ends(derivative)
    assert ends is not None
    targets = set(ends[1])
    between: dict[Expression, bool] = {}
    for root in ends[0]:
        stack = [root]
        while stack:
            e = stack[-1]
            if e in between:
                stack.pop()
                continue
            inputs = () if e.call is None else e.call.inputs
            missing = [i for i in inputs if i not in between]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            between[e] = any([between[i] or i in targets for i in inputs])
    return [e for e, passes in between.items() if passes]


def batched_call(
    level: Level, roots: Sequence[Expression], out_dims: Sequence[int]
) -> list[Expression]:
    """The values of dependent expressions for all examples, along ``out_dims``."""
    region = Region(level, roots, out_dims)
    inputs = tuple([
        e if p is None else p.actual._read()
        for e, p in zip(region.inputs, region.placeholders, strict=True)
    ])  # fmt: skip
    tracked = tracked_of(roots)
    outputs = record(VMAP, inputs, (region.structure(),), tracked)
    assert outputs[0].call is not None
    signature = outputs[0].call.signature
    if tracked and signature.reaches is None:
        signature.reaches = region.reaches()
    for root, made in zip(roots, outputs, strict=True):
        made.tracked = made.tracked and root.tracked
    return outputs
