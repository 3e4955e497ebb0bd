"""What a contraction's kernel was written from, in plain values that a plan on disk can keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from codegen.dtype import BY_NAME
from codegen.index.contraction import Axis, Contraction, Zeros
from codegen.loops.contraction import PlainOutput, Schedule
from codegen.loops.contraction_candidates import candidates
from codegen.render.c import C
from codegen.render.c_family import Dialect, functions_used
from codegen.render.contraction_c import Epilogue, RenderedContraction, render_contraction
from codegen.render.source import KernelSource


def kernel_source(
    head: Sequence[str],
    rendered: RenderedContraction,
    dialect: Dialect,
    name: str = "contraction",
) -> KernelSource:
    """The kernel whose body is the contraction; ``head``: comments, signature, declarations."""
    text = "\n".join([*head, dialect.from_c(rendered.body), "}", ""])
    helpers = (dialect.from_c(rendered.helpers),) if rendered.helpers else ()
    return KernelSource(name, text, (*dialect.prologue, *helpers, *functions_used(text)))


@dataclass(frozen=True)
class Recipe:
    """A contraction's kernel in C before its schedule is chosen, and the rule's choice."""

    contraction: Contraction
    a: str  # names of the operands' pointers
    b: str
    head: tuple[str, ...]
    epilogue: Epilogue
    threads: int
    rule: Schedule
    output: PlainOutput | None
    stored: bool
    zeros: tuple[Zeros, Zeros] = ("", "")

    def schedules(self) -> list[Schedule]:
        """What is worth timing, the rule's choice first: all compute the same bits."""
        return candidates(
            self.contraction.normalized(), self.threads, self.rule, self.output, self.stored
        )

    def written(self, schedule: Schedule) -> tuple[KernelSource, int]:
        """The kernel with this schedule, which swaps as the rule's, and its scratch bytes."""
        rendered = render_contraction(
            self.contraction,
            self.a,
            self.b,
            lambda m, n: self.epilogue,
            self.threads,
            schedule,
            self.output,
            self.stored,
            zeros=self.zeros,
        )
        return kernel_source(self.head, rendered, C), rendered.scratch_bytes

    def fields(self) -> dict[str, Any]:
        """As JSON can hold it."""
        c = self.contraction
        axes = {
            name: [[x.extent, x.a, x.b] for x in getattr(c, name)]
            for name in ("batch", "rows", "columns", "inner")
        }
        return {
            "contraction": {
                **axes, "dtype": c.dtype.name, "a_offset": c.a_offset, "b_offset": c.b_offset,
            },
            "names": [self.a, self.b],
            "head": list(self.head),
            "epilogue": [list(self.epilogue.lines), [list(place) for place in self.epilogue.met]],
            "threads": self.threads,
            "rule": asdict(self.rule),
            "output": self.output and asdict(self.output),
            "stored": self.stored,
            "zeros": list(self.zeros),
        }  # fmt: skip

    @staticmethod
    def from_fields(fields: dict[str, Any]) -> Recipe:
        kept = dict(fields["contraction"])
        for name in ("batch", "rows", "columns", "inner"):
            kept[name] = tuple([Axis(*axis) for axis in kept[name]])
        contraction = Contraction(**{**kept, "dtype": BY_NAME[kept["dtype"]]})
        output = fields["output"]
        if output:
            output = {**output, "batch": tuple([tuple(axis) for axis in output["batch"]])}
        a, b = fields["names"]
        of_a, of_b = fields["zeros"]
        lines, met = fields["epilogue"]
        return Recipe(
            contraction,
            a,
            b,
            tuple(fields["head"]),
            Epilogue(tuple(lines), tuple([(place, written) for place, written in met])),
            fields["threads"],
            Schedule(**fields["rule"]),
            PlainOutput(**output) if output else None,
            fields["stored"],
            (of_a, of_b),
        )
