"""Random programs: views, in-place writes, gradients, hooks and NumPy memory, as in PyTorch.

A program is a list of statements, run one by one under both libraries. Each must raise alike, and
at the end every variable must agree in values, gradient, and what autograd knows of it.

    python tests/lazytorch/test_programs.py --programs 10000 --seed 7

runs that many and says which differ; one alone is printed, with where it first does.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from found_complex_programs import FOUND_WITH_COMPLEX
from found_programs import FOUND
from found_python_programs import FOUND_WITH_PYTHON
from found_view_programs import FOUND_WITH_VIEWS

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from complex_program_writer import ComplexWriter  # noqa: E402
from devices import FUNCTIONS as DEVICE  # noqa: E402
from program_names import namespace, run  # noqa: E402
from program_search import options_of, search  # noqa: E402
from program_writer import Writer  # noqa: E402
from wide_program_writer import WideWriter  # noqa: E402

import lazytorch  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]
# Programs a test, and tests; those that are compiled have plans of their own.
PROGRAMS, TESTS = (4, 12) if DEVICE != "interpreter" else (25, 16)

# What we do not support, and say so.
_NOT_SUPPORTED = "is not supported; clone"
# What PyTorch refuses and we do not, where the program ends: memory that overlaps itself, a view of
# what PyTorch keeps transposed (a gradient).
_OVERLAPPING = "single memory location"
_REFUSED = "single memory location|view size is not compatible"
# A view of memory that NumPy shares is another value each time that it is read.
_REFUSED_OF_SHARED = "appears to not have been used in the graph|'NoneType' and 'int'"
# Of what was refused PyTorch may have run a part.
_RUNS_IN_PART = r"backward\(|\.grad\("
# Errors whose text is compared.
_DOCUMENTED = "modified by an inplace|in-place operation|modified inplace|second time|not have been"
# Names what wrote a saved value last; of views PyTorch makes a name up.
_MADE_BY = r", which is output \d+ of [^,]*,"
# Where a statement has two faults, which of them is named.
_EITHER = "its base or another view|view of a view|implicitly created|no_grad mode|inference mode|"
_EITHER += "only supports a 0-dimensional"
_OF_PARTS = r"inputs=|materialize|, \[|autograd.grad|autograd.functional"

_FOUND = FOUND | FOUND_WITH_VIEWS | FOUND_WITH_PYTHON | FOUND_WITH_COMPLEX

# ---- running and comparing ------------------------------------------------------------------


def described(x: Any) -> dict[str, Any]:
    """What a variable is, as plain data."""
    if isinstance(x, np.ndarray):
        return {"values": x.tolist()}
    if not hasattr(x, "retain_grad"):
        return {"value": x}
    try:
        return _described(x)
    except Exception as error:
        # Such as a view that no_grad made, whose base was written to since.
        return {"error": repr(error)}


def _described(x: Any) -> dict[str, Any]:
    gradient = x.grad if x.is_leaf or x.retains_grad else None
    strides = zip(x.stride(), x.shape, strict=True) if "--strides" in sys.argv else ()
    return {
        "strides": [s for s, n in strides if n > 1],
        "is_complex": x.is_complex(),
        "conjugated": (x.is_conj(), x.is_neg()),
        "values": x.tolist(),
        "shape": tuple(x.shape),
        "requires_grad": x.requires_grad,
        "is_leaf": x.is_leaf,
        "grad_fn": x.grad_fn is not None,
        "retains_grad": x.retains_grad,
        "grad": None if gradient is None else gradient.tolist(),
        "grad_requires_grad": gradient is not None and gradient.requires_grad,
    }


def near(x: Any, y: Any) -> bool:
    """Equal, numbers within float32's reach."""
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(near(x[k], y[k]) for k in x)
    if isinstance(x, (list, tuple)):
        return type(x) is type(y) and len(x) == len(y) and all(map(near, x, y))
    if isinstance(x, (float, complex)) and isinstance(y, (float, complex)):
        return bool(np.isclose(x, y, rtol=2e-4, atol=2e-5, equal_nan=True))
    return bool(x == y)


