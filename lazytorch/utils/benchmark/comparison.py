"""Compare: measurements as tables, one a label, with a row a statement and a column a case."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence

from lazytorch.utils.benchmark.measurement import (
    Measurement,
    ordered_unique,
    select_unit,
    trim_sigfig,
    unit_to_english,
)

_BEST, _GOOD, _BAD, _VERY_BAD = "\033[92m", "\033[34m", "\033[2m\033[91m", "\033[31m"
_BOLD, _PLAIN = "\033[1m", "\033[0m"


class Colorize(enum.Enum):
    """Among which times the best and the worst are coloured."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """Tables of measurements, by ``str()`` or ``print()``.

    Measurements of one task are put together. What a Timer calls its ``label`` is a table,
    ``sub_label`` (or the statement) and ``env`` a row, ``description`` a column.

    >>> from lazytorch.utils.benchmark import Compare, Timer
    >>> measured = Timer("1 + 1", label="sums").timeit(10)
    >>> "sums" in str(Compare([measured]))
    True
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._is_trimmed = False
        self._colors = Colorize.NONE
        self._warns = False

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements; ValueError where one is something else."""
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(r)} instead.")
            self._results.append(r)

    def trim_significant_figures(self) -> None:
        """Show only the figures that mean something."""
        self._is_trimmed = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colour the best and worst times of each column, or row."""
        self._colors = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Show the spread of times that vary much."""
        self._warns = True

    def print(self) -> None:
        """Print the tables."""
        print(str(self))

    def __str__(self) -> str:
        groups: dict[str | None, list[Measurement]] = {}
        for r in Measurement.merge(self._results):
            groups.setdefault(r.label, []).append(r)
        tables = [_Table(g, self._colors, self._is_trimmed, self._warns) for g in groups.values()]
        return "\n".join([table.render() for table in tables])


_RowKey = tuple[int, str | None, str]


class _Column:
    """How the times of a column are written: digits before and behind the point."""

    def __init__(
        self, results: Sequence[Measurement | None], scale: float, is_trimmed: bool, warns: bool
    ) -> None:
        known = [r for r in results if r is not None]
        self.scale, self.is_trimmed = scale, is_trimmed
        self.warns = warns and any([r.has_warnings for r in known])
        leading = [math.ceil(math.log10(r.median / scale)) for r in known]
        decimals = 1
        if is_trimmed:
            pairs = zip(leading, known, strict=True)
            decimals = min([max(r.significant_figures - n, 0) for n, r in pairs])
        self.width = max(leading) + decimals + (1 if decimals else 0)
        self.decimals = decimals

    def written(self, r: Measurement | None) -> str:
        if r is None:
            return " " * len(self._text(1.0, ""))
        value = r.median / self.scale
        if self.is_trimmed:
            value = trim_sigfig(value, r.significant_figures)
        spread = f" (! {r.iqr / r.median * 100:.0f}%)" if self.warns and r.has_warnings else ""
        return self._text(value, spread)

    def _text(self, value: float, spread: str) -> str:
        return f"{value:>{max(self.width, 0)}.{self.decimals}f}{spread:>{7 if self.warns else 0}}"


class _Table:
    """The measurements of one label."""

    def __init__(
        self, results: Sequence[Measurement], colors: Colorize, is_trimmed: bool, warns: bool
    ) -> None:
        self.label = results[0].label
        self.colors, self.warns = colors, warns and any([r.has_warnings for r in results])
        self.unit, scale = select_unit(min([r.median for r in results]))
        keys: list[_RowKey] = ordered_unique([_row_key(r) for r in results])
        # By threads and environment; statements stay in their order.
        keys.sort(key=lambda key: (key[0], key[1] or ""))
        self.keys = keys
        self.headings = ordered_unique([r.description for r in results])
        places = {(_row_key(r), r.description): r for r in results}
        self.rows = [[places.get((key, h)) for h in self.headings] for key in keys]
        self.columns = [
            _Column(column, scale, is_trimmed, warns) for column in zip(*self.rows, strict=True)
        ]

    def render(self) -> str:
        names = self._names()
        cells = [
            [name, *[c.written(r) for r, c in zip(row, self.columns, strict=True)]]
            for name, row in zip(names, self.rows, strict=True)
        ]
        heading = ["", *self.headings]
        widths = [
            max([len(c or "") for c in column]) for column in zip(heading, *cells, strict=True)
        ]
        pairs = zip(heading, widths, strict=True)
        lines = ["  |  ".join([(cell or "").center(width) for cell, width in pairs])]
        total = len(lines[0])
        for i, row in enumerate(cells):
            threads = self.keys[i][0]
            if i == 0 or threads != self.keys[i - 1][0]:
                lines.append(f"{threads} threads: ".ljust(total, "-"))
            lines.append("  |  ".join(self._colored(i, row, widths)))
        title = f" {self.label or ''} ".center(total - 2, "-")
        body = "\n".join(lines)
        note = "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        return (
            f"[{title}]\n{body}\n\nTimes are in {unit_to_english(self.unit)}s ({self.unit}).\n"
            f"{note if self.warns else ''}"
        )

    def _names(self) -> list[str]:
        """What stands before each row: the environment where there are several, and the name."""
        environments = [env for _, env, _ in self.keys]
        if len(set(environments)) == 1:
            return ["      " + name for *_, name in self.keys]
        width = max([len(str(env)) for env in environments]) + 4
        names, before = [], (-1, "")
        for threads, env, name in self.keys:
            shown = f"({env})" if (threads, env) != before else ""
            before = (threads, env or "")
            names.append("  " + shown.ljust(width) + name)
        return names

    def _colored(self, i: int, cells: Sequence[str], widths: Sequence[int]) -> list[str]:
        written = [cells[0].ljust(widths[0])]
        for j, result in enumerate(self.rows[i]):
            cell = cells[j + 1].center(widths[j + 1])
            if self.colors is not Colorize.NONE and result is not None:
                cell = _in_color(cell, result.median, min([r.median for r in self._rivals(i, j)]))
            written.append(cell)
        return written

    def _rivals(self, i: int, j: int) -> list[Measurement]:
        """The times that one is compared with: those of its row, or of its column at as many
        threads."""
        if self.colors is Colorize.ROWWISE:
            return [r for r in self.rows[i] if r is not None]
        alike = [k for k, key in enumerate(self.keys) if key[0] == self.keys[i][0]]
        return [r for k in alike if (r := self.rows[k][j]) is not None]


def _row_key(r: Measurement) -> _RowKey:
    return (r.num_threads, r.env, r.as_row_name)


def _in_color(cell: str, value: float, best: float) -> str:
    if value <= best * 1.01 or value <= best + 100e-9:
        return f"{_BEST}{_BOLD}{cell}{_PLAIN}{_PLAIN}"
    if value <= best * 1.1:
        return f"{_GOOD}{_BOLD}{cell}{_PLAIN}{_PLAIN}"
    if value >= best * 5:
        return f"{_VERY_BAD}{_BOLD}{cell}{_PLAIN}{_PLAIN}"
    if value >= best * 2:
        return f"{_BAD}{cell}{_PLAIN}{_PLAIN}"
    return cell
