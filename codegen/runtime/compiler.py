"""Find a C compiler, learn which flags it takes, and run it: C text in, shared objects out."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from codegen import settings, spans
from codegen.errors import CompileError
from codegen.runtime import cache
from codegen.statistics import statistics

_PROBE_FORMAT = 3
# It calls both libraries that generated code may need, so that a refused link is seen here.
_PROBE_PROGRAM = """\
float expf(float); void *memcpy(void *, const void *, unsigned long);
int probe(int x) { int y; memcpy(&y, &x, sizeof y); return y + (int)expf((float)(x - x)); }
"""
_MESSAGE_LINES = 20

_REQUIRED_FLAGS = ("-O2", "-fPIC", "-shared")
# Each group is dropped if the compiler refuses it.
_OPTIONAL_FLAGS: tuple[tuple[str, ...], ...] = (
    ("-std=gnu11",),
    ("-w",),
    ("-march=native",),
    ("-ftree-vectorize",),
    ("-fno-math-errno",),
    ("-fno-trapping-math",),
    ("-ffp-contract=fast",),
    ("-fvisibility=default",),
    ("-pipe",),
)
_GCC_FLAGS = (("-fvect-cost-model=dynamic",),)
_ZIG_FLAGS = (("-target", "native"), ("-fno-sanitize=undefined",))
# gcc prefers 256-bit vectors by itself, which costs element-wise kernels a third of their speed.
# With native half precision gcc 12 drops the rounding of float to half to double. Partial results
# are set to zero by stores that gcc chooses by other flags: where those are narrower than the load
# that follows, it waits for them, which takes longer than a short row.
_AVX512_FLAGS = (
    ("-mprefer-vector-width=512",),
    ("-mno-avx512fp16",),
    ("-mmove-max=512", "-mstore-max=512"),
)
# No start files saves 8 ms a call; the C libraries are still named, for the symbols' versions.
_LINK_FLAGS = (("-nostdlib", "-nostartfiles", "-Wl,--as-needed", "-lm", "-lc", "-lgcc"),)


@dataclass(frozen=True)
class Compiler:
    """A C compiler that was seen to work: its command, its version text, the flags it takes."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]

    @functools.cached_property
    def fingerprint(self) -> str:
        """What the machine code depends on besides its source."""
        return "\n".join((self.version, " ".join(self.flags), processor()))

    def command_line(self, output: Path) -> list[str]:
        """The command that reads C from its standard input and writes ``output``."""
        # Libraries must follow the source that needs them, hence the flags after the "-".
        return [*self.command, "-x", "c", "-", "-o", str(output), *self.flags]


@functools.cache
def find_compiler() -> Compiler | None:
    """The first compiler that works, of LAZYTORCH_CC, cc, gcc, clang and the ziglang wheel."""
    chosen = settings.get("LAZYTORCH_CC")
    if chosen:
        command = tuple(shlex.split(chosen))
        compiler = _believe(command)
        if compiler is not None:
            return compiler
        warnings.warn(
            f"lazytorch: LAZYTORCH_CC={chosen} cannot compile; looking for another compiler",
            RuntimeWarning,
            stacklevel=2,
        )
    for command in _candidates():
        compiler = _believe(command)
        if compiler is not None:
            return compiler
    return None


def required_compiler() -> Compiler:
    """``find_compiler()``; CompileError, which says how to get one, if there is none."""
    compiler = find_compiler()
    if compiler is None:
        raise CompileError(
            "no C compiler was found: install gcc or clang, or `pip install ziglang`, "
            "or set LAZYTORCH_CC"
        )
    return compiler


def compile_many(sources: Sequence[str], outputs: Sequence[Path]) -> None:
    """Compile each C text into the shared object ``outputs[i]``, side by side.

    An output appears whole or not at all. Raises CompileError for the first text that the
    compiler refuses.
    """
    compiler = required_compiler()
    began = spans.now() if spans.listeners else 0
    at_once = settings.num_threads()
    waiting = list(zip(sources, outputs, strict=True))
    running: list[_Run] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(_Run(compiler, *waiting.pop(0)))
                statistics.compiler_calls += 1
            running[0].finish()
            running.pop(0)
    finally:
        for run in running:
            run.abandon()
        if began:
            spans.note("compile", "compile", began, files=len(sources))


