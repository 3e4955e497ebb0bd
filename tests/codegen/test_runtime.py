"""The cpu runtime: programs on the thread pool, threads and forks, host memory."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from codegen.render.source import KernelSource
from codegen.runtime import cpu, memory
from codegen.runtime.compiler import find_compiler
from codegen.runtime.cpu import Program
from codegen.runtime.kernels import load_kernels

needs_compiler = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
]
SIGNATURE = "void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch)"

# Each thread sums its part into partial[thread]; the last element says how many there were.
PARTIAL_SUMS = KernelSource(
    "partial_sums",
    SIGNATURE
    + """ {
    const double *values = (const double *)arguments[0];
    double *partial = (double *)arguments[1], sum = 0;
    long n = N;
    for (long i = thread * n / threads; i < (thread + 1) * n / threads; i++) sum += values[i];
    partial[thread] = sum;
    if (thread == 0) partial[15] = (double)threads;
}""",
    ("enum { N = 10000 };",),
)
TOTAL = KernelSource(
    "total",
    SIGNATURE
    + """ {
    const double *partial = (const double *)arguments[0];
    double sum = 0;
    for (int i = 0; i < (int)partial[15]; i++) sum += partial[i];
    *(double *)arguments[1] = sum;
}""",
)
# Adds one to every element that belongs to this thread: a missing barrier shows as a wrong count.
SHIFT = KernelSource(
    "shift",
    SIGNATURE
    + """ {
    const long *from = (const long *)arguments[0];
    long *to = (long *)arguments[1];
    for (long i = thread; i < 64; i += threads) to[i] = from[(i + 1) % 64] + 1;
}""",
)
USE_SCRATCH = KernelSource(
    "use_scratch",
    SIGNATURE
    + """ {
    long *mine = (long *)scratch, *result = (long *)arguments[0];
    for (int i = 0; i < 1000; i++) mine[i] = thread + 1;
    long sum = (long)scratch % 64;
    for (int i = 0; i < 1000; i++) sum += mine[i];
    result[thread] = sum;
}""",
)


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    before = cpu.get_num_threads()
    yield
    if cpu.get_num_threads() != before:
        cpu.set_num_threads(before)


class Sum:
    """A program that sums 10,000 numbers in parallel, and its buffers."""

    def __init__(self) -> None:
        self.values = np.arange(10_000, dtype=np.float64)
        self.partial = np.zeros(16)
        self.result = np.zeros(1)
        self.table = [array.ctypes.data for array in (self.values, self.partial, self.result)]
        kernels = load_kernels([PARTIAL_SUMS, TOTAL])
        self.program = Program(kernels, [(0, 1), (1, 2)], [True, False], 3)

    def check(self) -> None:
        self.result[0] = 0
        self.program.run(self.table)
        assert self.result[0] == self.values.sum()


def in_forked_child(action: Callable[[], None], seconds: float = 5.0) -> int:
    """The exit status of a child that does ``action``; -SIGKILL if it hangs."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class TestProgram:
    pytestmark = needs_compiler

    @pytest.mark.parametrize("threads", [1, 2, 3, 4, 9])
    def test_parallel_sum(self, threads: int) -> None:
        cpu.set_num_threads(threads)
        work = Sum()
        for _ in range(50):
            work.check()
        assert work.partial[15] == threads

    @pytest.mark.parametrize("threads", [1, 2, 4])
    def test_each_step_sees_the_whole_step_before(self, threads: int) -> None:
        cpu.set_num_threads(threads)
        (shift,) = load_kernels([SHIFT])
        a, b = np.zeros(64, np.int64), np.zeros(64, np.int64)
        parallel = [True, True, False, True, False, False, True, True] * 4
        slots = [(0, 1) if i % 2 == 0 else (1, 0) for i in range(len(parallel))]
        program = Program([shift] * len(parallel), slots, parallel, 2)
        for repeat in range(1, 101):
            program.run([a.ctypes.data, b.ctypes.data])
            assert (a == repeat * len(parallel)).all()

    def test_the_number_of_threads_may_change_between_runs(self) -> None:
        work = Sum()
        for threads in (4, 1, 3, 2, 4, 2) * 5:
            cpu.set_num_threads(threads)
            work.check()
            assert work.partial[15] == threads

    def test_scratch_is_aligned_and_each_threads_own(self) -> None:
        cpu.set_num_threads(4)
        (kernel,) = load_kernels([USE_SCRATCH])
        program = Program([kernel], [(0,)], [True], 1, scratch_bytes=8000)
        result = np.zeros(4, np.int64)
        program.run([result.ctypes.data])
        assert result.tolist() == [1000, 2000, 3000, 4000]

    def test_timed_run(self) -> None:
        work = Sum()
        seconds = work.program.run_timed(work.table)
        assert work.result[0] == work.values.sum()
        assert len(seconds) == 2 and all(0 <= s < 1 for s in seconds)

    def test_a_program_without_steps(self) -> None:
        Program([], [], [], 0).run([])

    def test_bad_programs_are_refused(self) -> None:
        with pytest.raises(ValueError, match="outside the table"):
            Program([1], [(3,)], [False], 3)
        with pytest.raises(ValueError, match="null"):
            Program([0], [(0,)], [False], 3)
        with pytest.raises(ValueError, match="one entry a step"):
            Program([1], [], [False], 3)
        with pytest.raises(ValueError, match="number of threads"):
            cpu.set_num_threads(0)

    @pytest.mark.parametrize("shared", [True, False])
    def test_several_python_threads_at_once(self, shared: bool) -> None:
        cpu.set_num_threads(2)
        failures: list[BaseException] = []
        one = Sum()

        def work() -> None:
            try:
                mine = Sum()
                if shared:
                    mine.program = one.program
                for _ in range(300):
                    mine.check()
            except BaseException as error:
                failures.append(error)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(10)
        assert not failures and not any(worker.is_alive() for worker in workers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
class TestFork:
    pytestmark = needs_compiler

    def test_run_in_a_forked_child(self) -> None:
        cpu.set_num_threads(2)
        work = Sum()
        work.check()
        for _ in range(5):
            assert in_forked_child(lambda: [work.check() for _ in range(20)] and None) == 0
            work.check()

    def test_fork_while_another_thread_runs(self) -> None:
        cpu.set_num_threads(2)
        work, other = Sum(), Sum()
        stop = threading.Event()

        def run_until_stopped() -> None:
            while not stop.is_set():
                other.check()

        runner = threading.Thread(target=run_until_stopped)
        runner.start()
        try:
            for _ in range(10):
                assert in_forked_child(work.check) == 0
                assert in_forked_child(lambda: other.program.run(other.table)) == 0
        finally:
            stop.set()
            runner.join()

    def test_memory_in_a_forked_child_is_its_own(self) -> None:
        buffers = [memory.allocate(n) for n in (100, 5000, 4 << 20)]
        views = [b.as_numpy(np.dtype(np.uint8), (b.nbytes,)) for b in buffers]
        for view in views:
            view[:] = 1

        def overwrite() -> None:
            for view in views:
                view[:] = 2

        assert in_forked_child(overwrite) == 0
        assert all((view == 1).all() for view in views)


class TestMemory:
    @pytest.fixture(autouse=True)
    def nothing_is_freed_meanwhile(self) -> None:
        """Models of earlier tests are in cycles: their memory goes when the collector comes by."""
        gc.collect()

    @pytest.mark.parametrize("nbytes", [0, 1, 64, 65, 4096, 4097, 100_000, (2 << 20) + 1, 9 << 20])
    def test_blocks_are_aligned_and_as_large_as_asked(self, nbytes: int) -> None:
        buffer = memory.allocate(nbytes)
        assert buffer.address % 64 == 0 and buffer.nbytes == nbytes
        view = buffer.as_numpy(np.dtype(np.uint8), (nbytes,))
        view[:] = 7
        assert view.ctypes.data == buffer.address

    def test_live_blocks_do_not_overlap(self) -> None:
        buffers = [memory.allocate(int(n)) for n in np.geomspace(1, 100_000, 200)]
        for i, buffer in enumerate(buffers):
            buffer.as_numpy(np.dtype(np.uint8), (buffer.nbytes,))[:] = i
        for i, buffer in enumerate(buffers):
            assert (buffer.as_numpy(np.dtype(np.uint8), (buffer.nbytes,)) == i).all()

    @pytest.mark.parametrize("nbytes", [100, 50_000, 3 << 20])
    def test_a_freed_block_is_used_again(self, nbytes: int) -> None:
        buffer = memory.allocate(nbytes)
        address = buffer.address
        del buffer
        assert memory.allocate(nbytes).address == address

    def test_a_view_keeps_its_buffer_alive(self) -> None:
        before = memory.memory_allocated()
        view = memory.allocate(4000).as_numpy(np.dtype(np.float32), (10, 100))[2:4].T
        gc.collect()
        assert memory.memory_allocated() > before
        del view
        assert memory.memory_allocated() == before

    def test_a_view_must_fit(self) -> None:
        buffer = memory.allocate(100)
        assert buffer.as_numpy(np.dtype(np.int32), (24,), offset=4).ctypes.data % 64 == 4
        with pytest.raises(ValueError, match="do not fit in 100 bytes"):
            buffer.as_numpy(np.dtype(np.int32), (25,), offset=4)

    def test_a_wrapped_array_is_seen_through_and_kept_alive(self) -> None:
        before = memory.memory_allocated()
        array = np.arange(12, dtype=np.int32).reshape(3, 4)
        buffer = memory.Buffer.wrapping(array)
        references = sys.getrefcount(array)
        assert (buffer.address, buffer.nbytes) == (array.ctypes.data, 48)
        buffer.as_numpy(np.dtype(np.int32), (12,))[5] = 100
        assert array[1, 1] == 100 and memory.memory_allocated() == before
        del buffer
        assert sys.getrefcount(array) == references - 1

    def test_a_wrapped_view_spans_its_lowest_to_its_highest_byte(self) -> None:
        array = np.arange(12, dtype=np.int32)
        reverse = memory.Buffer.wrapping(array[10:2:-2])
        assert (reverse.address, reverse.nbytes) == (array[4:].ctypes.data, 28)
        assert memory.Buffer.wrapping(array[:0]).nbytes == 0

    def test_counters(self) -> None:
        memory.reset_peak()
        before = memory.memory_allocated()
        buffers = [memory.allocate(64_000) for _ in range(3)]
        live = memory.memory_allocated() - before
        assert 3 * 64_000 <= live <= 3 * 64_000 * 1.125
        del buffers
        assert memory.memory_allocated() == before
        assert memory.max_memory_allocated() == before + live
        memory.reset_peak()
        assert memory.max_memory_allocated() == before

    def test_what_waits_for_reuse_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "_SPARE_BYTES", 1 << 20)
        monkeypatch.setattr(memory, "_highest", memory.memory_allocated())
        memory.release_cached()
        assert memory._waiting == 0
        for nbytes in range(100_000, 2_000_000, 50_000):
            memory.allocate(nbytes)
            assert memory._waiting <= (1 << 20) + 2 * nbytes
        memory.release_cached()
        assert memory._waiting == 0 and not any(memory._free.values())

    def test_several_threads_allocate_at_once(self) -> None:
        before = memory.memory_allocated()

        def work() -> None:
            for i in range(3000):
                memory.allocate(i % 700)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert memory.memory_allocated() == before

    def test_buffers_alive_at_exit_are_silent(self) -> None:
        code = (
            "import sys, codegen.runtime.memory as m\n"
            "sys.kept = kept = [m.allocate(n) for n in (1, 9999, 3 << 20)]\n"
            "class Cycle: pass\n"
            "c = Cycle(); c.me = c; c.buffer = m.allocate(5)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
