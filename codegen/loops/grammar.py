"""The loop vocabulary: what a kernel is made of, on one screen.

kernel    = Kernel(arguments, statements)
statement = Let(name, operation, operands)          name = operation(operands)
          | Load(name, argument, place, guard)      name = guard ? argument[place] : 0
          | Select(name, guard, value, otherwise)   name = guard ? value : otherwise
          | Position(name, index)                   name = index, as a number
          | Store(argument, place, value, combine)  argument[place] = value, or combined with it
          | Accumulator(name, operation, lanes)     lanes partial results at their neutral value
          | Reduce(accumulator, lane, value)        accumulator[lane] = operation(…, value)
          | Fold(name, accumulator)                 name = all partial results together
          | Row(name, lanes)                        lanes numbers that later loops read
          | SetLane(row, lane, value)               row[lane] = value
          | Parallel(variable, extent, body)        this thread's share of 0 … extent-1
          | Serial(variable, extent, body)          0 … extent-1 in order
          | Sequential(variable, extent, body)      the same, each step on what the last one left
          | Chosen(variable, extent, …, choose, body)
                                                    the steps, in order, whose computed number lies
                                                    in a range
          | Lanes(variable, extent, lanes, body)    0 … extent-1 by blocks of lanes; sees lane
          | Vector(variable, start, block, extent, body)
                                                    block steps from start, up to extent; sees lane
for work-groups, which share local memory; only in kernels of devices that have them:
          | Items(variable, extent, body)           each work-item one of 0 … extent-1
          | Quad(variable, start, body)             four neighbours from start; sees lane
          | Tile(across, along, body, staged)       a square of two axes, some operands of which are
                                                    brought through local memory
          | Group(variable, extent, form, body)     each work-group some of 0 … extent-1
          | Strided(variable, extent, form, body)   0 … extent-1, by turns of a group's items
          | Segment(variable, extent, form, body)   0 … extent-1, each item a run of neighbours
          | Carry(accumulator)                      accumulator = what all items before have left
          | Once(body)                              by one item of those that share a row
place     = an Index, or Computed(number, limit, stride, offset): a number that was computed,
            kept below a limit, times a stride, plus an Index
operand   = a name, name[lane], or a literal
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from codegen.dtype import DType
from codegen.index.algebra import Condition, Index
from codegen.ir.node import Node, TensorType
from codegen.ops.registry import Operation


@dataclass(frozen=True)
class Computed:
    """The place ``number * stride + offset``, with the number kept in 0 … limit-1."""

    number: str
    limit: int
    stride: int
    offset: Index
    in_range: bool = False  # the number is known to be there


Place = Index | Computed


@dataclass(frozen=True)
class Let:
    name: str
    dtype: DType
    operation: Operation
    operands: tuple[str, ...]
    operand_dtype: DType  # of the first operand: a comparison's own type is bool
    attributes: tuple[Hashable, ...] = ()


@dataclass(frozen=True)
class Load:
    name: str
    dtype: DType
    argument: str
    place: Place
    guard: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Select:
    """name = guard ? value : otherwise"""

    name: str
    dtype: DType
    guard: tuple[Condition, ...]
    value: str
    otherwise: str


@dataclass(frozen=True)
class Position:
    name: str
    dtype: DType
    index: Index


@dataclass(frozen=True)
class Store:
    argument: str
    dtype: DType
    place: Place
    value: str
    combine: Operation | None = None  # argument[place] = combine(argument[place], value)


@dataclass(frozen=True)
class Accumulator:
    name: str
    dtype: DType
    operation: Operation
    lanes: int


@dataclass(frozen=True)
class Reduce:
    accumulator: Accumulator
    lane: str
    value: str
    position: Index | None = None  # for argmax and argmin


@dataclass(frozen=True)
class Fold:
    name: str
    accumulator: Accumulator


@dataclass(frozen=True)
class Row:
    name: str
    dtype: DType
    lanes: int
    in_scratch: bool = False  # too long for the stack
    shared: bool = False  # in the local memory of a work-group


@dataclass(frozen=True)
class SetLane:
    row: str
    lane: str
    value: str


@dataclass(frozen=True)
class Parallel:
    variable: str
    extent: int
    body: list[Statement]


@dataclass(frozen=True)
class Serial:
    variable: str
    extent: int
    body: list[Statement]


@dataclass(frozen=True)
class Prefetch:
    """A place that will be read, or written, later; ``Lanes`` fetches its lines block by block."""

    argument: str
    place: Index
    write: bool


@dataclass(frozen=True)
class Lanes:
    """``streams``: equal parts of 0 … extent-1 that are walked side by side, each by as many of the
    lanes; ``ahead``: what is fetched meanwhile."""

    variable: str
    extent: int
    lanes: int
    body: list[Statement]
    ahead: tuple[Prefetch, ...] = ()
    streams: int = 1


@dataclass(frozen=True)
class Vector:
    """``variable`` runs from ``start`` for ``block`` steps, or to ``extent`` if that is nearer.

    ``turned``: (argument, place) of loads inside whose neighbours lie along ``variable``, while the
    vector inside goes along another: where the dialect can, rows and columns of the tile change
    places in registers before. ``streamed``: arguments that are written past the caches, a line at
    a time. ``roots``: square roots before which all steps of a vector wait for each other.
    """

    variable: str
    start: Index
    block: int
    extent: int
    body: list[Statement]
    turned: tuple[tuple[str, Index], ...] = ()
    streamed: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sequential:
    """As Serial, over state that each step leaves to the next: never vectorised."""

    variable: str
    extent: int
    body: list[Statement]


@dataclass(frozen=True)
class Chosen:
    """As Sequential, but only the steps for which ``number``, which the statements ``choose``
    compute, lies in ``size`` places from ``low`` on once it is kept in 0 … limit-1. The body sees
    it as ``place``."""

    variable: str
    extent: int
    number: str
    limit: int
    low: Index
    size: int
    place: str
    choose: list[Statement]
    body: list[Statement]


# ---- work-groups ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupForm:
    """A work-group of ``rows`` times ``strands`` items: so many rows, so many items for each.

    ``by_columns``: neighbouring items have neighbouring rows; else neighbours within a row.
    """

    rows: int
    strands: int
    by_columns: bool = False

    @property
    def items(self) -> int:
        return self.rows * self.strands


@dataclass(frozen=True)
class Items:
    variable: str
    extent: int
    body: list[Statement]


@dataclass(frozen=True)
class Quad:
    """``variable`` is start, start + 1, start + 2 and start + 3: what lies side by side in memory
    is read and written as one vector."""

    variable: str
    start: Index
    body: list[Statement]
    extent: int = 4


@dataclass(frozen=True)
class Staged:
    """The memory ``name`` of a tile: the elements at ``place``, over the tile's two variables."""

    name: str
    dtype: DType
    argument: str
    place: Index


