"""Kernels that differ in numbers alone: what varies becomes an argument, and is compiled once.

Sizes are literals in a kernel's text. Where a program comes again with other sizes (the last batch
of an epoch, a longer sentence), its kernels mostly read the same but for some numbers. Those are
then read from memory that the plan passes (in OpenCL they are arguments of the kernel), so that the
text is the same for every further size, and nothing is compiled for them. Which numbers those are
is found by comparing texts: each size is lowered as if it were the only one, so a number that is
not a multiple of a size, or a kernel that has to be another, is nothing special.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from codegen.runtime.plan import KernelRecord, PlanRecord

# Numbers that are no part of a name, with their suffixes; those that advise a compiler on vectors
# need not be a kernel's own.
_ADVICE = re.compile(r"(?<=vectorize_width\()\d+|(?<=interleave_count\()\d+")
_NUMBER = re.compile(
    r"(?<!vectorize_width\()(?<!interleave_count\()(?<![\w.])(?:\d+\.\d*(?:e[+-]?\d+)?|\d+(?:e[+-]?\d+)?)[uLf]*(?![\w.])"
)
_COMMENT = re.compile(r"//.*")
_OPENING = re.compile(r"void KERNEL_NAME\(.*\) \{\n")
_SIZES = re.compile(r"    const long \*sizes_ = .*\n|,\n    const [\w ]+ size0_.*(?=\n\) \{\n)")
_OPENING_OF_OPENCL = re.compile(r"__kernel (?:\w+ )?void KERNEL_NAME\([^{]*(?=\n\) \{\n)")
_OF_TASKS = (" * thread / threads", " * (thread + 1) / threads")
_SIZE_NAME = re.compile(r"\bsize(\d+)_")
# Kernels whose speed depends on what the compiler knows of their sizes.
_SENSITIVE = ("contraction", "chain")
_ARRAY = re.compile(r"\[\d")


First = TypeVar("First")


class Family(Generic[First]):
    """Plans of one program at several sizes, each with its leaves' types in words.

    ``first``: what the plan at the first size was made from, until there is a second.
    ``made``: the plans by their descriptions and numbers of threads.
    """

    def __init__(self) -> None:
        self.first: tuple[First, list[str]] | None = None
        self.made: dict[tuple[str, int], PlanRecord] = {}
        self._leaves: list[list[str]] = []  # of each plan
        # By their texts without numbers: kernels, and the numbers of the plans that they are from.
        self._kernels: dict[tuple[str, ...], list[tuple[KernelRecord, int]]] = {}

    @property
    def is_empty(self) -> bool:
        return not self._leaves

    def add(self, record: PlanRecord, leaves: list[str]) -> None:
        for kernel in record.kernels:
            if kernel.host is None:
                alike = self._kernels.setdefault(_skeleton(kernel), [])
                if kernel.name in _SENSITIVE or all([kernel.body != k.body for k, _ in alike]):
                    alike.append((kernel, len(self._leaves)))
        self._leaves.append(leaves)

    def is_resized(self, leaves: list[str]) -> bool:
        """Whether something (weights, most likely) has the size that it had in another plan."""
        return any([_share(leaves, types) for types in self._leaves])

    def generalized(self, record: PlanRecord, leaves: list[str]) -> list[KernelRecord]:
        """The record's kernels with arguments for the numbers in which they differ from those of
        other plans. Products of matrices keep theirs where nothing kept its size."""
        if self.is_empty:
            return record.kernels
        resized = [_share(leaves, types) for types in self._leaves]
        found = []
        for kernel in record.kernels:
            alike: dict[str, KernelRecord] = {}
            if kernel.host is None:
                for other, plan in self._kernels.get(_skeleton(kernel), ()):
                    if resized[plan] or other.name not in _SENSITIVE:
                        alike.setdefault(other.body, other)
            found.append(_generalized(kernel, tuple(alike.values())))
        return found


def _share(leaves: Sequence[str], others: Sequence[str]) -> bool:
    return any([x == y and _ARRAY.search(x) for x, y in zip(leaves, others, strict=True)])


def family_key(description: str) -> tuple[str, list[str]]:
    """What the plans of one program have in common, and what its leaves are."""
    leaves = [line for line in description.split("\n") if line.startswith("leaf ")]
    return re.sub(r"\d+", "#", description), leaves


def _generalized(kernel: KernelRecord, alike: Sequence[KernelRecord]) -> KernelRecord:
    """The kernel as one of those alike if it can be, else over what it has in common with them."""
    if not alike:
        return kernel
    found = _numbers(literal_text(kernel))
    for other in alike:
        sizes = _sizes_in(other, found)
        if sizes is not None:
            return replace(kernel, body=other.body, sizes=sizes)
    others = [_numbers(literal_text(k)) for k in alike]
    if found in others:
        return kernel
    text = _COMMENT.sub(_without_numbers, literal_text(kernel))
    names: dict[tuple[str, ...], int] = {}
    chosen: list[int | None] = []  # for each number, which size it is
    for match, *column in zip(_NUMBER.finditer(text), found, *others, strict=True):
        key = tuple(column)
        # A number of tasks depends on sizes even where it is the same for those seen so far.
        of_tasks = text.startswith(_OF_TASKS, match.end())
        if len({_c_type(token) for token in key}) > 1:
            return kernel  # a number that changes its type is another program
        if len(set(key)) > 1 or of_tasks:
            key = (*key, "tasks") if of_tasks else key
            chosen.append(names.setdefault(key, len(names)))
        else:
            chosen.append(None)
    number = iter(chosen)

    def name(match: re.Match[str]) -> str:
        size = next(number)
        return match[0] if size is None else f"size{size}_"

    body = _NUMBER.sub(name, text)
    sizes = [key[0] for key in names]
    return replace(kernel, body=_taking_sizes(body, sizes, len(kernel.slots)), sizes=sizes)


def _taking_sizes(body: str, sizes: Sequence[str], slots: int) -> str:
    """The text with its sizes declared: in C read from memory that stands behind the slots."""
    opening = _OPENING_OF_OPENCL.search(body)
    if opening is not None:
        parameters = [f"const {_c_type(t)} size{i}_" for i, t in enumerate(sizes)]
        line = ",\n    " + ", ".join(parameters)
    else:
        opening = _OPENING.search(body)
        assert opening is not None
        declared = "".join(
            [f" const {_c_type(t)} size{i}_ = {_loaded(t, i)};" for i, t in enumerate(sizes)]
        )
        line = f"    const long *sizes_ = (const long *)arguments[{slots}];{declared}\n"
    return body[: opening.end()] + line + body[opening.end() :]


def literal_text(kernel: KernelRecord) -> str:
    """A kernel's text with its sizes in it."""
    if not kernel.sizes:
        return kernel.body
    return _SIZE_NAME.sub(lambda m: kernel.sizes[int(m[1])], _SIZES.sub("", kernel.body))


