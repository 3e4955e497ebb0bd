"""A linker for one object file: what ``ld -shared`` does, for the kernels that PoCL compiles.

PoCL ends the process where it finds no ``ld``, and a machine without a C compiler has none. This
file is run as a program of its own (see opencl.py) and needs the standard library alone. x86-64
ELF: the code in one segment, data and pointers to functions of other libraries in another.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

_PAGE = 0x1000
_MARKER = "_GLOBAL_OFFSET_TABLE_"  # says that there is one
_LIBRARIES = ("libc.so.6", "libm.so.6")
# Section types and flags, symbol bindings and relocation types of the ELF specification.
_SYMTAB, _RELA, _NOBITS = 2, 4, 8
_WRITE, _ALLOC = 1, 2
_LOCAL = 0
_ABS64, _PC32, _PLT32, _GLOB_DAT, _RELATIVE, _GOTPCREL, _PC64 = 1, 2, 4, 6, 8, 9, 24
_VIA_TABLE = (_GOTPCREL, 41, 42)  # GOTPCRELX and REX_GOTPCRELX


@dataclass(eq=False)
class Section:
    name: str
    type: int
    flags: int
    data: bytes
    size: int
    link: int
    info: int
    alignment: int
    address: int = 0


@dataclass(eq=False)
class Symbol:
    name: str
    binding: int
    info: int
    section: int  # 0: another library's
    value: int
    size: int


@dataclass
class Image:
    """Bytes from address 0 on, as they will lie in the file and in memory."""

    content: bytearray = field(default_factory=bytearray)

    def place(self, data: bytes, alignment: int = 16) -> int:
        self.content += bytes(-len(self.content) % alignment)
        address = len(self.content)
        self.content += data
        return address


def link(source: bytes) -> bytes:
    """The shared object of an object file."""
    sections, symbols = _read(source)
    foreign = [s for s in symbols if s.section == 0 and s.name not in ("", _MARKER)]
    public = [s for s in symbols if s.section and s.binding != _LOCAL and s.name]
    image = Image()
    image.place(bytes(64 + 4 * 56))  # the header and four program headers, written last
    loaded = [s for s in sections if s.flags & _ALLOC and s.name != ".eh_frame"]
    for section in [s for s in loaded if not s.flags & _WRITE]:
        section.address = image.place(section.data, section.alignment)
    stubs = {s.name: image.place(bytes(6)) for s in foreign}
    code_end = len(image.content)

    data_start = image.place(b"", _PAGE)
    for section in [s for s in loaded if s.flags & _WRITE]:
        section.address = image.place(section.data.ljust(section.size, b"\0"), section.alignment)
    table = {id(s): image.place(bytes(8), 8) for s in symbols}
    dynamic_relocations: list[tuple[int, int, int]] = []
    number = {s.name: i for i, s in enumerate([*foreign, *public], 1)}

    def address_of(symbol: Symbol) -> int:
        if symbol.section == 0:
            return stubs[symbol.name]
        if symbol.section >= len(sections):  # an absolute value
            return symbol.value
        return sections[symbol.section].address + symbol.value

    for symbol in symbols:
        if symbol in foreign:
            slot = table[id(symbol)]
            dynamic_relocations.append((slot, number[symbol.name] << 32 | _GLOB_DAT, 0))
            stub = stubs[symbol.name]  # jmp *slot(%rip)
            image.content[stub : stub + 6] = b"\xff\x25" + struct.pack("<i", slot - stub - 6)
        elif symbol.section:
            dynamic_relocations.append((table[id(symbol)], _RELATIVE, address_of(symbol)))
    for relocations in [s for s in sections if s.type == _RELA and sections[s.info] in loaded]:
        for offset, info, addend in struct.iter_unpack("<QQq", relocations.data):
            symbol, kind = symbols[info >> 32], info & 0xFFFFFFFF
            place = sections[relocations.info].address + offset
            target = address_of(symbol) + addend
            if kind in (_PC32, _PLT32):
                struct.pack_into("<i", image.content, place, target - place)
            elif kind == _PC64:
                struct.pack_into("<q", image.content, place, target - place)
            elif kind in _VIA_TABLE:
                struct.pack_into("<i", image.content, place, table[id(symbol)] + addend - place)
            elif kind == _ABS64 and sections[relocations.info].flags & _WRITE:
                dynamic_relocations.append((place, _RELATIVE, target))
            else:
                raise ValueError(f"cannot link: relocation {kind} in {relocations.name}")
    dynamic = _place_dynamic(image, foreign, public, address_of, dynamic_relocations)
    return _with_header(image, code_end, data_start, dynamic)


def _read(source: bytes) -> tuple[list[Section], list[Symbol]]:
    if source[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", source, 16) != (1, 62):
        raise ValueError("cannot link: not an object file for x86-64")
    (start,) = struct.unpack_from("<Q", source, 40)
    _, count, names_at = struct.unpack_from("<HHH", source, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", source, start + 64 * i) for i in range(count)]

    def text(table: int, at: int) -> str:
        begin = headers[table][4] + at
        return source[begin : source.index(b"\0", begin)].decode()

    sections = []
    for name, kind, flags, _, offset, size, link_, info, alignment, _ in headers:
        data = b"" if kind == _NOBITS else source[offset : offset + size]
        sections.append(
            Section(text(names_at, name), kind, flags, data, size, link_, info, alignment or 1)
        )
    symbols = []
    for section in [s for s in sections if s.type == _SYMTAB]:
        for name, info, _, place, value, size in struct.iter_unpack("<IBBHQQ", section.data):
            symbols.append(Symbol(text(section.link, name), info >> 4, info, place, value, size))
    return sections, symbols


def _place_dynamic(
    image: Image,
    foreign: list[Symbol],
    public: list[Symbol],
    address_of: Callable[[Symbol], int],
    relocations: list[tuple[int, int, int]],
) -> tuple[int, int]:
    """What the loader reads; the dynamic table's address and size."""
    strings = bytearray(b"\0")

    def string(text: str) -> int:
        at = len(strings)
        strings.extend(text.encode() + b"\0")
        return at

    entries = bytes(24)
    for s in foreign:
        entries += struct.pack("<IBBHQQ", string(s.name), s.info, 0, 0, 0, 0)
    for s in public:
        # Any section number but 0 says that the value is an address of ours.
        entries += struct.pack("<IBBHQQ", string(s.name), s.info, 0, 1, address_of(s), s.size)
    needed = [string(library) for library in _LIBRARIES] if foreign else []
    count = len(entries) // 24
    # A hash table with one chain that holds every symbol.
    chain = [0, *range(2, count), 0] if count > 1 else [0]
    first = 1 if count > 1 else 0
    hashes = struct.pack(f"<{3 + count}I", 1, count, first, *chain)
    rela = b"".join(struct.pack("<QQq", *relocation) for relocation in relocations)
    tags = [(1, name) for name in needed]
    tags += [(4, image.place(hashes)), (6, image.place(entries)), (5, image.place(bytes(strings)))]
    tags += [(10, len(strings)), (11, 24), (7, image.place(rela)), (8, len(rela)), (9, 24), (0, 0)]
    table = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    return image.place(table), len(table)


def _with_header(image: Image, code_end: int, data_start: int, dynamic: tuple[int, int]) -> bytes:
    content, end = image.content, len(image.content)
    struct.pack_into(
        "<16sHHIQQQIHHHHHH", content, 0,
        b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0,
    )  # fmt: skip
    segments = (
        (1, 5, 0, code_end, _PAGE),  # read and execute
        (1, 6, data_start, end - data_start, _PAGE),  # read and write
        (2, 6, *dynamic, 8),
        (0x6474E551, 6, 0, 0, 16),  # the stack is not executable
    )
    for i, (kind, flags, start, size, alignment) in enumerate(segments):
        struct.pack_into(
            "<IIQQQQQQ", content, 64 + 56 * i,
            kind, flags, start, start, start, size, size, alignment,
        )  # fmt: skip
    return bytes(content)


def main(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        return 0
    output = arguments[arguments.index("-o") + 1]
    (source,) = [a for a in arguments if a.endswith(".o") and a[0] != "-" and a != output]
    with open(source, "rb") as file:
        linked = link(file.read())
    with open(output, "wb") as file:
        file.write(linked)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