@dataclass(frozen=True)
class Tile:
    """A square of ``size`` by ``size`` a work-group, neighbouring items along ``variable``. What is
    ``staged`` is read with neighbouring items along ``across``, kept in local memory, and read
    there by the body."""

    variable: str
    across: str
    extent: int
    across_extent: int
    start: Index
    across_start: Index
    size: int
    staged: tuple[Staged, ...]
    body: list[Statement]


@dataclass(frozen=True)
class Group:
    """Rows ``variable`` of 0 … extent-1, ``form.rows`` of them a work-group. Its body stands at the
    top level of the kernel: what folds there has barriers."""

    variable: str
    extent: int
    form: GroupForm
    body: list[Statement]


@dataclass(frozen=True)
class Strided:
    variable: str
    extent: int
    form: GroupForm
    body: list[Statement]

    @property
    def turns(self) -> int:
        return -(-self.extent // self.form.strands)


@dataclass(frozen=True)
class Segment:
    variable: str
    extent: int
    form: GroupForm
    body: list[Statement]

    @property
    def size(self) -> int:
        return -(-self.extent // self.form.strands)


@dataclass(frozen=True)
class Once:
    body: list[Statement]
    variable: str = ""
    extent: int = 1


@dataclass(frozen=True)
class Carry:
    accumulator: Accumulator


Statement = (
    Let
    | Load
    | Select
    | Position
    | Store
    | Accumulator
    | Reduce
    | Fold
    | Row
    | SetLane
    | Parallel
    | Serial
    | Lanes
    | Vector
    | Sequential
    | Chosen
    | Items
    | Quad
    | Tile
    | Group
    | Strided
    | Segment
    | Once
    | Carry
)
GroupLoop = Items | Quad | Tile | Group | Strided | Segment | Once
Loop = Parallel | Serial | Lanes | Vector | Sequential | Chosen | GroupLoop
GROUP_LOOPS = (Items, Quad, Tile, Group, Strided, Segment, Once)
LOOPS = (Parallel, Serial, Lanes, Vector, Sequential, Chosen, *GROUP_LOOPS)


def _numbers(place: Place) -> tuple[str, ...]:
    return (place.number,) if isinstance(place, Computed) else ()


def operands(statement: Statement) -> tuple[str, ...]:
    """What a statement that is no loop reads: names, name[lane], or literals."""
    if isinstance(statement, Let):
        return statement.operands
    if isinstance(statement, Select):
        return (statement.value, statement.otherwise)
    if isinstance(statement, Store):
        return (statement.argument, statement.value, *_numbers(statement.place))
    if isinstance(statement, Load):
        return (statement.argument, *_numbers(statement.place))
    if isinstance(statement, Reduce):
        return (statement.accumulator.name, statement.value)
    if isinstance(statement, SetLane):
        return (statement.row, statement.value)
    return ()


@dataclass(frozen=True)
class Argument:
    """A pointer that a kernel is given: the memory of ``type``."""

    name: str
    type: TensorType
    written: bool


ROW_STEP = 16  # of a row that is not walked to its end


@dataclass
class Kernel:
    """One kernel, before it is text.

    ``parallel`` says whether it is worth cutting into shares for threads; ``operations`` and
    ``traffic`` are scalar operations and bytes moved, for inspection and for that choice.
    """

    name: str
    operands: list[Node]  # what each argument holds
    arguments: list[Argument]
    body: list[Statement]
    parallel: bool = True
    operations: int = 0
    traffic: int = 0
    scratch_bytes: int = 0
    row_end: str = ""  # a C expression: how much of its rows is walked, in steps, where not all
    comments: list[str] = field(default_factory=list)
    # On devices with work-groups: how many of them, of how many items (0: cut into shares), and
    # the type of indices.
    groups: int = 0
    items: int = 0
    index_c: str = "long"
