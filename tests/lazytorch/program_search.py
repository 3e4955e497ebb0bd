"""The command line of random programs: many are run, those that differ are shortened and shown."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable

from devices import FUNCTIONS as DEVICE

import lazytorch

# Where the libraries part in a program, if they do. With True, a test may look at more on the way.
Difference = Callable[[list[str], bool], str | None]


def options_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    parser.add_argument("--programs", type=int, default=1, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    parser.add_argument("--whole", action="store_true", help="print them as they were written")
    return parser.parse_args()


def search(
    options: argparse.Namespace, write: Callable[[int], list[str]], difference: Difference
) -> None:
    """Run many programs, say which differ and how; one program with its statements."""
    warnings.simplefilter("ignore")
    differing = 0
    with lazytorch.device(DEVICE):
        for seed in range(options.seed, options.seed + options.programs):
            statements = write(seed)
            found = difference(statements, options.programs == 1)
            if found is not None:
                differing += 1
                if not options.whole:
                    statements = shrunk(statements, difference)
                found = difference(statements, True) or found
                print(f"program {seed}: {found}")
            if options.programs == 1 or found is not None:
                print("\n".join(f"    {i}: {s}" for i, s in enumerate(statements)), flush=True)
    print(f"{differing} of {options.programs} programs differ")
    sys.exit(differing > 0)


def shrunk(statements: list[str], difference: Difference) -> list[str]:
    """As few of a program's statements as still differ."""
    look = difference(statements, True) is not None  # not where it takes part
    again = True
    while again:
        again = False
        for i in reversed(range(len(statements))):
            fewer = statements[:i] + statements[i + 1 :]
            # What lacks a variable fails alike in both, or says so.
            if "NameError" not in (difference(fewer, look) or "NameError"):
                statements, again = fewer, True
    return statements
