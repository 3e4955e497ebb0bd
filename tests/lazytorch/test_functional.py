"""torch.nn.functional against real PyTorch: values, first and second gradients, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")
import torch.nn.functional as real  # noqa: E402
from comparison import check_gradients, same_error  # noqa: E402
from pytorch_oracle import compare  # noqa: E402
from support import ours, same, theirs  # noqa: E402

import lazytorch.functions  # noqa: E402, F401
from lazytorch.autograd.backward import grad  # noqa: E402
from lazytorch.functions.registration import PUBLIC  # noqa: E402
from lazytorch.nn import functional as mine  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]


def random(*shape: int, dtype: Any = None) -> Any:
    return torch.randn(shape, dtype=dtype or torch.float64)


# name, shapes of the differentiable inputs, keywords
TABLE: list[tuple[str, list[tuple[int, ...]], dict[str, Any]]] = [
    ("linear", [(2, 3, 4), (5, 4), (5,)], {}), ("linear", [(4,), (5, 4)], {}),
    ("linear", [(0, 4), (5, 4), (5,)], {}), ("bilinear", [(2, 3), (2, 4), (5, 3, 4), (5,)], {}),
    ("conv1d", [(2, 4, 6), (3, 4, 3), (3,)], {}), ("conv2d", [(4, 6, 7), (3, 4, 3, 2)], {}),
    *[("conv2d", [(2, 4, 6, 7), (4, 4, 3, 2), (4,)], kw) for kw in (
        {}, {"stride": 2}, {"padding": 1}, {"stride": 2, "padding": 2, "dilation": 2},
        {"padding": 3, "stride": 3}, {"padding": "same"}, {"padding": "valid"})],
    ("conv2d", [(2, 4, 5, 5), (4, 1, 3, 3)], {"groups": 4}),
    ("conv2d", [(0, 4, 5, 5), (4, 4, 3, 3)], {}),
    ("conv3d", [(1, 2, 4, 5, 3), (2, 2, 2, 2, 2), (2,)], {"stride": 2}),
    *[("conv_transpose2d", [(2, 4, 4, 5), (4, 2, 3, 2), (2,)], kw) for kw in (
        {}, {"stride": 2}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2})],
    ("conv_transpose2d", [(2, 4, 4, 5), (4, 2, 3, 2)], {"groups": 2}),
    ("conv_transpose1d", [(2, 3, 4), (3, 2, 3)], {"padding": 2}),
    ("conv_transpose3d", [(1, 2, 2, 3, 2), (2, 2, 2, 2, 2)], {}),
    *[("max_pool2d", [(2, 2, 7, 6)], {"return_indices": True, **kw}) for kw in (
        {"kernel_size": 2}, {"kernel_size": 2, "stride": 3}, {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "padding": 1}, {"kernel_size": 2, "ceil_mode": True},
        {"kernel_size": 2, "dilation": 2}, {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 6, "stride": 1, "padding": 3}, {"kernel_size": (7, 1), "padding": (3, 0)},
        {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 2},
        {"kernel_size": (2, 3), "stride": (1, 4), "padding": (1, 1), "ceil_mode": True})],
    ("max_pool1d", [(2, 3, 7)], {"kernel_size": 2}),
    ("max_pool3d", [(2, 3, 3, 4)], {"kernel_size": 2, "stride": 1}),
    ("max_pool3d", [(1, 2, 4, 5, 4)], {"kernel_size": 3, "stride": (1, 2, 1), "padding": 1}),
    *[("avg_pool2d", [(2, 3, 6, 7)], kw) for kw in (
        {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"kernel_size": 2, "divisor_override": 3}, {"kernel_size": 2, "stride": 3},
        {"kernel_size": 3, "stride": 1, "divisor_override": 2})],
    # Kernels of many taps: an axis at a time; windows far apart; and neither.
    ("avg_pool2d", [(1, 1, 9, 12)], {"kernel_size": 6, "stride": 1, "padding": 3}),
    ("avg_pool2d", [(1, 1, 40, 3)], {"kernel_size": (18, 2), "stride": (20, 1)}),
    ("avg_pool2d", [(1, 1, 40, 3)], {"kernel_size": (33, 2), "stride": (3, 1)}),
    ("avg_pool1d", [(2, 3, 6)], {"kernel_size": 2}),
    ("avg_pool3d", [(1, 2, 3, 3, 4)], {"kernel_size": 2, "stride": 1}),
    *[(f"adaptive_{kind}_pool2d", [(2, 3, 4, 6)], {"output_size": o})
      for kind in ("avg", "max") for o in (1, (2, 3), (3, 4), (None, 2), (5, 4))],
    ("adaptive_max_pool1d", [(2, 3, 7)], {"output_size": 3}),
    ("adaptive_max_pool3d", [(1, 2, 3, 4, 5)], {"output_size": 2}),
    ("lp_pool2d", [(2, 3, 4, 4)], {"norm_type": 2, "kernel_size": 2}),
    ("unfold", [(2, 3, 5, 6)],
     {"kernel_size": (2, 3), "padding": 1, "stride": 2, "dilation": (1, 2)}),
    ("fold", [(2, 12, 20)], {"output_size": (5, 6), "kernel_size": 2}),
    ("fold", [(2, 12, 9)],
     {"output_size": (5, 6), "kernel_size": (2, 3), "padding": 1, "stride": 2, "dilation": (2, 1)}),
    ("fold", [(1, 36, 2)], {"output_size": (7, 6), "kernel_size": 6}),
    ("layer_norm", [(2, 3, 6), (6,), (6,)], {}), ("layer_norm", [(2, 3, 6)], {}),
    ("rms_norm", [(2, 3, 6), (6,)], {}), ("group_norm", [(2, 4, 5), (4,), (4,)], {}),
    ("batch_norm", [(2, 4, 5), (4,), (4,)], {}), ("instance_norm", [(2, 4, 5), (4,), (4,)], {}),
    ("local_response_norm", [(2, 4, 5)], {"size": 3}), ("normalize", [(3, 4)], {}),
    ("normalize", [(3, 4)], {"p": 3.0, "dim": 0}),
    *[(name, [(3, 4)], {}) for name in (
        "relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "logsigmoid", "hardswish",
        "hardtanh", "tanhshrink", "softplus", "softshrink", "hardshrink", "softsign", "glu",
        "leaky_relu")],
    ("gelu", [(3, 4)], {"approximate": "tanh"}), ("prelu", [(2, 3, 2), (3,)], {}),
    ("prelu", [(2, 3), (1,)], {}), ("threshold", [(3, 4)], {"threshold": 0.1, "value": 2.0}),
    ("mse_loss", [(3, 4), (3, 4)], {}), ("mse_loss", [(3, 4), (3, 4)], {"reduction": "none"}),
    ("mse_loss", [(0, 4), (0, 4)], {"reduction": "sum"}), ("l1_loss", [(3, 4), (3, 4)], {}),
    ("smooth_l1_loss", [(3, 4), (3, 4)], {"beta": 0.7}),
    ("huber_loss", [(3, 4), (3, 4)], {"delta": 0.6}),
    ("binary_cross_entropy_with_logits", [(3, 4), (3, 4)], {}),
    ("cross_entropy", [(3, 4), (3, 4)], {"label_smoothing": 0.1}),
    ("kl_div", [(3, 4), (3, 4)], {"log_target": True, "reduction": "batchmean"}),
    ("multilabel_soft_margin_loss", [(3, 4), (3, 4)], {}),
    ("triplet_margin_loss", [(3, 4)] * 3, {"margin": 2.0}),
    ("triplet_margin_loss", [(3, 4)] * 3, {"margin": 2.0, "p": 3, "swap": True}),
    ("cosine_similarity", [(3, 4), (4,)], {"dim": -1}),
    ("pairwise_distance", [(3, 4), (3, 4)], {"keepdim": True}),
    *[("pad", [(2, 3, 4, 5)], {"pad": p, "mode": m, "value": v}) for p, m, v in (
        ((1, 2), "constant", None), ((1, 2, -1, 3), "constant", 2.5),
        ((1, 2, 2, 1), "reflect", None),
        ((1, 2, 2, 1), "replicate", None), ((1, 2, 2, 1), "circular", None))],
    ("pixel_shuffle", [(2, 8, 2, 3)], {"upscale_factor": 2}),
    ("pixel_unshuffle", [(2, 2, 4, 6)], {"downscale_factor": 2}),
    *[("interpolate", [(2, 3, 4, 5)], kw) for kw in (
        {"size": (3, 7)}, {"scale_factor": 2}, {"scale_factor": 1.5},
        {"size": (3, 7), "mode": "bilinear"}, {"scale_factor": 1.7, "mode": "bilinear"},
        {"size": (8, 2), "mode": "bilinear", "align_corners": True},
        {"size": (8, 3), "mode": "bicubic"}, {"size": (2, 3), "mode": "area"},
        {"size": (8, 3), "mode": "nearest-exact"})],
]  # fmt: skip
_POSITIONAL: dict[str, tuple[Any, ...]] = {
    "layer_norm": ((6,),), "rms_norm": ((6,),), "group_norm": (2,), "batch_norm": (None, None),
    "instance_norm": (None, None),
}  # fmt: skip


@pytest.mark.parametrize("name,shapes,keywords", TABLE)
def test_values_and_gradients(name: str, shapes: Any, keywords: dict[str, Any]) -> None:
    first, *rest = [random(*s) for s in shapes]
    if name == "lp_pool2d":
        first = first.abs()
    between = _POSITIONAL.get(name, ())
    if name == "batch_norm":
        keywords = {**keywords, "training": True}
    check_gradients(
        lambda x, *t: getattr(mine, name)(x, *between, *t, **keywords),
        lambda x, *t: getattr(real, name)(x, *between, *t, **keywords),
        first,
        *rest,
        second=name != "multilabel_soft_margin_loss",
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_weight_gradient_beside_infinities(stride: int) -> None:
    """What is computed past the end of an image row is left out, not multiplied by 0."""
    x = torch.randn(2, 2, 5, 45 * stride)
    x[0, 1, 3, 20 * stride], x[1, 0, 0, -1] = math.inf, math.nan
    gradients = []
    for function, given in ((mine.conv2d, ours), (real.conv2d, lambda t: t)):
        w = given(torch.ones(3, 2, 3, 3)).requires_grad_()
        function(given(x), w, stride=(1, stride)).sum().backward()
        gradients.append(w.grad)
    same(gradients[0], gradients[1], 10.0)


@pytest.mark.parametrize("low", [-math.inf, 0.0])
@pytest.mark.parametrize("keywords", [
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (4, 2), "stride": 1, "padding": (2, 1), "dilation": (2, 3)},
    {"kernel_size": 2, "ceil_mode": True}])  # fmt: skip
def test_max_pool_where_nothing_is_greatest(low: float, keywords: dict[str, Any]) -> None:
    x = torch.full((1, 2, 7, 9), low)
    x[0, 1, 3, 4] = math.nan
    expected = real.max_pool2d(x, return_indices=True, **keywords)
    same(mine.max_pool2d(ours(x), return_indices=True, **keywords), expected)


CLASSES = [
    {}, {"label_smoothing": 0.1}, {"ignore_index": 3}, {"ignore_index": 3, "label_smoothing": 0.2},
    {"reduction": "none"}, {"reduction": "sum"},
]  # fmt: skip


@pytest.mark.parametrize("keywords", CLASSES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 4, 3, 2)])
def test_cross_entropy_of_classes(keywords: Any, weighted: bool, shape: Any) -> None:
    target = torch.randint(0, 4, (*shape[:1], *shape[2:]) if len(shape) > 1 else ())
    target = target.clamp(max=2) if len(shape) == 1 else target
    weight = torch.rand(4, dtype=torch.float64) if weighted else None
    check_gradients(
        lambda x: mine.cross_entropy(x, ours(target), ours(weight), **keywords),
        lambda x: real.cross_entropy(x, target, weight, **keywords),
        random(*shape),
    )


@pytest.mark.parametrize("keywords", [{}, {"padding_idx": 2}, {"padding_idx": -1}])
def test_embedding(keywords: Any) -> None:
    index = torch.tensor([[0, 2, 2], [1, 4, 0]])
    check_gradients(
        lambda w: mine.embedding(ours(index), w, **keywords),
        lambda w: real.embedding(index, w, **keywords),
        random(5, 3),
    )


def test_embedding_cuts_long_rows_in_place() -> None:
    index, weight = torch.tensor([0, 2, 2]), random(5, 3) * 3
    lazy = ours(weight)
    found = mine.embedding(ours(index), lazy, max_norm=1.0)
    same(found, real.embedding(index, weight, max_norm=1.0))
    same(lazy, weight)


@pytest.mark.parametrize("function", ["batch_norm", "instance_norm"])
def test_running_statistics(function: str) -> None:
    x, mean, variance = random(5, 4, 3), random(4), random(4).abs()
    lazy_mean, lazy_variance = ours(mean), ours(variance)
    expected = getattr(real, function)(x, mean, variance, None, None, True, 0.3)
    statistics = (lazy_mean, lazy_variance)
    same(getattr(mine, function)(ours(x), *statistics, None, None, True, 0.3), expected)
    same((lazy_mean, lazy_variance), (mean, variance))
    same(mine.batch_norm(ours(x), lazy_mean, lazy_variance), real.batch_norm(x, mean, variance))


def test_dropout_scales_what_stays_and_its_gradient_has_the_same_mask() -> None:
    x = ours(torch.ones(2000, requires_grad=True))
    y = mine.dropout(x, 0.3)
    seen = theirs(y)
    assert 0.25 < (seen == 0).double().mean() < 0.35
    assert seen.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    same(grad(y, x, ours(torch.ones(2000)))[0], seen)


def test_the_seed_rules_dropout() -> None:
    x = ours(torch.ones(100))
    draws = []
    for seed in (1, 2, 1):
        PUBLIC["manual_seed"](seed)
        draws.append(theirs(mine.dropout(x, 0.5)).tolist())
    assert draws[0] == draws[2] != draws[1]


@pytest.mark.parametrize("keywords", [{}, {"is_causal": True}, {"scale": 0.3}])
def test_attention(keywords: Any) -> None:
    check_gradients(
        lambda *t: mine.scaled_dot_product_attention(*t, **keywords),
        lambda *t: real.scaled_dot_product_attention(*t, **keywords),
        random(2, 3, 4, 5), random(2, 3, 4, 5), random(2, 3, 4, 2),
        second=False,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_linear_in_other_types(dtype: Any) -> None:
    x, w, b = [random(*s).to(dtype) for s in ((4, 3), (2, 3), (2,))]
    same(mine.linear(ours(x), ours(w), ours(b)), real.linear(x, w, b), tolerance=5)


def test_values_of_inputs_that_are_transposed() -> None:
    x, w = random(5, 6, 3, 2).permute(3, 2, 1, 0), random(2, 2, 4, 3).transpose(1, 3)
    same(mine.conv2d(ours(x), ours(w)), real.conv2d(x, w))


def _long(*values: Any) -> Any:
    return torch.tensor(values)


ERRORS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("linear", [random(2, 3), random(4, 5)], {}),
    ("linear", [random(2, 3), random(4, 3), random(5)], {}),
    ("linear", [random(2, 3), random(4, 3).float()], {}),
    ("conv2d", [random(1, 3, 5, 5), random(2, 4, 3, 3)], {}),
    ("conv2d", [random(1, 3, 2, 2), random(2, 3, 3, 3)], {}),
    ("conv2d", [random(3, 2), random(2, 3, 3, 3)], {}),
    ("conv2d", [random(1, 3, 5, 5), random(2, 3, 3, 3), random(3)], {}),
    ("conv2d", [random(1, 3, 5, 5), random(2, 3, 3, 3)], {"stride": 0}),
    ("conv2d", [random(1, 3, 5, 5), random(2, 3, 3, 3)], {"padding": "same", "stride": 2}),
    ("max_pool2d", [random(1, 1, 2, 2)], {"kernel_size": 3}),
    ("max_pool2d", [random(1, 1, 4, 4)], {"kernel_size": 2, "padding": 2}),
    ("avg_pool2d", [random(1, 1, 4, 4)], {"kernel_size": 2, "divisor_override": 0}),
    ("mse_loss", [random(2), random(2)], {"reduction": "foo"}),
    ("mse_loss", [random(2), random(3)], {}),
    ("cross_entropy", [random(2, 3), _long(0, 3)], {}),
    ("cross_entropy", [random(2, 3), _long(0, -1)], {}),
    ("cross_entropy", [random(2, 3), _long(0, 1, 2)], {}),
    ("cross_entropy", [random(2, 3), _long(0.0, 1.0)], {}),
    ("cross_entropy", [random(2, 3), _long(0, 1)], {"label_smoothing": 1.5}),
    ("cross_entropy", [random(2, 3), _long(0, 1), random(4)], {}),
    ("nll_loss", [random(2, 3, 4), _long(0, 1)], {}),
    ("binary_cross_entropy", [random(2), random(3)], {}),
    ("binary_cross_entropy", [_long(1.5), _long(1.0)], {}),
    ("embedding", [_long(0, 5), random(5, 2)], {}),
    ("embedding", [_long(0.0, 1.0), random(5, 2)], {}),
    ("one_hot", [_long(0, 3)], {"num_classes": 3}), ("dropout", [random(2)], {"p": 1.5}),
    ("layer_norm", [random(2, 3)], {"normalized_shape": (4,)}),
    ("batch_norm", [random(2, 3), random(4), random(4)], {}),
    ("group_norm", [random(2, 3)], {"num_groups": 2}),
    ("gelu", [_long(1)], {}), ("glu", [random(3)], {}), ("prelu", [random(2, 3), random(2)], {}),
    ("pad", [random(2, 3)], {"pad": (1,)}),
    ("pad", [random(2, 3)], {"pad": (3, 1), "mode": "reflect"}),
    ("interpolate", [random(1, 1, 4, 4)], {}),
    ("pixel_shuffle", [random(1, 3, 2, 2)], {"upscale_factor": 2}),
    ("unfold", [random(1, 1, 2, 2)], {"kernel_size": 3}),
]  # fmt: skip


@pytest.mark.parametrize("name,inputs,keywords", ERRORS)
def test_errors(name: str, inputs: Any, keywords: Any) -> None:
    functions = (getattr(mine, name), getattr(real, name))
    same_error(lambda f, t: f(*t, **keywords), functions, inputs)


@pytest.mark.parametrize("keywords", [{}, {"reduction": "none"}, {"zero_infinity": True}])
@pytest.mark.parametrize("flat", [False, True])
def test_ctc_loss(keywords: Any, flat: bool) -> None:
    torch.manual_seed(0)
    x = random(9, 3, 5).log_softmax(2).requires_grad_()
    rows = torch.tensor([[1, 2, 2, 4], [3, 1, 0, 0], [2, 2, 2, 2]])
    sizes, steps = [4, 2, 4], [9, 6, 5]  # the last needs 7 steps: infinite
    targets = torch.cat([r[:n] for r, n in zip(rows, sizes, strict=True)]) if flat else rows
    expected = real.ctc_loss(x, targets, steps, sizes, **keywords)
    mine_x = ours(x)
    found = mine.ctc_loss(mine_x, ours(targets), steps, sizes, **keywords)
    same(found, expected)
    if keywords.get("zero_infinity"):
        same(grad(found.sum(), mine_x)[0], torch.autograd.grad(expected.sum(), x)[0])


def test_ctc_loss_of_one_sequence() -> None:
    x = random(6, 4).log_softmax(1).requires_grad_()
    target = torch.tensor([1, 3])
    expected = real.ctc_loss(x, target, (6,), (2,))
    mine_x = ours(x)
    found = mine.ctc_loss(mine_x, ours(target), (6,), (2,))
    same(found, expected)
    same(grad(found, mine_x)[0], torch.autograd.grad(expected, x)[0])


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sizes", [(3, 3), (5, 20), (12, 7)])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("align", [False, True])
def test_images_of_bytes_are_resized_as_pytorchs(
    mode: str, sizes: tuple[int, int], antialias: bool, align: bool
) -> None:
    """Bytes to the last bit; numbers up to rounding."""
    options = f"{sizes}, mode='{mode}', align_corners={align}, antialias={antialias}"
    image = "(torch.arange(210).reshape(1, 2, 7, 15) * 37 % 256)"
    compare(f"torch.nn.functional.interpolate({image}.to(torch.uint8), {options})")
    compare(f"torch.nn.functional.interpolate({image}.float(), {options})", tolerance=1e-4)
