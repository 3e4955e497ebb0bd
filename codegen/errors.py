"""Errors of the compiler; each message says what, where, and how to mend it."""

from __future__ import annotations


class CodegenError(RuntimeError):
    """The compiler could not do its work."""


class VerifyError(CodegenError):
    """A pass produced an ill-formed graph or kernel: a defect of the engine, not of the program."""
