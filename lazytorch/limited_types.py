"""What may be done with uint16, uint32 and uint64: PyTorch stores them, converts them, and computes
little with them. What it refuses is refused here, in its words, when a call's signature is made."""

from __future__ import annotations

from collections.abc import Sequence

from codegen import dtype as dt
from codegen.ir.node import TensorType
from lazytorch.type_names import type_name

# The functions that give such elements; those of floating-point results may read them.
_GIVING = frozenset([
    "bitwise_and", "bitwise_or", "bitwise_xor", "cat", "ceil", "clone", "constant",
    "constant_pad_nd", "copy", "copy_slices", "copy_slices_at", "detach", "diag_embed", "empty",
    "floor", "full", "index", "mul", "overwrite", "place_at", "randint", "repeat",
    "repeat_interleave", "replace_value", "roll", "round", "sort", "stack", "tile", "to_copy",
    "trunc", "view", "view_as", "view_at", "view_dtype", "where",
])  # fmt: skip
# Those that read them, and give integers or booleans.
_READING = frozenset([
    "all", "allclose", "any", "cumprod", "cumsum", "eq", "equal", "index", "isclose",
    "isfinite", "isinf", "isnan", "ne", "prod", "prod_dim", "sort", "sum", "sum_dim", "to_copy",
    "view_as", "view_dtype",
])  # fmt: skip
# What PyTorch calls the kernel that it lacks, where that is not the function with "_cpu".
_KERNELS = {
    "add": "add_stub", "sub": "add_stub", "rsub": "add_stub", "amax": "max_values_cpu",
    "amin": "min_values_cpu", "pow": "pow",
}  # fmt: skip


def check_types(name: str, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> None:
    """NotImplementedError where a function of this name does not take or give such elements."""
    given = [t.dtype for t in outputs if t.dtype in dt.WIDE_UNSIGNED]
    taken = [t.dtype for t in inputs if t.dtype in dt.WIDE_UNSIGNED]
    if given:
        allowed = name in _GIVING
    elif taken and not any([t.dtype.kind == "float" for t in outputs]):
        allowed = name in _READING
    else:
        return
    if not allowed:
        kernel = _KERNELS.get(name, f"{name}_cpu")
        missing = type_name((given or taken)[0])
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{missing}'")
