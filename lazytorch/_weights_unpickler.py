"""An unpickler that builds tensors and plain containers, and calls nothing but listed names."""

from __future__ import annotations

import _compat_pickle
import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

# Opcodes that build plain values and containers. What is missing on purpose: the ones that make
# instances by other ways than REDUCE and NEWOBJ, and those that read the extension registry.
_PLAIN_OPCODES = (
    pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK,
    pickle.DUP, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT,
    pickle.BININT1, pickle.BININT2, pickle.LONG, pickle.LONG1, pickle.LONG4, pickle.FLOAT,
    pickle.BINFLOAT, pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.UNICODE,
    pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES,
    pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.BYTEARRAY8, pickle.TUPLE,
    pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_LIST,
    pickle.LIST, pickle.EMPTY_DICT, pickle.DICT, pickle.EMPTY_SET, pickle.FROZENSET,
    pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.PUT, pickle.BINPUT,
    pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINPERSID, pickle.GLOBAL, pickle.STACK_GLOBAL,
)  # fmt: skip
_DICTS = (dict, OrderedDict, Counter, defaultdict)

_BasePickleLoader: Any = pickle._Unpickler


class WeightsUnpickler(_BasePickleLoader):  # type: ignore[misc]
    """Loads a pickle whose every global name is one that ``allowed`` gives an object for.

    ``allowed(module, name)`` returns the object, or raises ``pickle.UnpicklingError``;
    ``user_types`` are the classes whose state a pickle may set as it likes.
    """

    def __init__(
        self,
        file: Any,
        allowed: Callable[[str, str], Any],
        user_types: set[type],
        persistent_load: Callable[[Any], Any],
        **options: Any,
    ) -> None:
        super().__init__(file, **options)
        self._allowed = allowed
        self._user_types = user_types
        self._granted: dict[int, Any] = {}
        self.persistent_load = persistent_load

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:
            # Pickles of these protocols use the names of Python 2.
            module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        found = self._allowed(module, name)
        self._granted[id(found)] = found
        return found

    def load(self) -> Any:
        try:
            return super().load()
        except (pickle.UnpicklingError, EOFError):
            raise
        except KeyError as error:
            raise pickle.UnpicklingError(f"Unsupported operand or memo key {error}") from error
        except (IndexError, AttributeError, TypeError, ValueError) as error:
            raise pickle.UnpicklingError(f"The pickle is damaged: {error}") from error

    def _callee(self, callee: Any) -> Any:
        if id(callee) not in self._granted:
            raise pickle.UnpicklingError(f"Trying to call the unrecognized object {callee!r}")
        return callee

    def _reduce(self) -> None:
        self._callee(self.stack[-2])
        _BasePickleLoader.load_reduce(self)

    def _new_object(self) -> None:
        self._callee(self.stack[-2])
        _BasePickleLoader.load_newobj(self)

    def _new_object_with_keywords(self) -> None:
        self._callee(self.stack[-3])
        _BasePickleLoader.load_newobj_ex(self)

    def _build(self) -> None:
        target = self.stack[-2]
        if type(target) is OrderedDict:
            # A module's state dict carries its versions as an attribute, ``_metadata``.
            target.__dict__.update(self.stack.pop())
        elif type(target) in self._user_types:
            _BasePickleLoader.load_build(self)
        else:
            raise pickle.UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
                f"`add_safe_globals`, but got {type(target)}"
            )

    def _fill(self, target: Any, kinds: tuple[type, ...], load: Callable[[Any], None]) -> None:
        if type(target) not in (*kinds, *self._user_types):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise pickle.UnpicklingError(f"Can only fill a {names} here, but got {type(target)}")
        load(self)

    def _append(self) -> None:
        self._fill(self.stack[-2], (list,), _BasePickleLoader.load_append)

    def _extend(self) -> None:
        self._fill(self.metastack[-1][-1], (list,), _BasePickleLoader.load_appends)

    def _set_item(self) -> None:
        self._fill(self.stack[-3], _DICTS, _BasePickleLoader.load_setitem)

    def _set_items(self) -> None:
        self._fill(self.metastack[-1][-1], _DICTS, _BasePickleLoader.load_setitems)

    def _add_items(self) -> None:
        self._fill(self.metastack[-1][-1], (set,), _BasePickleLoader.load_additems)

    dispatch = {code[0]: _BasePickleLoader.dispatch[code[0]] for code in _PLAIN_OPCODES} | {
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _new_object,
        pickle.NEWOBJ_EX[0]: _new_object_with_keywords,
        pickle.BUILD[0]: _build,
        pickle.APPEND[0]: _append,
        pickle.APPENDS[0]: _extend,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.ADDITEMS[0]: _add_items,
    }
