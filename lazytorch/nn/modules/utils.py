"""Small helpers of the layers: sizes repeated over dimensions, names for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lazytorch.tensor import Tensor


def repeat_to(size: Any, count: int) -> tuple[Any, ...]:
    """A number becomes `count` copies of itself; what is a sequence already is kept as a tuple."""
    return tuple(size) if isinstance(size, Iterable) else (size,) * count


def _ntuple(count: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    """`repeat_to` for one count: the form in which programs import it from PyTorch."""

    def parse(size: Any) -> tuple[Any, ...]:
        return repeat_to(size, count)

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def indent_after_first(text: str, spaces: int = 2) -> str:
    """Indent every line of `text` but the first, and leave empty lines empty."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line if line.strip() else "" for line in rest)])


def typename(value: Any) -> str:
    """The name of a value's type as error messages give it (`torch.FloatTensor`, `str`...)."""
    if isinstance(value, Tensor):
        return str(value.type())
    named = value if hasattr(value, "__qualname__") or hasattr(value, "__name__") else type(value)
    name = str(getattr(named, "__qualname__", "") or named.__name__)
    home = getattr(named, "__module__", "") or ""
    return name if home in ("", "builtins") else f"{home}.{name}"


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Strip `prefix` from the keys of a state_dict, and of its metadata, in place."""
    _strip_prefix(state_dict, prefix)
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        _strip_prefix(metadata, prefix, also=prefix.replace(".", ""))


def _strip_prefix(mapping: dict[str, Any], prefix: str, also: str | None = None) -> None:
    for key in list(mapping):
        if key and (key.startswith(prefix) or key == also):
            mapping[key[len(prefix) :]] = mapping.pop(key)
