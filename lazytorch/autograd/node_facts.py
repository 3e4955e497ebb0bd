"""What PyTorch's nodes are called, where that depends on the operands, and what they show of what
they saved: ``grad_fn._saved_NAME``. Read when somebody looks at a node, and by nothing else."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Sequence
from typing import Any

from codegen.ir.node import TensorType
from lazytorch.expression import Call, Signature

Types = Sequence[TensorType]

# ---- names --------------------------------------------------------------------------------------


def _matmul(types: Types) -> str:
    ranks = len(types[0].shape), len(types[1].shape)
    by_rank = {(1, 1): "Dot", (2, 1): "Mv", (2, 2): "Mm"}
    return "SqueezeBackward4" if ranks == (1, 2) else by_rank.get(ranks, "UnsafeView") + "Backward0"


def _linear(types: Types) -> str:
    if len(types[0].shape) == 2:
        return "AddmmBackward0" if len(types) == 3 else "MmBackward0"
    if len(types) == 3:
        return "ViewBackward0"
    return _matmul((types[0], TensorType((1, 1), types[0].dtype)))


def _reduced(of_each: str) -> Callable[..., str]:
    """The name of a loss of several nodes: that of the last."""

    def name(_: Types, *attributes: Any) -> str:
        if "none" in attributes:
            return of_each + "Backward0"
        return "SumBackward0" if "sum" in attributes else "MeanBackward0"

    return name


def _by_rank(name: str, first: int = 2) -> Callable[..., str]:
    """One node for images, signals and volumes each; ``first``: how many axes are no space."""
    return lambda types, *_: f"{name}{len(types[0].shape) - first}DBackward0"


def _pooled(name: str, after: str = "") -> Callable[..., str]:
    """As ``_by_rank``, where signals are images of one row in PyTorch."""

    def named(types: Types, window: Any, *_: Any) -> str:
        rank = len(getattr(window, "kernel", window))
        return "SqueezeBackward1" if rank == 1 else f"{name}{rank}D{after}Backward0"

    return named


def _interpolated(types: Types, *attributes: Any) -> str:
    (mode,) = [a for a in attributes if isinstance(a, str)]
    name = {"nearest": "Nearest", "nearest-exact": "NearestExact", "linear": "Linear",
            "bilinear": "Bilinear", "bicubic": "Bicubic", "trilinear": "Trilinear"}  # fmt: skip
    return f"Upsample{name.get(mode, mode)}{len(types[0].shape) - 2}DBackward0"


def _of_two(name: str) -> Callable[..., str]:
    """One node where the second operand is a number, another where it is a tensor."""
    return lambda types, *_: f"{name}Backward{0 if types[1].weak else 1}"


def _clamped(name: str) -> Callable[..., str]:
    def named(types: Types, *_: Any) -> str:
        return f"ClampBackward{1 if types[1].weak else 0}"

    return named


NAMES: dict[str, Callable[..., str]] = {
    "matmul": _matmul,
    "linear": _linear,
    "l1_loss": _reduced("Abs"),
    "hinge_embedding_loss": _reduced("Add"),
    "cosine_embedding_loss": _reduced("Add"),
    "margin_ranking_loss": _reduced("ClampMin"),
    "poisson_nll_loss": _reduced("Sub"),
    "gaussian_nll_loss": _reduced("Mul"),
    "kl_div": lambda types, log_target, reduction: (
        "DivBackward0" if reduction == "batchmean"
        else _reduced("Mul" if log_target else "Sub")(types, reduction)
    ),
    "cross_entropy": lambda types, *_: f"NllLoss{'2D' * (len(types[0].shape) > 2)}Backward0",
    "nll_loss": lambda types, *_: f"NllLoss{'2D' * (len(types[0].shape) > 2)}Backward0",
    "remainder": _of_two("Remainder"),
    "fmod": _of_two("Fmod"),
    "clamp_min": _clamped("Min"),
    "clamp_max": _clamped("Max"),
    "clamp_min_max": _clamped(""),
    "pad_copies": lambda types, low, high, mode: (
        {"reflect": "ReflectionPad", "replicate": "ReplicationPad"}.get(mode, "CopySlices")
        + (f"{sum([bool(a or b) for a, b in zip(low, high, strict=True)]) or 1}DBackward0"
           if mode != "circular" else "")
    ),
    "avg_pool": _pooled("AvgPool"),
    "max_pool": _pooled("MaxPool", "WithIndices"),
    "adaptive_avg_pool": _pooled("AdaptiveAvgPool"),
    "adaptive_max_pool": _pooled("AdaptiveMaxPool"),
    "max_unpool": _pooled("MaxUnpool"),
    "fractional_max_pool": _by_rank("FractionalMaxPool"),
    "grid_sample": _by_rank("GridSampler"),
    "interpolate": _interpolated,
    "im2col": lambda *_: "Im2ColBackward0",
    "log1p": lambda *_: "Log1PBackward0",
    "deg2rad": lambda *_: "Deg2RadBackward0",
    "rad2deg": lambda *_: "Rad2DegBackward0",
    "special_i0e": lambda *_: "SpecialI0EBackward0",
    "special_i1e": lambda *_: "SpecialI1EBackward0",
    "special_xlog1py": lambda *_: "SpecialXlog1PyBackward0",
    "special_ndtr": lambda *_: "MulBackward1",
    "float_power": lambda *_: "PowBackward1",
    "pow": lambda types: f"PowBackward{2 if types[0].weak else 0 if types[1].weak else 1}",
    "rsub": lambda *_: "RsubBackward1",
    "sub": lambda types: "RsubBackward1" if types[0].weak else "SubBackward0",
    "index_put": lambda *_: "IndexPutBackward0",
    "scatter": lambda _, __, mode: f"Scatter{'Add' * (mode == 'add')}Backward0",
    "masked_fill": lambda types, *_: f"MaskedFillBackward{0 if types[2].weak else 1}",
    "normalize": lambda *_: "DivBackward0",
    "nanmean": lambda *_: "DivBackward0",
    "dropout": lambda *_: "MulBackward0",
    "kron": lambda *_: "UnsafeViewBackward0",
}  # fmt: skip


def name_of(signature: Signature) -> str:
    """What PyTorch calls the node of a call of this signature."""
    named = NAMES.get(signature.function.name)
    if named is None:
        return signature.function.gradient_name
    return named(signature.input_types, *signature.attributes)


# ---- what is shown ------------------------------------------------------------------------------
# Of each function: NAME=SOURCE. A function that is not here shows "self" and "other", if its
# operands are saved, and "result". A source is a number of
#   nothing else  an input; m: its transpose; w: a tensor of it, if it is a number
#   r             an output
#   s, n          an input whose sizes, or number of elements, are meant; t: sizes of its transpose
#   d             an input that is 1 where it is not there
#   a             an attribute, perhaps with . and the number of a part of it
# or p, an exponent; u, how a loss is reduced; or : and a constant.

_REDUCTIONS = ("none", "mean", "sum")
_CHOSEN = "dim=a0.0 indices=r1 keepdim=a1 self_sym_sizes=s0"
_LOSS = "self=0 target=1 reduction=u"
_TABLE = {
    "add sub": "alpha=:1",
    "rsub": "alpha=:1",
    "add_scaled sub_scaled": "alpha=2",
    "mul div true_divide": "self=w0 other=w1",
    "maximum minimum fmax fmin atan2 xlogy logaddexp logaddexp2": ("self=0 other=1"),
    "div_trunc": "self=w0 other=w1 rounding_mode=:'trunc'",
    "div_floor": "self=w0 other=w1 rounding_mode=:'floor'",
    "remainder fmod": "self=0 other=1",
    "ldexp": "other=1 result=r0",
    "pow float_power": "self=0 exponent=1 result=r0",
    "pow:Pow": "self=0 exponent=1",
    "pow_special pow_one": "self=0 exponent=p",
    "square": "self=0 exponent=:2",
    "copysign": "self=0 result=r0",
    "mm": "self=0 mat2=1 self_sym_sizes=s0 mat2_sym_sizes=s1",
    "bmm": "self=0 mat2=1",
    "mv": "self=0 vec=1",
    "dot": "self=0 tensor=1",
    "vdot": "self=0 other=1",
    "matmul:Mm": "self=0 mat2=1 self_sym_sizes=s0 mat2_sym_sizes=s1",
    "matmul:Dot": "self=0 tensor=1",
    "matmul:Mv": "self=0 vec=1",
    "linear:Addmm": "mat1=0 mat2=m1 alpha=:1 beta=:1 mat1_sym_sizes=s0 mat2_sym_sizes=t1",
    "linear:Mm": "self=0 mat2=m1 self_sym_sizes=s0 mat2_sym_sizes=t1",
    "addmm": "mat1=1 mat2=2 mat1_sym_sizes=s1 mat2_sym_sizes=s2 beta=d3 alpha=d4",
    "addmv": "mat=1 vec=2 beta=d3 alpha=d4",
    "addr": "vec1=1 vec2=2 beta=d3 alpha=d4",
    "baddbmm": "batch1=1 batch2=2 beta=d3 alpha=d4",
    "addbmm": "batch1=1 batch2=2 beta=d3 alpha=d4",
    "addcmul addcdiv": "tensor1=1 tensor2=2 value=3",
    "lerp": "weight=2",
    "softmax log_softmax": "dim=a0 result=r0",
    "cumsum": "dim=a0",
    "cumprod logcumsumexp": "dim=a0 self=0 result=r0",
    "cummax cummin": "dim=a0 self=0 indices=r1",
    "sum": "self_sym_sizes=s0",
    "sum_dim": "dim=a0 keepdim=a1 self_sym_sizes=s0",
    "mean": "self_sym_numel=n0 self_sym_sizes=s0",
    "mean_dim": "dim=a0 keepdim=a1 self_sym_numel=n0 self_sym_sizes=s0",
    "nansum": "dim=:None keepdim=a1 self=0",
    "prod": "self=0 result=r0",
    "prod_dim": "dim=a0.0 keepdim=a1 self=0 result=r0",
    "max min median nanmedian": "self=0 result=r0",
    "max_dim min_dim kthvalue median_dim nanmedian_dim mode": _CHOSEN,
    "sort": "dim=a0 indices=r1 self_sym_sizes=s0",
    "topk": "dim=a0 indices=r1 self_sym_sizes=s0",
    "amax amin": "dim=a0 keepdim=a1 self=0 result=r0",
    "logsumexp": "dim=a0 keepdim=a1 self=0 result=r0",
    "std": "correction=a2 dim=a0 keepdim=a1 self=0 result=r0",
    "var": "correction=a2 dim=a0 keepdim=a1 self=0",
    "cat stack": "dim=a0",
    "where": "condition=0",
    "masked_fill": "mask=1",
    "gather": "dim=a0 index=1 self=0 sparse_grad=:False",
    "scatter": "dim=a0 index=1",
    "take": "index=1 self=0",
    "put": "index=1 source=2",
    "tril triu": "diagonal=1",
    "trace": "self_sym_sizes=s0",
    "flip": "dims=a0",
    "roll": "shifts=a0 dims=a1",
    "repeat": "repeats=a0 self_sym_sizes=s0",
    "clamp_min": "self=0 min=1 max=:None",
    "clamp_max": "self=0 min=:None max=1",
    "clamp_min_max": "self=0 min=1 max=2",
    "gelu": "self=0 approximate=a0",
    "leaky_relu": "self=0 negative_slope=1",
    "elu": "self=0 alpha=1 scale=2 input_scale=3",
    "softplus": "self=0 beta=1 threshold=2",
    "threshold": "self=0 threshold=1",
    "hardtanh": "self=0 min_val=1 max_val=2",
    "hardshrink softshrink": "self=0 lambd=1",
    "glu": "self=0 dim=a0",
    "prelu": "self=0 weight=1",
    "mse_loss soft_margin_loss": _LOSS,
    "binary_cross_entropy": _LOSS + " weight=:None",
    "binary_cross_entropy_with_logits": _LOSS + " weight=:None pos_weight=:None",
    "smooth_l1_loss": _LOSS + " beta=2",
    "huber_loss": _LOSS + " delta=2",
    "nll_loss cross_entropy": _LOSS,
    "convolution convolution_transposed": "input=0 weight=1",
    "layer_norm": "input=0 eps=1 weight=2 bias=3",
    "batch_norm": "input=0",
    "group_norm": "input=0 eps=1 weight=2",
    "embedding": "indices=0",
    "bilinear": "i1=0 i2=1 i3=2",
    "max_pool adaptive_max_pool": "self=0 result1=r1",
    "pixel_shuffle": "upscale_factor=a0",
    "pixel_unshuffle": "downscale_factor=a0",
    "hypot": "self=0 other=1 result=r0",
    "cdist": "x1=0 x2=1 p=a0 result=r0",
    "linalg_vector_norm": "ord=a0 dim=a1 keepdim=a2 self=0 result=r0",
    "linalg_solve_ex": "A=0 left=a0 result=r0",
    "linalg_inv_ex": "inverse=r0",
    "linalg_qr": "Q=r0 R=r1 mode=a0",
    "linalg_cholesky_ex": "L=r0 upper=a0",
    "linalg_eigh": "eigenvalues=r0 eigenvectors=r1",
    "scaled_dot_product_attention": "query=0 key=1 value=2 is_causal=a1",
    "grid_sample": "input=0 grid=1 align_corners=a2",
    "cross": "self=0 other=1 dim=a0",
}


@functools.cache
def _rows() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for names, row in _TABLE.items():
        parsed = dict([entry.split("=", 1) for entry in row.split()])
        found.update(dict.fromkeys(names.split(), parsed))
    return found


def shown_by(call: Call, saved: tuple[frozenset[int], frozenset[int]]) -> dict[str, str]:
    """The names under which the node of a call shows what it saved, with their sources; ``saved``:
    the inputs and outputs that it would save if a gradient were asked for all inputs."""
    function, types = call.signature.function.name, call.signature.input_types
    node = name_of(call.signature).removesuffix("Backward0")
    row = _rows().get(f"{function}:{node}") or _rows().get(function)
    if row is not None:
        return {
            name: source for name, source in row.items()
            if not source.lstrip("mw").isdigit() or int(source.lstrip("mw")) < len(types)
        }  # fmt: skip
    made = {name: str(i) for i, name in enumerate(("self", "other")) if i in saved[0]}
    return {**made, "result": "r0"} if 0 in saved[1] else made


def number_of(call: Call, source: str) -> Any:
    """A source that is no tensor."""
    signature = call.signature
    kind, rest = source[0], source[1:]
    if kind == ":":
        return ast.literal_eval(rest)
    if kind == "u":
        (reduction,) = [a for a in signature.attributes if a in _REDUCTIONS]
        return _REDUCTIONS.index(str(reduction))
    if kind == "p":
        exponent, type_ = signature.attributes
        return int(exponent) if type_ == "int" else exponent  # type: ignore[call-overload]
    if kind == "s":
        return signature.input_types[int(rest)].shape
    if kind == "t":
        return signature.input_types[int(rest)].shape[::-1]
    if kind == "d":
        return call.inputs[int(rest)].value if int(rest) < len(call.inputs) else 1
    if kind == "n":
        return signature.input_types[int(rest)].size
    number, _, part = rest.partition(".")
    found = signature.attributes[int(number)]
    return (found[int(part)] if found else 0) if part else found  # type: ignore[index]
