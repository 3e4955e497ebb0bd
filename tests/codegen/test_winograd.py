"""Generated convolutions by Winograd's transform: exact where the numbers are small integers.

Operands, transformed weights and scratch end at pages that must not be touched.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from codegen.dtype import float32, float64
from codegen.index.contraction import Axis, Contraction
from codegen.loops.contraction import PlainOutput, Schedule
from codegen.loops.contraction_winograd import ImageWindows, choose_winograd, image_windows
from codegen.pipeline import build
from codegen.render.contraction_winograd import Winograd, WinogradWeights, weight_bytes
from tests.codegen.known_graphs import known_graph
from tests.codegen.test_contraction import (
    COMPILER,
    FLAGS,
    GUARD,
    KEEP,
    epilogue_into,
    fenced,
    operand,
)

needs_compiler = pytest.mark.skipif(not shutil.which(COMPILER[0]), reason="needs a C compiler")


@dataclass(frozen=True)
class Spec:
    contraction: Contraction
    rows: int  # of tiles, a task; 0 for the rule's
    outputs: int  # whose sums wait together; 0 for the rule's
    width: int | None  # bytes of a vector

    def schedule(self, windows: ImageWindows) -> Schedule:
        schedule = choose_winograd(windows, 2, True, self.width)
        assert schedule is not None
        if self.rows:
            tasks = -(-windows.tile_rows // min(self.rows, windows.tile_rows))
            rows = -(-windows.tile_rows // tasks)
            schedule = replace(schedule, panels=tasks, row_block=rows)
        return replace(schedule, row_chunk=self.outputs or schedule.row_chunk)


def convolution(
    images: int, groups: int, outputs: int, channels: int, height: int, width: int,
    beside: int = 2, side_by_side: bool = False, turned: bool = False, swap: bool = False,
) -> Contraction:  # fmt: skip
    """Windows over images whose rows are ``beside`` longer than the output's.

    ``side_by_side``: the images are columns, not a batch. ``turned``: the kernel is, as in the
    gradient of the input, whose channels and outputs change places.
    """
    pitch = width + beside
    plane = pitch * (height + 2)
    image = Axis(images, 0, groups * channels * plane)
    of_group = outputs * channels * 9
    group = Axis(groups, of_group, channels * plane)
    a_rows, a_channels = (9, 9 * outputs) if turned else (9 * channels, 9)
    sign = -1 if turned else 1
    made = Contraction(
        tuple([x for x in ((group,) if side_by_side else (image, group)) if x.extent > 1]),
        (Axis(outputs, a_rows, 0),),
        tuple(
            [x for x in ([image] if side_by_side else []) if x.extent > 1]
            + [Axis(height, 0, pitch), Axis(width, 0, 1)]
        ),
        tuple(
            [x for x in [Axis(channels, a_channels, plane)] if x.extent > 1]
            + [Axis(3, 3 * sign, pitch), Axis(3, sign, 1)]
        ),
        float32,
    )
    return made.transposed() if swap else made


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    side = st.one_of(st.integers(2, 9), st.sampled_from([14, 15, 28, 31, 33]))
    sizes = st.one_of(st.integers(1, 9), st.sampled_from([16, 23, 33]))
    contraction = convolution(
        draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2])), draw(st.integers(2, 30)),
        draw(sizes), draw(side), draw(side), draw(st.integers(2, 4)), draw(st.booleans()),
        draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip
    return Spec(
        contraction,
        draw(st.sampled_from([0, 0, 1, 2, 5])),
        draw(st.sampled_from([0, 0, 8, 13])),
        draw(st.sampled_from([None, None, 32, 16])),
    )


def run_specs(made: list[Spec], folder: Path) -> None:
    """Compile all specs as one file; run each with 1 to 3 threads and compare."""
    prepared, sources = [], []
    for index, spec in enumerate(made):
        a = operand(spec.contraction, "a", index)
        b = operand(spec.contraction, "b", index + 1000)
        contraction = replace(spec.contraction, a_offset=a[2], b_offset=b[2])
        windows = image_windows(contraction)
        assert windows is not None, spec
        schedule = spec.schedule(windows)
        names = ("b", "a") if windows.swap else ("a", "b")
        batch, m, n, _ = windows.contraction.sizes
        output = PlainOutput("out", m * (n + 1) + 3, n + 1, 1, 2)
        consumption = epilogue_into(output)("m_", "n_")
        weights = WinogradWeights(windows, schedule, names[0], "working").render()
        main = Winograd(windows, schedule, "working", names[1], consumption).render()
        opening = (
            "(long thread, long threads, char **arguments, char *scratch)\n{\n"
            "    const float *restrict a = (void *)arguments[0];\n"
            "    const float *restrict b = (void *)arguments[1];\n"
        )
        sources.append(
            f"{weights.helpers}{main.helpers}"
            f"void weights{index}{opening}    float *working = (void *)arguments[2];\n"
            f"{weights.body}}}\n"
            f"void main{index}{opening}    const float *restrict working = (void *)arguments[2];\n"
            f"    float *restrict out = (void *)arguments[3];\n{main.body}}}\n"
        )
        product = np.matmul(a[1].astype(np.float64), b[1].astype(np.float64)) * 2 + 1
        expected = product.transpose(0, 2, 1) if windows.swap else product
        working = fenced(weight_bytes(windows, schedule))
        scratches = weights.scratch_bytes, main.scratch_bytes
        prepared.append((spec, a[0], b[0], working, scratches, (batch, m, n), output, expected))
    (folder / "k.c").write_text("".join(sources))
    library_path = folder / "k.so"
    subprocess.run([*COMPILER, *FLAGS, "-o", str(library_path), str(folder / "k.c")], check=True)
    library = ctypes.CDLL(str(library_path))
    for index, (spec, a_memory, b_memory, working, scratches, sizes, output, expected) in enumerate(
        prepared
    ):
        size = (sizes[0] - 1) * output.batch_stride + sizes[1] * output.row_stride
        out = np.full(2 + size + 9, GUARD, np.float32)
        strides = [4 * s for s in (output.batch_stride, output.row_stride, 1)]
        view = np.lib.stride_tricks.as_strided(out[output.offset :], sizes, strides)
        arrays = (a_memory, b_memory, working, out)
        arguments = (ctypes.c_void_p * 4)(*[x.ctypes.data for x in arrays])
        for threads in (1, 2, 3):
            working[:] = 0xFF  # NaN, were it read before it is written
            out[:] = GUARD
            for name, nbytes in zip(("weights", "main"), scratches, strict=True):
                scratch = fenced(max(64, -(-nbytes // 64) * 64))
                scratch[:] = 0xFF
                for thread in range(threads):
                    library[f"{name}{index}"](
                        ctypes.c_long(thread),
                        ctypes.c_long(threads),
                        arguments,
                        ctypes.c_void_p(scratch.ctypes.data),
                    )
            np.testing.assert_array_equal(view, expected, err_msg=str(spec))
            view[:] = GUARD
            assert (out == GUARD).all(), "wrote outside the output"
    KEEP.clear()


@pytest.mark.compiler
@needs_compiler
@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would compile hundreds of files
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(specs(), min_size=8, max_size=8))
def test_random_convolutions(tmp_path_factory: pytest.TempPathFactory, made: list[Spec]) -> None:
    run_specs(made, tmp_path_factory.mktemp("winograd"))


def test_what_is_a_convolution_by_windows() -> None:
    """Stride, dilation, another kernel, element type or order of memory make it none."""
    plain = convolution(2, 1, 8, 8, 12, 12)
    assert image_windows(plain) is not None
    *outer, rows, across = plain.columns
    channels, down, along = plain.inner
    others = [
        replace(plain, dtype=float64),
        replace(plain, columns=(*outer, replace(rows, b=28), across)),
        replace(plain, columns=(*outer, rows, replace(across, b=2))),
        replace(plain, inner=(channels, down, replace(along, b=2))),
        replace(plain, inner=(channels, replace(down, extent=5), along)),
        replace(plain, inner=(channels, down)),
        replace(plain, inner=(replace(channels, b=-channels.b), down, along)),
    ]
    assert [image_windows(other) for other in others] == [None] * len(others)


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ((8, 1, 64, 64, 56, 56), True),
        ((8, 1, 128, 128, 28, 28), True),
        ((8, 1, 256, 256, 14, 14), True),
        ((8, 1, 512, 512, 7, 7), True),
        ((1, 1, 64, 64, 56, 56), True),
        ((8, 1, 64, 3, 224, 224), False),  # few channels: transforms are most of it
        ((8, 32, 4, 4, 28, 28), False),
        ((1, 1, 512, 512, 7, 7), False),  # the weights are most of it
        ((32, 1, 6, 1, 28, 28), False),
    ],
)
def test_it_is_chosen_where_it_is_less_work(
    sizes: tuple[int, ...], chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "codegen.loops.contraction_winograd"
    monkeypatch.setattr(f"{module}.vector_bytes", lambda: 64)
    monkeypatch.setattr(f"{module}.second_level_cache_bytes", lambda: 2 << 20)
    images, groups, outputs, channels, height, width = sizes
    made = convolution(images, groups, outputs, channels, height, width, side_by_side=height < 8)
    windows = image_windows(made)
    assert windows is not None
    assert (choose_winograd(windows, 2) is not None) == chosen


def test_the_text_is_the_same_each_time() -> None:
    graphs = [known_graph("conv2d_winograd") for _ in range(2)]
    first, second = [[k.body for k in build(graph, 2).kernels] for graph in graphs]
    assert first == second
