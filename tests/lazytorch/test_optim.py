"""Optimizers and schedules against real PyTorch: equal weights, equal steps, equal state."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import lazytorch
from lazytorch.realize import plan_count

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.pytorch

SHAPES = ((3, 4), (4,), (2, 1, 3), ())
MODULES = (lazytorch, torch)


def make_params(module: Any, dtype: str = "float32") -> list[Any]:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape) for shape in SHAPES]
    return [
        module.tensor(a.tolist(), dtype=getattr(module, dtype), requires_grad=True) for a in arrays
    ]


def set_gradients(module: Any, params: list[Any], step: int) -> None:
    generator = np.random.default_rng(100 + step)
    for p in params:
        gradient = generator.standard_normal(tuple(p.shape)).tolist()
        p.grad = module.tensor(gradient, dtype=p.dtype, device=p.device)


def assert_equal_params(ours: list[Any], theirs: list[Any], rtol: float = 2e-6) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=rtol, atol=rtol)


def compare_steps(name: str, options: dict[str, Any], steps: int = 10) -> None:
    results = []
    for module in MODULES:
        params = make_params(module)
        optimizer = getattr(module.optim, name)(params, **options)
        for step in range(steps):
            set_gradients(module, params, step)
            optimizer.step()
        results.append((params, optimizer))
    (ours, our_optimizer), (theirs, their_optimizer) = results
    assert_equal_params(ours, theirs)
    assert_equal_state(our_optimizer.state_dict(), their_optimizer.state_dict())


def assert_equal_state(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours["param_groups"] == theirs["param_groups"]
    assert list(ours["state"]) == list(theirs["state"])
    for number, expected in theirs["state"].items():
        state = ours["state"][number]
        assert set(state) == set(expected)
        for name, value in expected.items():
            assert str(state[name].dtype) == str(value.dtype), name
            np.testing.assert_allclose(
                state[name].numpy(), value.numpy(), rtol=2e-6, atol=2e-6, err_msg=name
            )


def grid(**choices: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]


SGD_OPTIONS = [
    {"lr": 0.1, **o}
    for o in grid(
        momentum=(0, 0.9),
        dampening=(0, 0.3),
        nesterov=(False, True),
        weight_decay=(0, 0.02),
        maximize=(False, True),
    )
    if not (o["nesterov"] and (o["momentum"] == 0 or o["dampening"] != 0))
]
ADAM_OPTIONS = [
    {"lr": 0.05, "betas": (0.8, 0.95), **o}
    for o in grid(amsgrad=(False, True), maximize=(False, True), weight_decay=(0.0, 0.02))
]
RMSPROP_OPTIONS = [
    {"lr": 0.05, **o}
    for o in grid(momentum=(0, 0.9), centered=(False, True), weight_decay=(0, 0.02))
]
ADAGRAD_OPTIONS = [
    {"lr": 0.05, **o}
    for o in grid(lr_decay=(0, 0.1), initial_accumulator_value=(0, 0.5), maximize=(False, True))
]
ADADELTA_OPTIONS = [{"lr": 0.5, **o} for o in grid(rho=(0.9, 0.6), weight_decay=(0, 0.02))]
ADAMAX_OPTIONS = [
    {"lr": 0.05, "betas": (0.8, 0.95), **o}
    for o in grid(maximize=(False, True), weight_decay=(0, 0.02))
]
RADAM_OPTIONS = [
    {"lr": 0.05, "betas": (0.8, 0.95), **o}
    for o in grid(decoupled_weight_decay=(False, True), weight_decay=(0, 0.02))
]
NADAM_OPTIONS = [
    {"lr": 0.05, "betas": (0.8, 0.95), "momentum_decay": 0.1, **o}
    for o in grid(
        decoupled_weight_decay=(False, True), weight_decay=(0, 0.02), maximize=(False, True)
    )
]
ASGD_OPTIONS = [
    {"lr": 0.05, "lambd": 0.1, "t0": 4, **o}
    for o in grid(weight_decay=(0, 0.02), maximize=(False, True))
]
RPROP_OPTIONS = [
    {"lr": 0.1, **o} for o in grid(step_sizes=((1e-6, 50), (0.05, 0.12)), maximize=(False, True))
]
ADAFACTOR_OPTIONS = [
    {"lr": 0.05, **o}
    for o in grid(eps=((None, 1e-3), (0.1, 2.0)), weight_decay=(0.0, 0.02), maximize=(False, True))
]
CASES = [
    *[("SGD", o) for o in SGD_OPTIONS],
    *[("Adam", o) for o in ADAM_OPTIONS],
    *[("AdamW", o) for o in ADAM_OPTIONS],
    *[("RMSprop", o) for o in RMSPROP_OPTIONS],
    *[("Adagrad", o) for o in ADAGRAD_OPTIONS],
    *[("Adadelta", o) for o in ADADELTA_OPTIONS],
    *[("Adamax", o) for o in ADAMAX_OPTIONS],
    *[("RAdam", o) for o in RADAM_OPTIONS],
    *[("NAdam", o) for o in NADAM_OPTIONS],
    *[("ASGD", o) for o in ASGD_OPTIONS],
    *[("Rprop", o) for o in RPROP_OPTIONS],
    *[("Adafactor", o) for o in ADAFACTOR_OPTIONS],
]
ONE_OF_EACH = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.5, "centered": True}),
    ("Adagrad", {"lr": 0.05}),
    ("Adadelta", {"lr": 0.5}),
    ("Adamax", {"lr": 0.05}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.95)}),
    ("NAdam", {"lr": 0.05}),
    ("ASGD", {"lr": 0.05, "t0": 2}),
    ("Rprop", {"lr": 0.05}),
    ("Adafactor", {"lr": 0.05, "d": 1.5}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_ten_steps_equal(name: str, options: dict[str, Any]) -> None:
    compare_steps(name, options)


@pytest.mark.parametrize("name", [name for name, _ in ONE_OF_EACH])
def test_defaults_equal(name: str) -> None:
    compare_steps(name, {})
    ours, theirs = [getattr(m.optim, name)(make_params(m)) for m in MODULES]
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_float64_is_exact_to_rounding(name: str, options: dict[str, Any]) -> None:
    results = []
    for module in MODULES:
        params = make_params(module, "float64")
        optimizer = getattr(module.optim, name)(params, **options)
        for step in range(10):
            set_gradients(module, params, step)
            optimizer.step()
        results.append(params)
    assert_equal_params(*results, rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_no_step_but_the_first_makes_a_plan(name: str, options: dict[str, Any]) -> None:
    params = make_params(lazytorch)
    optimizer = getattr(lazytorch.optim, name)(params, **options)
    set_gradients(lazytorch, params, 0)
    optimizer.step()
    before = plan_count()
    for step in range(1, 4):
        set_gradients(lazytorch, params, step)
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * step
        optimizer.step()
    assert plan_count() == before


@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_a_parameter_without_gradient_waits(name: str, options: dict[str, Any]) -> None:
    results = []
    for module in MODULES:
        params = make_params(module)
        optimizer = getattr(module.optim, name)(params, **options)
        for step in range(5):
            set_gradients(module, params, step)
            if step < 2:
                params[1].grad = None
            optimizer.step()
        results.append((params, optimizer.state_dict()))
    assert_equal_params(results[0][0], results[1][0])
    assert {k: set(v) for k, v in results[0][1]["state"].items()} == {
        k: set(v) for k, v in results[1][1]["state"].items()
    }


def convert(value: Any, module: Any) -> Any:
    """A state dict with its tensors turned into another library's, by NumPy."""
    if isinstance(value, (lazytorch.Tensor, torch.Tensor)):
        return module.from_numpy(value.detach().numpy().copy())
    if isinstance(value, dict):
        return {k: convert(v, module) for k, v in value.items()}
    return value


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize(("name", "options"), ONE_OF_EACH)
def test_state_dict_moves_between_libraries(
    name: str, options: dict[str, Any], source: int
) -> None:
    giver, taker = MODULES[source], MODULES[1 - source]
    given, taken = make_params(giver), make_params(taker)
    from_optimizer = getattr(giver.optim, name)(given, **options)
    into_optimizer = getattr(taker.optim, name)(taken)
    for step in range(3):
        set_gradients(giver, given, step)
        from_optimizer.step()
    into_optimizer.load_state_dict(convert(from_optimizer.state_dict(), taker))
    for p, q in zip(taken, given, strict=True):
        p.data = taker.from_numpy(q.detach().numpy().copy())
    for step in range(3, 6):
        for module, params, optimizer in (
            (giver, given, from_optimizer), (taker, taken, into_optimizer),
        ):  # fmt: skip
            set_gradients(module, params, step)
            optimizer.step()
    ours, theirs = (given, taken) if source == 0 else (taken, given)
    assert_equal_params(ours, theirs)


