"""Other schedules of a contraction than the rule's, to be timed: the same bits, other speeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from codegen.index.contraction import Contraction, b_spans, is_affine, without_columns
from codegen.loops.contraction import (
    PlainOutput,
    Schedule,
    can_read_b_in_place,
    must_pack_a,
    stores_vectors,
    with_packing,
    with_tasks,
    with_tile,
)


def candidates(
    contraction: Contraction,
    threads: int,
    rule: Schedule,
    output: PlainOutput | None = None,
    stored: bool = True,
) -> list[Schedule]:
    """Schedules of a normalized contraction worth timing, the ``rule``'s own first.

    All cut K where the rule does, and so add in the same order.
    """
    if rule.kind != "tiles":
        return [rule]
    return list(dict.fromkeys([rule, *_variants(contraction, threads, rule, output, stored)]))


def _variants(
    contraction: Contraction,
    threads: int,
    rule: Schedule,
    output: PlainOutput | None,
    stored: bool,
) -> Iterator[Schedule]:
    oriented = contraction.transposed() if rule.swap else contraction
    oriented = without_columns(oriented, rule.rest)
    stores = stored and stores_vectors(output, rule.swap)
    vectors = -(-oriented.sizes[2] // rule.lanes)
    whole = with_tile(rule, oriented, rule.tile_vectors)

    def cut(schedule: Schedule, by_columns: bool | None = None) -> Schedule:
        return with_tasks(schedule, oriented, threads, stores, by_columns=by_columns)

    if threads > 1:
        if whole.panels >= threads:
            yield cut(whole, True)
        yield cut(whole, False)
    if not must_pack_a(oriented):
        yield with_packing(rule, not rule.pack_a)
    if can_read_b_in_place(oriented, rule.lanes):
        yield replace(rule, pack_b=not rule.pack_b)
    yield replace(rule, row_chunk=2 * rule.row_chunk)
    in_panels = not rule.pack_b and not is_affine(b_spans(oriented.columns))
    for tile_vectors in (4, 3, 2):
        if tile_vectors != rule.tile_vectors and tile_vectors < vectors and not in_panels:
            yield cut(with_tile(rule, oriented, tile_vectors))
