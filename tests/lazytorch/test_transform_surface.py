"""torch.func, forward mode and autograd.functional beside PyTorch's, in what a user sees: types of
results, flags, texts, errors. Each line is run by both libraries; what it shows has to be the same.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch

import lazytorch

_SETTING = """
x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
r, s, i = x.clone().requires_grad_(), torch.tensor(2.0), torch.tensor([1, 2])
"""


def _shown(value: Any, library: Any) -> str:
    if isinstance(value, library.Tensor):
        flags = f"{tuple(value.shape)} {value.dtype} {value.requires_grad} {value.is_leaf}"
        return f"{flags} {value.detach() if value.requires_grad else value}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}[{', '.join([_shown(v, library) for v in value])}]"
    return repr(value)


def told(code: str, library: Any) -> str:
    """What a program shows: its values, or its error."""
    lines: list[str] = []
    names = {
        "torch": library, "func": library.func, "functional": library.autograd.functional,
        "forward": library.autograd.forward_ad, "nn": library.nn, "F": library.nn.functional,
        "show": lambda *values: lines.extend([_shown(v, library) for v in values]),
    }  # fmt: skip
    library.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(_SETTING + code, names)
        except Exception as error:
            lines.append(f"{type(error).__name__}: {error}")
    return re.sub("0x[0-9a-f]+", "0x", "\n".join(lines).replace("lazytorch", "torch"))


def compare(code: str) -> None:
    assert told(code, lazytorch) == told(code, torch)


_OPTIONS = (
    "", "create_graph=True", "strict=True", "vectorize=True",
    "vectorize=True, strategy='forward-mode'", "strategy='forward-mode'",
)  # fmt: skip
JACOBIANS = [
    f"show(functional.jacobian({function}, {inputs}, {options}))"
    for function, inputs in (
        ("lambda a: a * a", "x"),
        ("lambda a: a * a", "r"),
        ("lambda a: (a * a, a.sum())", "(x,)"),
        ("lambda a: ()", "x"),
        ("lambda a: a.long()", "x"),
        ("lambda a, b: a * b", "(x, s)"),
        ("lambda a, b: (a * b, a.sum())", "(x, s)"),
        ("lambda a, b: (a * b).sum()", "(x, s)"),
        ("lambda a, b: a * b", "(x, i)"),
        ("lambda a: torch.ones(2)", "x"),
        ("lambda a: 3.0", "x"),
    )
    for options in _OPTIONS
] + [
    f"show(functional.hessian({function}, {inputs}, {options}))"
    for function, inputs in (
        ("lambda a: (a**3).sum()", "x"),
        ("lambda a, b: (a * a * b).sum()", "(x, s)"),
        ("lambda a: a", "x"),
    )
    for options in ("", "vectorize=True", "outer_jacobian_strategy='foo'", "strict=True")
]


@pytest.mark.parametrize("code", JACOBIANS)
def test_jacobians(code: str) -> None:
    compare(code)


@pytest.mark.parametrize(
    "code",
    [
        "show(s[:1])",
        "show(functional.jacobian(lambda a: a[:0], x))",
        "z = (r * 1).view(2, 1)\nprint(z.t().reshape(2).grad_fn, z.t().reshape(1, 2, 1).grad_fn)",
        "z = r.expand(3, 2)\nshow(type(z[:, 0].reshape(3, 1).grad_fn).__name__)",
    ],
)
def test_shapes(code: str) -> None:
    compare(code)
