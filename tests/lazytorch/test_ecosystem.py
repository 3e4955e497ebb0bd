"""What other libraries take from torch: operators on lists, operators of one's own, trees,
flexible attention, names of parts that are left out. The same program on both."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from devices import FUNCTIONS
from pytorch_oracle import assert_same, compare, compare_error

import lazytorch
from lazytorch import absent
from lazytorch.defaults import set_default_device

pytestmark = [pytest.mark.pytorch, pytest.mark.host]

LISTS = "[torch.linspace(0.1, 0.9, 4), torch.full((2, 2), 0.5)]"
NUMBERS = {
    "add": "2.0", "sub": "torch.tensor(2.0)", "mul": "[2, 3.0]", "div": LISTS, "pow": "2",
    "clamp_max": "0.4", "clamp_min": "[0.2, 0.6]", "maximum": LISTS, "minimum": "0.3",
    "copy": LISTS, "addcmul": f"{LISTS}, {LISTS}, 2", "addcdiv": f"{LISTS}, {LISTS}, [1, 2.0]",
    "lerp": f"{LISTS}, 0.25", "norm": "1", "powsum": "3", "mm": LISTS,
}  # fmt: skip


@pytest.fixture
def interpreted() -> Iterator[None]:
    """What a list is made of is operators that other tests compile."""
    set_default_device(FUNCTIONS)
    yield
    set_default_device("cpu")


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", sorted(n for n in dir(torch) if n.startswith("_foreach_")))
def test_operators_on_lists(name: str) -> None:
    operator = name.removeprefix("_foreach_").rstrip("_")
    lists = "[torch.ones(2, 3), torch.eye(3)]" if operator == "mm" else LISTS
    other = "[torch.ones(3, 1), torch.eye(3)]" if operator == "mm" else NUMBERS.get(operator, "")
    compare(f"torch.{name}({lists}{', ' + other if other else ''})", tolerance=1e-5)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "code",
    [
        f"torch._foreach_add({LISTS}, {LISTS}, alpha=2)", f"torch._foreach_pow(2, {LISTS})",
        f"torch._foreach_addcdiv({LISTS}, {LISTS}, {LISTS}, torch.tensor([1.0, 2.0]))",
        f"torch._foreach_add({LISTS}, scalars=[1, 2])", f"torch._foreach_lerp({LISTS}, {LISTS}, "
        f"weight=[0.1, 0.2])", f"torch._foreach_norm({LISTS}, ord=2, dtype=torch.float64)",
    ],
)  # fmt: skip
def test_forms_of_operators_on_lists(code: str) -> None:
    compare(code, tolerance=1e-5)


@pytest.mark.parametrize(
    "code",
    [
        f"torch._foreach_add({LISTS}, [torch.ones(4)])", "torch._foreach_abs([])",
        f"torch._foreach_add({LISTS}, [1, 2, 3])", "torch._foreach_abs(1)",
        "torch._foreach_abs((1,))", f"torch._foreach_div({LISTS}, torch.ones(2))",
    ],
)  # fmt: skip
def test_errors_of_operators_on_lists(code: str) -> None:
    compare_error(code)


TYPES = [
    "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2", "qint8", "float16",
    "bfloat16", "float32", "float64", "int64", "uint8", "uint16", "bool",
]  # fmt: skip


def test_types_known_by_name() -> None:
    """They promote, convert and describe themselves as PyTorch's, and no tensor has one."""

    def answers(torch: Any) -> list[Any]:
        found: list[Any] = []
        for x in TYPES:
            one = getattr(torch, x)
            found += [str(one), one.is_complex, one.is_floating_point, one.itemsize]
            for ask in (lambda x: torch.finfo(x), lambda x: torch.promote_types(x, x)):
                found.append(_outcome(ask, one))
            for y in TYPES:
                pair = one, getattr(torch, y)
                found += [_outcome(torch.promote_types, *pair), _outcome(torch.can_cast, *pair)]
        return found

    assert answers(lazytorch) == answers(torch)
    for make in (
        lambda: lazytorch.zeros(2, dtype=lazytorch.complex32),
        lambda: lazytorch.ones(2).to(lazytorch.float8_e5m2),
    ):
        with pytest.raises(NotImplementedError, match="lazytorch has no tensors of torch"):
            make()


def _outcome(function: Any, *args: Any) -> str:
    try:
        return str(function(*args))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


