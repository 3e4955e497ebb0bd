"""The exceptions that the compiler raises for reasons of its own."""

from __future__ import annotations


class CodegenError(RuntimeError):
    """Something in ``codegen`` cannot go on; the message says what, where and how to mend it.

    ``kernels``: the names of those that it is about, where it is about some of a plan's.
    ``numbers``: their places in the plan, where those are known. ``outputs``: the numbers of the
    plan's outputs that are made of what failed, where those are known.
    """

    kernels: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


class CompileError(CodegenError):
    """The C compiler refused generated code, or there is no C compiler."""


class VerifyError(CodegenError):
    """A pass produced an ill-formed graph or kernel: a defect of the engine, not of the program."""


class UnsupportedTypeError(CodegenError):
    """A device cannot compute in an element type that a program uses."""


class OutOfMemoryError(CodegenError):
    """A device has no room for what a plan needs; nothing was changed by the attempt."""


class HostCallError(CodegenError):
    """A routine of the host, such as one of LAPACK's, raised something while a plan ran."""


class CheckError(CodegenError):
    """Check mode found a kernel that is wrong, or the first NaN or infinity; the message names the
    user's line, the kernel, and the inputs' ranges."""
