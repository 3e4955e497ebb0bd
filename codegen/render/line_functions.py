"""C text of the functions that move whole cache lines: tiles turned in registers, stores past the
caches."""

from __future__ import annotations

from codegen.loops import contraction
from codegen.render.contraction_form import Text

LINES = "lt_lines_"  # their names begin so: lt_lines_turn4 turns elements of four bytes
TURN, STREAM, STREAMED = f"{LINES}turn", f"{LINES}stream", f"{LINES}streamed"
BEFORE = f"{LINES}before"

_STREAM = """\
#if defined __has_builtin
#if __has_builtin(__builtin_nontemporal_store)
#define LT_LINES_STORE(to, from) __builtin_nontemporal_store(from, to)
#endif
#endif
#if !defined LT_LINES_STORE && defined __AVX512F__
#define LT_LINES_STORE(to, from) __builtin_ia32_movntdq512(to, from)
#define LT_LINES_BYTES 64
#elif !defined LT_LINES_STORE && defined __AVX__
#define LT_LINES_STORE(to, from) __builtin_ia32_movntdq256(to, from)
#define LT_LINES_BYTES 32
#elif !defined LT_LINES_STORE && defined __SSE2__
#define LT_LINES_STORE(to, from) __builtin_ia32_movntdq(to, from)
#define LT_LINES_BYTES 16
#elif !defined LT_LINES_STORE
#define LT_LINES_STORE(to, from) (*(to) = (from))
#endif
#ifndef LT_LINES_BYTES
#define LT_LINES_BYTES 64
#endif
typedef long long lt_lines_vector __attribute__((vector_size(LT_LINES_BYTES), may_alias));
typedef long long lt_lines_any __attribute__((vector_size(LT_LINES_BYTES), aligned(1), may_alias));
/* Copy, past the caches what fills whole lines of the target. */
static inline __attribute__((always_inline, unused))
void lt_lines_stream(void *target, const void *source, long bytes) {
    char *to = (char *)target;
    const char *from = (const char *)source;
    long i = -(unsigned long)to & 63;
    if (i > bytes) i = bytes;
    __builtin_memcpy(to, from, i);
    for (; i + 64 <= bytes; i += 64)
        for (long j = i; j < i + 64; j += LT_LINES_BYTES)
            LT_LINES_STORE((lt_lines_vector *)(to + j), *(const lt_lines_any *)(from + j));
    __builtin_memcpy(to + i, from + i, bytes - i);
}
"""
# Such stores wait for no other: they are waited for before a thread says that it is done.
_STREAMED = """\
static inline __attribute__((always_inline, unused)) void lt_lines_streamed(void) {
#if defined __SSE2__
    __builtin_ia32_sfence();
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
"""
_BEFORE = """\
/* How many bytes into a line something is. */
static inline __attribute__((always_inline, unused)) long lt_lines_before(const void *place) {
    return (long)((unsigned long)place & 63);
}
"""
_TEXTS = {STREAM: _STREAM, STREAMED: _STREAMED, BEFORE: _BEFORE}
_INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long"}
# A square is turned in registers: there are no more than so many of them for it.
_MOST_ROWS = 16


def line_function(name: str) -> str:
    """The text that defines one of these functions."""
    return _TEXTS.get(name) or _turn_function(int(name.removeprefix(TURN)))


def exchanged(vector: str, lanes: int) -> list[str]:
    """Statements that turn a square of vectors r0, r1, …: halves of ever smaller blocks are
    exchanged between registers, in log2(lanes) rounds."""
    lines = []
    half = lanes // 2
    while half:
        low = ", ".join([str(j if not j & half else lanes + j - half) for j in range(lanes)])
        high = ", ".join([str(j + half if not j & half else lanes + j) for j in range(lanes)])
        for i in range(lanes):
            if not i & half:
                x, y = f"r{i}", f"r{i + half}"
                lines += [
                    f"{{ const {vector} low = __builtin_shufflevector({x}, {y}, {low});",
                    f"  {y} = __builtin_shufflevector({x}, {y}, {high}); {x} = low; }}",
                ]
        half //= 2
    return lines


def _turn_function(itemsize: int) -> str:
    """target[j][i] = source[i][j] for so many rows i of so many columns j, by squares whose last
    ones overlap those before; the rows of both lie strides apart."""
    side = min(contraction.vector_bytes() // itemsize, _MOST_ROWS)
    element, vector = _INTEGERS[itemsize], f"lt_lines_v{itemsize}"
    text = Text(level=0)
    text.add(
        "#if defined __has_builtin",
        "#if __has_builtin(__builtin_shufflevector)",
        "#define LT_LINES_SHUFFLES",
        "#endif",
        "#endif",
        f"typedef {element} {vector} __attribute__((vector_size({side * itemsize}), aligned(1), "
        "may_alias));",
        "static __attribute__((noinline, unused))",
        f"void {TURN}{itemsize}(const void *from, long step, void *to, long width, long rows, "
        "long columns) {",
        f"const {element} *source = (const {element} *)from;",
        f"{element} *target = ({element} *)to;",
        "#ifdef LT_LINES_SHUFFLES",
        f"if (rows >= {side} && columns >= {side}) {{",
        f"for (long row = 0; row < rows; row += {side}) {{",
        f"const long i = row < rows - {side} ? row : rows - {side};",
        f"for (long column = 0; column < columns; column += {side}) {{",
        f"const long j = column < columns - {side} ? column : columns - {side};",
    )
    for r in range(side):
        text.add(f"{vector} r{r} = *(const {vector} *)(source + (i + {r}) * step + j);")
    text.add(*exchanged(vector, side))
    for r in range(side):
        text.add(f"*({vector} *)(target + (j + {r}) * width + i) = r{r};")
    text.add(
        "}",
        "}",
        "return;",
        "}",
        "#endif",
        "for (long j = 0; j < columns; j++) {",
        "for (long i = 0; i < rows; i++) {",
        "target[j * width + i] = source[i * step + j];",
        "}",
        "}",
        "}",
    )
    return str(text)
