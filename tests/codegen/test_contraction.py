"""Generated contractions against NumPy: random axes, strides, threads and outputs.

Every operand and scratch block ends at a page that must not be touched, so a read or write past
an end is a crash; outputs lie between guard elements.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from codegen.dtype import DType, bfloat16, float32, float64, int8, int64
from codegen.index.contraction import Axis, Contraction
from codegen.ir.node import TensorType
from codegen.loops.contraction import (
    PlainOutput,
    choose_schedule,
    second_level_cache_bytes,
    vector_bytes,
)
from codegen.loops.contraction_candidates import candidates
from codegen.loops.contraction_matrix_units import choose_matrix_units
from codegen.ops import elementwise as ew
from codegen.ops import movement, reduction
from codegen.ops.leaves import parameter
from codegen.ops.special_reference import bfloat16_to_float32, float32_to_bfloat16
from codegen.pipeline import Graph, build
from codegen.render.contraction_c import Epilogue, EpilogueOf, render_contraction
from codegen.render.contraction_form import element_of
from codegen.runtime.matrix_units import usable_units
from tests.codegen.known_graphs import product as product_of

COMPILER = os.environ.get("CC", "gcc").split()
pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(not shutil.which(COMPILER[0]), reason="needs a C compiler"),
]
FLAGS = [
    *("-O2", "-march=native", "-ftree-vectorize", "-fvect-cost-model=dynamic"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-fPIC", "-shared", "-nostdlib", "-Wall", "-Wno-unused"),
]
if vector_bytes() == 64:
    FLAGS.append("-mprefer-vector-width=512")

KEEP: list[mmap.mmap] = []  # mappings live as long as their arrays may
GUARD = 77


def fenced(size: int) -> np.ndarray:
    """``size`` bytes that end at an inaccessible page."""
    page = mmap.PAGESIZE
    length = -(-size // page) * page
    memory = mmap.mmap(-1, length + page)
    KEEP.append(memory)
    whole = np.frombuffer(memory, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    fence = ctypes.c_void_p(whole.ctypes.data + length)
    assert libc.mprotect(fence, ctypes.c_size_t(page), 0) == 0
    return whole[length - size : length]


@dataclass(frozen=True)
class Spec:
    contraction: Contraction
    output: PlainOutput  # where results go, with or without an epilogue
    fused: bool
    threads: int
    candidate: int = 0  # which schedule, 0 the rule's own
    width: int | None = None  # bytes of a vector, where not this processor's
    unit: str = ""  # matrix units to use
    any_rows: bool = False


def extent_range(axes: tuple[Axis, ...], operand: str) -> tuple[int, int]:
    reaches = [(axis.extent - 1) * getattr(axis, operand) for axis in axes]
    return sum(min(0, r) for r in reaches), sum(max(0, r) for r in reaches)


def operand(contraction: Contraction, name: str, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Fenced memory that exactly spans the operand, its (B, ., .) view, and its first element."""
    groups = (contraction.batch, contraction.rows, contraction.inner)
    if name == "b":
        groups = (contraction.batch, contraction.inner, contraction.columns)
    axes = tuple(axis for group in groups for axis in group)
    low, high = extent_range(axes, name)
    dtype = contraction.stored.numpy
    memory = fenced((high - low + 1) * dtype.itemsize).view(dtype)
    generator = np.random.default_rng(seed)
    is_float = contraction.dtype.kind == "float"
    values = generator.integers(-8, 9, memory.shape) / (8 if is_float else 1)
    if contraction.stored is bfloat16:
        values = float32_to_bfloat16(values.astype(np.float32))
    memory[:] = values
    view = as_strided(
        memory[-low:],
        [axis.extent for axis in axes],
        [getattr(axis, name) * dtype.itemsize for axis in axes],
    )
    shape = [int(np.prod([axis.extent for axis in group])) for group in groups]
    array = view.reshape(shape)
    if contraction.stored is bfloat16:
        array = bfloat16_to_float32(array)
    return memory, array, -low


def epilogue_into(output: PlainOutput) -> EpilogueOf:
    return lambda m, n: Epilogue((f"{element_of(output, 'batch_', m, n)} = value_ * 2 + 1;",))


