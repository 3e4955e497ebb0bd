"""The table by family, the line of totals, the file of failures, and the list of the left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .check import ASPECTS, COUNTED, Findings

LEFT_OUT = Path(__file__).with_name("left_out.txt")
NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True)
class Entry:
    """What the list says of an operator: the aspects that fail, and why."""

    aspects: frozenset[str]
    reason: str


def left_out(path: Path = LEFT_OUT) -> dict[str, Entry]:
    """The list of what is knowingly left out: operator, aspects, reason."""
    entries = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, aspects, reason = line.split(maxsplit=2)
            entries[name] = Entry(frozenset(aspects.split(",")), reason)
    return entries


def applicable(findings: Findings, listed: dict[str, Entry]) -> bool:
    """Whether the operator counts: it has samples of real, dense numbers, and the list does not
    say that it has no meaning here."""
    entry = listed.get(findings.name)
    return findings.applicable() and not (entry and NOT_APPLICABLE in entry.aspects)


def surprises(
    results: Iterable[Findings], listed: dict[str, Entry], partial: bool = False
) -> list[str]:
    """Where the results differ from the list: what stopped to pass, and what began to (which a
    ``partial`` run, of a few samples, cannot know)."""
    found = []
    for f in results:
        entry = listed.get(f.name)
        if entry and NOT_APPLICABLE in entry.aspects:
            if f.applicable() and not f.failing() and not partial:
                found.append(f"{f.name} is left out ({entry.reason}), but passes")
            continue
        if not f.applicable():
            continue
        wrong, expected = frozenset(f.failing()), entry.aspects if entry else frozenset()
        for aspect in sorted(wrong - expected):
            found.append(f"{f.name} fails in {aspect}: {f.reasons[aspect][0]}")
        for aspect in sorted(expected - wrong if not partial else ()):
            found.append(f"{f.name} is left out in {aspect} ({entry.reason}), but passes")  # type: ignore[union-attr]
    return found


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole}" if whole else "-"


def table(results: list[Findings], listed: dict[str, Entry]) -> str:
    """Operators that pass, by family and aspect: passing / those that have it."""
    counted = [f for f in results if applicable(f, listed)]
    columns = ("whole", *ASPECTS, *COUNTED)
    rows = [("family", *columns)]
    for name in [*sorted({f.family for f in counted}), "all"]:
        members = [f for f in counted if name in (f.family, "all")]
        row = [_share(sum(not f.failing() for f in members), len(members))]
        for aspect in columns[1:]:
            have = [f for f in members if f.passed.get(aspect) or f.failed.get(aspect)]
            row.append(_share(sum(not f.failed.get(aspect) for f in have), len(have)))
        rows.append((name, *row))
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = []
    for name, *cells in rows:
        right = [c.rjust(w) for c, w in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *right]))
    return "\n".join(lines)


def totals(results: list[Findings], listed: dict[str, Entry], device: str) -> str:
    """One line."""
    counted = [f for f in results if applicable(f, listed)]
    main = sum(not {"values", "gradients"} & set(f.failing()) for f in counted)
    whole = sum(not f.failing() for f in counted)
    passed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for f in counted:
        passed.update(f.passed)
        failed.update(f.failed)

    def percent(part: int, rest: int) -> str:
        return f"{100 * part / (part + rest):.1f}%" if part + rest else "-"

    kinds = ", ".join(f"{a} {percent(passed[a], failed[a])}" for a in (*ASPECTS, *COUNTED))
    return (
        f"{device}: {len(results)} operators, {len(counted)} applicable; {main} "
        f"({percent(main, len(counted) - main)}) pass in values and gradients on every sample, "
        f"{whole} ({percent(whole, len(counted) - whole)}) in every form; "
        f"{sum(f.samples for f in counted)} samples; of all comparisons: {kinds}"
    )


def failures(results: Iterable[Findings]) -> str:
    """Everything that failed, with some reasons."""
    lines = []
    for f in sorted(results, key=lambda f: f.name):
        if f.not_applicable:
            lines.append(f"{f.name}  not applicable: {f.not_applicable}")
        elif f.failed:
            lines.append(f"{f.name}  {f.samples} samples, {f.seconds:.1f} s")
        for aspect, count in f.failed.items():
            lines.append(f"    {aspect}: {count} failed, {f.passed.get(aspect, 0)} passed")
            lines += [f"        {reason}" for reason in f.reasons[aspect]]
    return "\n".join(lines) + "\n"


def updated(results: Iterable[Findings], listed: dict[str, Entry], path: Path = LEFT_OUT) -> None:
    """Write the list anew: what fails now, with the reasons that were given by hand kept."""
    entries = dict(listed)
    for f in results:
        before = entries.pop(f.name, None)
        if before and NOT_APPLICABLE in before.aspects:
            entries[f.name] = before
        elif f.failing():
            aspects = frozenset(f.failing())
            if before and before.aspects == aspects:
                reason = before.reason
            else:
                reason = " ".join(f.reasons[f.failing()[0]][0].split(" at (")[0].split())[:110]
            entries[f.name] = Entry(aspects, reason)
    heading = [line for line in path.read_text().splitlines() if line.startswith("#")]
    width = max(map(len, entries), default=0)
    lines = [
        f"{name:{width}}  {','.join(sorted(e.aspects)):22}  {e.reason}"
        for name, e in sorted(entries.items())
    ]
    path.write_text("\n".join([*heading, *lines]) + "\n")
