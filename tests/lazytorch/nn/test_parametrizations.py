"""Parametrizations, weight and spectral norms, pruning and fusion against real PyTorch."""

import copy
import pickle
import warnings

import pytest
from module_comparison import both, compare_gradients, ours, outcome, randn, same_state, torch

from lazytorch import nn

pytest.importorskip("torch.nn.utils.prune")
pytestmark = pytest.mark.pytorch


def close(found, expected):
    torch.testing.assert_close(
        torch.tensor(found.tolist()).to(expected), expected.detach(), rtol=1e-4, atol=1e-5
    )


def quietly(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return both(make)


# ---------------------------------------------------------------- norms

NORMS = {
    "weight": lambda n: n.utils.parametrizations.weight_norm(n.Linear(6, 4)),
    "weight of columns": lambda n: n.utils.parametrizations.weight_norm(n.Linear(6, 4), dim=1),
    "whole weight": lambda n: n.utils.parametrizations.weight_norm(n.Linear(6, 4), dim=None),
    "bias": lambda n: n.utils.parametrizations.weight_norm(n.Linear(6, 4), "bias"),
    "weight hook": lambda n: n.utils.weight_norm(n.Linear(6, 4)),
    "whole weight hook": lambda n: n.utils.weight_norm(n.Linear(6, 4), dim=None),
    "spectral": lambda n: n.utils.parametrizations.spectral_norm(n.Linear(6, 4)),
    "spectral of columns": lambda n: n.utils.parametrizations.spectral_norm(
        n.Linear(6, 4), dim=1, n_power_iterations=3
    ),
    "spectral of bias": lambda n: n.utils.parametrizations.spectral_norm(n.Linear(6, 4), "bias"),
    "spectral hook": lambda n: n.utils.spectral_norm(n.Linear(6, 4), n_power_iterations=2),
    "both": lambda n: n.utils.parametrizations.weight_norm(
        n.utils.parametrizations.spectral_norm(n.Linear(6, 4), "bias"), dim=0
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_norms(name, training):
    theirs, our = quietly(lambda n, t: NORMS[name](n))
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    assert [k for k, _ in our.named_parameters()] == [k for k, _ in theirs.named_parameters()]
    metadata = our.state_dict()._metadata
    assert {k: dict(v) for k, v in metadata.items()} == {
        k: dict(v) for k, v in theirs.state_dict()._metadata.items()
    }
    same_state(theirs, our)
    theirs.train(training), our.train(training)
    for _ in range(2):
        close(our(ours(randn(2, 6))), theirs(randn(2, 6)))
    for key, value in theirs.state_dict().items():
        close(our.state_dict()[key], value)
    compare_gradients(theirs, our, [randn(2, 6)])


def test_norm_of_a_convolution():
    for make in (
        lambda n, t: n.utils.parametrizations.spectral_norm(n.ConvTranspose2d(4, 6, 3)),
        lambda n, t: n.utils.parametrizations.weight_norm(n.Conv2d(4, 6, 3), dim=1),
        lambda n, t: n.utils.spectral_norm(n.ConvTranspose1d(4, 6, 3)),
    ):
        theirs, our = quietly(make)
        same_state(theirs, our)
        shape = (2, 4, 6) if isinstance(our, nn.ConvTranspose1d) else (2, 4, 6, 6)
        compare_gradients(theirs, our, [randn(*shape)])


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_removed(name):
    def make(n, t):
        m = NORMS[name](n)
        parametrize = n.utils.parametrize
        for tensor in ("weight", "bias"):
            if parametrize.is_parametrized(m, tensor):
                parametrize.remove_parametrizations(m, tensor)
        if name in ("weight hook", "whole weight hook"):
            n.utils.remove_weight_norm(m)
        if name == "spectral hook":
            n.utils.remove_spectral_norm(m)
        return m

    theirs, our = quietly(make)
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    assert type(our) is nn.Linear
    assert not our._forward_pre_hooks and not our._state_dict_hooks
    same_state(theirs, our)
    compare_gradients(theirs, our, [randn(2, 6)])


def test_older_weight_norm_file():
    with pytest.warns(FutureWarning, match=r"parametrizations\.weight_norm"):
        older = nn.utils.weight_norm(nn.Linear(6, 4))
    newer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    newer.load_state_dict(older.state_dict())
    x = ours(randn(2, 6))
    assert newer(x).tolist() == older(x).tolist()


# ---------------------------------------------------------------- parametrize


def parts(n):
    class Symmetric(n.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    class Doubled(n.Module):
        def forward(self, x):
            return 2 * x

    class Split(n.Module):
        def forward(self, a, b):
            return a + b

        def right_inverse(self, x):
            return x * 0.25, x * 0.75

    class Other(n.Module):
        def __init__(self, answer, back=None):
            super().__init__()
            self.answer = answer
            if back is not None:
                self.right_inverse = back

        def forward(self, *x):
            return self.answer(x[0])

    return Symmetric, Doubled, Split, Other


def parametrize_story(n, t):
    torch.manual_seed(0)
    symmetric, doubled, split, _ = parts(n)
    p = n.utils.parametrize
    m = n.Linear(3, 3)
    m.load_state_dict({"weight": t(randn(3, 3)), "bias": t(randn(3))})
    weight = m.weight
    p.register_parametrization(m, "weight", symmetric())
    story = [repr(m), list(m.state_dict()), m.parametrizations.weight.original is weight]
    story += [m.weight.tolist(), p.is_parametrized(m), p.is_parametrized(m, "bias")]
    p.register_parametrization(m, "weight", doubled())
    p.register_parametrization(m, "bias", split())
    story += [repr(m), list(m.state_dict()), m.weight.tolist(), m.bias.tolist()]
    story += [outcome(lambda: setattr(m, "weight", t(torch.ones(3, 3))))]
    m.bias = t(torch.tensor([1.0, 2.0, 3.0]))
    story += [m.bias.tolist(), p.type_before_parametrizations(m).__name__]
    twin = copy.deepcopy(m)
    with p.cached():
        story += [m.weight is m.weight, twin.bias.tolist()]
    m(t(torch.ones(1, 3))).sum().backward()
    story += [(k, q.grad.tolist()) for k, q in m.named_parameters()]
    story += [outcome(lambda: pickle.dumps(m))]
    other = n.Linear(3, 3)
    p.transfer_parametrizations_and_params(m, other)
    story += [repr(other), other.weight.tolist(), other.bias.tolist()]
    p.remove_parametrizations(m, "weight", leave_parametrized=False)
    story += [repr(m), m.weight.tolist(), m.weight is weight, m.weight.requires_grad]
    p.remove_parametrizations(m, "bias")
    story += [repr(m), type(m).__name__, list(m.state_dict())]
    buffers = n.BatchNorm1d(2)
    p.register_parametrization(buffers, "running_mean", doubled())
    return [*story, list(buffers.state_dict()), [k for k, _ in buffers.named_buffers()]]


def test_parametrize():
    theirs, our = both(parametrize_story)
    for got, expected in zip(our, theirs, strict=True):
        assert got == expected


def parametrize_errors(n, t):
    _, doubled, split, other = parts(n)
    p = n.utils.parametrize
    m = n.Linear(2, 2)

    def register(*args, again=False, **kwargs):
        layer = n.Linear(2, 2)
        if again:
            p.register_parametrization(layer, "weight", doubled())
        return p.register_parametrization(layer, "weight", other(*args), **kwargs)

    tensor_first = p.register_parametrization(n.Linear(2, 2), "bias", split())
    return {
        "name": lambda: p.register_parametrization(m, "x", doubled()),
        "shape": lambda: register(lambda x: x[0]),
        "dtype": lambda: register(lambda x: x.double()),
        "no tensor": lambda: register(lambda x: 1),
        "inverse": lambda: register(lambda x: x, lambda x: 1),
        "inverse items": lambda: register(lambda x: x, lambda x: (1, 2)),
        "inverse dtype": lambda: register(lambda x: x, lambda x: x.double()),
        "again shape": lambda: register(lambda x: x[0], again=True),
        "again dtype": lambda: register(lambda x: x.double(), again=True),
        "again no tensor": lambda: register(lambda x: 1, again=True),
        "again inverse": lambda: register(lambda x: x, lambda x: 1, again=True),
        "again inverse shape": lambda: register(lambda x: x, lambda x: x[0], again=True),
        "again inverse dtype": lambda: register(lambda x: x, lambda x: x.double(), again=True),
        "set": lambda: setattr(register(lambda x: x), "weight", m.weight.detach()),
        "set parameter": lambda: setattr(register(lambda x: x), "weight", m.weight),
        "remove": lambda: p.remove_parametrizations(m, "weight"),
        "remove several": lambda: p.remove_parametrizations(tensor_first, "bias", False),
        "empty": lambda: p.ParametrizationList([], m.weight),
        "weight norm twice": lambda: n.utils.weight_norm(n.utils.weight_norm(n.Linear(2, 2))),
        "no weight norm": lambda: n.utils.remove_weight_norm(m),
        "lazy weight norm": lambda: n.utils.weight_norm(n.LazyLinear(2)),
        "spectral norm twice": lambda: n.utils.spectral_norm(n.utils.spectral_norm(n.Linear(2, 2))),
        "no spectral norm": lambda: n.utils.remove_spectral_norm(m),
        "lazy spectral norm": lambda: n.utils.spectral_norm(n.LazyLinear(2)),
        "spectral norm of none": lambda: n.utils.spectral_norm(n.Linear(2, 2, False), "bias"),
        "iterations": lambda: n.utils.spectral_norm(m, n_power_iterations=0),
        "new iterations": lambda: n.utils.parametrizations.spectral_norm(m, n_power_iterations=0),
        "spectral name": lambda: n.utils.parametrizations.spectral_norm(m, "x"),
        "spectral dim": lambda: n.utils.parametrizations.spectral_norm(m, dim=2),
        "orthogonal vector": lambda: n.utils.parametrizations.orthogonal(m, "bias"),
        "orthogonal map": lambda: n.utils.parametrizations.orthogonal(m, orthogonal_map="x"),
        "orthogonal name": lambda: n.utils.parametrizations.orthogonal(m, "x"),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", parametrize_errors(torch.nn, lambda v: v))
def test_parametrize_error(name):
    expected, got = both(lambda n, t: outcome(parametrize_errors(n, t)[name]))
    assert expected is not None
    assert got == expected


@pytest.mark.parametrize("shape", [(4, 4), (6, 4), (4, 6)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_orthogonal(kind, shape):
    rows, columns = shape
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(columns, rows), orthogonal_map=kind)
    weight = torch.tensor(layer.weight.tolist())
    gram = weight @ weight.T if rows < columns else weight.T @ weight
    torch.testing.assert_close(gram, torch.eye(min(shape)), rtol=1e-4, atol=1e-4)
    theirs = torch.nn.utils.parametrizations.orthogonal(
        torch.nn.Linear(columns, rows), orthogonal_map=kind
    )
    assert list(layer.state_dict()) == list(theirs.state_dict())
    assert repr(layer) == repr(theirs)
    same_state(theirs, layer)
    close(layer.weight, theirs.weight)
    compare_gradients(theirs, layer, [randn(2, columns)], tolerance=1e-3)


# ---------------------------------------------------------------- fusion, skip_init


@pytest.mark.parametrize("options", [{"bias": False}, {}], ids=str)
def test_fusion(options):
    def make(n, t):
        layers = [
            (n.Conv2d(4, 6, 3, **options), n.BatchNorm2d(6), False),
            (n.ConvTranspose2d(4, 6, 3, **options), n.BatchNorm2d(6, affine=False), True),
            (n.Linear(6, 4, **options), n.BatchNorm1d(4), None),
        ]
        return n.ModuleList(m for *pair, _ in layers for m in pair), [x for *_, x in layers]

    (theirs, transposed), (our, _) = both(make)
    for norm in (theirs[1], theirs[3], theirs[5]):
        norm.running_mean.copy_(randn(norm.num_features))
        norm.running_var.copy_(randn(norm.num_features) ** 2 + 0.5)
    same_state(theirs, our)
    theirs.eval(), our.eval()
    for i, transpose in enumerate(transposed):
        fused = [
            u.fuse_linear_bn_eval(m[2 * i], m[2 * i + 1])
            if transpose is None
            else u.fuse_conv_bn_eval(m[2 * i], m[2 * i + 1], transpose)
            for u, m in ((torch.nn.utils, theirs), (nn.utils, our))
        ]
        assert repr(fused[1]) == repr(fused[0])
        for (name, p), q in zip(fused[1].named_parameters(), fused[0].parameters(), strict=True):
            close(p, q)
            assert p.requires_grad == q.requires_grad, name
    for use in (
        lambda n, m: n.utils.fuse_conv_bn_eval(m[0].train(), m[1]),
        lambda n, m: n.utils.fuse_linear_bn_eval(m[4], n.BatchNorm1d(3).eval()),
    ):
        expected, got = (
            outcome(lambda n=n, m=m, use=use: use(n, m)) for n, m in ((torch.nn, theirs), (nn, our))
        )
        assert got == expected is not None


def test_skip_init():
    layer = nn.utils.skip_init(nn.Linear, 3, 4, bias=False)
    assert repr(layer) == repr(torch.nn.utils.skip_init(torch.nn.Linear, 3, 4, bias=False))
    for cls in ("ReLU", "Module"):
        expected, got = both(
            lambda n, t, cls=cls: outcome(lambda: n.utils.skip_init(getattr(n, cls)))
        )
        assert got == expected is not None


# ---------------------------------------------------------------- prune

SCORES = torch.arange(24.0).reshape(4, 6)
PRUNINGS = {
    "identity": lambda p, m, t: p.identity(m, "weight"),
    "small": lambda p, m, t: p.l1_unstructured(m, "weight", 5),
    "part": lambda p, m, t: p.l1_unstructured(m, "weight", 0.3),
    "scores": lambda p, m, t: p.l1_unstructured(m, "weight", 5, importance_scores=t(SCORES)),
    "rows": lambda p, m, t: p.ln_structured(m, "weight", 2, n=2, dim=0),
    "columns": lambda p, m, t: p.ln_structured(m, "weight", 0.5, n=1, dim=-1),
    "mask": lambda p, m, t: p.custom_from_mask(m, "weight", t((SCORES % 3).bool())),
    "nothing": lambda p, m, t: p.l1_unstructured(m, "weight", 0),
}


@pytest.mark.parametrize("second", [None, *PRUNINGS])
@pytest.mark.parametrize("first", PRUNINGS)
def test_pruning(first, second):
    def make(n, t):
        m = n.Linear(6, 4)
        m.load_state_dict({"weight": t(randn(4, 6)), "bias": t(randn(4))})
        PRUNINGS[first](n.utils.prune, m, t)
        if second is not None:
            PRUNINGS[second](n.utils.prune, m, t)
        return m

    theirs, our = both(make)
    assert list(our.state_dict()) == list(theirs.state_dict())
    assert our.weight_mask.tolist() == theirs.weight_mask.tolist()
    assert our.weight.tolist() == theirs.weight.tolist()
    close(our(ours(randn(2, 6))), theirs(randn(2, 6)))
    if second is not None:
        return
    assert nn.utils.prune.is_pruned(nn.Sequential(our))
    compare_gradients(theirs, our, [randn(2, 6)])
    assert our.cpu().weight_orig.grad is not None
    for n, m in ((torch.nn, theirs), (nn, our)):
        n.utils.prune.remove(m, "weight")
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    assert our.weight.tolist() == theirs.weight.tolist()
    assert not nn.utils.prune.is_pruned(our)


def test_random_pruning():
    prune = nn.utils.prune
    layer = prune.random_unstructured(nn.Linear(6, 4), "weight", 0.25)
    assert layer.weight_mask.sum().item() == 18
    layer = prune.random_structured(nn.Linear(6, 4), "weight", 3, dim=1)
    assert sorted(layer.weight_mask.sum(0).tolist()) == [0, 0, 0, 4, 4, 4]


def test_global_pruning():
    def make(n, t):
        m = n.Sequential(n.Linear(6, 4), n.Linear(4, 3))
        m.load_state_dict({
            "0.weight": t(randn(4, 6)), "0.bias": t(randn(4)), "1.weight": t(randn(3, 4)),
            "1.bias": t(randn(3)),
        })  # fmt: skip
        p = n.utils.prune
        p.l1_unstructured(m[0], "weight", 2)
        p.global_unstructured(
            [(m[0], "weight"), (m[1], "weight"), (m[1], "bias")], p.L1Unstructured, amount=0.4
        )
        return m

    theirs, our = both(make)
    for key, value in theirs.state_dict().items():
        assert our.state_dict()[key].tolist() == value.tolist(), key


def prune_errors(n, t):
    p, m = n.utils.prune, n.Linear(2, 2)
    return {
        "type": lambda: p.l1_unstructured(m, "weight", "x"),
        "part": lambda: p.l1_unstructured(m, "weight", 1.5),
        "negative": lambda: p.random_unstructured(m, "weight", -1),
        "too many": lambda: p.random_unstructured(m, "weight", 9),
        "vector": lambda: p.ln_structured(m, "bias", 1, 2, 0),
        "dim": lambda: p.ln_structured(m, "weight", 1, 2, 2),
        "scores": lambda: p.l1_unstructured(m, "weight", 1, t(torch.ones(3))),
        "mask": lambda: p.custom_from_mask(m, "weight", t(torch.ones(3))),
        "remove": lambda: p.remove(m, "weight"),
        "container": lambda: p.PruningContainer().add_pruning_method(1),
        "global": lambda: p.global_unstructured(1, p.L1Unstructured),
        "global scores": lambda: p.global_unstructured([(m, "weight")], p.L1Unstructured, 1),
    }


@pytest.mark.parametrize("name", prune_errors(torch.nn, lambda v: v))
def test_prune_error(name):
    expected, got = both(lambda n, t: outcome(prune_errors(n, t)[name]))
    assert expected is not None
    assert got == expected
