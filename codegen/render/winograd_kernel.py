"""A convolution's cluster as two kernels: its weights are transformed, then Winograd's products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from codegen import dtype as dt
from codegen.graph.fuse import Cluster, Fusion
from codegen.ir.node import Node, TensorType
from codegen.loops.contraction import Schedule
from codegen.loops.contraction_winograd import (
    ImageWindows,
    choose_winograd,
    image_windows,
    operations,
)
from codegen.loops.grammar import Argument
from codegen.loops.schedule_text import schedule_lines
from codegen.render.c_family import Dialect
from codegen.render.contraction_form import Form
from codegen.render.contraction_kernel import (
    RenderedKernel,
    contraction_of,
    epilogue_of,
    is_parallel,
)
from codegen.render.contraction_recipe import kernel_source
from codegen.render.contraction_winograd import Winograd, WinogradWeights, weight_bytes

WEIGHTS_KERNEL = "winograd_weights"  # the name of the first


@dataclass(frozen=True)
class WinogradChoice:
    """A cluster that is computed so: its images, its weights, and the schedule."""

    windows: ImageWindows
    schedule: Schedule
    weights: Node
    images: Node
    parallel: bool

    @property
    def working_bytes(self) -> int:
        """Memory for the transformed weights, between the two kernels."""
        return weight_bytes(self.windows, self.schedule)


def winograd_choice(
    cluster: Cluster, fusion: Fusion, threads: int, dialect: Dialect, any_rows: bool = False
) -> WinogradChoice | None:
    """How a contraction's cluster is computed by Winograd's transform, where that is chosen.

    ``any_rows``: its text is to be that of other numbers of images too.
    """
    if cluster.kind != "contraction" or dialect.winograd == "0":
        return None
    match = fusion.contractions[contraction_of(cluster, fusion)]
    windows = image_windows(match.contraction)
    if windows is None:
        return None
    parallel = is_parallel(prod(match.contraction.sizes), fusion)
    schedule = choose_winograd(
        windows, threads if parallel else 1, dialect.winograd == "1", any_rows=any_rows
    )
    if schedule is None:
        return None
    weights, images = (match.b, match.a) if windows.swap else (match.a, match.b)
    return WinogradChoice(windows, schedule, weights, images, parallel)


def render_winograd_kernels(
    choice: WinogradChoice,
    cluster: Cluster,
    fusion: Fusion,
    comments: Sequence[str],
    dialect: Dialect,
) -> list[RenderedKernel]:
    """The kernel that transforms the weights, and the one that does the rest."""
    windows, schedule = choice.windows, choice.schedule
    arguments: dict[Node, Argument] = {
        choice.images: Argument("in0", choice.images.type, False),
    }

    row, column = ("n_", "m_") if windows.swap else ("m_", "n_")
    # The arguments, whose pointers are declared first, are known once the epilogue is written.
    invariant, epilogue = epilogue_of(cluster, fusion, row, column, arguments, dialect)
    memory = TensorType((choice.working_bytes // 4,), dt.float32)
    transform_operations, main_operations = operations(windows)

    def kernel(
        name: str,
        form: Form,
        operands: Sequence[tuple[Node | Cluster, Argument]],
        before: Sequence[str],
        count: int,
        words: Sequence[str],
    ) -> RenderedKernel:
        rendered = form.render()
        given = [argument for _, argument in operands]
        head = [
            *[f"// {line}" for line in comments],
            *dialect.opening(given, rendered.scratch_bytes, [a.name for a in given]),
            *before,
        ]
        return RenderedKernel(
            kernel_source(head, rendered, dialect, name),
            tuple([operand for operand, _ in operands]),
            choice.parallel,
            rendered.scratch_bytes,
            count,
            sum([argument.type.nbytes for argument in given]),
            schedule=words,
        )

    weights = Argument("in0", choice.weights.type, False)
    return [
        kernel(
            WEIGHTS_KERNEL,
            WinogradWeights(windows, schedule, "in0", "working"),
            [(choice.weights, weights), (cluster, Argument("working", memory, True))],
            (),
            transform_operations,
            ["3 x 3 weights, transformed for the convolution that follows"],
        ),
        kernel(
            "contraction",
            Winograd(windows, schedule, "working", "in0", epilogue),
            [(cluster, Argument("working", memory, False)), *arguments.items()],
            invariant,
            main_operations,
            schedule_lines(schedule),
        ),
    ]
