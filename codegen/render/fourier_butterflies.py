"""Transforms of a few points as straight lines of C: points in, each the names of its two parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codegen.loops.fourier import prime_factors

Point = tuple[str, str]  # the names of the real and of the imaginary part


class Butterfly:
    """Writes transforms over values of a C type, each value named once."""

    def __init__(self, element: str, type_: str) -> None:
        self.element, self.type = element, type_
        self.lines: list[str] = []

    def name(self, expression: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"const {self.type} {name} = {expression};")
        return name

    def transform(self, points: Sequence[Point]) -> list[Point]:
        """sum x[j] exp(-2πi jk/n) of all points x."""
        n = len(points)
        if n == 1:
            return list(points)
        if n == 2:
            return self._sum_and_difference(*points)
        # 4, not 2 at a time: a quarter of a turn costs nothing.
        a = 4 if n % 4 == 0 else prime_factors(n)[0]
        if a == n == 4:
            return self._of_four(points)
        if a == n:
            return self._of_prime(points)
        b = n // a
        rows = []
        for j in range(b):
            row = self.transform(points[j::b])
            rows.append([self._turned(x, j * k, n) for k, x in enumerate(row)])
        found: list[Point] = [("", "")] * n
        for k in range(a):
            found[k::a] = self.transform([row[k] for row in rows])
        return found

    def times(self, x: Point, re: str, im: str) -> Point:
        """A point times a complex number."""
        a, b = x
        return self.name(f"{a} * {re} - {b} * {im}"), self.name(f"{a} * {im} + {b} * {re}")

    def _sum_and_difference(self, x: Point, y: Point) -> list[Point]:
        first = self.name(f"{x[0]} + {y[0]}"), self.name(f"{x[1]} + {y[1]}")
        return [first, (self.name(f"{x[0]} - {y[0]}"), self.name(f"{x[1]} - {y[1]}"))]

    def _of_four(self, points: Sequence[Point]) -> list[Point]:
        x0, x1, x2, x3 = points
        a, b = self._sum_and_difference(x0, x2)
        c, d = self._sum_and_difference(x1, x3)
        first, third = self._sum_and_difference(a, c)
        second = self.name(f"{b[0]} + {d[1]}"), self.name(f"{b[1]} - {d[0]}")
        return [
            first,
            second,
            third,
            (self.name(f"{b[0]} - {d[1]}"), self.name(f"{b[1]} + {d[0]}")),
        ]

    def _of_prime(self, points: Sequence[Point]) -> list[Point]:
        """Points j and n - j share a cosine, and a sine but for its sign; so do results."""
        n, half = len(points), len(points) // 2
        pairs = [self._sum_and_difference(points[j], points[n - j]) for j in range(1, half + 1)]
        found = [points[0]] * n
        found[0] = tuple(  # type: ignore[assignment]
            [self.name(" + ".join([points[0][i], *[s[i] for s, _ in pairs]])) for i in (0, 1)]
        )
        for k in range(1, half + 1):
            angles = [2 * math.pi * (j * k % n) / n for j in range(1, half + 1)]
            even, odd = [], []
            for i in (0, 1):
                terms = [
                    f"{s[i]} * {self._number(math.cos(t))}"
                    for (s, _), t in zip(pairs, angles, strict=True)
                ]
                even.append(self.name(" + ".join([points[0][i], *terms])))
                terms = [
                    f"{d[i]} * {self._number(math.sin(t))}"
                    for (_, d), t in zip(pairs, angles, strict=True)
                ]
                odd.append(self.name(" + ".join(terms)))
            found[k] = self.name(f"{even[0]} + {odd[1]}"), self.name(f"{even[1]} - {odd[0]}")
            found[n - k] = self.name(f"{even[0]} - {odd[1]}"), self.name(f"{even[1]} + {odd[0]}")
        return found

    def _turned(self, x: Point, k: int, n: int) -> Point:
        """A point times exp(-2πi k/n)."""
        a, b = x
        k %= n
        if k == 0:
            return x
        if 4 * k % n == 0:
            quarter = 4 * k // n
            if quarter == 2:
                return self.name(f"-{a}"), self.name(f"-{b}")
            return (b, self.name(f"-{a}")) if quarter == 1 else (self.name(f"-{b}"), a)
        if 8 * k % n == 0:
            root = self._number(math.sqrt(0.5))
            plus, minus = self.name(f"({a} + {b}) * {root}"), self.name(f"({b} - {a}) * {root}")
            eighth = 8 * k // n
            if eighth == 1:
                return plus, minus
            if eighth == 3:
                return minus, self.name(f"-{plus}")
            if eighth == 5:
                return self.name(f"-{plus}"), self.name(f"-{minus}")
            return self.name(f"-{minus}"), plus
        angle = -2 * math.pi * k / n
        return self.times(x, self._number(math.cos(angle)), self._number(math.sin(angle)))

    def _number(self, x: float) -> str:
        return f"({self.element}){x!r}"
