"""Integer index algebra over loop variables: expressions in, one canonical sum of atoms out.

An `Index` is ``constant + sum(coefficient * atom)`` where an atom is a loop variable, a floor
division or a remainder. Operators simplify as they build, with Python's floor semantics, so that
the usual ways to reach the same address end in the same (equal, hashable) value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod

_CACHE_SIZE = 1 << 16


class Atom:
    """An indivisible part of an index; `key` decides equality, hash and the order in a sum."""

    __slots__ = ("high", "key", "low", "variables")

    key: str
    low: int
    high: int
    variables: frozenset[str]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def evaluate(self, env: Mapping[str, int]) -> int:
        raise NotImplementedError

    def substitute(self, mapping: Mapping[str, Index]) -> Index:
        raise NotImplementedError

    def to_c(self) -> str:
        raise NotImplementedError


class Variable(Atom):
    """A loop variable with a value in ``0 .. extent - 1``; `extent` is at least 2."""

    __slots__ = ("extent", "name")

    def __init__(self, name: str, extent: int) -> None:
        self.name = name
        self.extent = extent
        self.key = f"{name}:{extent}"
        self.low = 0
        self.high = extent - 1
        self.variables = frozenset((name,))

    def evaluate(self, env: Mapping[str, int]) -> int:
        return env[self.name]

    def substitute(self, mapping: Mapping[str, Index]) -> Index:
        return mapping[self.name]

    def to_c(self) -> str:
        return self.name


class FloorDivide(Atom):
    """``index // divisor``, where `index` was shifted so that its low bound is in [0, divisor)."""

    __slots__ = ("divisor", "index")

    def __init__(self, index: Index, divisor: int) -> None:
        self.index = index
        self.divisor = divisor
        self.key = f"({_key(index)})/{divisor}"
        self.low = index.low // divisor
        self.high = index.high // divisor
        self.variables = index.variables()

    def evaluate(self, env: Mapping[str, int]) -> int:
        return self.index.evaluate(env) // self.divisor

    def substitute(self, mapping: Mapping[str, Index]) -> Index:
        return self.index.substitute(mapping) // self.divisor

    def to_c(self) -> str:
        return f"{_operand_to_c(self.index)} / {self.divisor}"


class Modulo(Atom):
    """``index % divisor``, where `index` was shifted so that its low bound is in [0, divisor)."""

    __slots__ = ("divisor", "index")

    def __init__(self, index: Index, divisor: int) -> None:
        self.index = index
        self.divisor = divisor
        self.key = f"({_key(index)})%{divisor}"
        self.low = 0
        self.high = divisor - 1
        self.variables = index.variables()

    def evaluate(self, env: Mapping[str, int]) -> int:
        return self.index.evaluate(env) % self.divisor

    def substitute(self, mapping: Mapping[str, Index]) -> Index:
        return self.index.substitute(mapping) % self.divisor

    def to_c(self) -> str:
        return f"{_operand_to_c(self.index)} % {self.divisor}"


