"""What a device can do at most, measured once by small kernels and kept in the cache folder.

The *roofline* of a machine: a kernel of so many operations over so many bytes takes at least the
longer of what its memory and what its arithmetic units need (Williams, Waterman and Patterson,
2009, "Roofline: an insightful visual performance model"). What it takes to start a kernel and to
wait for its threads comes on top, and is most of the time of a small one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import statistics as numbers
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from codegen.errors import CompileError
from codegen.loops.contraction import second_level_cache_bytes
from codegen.render.source import KernelSource
from codegen.runtime import cache, opencl
from codegen.runtime.compiler import find_compiler, processor
from codegen.runtime.cpu import Program, get_num_threads
from codegen.runtime.kernels import load_kernels
from codegen.runtime.matrix_units import matrix_units
from codegen.runtime.memory import allocate
from codegen.runtime.opencl.memory import Block
from codegen.runtime.opencl.programs import kernels_of
from codegen.statistics import statistics

_FORMAT = 3
_BYTE = np.dtype(np.uint8)
_LARGE = 64 << 20  # bytes read, and as many written: more than most caches
_TURNS_OF_CACHE = 50
_SMALL = 128 << 10  # a thread's, again and again: a part of its own cache
_SECONDS = 0.01  # for each figure, once everything is warm
_MOST_ROUNDS, _FEWEST_ROUNDS = 100, 5
_STARTS = 64  # of kernels that do nothing


@dataclass(frozen=True)
class Roofline:
    """What a device reaches at most, all its threads together.

    bytes_per_second        between memory and processor, read and written.
    cache_bytes_per_second  the same within a core's own cache.
    flops_per_second        by the name of the element type; a multiplication and an addition in
                            one instruction count as two. Types that are not named are computed
                            as ``float32``.
    cache_bytes             what a kernel may move and still be taken to work within the caches.
    start_seconds           what a kernel on one thread takes besides its work.
    fork_seconds            the same of one on all threads, awake as they are within a plan.
    """

    device: str
    threads: int
    bytes_per_second: float
    cache_bytes_per_second: float
    flops_per_second: Mapping[str, float]
    cache_bytes: int = 0
    start_seconds: float = 0.0
    fork_seconds: float = 0.0

    def peak(self, dtype: str) -> float:
        """The most operations a second on elements of a type."""
        peaks = self.flops_per_second
        return peaks.get(dtype) or peaks["float32"]

    def seconds(self, operations: float, nbytes: float, dtype: str = "float32") -> float:
        """The least time for so many operations over so many bytes of memory."""
        return max(operations / self.peak(dtype), nbytes / self._bandwidth(nbytes))

    def kernel_seconds(
        self, operations: float, nbytes: float, dtype: str = "float32", parallel: bool = True
    ) -> float:
        """What a kernel can be expected to take: its start, and the least time for its work; on
        one thread, which has its share of the arithmetic units and caches, where it is not
        ``parallel``."""
        if parallel:
            return self.fork_seconds + self.seconds(operations, nbytes, dtype)
        fits = nbytes <= self.cache_bytes
        moved = nbytes / self._bandwidth(nbytes) * (self.threads if fits else 1)
        return self.start_seconds + max(operations * self.threads / self.peak(dtype), moved)

    def bound(self, operations: float, nbytes: float, dtype: str = "float32") -> str:
        """``"memory"`` or ``"arithmetic"``: which of the two the least time comes from."""
        memory = nbytes / self._bandwidth(nbytes) >= operations / self.peak(dtype)
        return "memory" if memory else "arithmetic"

    def _bandwidth(self, nbytes: float) -> float:
        fits = nbytes <= self.cache_bytes
        return self.cache_bytes_per_second if fits else self.bytes_per_second


def measured(device: str) -> Roofline:
    """The roofline of ``"cpu"``, ``"opencl:0"`` and the like, for the present number of threads.

    It is measured by the first call that there ever is, in some 0.2 s, then remembered on disk.
    The interpreter has none; neither has a cpu without a compiler: CodegenError.
    """
    return _measured(device, get_num_threads() if device == "cpu" else 0)


@functools.cache
def _measured(device: str, threads: int) -> Roofline:
    if device == "cpu":
        compiler = find_compiler()
        if compiler is None:
            raise CompileError("the roofline of the cpu is measured with a C compiler: none found")
        identity = [device, str(threads), compiler.fingerprint, processor(), matrix_units()]
        measure: Callable[[], Roofline] = functools.partial(_measure_cpu, threads)
    elif device.startswith(("opencl", "cuda")):
        found = opencl.find_device(device)
        identity = [device, found.fingerprint]
        measure = functools.partial(_measure_opencl, device, found)
    else:
        raise CompileError(f"the device {device!r} runs no kernels that could be measured")
    text = json.dumps([_FORMAT, *identity])
    path = cache.cache_path("roofline-" + hashlib.sha256(text.encode()).hexdigest()[:32])
    data = cache.read_checked(path)
    if data is not None:
        with suppress(ValueError, TypeError):
            return Roofline(**json.loads(data))
    roofline = measure()
    with suppress(OSError):  # a full disk: the next process measures again
        cache.write_checked(path, json.dumps(roofline.__dict__).encode())
    return roofline


def _best(run: Callable[[], object]) -> float:
    """The shortest time of a few runs, in seconds."""
    run()
    best, begin = float("inf"), time.perf_counter()
    for i in range(_MOST_ROUNDS):
        start = time.perf_counter()
        run()
        stop = time.perf_counter()
        best = min(best, stop - start)
        if i + 1 >= _FEWEST_ROUNDS and stop - begin > _SECONDS:
            break
    return best


# ---- C ------------------------------------------------------------------------------------------

_OPENING = """\
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {{
    typedef {element} vector __attribute__((vector_size({width}), aligned(8)));
"""
_NOTHING = """\
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    __asm__ volatile("" ::: "memory");
}
"""
_COPY = """\
    const long begin = {count} * thread / threads, end = {count} * (thread + 1) / threads;
    const vector *in = (const vector *)arguments[0];
    vector *out = (vector *)arguments[1];
    for (long i = begin; i < end; i++) out[i] = in[i] + 1;
"""
_READ = """\
    const long begin = {count} * thread / threads, end = {count} * (thread + 1) / threads;
    const vector *in = (const vector *)arguments[0];
    vector a = {{0}}, b = {{0}}, c = {{0}}, d = {{0}};
    for (long i = begin; i + 3 < end; i += 4) {{
        a += in[i]; b += in[i + 1]; c += in[i + 2]; d += in[i + 3];
    }}
    ((vector *)arguments[1])[thread] = (a + b) + (c + d);
"""
_CACHED = """\
    const vector *in = (const vector *)arguments[0] + {count} * thread;
    vector *out = (vector *)arguments[1] + {count} * thread;
    for (long turn = 0; turn < {turns}; turn++) {{
        for (long i = 0; i < {count}; i++) out[i] = in[i] + 1;
        __asm__ volatile("" ::: "memory");
    }}
"""
_CHAINS = 12  # products in flight: latency times units, with some to spare
_TILES = """\
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {{
    static const unsigned char shapes[64] __attribute__((aligned(64))) = {{
        1, [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
        [48] = 16, 16, 16, 16, 16, 16, 16, 16,
    }};
    __asm__ volatile("ldtilecfg %0" :: "m"(shapes) : "memory");
    __asm__ volatile("tilezero %%tmm4\\n\\ttilezero %%tmm5\\n\\ttilezero %%tmm6\\n\\t"
                     "tilezero %%tmm7" ::);
    for (long turn = 0; turn < {turns}; turn++)
        __asm__ volatile(
            "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\\n\\ttdpbf16ps %%tmm7, %%tmm4, %%tmm1\\n\\t"
            "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\\n\\ttdpbf16ps %%tmm7, %%tmm5, %%tmm3" ::);
    __asm__ volatile("tilerelease" ::: "memory");
}}
"""
_PAIRS_OPERATION = '__asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"({name}) : "v"(factor));'


def _multiply(element: str, width: int, turns: int, statement: str) -> str:
    """A kernel that multiplies and adds ``_CHAINS`` vectors, so many times."""
    names = [f"s{i}" for i in range(_CHAINS)]
    lines = [
        _OPENING.format(element=element, width=width).rstrip("\n"),
        "    const vector *in = (const vector *)arguments[0];",
        "    const vector factor = in[0];",
        *[f"    vector {name} = in[{i}];" for i, name in enumerate(names)],
        f"    for (long turn = 0; turn < {turns}; turn++) {{",
        *[f"        {statement.format(name=name)}" for name in names],
        "    }",
        f"    ((vector *)arguments[1])[thread] = {' + '.join(names)};",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _measure_cpu(threads: int) -> Roofline:
    flags = processor().split()
    width = 64 if "avx512f" in flags else 32 if "avx" in flags else 16
    turns = 100_000
    work: dict[str, float] = {}  # bytes or operations of a run
    texts: dict[str, str] = {}

    def stream(name: str, body: str, count: int, amount: float) -> None:
        opening = _OPENING.format(element="float", width=width)
        texts[name] = opening + body.format(count=count, turns=_TURNS_OF_CACHE) + "}\n"
        work[name] = amount

    stream("copy", _COPY, _LARGE // width, 2 * _LARGE)
    stream("read", _READ, _LARGE // width, _LARGE)
    stream("cached", _CACHED, _SMALL // width, 2 * _SMALL * _TURNS_OF_CACHE * threads)
    for dtype, element, size in (("float32", "float", 4), ("float64", "double", 8)):
        texts[dtype] = _multiply(element, width, turns, "{name} = {name} * factor + factor;")
        work[dtype] = 2.0 * _CHAINS * (width // size) * turns * threads
    unit = matrix_units()
    if unit == "amx":
        tiles = turns // 100
        texts["bfloat16"] = _TILES.format(turns=tiles)
        work["bfloat16"] = 4 * 2.0 * 16 * 16 * 32 * tiles * threads
    elif unit:
        texts["bfloat16"] = _multiply("float", width, turns, _PAIRS_OPERATION)
        work["bfloat16"] = 2 * 2.0 * _CHAINS * (width // 4) * turns * threads
    sources = [*texts.items(), ("start", _NOTHING)]
    addresses = load_kernels([KernelSource(f"roofline {n}", text) for n, text in sources])
    nbytes = max(_LARGE, _SMALL * threads)
    memory = [allocate(nbytes), allocate(nbytes)]
    table = [b.address for b in memory]
    for block in memory:  # zeros: no subnormal numbers, and every page is there
        block.as_numpy(_BYTE, (nbytes,))[...] = 0
    rates = {}
    counted = statistics.plans_run, statistics.kernels_run
    for name, address in zip(texts, addresses, strict=False):
        program = Program([address], [[0, 1]], [True], 2)
        rates[name] = work[name] / _best(functools.partial(program.run, table))
    start, fork = [_start_of(addresses[-1], parallel, table) for parallel in (False, True)]
    statistics.plans_run, statistics.kernels_run = counted  # measuring is none of the user's work
    return _roofline("cpu", threads, rates, start, fork)


def _start_of(address: int, parallel: bool, table: Sequence[int]) -> float:
    """Seconds that a kernel takes which does nothing, alone in its plan: as in a program, whose
    Python runs in between, its text and its operands have to come from further caches."""
    program = Program([address], [[0, 1]], [parallel], 2)
    return numbers.median([program.run_timed(table)[0] for _ in range(_STARTS)])


def _roofline(
    device: str, threads: int, rates: dict[str, float], start: float, fork: float
) -> Roofline:
    moved = max(rates.pop("copy"), rates.pop("read"))
    cached = max(rates.pop("cached"), moved)
    cache_bytes = threads * second_level_cache_bytes() if cached > moved else 0
    return Roofline(device, threads, moved, cached, rates, cache_bytes, start, fork)


# ---- OpenCL -------------------------------------------------------------------------------------

_OPENCL_STREAM = """\
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
__kernel void KERNEL_NAME(__global const float16 *in, __global float16 *out) {{
    const long item = get_global_id(0), items = get_global_size(0);
    float16 sum = 0;
    {loop}
    {end}
}}
"""
# A thread of a CPU takes what lies together, items of a GPU what lies side by side.
_OPENCL_LOOPS = {
    True: "for (long i = {count} * item / items, e = {count} * (item + 1) / items; i < e; i++)",
    False: "for (long i = item; i < {count}; i += items)",
}
_OPENCL_NOTHING = """\
__kernel void KERNEL_NAME(__global const float *in, __global float *out) {
    if (get_global_id(0) < 0) out[0] = in[0];
}
"""
_OPENCL_MULTIPLY = """\
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#ifdef LT_CPU
__attribute__((min_vector_width(512)))
#endif
__kernel void KERNEL_NAME(__global const {vector} *in, __global {vector} *out) {{
    const {vector} factor = in[0];
    {vector} {declared};
    for (long turn = 0; turn < {turns}; turn++) {{
        {statements}
    }}
    out[get_global_id(0)] = {sum};
}}
"""


def _measure_opencl(name: str, device: opencl.Device) -> Roofline:
    on_cpu = device.schedules is None
    items, group = (device.threads, 1) if on_cpu else (device.threads * 16 * 256, 256)
    turns = 400_000 if on_cpu else 500
    loop = _OPENCL_LOOPS[on_cpu]
    work: dict[str, float] = {"copy": 2 * _LARGE, "read": _LARGE, "cached": 0}
    texts = {
        "copy": _OPENCL_STREAM.format(
            loop=loop.format(count=_LARGE // 64) + " out[i] = in[i] + 1;", end=""
        ),
        "read": _OPENCL_STREAM.format(
            loop=loop.format(count=_LARGE // 64) + " sum += in[i];", end="out[item] = sum;"
        ),
    }
    lanes = 16 if on_cpu else 1
    shares = _SMALL // 64
    cached = (
        f"for (long turn = 0; turn < {_TURNS_OF_CACHE}; turn++) {{ "
        f"for (long i = {shares} * item; i < {shares} * (item + 1); i++) out[i] = in[i] + 1; "
        "barrier(CLK_GLOBAL_MEM_FENCE); }"
    )
    if on_cpu:
        texts["cached"] = _OPENCL_STREAM.format(loop=cached, end="")
        work["cached"] = 2 * _SMALL * _TURNS_OF_CACHE * items
    for dtype, element, wide in (("float32", "float", 1), ("float64", "double", 2)):
        if element == "double" and not device.has_double:
            continue
        # A vector of a CPU's width; single numbers for a GPU, whose items are its lanes.
        count = lanes // wide if on_cpu else 1
        names = [f"s{i}" for i in range(_CHAINS)]
        texts[dtype] = _OPENCL_MULTIPLY.format(
            vector=f"{element}{count if count > 1 else ''}",
            declared=", ".join([f"{n} = in[{i}]" for i, n in enumerate(names)]),
            turns=turns,
            statements=" ".join([f"{n} = {n} * factor + factor;" for n in names]),
            sum=" + ".join(names),
        )
        work[dtype] = 2.0 * _CHAINS * count * turns * items
    rates, start = _run_opencl(device, texts, work, items, group)
    return _roofline(name, device.threads, rates, start, start)


def _run_opencl(
    device: opencl.Device,
    texts: Mapping[str, str],
    work: Mapping[str, float],
    items: int,
    group: int,
) -> tuple[dict[str, float], float]:
    """The rates, and the seconds that a kernel takes which does nothing."""
    nbytes = max(_LARGE, _SMALL * items if device.schedules is None else 0, 64 * items)
    rates = {"cached": 0.0}
    with device.lock:
        buffers = [device.allocate(nbytes), device.allocate(nbytes)]
        sources = [KernelSource(f"roofline {n}", text) for n, text in texts.items()]
        sources.append(KernelSource("roofline start", _OPENCL_NOTHING))
        zero = np.uint8(0)
        handles = []
        for buffer in buffers:
            memory = buffer.memory
            assert isinstance(memory, Block)
            handles.append(memory.handle)
            device.opencl.enqueue_fill_buffer(device.queue, memory.handle, zero, 0, nbytes)
        kernels = kernels_of(sources, device)
        for kernel in kernels:
            kernel.set_arg(0, handles[0])
            kernel.set_arg(1, handles[1])

        def run(kernel: object, times: int = 1) -> None:
            for _ in range(times):
                device.opencl.enqueue_nd_range_kernel(device.queue, kernel, (items,), (group,))
            device.queue.finish()

        for name, kernel in zip(texts, kernels, strict=False):
            rates[name] = work[name] / _best(functools.partial(run, kernel))
        start = _best(functools.partial(run, kernels[-1], _STARTS)) / _STARTS
    return rates, start
