"""oneDNN, which is not used: generated kernels are the same with every setting here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

enabled = True
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    return False


@contextmanager
def flags(
    enabled: bool = False,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """Set the switches inside a ``with`` block."""
    here = globals()
    chosen = {"enabled": enabled, "deterministic": deterministic, "allow_tf32": allow_tf32}
    before = {name: here[name] for name in chosen}
    here.update(chosen)
    try:
        yield
    finally:
        here.update(before)