def test_groups_have_options_of_their_own() -> None:
    results = []
    for module in MODULES:
        params = make_params(module)
        optimizer = module.optim.SGD(
            [{"params": params[:2], "lr": 0.5}, {"params": iter(params[2:3])}], lr=0.1, momentum=0.5
        )
        optimizer.add_param_group({"params": params[3], "weight_decay": 0.1})
        for step in range(4):
            set_gradients(module, params, step)
            optimizer.step()
        results.append((params, optimizer))
    assert_equal_params(results[0][0], results[1][0])
    assert repr(results[0][1]) == repr(results[1][1])
    assert_equal_state(results[0][1].state_dict(), results[1][1].state_dict())


def test_lr_may_be_a_tensor() -> None:
    for name in ("SGD", "Adam"):
        results = []
        for module in MODULES:
            params = make_params(module)
            lr = module.tensor(0.1)
            optimizer = getattr(module.optim, name)(params, lr=lr)
            for step in range(3):
                set_gradients(module, params, step)
                optimizer.step()
                lr.mul_(0.5)
            results.append(params)
        assert_equal_params(*results)


NAMES = [name for name, _ in ONE_OF_EACH]
REFUSED = [
    lambda m: m.optim.SGD(m.zeros(2)),
    lambda m: m.optim.SGD([]),
    lambda m: m.optim.SGD([1]),
    lambda m: m.optim.SGD([m.zeros(2, requires_grad=True) * 2]),
    lambda m: m.optim.SGD({m.zeros(2)} and [{"params": {m.zeros(2)}}]),
    lambda m: m.optim.SGD([m.zeros(2)], lr=-1.0),
    lambda m: m.optim.SGD([m.zeros(2)], momentum=-1.0),
    lambda m: m.optim.SGD([m.zeros(2)], weight_decay=-1.0),
    lambda m: m.optim.SGD([m.zeros(2)], nesterov=True),
    lambda m: m.optim.SGD([m.zeros(2)], foreach=True, fused=True),
    lambda m: m.optim.SGD([m.zeros(2)], lr=m.zeros(2)),
    lambda m: m.optim.Adam([m.zeros(2)], lr=-1.0),
    lambda m: m.optim.Adam([m.zeros(2)], betas=(1.0, 0.9)),
    lambda m: m.optim.Adam([m.zeros(2)], betas=(0.9, 0)),
    lambda m: m.optim.Adam([m.zeros(2)], eps=-1.0),
    lambda m: m.optim.Adam([m.zeros(2)], differentiable=True, fused=True),
    lambda m: m.optim.SGD([("a", m.zeros(2)), m.zeros(2)]),
    lambda m: m.optim.SGD([m.zeros(2)]).add_param_group({"params": [("a", m.zeros(2))]}),
    lambda m: m.optim.SGD([m.zeros(2)]).add_param_group(3),
    *[lambda m, n=n: getattr(m.optim, n)([m.zeros(2)], lr=-1.0) for n in NAMES],
    *[lambda m, n=n: getattr(m.optim, n)([m.zeros(2)], weight_decay=-1.0) for n in NAMES],
    *[lambda m, n=n: getattr(m.optim, n)([m.zeros(2)], lr=m.ones(2)) for n in NAMES],
    lambda m: m.optim.RAdam([m.zeros(2)], betas=(0.5, 1.5)),
    lambda m: m.optim.Adadelta([m.zeros(2)], rho=1.5),
    lambda m: m.optim.NAdam([m.zeros(2)], momentum_decay=-1.0),
    lambda m: m.optim.Rprop([m.zeros(2)], etas=(1.5, 2.0)),
    lambda m: m.optim.Adafactor([m.zeros(2)], beta2_decay=1.0),
    lambda m: m.optim.Adafactor([m.zeros(2)], eps=(-1.0, 1.0)),
    lambda m: m.optim.Adafactor([m.zeros(2)], eps=(None, -1.0)),
    lambda m: m.optim.Adafactor([m.zeros(2)], d=0.5),
    lambda m: m.optim.Muon([m.zeros(2)]),
    lambda m: m.optim.Muon([m.zeros(2, 2)], momentum=-1),
    lambda m: m.optim.Muon([m.zeros(2, 2)], adjust_lr_fn="x"),
    lambda m: m.optim.Muon([m.zeros(2, 2)], weight_decay=-1),
    lambda m: m.optim.LBFGS([m.zeros(2)], lr=-1.0),
    lambda m: m.optim.LBFGS([{"params": m.zeros(2)}, {"params": m.ones(2)}]),
    lambda m: same_twice(m),
    lambda m: m.optim.SGD([m.zeros(2)]).load_state_dict({"state": {}, "param_groups": []}),
    lambda m: m.optim.SGD([m.zeros(2)]).load_state_dict(
        {"state": {}, "param_groups": [{"params": [0, 1]}]}
    ),
]


