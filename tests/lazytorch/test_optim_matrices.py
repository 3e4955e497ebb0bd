"""Optimizers that see more than one element at a time, and averages, against real PyTorch."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from test_optim import MODULES, convert, make_params

import lazytorch
from lazytorch.realize import plan_count

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.pytorch


# ---- Muon ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1}, {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"},
        {"lr": 0.1, "ns_steps": 3, "momentum": 0.5, "weight_decay": 0.0},
    ],
)  # fmt: skip
def test_muon(options: dict[str, Any]) -> None:
    results = []
    for module in MODULES:
        generator = np.random.default_rng(0)
        params = [
            module.tensor(generator.standard_normal(shape).tolist(), requires_grad=True)
            for shape in ((6, 4), (4, 6), (5, 5))
        ]
        optimizer = module.optim.Muon(params, **options)
        for step in range(4):
            if step == 2:
                before = plan_count()
                optimizer.param_groups[0]["lr"] = 0.05
            for p in params:
                p.grad = module.tensor(generator.standard_normal(tuple(p.shape)).tolist())
            optimizer.step()
        results.append((params, optimizer))
        assert plan_count() == before
    (ours, our_optimizer), (theirs, their_optimizer) = results
    for p, q in zip(ours, theirs, strict=True):
        # The iteration is in bfloat16.
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=5e-3)
    assert repr(our_optimizer) == repr(their_optimizer)
    for number, state in their_optimizer.state_dict()["state"].items():
        assert list(state) == list(our_optimizer.state_dict()["state"][number])


# ---- LBFGS --------------------------------------------------------------------------------


def valley(module: Any, params: list[Any]) -> Any:
    """Rosenbrock's function of two parameters, one of which takes part in a second term too."""
    x, y = params
    return ((1 - x) ** 2).sum() + 10 * ((y - x**2) ** 2).sum() + (y[0] * x[1]) ** 2


LBFGS_OPTIONS = [
    {"lr": 0.1, "max_iter": 4}, {"line_search_fn": "strong_wolfe", "max_iter": 6},
    {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 8},
    {"lr": 0.3, "max_iter": 5, "max_eval": 3, "history_size": 2},
    {"line_search_fn": "strong_wolfe", "lr": 30.0, "max_iter": 5, "max_eval": 7},
    {"lr": 0.2, "tolerance_change": 1e-2}, {"lr": 0.2, "tolerance_grad": 1.0},
]  # fmt: skip


def descend(module: Any, options: dict[str, Any], steps: int) -> tuple[Any, list[Any], list[float]]:
    params = [
        module.tensor(v, dtype=module.float64, requires_grad=True)
        for v in ([-1.5, 0.5, 2.0], [2.0, -1.0, 0.3])
    ]
    optimizer = module.optim.LBFGS(params, **options)
    return optimizer, params, go_on(module, optimizer, params, steps)


def go_on(module: Any, optimizer: Any, params: list[Any], steps: int) -> list[float]:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = valley(module, params)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(steps)]


@pytest.mark.parametrize("options", LBFGS_OPTIONS, ids=str)
def test_lbfgs(options: dict[str, Any]) -> None:
    (ours, _, losses), (theirs, _, expected) = [descend(m, options, 4) for m in MODULES]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    for name in ("func_evals", "n_iter"):
        assert mine["state"][0][name] == other["state"][0][name]
    assert set(mine["state"][0]) == set(other["state"][0])
    assert len(mine["state"][0].get("ro", ())) == len(other["state"][0].get("ro", ()))


@pytest.mark.parametrize("source", [0, 1])
def test_lbfgs_state_moves_between_libraries(source: int) -> None:
    options = LBFGS_OPTIONS[1]
    giver, taker = MODULES[source], MODULES[1 - source]
    from_optimizer, given, _ = descend(giver, options, 2)
    into_optimizer, taken, _ = descend(taker, options, 0)
    into_optimizer.load_state_dict(convert_all(from_optimizer.state_dict(), taker))
    for p, q in zip(taken, given, strict=True):
        p.data = taker.tensor(q.detach().numpy())  # on the device of the test
    np.testing.assert_allclose(
        go_on(taker, into_optimizer, taken, 2), go_on(giver, from_optimizer, given, 2), rtol=1e-5
    )


def convert_all(value: Any, module: Any) -> Any:
    if isinstance(value, dict):
        return {k: convert_all(v, module) for k, v in value.items()}
    if isinstance(value, list):
        return [convert_all(v, module) for v in value]
    return convert(value, module)


