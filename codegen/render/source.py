"""What rendering hands to the runtime: one kernel as text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelSource:
    """One kernel.

    ``body`` defines ``void KERNEL_NAME(long thread, long threads, char **arguments,
    char *scratch)``. ``prologue`` holds the file-scope snippets it needs, each after those it
    needs itself; a snippet is emitted once a file, so its names must be its own.
    """

    name: str
    body: str
    prologue: tuple[str, ...] = ()