def same_twice(module: Any) -> None:
    p = module.zeros(2)
    module.optim.SGD([p]).add_param_group({"params": [p]})


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_errors_equal(number: int) -> None:
    with pytest.raises(Exception) as theirs:
        REFUSED[number](torch)
    with pytest.raises(theirs.type) as ours:
        REFUSED[number](lazytorch)
    assert str(ours.value) == str(theirs.value)


def test_duplicates_are_warned_of() -> None:
    p = lazytorch.zeros(2)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        lazytorch.optim.SGD([p, p])


def test_hooks() -> None:
    seen: list[str] = []
    p = lazytorch.ones(2, requires_grad=True)
    optimizer = lazytorch.optim.SGD([p], lr=0.1)
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("pre")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("post")),
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("state")),
        optimizer.register_state_dict_post_hook(lambda o, d: {**d, "more": 1}),
        optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.append("load")),
        optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded")),
    ]
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["more"] == 1
    optimizer.load_state_dict(saved)
    assert seen == ["pre", "post", "state", "load", "loaded"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 5


def test_closure() -> None:
    p = lazytorch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = lazytorch.optim.SGD([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with lazytorch.no_grad():
        assert optimizer.step(closure).item() == 5.0
    np.testing.assert_allclose(p.detach().numpy(), [0.8, 1.6], rtol=1e-6)


def test_zero_grad() -> None:
    p = lazytorch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = lazytorch.optim.SGD([p], lr=0.1)
    (p * p).sum().backward()
    gradient = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is gradient
    assert p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_step_computes_what_the_user_holds() -> None:
    p = lazytorch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = lazytorch.optim.Adam([p])
    loss = (p * p).sum()
    loss.backward()
    optimizer.step()
    assert loss._storage.expression.value is not None
    assert p.grad._storage.expression.value is not None
    assert p._storage.expression.value is not None


def test_parameters_stay_leaves() -> None:
    p = lazytorch.tensor([1.0, 2.0], requires_grad=True)
    alias = p.detach()
    optimizer = lazytorch.optim.SGD([p], lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    assert p.is_leaf
    assert p.requires_grad
    assert alias.tolist() == p.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_go_on_alike(copier: Any) -> None:
    params = make_params(lazytorch)
    optimizer = lazytorch.optim.Adam(params, lr=0.1)
    for step in range(2):
        set_gradients(lazytorch, params, step)
        optimizer.step()
    twin = copier(optimizer)
    copied = twin.param_groups[0]["params"]
    assert copied[0] is not params[0]
    for each, each_params in ((optimizer, params), (twin, copied)):
        set_gradients(lazytorch, each_params, 2)
        each.step()
    for p, q in zip(params, copied, strict=True):
        assert p.tolist() == q.tolist()


@pytest.mark.host
def test_numpy_sees_the_updates() -> None:
    memory = np.ones(3, np.float32)
    p = lazytorch.from_numpy(memory).requires_grad_()
    q = lazytorch.ones(3, requires_grad=True)
    seen = q.detach().numpy()
    optimizer = lazytorch.optim.SGD([p, q], lr=0.5, momentum=0.9)
    for expected in (0.5, -0.45):
        p.grad, q.grad = lazytorch.ones(3), lazytorch.ones(3)
        optimizer.step()
        np.testing.assert_allclose(memory, [expected] * 3, rtol=1e-6)
        np.testing.assert_allclose(seen, [expected] * 3, rtol=1e-6)


@pytest.mark.parametrize(("name", "options"), [("SGD", {"lr": 0.1}), ("Adam", {"lr": 0.05})])
def test_differentiable_steps(name: str, options: dict[str, Any]) -> None:
    results = []
    for module in MODULES:
        w = module.tensor([1.0, -2.0, 3.0], requires_grad=True)
        gradient = module.tensor([0.5, 1.5, -1.0], requires_grad=True)
        p = w.clone()
        optimizer = getattr(module.optim, name)([p], differentiable=True, **options)
        p.grad = gradient
        optimizer.step()
        (p * p * p).sum().backward()
        results.append([w.grad.tolist(), gradient.grad.tolist()])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "state"),
    [
        ("SGD", {"lr": 0.1, "momentum": 0.5}, "momentum_buffer"),
        ("RMSprop", {"momentum": 0.5, "centered": True, "alpha": 0.5}, "momentum_buffer"),
        ("RMSprop", {"momentum": 0.5, "centered": True, "alpha": 0.5}, "grad_avg"),
        *[(name, {"betas": (0.5, 0.99)}, "exp_avg") for name in ("Adam", "NAdam", "RAdam")],
        ("Adamax", {"betas": (0.5, 0.99)}, "exp_avg"),
    ],
)
def test_a_momentum_decays_to_zero(name: str, options: dict[str, Any], state: str) -> None:
    # To a subnormal number in PyTorch, where it stays; processors are slow at those.
    results = []
    for module in MODULES:
        params = make_params(module)
        optimizer = getattr(module.optim, name)(params, **options)
        set_gradients(module, params, 0)
        smallest, least = 2.0**-126, []
        for _ in range(160):
            optimizer.step()
            for p in params:
                p.grad = module.zeros_like(p)
            momentum = np.abs(optimizer.state[params[0]][state].numpy())
            least.append(momentum[momentum > 0].min(initial=1.0))
        assert (min(least) < smallest) == (module is torch)
        assert momentum.max() < smallest
        results.append(params)
    assert_equal_params(*results)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_parameters(dtype: str) -> None:
    results = []
    for module in MODULES:
        params = make_params(module, dtype)
        optimizer = module.optim.SGD(params, lr=0.1, momentum=0.9)
        for step in range(3):
            set_gradients(module, params, step)
            optimizer.step()
        assert optimizer.state[params[0]]["momentum_buffer"].dtype is params[0].dtype
        results.append([x for p in params for x in p.detach().float().flatten().tolist()])
    tolerance = 0.01 if dtype == "float16" else 0.06
    np.testing.assert_allclose(results[0], results[1], rtol=tolerance, atol=tolerance)


def test_user_optimizers_subclass_the_base() -> None:
    class Plain(lazytorch.optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        @lazytorch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    p.add_(p.grad, alpha=-group["lr"])

    p = lazytorch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = Plain([p], lr=0.5)
    calls: list[int] = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    (p * p).sum().backward()
    optimizer.step()
    assert p.tolist() == [0.0, 0.0]
    assert calls == [1]


# ---- schedules ---------------------------------------------------------------------------------

SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], 0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.95**e),
    "LambdaLR2": lambda s, o: s.LambdaLR(o, [lambda e: 0.95**e, lambda e: 1 / (1 + e)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.95),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.5, 4),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.25, 0.9, 6),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 8, 2.0),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "WarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.001),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=20),
    "OneCycleLR3": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.2], epochs=4, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"
    ),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 3, 4),
    "CyclicLR2": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 3, mode="triangular2"),
    "CyclicLR3": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 3, mode="exp_range", gamma=0.9),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 6), s.ConstantLR(o, 0.3)], [4, 11]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)]
    ),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, "min", 0.5, 1, cooldown=1),
}


