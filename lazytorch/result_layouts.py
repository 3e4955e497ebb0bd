"""How the results of a call lie in memory, where an operand does not lie in rows.

Each function has a rule by its name; results of functions without one lie in rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from codegen.ops.strided import contiguous_strides
from lazytorch.layouts import (
    Layout,
    channels_last_strides,
    elementwise_strides,
    is_channels_last,
    layout_of,
    strides_like,
)
from lazytorch.storage import Special

if TYPE_CHECKING:
    from lazytorch.expression import Expression, Signature
    from lazytorch.tensor import Tensor

Shape = tuple[int, ...]
# Shape and strides of a tensor; () and () of a Python number.
Operand = tuple[Shape, Shape]
# (operands, the shapes of results) -> the strides of results, or None where they lie in rows.
Rule = Callable[[Sequence[Operand], Sequence[Shape]], Sequence[Shape] | None]

_NUMBER: Operand = ((), ())


class LaidOut(list[Any]):
    """The outputs of a call, of which some do not lie in rows."""

    layouts: list[Layout | None]


def laid_out(
    signature: Signature, inputs: Sequence[Any], outputs: list[Expression]
) -> list[Expression]:
    """The outputs, with their layouts where these are not all of rows."""
    rule = RULES.get(signature.function.name)
    if rule is None:
        return outputs
    lies: list[Shape | bool | None] = []  # how each input lies: None as rows, False of a number
    for x in inputs:
        storage = getattr(x, "_storage", None)
        if storage is None:
            lies.append(False)
        elif x._geometry is not None:
            lies.append(x._geometry.strides)
        else:
            lies.append(None if storage.special is None else x._strides())
    key = tuple(lies)
    try:
        layouts = signature.layouts[key]
    except KeyError:
        layouts = signature.layouts[key] = _layouts(rule, inputs, [e.type.shape for e in outputs])
    if layouts is None:
        return outputs
    made = LaidOut(outputs)
    made.layouts = layouts
    return made


def _layouts(
    rule: Rule, inputs: Sequence[Any], shapes: Sequence[Shape]
) -> list[Layout | None] | None:
    """The layouts of outputs of these shapes; None where all are of rows."""
    operands = [
        (x._type.shape, x._strides()) if hasattr(x, "_strides") else _NUMBER for x in inputs
    ]
    found = rule(operands, shapes)
    if found is None:
        return None
    layouts = [layout_of(s, strides) for s, strides in zip(shapes, found, strict=True)]
    return layouts if any(layouts) else None


def lay_out(x: Tensor, strides: Shape) -> Tensor:
    """Let a tensor lie like this that was just made, which nobody knows yet."""
    layout = layout_of(x._type.shape, strides)
    if layout is not None:
        x._storage.special = Special(None, layout)
    return x


# ---- rules ----------------------------------------------------------------------------------


def _by_elements(operands: Iterable[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    operands = tuple(operands)
    rank = max([len(shape) for shape, _ in operands])
    if any([len(shape) != rank for shape in shapes]):
        return None  # as a mean of losses
    return [elementwise_strides(operands)] * len(shapes)


def _of_tensors(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    """Element by element; numbers among the arguments are none of the operands."""
    return _by_elements([o for o in operands if o is not _NUMBER], shapes)


def _of_two(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    """Element by element of two operands, of which one may be a number."""
    return _by_elements(operands[:2], shapes)


def _reversed(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    return _by_elements(operands[1::-1], shapes)


def _quotient(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    """A number is divided by multiplying it with the reciprocal."""
    if operands[0] is not _NUMBER:
        return _by_elements(operands, shapes)
    shape = operands[1][0]
    return _by_elements([(shape, elementwise_strides((operands[1],))), _NUMBER], shapes)


def _power(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    return None if operands[0] is _NUMBER else _of_tensors(operands, shapes)


def _of_first(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    return _by_elements(operands[:1], shapes)


def _with_first(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    """Of the first operand, and another one that lies in its order."""
    return _by_elements([operands[0], _NUMBER], shapes)


def _by_targets(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    return _by_elements([operands[1], _NUMBER], shapes)


def _masked(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    """Of the first operand and a mask that is made like it."""
    shape, strides = operands[0]
    return _by_elements([operands[0], (shape, strides_like(shape, strides))], shapes)


def _halved(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    return [elementwise_strides(((shapes[0], operands[0][1]),))]


def _like_first(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    return [strides_like(*operands[0])] * len(shapes)


def _in_format_of(*numbers: int) -> Rule:
    """In the memory format of the first of some operands that is not in rows."""

    def rule(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
        for number in numbers:
            if number < len(operands):
                shape, strides = operands[number]
                if len(shape) in (4, 5) and is_channels_last(shape, strides):
                    rank = len(shape)
                    return [
                        channels_last_strides(s) if len(s) == rank else contiguous_strides(s)
                        for s in shapes
                    ]
        return None

    return rule


def _joined(operands: Sequence[Operand], shapes: Sequence[Shape]) -> Sequence[Shape] | None:
    """In the format of images or volumes, where all have it."""
    ranks = {len(shape) for shape, _ in operands if shape != (0,)}
    if ranks not in ({4}, {5}):
        return None
    if not all([shape == (0,) or is_channels_last(shape, strides) for shape, strides in operands]):
        return None
    return [channels_last_strides(s) for s in shapes]


_TENSORS = """
relu threshold leaky_relu hardsigmoid hardswish softshrink hardshrink elu softplus silu
mish gelu softsign tanhshrink neg abs reciprocal square addcmul addcdiv lerp
sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh sigmoid erf erfc erfinv lgamma digamma sinc deg2rad rad2deg logit logit_within floor ceil
trunc frac sign sgn signbit round frexp mvlgamma clamp_min_max clamp_min clamp_max bitwise_not
logical_not isnan isinf isfinite isposinf isneginf isreal angle polygamma i0 special_i0e special_i1
special_i1e special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1
special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0
special_modified_bessel_k1 special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1
special_spherical_bessel_j0 special_airy_ai special_entr special_ndtr special_log_ndtr special_ndtri
special_erfcx isclose mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
kl_div soft_margin_loss rrelu
"""
_TWO = """
add add_scaled sub sub_scaled mul div_floor div_trunc floor_divide remainder fmod eq ne lt le gt ge
atan2 hypot logaddexp logaddexp2 copysign xlogy heaviside ldexp nextafter maximum minimum fmax fmin
bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd lcm logical_and
logical_or logical_xor igamma igammac special_zeta special_xlog1py
special_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_t
special_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_u
special_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_v
special_chebyshev_polynomial_w special_shifted_chebyshev_polynomial_w
special_hermite_polynomial_h special_hermite_polynomial_he special_laguerre_polynomial_l
special_legendre_polynomial_p
"""
_FORMATS = """
batch_norm batch_norm_fixed max_pool avg_pool adaptive_avg_pool adaptive_max_pool interpolate
constant_pad_nd pad_copies pixel_shuffle pixel_unshuffle channel_shuffle group_norm
"""
RULES: dict[str, Rule] = {
    **dict.fromkeys(_TENSORS.split(), _of_tensors),
    **dict.fromkeys(_TWO.split(), _of_two),
    **dict.fromkeys(_FORMATS.split(), _in_format_of(0)),
    **dict.fromkeys(("convolution", "convolution_plain", "convolution_transposed"),
                    _in_format_of(0, 1)),
    "where": _by_elements,
    "rsub": _reversed,
    "rsub_scaled": _reversed,
    "div": _quotient,
    "true_divide": _quotient,
    "pow": _power,
    "pow_one": _power,
    "pow_special": _power,
    "prelu": _of_first,
    "glu": _halved,
    "hardtanh": _with_first,
    "normalize": _with_first,
    "local_response_norm": _with_first,
    "cat": _joined,
    "binary_cross_entropy_with_logits": _by_targets,
    "dropout": _masked,
    "alpha_dropout": _masked,
    **dict.fromkeys(("to_copy", "sort", "flip", "nan_to_num"), _like_first),
}  # fmt: skip