# ---- operators of one's own --------------------------------------------------------------------


def _own_operators(torch: Any) -> list[Any]:
    def sine(x, scale=2.0):  # type: ignore[no-untyped-def]
        return x.sin() * scale

    sine.__annotations__ = {"x": torch.Tensor, "scale": float, "return": torch.Tensor}
    made = torch.library.custom_op("ecosystem::sine", sine, mutates_args=())
    x = torch.linspace(0, 1, 3)
    y = x.clone().requires_grad_()
    found = [made(x), made(x, scale=3.0), torch.ops.ecosystem.sine(x, 1.0)]
    unknown = made(y)
    found.append(_outcome(lambda: unknown.sum().backward()))

    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * ctx.saved_tensors[0].cos() * ctx.scale, None

    made.register_autograd(backward, setup_context=setup_context)
    made(y).sum().backward()
    found += [y.grad, torch.ops.ecosystem.sine.default(x)]
    with torch.no_grad():
        found.append(made(y).requires_grad)
    made.register_vmap(lambda info, dims, x, scale=2.0: (made(x, scale) + 1, dims[0]))
    found.append(torch.vmap(made)(torch.ones(2, 3)))

    def fill(x, value):  # type: ignore[no-untyped-def]
        x.fill_(value)

    fill.__annotations__ = {"x": torch.Tensor, "value": float, "return": None}
    filling = torch.library.custom_op("ecosystem::fill", fill, mutates_args={"x"})
    z = torch.zeros(2)
    found += [filling(z, 3.0), z, torch.library.infer_schema(fill, mutates_args={"x"})]
    library = torch.library.Library("ecosystem_library", "DEF")
    library.define("times(Tensor x, int n=2) -> Tensor")
    library.impl("times", lambda x, n=2: x * n, "CompositeExplicitAutograd")
    found += [torch.ops.ecosystem_library.times(x), torch.ops.ecosystem_library.times(x, 3)]
    found += [torch.ops.aten.add(x, x), torch.ops.aten.mul.Tensor(x, x)]
    for wrong in (
        lambda: made("a"),
        lambda: torch.ops.ecosystem.nothing(x),
        lambda: torch.library.custom_op("ecosystem::bare", lambda x: x, mutates_args=()),
    ):
        found.append(_outcome(wrong))
    return found


def test_own_operators() -> None:
    assert_same(_own_operators(lazytorch), _own_operators(torch), tolerance=1e-6)


# ---- trees -------------------------------------------------------------------------------------


class Point(NamedTuple):
    x: Any
    y: Any


def _trees(torch: Any) -> list[Any]:
    trees = importlib.import_module(f"{torch.__name__}.utils._pytree")
    tree = {"a": [1, (2, 3)], "b": Point(4, {"c": 5, "d": []}), "e": None}
    with_paths, _ = trees.tree_flatten_with_path(tree)
    found = [[(trees.keystr(path), leaf) for path, leaf in with_paths]]
    found.append([trees.key_get(tree, path) for path, _ in with_paths])
    found.append(trees.tree_map_with_path(lambda p, x: f"{trees.keystr(p)}={x}", tree))
    found.append(trees.tree_map_only(int, lambda x: -x, tree))
    found.append(trees.tree_map_only((int, type(None)), str, tree))
    found.append(trees.tree_map(lambda x, y: (x, y), tree, tree))
    found += [trees.tree_all_only(int, lambda x: x > 0, tree), trees.tree_any(bool, tree)]
    found.append(trees.tree_leaves(tree, is_leaf=lambda x: isinstance(x, tuple)))
    return found


def test_trees() -> None:
    assert _trees(lazytorch) == _trees(torch)


# ---- flexible attention ------------------------------------------------------------------------