def make_schedule(module: Any, name: str, kind: str = "SGD") -> tuple[Any, Any]:
    params = make_params(module)
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.3}]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(module.optim, kind)(groups, lr=0.1, **options)
    return optimizer, SCHEDULES[name](module.optim.lr_scheduler, optimizer)


def run_schedule(optimizer: Any, scheduler: Any, steps: int) -> list[Any]:
    history = []
    for step in range(steps):
        optimizer.step()
        if type(scheduler).__name__ == "ReduceLROnPlateau":
            scheduler.step(abs(math.sin(step * 1.7)))
        else:
            scheduler.step()
        groups = optimizer.param_groups
        history.append(
            [(g["lr"], g.get("momentum"), g.get("betas")) for g in groups]
            + list(scheduler.get_last_lr())
        )
    return history


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_equal(name: str, kind: str) -> None:
    ours, theirs = [run_schedule(*make_schedule(m, name, kind), 18) for m in MODULES]
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_state_equal_and_resumes(name: str) -> None:
    dicts = []
    for module in MODULES:
        optimizer, scheduler = make_schedule(module, name)
        run_schedule(optimizer, scheduler, 5)
        dicts.append((optimizer.state_dict(), scheduler.state_dict()))
    assert dicts[0][1] == dicts[1][1]
    results = []
    for module, (_, state) in zip(MODULES, dicts, strict=True):
        optimizer, scheduler = make_schedule(module, name)
        scheduler.load_state_dict(state)
        for group, lr in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
            group["lr"] = lr
        results.append(run_schedule(optimizer, scheduler, 6))
    assert repr(results[0]) == repr(results[1])


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize(
    "name",
    [n for n in SCHEDULES if n.rstrip("2") not in ("SequentialLR", "ChainedScheduler",
     "ReduceLROnPlateau", "MultiplicativeLR")],
)  # fmt: skip
def test_closed_forms_equal(name: str) -> None:
    results = []
    for module in MODULES:
        optimizer, scheduler = make_schedule(module, name)
        optimizer.step()
        rates = []
        for epoch in (7, 2, 0, 11):
            scheduler.step(epoch)
            rates.append(scheduler.get_last_lr())
        results.append(rates)
    assert repr(results[0]) == repr(results[1])


def test_schedule_warns_of_the_wrong_order() -> None:
    for module in MODULES:
        _, scheduler = make_schedule(module, "StepLR")
        with pytest.warns(UserWarning, match="before `optimizer.step"):
            scheduler.step()
        with pytest.warns(UserWarning, match="get_last_lr"):
            scheduler.get_lr()


def test_schedule_of_a_tensor_rate_writes_into_it() -> None:
    lr = lazytorch.tensor(0.4)
    optimizer = lazytorch.optim.SGD([lazytorch.zeros(2)], lr=lr)
    scheduler = lazytorch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == pytest.approx(0.2)


def test_resuming_needs_the_first_rate() -> None:
    optimizer = lazytorch.optim.SGD([lazytorch.zeros(2)], lr=0.1)
    with pytest.raises(KeyError, match="initial_lr"):
        lazytorch.optim.lr_scheduler.StepLR(optimizer, 3, last_epoch=4)


def test_schedules_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_schedule(*make_schedule(lazytorch, "StepLR"), 4)
