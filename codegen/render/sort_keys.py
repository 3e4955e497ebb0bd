"""What is sorted: elements as unsigned keys in whose order they are, and pairs of key and place."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dtype import DType

# Bits of a digit. Fewer passes pay for more counters in long rows of wide keys.
_DIGIT, _WIDE_DIGIT, _LONG_ROW = 8, 11, 1 << 13
WIDE_PAIR = "typedef struct { unsigned long key, place; } lt_keyed;\n"
_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned", 8: "unsigned long"}
_MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}

Lines = list[str]


def indented(lines: Sequence[str], levels: int = 1) -> Lines:
    return ["    " * levels + line for line in lines]


class Keys:
    """How elements of a type become keys, and pairs of a key and a place."""

    def __init__(self, dtype: DType, descending: bool, extent: int) -> None:
        self.dtype, self.descending = dtype, descending
        self.bits = 8 * dtype.itemsize
        is_long = self.bits >= 32 and extent >= _LONG_ROW
        self.digit_bits = _WIDE_DIGIT if is_long else _DIGIT
        self.element = _BITS[dtype.itemsize]
        self.wide = self.bits == 64 or extent >= 1 << 32
        self.key = "unsigned long" if self.bits == 64 else "unsigned"
        self.pair = "lt_keyed" if self.wide else "unsigned long"
        self.pair_bytes = 16 if self.wide else 8
        suffix = "UL" if self.bits == 64 else "u"
        self.all = f"{hex((1 << self.bits) - 1)}{suffix}"
        self.sign = f"{hex(1 << (self.bits - 1))}{suffix}"
        self.rest = f"{hex((1 << (self.bits - 1)) - 1)}{suffix}"  # all but the sign
        self.suffix = suffix
        # Small numbers of both signs differ in every digit, but not in those above ``least``.
        self.from_least = dtype.kind == "int" and dtype.is_signed and self.bits > 8

    @property
    def radix(self) -> int:
        return 1 << self.digit_bits

    @property
    def passes(self) -> int:
        return -(-self.bits // self.digit_bits)

    def encode(self, element: str) -> Lines:
        """``key`` of an element's bits."""
        turned = f" ^ {self.all}" if self.descending else ""
        if self.dtype.kind == "bool":
            return [f"const unsigned key = ({element} != 0){turned};"]
        if self.dtype.kind == "int":
            sign = f" ^ {self.sign}" if self.dtype.is_signed else ""
            return [f"const {self.key} key = ({self.key}){element}{sign}{turned};"]
        # Without a branch, which signs at random would make a processor miss.
        mantissa = _MANTISSA[self.dtype.name]
        infinity = f"{hex(((1 << (self.bits - 1 - mantissa)) - 1) << mantissa)}{self.suffix}"
        return [
            f"const {self.key} bits = {element};",
            f"const {self.key} magnitude = bits & {self.rest};",
            f"const {self.key} negative = (bits >> {self.bits - 1}) & (magnitude != 0);",
            f"const {self.key} ordered = magnitude ^ ({self.sign} - negative);",
            f"const {self.key} key = (magnitude > {infinity} ? {self.all} : ordered){turned};",
        ]

    def decode(self, pair: str) -> Lines:
        """``value``, the bits of a pair's element of ``source``."""
        turned = f" ^ {self.all}" if self.descending else ""
        ordered = f"{self.key_of(pair)}{turned}"
        if self.dtype.kind != "float":
            sign = f" ^ {self.sign}" if self.dtype.is_signed else ""
            return [f"const {self.key} value = {ordered}{sign};"]
        # Of zeros and of NaN, the key does not say which it was.
        return [
            f"const {self.key} ordered = {ordered};",
            f"const {self.key} bits = ordered ^ ({self.all} - (ordered >> {self.bits - 1}) * "
            f"{self.rest});",
            f"const {self.key} value = ordered == {self.sign} || ordered == {self.all} "
            f"? source[{self.place_of(pair)}] : bits;",
        ]

    def make(self, place: str) -> str:
        """A pair of ``key`` and a place, in braces where it is a structure."""
        if self.wide:
            return f"{{key, {place}}}"
        return f"(unsigned long)key << 32 | (unsigned long)({place})"

    def key_of(self, pair: str) -> str:
        return f"{pair}.key" if self.wide else f"(unsigned)({pair} >> 32)"

    def place_of(self, pair: str) -> str:
        return f"(long){pair}.place" if self.wide else f"(long)(unsigned){pair}"

    def before(self, x: str, y: str) -> str:
        if not self.wide:
            return f"{x} < {y}"
        return f"({x}.key < {y}.key || ({x}.key == {y}.key && {x}.place < {y}.place))"

    def digit(self, pair: str, number: str) -> str:
        """Digit ``number`` of a pair's key."""
        shift, mask = f"{self.digit_bits} * {number}", self.radix - 1
        if self.from_least:
            return f"(({self.key_of(pair)} - least) >> {shift} & {mask})"
        return (
            f"({pair}.key >> {shift} & {mask})"
            if self.wide
            else f"({pair} >> (32 + {shift}) & {mask})"
        )
