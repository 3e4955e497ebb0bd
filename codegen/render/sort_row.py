"""The text that sorts one row, or a part of one, and hands out the pairs that are wanted.

All of them by radix, digit by digit; a part of the order after what cannot be in it was left out;
a few of the first while elements are read.
"""

from __future__ import annotations

from collections.abc import Callable

from codegen.render.sort_keys import Keys, Lines, indented

# A bucket's number has no more bits, so that counters stay in the nearest cache.
_MOST_BUCKET_BITS = 11
_FIRST_FEW = 16  # pairs, kept in order while elements are read
_FEW = 48  # pairs, to be put in order one by one

Output = Callable[[str, str], Lines]  # what is done with a pair, given its place in order


class RowSort:
    """Sorts ``source`` from ``begin`` to ``end``, at most ``most`` elements, in scratch memory.

    ``low`` and ``high`` are the places in order that are wanted; where the sort is not
    ``narrowed`` to these, all are handed out.
    """

    def __init__(
        self, keys: Keys, begin: str, end: str, most: int, low: int, high: int, narrowed: bool
    ) -> None:
        self.keys, self.begin, self.end, self.most = keys, begin, end, most
        self.low, self.high, self.narrowed = low, high, narrowed
        self.count = "unsigned" if most < 1 << 32 else "unsigned long"
        self.offset = _rounded((most + 1) * keys.pair_bytes)

    @property
    def scratch_bytes(self) -> int:
        """For the pairs as they are and as they will be, and for counters."""
        counters = max(self.keys.passes * self.keys.radix, 1 << self._bucket_bits())
        return 2 * self.offset + counters * 8

    def lines(self, output: Output) -> Lines:
        keys = self.keys
        placed = output("at", "pair")
        lines = [
            f"{keys.pair} *from = ({keys.pair} *)scratch;",
            f"{keys.pair} *to = ({keys.pair} *)(scratch + {self.offset});",
            f"{self.count} *counts = ({self.count} *)(scratch + {2 * self.offset});",
            f"long count = {self.end} - {self.begin};",
        ]
        if not self.narrowed:
            return [*lines, *self._read_all(), *self._by_digits(placed)]
        if self.high <= _FIRST_FEW:
            return [*lines, *self._first_few(), *self._each_pair(placed, self.low)]
        placed = [
            "if (at >= low && at < high) {",
            *indented(output("at + skipped", "pair")),
            "}",
        ]
        return [
            *lines,
            *self._read_narrowed(),
            f"if (count <= {_FEW}) {{",
            *indented([*self._by_insertion(), *self._each_pair(placed)]),
            "} else {",
            f"    for (long d = 0; d < {keys.passes * keys.radix}; d++) counts[d] = 0;",
            "    for (long i = 0; i < count; i++) {",
            f"        const {keys.pair} pair = from[i];",
            *indented(self._count_digits(), 2),
            "    }",
            *indented(self._by_digits(placed)),
            "}",
        ]

    def _each_pair(self, body: Lines, first: int = 0) -> Lines:
        """The body for each of ``count`` pairs in order, from the ``first`` on."""
        return [
            f"for (long at = {first}; at < count; at++) {{",
            f"    const {self.keys.pair} pair = from[at];",
            *indented(body),
            "}",
        ]

    def _count_digits(self) -> Lines:
        keys = self.keys
        return [
            f"counts[{p * keys.radix} + {keys.digit('pair', str(p))}]++;"
            for p in range(keys.passes)
        ]

    def _read_all(self) -> Lines:
        """All pairs, and how often each digit occurs in each place."""
        keys = self.keys
        return [
            *(self._find_range() if keys.from_least else []),
            f"for (long d = 0; d < {keys.passes * keys.radix}; d++) counts[d] = 0;",
            f"for (long i = {self.begin}; i < {self.end}; i++) {{",
            *indented(keys.encode("source[i]")),
            f"    const {keys.pair} pair = {keys.make('i')};",
            f"    from[i - {self.begin}] = pair;",
            *indented(self._count_digits()),
            "}",
        ]

    def _find_range(self) -> Lines:
        """The ``least`` and the ``greatest`` key."""
        return [
            f"{self.keys.key} least = {self.keys.all}, greatest = 0;",
            f"for (long i = {self.begin}; i < {self.end}; i++) {{",
            *indented(self.keys.encode("source[i]")),
            "    least = key < least ? key : least;",
            "    greatest = key > greatest ? key : greatest;",
            "}",
        ]

    def _by_digits(self, placed: Lines) -> Lines:
        """Order ``count`` pairs digit by digit, the lowest first; where they differ in none, they
        are in order."""
        keys, radix = self.keys, self.keys.radix
        return [
            "int final = -1;  // the last digit in which pairs differ",
            f"for (int p = 0; p < {keys.passes}; p++) {{",
            f"    const {keys.pair} pair = from[0];",
            f"    if (counts[{radix} * p + {keys.digit('pair', 'p')}] != count) final = p;",
            "}",
            "for (int p = 0; p <= final; p++) {",
            f"    {self.count} *offsets = counts + {radix} * p;",
            f"    {self.count} sum = 0;",
            f"    const {keys.pair} first = from[0];",
            f"    if (offsets[{keys.digit('first', 'p')}] == count) continue;",
            f"    for (int d = 0; d < {radix}; d++) {{",
            f"        const {self.count} found = offsets[d];",
            "        offsets[d] = sum;",
            "        sum += found;",
            "    }",
            "    if (p < final) {",
            "        for (long i = 0; i < count; i++) {",
            f"            const {keys.pair} pair = from[i];",
            f"            to[offsets[{keys.digit('pair', 'p')}]++] = pair;",
            "        }",
            f"        {keys.pair} *other = from;",
            "        from = to;",
            "        to = other;",
            "    } else {",
            "        for (long i = 0; i < count; i++) {",
            f"            const {keys.pair} pair = from[i];",
            f"            const long at = offsets[{keys.digit('pair', 'p')}]++;",
            *indented(placed, 3),
            "        }",
            "    }",
            "}",
            "if (final < 0) {",
            *indented(self._each_pair(placed)),
            "}",
        ]

    def _by_insertion(self) -> Lines:
        """Put ``count`` pairs in order one by one."""
        keys = self.keys
        return [
            "for (long i = 1; i < count; i++) {",
            f"    const {keys.pair} pair = from[i];",
            *indented(self._insert("i")),
            "}",
        ]

    def _insert(self, last: str) -> Lines:
        """Put ``pair`` where it belongs among those in order, of which it shifts the later ones up
        to place ``last``."""
        keys = self.keys
        return [
            f"long j = {last};",
            "for (; j > 0; j--) {",
            f"    const {keys.pair} other = from[j - 1];",
            f"    if (!({keys.before('pair', 'other')})) break;",
            "    from[j] = other;",
            "}",
            "from[j] = pair;",
        ]

    # ---- the first few ---------------------------------------------------------------------------

    def _first_few(self) -> Lines:
        """The first ``stop`` pairs in order, kept so while elements are read; a block of them at a
        time is compared, in vectors, with the last of the kept."""
        keys, stop, block = self.keys, self.high, 64
        encoded = keys.encode("source[i]")
        return [
            f"count = {stop};",
            "for (long i = 0; i < count; i++) {",
            *indented(keys.encode(f"source[{self.begin} + i]")),
            f"    const {keys.pair} pair = {keys.make(f'{self.begin} + i')};",
            "    from[i] = pair;",
            "}",
            *self._by_insertion(),
            f"{keys.pair} last_pair = from[count - 1];",
            f"{keys.key} last_key = {keys.key_of('last_pair')};",
            f"for (long start = {self.begin} + count; start < {self.end}; start += {block}) {{",
            f"    const long stop = start + {block} < {self.end} ? start + {block} : {self.end};",
            f"    if (stop - start == {block}) {{",
            "        int some = 0;",
            f"        for (long i = start; i < start + {block}; i++) {{",
            *indented(encoded, 3),
            "            some |= key < last_key;",
            "        }",
            "        if (!some) continue;",
            "    }",
            "    for (long i = start; i < stop; i++) {",
            *indented(encoded, 2),
            "        if (key >= last_key) continue;",
            f"        const {keys.pair} pair = {keys.make('i')};",
            *indented(self._insert("count - 1"), 2),
            "        last_pair = from[count - 1];",
            f"        last_key = {keys.key_of('last_pair')};",
            "    }",
            "}",
        ]

    # ---- a part of the order -----------------------------------------------------------------

    def _read_narrowed(self) -> Lines:
        """The pairs that may hold a wanted place: those in the buckets, by the highest bits in
        which keys differ, that such places fall into. From then on ``low`` and ``high`` count from
        the ``skipped`` elements that come before."""
        keys = self.keys
        bits = self._bucket_bits()
        encoded = indented(keys.encode("source[i]"))
        bucket = "(long)((key >> shift) - base)"
        return [
            f"long low = {self.low}, high = {self.high}, skipped = 0;",
            *self._find_range(),
            "int shift = 0;",
            f"while ((least ^ greatest) >> shift >= {1 << bits}) shift++;",
            f"{keys.key} base = least >> shift;",
            *self._clear(bits),
            f"for (long i = {self.begin}; i < {self.end}; i++) {{",
            *encoded,
            f"    counts[{bucket}]++;",
            "}",
            "long first = 0, after = 0;",
            *self._find_buckets(),
            "long kept = 0;",
            f"for (long i = {self.begin}; i < {self.end}; i++) {{",
            *encoded,
            f"    const {keys.pair} pair = {keys.make('i')};",
            f"    const long bucket = {bucket};",
            "    from[kept] = pair;  // to be written over, unless it is kept",
            "    kept += bucket >= first && bucket < after;",
            "}",
            "count = kept;",
            f"while (count > {_FEW} && after - first == 1 && shift) {{",
            f"    const int fewer = shift < {bits} ? shift : {bits};",
            "    base = (base + first) << fewer;",
            "    shift -= fewer;",
            *indented(self._clear(bits)),
            "    for (long i = 0; i < count; i++) {",
            f"        const {keys.pair} pair = from[i];",
            f"        const {keys.key} key = {keys.key_of('pair')};",
            f"        counts[{bucket}]++;",
            "    }",
            "    first = 0;",
            *indented(self._find_buckets()),
            "    kept = 0;",
            "    for (long i = 0; i < count; i++) {",
            f"        const {keys.pair} pair = from[i];",
            f"        const {keys.key} key = {keys.key_of('pair')};",
            f"        const long bucket = {bucket};",
            "        from[kept] = pair;",
            "        kept += bucket >= first && bucket < after;",
            "    }",
            "    count = kept;",
            "}",
        ]

    def _clear(self, bits: int) -> Lines:
        return [f"for (long d = 0; d < {1 << bits}; d++) counts[d] = 0;"]

    def _find_buckets(self) -> Lines:
        """The buckets, ``first`` and those up to ``after``, of places from ``low`` to ``high``."""
        return [
            "{",
            "    long before = 0;",
            "    while (before + counts[first] <= low) before += counts[first++];",
            "    after = first;",
            "    for (long through = before; through < high; after++) through += counts[after];",
            "    low -= before;",
            "    high -= before;",
            "    skipped += before;",
            "}",
        ]

    def _bucket_bits(self) -> int:
        """Of a bucket's number: about as many buckets as elements, and no more than a cache
        holds."""
        return min(self.keys.bits, _MOST_BUCKET_BITS, max(self.most.bit_length() - 1, 4))

    # ---- merging ---------------------------------------------------------------------------------


def _rounded(nbytes: int) -> int:
    return -(-nbytes // 64) * 64