def same_error(mine: Exception | None, theirs: Exception | None) -> bool:
    if theirs is None or mine is None:
        return mine is theirs
    if type(mine).__name__ == type(theirs).__name__ == "RuntimeError":
        documented = [re.search(_DOCUMENTED, str(e)) for e in (mine, theirs)]
        if any([re.search(_EITHER, str(e)) for e in (mine, theirs)]):
            return True
        mine_text, their_text = [re.sub(_MADE_BY, "", str(e)) for e in (mine, theirs)]
        return mine_text == their_text if all(documented) else not any(documented)
    return isinstance(mine, type(theirs)) or isinstance(theirs, type(mine))


def differences(statements: list[str], look: bool = False) -> Iterator[str]:
    """Where the libraries part; with ``look``, every variable is compared after each statement. A
    number that differs in float32 alone was rounded, and that enlarged by what followed."""
    found = list(_differences(statements, look))
    if found and not (all(map(_is_of_numbers, found)) and agree_in_double(statements, look)):
        yield from found


def _is_of_numbers(difference: str) -> bool:
    return re.search(r": \w+'s (values|value|grad) is ", difference) is not None


def agree_in_double(statements: list[str], look: bool) -> bool:
    for library in (torch, lazytorch):
        library.set_default_dtype(library.float64)
    try:
        return not list(_differences(statements, look))
    finally:
        for library in (torch, lazytorch):
            library.set_default_dtype(library.float32)


def _differences(statements: list[str], look: bool) -> Iterator[str]:
    real, lazy = namespace(torch), namespace(lazytorch)
    for number, statement in enumerate(statements):
        expected, found = run(statement, real), run(statement, lazy)
        if expected is not None and found is None and re.search(_REFUSED, str(expected)):
            return
        if (
            found is not None
            and {"a0", "b0"} & real.keys()
            and re.search(_REFUSED_OF_SHARED, str(found))
        ):
            return
        if {"a0", "b0"} & real.keys() and re.search(_OF_PARTS, statement):
            return
        if expected is not None and "INTERNAL ASSERT" in str(expected):
            return
        if found is not None and re.search(f"{_NOT_SUPPORTED}|view size", str(found)):
            return
        if found is not None and re.search(_OVERLAPPING, f"{found} {expected}"):
            return
        if not same_error(found, expected):
            yield f"{number}: {statement}: raised {found!r}, PyTorch {expected!r}"
            return
        if expected is not None and re.search(_RUNS_IN_PART, statement):
            continue
        if look or number == len(statements) - 1:
            for name, value in real.items():
                if not re.fullmatch(r"[vab]\d+|seen", name):
                    continue
                theirs, mine = described(value), described(lazy.get(name))
                if "error" in theirs:
                    continue
                if "error" in mine:
                    yield f"{number}: {statement}: reading {name} raised {mine['error']}"
                    if look:
                        return
                    continue
                for key in theirs:
                    if not near(mine.get(key), theirs[key]):
                        yield (
                            f"{number}: {statement}: {name}'s {key} is {mine.get(key)}, "
                            f"PyTorch {theirs[key]}"
                        )
                        if look:
                            return


def made(seed: int, writer: type[Writer] = Writer) -> list[str]:
    return writer(seed).write(20 + seed % 21)


@pytest.mark.parametrize("part", range(TESTS))
def test_programs(part: int) -> None:
    with lazytorch.device(DEVICE):
        for seed in range(part * PROGRAMS, (part + 1) * PROGRAMS):
            statements = made(seed)
            for difference in differences(statements):
                raise AssertionError(f"program {seed}: {difference}\n" + "\n".join(statements))


@pytest.mark.parametrize("program", _FOUND.values(), ids=[*_FOUND])
def test_found(program: str) -> None:
    statements = program.strip().split("\n")
    with lazytorch.device(DEVICE):
        for look in (True, False):  # looking makes views' nodes, and computes what is pending
            assert not list(differences(statements, look))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wide", dest="writer", action="store_const", const=WideWriter, default=Writer,
        help="of more kinds of statements",
    )  # fmt: skip
    parser.add_argument(
        "--complex", dest="writer", action="store_const", const=ComplexWriter,
        help="on complex tensors and their parts",
    )  # fmt: skip
    parser.add_argument("--strides", action="store_true", help="compare those too")
    options = options_of(parser)
    search(
        options,
        lambda seed: made(seed, options.writer),
        lambda statements, look: next(differences(statements, look), None),
    )


if __name__ == "__main__":
    main()
