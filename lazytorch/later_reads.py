"""Numbers that a function reads and does nothing with but return them: which those are is seen in
its byte code, and such a number need not be known before the function ends.

A read inside of a compiled function would end what is computed in one plan, and what Python does
with a number is not to be seen. Of ``loss.item()``, ``return loss.item()``, or ``value =
loss.item()`` where ``value`` is only returned, it is known.
"""

from __future__ import annotations

import dis
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazytorch.expression import Expression
    from lazytorch.storage import Storage

# Instructions that leave the stack as it is.
_IDLE = frozenset({"CACHE", "EXTENDED_ARG", "KW_NAMES", "NOP", "PRECALL", "RESUME"})
# How much others take from it, where what they do goes on with the next instruction.
_TAKEN = {
    "LOAD_CLOSURE": 0, "LOAD_CONST": 0, "LOAD_DEREF": 0, "LOAD_FAST": 0, "LOAD_GLOBAL": 0,
    "LOAD_NAME": 0, "PUSH_NULL": 0, "LOAD_ATTR": 1, "LOAD_METHOD": 1, "POP_TOP": 1,
    "STORE_FAST": 1, "UNARY_INVERT": 1, "UNARY_NEGATIVE": 1, "UNARY_NOT": 1, "BINARY_OP": 2,
    "BINARY_SUBSCR": 2, "COMPARE_OP": 2,
}  # fmt: skip
_CALLS = ("CALL", "CALL_METHOD")
# Functions that show variables to others than their function's code.
_SHOW_VARIABLES = frozenset({"dir", "eval", "exec", "locals", "vars", "_getframe", "currentframe"})


class LaterRead:
    """Stands for a number until the function has ended that read it: it can do nothing, so that
    who takes it for a number, if there is one, gets an error."""

    __slots__ = ("expression", "storage")

    def __init__(self, expression: Expression, storage: Storage) -> None:
        """The value, and a storage that shows it: then it is computed with what it is made of."""
        self.expression = expression
        self.storage: Storage | None = storage


@lru_cache(1000)
def is_only_returned(code: CodeType, offset: int) -> bool:
    """Whether at this place ``.item()`` is called, and what it gives is thrown away, or returned as
    it is or in tuples, lists and dictionaries that are made to be returned."""
    if _SHOW_VARIABLES.intersection(code.co_names):
        return False
    instructions = [i for i in dis.get_instructions(code) if i.opname not in _IDLE]
    done = sum([i.offset <= offset for i in instructions])  # the place may be the instruction's end
    if done < 2:
        return False
    method, call = instructions[done - 2 : done]
    return (
        method.opname in ("LOAD_METHOD", "LOAD_ATTR")
        and method.argval == "item"
        and call.opname in _CALLS
        and call.arg == 0
        and _Follower(instructions).follow(done)
    )


class _Follower:
    """Sees where a value goes in a function's instructions."""

    def __init__(self, instructions: list[dis.Instruction]) -> None:
        self._instructions = instructions
        self._variables: set[str] = set()

    def follow(self, start: int) -> bool:
        """Whether what is on top of the stack at some instruction is only returned."""
        above = 0  # how many other values lie on it
        for i in self._instructions[start:]:
            name, count = i.opname, i.arg or 0
            if name in _CALLS and above >= count + 2:
                above -= count + 1
            elif name in ("BUILD_TUPLE", "BUILD_LIST"):
                above = max(above - count + 1, 0)
            elif name == "BUILD_MAP" and (above >= 2 * count or above % 2 == 0):  # it is no key
                above = max(above - 2 * count + 1, 0)
            elif name == "BUILD_CONST_KEY_MAP" and above:
                above = max(above - count, 0)
            elif name == "SWAP" and above in (0, count - 1):
                above = count - 1 - above
            elif above >= _TAKEN.get(name, above + 1):
                above += dis.stack_effect(i.opcode, i.arg)
            elif name == "STORE_FAST":
                return self._is_only_returned(i.argval)
            else:
                return above == 0 and name in ("POP_TOP", "RETURN_VALUE")
        return False

    def _is_only_returned(self, variable: str) -> bool:
        """Whether whatever a variable holds is only returned."""
        if variable in self._variables:
            return True
        self._variables.add(variable)
        for k, i in enumerate(self._instructions):
            if i.opname in ("STORE_FAST", "DELETE_FAST") or variable not in _names(i):
                continue
            if i.opname not in ("LOAD_FAST", "LOAD_FAST_CHECK") or not self.follow(k + 1):
                return False
        return True


def _names(instruction: dis.Instruction) -> tuple[object, ...]:
    """The variables that an instruction names: some name two."""
    found = instruction.argval
    return found if isinstance(found, tuple) else (found,)
