"""Random programs in which hooks and Functions raise: what has run by then, as in PyTorch.

    python tests/lazytorch/test_raising_programs.py --programs 1000 --seed 7

runs that many and says which differ; one alone is printed.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS as DEVICE  # noqa: E402
from program_names import run  # noqa: E402
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


def shrunk(statements: list[str]) -> list[str]:
    """As few of a program's statements as still differ."""
    again = True
    while again:
        again = False
        for i in reversed(range(len(statements))):
            fewer = statements[:i] + statements[i + 1 :]
            found = difference(fewer)
            if found is not None and "NameError" not in found:
                statements, again = fewer, True
    return statements


@pytest.mark.parametrize("part", range(TESTS))
def test_raising_programs(part: int) -> None:
    with lazytorch.device(DEVICE):
        for seed in range(part * PROGRAMS, (part + 1) * PROGRAMS):
            statements = RaisingWriter(seed).write()
            found = difference(statements)
            assert found is None, f"program {seed}: {found}\n" + "\n".join(statements)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    parser.add_argument("--whole", action="store_true", help="print them as they were written")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    differing = 0
    with lazytorch.device(DEVICE):
        for seed in range(options.seed, options.seed + options.programs):
            statements = RaisingWriter(seed).write()
            found = difference(statements)
            if found is not None:
                differing += 1
                if not options.whole:
                    statements = shrunk(statements)
                    found = difference(statements)
                print(f"program {seed}: {found}")
            if options.programs == 1 or found is not None:
                print("\n".join(f"    {i}: {s}" for i, s in enumerate(statements)), flush=True)
    print(f"{differing} of {options.programs} programs differ")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
