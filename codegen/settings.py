"""Every environment variable that the engine reads, with its meaning; nothing else reads any."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting("LAZYTORCH_CACHE_DIR", "", "folder of compiled kernels and plans"),
    Setting("LAZYTORCH_NUM_THREADS", "", "threads of the cpu device; default: all cores"),
    Setting(
        "LAZYTORCH_DEBUG",
        "0",
        "1: a line a kernel; 2: its source too; 3: the graph too; 4: the graph after each pass too",
    ),
    Setting("LAZYTORCH_CHECK", "0", "1: compare every kernel with the interpreter as it runs"),
    Setting("LAZYTORCH_DUMP", "", "folder into which every plan made is written, to be read"),
    Setting("LAZYTORCH_DEVICE", "cpu", "device of tensors made without device="),
    Setting("LAZYTORCH_CC", "", "C compiler to use instead of the first one found"),
    Setting(
        "LAZYTORCH_TUNE",
        "",
        "other schedules of heavy contractions are timed: 0: never; 1: from a plan's first run on; "
        "default: once a plan has run often",
    ),
    Setting(
        "LAZYTORCH_MATRIX_UNITS",
        "",
        "units for bfloat16 products: amx, avx512_bf16 or none; default: the best that works",
    ),
    Setting(
        "LAZYTORCH_WINOGRAD",
        "",
        "3 x 3 convolutions with fewer multiplications: 0: never; 1: all that can be; "
        "default: where it is clearly less work",
    ),
    Setting(
        "LAZYTORCH_RECORDS",
        "",
        "0: operations are recorded by Python alone; default: by C too, once steps repeat",
    ),
    Setting(
        "LAZYTORCH_OPENCL_SCHEDULE",
        "",
        "gpu or cpu: schedules of OpenCL kernels; default: as the device is",
    ),
    Setting("TORCH_HOME", "", "folder of fetched weights; default: PyTorch's own"),
    Setting("LAZYTORCH_VERIFY", "0", "1: check the graph and the loops after every pass"),
)
_DEFAULTS = {s.name: s.default for s in SETTINGS}


def get(name: str) -> str:
    """The current value of a setting listed in SETTINGS."""
    return os.environ.get(name) or _DEFAULTS[name]


def cache_dir() -> Path:
    """The cache folder: LAZYTORCH_CACHE_DIR, or ``lazytorch`` in the user's cache folder."""
    chosen = get("LAZYTORCH_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    return _user_cache() / "lazytorch"


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) if base else Path.home() / ".cache"


def torch_home() -> Path:
    """Where fetched weights are kept: TORCH_HOME, or ``torch`` in the user's cache folder."""
    chosen = get("TORCH_HOME")
    return Path(chosen).expanduser() if chosen else _user_cache() / "torch"


def num_threads() -> int:
    """Threads asked for by LAZYTORCH_NUM_THREADS, else the cores this process may use."""
    chosen = get("LAZYTORCH_NUM_THREADS")
    if chosen:
        return max(1, int(chosen))
    return cores()


@functools.cache
def cores() -> int:
    """Cores that this process may use, as found first."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def launched_with(*names: str) -> str | None:
    """The first of these variables that is set: what starts several processes tells each its place
    in them (RANK, WORLD_SIZE, MASTER_ADDR …). They are the launcher's and no settings."""
    return next((os.environ[name] for name in names if name in os.environ), None)


def debug_level() -> int:
    return int(get("LAZYTORCH_DEBUG"))


def set_linker_folder(folder: Path) -> None:
    """Where a clang in this process, which is PoCL's, looks for ``ld`` first."""
    os.environ["COMPILER_PATH"] = str(folder)
