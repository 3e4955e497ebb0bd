"""Every module of PyTorch's own database: results, gradients, state, printed form, refusals."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")
from . import modules

pytestmark = pytest.mark.pytorch
DEVICE = os.environ.get("LAZYTORCH_TEST_DEVICE") or "interpreter"
# Samples of each module and mode, but with --conformance.
FEW = 3
INFOS = {info.module_cls.__name__: info for info in modules.modules()}


@pytest.mark.parametrize("name", INFOS)
def test_module(name: str, request: pytest.FixtureRequest) -> None:
    info, limit = INFOS[name], None if request.config.getoption("--conformance") else FEW
    reasons = [
        f"{'training' if training else 'evaluation'}, {sample.constructor_input.args}"
        f" {sample.constructor_input.kwargs}: {reason}"
        for training in (True, False)
        for sample in modules.samples(info, training, limit)
        for reason in modules.check(info, sample, training, DEVICE)
    ]
    assert not reasons, "\n".join(reasons)


@pytest.mark.parametrize("name", [n for n in INFOS if modules.errors(INFOS[n])])
def test_module_refuses(name: str) -> None:
    info = INFOS[name]

    def same(value: Any) -> Any:
        return value

    for error in modules.errors(info):
        expected = modules.refusal(error, info.module_cls, same, "cpu")
        found = modules.refusal(
            error, modules.counterpart(info), modules.Constructing(DEVICE), DEVICE
        )
        assert expected is not None
        assert found is not None, f"takes {error.module_error_input.constructor_input.args}"
        assert found[0] is expected[0] and re.search(error.error_regex, found[1]), (found, expected)
