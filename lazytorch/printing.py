"""Takes a tensor's values as a NumPy array and gives the text that PyTorch prints for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# A float is written in scientific form when the values span more than three decades, or when
# one of them would need too many digits before or after the point.
_WIDEST_RATIO = 1000.0
_LARGEST_PLAIN = 1.0e8
_SMALLEST_PLAIN = 1.0e-4

# Element types that go without saying, besides the default float type and its complex type.
_SILENT_DTYPES = ("int64", "bool")
_COMPLEX_OF = {"float32": "complex64", "float64": "complex128"}


@dataclass
class PrintOptions:
    """How tensors are printed; the fields are the arguments of ``torch.set_printoptions``."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(precision=4, threshold=1000, edgeitems=3, linewidth=80),
    "short": PrintOptions(precision=2, threshold=1000, edgeitems=2, linewidth=80),
    "full": PrintOptions(precision=4, threshold=math.inf, edgeitems=3, linewidth=80),
}

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed.

    ``precision`` is the number of digits after the point; a tensor of more than ``threshold``
    elements shows only ``edgeitems`` at either end of each axis; lines break at ``linewidth``
    columns; ``profile`` is "default", "short" or "full", and gives way to the other arguments.
    ``sci_mode`` forces scientific form on (True) or off (False); every call that leaves it out
    returns it to automatic.
    """
    chosen = asdict(_PROFILES[profile]) if profile in _PROFILES else {}
    given = [
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ]
    chosen.update((name, value) for name, value in given if value is not None)
    for name, value in chosen.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force, as keyword arguments for ``set_printoptions``."""
    return asdict(_options)


@contextmanager
def printoptions(**changes: Any) -> Iterator[None]:
    """``set_printoptions(**changes)`` for the length of a ``with`` block."""
    before = get_printoptions()
    set_printoptions(**changes)
    try:
        yield
    finally:
        set_printoptions(**before)