def _sizes_in(kernel: KernelRecord, numbers: Sequence[str]) -> list[str] | None:
    """The sizes with which a generalized kernel is the one with these numbers, if it can be."""
    if not kernel.sizes:
        return None
    sizes: dict[int, str] = {}
    for token, number in zip(_tokens(kernel), numbers, strict=True):
        name = _SIZE_NAME.fullmatch(token)
        if name is None:
            if token != number:
                return None
            continue
        i = int(name[1])
        if sizes.setdefault(i, number) != number or _c_type(number) != _c_type(kernel.sizes[i]):
            return None
    return [sizes[i] for i in range(len(kernel.sizes))]


def _tokens(kernel: KernelRecord) -> list[str]:
    """The numbers, or names of sizes, of a generalized kernel in their order."""
    return _tokens_of(kernel.body)


@lru_cache(maxsize=4096)
def _tokens_of(body: str) -> list[str]:
    text = _COMMENT.sub("", _SIZES.sub("", body))
    return re.findall(f"{_NUMBER.pattern}|{_SIZE_NAME.pattern.replace('(', '(?:')}", text)


@lru_cache(maxsize=4096)
def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(_COMMENT.sub("", text))


def _skeleton(kernel: KernelRecord) -> tuple[str, ...]:
    return _skeleton_of(literal_text(kernel)), *kernel.prologue


@lru_cache(maxsize=4096)
def _skeleton_of(text: str) -> str:
    return _ADVICE.sub("#", _NUMBER.sub("#", _COMMENT.sub("", text)))


def _without_numbers(comment: re.Match[str]) -> str:
    return re.sub(r"\d+(?=[^\w]|$)", "n", comment[0])


def _c_type(token: str) -> str:
    """The type that C gives the literal."""
    if "f" in token:
        return "float"
    if "." in token or "e" in token:
        return "double"
    unsigned = "unsigned " if "u" in token else ""
    number = int(token.rstrip("uL"))
    wide = "L" in token or number >= 1 << (32 if unsigned else 31)
    return unsigned + ("long" if wide else "int")


def _loaded(token: str, i: int) -> str:
    kind = _c_type(token)
    if kind in ("float", "double"):
        return f"({kind})((const double *)sizes_)[{i}]"
    return f"({kind})sizes_[{i}]"


_NUMPY_TYPES = {
    "int": np.int32, "unsigned int": np.uint32, "long": np.int64, "unsigned long": np.uint64,
    "float": np.float32, "double": np.float64,
}  # fmt: skip


def size_arguments(sizes: Sequence[str]) -> list[Any]:
    """The sizes as arguments of an OpenCL kernel: NumPy's numbers, of the types declared."""
    return [_NUMPY_TYPES[_c_type(token)](token.rstrip("fuL")) for token in sizes]


def packed_sizes(sizes: Sequence[str]) -> bytes:
    """The sizes as a kernel reads them: eight bytes each."""
    result = b""
    for token in sizes:
        if _c_type(token) in ("float", "double"):
            result += struct.pack("d", float(token.rstrip("f")))
        else:
            result += struct.pack("Q", int(token.rstrip("uL")))
    return result