def run_specs(specs: list[Spec], folder: Path) -> None:
    """Compile all specs as one file; run each with 1 to 3 threads and compare."""
    prepared, sources = [], []
    for index, spec in enumerate(specs):
        contraction = spec.contraction
        a = operand(contraction, "a", index)
        b = operand(contraction, "b", index + 1000)
        contraction = replace(contraction, a_offset=a[2], b_offset=b[2])
        plain = None if spec.fused else spec.output
        schedule = None
        if spec.unit:
            normalized = contraction.normalized()
            schedule = choose_matrix_units(normalized, spec.threads, plain, spec.unit)
            schedule = replace(schedule, any_rows=spec.any_rows)
        if spec.width:
            schedule = choose_schedule(contraction.normalized(), spec.threads, plain, spec.width)
        if spec.candidate:
            normalized = contraction.normalized()
            stored = plain is not None
            rule = choose_schedule(normalized, spec.threads, plain, stored=stored)
            choices = candidates(normalized, spec.threads, rule, plain, stored)
            schedule = choices[spec.candidate % len(choices)]
        rendered = render_contraction(
            contraction,
            "a",
            "b",
            epilogue_into(spec.output) if spec.fused else None,
            spec.threads,
            schedule,
            plain,
        )
        operand_c, element = contraction.stored.storage_c, contraction.dtype.storage_c
        sources.append(
            f"{rendered.helpers}void kernel{index}(long thread, long threads, char **arguments, "
            f"char *scratch)\n{{\n"
            f"    const {operand_c} *restrict a = (void *)arguments[0];\n"
            f"    const {operand_c} *restrict b = (void *)arguments[1];\n"
            f"    {element} *restrict out = (void *)arguments[2];\n{rendered.body}}}\n"
        )
        prepared.append((spec, contraction, a, b, rendered.scratch_bytes))
    (folder / "k.c").write_text("".join(sources))
    library_path = folder / f"k{next(NUMBERS)}.so"
    subprocess.run([*COMPILER, *FLAGS, "-o", str(library_path), str(folder / "k.c")], check=True)
    library = ctypes.CDLL(str(library_path))
    for index, (spec, contraction, a, b, scratch_bytes) in enumerate(prepared):
        check(library[f"kernel{index}"], spec, contraction, a, b, scratch_bytes)
    KEEP.clear()


NUMBERS = count()


