"""The compiler and the kernel cache: damage, races, folders that cannot be used."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from codegen.errors import CompileError
from codegen.render.source import KernelSource
from codegen.runtime import cache, compiler, kernels
from codegen.runtime.compiler import find_compiler
from codegen.runtime.kernels import load_kernels
from codegen.statistics import statistics

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
]
ROOT = Path(__file__).parents[2]
# Runs in a fresh process: loads five kernels and prints what they compute and the counters.
SCRIPT = """
import ctypes, json, sys, warnings
from codegen.render.source import KernelSource
from codegen.runtime import cache, kernels
from codegen.statistics import statistics
BODY = "void KERNEL_NAME(long t, long n, char **a, char *s) { *(long *)a[0] += scaled(%d); }"
PROLOGUE = ("static long scaled(long x) { return 10 * x; }",)
addresses = kernels.load_kernels(
    [KernelSource(f"add_{i}", BODY % i, PROLOGUE) for i in range(5)]
)
total = ctypes.c_long(0)
arguments = (ctypes.c_void_p * 1)(ctypes.addressof(total))
for address in addresses:
    ctypes.CFUNCTYPE(None, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)(
        address)(0, 1, ctypes.addressof(arguments), None)
print(json.dumps([total.value, statistics.kernels_compiled, statistics.kernels_loaded,
                  statistics.compiler_calls, str(cache.cache_folder())]))
"""
TOTAL = 100  # what the five kernels add up to


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "LAZYTORCH_CACHE_DIR": str(folder), **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[list[int], str, str]:
    """(kernels compiled, kernels loaded, compiler calls), the folder used, standard error."""
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    total, *counters, folder = json.loads(output)
    assert total == TOTAL
    return counters, folder, errors


def library(folder: Path) -> Path:
    (path,) = folder.glob("lt-*.so")
    return path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled") / "cache"
    counters, used, errors = finish(start(folder))
    assert (counters, used, errors) == ([5, 0, 1], str(folder), "")
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """A copy of a folder that holds the five kernels."""
    copy = tmp_path / "cache"
    copy.mkdir(mode=0o700)
    for path in filled.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's cache folder, empty, and nothing remembered in memory."""
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_addresses", {})
    monkeypatch.setattr(kernels, "_libraries", {})
    return tmp_path / "cache"


def test_a_second_process_compiles_nothing(folder: Path) -> None:
    assert finish(start(folder)) == ([0, 5, 0], str(folder), "")


def truncate_library(folder: Path) -> None:
    os.truncate(library(folder), 3000)


def empty_library(folder: Path) -> None:
    library(folder).write_bytes(b"")


def flip_a_byte(folder: Path) -> None:
    content = bytearray(library(folder).read_bytes())
    content[len(content) // 2] ^= 1
    library(folder).write_bytes(content)


def remove_library(folder: Path) -> None:
    library(folder).unlink()


def garble_entries(folder: Path) -> None:
    for path in folder.glob("lt-kernel-*"):
        path.write_bytes(b"\x00garbage")


def swap_entries(folder: Path) -> None:
    first, second, *_ = sorted(folder.glob("lt-kernel-*"))
    second.write_bytes(first.read_bytes())
    for path in folder.glob("lt-kernel-*"):
        if path not in (first, second):
            path.unlink()
    first.unlink()


def remove_entries(folder: Path) -> None:
    for path in folder.glob("lt-kernel-*"):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        truncate_library,
        empty_library,
        flip_a_byte,
        remove_library,
        garble_entries,
        swap_entries,
        remove_entries,
    ],
)
def test_damage_is_mended(folder: Path, damage: object) -> None:
    assert callable(damage)
    damage(folder)
    assert finish(start(folder)) == ([5, 0, 1], str(folder), "")
    assert finish(start(folder)) == ([0, 5, 0], str(folder), "")
    assert not list(folder.glob("lt-tmp-*"))


def test_a_damaged_probe_is_made_again(folder: Path) -> None:
    for path in folder.glob("lt-compiler-*"):
        path.write_bytes(b"{}")
    assert finish(start(folder)) == ([0, 5, 0], str(folder), "")