class Index:
    """``constant + sum(coefficient * atom)``, immutable; `low` and `high` are inclusive bounds.

    Make one with `variable`, `constant` and the operators, never with the class: it does not
    normalise. The bounds come from interval arithmetic over the atoms: sound, and exact where no
    two atoms share a variable.
    """

    __slots__ = ("_hash", "_variables", "constant", "high", "low", "terms")

    constant: int
    terms: tuple[tuple[Atom, int], ...]
    low: int
    high: int
    _hash: int | None
    _variables: frozenset[str] | None

    def __init__(self, constant: int, terms: tuple[tuple[Atom, int], ...]) -> None:
        low = high = constant
        for atom, coefficient in terms:
            if coefficient > 0:
                low += coefficient * atom.low
                high += coefficient * atom.high
            else:
                low += coefficient * atom.high
                high += coefficient * atom.low
        self.constant = constant
        self.terms = terms
        self.low = low
        self.high = high
        self._hash = None
        self._variables = None

    def __reduce__(self) -> tuple[type[Index], tuple[int, tuple[tuple[Atom, int], ...]]]:
        # The cached hash depends on the process's string seed: it must not travel.
        return Index, (self.constant, self.terms)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Index):
            return NotImplemented
        return self.constant == other.constant and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.constant, self.terms))
        return self._hash

    def __repr__(self) -> str:
        return f"Index({self.to_c()})"

    def __add__(self, other: int | Index) -> Index:
        if isinstance(other, int):
            return Index(self.constant + other, self.terms) if other else self
        if not other.terms:
            return self + other.constant
        if not self.terms:
            return other + self.constant
        return _linear_combination(0, ((self, 1), (other, 1)))

    def __radd__(self, other: int) -> Index:
        return self + other

    def __neg__(self) -> Index:
        return self * -1

    def __sub__(self, other: int | Index) -> Index:
        return self + (-other)

    def __rsub__(self, other: int) -> Index:
        return -self + other

    def __mul__(self, other: int | Index) -> Index:
        if isinstance(other, Index):
            if other.terms:
                if self.terms:
                    raise ValueError(f"an index must stay linear: ({self}) * ({other})")
                return other * self.constant
            other = other.constant
        if other == 1:
            return self
        if other == 0:
            return constant(0)
        # Scaling keeps the order and creates no pair to recombine: still normal form.
        return Index(self.constant * other, tuple([(a, c * other) for a, c in self.terms]))

    def __rmul__(self, other: int) -> Index:
        return self * other

    def __floordiv__(self, divisor: int) -> Index:
        if divisor == 1:
            return self
        return _floor_divide(self, divisor)

    def __mod__(self, divisor: int) -> Index:
        return _modulo(self, divisor)

    def variables(self) -> frozenset[str]:
        """The names of all variables, those inside divisions and remainders included."""
        if self._variables is None:
            self._variables = frozenset().union(*[atom.variables for atom, _ in self.terms])
        return self._variables

    def depends_on(self, name: str) -> bool:
        return name in self.variables()

    def coefficient(self, name: str) -> int:
        """The top-level coefficient of a variable; one inside a division does not count."""
        return sum(
            coefficient
            for atom, coefficient in self.terms
            if isinstance(atom, Variable) and atom.name == name
        )

    def is_affine(self) -> bool:
        return all(isinstance(atom, Variable) for atom, _ in self.terms)

    def constant_value(self) -> int | None:
        return None if self.terms else self.constant

    def is_multiple_of(self, n: int) -> bool:
        """Whether the normal form shows every value to be a multiple of `n` (which is positive)."""
        return self.constant % n == 0 and all(c % n == 0 for _, c in self.terms)

    def substitute(self, mapping: Mapping[str, Index]) -> Index:
        """Replace variables at once; each new value must stay within its variable's range."""
        if mapping.keys().isdisjoint(self.variables()):
            return self
        names = mapping.keys()
        parts = [
            (_of_atom(atom) if names.isdisjoint(atom.variables) else atom.substitute(mapping), c)
            for atom, c in self.terms
        ]
        return _linear_combination(self.constant, parts)

    def evaluate(self, env: Mapping[str, int]) -> int:
        return self.constant + sum(c * atom.evaluate(env) for atom, c in self.terms)

    def to_c(self) -> str:
        """C text over signed integers; operands of / and % are never negative (see `Modulo`)."""
        by_stride = sorted(self.terms, key=lambda term: (-abs(term[1]), term[0].key))
        positive = [_term_to_c(atom, c) for atom, c in by_stride if c > 0]
        negative = [_term_to_c(atom, -c) for atom, c in by_stride if c < 0]
        if self.constant > 0 or not self.terms or (self.constant and not positive):
            positive.append(str(self.constant))
        elif self.constant:
            negative.append(str(-self.constant))
        if not positive:
            # A leading minus binds tighter than / and %, hence the brackets.
            atom, coefficient = next(term for term in by_stride if term[1] < 0)
            first = atom.to_c() if isinstance(atom, Variable) else f"({atom.to_c()})"
            positive = ["-" + _scaled_to_c(first, -coefficient)]
            negative = negative[1:]
        return " - ".join([" + ".join(positive), *negative])


def _scaled_to_c(text: str, factor: int) -> str:
    return text if factor == 1 else f"{text} * {factor}"


def _term_to_c(atom: Atom, factor: int) -> str:
    return _scaled_to_c(atom.to_c(), factor)


def _operand_to_c(index: Index) -> str:
    # *, / and % associate to the left, so only a sum needs brackets before / or %.
    is_sum = len(index.terms) > 1 or index.constant != 0
    return f"({index.to_c()})" if is_sum else index.to_c()


@lru_cache(_CACHE_SIZE)
def variable(name: str, extent: int) -> Index:
    """The loop variable `name`; of extent 1 (or of a loop that never runs) it is 0."""
    if not name.isidentifier():
        raise ValueError(f"a variable's name must be an identifier, not {name!r}")
    if extent < 0:
        raise ValueError(f"variable {name}: the extent must not be negative, got {extent}")
    return constant(0) if extent <= 1 else _of_atom(Variable(name, extent))