def check(
    kernel: Callable[..., None],
    spec: Spec,
    contraction: Contraction,
    a: tuple[np.ndarray, np.ndarray, int],
    b: tuple[np.ndarray, np.ndarray, int],
    scratch_bytes: int,
) -> None:
    batches, m, n, _ = contraction.sizes
    dtype = contraction.dtype.numpy
    wide = np.float64 if dtype.kind == "f" else dtype
    expected = np.matmul(a[1].astype(wide), b[1].astype(wide))
    if spec.fused:
        expected = expected * wide(2) + wide(1) if dtype.kind == "f" else expected * 2 + 1
    output = spec.output
    batch = output.batch or ((batches, output.batch_stride),)
    strides = (*[stride for _, stride in batch], output.row_stride, output.column_stride)
    sizes = (*[extent for extent, _ in batch], m, n)
    expected = expected.reshape(sizes)
    reach = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    results = []
    for threads in (1, 2, 3):
        out = np.full(output.offset + reach + 1 + 40, GUARD, dtype)
        byte_strides = [stride * dtype.itemsize for stride in strides]
        view = as_strided(out[output.offset :], sizes, byte_strides)
        arguments = (ctypes.c_void_p * 3)(a[0].ctypes.data, b[0].ctypes.data, out.ctypes.data)
        scratch = fenced(max(64, -(-scratch_bytes // 64) * 64))
        scratch[:] = 0xFF  # NaN, were it read before it is written
        for thread in range(threads):
            kernel(
                ctypes.c_long(thread),
                ctypes.c_long(threads),
                arguments,
                ctypes.c_void_p(scratch.ctypes.data),
            )
        if dtype.kind == "f":
            tolerance = 1e-5 if dtype == np.float32 else 1e-12
            np.testing.assert_allclose(view, expected, rtol=tolerance, atol=tolerance * 100)
        else:
            np.testing.assert_array_equal(view, expected)
        results.append(view.copy())
        view[:] = GUARD
        assert (out == GUARD).all(), "wrote outside the output"
    assert all((other == results[0]).all() for other in results)


@st.composite
def group_extents(draw: st.DrawFn, empty: bool = False) -> list[int]:
    sizes = st.one_of(st.integers(0 if empty else 1, 5), st.sampled_from([7, 16, 17, 31, 33, 66]))
    extents = draw(st.lists(sizes, max_size=3))
    # At most one long axis a group keeps the products small.
    while int(np.prod(extents)) > 400:
        extents.remove(max(extents))
    return extents


@st.composite
def strides_for(draw: st.DrawFn, extents: list[int]) -> list[int]:
    """Strides of some dense order of the axes, or of overlapping windows, or with broadcasts."""
    order = draw(st.permutations(range(len(extents))))
    strides = [0] * len(extents)
    step = draw(st.sampled_from([1, 1, 1, 2, 3]))
    windows = draw(st.booleans())
    for index in reversed(order):
        strides[index] = step
        if draw(st.sampled_from([False] * 9 + [True])):
            strides[index] = draw(st.sampled_from([0, -step]))
        if windows:
            step += draw(st.integers(0, extents[index] + 2))
        else:
            step = step * max(1, extents[index]) + draw(st.sampled_from([0, 0, 1, 5]))
    return strides


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    dtype = draw(st.sampled_from([float32, float32, float32, float64, int64, int8]))
    batch, rows, columns = (draw(group_extents()) for _ in range(3))
    inner = draw(group_extents(empty=True))
    while int(np.prod(batch)) > 6:
        batch.remove(max(batch))
    a_strides = draw(strides_for(batch + rows + inner))
    b_strides = draw(strides_for(batch + columns + inner))
    contraction = Contraction(
        tuple(map(Axis, batch, a_strides, b_strides)),
        tuple(Axis(e, s, 0) for e, s in zip(rows, a_strides[len(batch) :], strict=False)),
        tuple(Axis(e, 0, s) for e, s in zip(columns, b_strides[len(batch) :], strict=False)),
        tuple(map(Axis, inner, a_strides[len(batch + rows) :], b_strides[len(batch + columns) :])),
        dtype,
    )
    return Spec(
        contraction,
        draw(outputs(contraction)),
        draw(st.booleans()),
        draw(st.integers(1, 3)),
        draw(st.sampled_from([0, 0, 1, 4])),
        draw(st.sampled_from([None, None, 32, 16])),
    )


@st.composite
def outputs(draw: st.DrawFn, contraction: Contraction) -> PlainOutput:
    _, m, n, _ = contraction.sizes
    offset, gap = draw(st.integers(0, 3)), draw(st.sampled_from([0, 0, 3]))
    layout = draw(st.sampled_from(["rows", "rows", "columns", "sparse"]))
    if layout == "columns":
        return PlainOutput("out", n * (m + gap), 1, m + gap, offset)
    column = 2 if layout == "sparse" else 1
    return PlainOutput("out", m * (n * column + gap), n * column + gap, column, offset)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would compile hundreds of files
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(specs(), min_size=8, max_size=8))
def test_random_contractions(tmp_path_factory: pytest.TempPathFactory, some: list[Spec]) -> None:
    run_specs(some, tmp_path_factory.mktemp("contraction"))


def product(
    m: int, k: int, n: int, kind: str = "", dtype: DType = float32, fused: bool = False
) -> Spec:
    a = (1, m) if "a" in kind else (k, 1)
    b = (1, k) if "b" in kind else (n, 1)
    contraction = Contraction(
        (), (Axis(m, a[0], 0),), (Axis(n, 0, b[1]),), (Axis(k, a[1], b[0]),), dtype
    )
    output = PlainOutput("out", m * n, n, 1)
    if "c" in kind:
        output = PlainOutput("out", m * n, 1, m)
    return Spec(contraction, output, fused, 2)


def convolution(size: int, channels: int, out_channels: int, fused: bool, step: int = 1) -> Spec:
    padded = (size - 1) * step + 3
    contraction = Contraction(
        (Axis(2, 0, channels * padded**2),),
        (Axis(out_channels, channels * 9, 0),),
        (Axis(size, 0, padded * step), Axis(size, 0, step)),
        (Axis(channels, 9, padded**2), Axis(3, 3, padded), Axis(3, 1, 1)),
        float32,
    )
    pixels = size * size
    return Spec(contraction, PlainOutput("out", out_channels * pixels, pixels, 1), fused, 2)


def weight_gradient(size: int, channels: int, out_channels: int) -> Spec:
    padded = size + 2
    contraction = Contraction(
        (),
        (Axis(out_channels, size**2, 0),),
        (Axis(channels, 0, padded**2), Axis(3, 0, padded), Axis(3, 0, 1)),
        (
            Axis(2, out_channels * size**2, channels * padded**2),
            Axis(size, size, padded),
            Axis(size, 1, 1),
        ),
        float32,
    )
    return Spec(contraction, PlainOutput("out", 0, channels * 9, 1), False, 2)


def test_products_of_every_size_class(tmp_path: Path) -> None:
    """Edge tiles, several K blocks, both packings, vector kernels."""
    run_specs(
        [
            product(64, 64, 64),
            product(67, 800, 100, fused=True),
            product(67, 800, 100, "a"),
            product(31, 401, 129, "b"),
            product(200, 512, 65, "c"),
            product(64, 100, 10, "b"),
            product(40, 50, 70, "ab", float64),
            product(1, 300, 77),
            product(1, 300, 77, "b"),
            product(77, 301, 1, fused=True),
            product(77, 301, 1, "a", float64),
            product(3, 0, 5),
            product(1, 333, 1),
            product(5, 333, 2, "b", int64),
            product(2, 1000, 3),
            product(2, 70, 300),
            product(390, 20, 17),
        ],
        tmp_path,
    )


def test_tiles_pack_what_they_are_the_first_to_read(tmp_path: Path) -> None:
    """Rows of A that lie side by side, in whole strips and what is left; B in short blocks of K."""
    specs = [
        product(512, 120, 300, "a"),
        product(531, 401, 200, "a", fused=True),
        product(577, 390, 90, "a"),
        product(1030, 90, 64, "a", float64),
        product(300, 100, 530, fused=True),
    ]
    run_specs(specs, tmp_path)
    helpers = []
    for spec in specs:
        rendered = render_contraction(spec.contraction, "a", "b", None, 2, None, spec.output)
        helpers.append(rendered.helpers)
    if vector_bytes() == 64:
        assert all("_strip" in text for text in helpers[:4])
        assert all("_panel" in text for text in (helpers[0], helpers[4]))


def heads(columns: tuple[int, int], fused: bool) -> Spec:
    """3 images' 4 heads, each a product of matrices; neighbouring heads lie side by side in the
    output's rows. ``columns``: strides of the output's rows and columns."""
    batch = (Axis(3, 4 * 20 * 9, 4 * 9 * 24), Axis(4, 20 * 9, 9 * 24))
    contraction = Contraction(
        batch, (Axis(20, 9, 0),), (Axis(24, 0, 1),), (Axis(9, 1, 24),), float32
    )
    size = 24 if columns[1] == 1 else 20
    output = PlainOutput("out", 0, *columns, 2, ((3, 4 * 20 * 24), (4, size)))
    return Spec(contraction, output, fused, 2)


def test_outputs_whose_batches_lie_unevenly(tmp_path: Path) -> None:
    """Whole vectors are stored in place, along whichever axis has neighbours."""
    specs = [heads(s, fused) for s in ((96, 1), (1, 80)) for fused in (False, True)]
    run_specs(specs, tmp_path)
    for spec, swap in ((specs[0], False), (specs[2], True)):
        rendered = render_contraction(spec.contraction, "a", "b", None, 1, output=spec.output)
        assert rendered.schedule is not None and rendered.schedule.swap == swap
        assert "results_" not in rendered.body


def test_what_an_epilogue_meets_is_fetched_ahead() -> None:
    spec = product(96, 64, 128)

    def epilogue(m: str, n: str) -> Epilogue:
        out, x = f"out[{m} * 128 + {n}]", f"x[{m} * 128 + {n}]"
        return Epilogue((f"{out} = value_ * {x} + y[{n}];",), ((out, True), (x, False)))

    rendered = render_contraction(spec.contraction, "a", "b", epilogue, 1)
    places = [line.strip() for line in rendered.body.splitlines() if "const char *" in line]
    assert places == [
        "const char *place0_ = (const char *)(&out[m_ * 128 + n_]);",
        "const char *place1_ = (const char *)(&x[m_ * 128 + n_]);",
        "const long step0_ = (const char *)(&out[m_ * 128 + n_]) - place0_;",  # after m_++
        "const long step1_ = (const char *)(&x[m_ * 128 + n_]) - place1_;",
    ]
    fetched = re.findall(r"__builtin_prefetch\((\w+) \+ 0, (\d)\)", rendered.helpers)
    assert set(fetched) == {("place0", "1"), ("place1", "0")}


def test_what_is_fetched_ahead_is_known_from_the_statements() -> None:
    a, b, c, scale, column = [
        parameter(i, TensorType(shape, float32))
        for i, shape in enumerate([(70, 1000), (1000, 130), (70, 140), (130,), (70,)])
    ]
    parts = [
        movement.slice_(c, (0, 4), (70, 130), (1, 1)),
        reduction.broadcast(scale, (70, 130), (1,)),
        reduction.broadcast(column, (70, 130), (0,)),
    ]
    result = product_of(a, b)
    for part in parts:
        result = ew.mul(result, part)
    (kernel,) = build(Graph((a, b, c, scale, column), (result,)), 1).kernels
    places = re.findall(r"const char \*\w+ = \(const char \*\)\(&(.*)\);", kernel.body)
    assert places == ["in2[m_ * 140 + n_ + 4]", "out5[m_ * 130 + n_]"]


def test_of_a_large_right_operand_blocks_are_read_in_place(tmp_path: Path) -> None:
    """Read again for every few rows, all of it would come from the third-level cache each time; of
    a block that stays nearer, the next one is fetched meanwhile."""
    specs = []
    for k, cut in ((256, False), (1 << 14, True)):
        contraction = Contraction(
            (), (Axis(128, 1, 0),), (Axis(512, 0, 1),), (Axis(k, 128, 512),), float32
        )
        schedule = choose_schedule(contraction, 1, width=64)
        assert not schedule.pack_b
        assert (schedule.depth < k) == cut
        assert schedule.depth * 2048 <= second_level_cache_bytes() // 2
        specs.append(Spec(contraction, PlainOutput("out", 0, 512, 1), False, 1))
    run_specs(specs, tmp_path)
    body = render_contraction(contraction, "a", "b", None, 1, output=specs[0].output).body
    assert [f"*{operand}_next_ = {operand}_" in body for operand in "ab"] == [True, True]


def test_right_operand_in_panels(tmp_path: Path) -> None:
    """Panels of one tile's width are read in place; others are packed like any operand."""
    specs = []
    for m, panels, width, k in [(32, 4, 64, 70), (7, 3, 32, 900), (2, 5, 16, 33), (40, 3, 48, 9)]:
        columns = (Axis(panels, 0, k * width), Axis(width, 0, 1))
        contraction = Contraction(
            (), (Axis(m, k, 0),), columns, (Axis(k, 1, width),), float32
        )  # fmt: skip
        output = PlainOutput("out", 0, panels * width, 1)
        for fused, threads in ((False, 2), (True, 3)):
            specs.append(Spec(contraction, output, fused, threads))
    run_specs(specs, tmp_path)
    assert not choose_schedule(specs[0].contraction.normalized(), 2, width=64).pack_b


def test_few_rows_are_packed_rather_than_many_columns(tmp_path: Path) -> None:
    """B transposed or not, the transpose is computed where that leaves clearly less to do."""
    specs, chosen = [], []
    for m, n, k, transposed in [
        (64, 100, 1000, True), (16, 512, 512, True), (48, 100, 300, True), (64, 100, 1000, False),
        (64, 64, 512, True), (128, 512, 256, True), (64, 1000, 100, True),
    ]:  # fmt: skip
        b_inner, b_column = (1, k) if transposed else (n, 1)
        contraction = Contraction(
            (), (Axis(m, k, 0),), (Axis(n, 0, b_column),), (Axis(k, 1, b_inner),), float32
        )
        output = PlainOutput("out", 0, n, 1)
        specs += [Spec(contraction, output, fused, 1) for fused in (False, True)]
        chosen.append(choose_schedule(contraction.normalized(), 1, output, width=64).swap)
    run_specs(specs, tmp_path)
    assert chosen == [True, True, True, False, False, False, False]


def test_convolutions_and_weight_gradients(tmp_path: Path) -> None:
    run_specs(
        [
            convolution(14, 16, 32, fused=False),
            convolution(14, 16, 32, fused=True),
            convolution(9, 5, 20, fused=False, step=2),
            convolution(7, 50, 24, fused=True),
            weight_gradient(14, 5, 20),
            weight_gradient(7, 3, 33),
        ],
        tmp_path,
    )


def test_windows_read_in_place(tmp_path: Path) -> None:
    """Rows of memory shorter and longer than a vector, up to the very end of the operand."""
    specs = [
        replace(convolution(size, channels, rows, fused), width=width)
        for size, channels, rows, fused, width in [
            (14, 3, 6, False, None),
            (14, 3, 6, True, None),
            (28, 2, 16, True, None),
            (11, 4, 13, False, None),
            (16, 2, 7, False, None),
            (25, 2, 5, True, None),
            (7, 3, 4, True, None),
            (6, 2, 4, False, None),
            (33, 1, 2, False, None),
            (13, 2, 2, True, None),
            (14, 3, 6, True, 32),
            (7, 3, 4, False, 16),
        ]
    ]
    for spec in specs:
        normalized = spec.contraction.normalized()
        choice = choose_schedule(normalized, spec.threads, spec.output, spec.width)
        assert choice.kind == "windows", spec
    run_specs(specs, tmp_path)


def test_windows_times_vectors_of_rows(tmp_path: Path) -> None:
    """Vectors that the rows fill or not, tiles of a part of a row of memory and of several."""
    specs = [
        replace(convolution(size, channels, rows, fused), width=width)
        for size, channels, rows, fused, width in [
            (12, 6, 16, True, 64),
            (10, 6, 16, False, 64),
            (9, 4, 13, False, 64),
            (8, 2, 16, True, 64),
            (6, 2, 12, False, 64),
            (6, 3, 8, True, 32),
            (4, 2, 7, False, 32),
        ]
    ]
    for channels, outputs, run in ((6, 16, 10), (3, 15, 12), (2, 12, 7)):
        specs.append(replace(gradient_of_rows(run, outputs, channels), width=64))
    for spec in specs:
        normalized = spec.contraction.normalized()
        choice = choose_schedule(normalized, spec.threads, spec.output, spec.width)
        assert choice.kind == "taps", spec
    run_specs(specs, tmp_path)


def test_few_rows_times_what_lies_along_k(tmp_path: Path) -> None:
    specs = []
    for m, n, k, batch, width, fused in [
        (4, 120, 400, 1, 64, True),
        (5, 37, 411, 1, 64, False),
        (8, 10, 1000, 2, 32, True),
        (2, 9, 257, 1, 32, False),
    ]:
        contraction = Contraction(
            (Axis(batch, m * k, 0),), (Axis(m, k, 0),), (Axis(n, 0, k),), (Axis(k, 1, 1),), float32
        )
        spec = Spec(contraction, PlainOutput("out", m * n, n, 1), fused, 2, width=width)
        choice = choose_schedule(contraction.normalized(), 2, spec.output, width)
        assert choice.kind == "dots", spec
        assert choose_schedule(contraction, 2, spec.output, width, any_rows=True).kind != "dots"
        specs.append(spec)
    run_specs(specs, tmp_path)


def test_columns_past_the_last_whole_vector(tmp_path: Path) -> None:
    """A few are dot products along K: rows that are left over, K that is no whole vectors, tasks
    of rows and of columns, several batches; B in place and packed, A never."""
    specs = []
    for m, n, k, batch, kind, fused in [
        (64, 100, 1000, 1, "", True),
        (64, 100, 1000, 1, "", False),
        (37, 33, 200, 3, "", True),
        (131, 50, 129, 1, "b", False),
        (400, 84, 700, 1, "", True),
        (19, 97, 128, 2, "b", True),
    ]:
        column, inner = (k, 1) if kind else (1, n)
        contraction = Contraction(
            (Axis(batch, m * k, n * k),), (Axis(m, k, 0),), (Axis(n, 0, column),),
            (Axis(k, 1, inner),), float32,
        )  # fmt: skip
        spec = Spec(contraction, PlainOutput("out", m * n, n, 1), fused, 2, width=64)
        choice = choose_schedule(contraction.normalized(), 2, spec.output, 64, stored=not fused)
        assert choice.swap or choice.rest == n % 16, spec
        whole = choose_schedule(contraction, 2, spec.output, 64, any_rows=True)
        assert whole.rest == 0
        specs.append(spec)
    run_specs(specs, tmp_path)
    for n in (10, 96, 101, 401):  # one vector, whole ones, too many past them, too small a part
        columns = replace(specs[0].contraction, columns=(Axis(n, 0, 1),), inner=(Axis(1000, 1, n),))
        assert choose_schedule(columns.normalized(), 2, width=64).rest == 0


def gradient_of_rows(
    run: int, outputs: int, channels: int, step: int = 1, dtype: DType = float32,
    swap: bool = False, groups: int = 1, fused: bool = False, width: int | None = None,
) -> Spec:  # fmt: skip
    """Of a 2x3 kernel's weight, over 3 images of 5 rows of ``run`` positions."""
    row = (run - 1) * step + 4
    plane = row * (4 * step + 3)
    contraction = Contraction(
        (Axis(groups, outputs * run * 5, channels * plane),),
        (Axis(outputs, run * 5, 0),),
        (Axis(channels, 0, plane), Axis(2, 0, row), Axis(3, 0, 1)),
        (
            Axis(3, groups * outputs * run * 5, groups * channels * plane),
            Axis(5, run, row * step),
            Axis(run, 1, step),
        ),
        dtype,
    )
    columns = channels * 6
    output = PlainOutput("out", outputs * columns + 1, columns, 1)
    if swap:
        contraction = contraction.transposed()
        output = PlainOutput("out", outputs * columns, 1, columns)
    return Spec(contraction, output, fused, 3, width=width)


def test_long_sums_in_vectors_along_k(tmp_path: Path) -> None:
    """Whole vectors and last ones that overlap; either orientation; neighbours or every second."""
    made = [
        gradient_of_rows(32, 6, 3),
        gradient_of_rows(45, 7, 2, fused=True),
        gradient_of_rows(28, 1, 1),
        gradient_of_rows(28, 13, 5, swap=True),
        gradient_of_rows(26, 4, 3, step=2),
        gradient_of_rows(64, 5, 3, step=2, fused=True),
        gradient_of_rows(17, 6, 1, dtype=float64, step=2, groups=2, width=32),
        gradient_of_rows(20, 3, 2, dtype=float64, width=64),
        gradient_of_rows(30, 11, 4, groups=2, width=32),
        gradient_of_rows(23, 9, 2, groups=3, width=16, swap=True, fused=True),
    ]
    for spec in made:
        width = spec.width or 64
        assert choose_schedule(spec.contraction.normalized(), 3, None, width).kind == "dots"
    run_specs([replace(s, width=s.width or 64) for s in made], tmp_path)


def on_units(spec: Spec, unit: str) -> Spec:
    """The same contraction of bfloat16 operands, on matrix units."""
    contraction = replace(spec.contraction, dtype=float32, operand_dtype=bfloat16)
    any_rows = spec.candidate > 0
    return replace(
        spec, contraction=contraction, candidate=0, width=None, unit=unit, any_rows=any_rows
    )


needs_units = pytest.mark.skipif(not usable_units(), reason="no units for bfloat16 matrices")


@needs_units
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(specs(), min_size=8, max_size=8), st.sampled_from(usable_units() or ("",)))
def test_random_contractions_on_matrix_units(
    tmp_path_factory: pytest.TempPathFactory, some: list[Spec], unit: str
) -> None:
    some = [on_units(spec, unit) for spec in some if 0 not in spec.contraction.sizes]
    run_specs(some, tmp_path_factory.mktemp("units"))


@needs_units
@pytest.mark.parametrize("unit", usable_units())
def test_products_on_matrix_units(unit: str, tmp_path: Path) -> None:
    """Edges of squares and of single tiles, several K blocks, every way of packing."""
    some = [
        product(m, k, n, kind, fused=m % 2 == 0)
        for m, k, n in [(32, 32, 32), (1, 15, 17), (31, 33, 49), (70, 300, 100), (16, 2, 50)]
        for kind in ("", "a", "b", "abc")
    ]
    some += [replace(spec, candidate=1) for spec in some]
    some += [
        product(100, 1600, 70, "b"),
        product(90, 2000, 600, "a"),
        product(100, 64, 600),  # copies the next strip
        product(130, 3232, 530, fused=True),
        convolution(14, 16, 40, fused=True),
        convolution(9, 5, 20, fused=False, step=2),
        weight_gradient(14, 5, 20),
    ]
    run_specs([on_units(spec, unit) for spec in some], tmp_path)


def test_integer_sums_wrap_around(tmp_path: Path) -> None:
    run_specs([product(6, 3000, 20, dtype=int8), product(6, 3000, 1, dtype=int8)], tmp_path)


def test_rendering_is_deterministic() -> None:
    spec = product(64, 1000, 100)
    texts = {
        render_contraction(spec.contraction, "a", "b", None, 2, output=spec.output).body
        for _ in range(2)
    }
    assert len(texts) == 1
    assert choose_schedule(spec.contraction, 2).kind == "tiles"