def test_processes_race_on_an_empty_cache(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    racers = [start(folder) for _ in range(3)]
    assert all(finish(racer)[1:] == (str(folder), "") for racer in racers)
    assert finish(start(folder)) == ([0, 5, 0], str(folder), "")
    assert not list(folder.glob("lt-tmp-*"))


class TestUnusableFolder:
    def check(self, folder: Path, problem: str) -> None:
        counters, used, errors = finish(start(folder))
        assert counters == [5, 0, 1]
        assert used != str(folder) and not Path(used).exists()  # removed at exit
        assert errors.count("RuntimeWarning") == 1 and problem in errors

    def test_writable_by_others(self, tmp_path: Path) -> None:
        folder = tmp_path / "cache"
        folder.mkdir()
        folder.chmod(0o777)
        self.check(folder, "can be written by other users")
        assert not list(folder.iterdir())

    def test_under_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        self.check(tmp_path / "file" / "cache", "cannot be made")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_somebody_elses(self, tmp_path: Path) -> None:
        folder = tmp_path / "cache"
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, 12345)
        self.check(folder, "belongs to another user")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_not_writable(self, tmp_path: Path) -> None:
        folder = tmp_path / "cache"
        folder.mkdir(mode=0o500)
        self.check(folder, "cannot be written")

    def test_a_disk_that_fills_up(self, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real_open = os.open

        def open_unless_full(path: Path, flags: int, mode: int = 0o777) -> int:
            if Path(path).parent == empty and flags & os.O_CREAT:
                raise OSError(28, "No space left on device")
            return real_open(path, flags, mode)

        assert cache.cache_folder() == empty
        monkeypatch.setattr(os, "open", open_unless_full)
        with pytest.warns(RuntimeWarning, match="No space left on device"):
            load_kernels([simple_kernel(1)])
        assert cache.cache_folder() != empty


def simple_kernel(number: int, name: str = "simple") -> KernelSource:
    return KernelSource(
        name, f"void KERNEL_NAME(long t, long n, char **a, char *s) {{ *(long *)a[0] = {number}; }}"
    )


def test_equal_kernels_are_compiled_once(empty: Path) -> None:
    statistics.reset()
    a, b, c = load_kernels([simple_kernel(1), simple_kernel(2), simple_kernel(1, "renamed")])
    assert a == c != b
    assert (statistics.kernels_compiled, statistics.compiler_calls) == (2, 1)
    assert load_kernels([simple_kernel(2)]) == [b]
    assert statistics.kernels_loaded == 0 and statistics.compiler_calls == 1


def test_large_batches_are_compiled_side_by_side(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_CHARACTERS_WORTH_A_PROCESS", 100)
    monkeypatch.setenv("LAZYTORCH_NUM_THREADS", "3")
    statistics.reset()
    assert len(set(load_kernels([simple_kernel(i) for i in range(12)]))) == 12
    assert statistics.compiler_calls == 3
    assert len(list(empty.glob("lt-*.so"))) == 3


def test_a_snippet_is_emitted_once_a_file() -> None:
    one, two = "static int one;", "static int two;"
    pair = [
        ("a", KernelSource("first", "void KERNEL_NAME() {}", (one, two))),
        ("b", KernelSource("second", "void KERNEL_NAME() {}", (two,))),
    ]
    text = kernels.kernel_file(pair)
    assert text.count(one) == text.count(two) == 1 and text.index(one) < text.index(two)
    assert "void a() {}" in text and "void b() {}" in text


def test_a_kernel_may_call_the_c_libraries(empty: Path) -> None:
    body = """
    void KERNEL_NAME(long t, long n, char **a, char *s) {
        float *x = (float *)a[0];
        struct big { char bytes[4096]; } b;
        memset(&b, 1, sizeof b);
        *x = expf(0.0f) + (float)b.bytes[n] + (float)(_Float16)*x;
    }"""
    snippet = "float expf(float); void *memset(void *, int, unsigned long);"
    (address,) = load_kernels([KernelSource("calls", body, (snippet,))])
    value = ctypes.c_float(0.5)
    arguments = (ctypes.c_void_p * 1)(ctypes.addressof(value))
    call = ctypes.CFUNCTYPE(None, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    call(address)(0, 1, ctypes.addressof(arguments), None)
    assert value.value == 2.5


def test_a_refused_kernel_says_why_and_keeps_its_source(empty: Path) -> None:
    with pytest.raises(CompileError) as caught:
        load_kernels([KernelSource("broken", "void KERNEL_NAME() { return nonsense; }")])
    message = str(caught.value)
    (kept,) = empty.glob("lt-failed-*.c")
    assert "nonsense" in message and str(kept) in message and "command:" in message
    assert "nonsense" in kept.read_text()
    assert not list(empty.glob("lt-tmp-*"))


class TestFindCompiler:
    @pytest.fixture(autouse=True)
    def forget(self, monkeypatch: pytest.MonkeyPatch) -> object:
        find_compiler.cache_clear()
        yield
        monkeypatch.undo()
        find_compiler.cache_clear()

    def test_nothing_to_find(self, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
        assert find_compiler() is None
        with pytest.raises(CompileError, match="no C compiler was found"):
            load_kernels([simple_kernel(1)])

    def test_a_chosen_compiler_that_does_not_work(
        self, empty: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LAZYTORCH_CC", "false --really")
        with pytest.warns(RuntimeWarning, match="LAZYTORCH_CC=false --really cannot compile"):
            assert find_compiler() is not None

    def test_a_program_that_only_claims_to_compile(
        self, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = tmp_path / "cc"
        fake.write_text("#!/bin/sh\necho cc 1.0\nexit 0\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
        assert find_compiler() is None

    def test_refused_flags_are_dropped(
        self, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compiler, "_OPTIONAL_FLAGS", (("-w",), ("--no-such-flag",)))
        found = find_compiler()
        assert found is not None
        assert "-w" in found.flags and "--no-such-flag" not in found.flags


class TestCacheFiles:
    def test_checked_files(self, empty: Path) -> None:
        path = cache.cache_path("plan-1")
        assert cache.read_checked(path) is None
        cache.write_checked(path, b"content")
        assert cache.read_checked(path) == b"content"
        cache.write_checked(path, b"")
        assert cache.read_checked(path) == b""
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert cache.read_checked(path) is None and not path.exists()

    def test_the_folder_is_private(self, empty: Path) -> None:
        assert cache.cache_folder().stat().st_mode & 0o777 == 0o700

    def test_clearing_leaves_other_files(self, empty: Path) -> None:
        cache.write_checked(cache.cache_path("plan-1"), b"content")
        (empty / "notes.txt").write_text("mine")
        size, count = cache.size_and_count()
        assert count == 1 and size > len(b"content")
        cache.clear()
        assert cache.size_and_count() == (0, 0)
        assert [path.name for path in empty.iterdir()] == ["notes.txt"]


def test_comments_are_no_part_of_a_kernel(empty: Path) -> None:
    body = "void KERNEL_NAME(long t, long n, char **a, char *s) { *a = 0; /* %s */ } // %s"
    bodies = [body % pair for pair in (("floats", "[3]"), ("ints", "[4]"))]
    one, other = load_kernels([KernelSource("clear", text) for text in bodies])
    assert one == other


def test_another_process_compiles(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it left in the cache is loaded; what it could not compile is compiled here."""
    body = "void KERNEL_NAME(long t, long n, char **a, char *s) { *(long *)a[0] = %d; }"
    asked: list[int] = []

    def elsewhere(missing: Mapping[str, KernelSource]) -> None:
        asked.append(len(missing))
        if len(asked) == 1:
            kernels.compile_into_cache(missing)

    monkeypatch.setattr(kernels, "compile_elsewhere", elsewhere)
    for number, compiled_here in ((1, 0), (2, 1)):
        before = statistics.kernels_compiled
        sources = [KernelSource("set", body % number)]
        assert load_kernels(sources) == load_kernels(sources)
        assert statistics.kernels_compiled - before == compiled_here
    assert asked == [1, 1]