@lru_cache(_CACHE_SIZE)
def constant(n: int) -> Index:
    return Index(n, ())


def _of_atom(atom: Atom) -> Index:
    return Index(0, ((atom, 1),))


def _key(index: Index) -> str:
    return "+".join([f"{c}*{atom.key}" for atom, c in index.terms] + [str(index.constant)])


# --- sums -------------------------------------------------------------------------------------


def _term_order(term: tuple[Atom, int]) -> str:
    return term[0].key


def _linear_combination(constant: int, parts: Iterable[tuple[Index, int]]) -> Index:
    """``constant + sum(factor * index)`` in normal form."""
    terms: dict[Atom, int] = {}
    for index, factor in parts:
        constant += factor * index.constant
        for atom, coefficient in index.terms:
            terms[atom] = terms.get(atom, 0) + factor * coefficient
    kept = [term for term in terms.items() if term[1]]
    kept.sort(key=_term_order)
    total = Index(constant, tuple(kept))
    return _recombine(total)


def _recombine(total: Index) -> Index:
    """Join quotients with their remainders, all scaled by c:

    | pattern                          | result                |
    |----------------------------------|-----------------------|
    | x // k * k + x % k               | x                     |
    | (x // k + y) % n * k + x % k     | (x + y * k) % (k * n) |
    """
    divided = [term for term in total.terms if not isinstance(term[0], Variable)]
    if len(divided) < 2:
        return total
    terms = dict(total.terms)

    def contains(index: Index, factor: int) -> bool:
        return all(terms.get(atom) == factor * c for atom, c in index.terms)

    for atom, c in divided:
        if isinstance(atom, Modulo):
            x, k = atom.index, atom.divisor
            quotient = x // k
            if contains(quotient, c * k):
                parts = ((total, 1), (quotient, -c * k), (_of_atom(atom), -c), (x, c))
                return _linear_combination(0, parts)
            for outer, outer_c in divided:
                if isinstance(outer, Modulo) and outer_c == c * k:
                    whole = outer.index * k + _of_atom(atom)
                    if all(part != atom for part, _ in whole.terms):
                        joined = whole % (k * outer.divisor)
                        gone = ((_of_atom(outer), -outer_c), (_of_atom(atom), -c))
                        return _linear_combination(0, ((total, 1), *gone, (joined, c)))
        elif isinstance(atom, FloorDivide) and c % atom.divisor == 0:
            # The remainder may have a simpler operand than the quotient: (i % 8 + j) % 4 is
            # (i + j) % 4, so this side has to be asked too.
            x, factor = atom.index, c // atom.divisor
            remainder = x % atom.divisor
            if contains(remainder, factor):
                gone = ((_of_atom(atom), -c), (remainder, -factor))
                return _linear_combination(0, ((total, 1), *gone, (x, factor)))
    return total


# --- division and remainder -------------------------------------------------------------------


def _without_multiples(coefficient: int, k: int) -> int:
    # Towards zero: 7 - i must not become 7 + 3 * i on its way through % 4.
    return coefficient % k if coefficient >= 0 else -(-coefficient % k)


