"""What every operation of every step does, without the interpreter, where records.c can be loaded.

Each of its functions has a twin in Python, which says what it does, and does it where there is no C
compiler, or another Python than CPython. It is loaded when steps repeat, so that a short program
does not wait for it to be compiled.
"""

from __future__ import annotations

import ctypes
import importlib.resources
import itertools
import sys
import sysconfig
import weakref
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from codegen import settings
from codegen.ir.node import TensorType
from codegen.runtime import memory
from codegen.runtime.kernels import load_library
from codegen.runtime.memory import Buffer
from lazytorch.expression import (
    WEAK_FLOAT,
    Call,
    Expression,
    Function,
    Overwritten,
    Signature,
    next_in_sequence,
    scalar,
)
from lazytorch.storage import Storage, born, held, pending_writes

# Together one file of C: what is recorded and recognised, what compiled functions read and do, and
# what is written and computed.
_FILES = ("records.c", "guards.c", "replays.c", "steps.c", "runs.c")
# Steps that repeat one before it, until it is loaded.
_REPEATS = 16

# The objects that it knows by name; other modules add theirs.
known_to_native: dict[str, Any] = {
    "None": None, "True": True, "False": False, "zero": 0, "empty": (), "cpu": "cpu",
    "float_type": float, "int_type": int, "list_type": list, "tuple_type": tuple,
    "reference_type": weakref.ref, "Expression": Expression, "Call": Call, "Storage": Storage,
    "Buffer": Buffer,
    "Overwritten": Overwritten, "scalar": scalar, "weak_float": WEAK_FLOAT, "born": born,
    "held": held, "pending_writes": pending_writes, "next_in_sequence": next_in_sequence,
    "name_storage": "_storage", "name_geometry": "_geometry", "name_marker": "_marker",
    "name_connected": "_connected", "name_silent": "_silent",
    "name_grad": "_grad", "name_type": "_type",
    "name_differentiable": "differentiable", "memory": memory.__dict__, "name_free": "_free",
    "name_live": "_live", "name_waiting": "_waiting", "name_peak": "_peak",
    "name_highest": "_highest",
}  # fmt: skip
_CLASSES = {
    c.__name__: c
    for c in (Buffer, Call, Expression, Function, Overwritten, Signature, Storage, TensorType)
}


class Native:
    """The functions of records.c, None while it is not loaded."""

    plain: Callable[..., Any] | None = None
    record: Callable[..., Any] | None = None
    write_over: Callable[..., Any] | None = None
    known_trace: Callable[..., Any] | None = None
    known_walk: Callable[..., Any] | None = None
    loses_any: Callable[..., Any] | None = None
    pending: Callable[..., Any] | None = None
    held: Callable[..., Any] | None = None
    free_leaves: Callable[..., Any] | None = None
    settle: Callable[..., Any] | None = None
    let_go: Callable[..., Any] | None = None
    unchanged: Callable[..., Any] | None = None
    fits: Callable[..., Any] | None = None
    replay: Callable[..., Any] | None = None
    compute: Callable[..., Any] | None = None

    def __init__(self) -> None:
        self._repeats = 0

    def count_repeat(self) -> None:
        """A step that may be one of many: enough of them load it."""
        self._repeats += 1
        if self._repeats == _REPEATS and settings.get("LAZYTORCH_RECORDS") != "0":
            self.load()

    def load(self) -> bool:
        """Load it, where that is possible; whether it is there."""
        if self.plain is None:
            try:
                functions = _loaded()
            except Exception:  # no compiler, or a Python that keeps its objects in another way
                return False
            self.__dict__.update(functions)
        return True

    def unload(self) -> None:
        """Go on in Python."""
        repeats = self._repeats
        self.__dict__.clear()
        self._repeats = repeats


native = Native()


def packed(numbers: Iterable[Sequence[int]]) -> bytes:
    """Numbers as records.c reads them."""
    return array("i", itertools.chain.from_iterable(numbers)).tobytes()


def packed_words(rows: Iterable[Sequence[int]]) -> bytes:
    """As ``packed``, numbers that may be addresses."""
    return array("q", itertools.chain.from_iterable(rows)).tobytes()


def source_in_c() -> str:
    """What is compiled."""
    folder = importlib.resources.files("lazytorch")
    return "\n".join([folder.joinpath(name).read_text() for name in _FILES])


def _loaded() -> dict[str, Callable[..., Any]]:
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NotImplementedError("its objects are not CPython's")
    if _words(Function)[1] != id(type):
        raise NotImplementedError("a class is not where it is expected in an object")
    library = ctypes.PyDLL(load_library(source_in_c())._name)

    def names(table: str) -> list[str]:
        text = ctypes.c_char.in_dll(library, table)
        return ctypes.string_at(ctypes.addressof(text)).decode().split()

    functions = [
        ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        for name in names("lt_functions")
    ]
    slots = [_offset(*name.split(".")) for name in names("lt_slots")]
    objects = [id(known_to_native[name]) for name in names("lt_objects")]
    library.lt_fill(
        (ctypes.c_void_p * len(functions))(*functions),
        (ctypes.c_long * len(slots))(*slots),
        (ctypes.c_void_p * len(objects))(*objects),
    )
    library.lt_method.restype = ctypes.py_object
    methods = {}
    for i in range(library.lt_method_count()):
        method = library.lt_method(i)
        methods[method.__name__] = method
    return methods


def _words(o: Any) -> ctypes.Array[ctypes.c_size_t]:
    """The memory of an object that has nothing but slots, or its beginning."""
    size = type(o).__basicsize__ // ctypes.sizeof(ctypes.c_size_t)
    return (ctypes.c_size_t * size).from_address(id(o))


def _offset(class_name: str, slot: str) -> int:
    """Where in its instances a class keeps a slot."""
    kind = _CLASSES.get(class_name) or known_to_native[class_name]
    if slot == "__weakref__":
        return int(kind.__weakrefoffset__)
    held, instance = object(), object.__new__(kind)
    setattr(instance, slot, held)
    offset = list(_words(instance)).index(id(held)) * ctypes.sizeof(ctypes.c_size_t)
    delattr(instance, slot)  # for what is called at its end
    return offset