class _Run:
    """One compiler process."""

    def __init__(self, compiler: Compiler, source: str, output: Path) -> None:
        unique = f"lt-tmp-{os.getpid()}-{os.urandom(6).hex()}"
        self.output = output
        self.source = output.with_name(unique + ".c")
        self.temporary = output.with_name(unique + ".so")
        self.command = compiler.command_line(self.temporary)
        self.digest = hashlib.sha256(source.encode()).hexdigest()
        try:
            self.source.write_text(source)
            with open(self.source, "rb") as text:
                # In a session of its own: what Ctrl-C sends to this process's group is not for it.
                self.process = _started(self.command, text)
        except BaseException:
            cache.discard(self.source)
            raise

    def finish(self) -> None:
        _, messages = self.process.communicate()
        if self.process.returncode == 0:
            os.replace(self.temporary, self.output)
            cache.discard(self.source)
            return
        if _was_killed(self.process.returncode, messages):
            cache.discard(self.source)
            cache.discard(self.temporary)
            raise CompileError(
                f"the C compiler was killed before it was done: {shlex.join(self.command[:1])} "
                "ended by a signal, as it does where the system has no memory left. What it was "
                "to compile is compiled again when it is asked for again."
            )
        kept = self.source.with_name(f"lt-failed-{self.digest[:16]}.c")
        os.replace(self.source, kept)
        lines = messages.decode(errors="replace").splitlines()[:_MESSAGE_LINES]
        raise CompileError(
            "the C compiler refused a generated file\n"
            f"command: {shlex.join(self.command)} < {kept}\n"
            f"source:  {kept}\n" + "\n".join(lines)
        )

    def abandon(self) -> None:
        with self.process:  # closes its pipe and waits for it
            if self.process.returncode is None:
                self._kill()
        cache.discard(self.source)
        cache.discard(self.temporary)

    def _kill(self) -> None:
        """End the compiler and the programs that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (AttributeError, OSError):  # not a POSIX system; or it has ended
            self.process.kill()


def _started(command: list[str], text: BinaryIO) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=text, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CompileError(
            f"the C compiler {command[0]!r} cannot be started any more ({error.strerror}): install "
            "it again, or set LAZYTORCH_CC and start anew"
        ) from error


def _was_killed(status: int, messages: bytes) -> bool:
    """Whether the compiler, or a program that it had started, was ended by a signal."""
    return status < 0 or b"Killed signal" in messages or b"Terminated signal" in messages


def _candidates() -> Iterator[tuple[str, ...]]:
    for name in ("cc", "gcc", "clang"):
        yield (name,)
    wheel = importlib.util.find_spec("ziglang")
    if wheel is not None and wheel.origin is not None:
        binary = Path(wheel.origin).with_name("zig")
        # `python -m ziglang` only starts this binary; doing so ourselves saves a Python start.
        yield (str(binary), "cc") if binary.exists() else (sys.executable, "-m", "ziglang", "cc")


def _believe(command: tuple[str, ...]) -> Compiler | None:
    """The compiler behind ``command``: as remembered on disk, else as found by trying it."""
    executable = shutil.which(command[0]) if command else None
    if executable is None:
        return None
    executable = os.path.realpath(executable)
    status = os.stat(executable)
    identity = json.dumps(
        [_PROBE_FORMAT, command, executable, status.st_mtime_ns, status.st_size, processor()]
    )
    path = cache.cache_path("compiler-" + hashlib.sha256(identity.encode()).hexdigest()[:32])
    remembered = cache.read_checked(path)
    if remembered is not None:
        record = json.loads(remembered)
        if record["identity"] == identity:
            return Compiler(command, record["version"], tuple(record["flags"]))
    compiler = _probe(command)
    if compiler is not None:
        record = {"identity": identity, "version": compiler.version, "flags": compiler.flags}
        try:
            cache.write_checked(path, json.dumps(record).encode())
        except OSError:  # a full disk: the next process asks the compiler again
            return compiler
    return compiler


def _probe(command: tuple[str, ...]) -> Compiler | None:
    """Ask ``command`` for its version and for the flags with which it compiles."""
    try:
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    version = (answer.stdout.splitlines() or [""])[0]
    groups = list(_OPTIONAL_FLAGS)
    if "Free Software Foundation" in answer.stdout:
        groups += _GCC_FLAGS
    if "zig" in " ".join(command):
        groups += _ZIG_FLAGS
    if "avx512f" in processor():
        groups += _AVX512_FLAGS
    groups += _LINK_FLAGS
    everything = Compiler(command, version, _REQUIRED_FLAGS + sum(groups, ()))
    if _compiles(everything):
        return everything
    compiler = Compiler(command, version, _REQUIRED_FLAGS)
    if not _compiles(compiler):
        return None
    for group in groups:
        more = Compiler(command, version, compiler.flags + group)
        if _compiles(more):
            compiler = more
    return compiler


def _compiles(compiler: Compiler) -> bool:
    """Whether a small program compiles, loads into this process, and computes what it should."""
    output = cache.temporary_path(".so")
    try:
        finished = subprocess.run(
            compiler.command_line(output),
            input=_PROBE_PROGRAM.encode(),
            capture_output=True,
            timeout=120,
        )
        return finished.returncode == 0 and ctypes.CDLL(str(output)).probe(41) == 42
    except (OSError, subprocess.SubprocessError, AttributeError):
        return False
    finally:
        cache.discard(output)


@functools.cache
def processor() -> str:
    """What distinguishes this machine's processor: its architecture, model and instructions."""
    try:
        # The first processor's entry is enough: a large machine's whole file takes milliseconds.
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            lines = file.read(8192).decode(errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    wanted = ("model name", "flags", "Features", "CPU part")
    facts = [line for line in lines if line.startswith(wanted)]
    return "\n".join([platform.machine(), *(facts or [platform.processor()])])
