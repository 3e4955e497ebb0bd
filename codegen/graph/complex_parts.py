"""Takes complex values out of a graph: at its edges, the memory of their parts.

In: a graph of primitive operations, of which parameters and outputs may be complex. Out: the same
on real numbers alone. A complex parameter of shape (...) is a real one of shape (..., 2) over the
same memory, and so is an output.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dtype import HALF_OF_COMPLEX
from codegen.ir.node import Node, TensorType, substitute
from codegen.ops.complex_numbers import as_complex, as_real
from codegen.ops.leaves import parameter


def split_complex(
    parameters: Sequence[Node], outputs: Sequence[Node]
) -> tuple[list[Node], list[Node]]:
    """The parameters and outputs without complex numbers; themselves where there are none."""
    given = [p for p in parameters if p.dtype.is_complex]
    images = {p: parameter(p.attributes[0], _pairs(p.type)) for p in given}  # type: ignore[arg-type]
    whole = substitute(outputs, {p: as_complex(image) for p, image in images.items()})
    made = [as_real(z) if z.dtype.is_complex else z for z in whole]
    return [images.get(p, p) for p in parameters], made


def _pairs(type_: TensorType) -> TensorType:
    return TensorType((*type_.shape, 2), HALF_OF_COMPLEX[type_.dtype])
