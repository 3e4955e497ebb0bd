"""Initial values, and helpers for gradients and parameters, against real PyTorch."""

import pytest
from module_comparison import both, ours, outcome, torch

import lazytorch
from lazytorch import nn, tensor

pytestmark = pytest.mark.pytorch

INITS = {
    "uniform": lambda i, w: i.uniform_(w, -2, 3),
    "normal": lambda i, w: i.normal_(w, 1, 2),
    "truncated": lambda i, w: i.trunc_normal_(w, 0, 1, -1.5, 1.5),
    "truncated far": lambda i, w: i.trunc_normal_(w, 0, 1, 1.0, 2.0),
    "constant": lambda i, w: i.constant_(w, 3),
    "ones": lambda i, w: i.ones_(w),
    "zeros": lambda i, w: i.zeros_(w),
    "eye": lambda i, w: i.eye_(w),
    "xavier uniform": lambda i, w: i.xavier_uniform_(w, 2),
    "xavier normal": lambda i, w: i.xavier_normal_(w),
    "kaiming uniform": lambda i, w: i.kaiming_uniform_(w, nonlinearity="relu"),
    "kaiming normal": lambda i, w: i.kaiming_normal_(w, 0.2, "fan_out"),
    "orthogonal": lambda i, w: i.orthogonal_(w, 2),
    "sparse": lambda i, w: i.sparse_(w, 0.3, 1.0),
}


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
@pytest.mark.parametrize("name", INITS)
def test_init(name, shape):
    drawn = []
    for n, weight in ((torch.nn, torch.zeros(shape)), (nn, lazytorch.zeros(shape))):
        torch.manual_seed(3)
        lazytorch.manual_seed(3)
        assert INITS[name](n.init, weight) is weight
        drawn.append(torch.tensor(weight.tolist()))
    expected, got = drawn
    if name in ("constant", "ones", "zeros", "eye"):
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got.mean(), expected.mean(), atol=0.1, rtol=0)
    torch.testing.assert_close(got.std(), expected.std(), atol=0, rtol=0.1)
    if name == "orthogonal":
        small = got if shape[0] < shape[1] else got.T
        torch.testing.assert_close(small @ small.T, 4 * torch.eye(40), atol=1e-4, rtol=0)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 2, 3, 4), (6, 3, 1, 2, 3)])
def test_dirac(shape, groups):
    expected = torch.nn.init.dirac_(torch.ones(shape), groups)
    assert nn.init.dirac_(lazytorch.ones(shape), groups).tolist() == expected.tolist()


def test_deprecated_inits():
    with pytest.warns(FutureWarning, match=r"`nn\.init\.xavier_normal` is now deprecated in favor"):
        nn.init.xavier_normal(lazytorch.zeros(2, 2))
    assert nn.init.calculate_gain("leaky_relu", 0.2) == torch.nn.init.calculate_gain(
        "leaky_relu", 0.2
    )


def with_gradients(n, t):
    m = n.Linear(2, 2)
    m.weight.grad = t(torch.tensor([[3.0, -4.0], [0.5, 1.0]]))
    m.bias.grad = t(torch.tensor([12.0, -2.0]))
    return m


UTILS = {
    "norm": lambda u, m: u.clip_grad_norm_(m.parameters(), 2.0),
    "wide norm": lambda u, m: u.clip_grad_norm_(m.parameters(), 200.0),
    "norm 1": lambda u, m: u.clip_grad_norm_(list(m.parameters()), 2.0, norm_type=1),
    "norm inf": lambda u, m: u.clip_grad_norm_(m.weight, 2.0, float("inf")),
    "empty": lambda u, m: u.clip_grad_norm_([], 1.0),
    "value": lambda u, m: u.clip_grad_value_(m.parameters(), 2),
    "total": lambda u, m: u.get_total_norm([p.grad for p in m.parameters()]),
}


@pytest.mark.parametrize("name", UTILS)
def test_gradient_utils(name):
    results = []
    for n, t in ((torch.nn, lambda v: v), (nn, ours)):
        m = with_gradients(n, t)
        answer = UTILS[name](n.utils, m)
        results.append(
            [None if answer is None else torch.tensor(answer.tolist())]
            + [torch.tensor(p.grad.tolist()) for p in m.parameters()]
        )
    theirs, our = results
    assert (our[0] is None) == (theirs[0] is None)
    torch.testing.assert_close(our[our[0] is None :], theirs[theirs[0] is None :])


def test_nonfinite_norm():
    def story(n, t):
        m = with_gradients(n, t)
        m.bias.grad = t(torch.tensor([float("nan"), 1.0]))
        return outcome(
            lambda: n.utils.clip_grad_norm_(m.parameters(), 1.0, error_if_nonfinite=True)
        )

    theirs, our = both(story)
    assert our == theirs


def test_parameters_and_vectors():
    m = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(m.parameters())
    assert vector.tolist() == [v for row in m.weight.tolist() for v in row] + m.bias.tolist()
    nn.utils.vector_to_parameters(tensor([float(i) for i in range(9)]), m.parameters())
    assert m.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and m.bias.tolist() == [6, 7, 8]