def test_lbfgs_needs_few_plans() -> None:
    optimizer, params, _ = descend(lazytorch, {"lr": 0.01, "max_iter": 6}, 2)
    before = plan_count()
    go_on(lazytorch, optimizer, params, 3)
    assert plan_count() - before <= 2


def test_lbfgs_refuses_other_searches() -> None:
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        descend(lazytorch, {"line_search_fn": "x"}, 1)


# ---- averages -----------------------------------------------------------------------------

AVERAGES: dict[str, Any] = {
    "mean": lambda u: {},
    "mean of buffers too": lambda u: {"use_buffers": True},
    "one by one": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "exponential": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.7)},
    "exponential one by one": lambda u: {"avg_fn": u.get_ema_avg_fn(0.7), "use_buffers": True},
    "exponential of buffers": lambda u: {
        "multi_avg_fn": u.get_ema_multi_avg_fn(0.7), "use_buffers": True
    },
    "mean in lists": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
}  # fmt: skip


def averaged(module: Any, name: str) -> Any:
    utils = module.optim.swa_utils
    model = module.nn.Sequential(module.nn.Linear(3, 2), module.nn.BatchNorm1d(2))
    average = utils.AveragedModel(model, **AVERAGES[name](utils))
    generator = np.random.default_rng(0)
    for _ in range(4):
        with module.no_grad():
            for value in [*model.parameters(), *list(model.buffers())[:2]]:
                drawn = generator.standard_normal(tuple(value.shape)).astype(np.float32)
                value.copy_(module.from_numpy(drawn))
            model[1].num_batches_tracked += 3
        average.update_parameters(model)
    batches = [
        module.from_numpy(generator.standard_normal((4, 3)).astype(np.float32)) for _ in range(3)
    ]
    state = {k: v.clone() for k, v in average.state_dict().items()}
    utils.update_bn([(b, 0) for b in batches], average)
    return state, average.state_dict(), average(batches[0])


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_models(name: str) -> None:
    ours, theirs = [averaged(m, name) for m in MODULES]
    for state, expected in zip(ours[:2], theirs[:2], strict=True):
        assert list(state) == list(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(
                state[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6, err_msg=key
            )
    np.testing.assert_allclose(
        ours[2].detach().numpy(), theirs[2].detach().numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("options", [{}, {"anneal_strategy": "linear", "anneal_epochs": 4},
    {"anneal_epochs": 0}])  # fmt: skip
def test_swalr(options: dict[str, Any]) -> None:
    results = []
    for module in MODULES:
        params = make_params(module)
        optimizer = module.optim.SGD(
            [{"params": params[:2], "lr": 0.5}, {"params": params[2:]}], lr=0.1
        )
        schedule = module.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        swa = module.optim.swa_utils.SWALR(optimizer, [0.05, 0.2], **options)
        rates = []
        for _ in range(12):
            optimizer.step()
            schedule.step()
            swa.step()
            rates.append([*swa.get_last_lr(), *[g["lr"] for g in optimizer.param_groups]])
        results.append((rates, {k: repr(v) for k, v in swa.state_dict().items()}))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    assert results[0][1] == results[1][1]


def test_errors_of_averages() -> None:
    for use in (
        lambda m: m.optim.swa_utils.get_ema_avg_fn(1.5),
        lambda m: m.optim.swa_utils.get_ema_multi_avg_fn(-1),
        lambda m: m.optim.swa_utils.AveragedModel(m.nn.Linear(1, 1), None, len, len),
        lambda m: m.optim.swa_utils.SWALR(m.optim.SGD([m.zeros(1)]), 1.0, anneal_strategy="x"),
        lambda m: m.optim.swa_utils.SWALR(m.optim.SGD([m.zeros(1)]), 1.0, anneal_epochs=-1),
        lambda m: m.optim.swa_utils.SWALR(m.optim.SGD([m.zeros(1)]), [1.0, 2.0]),
    ):
        with pytest.raises(Exception) as theirs:
            use(torch)
        with pytest.raises(theirs.type) as ours:
            use(lazytorch)
        assert str(ours.value) == str(theirs.value)


NAMES = [
    n for n in dir(torch.optim)
    if isinstance(getattr(torch.optim, n), type) and n not in ("SparseAdam", "Optimizer")
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    def parameters(module: Any) -> list[Any]:
        found = inspect.signature(getattr(module.optim, name).__init__).parameters.values()
        return [(p.name, p.kind, p.default) for p in found]

    assert parameters(lazytorch) == parameters(torch)
