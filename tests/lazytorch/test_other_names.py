"""Names that torch has beside its main ones: native forms, storages, NumPy's keywords, switches."""

from __future__ import annotations

import copy
import pickle

import pytest
from pytorch_oracle import assert_same, compare, compare_error, torch

import lazytorch

pytestmark = [pytest.mark.pytorch, pytest.mark.host]

X = "torch.linspace(-1, 1, 12).reshape(3, 4)"
Y = "torch.linspace(1, 0.1, 12).reshape(3, 4)"
SIGNS = "torch.tensor([1., -1., 1.])"


@pytest.mark.parametrize(
    "code",
    [
        f"torch.kl_div({X}, {Y})", f"torch.kl_div({X}, {Y}, 2, log_target=True)",
        f"torch.kl_div({X}, {Y}, 0)", f"torch.poisson_nll_loss({X}, {Y}, True, False, 1e-8, 1)",
        f"torch.binary_cross_entropy_with_logits({X}, {Y}, reduction=2)",
        f"torch.binary_cross_entropy_with_logits({X}, {Y}, {Y}, {Y})",
        f"torch.hinge_embedding_loss({X}, {Y}.sign(), 0.5, 2)",
        f"torch.cosine_embedding_loss({X}, {Y}, {SIGNS}, 0.2)",
        f"torch.margin_ranking_loss({SIGNS}, {SIGNS} * 2, {SIGNS}, 0.5, 0)",
        f"torch.triplet_margin_loss({X}, {Y}, {X} * 2, swap=True)",
        f"torch.cdist({X}, {Y} * float('nan'), 0)", f"torch.cdist({X}, {X}[1:], 0.0)",
        "torch.nn.functional.nll_loss(torch.zeros(3), torch.tensor(1)).signbit()",
        "torch.ones(1).addbmm_(torch.ones(2, 3, 4), torch.ones(2, 4, 5), beta=2)",
        f"torch.max_pool1d({X}, 2)", f"torch.max_pool1d({X}, 2, 1, ceil_mode=True)",
        f"torch.max_pool2d({X}[None], (2, 2), [], 1)",
        f"torch.max_pool3d({X}[None, None], (1, 2, 2), 1)",
        f"torch.max_pool1d_with_indices({X}, 3, 1, 1)", f"torch.adaptive_max_pool1d({X}, 3)",
        f"torch.embedding({X}, torch.tensor([[0, 2], [1, 1]]))",
        f"torch.embedding({X}, torch.tensor([0, 2]), 2)",
        f"torch.embedding_renorm_({X}, torch.tensor([2, 0]), 1.0, 2.0)",
        f"torch.embedding_bag({X}, torch.tensor([0, 2, 1]), torch.tensor([0, 2]), False, 1)[0]",
        f"torch.convolution({X}[None], {Y}[None], None, [1], [1], [1], False, [0], 1)",
        f"torch.convolution({X}[None], {Y}[:, :1, None], None, [2], [1], [1], True, [1], 1)",
        f"torch.conv_tbc({X}[None].reshape(3, 2, 2), {Y}.reshape(2, 2, 3), torch.ones(3), 1)",
        f"torch.native_channel_shuffle({X}[None], 3)",
        f"torch.native_dropout({X}, 0.5, False)", f"{X}.unsafe_split_with_sizes([1, 3], 1)",
        "torch.tensor([1., 2.]).conj_physical_()", "torch.conj_physical_(torch.ones(2))",
        # NumPy's words for dim and keepdim
        f"torch.sum({X}, axis=1)", f"{X}.mean(axis=0, keepdims=True)",
        f"torch.max({X}, axis=1, keepdims=True)", f"{X}.softmax(axis=1)",
        f"torch.stack([{X}, {Y}], axis=1)", f"torch.cumsum({X}, axis=0)",
        f"{X}.squeeze(axis=0).unsqueeze(axis=1)", f"{X}.std(axis=1, keepdims=True)",
        f"{X}.argmax(axis=1)", f"{X}.any(axis=0)", f"{X}.unbind(axis=1)", f"{X}.sort(axis=0)",
        # attributes
        f"{X}.t().dim_order()", f"{X}.resize(4, 3)", f"{X}.is_xla", f"{X}.name",
        f"{X}.dim_order(ambiguity_check=True)", f"{X}[:0].grad_dtype.itemsize",
        f"{X}.module_load({Y})", "complex(torch.tensor(2.5))",
        "torch.sym_max(1, 2.0), torch.sym_min(3, 2), torch.sym_not(True), torch.sym_sqrt(4)",
        "torch.sym_int(2.9), torch.sym_float(2), torch.sym_ite(False, 1, 2)",
        "torch.finfo(torch.float32).max, torch.iinfo(torch.uint8).min",
        "str(torch.finfo(torch.bfloat16)), str(torch.iinfo(torch.int16))",
        "torch.typename(torch.ones(2)), torch.typename(3), torch.typename(int)",
    ],
)  # fmt: skip
def test_values(code: str) -> None:
    compare(code, tolerance=1e-5)