def format_tensor(
    values: np.ndarray[Any, Any] | None,
    dtype_name: str,
    *,
    shape: Sequence[int] | None = None,
    default_dtype_name: str = "float32",
    device: str | None = None,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    prefix: str = "tensor(",
    extra_suffixes: Sequence[str] = (),
) -> str:
    """The text of ``repr(tensor)``.

    ``values`` holds the elements (float16 and bfloat16 widened to float32), or is None for a
    tensor without data (device ``meta``), which then needs ``shape``. ``dtype_name`` is without
    the ``torch.``; ``device`` is given only where it is to be shown; ``grad_fn_name`` is the
    name of the node that made the tensor (``AddBackward0``).
    """
    indent = len(prefix)
    dimensions = tuple(values.shape if values is not None else shape or ())
    silent = dtype_name in (
        *_SILENT_DTYPES,
        default_dtype_name,
        _COMPLEX_OF.get(default_dtype_name),
    )

    suffixes = [f"device='{device}'"] if device is not None else []
    if values is None:
        contents = "..."
        suffixes.append(f"size={dimensions}")
    elif values.size == 0:
        contents = "[]"
        # No element shows what an empty tensor holds: only the default type stays silent.
        silent = dtype_name == default_dtype_name
        if len(dimensions) != 1:
            suffixes.append(f"size={dimensions}")
    else:
        contents = format_values(values, indent)
        if _options.edgeitems == 0:
            suffixes.append(f"size={dimensions}")
    if not silent:
        suffixes.append(f"dtype=torch.{dtype_name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return append_suffixes(prefix + contents, [*suffixes, *extra_suffixes], indent)


def format_values(values: np.ndarray[Any, Any], indent: int = 0) -> str:
    """The bracketed elements alone; lines after the first start at column ``indent``."""
    summarise = _is_summarised(values)
    edge = _options.edgeitems
    cut = [summarise and size > 2 * edge for size in values.shape]
    if edge == 0 and any(cut):
        return "[...]"
    corners = values
    for axis, is_cut in enumerate(cut):
        if is_cut:
            ends = (*range(edge), *range(-edge, 0))
            corners = np.take(corners, ends, axis=axis)

    texts, width = _element_texts(np.ascontiguousarray(corners).reshape(-1))
    if not corners.shape:
        return texts[0]
    # One more column for the comma, and one for the space after it.
    layout = _Layout(corners.shape, cut, width + 2)
    return layout.text(texts, 0, indent)


@dataclass(frozen=True)
class _Layout:
    """Nested brackets around the texts of a (possibly cut) array's elements."""

    shape: tuple[int, ...]
    cut: list[bool]
    columns_each: int

    def text(self, texts: Sequence[str], axis: int, indent: int) -> str:
        """Brackets over ``axis`` and those after it; ``texts`` holds just their elements."""
        if axis == len(self.shape) - 1:
            return self._row(list(texts), indent)
        step = len(texts) // self.shape[axis]
        parts = [
            self.text(texts[start : start + step], axis + 1, indent + 1)
            for start in range(0, len(texts), step)
        ]
        if self.cut[axis]:
            parts.insert(_options.edgeitems, "...")
        # A blank line for every axis between the separated parts and the rows.
        separator = "," + "\n" * (len(self.shape) - axis - 1) + " " * (indent + 1)
        return "[" + separator.join(parts) + "]"

    def _row(self, texts: list[str], indent: int) -> str:
        if self.cut[-1]:
            texts.insert(_options.edgeitems, " ...")
        per_line = max(1, (_options.linewidth - indent) // self.columns_each)
        lines = [
            ", ".join(texts[start : start + per_line]) for start in range(0, len(texts), per_line)
        ]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _is_summarised(values: np.ndarray[Any, Any]) -> bool:
    return values.size > _options.threshold


def _element_texts(values: np.ndarray[Any, Any]) -> tuple[list[str], int]:
    """Each element's aligned text, and the width that a line counts for one of them."""
    if values.dtype.kind == "c":
        return _complex_texts(values)
    if values.dtype.kind == "f":
        write, sizing = _float_style(values)
        texts = [write(value) for value in values.tolist()]
        # Zeros, NaN and infinities take no part in the width.
        counted = [len(text) for text, counts in zip(texts, sizing, strict=True) if counts]
        width = max(counted, default=1)
    else:
        texts = [str(value) for value in values.tolist()]
        width = max(map(len, texts))
    return [text.rjust(width) for text in texts], width


def _complex_texts(values: np.ndarray[Any, Any]) -> tuple[list[str], int]:
    real, real_width = _element_texts(values.real)
    imaginary, imaginary_width = _element_texts(values.imag)
    texts = []
    for left, right in zip(real, imaginary, strict=True):
        right = right.lstrip() + "j"
        texts.append(left + right if right[0] in "+-" else f"{left}+{right}")
    return texts, real_width + imaginary_width + 1


def _float_style(values: np.ndarray[Any, Any]) -> tuple[Callable[[float], str], list[bool]]:
    """How to write each of ``values``, and which of them decide the width."""
    precision = _options.precision
    sizing = np.isfinite(values) & (values != 0)
    chosen = values[sizing]
    whole = bool(np.all(chosen == np.ceil(chosen)))
    if chosen.size:
        magnitudes = np.abs(chosen.astype(np.float64))
        smallest, largest = float(magnitudes.min()), float(magnitudes.max())
        scientific = largest > _LARGEST_PLAIN or largest / smallest > _WIDEST_RATIO
        scientific = scientific or (not whole and smallest < _SMALLEST_PLAIN)
        if _options.sci_mode is not None:
            scientific = _options.sci_mode
    else:
        scientific = False

    form = f".{precision}e" if scientific else ".0f" if whole else f".{precision}f"
    if not whole or scientific:
        return lambda value: format(value, form), sizing.tolist()
    return lambda value: f"{value:.0f}." if math.isfinite(value) else str(value), sizing.tolist()


def append_suffixes(text: str, suffixes: Sequence[str], indent: int, new_line: bool = False) -> str:
    """``text`` with each suffix after a comma, on a new line where it would pass the width; the
    first one on a ``new_line`` in any case."""
    # PyTorch counts two columns more than the last line has; its line breaks depend on it.
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if new_line or column + len(suffix) + 2 > _options.linewidth:
            new_line = False
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"