def _factor_splits(index: Index, k: int) -> Iterator[tuple[int, Index, Index]]:
    """All ways found, greatest g first, to see ``index = g * x + r`` with 0 <= r < g and g | k.

    With k = 0 any g > 1 serves.
    """
    factors = sorted({gcd(c, k) for _, c in index.terms}, reverse=True)
    common = 0
    candidates = set(factors)
    for factor in factors:
        common = gcd(common, factor)
        candidates.add(common)
    for g in sorted(candidates, reverse=True):
        if g == 1:
            return
        rest = Index(index.constant, tuple([term for term in index.terms if term[1] % g]))
        multiple = rest.low // g
        if multiple == rest.high // g:
            x = Index(multiple, tuple([(a, c // g) for a, c in index.terms if c % g == 0]))
            yield g, x, rest - multiple * g


@lru_cache(_CACHE_SIZE)
def _floor_divide(index: Index, k: int) -> Index:
    """Simplify ``index // k``:

    | pattern                | result              | condition                  |
    |------------------------|---------------------|----------------------------|
    | x // k                 | n                   | n * k <= x < (n + 1) * k   |
    | (a * k + r) // k       | a + r // k          |                            |
    | (g * x + r) // (g * k) | x // k              | 0 <= r < g                 |
    | (x // a + n) // k      | (x + n * a) // (a*k)|                            |
    | x % (a * k) // k       | x // k % a          |                            |
    """
    _check_divisor(k)
    shift = index.low // k
    if shift == index.high // k:
        return constant(shift)

    remainders = [(atom, _without_multiples(c, k)) for atom, c in index.terms]
    rest = tuple([term for term in remainders if term[1]])
    if rest != index.terms:
        wholes = [
            (atom, (c - r) // k)
            for (atom, c), (_, r) in zip(index.terms, remainders, strict=True)
            if c != r
        ]
        return Index(0, tuple(wholes)) + Index(index.constant, rest) // k

    for g, x, _ in _factor_splits(index, k):
        return x // (k // g)

    if len(rest) == 1 and rest[0][1] == 1:
        atom = rest[0][0]
        if isinstance(atom, FloorDivide):
            return (atom.index + index.constant * atom.divisor) // (atom.divisor * k)
        if isinstance(atom, Modulo) and atom.divisor % k == 0 and index.constant % k == 0:
            return atom.index // k % (atom.divisor // k) + index.constant // k

    # The low bound moves into [0, k), so that C's truncating division is exact.
    return Index(shift, ((FloorDivide(index - shift * k, k), 1),))


@lru_cache(_CACHE_SIZE)
def _modulo(index: Index, k: int) -> Index:
    """Simplify ``index % k``:

    | pattern                   | result                | condition                |
    |---------------------------|-----------------------|--------------------------|
    | x % k                     | x - n * k             | n * k <= x < (n + 1) * k |
    | (a * k + r) % k           | r % k                 |                          |
    | (r + c * (x % m)) % k     | (r + c * x) % k       | k divides c * m          |
    | (g * x + r) % (g * k)     | g * (x % k) + r       | 0 <= r < g               |
    """
    _check_divisor(k)
    shift = index.low // k
    if shift == index.high // k:
        return index - shift * k

    parts: list[tuple[Index, int]] = []
    changed = False
    for atom, c in index.terms:
        rest = _without_multiples(c, k)
        if rest and isinstance(atom, Modulo) and rest * atom.divisor % k == 0:
            parts.append((atom.index, rest))
            changed = True
        else:
            parts.append((_of_atom(atom), rest))
            changed = changed or rest != c
    if changed:
        return _linear_combination(index.constant % k, parts) % k

    for g, x, r in _factor_splits(index, k):
        return x % (k // g) * g + r

    # The low bound moves into [0, k), so that C's truncating remainder is exact.
    return _of_atom(Modulo(index - shift * k, k))


def _check_divisor(k: int) -> None:
    if k <= 0:
        raise ValueError(f"an index is divided by positive constants only, got {k}")


# --- shapes -----------------------------------------------------------------------------------


def flatten(indices: Sequence[Index], shape: Sequence[int]) -> Index:
    """The row-major number of the element at `indices` in an array of `shape`."""
    if len(indices) != len(shape):
        raise ValueError(f"{len(indices)} indices for the {len(shape)} dimensions of {shape}")
    stride = 1
    parts = []
    for index, extent in zip(reversed(indices), reversed(shape), strict=True):
        parts.append((index, stride))
        stride *= extent
    return _linear_combination(0, parts)


def unflatten(flat: Index, shape: Sequence[int]) -> tuple[Index, ...]:
    """The indices of row-major element `flat`, which must be one of the array; 0 in unit dims.

    The outermost dimension that is not 1 takes the quotient as it is, without a remainder.
    """
    result = [constant(0)] * len(shape)
    if 0 in shape:
        return tuple(result)
    dims = [dim for dim, extent in enumerate(shape) if extent != 1]
    stride = 1
    for position, dim in reversed(list(enumerate(dims))):
        quotient = flat // stride
        result[dim] = quotient if position == 0 else quotient % shape[dim]
        stride *= shape[dim]
    return tuple(result)


def reshape(
    indices: Sequence[Index], from_shape: Sequence[int], to_shape: Sequence[int]
) -> tuple[Index, ...]:
    """Where element `indices` of `from_shape` lies in the same data seen as `to_shape`.

    Equals ``unflatten(flatten(indices, from_shape), to_shape)``, group by group: dimensions that
    match stay untouched.
    """
    if len(indices) != len(from_shape):
        raise ValueError(f"{len(indices)} indices for the {len(from_shape)} dims of {from_shape}")
    if prod(from_shape) != prod(to_shape):
        raise ValueError(f"cannot reshape {tuple(from_shape)} to {tuple(to_shape)}: sizes differ")
    result = [constant(0)] * len(to_shape)
    if 0 in to_shape:
        return tuple(result)
    for sources, targets in _matching_groups(from_shape, to_shape):
        if len(sources) == len(targets) == 1:
            result[targets[0]] = indices[sources[0]]
            continue
        flat = flatten([indices[d] for d in sources], [from_shape[d] for d in sources])
        parts = unflatten(flat, [to_shape[d] for d in targets])
        for dim, part in zip(targets, parts, strict=True):
            result[dim] = part
    return tuple(result)


def _matching_groups(
    from_shape: Sequence[int], to_shape: Sequence[int]
) -> Iterator[tuple[list[int], list[int]]]:
    """The finest runs of dims of equal product, unit dims left out; sizes agree, none is 0."""
    sources = [d for d, extent in enumerate(from_shape) if extent != 1]
    targets = [d for d, extent in enumerate(to_shape) if extent != 1]
    s = t = 0
    while s < len(sources):
        first_s, first_t = s, t
        from_size, to_size = from_shape[sources[s]], to_shape[targets[t]]
        s, t = s + 1, t + 1
        while from_size != to_size:
            if from_size < to_size:
                from_size *= from_shape[sources[s]]
                s += 1
            else:
                to_size *= to_shape[targets[t]]
                t += 1
        yield sources[first_s:s], targets[first_t:t]


# --- conditions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """``low <= index < high``, neither always true nor always false; made by `inside`.

    The limits are clamped to the range of `index`: a side at the end of that range is implied.
    """

    index: Index
    low: int
    high: int

    def needs_low(self) -> bool:
        return self.low > self.index.low

    def needs_high(self) -> bool:
        return self.high <= self.index.high

    def variables(self) -> frozenset[str]:
        return self.index.variables()

    def evaluate(self, env: Mapping[str, int]) -> bool:
        return self.low <= self.index.evaluate(env) < self.high

    def substitute(self, mapping: Mapping[str, Index]) -> bool | Condition:
        """As `Index.substitute`, and folded anew; a side implied before stays implied."""
        index = self.index.substitute(mapping)
        low = self.low if self.needs_low() else index.low
        high = self.high if self.needs_high() else index.high + 1
        return inside(index, low, high)

    def to_c(self) -> str:
        """C text of comparisons joined by ``&&``, without outer brackets."""
        text = self.index.to_c()
        if self.high == self.low + 1:
            return f"{text} == {self.low}"
        sides = []
        if self.needs_low():
            sides.append(f"{text} >= {self.low}")
        if self.needs_high():
            sides.append(f"{text} < {self.high}")
        return " && ".join(sides)


def inside(index: Index, low: int, high: int) -> bool | Condition:
    """``low <= index < high``, folded where the range of `index` decides it, else normalised:

    | pattern                        | result                     | condition               |
    |--------------------------------|----------------------------|-------------------------|
    | low <= x + n < high            | low - n <= x < high - n    |                         |
    | low <= -x < high               | 1 - high <= x < 1 - low    |                         |
    | low <= x // k < high           | low * k <= x < high * k    |                         |
    | low <= g * x < high            | ceil(low/g) <= x < ceil(high/g) |                    |
    | g * low <= g * x + r < g * high| low <= x < high            | 0 <= r < g              |
    """
    if low >= high or index.high < low or index.low >= high:
        return False
    if low <= index.low and index.high < high:
        return True

    low = max(low, index.low) - index.constant
    high = min(high, index.high + 1) - index.constant
    index = index - index.constant
    if index.terms[0][1] < 0:
        index, low, high = -index, 1 - high, 1 - low

    if len(index.terms) == 1 and index.terms[0][1] == 1:
        atom = index.terms[0][0]
        if isinstance(atom, FloorDivide):
            return inside(atom.index, low * atom.divisor, high * atom.divisor)

    needs_low, needs_high = low > index.low, high <= index.high
    for g, x, r in _factor_splits(index, 0):
        exact = not r.terms
        if exact or not ((needs_low and low % g) or (needs_high and high % g)):
            return inside(
                x,
                -(-low // g) if needs_low else x.low,
                -(-high // g) if needs_high else x.high + 1,
            )
    return Condition(index, low, high)
