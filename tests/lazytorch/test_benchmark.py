"""torch.utils.benchmark: each run computes what it asks for; results look as PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

import torch.utils.benchmark as theirs  # noqa: E402

import lazytorch  # noqa: E402
import lazytorch.utils.benchmark as ours  # noqa: E402

RUNS = 7
STATEMENTS = {
    "an expression": "x @ x",
    "several": "x.exp(); x.sin()",
    "in a loop": "for i in range(2):\n    x.exp()",
    "a variable": "y = x + 1",
    "variables": "a, (b, *c) = x + 1, (x * 2, x)",
    "a variable that may be unbound": "if x.ndim == 2:\n    y = x.exp()\nelse:\n    z = 1",
    "a write": "x.add_(1)",
    "a part": "x[0] = x[1] * 2",
    "a gradient": "w.grad = None\n(w * 2).sum().backward()",
    "a function's result": "f(x)",
    "a module's": "torch.nn.functional.softmax(x, -1)",
    "by name": "(y := x.exp())",
    "a sparse one": "s * 2",
    "a comprehension": "[x * i for i in range(2)]",
    "a block": """
        y = x * 2
        y = y.exp()
    """,
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_run_computes(name: str) -> None:
    w = lazytorch.ones(4, requires_grad=True)
    names = {
        "x": lazytorch.ones(8, 8) / 8, "w": w, "f": lambda x: {"y": (x * 3, 1)},
        "s": lazytorch.eye(3).to_sparse(),
    }  # fmt: skip
    timer = ours.Timer(STATEMENTS[name], globals=names)
    timer.timeit(2)
    before = lazytorch.stats().kernels_run
    assert timer.timeit(RUNS).raw_times[0] > 0
    assert lazytorch.stats().kernels_run - before >= RUNS
    if name == "a gradient":
        assert w.grad is not None and w.grad._storage.expression.value is not None


def test_ranges() -> None:
    """Both make measurements; threads are what they were before."""
    threads = lazytorch.get_num_threads()
    timer = ours.Timer("x + 1", "x = torch.ones(3)", num_threads=1)
    told: list[int] = []
    blocked = timer.blocked_autorange(lambda number, _time: told.append(number), min_run_time=0.01)
    assert told and len(blocked.raw_times) == len(told) and set(told) == {blocked.number_per_run}
    adaptive = timer.adaptive_autorange(threshold=10.0, min_run_time=1e-4)
    assert len(adaptive.raw_times) >= 4
    assert lazytorch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (ValueError, {"stmt": 3}),
        (ValueError, {"language": "fortran"}),
        (ValueError, {"global_setup": "#include <a>"}),
        (SyntaxError, {"stmt": "x +"}),
    ],
)
def test_refusals(error: type[Exception], arguments: dict[str, Any]) -> None:
    texts = []
    for library in (theirs, ours):
        with pytest.raises(error) as raised:
            library.Timer(**arguments)
        texts.append(str(raised.value))
    assert texts[0] == texts[1]


def _measurements(library: Any) -> list[Any]:
    """Times of 1 to 9 replicates, with and without spread, in several units."""
    made = []
    for scale in (2e-9, 3e-6, 4.5e-3, 1.5):
        for count, spread in ((1, 0.0), (3, 0.5), (9, 0.02), (8, 0.9)):
            times = [scale * (1 + spread * i / count) for i in range(count)]
            for label in (None, "relu"):
                stmt = "y = x\nx + 1" if count == 3 else f"x + {count}"
                spec = library.TaskSpec(
                    stmt, "pass" if count == 1 else "a = 1",
                    label=label, sub_label="float" if count == 8 else None,
                    description=f"n={scale}", num_threads=1 + count % 2,
                )  # fmt: skip
                made.append(library.Measurement(10, [t * 10 for t in times], spec))
    return made


def test_measurements_look_as_pytorch_s() -> None:
    for a, b in zip(_measurements(ours), _measurements(theirs), strict=True):
        assert repr(a).split("\n")[1:] == repr(b).split("\n")[1:]
        assert a.significant_figures == b.significant_figures
        assert a.has_warnings == b.has_warnings and a.title == b.title


@pytest.mark.parametrize("options", ["", "trim", "rowwise", "columnwise", "warn"])
def test_tables_look_as_pytorch_s(options: str) -> None:
    texts = []
    for library in (ours, theirs):
        table = library.Compare(_measurements(library))
        if options == "trim":
            table.trim_significant_figures()
        elif options == "warn":
            table.highlight_warnings()
        elif options:
            table.colorize(rowwise=options == "rowwise")
        texts.append(str(table))
    assert texts[0] == texts[1]