def _attention(torch: Any) -> list[Any]:
    flex = importlib.import_module(f"{torch.__name__}.nn.attention.flex_attention")
    documents = torch.arange(60) // 25
    bias = torch.linspace(-1, 1, 121)
    masks = {
        "causal": lambda b, h, q, kv: q >= kv,
        "documents": lambda b, h, q, kv: documents[q] == documents[kv],
        "head": flex.and_masks(lambda b, h, q, kv: (q >= kv) | (h == 1), flex.noop_mask),
        "empty rows": flex.or_masks(lambda b, h, q, kv: (q > 20) & (kv > 50)),
    }
    changes = [
        None,
        lambda s, b, h, q, kv: s + (kv - q) * 0.1 * (h + 1),
        lambda s, b, h, q, kv: 5 * torch.tanh((s + bias[q - kv + 60]) / 5),
    ]
    query, key, value = [
        torch.sin(torch.arange(2 * 2 * 60 * 8) * step).reshape(2, 2, 60, 8)
        for step in (0.37, 0.73, 1.1)
    ]
    found: list[Any] = []
    for i, mask in enumerate(masks.values()):
        block = flex.create_block_mask(mask, None, 2, 60, 60, device="cpu", BLOCK_SIZE=16)
        found += block.as_tuple()[:10]
        found += [block.to_dense(), block.shape, round(block.sparsity(), 4), block[0].shape]
        found.append(flex.create_mask(mask, 1, 2, 7, 9, device="cpu"))
        change = changes[i % len(changes)]
        found += flex.flex_attention(query, key, value, change, block, return_lse=True)
    grouped = flex.flex_attention(query, key[:, :1], value[:, :1], scale=0.3, enable_gqa=True)
    found.append(grouped)
    found.append(_outcome(lambda: flex.flex_attention(query, key[:, :1], value[:, :1])))
    return found


def test_flex_attention() -> None:
    assert_same(_attention(lazytorch), _attention(torch), tolerance=1e-4)


def test_flex_attention_gradients() -> None:
    """They are those of attention with the mask written out."""
    flex = importlib.import_module("lazytorch.nn.attention.flex_attention")
    inputs = [lazytorch.sin(lazytorch.arange(40.0) * s).reshape(1, 1, 10, 4) for s in (0.4, 1, 2)]
    mask = lazytorch.ones(10, 10).tril().bool()
    block = flex.create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 10, 10)
    results = []
    for call in (
        lambda q, k, v: flex.flex_attention(q, k, v, block_mask=block),
        lambda q, k, v: lazytorch.nn.functional.scaled_dot_product_attention(q, k, v, mask),
    ):
        leaves = [x.clone().requires_grad_() for x in inputs]
        call(*leaves).square().sum().backward()
        results.append([x.grad for x in leaves])
    for found, wanted in zip(*results, strict=True):
        assert lazytorch.allclose(found, wanted, atol=1e-6)


# ---- parts that are left out -------------------------------------------------------------------


def _exists(module: str, name: str) -> bool:
    """Whether PyTorch has it too; parts of it that cannot be imported here count."""
    try:
        found: ModuleType = importlib.import_module(module)
    except ImportError:
        return True
    return hasattr(found, name)


def test_left_out_parts_are_pytorchs() -> None:
    for module, text in {**absent._NAMES, **absent._PARTS}.items():
        for name in text.replace("=", "").split():
            place = f"torch.{module}".rstrip(".")
            assert _exists(place, name), f"{place}.{name}"
    for module, answers in absent._ANSWERS.items():
        for name in answers:
            assert _exists(f"torch.{module}", name), f"torch.{module}.{name}"


def test_left_out_types_have_no_instances() -> None:
    tensors = importlib.import_module("lazytorch.distributed.tensor")
    assert not isinstance(lazytorch.ones(1), tensors.DTensor)
    assert tensors.DTensor is importlib.import_module("lazytorch.distributed._tensor").DTensor
    with pytest.raises(NotImplementedError, match="DTensor is not in lazytorch"):
        tensors.DTensor()
    with pytest.raises(NotImplementedError, match=r"torch\.fx\.symbolic_trace"):
        lazytorch.fx.symbolic_trace(None)  # type: ignore[attr-defined]
    assert tensors.Shard(1) == tensors.Shard(1) != tensors.Shard(2)
    assert not lazytorch.mps.is_available()  # type: ignore[attr-defined]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lazytorch.distributed.nothing")


def test_compiler_names() -> None:
    compiler: Any = lazytorch.compiler
    function = compiler.disable(lambda: 3)
    assert function() == 3 and compiler.disable()(function) is function
    assert not compiler.is_compiling()
    with compiler.set_stance("force_eager"):
        assert not lazytorch._dynamo.is_compiling()  # type: ignore[attr-defined]
    compiled: Any = lazytorch.compile(lazytorch.nn.Linear(1, 1))
    assert isinstance(compiled, lazytorch._dynamo.OptimizedModule)  # type: ignore[attr-defined]
