"""Random programs in which hooks and Functions raise: what has run by then, as in PyTorch.

    python tests/lazytorch/test_raising_programs.py --programs 1000 --seed 7

runs that many and says which differ; one alone is printed.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS as DEVICE  # noqa: E402
from program_names import run  # noqa: E402
from program_search import options_of, search  # noqa: E402
from raising_programs import RaisingWriter, namespace  # noqa: E402
from test_programs import near  # noqa: E402

import lazytorch  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]
PROGRAMS, TESTS = 25, 12


def state(names: dict[str, Any]) -> dict[str, Any]:
    """What is compared after each statement."""
    found: dict[str, Any] = {"seen": list(names["seen"])}
    for name, value in names.items():
        if re.fullmatch(r"[xv]\d+|other|loss", name):
            found[name] = _described(value)
        elif re.fullmatch(r"m\d+", name):
            found[name] = [_described(p) for p in value.parameters()]
    return found


def _described(x: Any) -> Any:
    gradient = x.grad if x.is_leaf or x.retains_grad else None
    shown = None if gradient is None else [gradient.tolist(), gradient.requires_grad]
    return [x.tolist(), x._version, x.requires_grad, x.is_leaf, shown]


def outcome(error: Exception | None) -> Any:
    """The type and text of what a statement raised."""
    text = re.sub("0x[0-9a-f]+", "", str(error)).replace("lazytorch", "torch")
    return None if error is None else [type(error).__name__, text.split("\n")[0]]


def difference(statements: list[str]) -> str | None:
    """Where the libraries part first, in numbers whose rounding is not seen."""
    for library in (torch, lazytorch):
        library.set_default_dtype(library.float64)
    try:
        return _difference(statements)
    finally:
        for library in (torch, lazytorch):
            library.set_default_dtype(library.float32)


def _difference(statements: list[str]) -> str | None:
    real, lazy = namespace(torch), namespace(lazytorch)
    for number, statement in enumerate(statements):
        expected, found = outcome(run(statement, real)), outcome(run(statement, lazy))
        if expected != found:
            return f"{number}: {statement}\n  raised {found}\n  PyTorch {expected}"
        theirs, mine = state(real), state(lazy)
        for name, value in theirs.items():
            if not near(mine.get(name), value):
                return f"{number}: {statement}\n  {name}: {mine.get(name)}\n  PyTorch {value}"
    return None


@pytest.mark.parametrize("part", range(TESTS))
def test_raising_programs(part: int) -> None:
    with lazytorch.device(DEVICE):
        for seed in range(part * PROGRAMS, (part + 1) * PROGRAMS):
            statements = RaisingWriter(seed).write()
            found = difference(statements)
            assert found is None, f"program {seed}: {found}\n" + "\n".join(statements)


def main() -> None:
    options = options_of(argparse.ArgumentParser(description=__doc__))
    search(
        options,
        lambda seed: RaisingWriter(seed).write(),
        lambda statements, _look: difference(statements),
    )


if __name__ == "__main__":
    main()
