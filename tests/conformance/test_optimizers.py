"""Every optimizer of PyTorch's own database: ten steps, state dicts, printed form, refusals."""

from __future__ import annotations

import os
import re

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")
import lazytorch  # noqa: E402

from . import optimizers  # noqa: E402
from .translate import NotApplicable  # noqa: E402

pytestmark = pytest.mark.pytorch
DEVICE = os.environ.get("LAZYTORCH_TEST_DEVICE") or "interpreter"
INFOS = {info.optim_cls.__name__: info for info in optimizers.optimizers()}


@pytest.mark.parametrize("name", INFOS)
def test_optimizer(name: str) -> None:
    info = INFOS[name]
    reasons = [
        f"{sample.desc}: {reason}"
        for sample in info.optim_inputs_func(device="cpu")
        for reason in optimizers.check(info, sample, DEVICE)
    ]
    assert not reasons, "\n".join(reasons)


@pytest.mark.parametrize("name", INFOS)
def test_optimizer_refuses(name: str) -> None:
    info = INFOS[name]
    for error in optimizers.errors(info):
        expected = optimizers.refusal(error, info.optim_cls, optimizers.same, torch)
        found = optimizers.refusal(
            error, optimizers.counterpart(info), optimizers.OneForOne("cpu"), lazytorch
        )
        assert expected is not None
        if found is not None and found[0] is NotApplicable:
            continue
        assert found is not None, f"takes {error.optimizer_error_input}"
        assert found[0] is expected[0] and re.search(error.error_regex, found[1]), (found, expected)