@pytest.mark.parametrize(
    "code",
    [
        "torch.ones(2).resize(3)", f"{X}[:1].dim_order(ambiguity_check=True)",
        f"{X}.dim_order(ambiguity_check='no')", "torch.set_deterministic_debug_mode('no')",
        "torch.set_deterministic_debug_mode(3)", "torch.ones(2).storage()[0:1]",
    ],
)  # fmt: skip
def test_errors(code: str) -> None:
    compare_error(code)


@pytest.mark.parametrize(
    "code",
    [
        "torch.arange(3.)[1:].untyped_storage().tolist()",
        "torch.arange(3.)[1:].storage().tolist()", "repr(torch.arange(2.).storage())",
        "torch.arange(2).storage().size(), len(torch.arange(2).untyped_storage())",
        "torch.arange(2).storage().element_size(), torch.arange(2).storage().nbytes()",
        "torch.arange(2.).storage().type(), torch.arange(2.).storage().pickle_storage_type()",
        "torch.FloatStorage([1, 2]).tolist(), torch.LongStorage(3).size()",
        "torch.FloatStorage([1, 2]).double().tolist(), torch.BoolStorage([True]).int().tolist()",
        "torch.UntypedStorage([1, 2, 3])[1], torch.UntypedStorage([1, 2, 3])[1:].tolist()",
        "torch.FloatStorage([1, 2]).fill_(7).tolist()", "torch.ShortStorage([1, 2])[1]",
        "torch.ones(2).set_(torch.FloatStorage([1, 2, 3]), 1, (2,))",
        "torch.ones(2).set_(torch.FloatStorage([1, 2, 3]).untyped(), 0, (3,), (1,))",
        "torch.is_storage(torch.ones(1).storage()), torch.is_storage(torch.ones(1))",
        "isinstance(torch.ones(1).storage(), torch.FloatStorage)",
        "isinstance(torch.ones(1).storage(), torch.LongStorage)",
        "torch.FloatStorage([1]).copy_(torch.FloatStorage([5])).tolist()",
    ],
)  # fmt: skip
def test_storages(code: str) -> None:
    compare(code)


def test_storages_share_memory() -> None:
    results = []
    for library in (lazytorch, torch):
        x = library.arange(4.0)
        memory = x[2:].untyped_storage()
        memory[0:8] = 0
        memory[3] = 64
        x.storage()[3] = 9
        again = copy.deepcopy({"x": x, "rows": x.view(2, 2), "memory": memory})
        again["x"][1] = 5
        kept = pickle.loads(pickle.dumps(x.storage())).tolist()
        results.append((x, memory.tolist(), again["rows"], again["memory"].tolist(), kept))
        assert x.untyped_storage() == x[1:].untyped_storage()
        assert x.untyped_storage() != x.clone().untyped_storage()
        assert x.storage().data_ptr() == x.data_ptr()
    assert_same(*results)


def test_slices_of_storages_share_memory() -> None:
    results = []
    for library in (lazytorch, torch):
        x = library.arange(8, dtype=library.uint8)
        part = x.untyped_storage()[2:6][1:]
        part[0] = 9
        part.fill_(5)
        again = copy.deepcopy(part)
        again[1] = 1
        assert part.data_ptr() == x.data_ptr() + 3
        results.append((x, part.tolist(), again.tolist(), len(part), part.nbytes()))
        for wrong in (lambda p=part: p[::2], lambda p=part: p[3]):
            try:
                wrong()
            except (RuntimeError, IndexError) as error:
                results[-1] += (repr(error),)
    assert_same(*results)


def test_switches() -> None:
    for library in (lazytorch, torch):
        library.use_deterministic_algorithms(True, warn_only=True)
        assert library.are_deterministic_algorithms_enabled()
        assert library.is_deterministic_algorithms_warn_only_enabled()
        assert library.get_deterministic_debug_mode() == 1
        library.set_deterministic_debug_mode("default")
        assert not library.are_deterministic_algorithms_enabled()
        library.set_warn_always(True)
        assert library.is_warn_always_enabled()
        library.set_warn_always(False)
        library.set_autocast_cpu_enabled(True)
        x = library.ones(2, 2)
        assert "bfloat16" in str((x @ x).dtype) and library.is_autocast_cpu_enabled()
        library.set_autocast_cpu_enabled(False)
        assert "float32" in str((x @ x).dtype)
        assert library.autocast_increment_nesting() == 1
        assert library.autocast_decrement_nesting() == 0
        library.set_anomaly_enabled(True)
        assert library.is_anomaly_enabled()
        library.set_anomaly_enabled(False)
        old = library.sparse.FloatTensor(library.tensor([[0], [1]]), library.ones(1), (2, 2))
        assert old.to_dense().tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert not lazytorch.set_flush_denormal(False)
    taken = lazytorch.cond(lazytorch.tensor(False), lambda x: x + 1, lambda x: x - 1, (3,))
    assert taken == 2
    looped = lazytorch.while_loop(lambda i: i < 5, lambda i: (i + 2,), (lazytorch.tensor(0),))
    assert looped[0].item() == 6


def test_from_file(tmp_path: object) -> None:
    for library in (lazytorch, torch):
        place = f"{tmp_path}/{library.__name__}"
        shared = library.from_file(place, shared=True, size=3, dtype=library.int32)
        shared[1] = 7
        assert library.from_file(place, size=3, dtype=library.int32).tolist() == [0, 7, 0]
