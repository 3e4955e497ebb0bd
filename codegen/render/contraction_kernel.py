"""A contraction cluster as text: the contraction template with the cluster's epilogue in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from codegen.graph.chains import zeros_of
from codegen.graph.contraction_match import ContractionMatch
from codegen.graph.fuse import Cluster, Fusion
from codegen.index.algebra import Index, flatten, unflatten, variable
from codegen.ir.node import Node
from codegen.loops.contraction import (
    PlainOutput,
    Schedule,
    choose_schedule,
    second_level_cache_bytes,
)
from codegen.loops.contraction_matrix_units import choose_matrix_units
from codegen.loops.emitter import Emitter, Scope
from codegen.loops.grammar import Argument, Kernel, Load, Statement, Store
from codegen.loops.in_place import pairs_at_a_point
from codegen.ops.host import HostCall
from codegen.render.c import C
from codegen.render.c_family import Dialect
from codegen.render.contraction_c import (
    Epilogue,
    RenderedContraction,
    Task,
    render_contraction,
)
from codegen.render.contraction_recipe import Recipe, kernel_source
from codegen.render.source import KernelSource

# Fewer products than this are done before another thread has woken …
_PARALLEL_PRODUCTS = 1 << 18
# … unless it is awake, because the plan has much more than this to do: then fewer are shared too.
_BUSY_PLAN = 1 << 20
_PARALLEL_WHEN_BUSY = 1 << 17
# With so many products a kernel takes long enough for other schedules to be tried.
_WORTH_TIMING = 1 << 23


@dataclass(frozen=True)
class RenderedKernel:
    """A kernel's text, and whose memory each of its arguments is: a node's, or the working memory
    of its cluster."""

    source: KernelSource
    operands: tuple[Node | Cluster, ...]
    parallel: bool
    scratch_bytes: int
    operations: int
    traffic: int
    in_place: tuple[tuple[Node, Node], ...] = ()  # outputs that may take an input's memory
    recipe: Recipe | None = None  # where other schedules are worth timing
    groups: int = 0  # work-groups, and the items of each: none where it is cut into shares
    items: int = 0
    host: HostCall | None = None  # what runs in the kernel's place
    # What it was written from, or its schedule in words.
    schedule: Kernel | Schedule | Sequence[str] | None = None


def render_contraction_kernel(
    cluster: Cluster,
    fusion: Fusion,
    threads: int,
    comments: list[str],
    dialect: Dialect,
    any_rows: bool = False,
) -> RenderedKernel:
    """The kernel of a contraction and the element-wise work on its result.

    ``any_rows``: its text is to be that of other numbers of rows too.
    """
    root = contraction_of(cluster, fusion)
    match = fusion.contractions[root]
    batch, rows, columns, inner = match.contraction.sizes
    work = batch * rows * columns * inner
    parallel = is_parallel(work, fusion)
    arguments: dict[Node, Argument] = {}
    rendered, invariant, recipe = contraction_text(
        cluster, fusion, arguments, dialect, threads if parallel else 1, any_rows=any_rows
    )
    pairs = _in_place_pairs(cluster, fusion, arguments, rendered.schedule, threads)
    overwritten = [source for _, source in pairs]
    operand_list = list(arguments.values())
    head = [
        *[f"// {c}" for c in comments],
        *dialect.opening(
            operand_list,
            rendered.scratch_bytes,
            [a.name for node, a in arguments.items() if node not in overwritten],
        ),
        *invariant,
    ]
    return RenderedKernel(
        kernel_source(head, rendered, dialect),
        tuple(arguments),
        parallel,
        rendered.scratch_bytes,
        2 * work,
        sum([a.type.nbytes for a in operand_list]),
        tuple(pairs),
        recipe=recipe and replace(recipe, head=tuple(head)),
        schedule=rendered.schedule,
    )


def contraction_of(cluster: Cluster, fusion: Fusion) -> Node:
    (root,) = [n for n in cluster.nodes if n in fusion.contractions]
    return root


def is_parallel(work: int, fusion: Fusion) -> bool:
    """Whether so many products are worth cutting into shares for threads."""
    plan_work = sum([prod(m.contraction.sizes) for m in fusion.contractions.values()])
    return work >= (_PARALLEL_WHEN_BUSY if plan_work > _BUSY_PLAN else _PARALLEL_PRODUCTS)


def contraction_text(
    cluster: Cluster,
    fusion: Fusion,
    arguments: dict[Node, Argument],
    dialect: Dialect,
    threads: int,
    schedule: Schedule | None = None,
    task: Task | None = None,
    any_rows: bool = False,
) -> tuple[RenderedContraction, list[str], Recipe | None]:
    """The contraction with the cluster's epilogue, the lines that go before it, and its recipe.

    ``arguments`` names what is known by pointers; those that the contraction adds come after.
    """
    root = contraction_of(cluster, fusion)
    match = fusion.contractions[root]
    for node in (match.a, match.b):
        if node not in arguments:
            arguments[node] = Argument(f"in{len(arguments)}", node.type, False)

    def epilogue(m: str, n: str) -> Epilogue:
        return epilogue_of(cluster, fusion, m, n, arguments, dialect)[1]

    # The arguments, whose pointers are declared first, are known once the epilogue is written.
    invariant, _ = epilogue_of(cluster, fusion, "m_", "n_", arguments, dialect)
    stored = cluster.nodes == [root]
    output = plain_output(root, match, arguments[root].name if stored else "")
    if match.contraction.operand_dtype is not None:
        schedule = choose_matrix_units(
            match.contraction.normalized(), threads, output, dialect.matrix_units
        )
    elif schedule is None and 0 not in match.contraction.sizes:
        fresh = match.a.operation.kind != "leaf", match.b.operation.kind != "leaf"
        schedule = choose_schedule(
            match.contraction.normalized(), threads, output, stored=stored, fresh=fresh,
            any_rows=any_rows,
        )  # fmt: skip
    if schedule is not None:
        schedule = replace(schedule, any_rows=any_rows)
    zeros = (
        zeros_of(match.contraction, match.a, fusion),
        zeros_of(match.contraction.transposed(), match.b, fusion),
    )
    rendered = render_contraction(
        match.contraction, arguments[match.a].name, arguments[match.b].name, epilogue,
        threads, schedule, output, stored, task, zeros,
    )  # fmt: skip
    recipe = None
    if (
        dialect.opening is C.opening
        and schedule is not None
        and schedule.kind == "tiles"
        and prod(match.contraction.sizes) >= _WORTH_TIMING
    ):
        a, b = arguments[match.a].name, arguments[match.b].name
        consumed = epilogue("n_", "m_") if schedule.swap else epilogue("m_", "n_")
        recipe = Recipe(
            match.contraction, a, b, (), consumed, threads, schedule, output, stored, zeros
        )
    return rendered, invariant, recipe


def _in_place_pairs(
    cluster: Cluster,
    fusion: Fusion,
    arguments: dict[Node, Argument],
    schedule: Schedule | None,
    threads: int,
) -> list[tuple[Node, Node]]:
    """(output, parameter) where the epilogue writes each element where it has read it. Tiles hand
    on each result once; other forms may hand some on twice.

    None that fit the caches: there fresh memory is in them as well, and a line that other cores
    have read is written later than one that is fetched to be written.
    """
    if schedule is None or schedule.kind != "tiles":
        return []
    root = contraction_of(cluster, fusion)
    match = fusion.contractions[root]
    before, at_each = _epilogue_statements(cluster, fusion, "m_", "n_", dict(arguments))
    read_elsewhere = {s.argument for s in before if isinstance(s, Load)}
    read_elsewhere |= {arguments[match.a].name, arguments[match.b].name}
    nodes = {a.name: n for n, a in arguments.items() if a.name not in read_elsewhere}
    cached = threads * second_level_cache_bytes()
    found: dict[Node, Node] = {}
    for output, source in pairs_at_a_point(at_each, nodes):
        is_wanted = source.operation.name == "parameter" and output.type.nbytes > cached
        if is_wanted and source not in found.values():
            found.setdefault(output, source)
    return list(found.items())


def epilogue_of(
    cluster: Cluster,
    fusion: Fusion,
    row: str,
    column: str,
    arguments: dict[Node, Argument],
    dialect: Dialect,
) -> tuple[list[str], Epilogue]:
    """What is done with one result at these names of a row and a column, the cluster's other
    members and the stores; and, first, what every result needs alike."""
    before, at_each = _epilogue_statements(cluster, fusion, row, column, arguments)
    body = dialect.body_of(Kernel("", [], list(arguments.values()), []))
    epilogue = Epilogue(tuple(body.block(at_each, 0)), tuple(_met(at_each).items()))
    return body.block(before, 1), epilogue


def _met(statements: Sequence[Statement]) -> dict[str, bool]:
    """``Epilogue.met``, of its statements."""
    met: dict[str, bool] = {}
    for statement in statements:
        if not isinstance(statement, Load | Store) or not isinstance(statement.place, Index):
            continue
        place = statement.place
        along = [c for atom, c in place.terms if "n_" in atom.variables]
        if along == [1] == [place.coefficient("n_")] and place.depends_on("m_"):
            text = f"{statement.argument}[{place.to_c()}]"
            met[text] = met.get(text, False) or isinstance(statement, Store)
    return met


def _epilogue_statements(
    cluster: Cluster, fusion: Fusion, row: str, column: str, arguments: dict[Node, Argument]
) -> tuple[list[Statement], list[Statement]]:
    root = contraction_of(cluster, fusion)
    match = fusion.contractions[root]
    product = root.inputs[0]
    members = set(cluster.nodes)
    emitter = Emitter(
        lambda n: n.operation.name == "parameter" or (n in fusion.anchors and n not in members)
    )
    emitter.arguments = arguments
    emitter.results[root] = lambda: ("value_", emitter.depth)
    index_of: dict[int, Index] = {}
    names = ("batch_", row, column)
    for name, axes in zip(names, (match.batch, match.rows, match.columns), strict=True):
        shape = [product.shape[a] for a in axes]
        flat = variable(name, prod(shape))
        index_of.update(zip(axes, unflatten(flat, shape), strict=True))
    point = tuple([index_of[a] for a in sorted(index_of)])
    # The template's own loops over batch, rows and columns.
    inside = Scope(frozenset(names))
    emitter.scopes.append(inside)
    for node in cluster.nodes:
        text, _ = emitter.value(node, point)
        if node in fusion.stored:
            emitter.store(node, flatten(point, node.shape), text)
    return emitter.scopes[0].statements, inside.statements


def plain_output(root: Node, match: ContractionMatch, pointer: str) -> PlainOutput | None:
    """The output's strides over flattened batch, row and column numbers, where rows and columns
    have one each."""
    product = root.inputs[0]
    summed = root.attributes[0]
    assert isinstance(summed, tuple)
    kept = [i for i in range(len(product.shape)) if i not in summed]
    stride, strides = 1, {}
    for axis in reversed(kept):
        strides[axis] = stride
        stride *= product.shape[axis]
    found = []
    batch: list[tuple[int, int]] = []
    for axes in (match.batch, match.rows, match.columns):
        real = [a for a in axes if product.shape[a] != 1]
        if any([strides[o] != strides[i] * product.shape[i] for o, i in pairwise(real)]):
            if axes is not match.batch:
                return None
            batch = [(product.shape[a], strides[a]) for a in real]
        found.append(strides[real[-1]] if real else 0)
    of_batch, of_row, of_column = found
    return PlainOutput(pointer, of_batch, of_row, of_column, batch=tuple(batch))
