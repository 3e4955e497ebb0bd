"""How a Fourier transform is cut: into butterflies, two shorter transforms, or a convolution."""

from __future__ import annotations

import functools
from dataclasses import dataclass

# The largest prime for which a butterfly is written, whose lines grow with the prime's square.
_LARGEST_PRIME = 31
# So many points a butterfly has at most: those of 16 fill a processor's 32 registers.
_LARGEST_BUTTERFLY = 16
# A single row longer than this leaves the second-level cache: its two halves are two kernels.
_LONG_ROW = 1 << 16


@functools.cache
def prime_factors(n: int) -> tuple[int, ...]:
    """The primes whose product is n, in ascending order."""
    found, p = [], 2
    while p * p <= n:
        if n % p:
            p += 1
        else:
            found.append(p)
            n //= p
    return (*found, n) if n > 1 else tuple(found)


def is_smooth(n: int) -> bool:
    """Whether n is a product of primes for which butterflies are written."""
    return not n > 1 or prime_factors(n)[-1] <= _LARGEST_PRIME


@functools.cache
def radices(n: int) -> tuple[int, ...]:
    """Sizes of butterflies whose product is n: as few as there can be, of about one size."""
    primes = prime_factors(n)[::-1]
    bins: list[int] = []
    for p in primes:  # how many: each into the fullest that has room
        fits = [i for i, b in enumerate(bins) if b * p <= _LARGEST_BUTTERFLY]
        if fits:
            bins[max(fits, key=lambda i: bins[i])] *= p
        else:
            bins.append(p)
    even = [1] * len(bins)
    for p in primes:
        fits = [i for i, b in enumerate(even) if b == 1 or b * p <= _LARGEST_BUTTERFLY]
        if not fits:
            return tuple(sorted(bins))
        even[min(fits, key=lambda i: even[i])] *= p
    return tuple(sorted(even)) or (1,)


@functools.cache
def halves(n: int, lanes: int) -> tuple[int, int] | None:
    """Two factors of n of no fewer points than a vector has: of those that waste the fewest lanes,
    the ones that are nearest to each other."""
    found = [(a, n // a) for a in range(lanes, n // lanes + 1) if n % a == 0 and is_smooth(n)]

    def cost(pair: tuple[int, int]) -> tuple[float, int]:
        waste = sum([-(-x // lanes) * lanes / x for x in pair])
        return waste, abs(pair[0] - pair[1])

    return min(found, key=cost, default=None)


@functools.cache
def convolved_size(n: int, lanes: int) -> int:
    """The points of transforms by which one of n points, of a large prime, is done as a
    convolution (Bluestein): the least multiple of whole vectors that can be halved."""
    size = lanes * lanes
    while size < 2 * n - 1 or not is_smooth(size) or halves(size, lanes) is None:
        size += lanes * lanes
    return size


@dataclass(frozen=True)
class RowForm:
    """How rows of n points are transformed.

    ``lanes``       as many rows at once as a vector has elements, each in its own lane
    ``halves``      a row as a matrix: its columns, then, turned, its rows
    ``convolution`` with a chirp, for what has large prime factors
    """

    kind: str
    n: int
    halves: tuple[int, int] = (1, 1)
    convolved: int = 0


def row_form(n: int, lanes: int) -> RowForm:
    if not is_smooth(n):
        return RowForm("convolution", n, convolved=convolved_size(n, lanes))
    pair = halves(n, lanes) if n >= lanes * lanes else None
    return RowForm("lanes", n) if pair is None else RowForm("halves", n, halves=pair)


def is_long(rows: int, n: int, lanes: int, threads: int) -> bool:
    """Whether the two halves of each row are kernels of their own."""
    if row_form(n, lanes).kind != "halves":
        return False
    return n > _LONG_ROW or (rows < threads and n >= _LONG_ROW // 16)
