"""Index algebra against Python's integers."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator, Mapping
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.index.algebra import (
    Condition,
    Index,
    constant,
    flatten,
    inside,
    reshape,
    unflatten,
    variable,
)

Value = Callable[[Mapping[str, int]], int]
EXTENTS = {"i": 6, "j": 4, "k": 2, "l": 12, "one": 1}
DIVISORS = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 12])
FACTORS = st.sampled_from([-12, -4, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 12, 24])


def lookup(name: str) -> Value:
    return lambda env: env[name]


def combined(f: Value, a: int, g: Value, b: int) -> Value:
    return lambda env: a * f(env) + b * g(env)


def shifted(f: Value, a: int) -> Value:
    return lambda env: a - f(env)


def quotient(f: Value, m: int) -> Value:
    return lambda env: f(env) // m


def remainder(f: Value, m: int) -> Value:
    return lambda env: f(env) % m


@st.composite
def expressions(draw: st.DrawFn) -> tuple[Index, Value]:
    """An index built by random operators, and the same in Python integers."""
    pool: list[tuple[Index, Value]] = [
        (variable(name, extent), lookup(name)) for name, extent in EXTENTS.items()
    ]
    for _ in range(draw(st.integers(1, 7))):
        index, value = draw(st.sampled_from(pool[-4:] + pool[:3]))
        other, other_value = draw(st.sampled_from(pool))
        kind = draw(st.sampled_from(["combine", "shift", "divide", "modulo", "split"]))
        a, b = draw(FACTORS), draw(FACTORS)
        m, n = draw(DIVISORS), draw(DIVISORS)
        made: tuple[Index, Value] = {
            "combine": (index * a + other * b, combined(value, a, other_value, b)),
            "shift": (a - index, shifted(value, a)),
            "divide": (index // m, quotient(value, m)),
            "modulo": (index % m, remainder(value, m)),
            "split": (
                index // m % n * m + index % m,
                combined(remainder(quotient(value, m), n), m, remainder(value, m), 1),
            ),
        }[kind]
        pool.append(made)
    return pool[-1]


def environments(names: Mapping[str, int] = EXTENTS, limit: int = 40) -> Iterator[dict[str, int]]:
    """All assignments, thinned by a step coprime to the extents to at most about `limit`."""
    total = prod(names.values())
    step = max(1, total // limit)
    while step > 1 and any(step % p == 0 for p in (2, 3, 5)):
        step += 1
    for number in range(0, total, step):
        env = {}
        for name, extent in names.items():
            number, env[name] = divmod(number, extent)
        yield env


ALL = list(environments())


def c_value(text: str, env: Mapping[str, int]) -> int:
    """The value of C text whose divisions have operands that are not negative."""
    python = text.replace("/", "//").replace("&&", "and")
    return int(eval(python, {}, dict(env)))


@given(expressions())
@settings(max_examples=300, deadline=None)
def test_random_expressions_agree_with_integers(expression: tuple[Index, Value]) -> None:
    index, value = expression
    text = index.to_c()
    assert index.variables() <= set(EXTENTS)
    for env in ALL:
        expected = value(env)
        assert index.evaluate(env) == expected
        assert index.low <= expected <= index.high
        assert c_value(text, env) == expected


@given(expressions())
@settings(max_examples=150, deadline=None)
def test_normal_form_is_a_fixed_point(expression: tuple[Index, Value]) -> None:
    index, _ = expression
    rebuilt = constant(index.constant)
    for atom, coefficient in index.terms:
        itself = {name: variable(name, EXTENTS[name]) for name in atom.variables}
        rebuilt = rebuilt + atom.substitute(itself) * coefficient
    assert rebuilt == index
    assert hash(rebuilt) == hash(index)
    assert index.substitute({n: variable(n, e) for n, e in EXTENTS.items()}) == index
    assert index - index == constant(0)
    assert 0 - (-index) == index


@given(expressions(), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_quotient_and_remainder_recombine(expression: tuple[Index, Value], k: int) -> None:
    index, _ = expression
    whole, part = index // k, index % k
    assert part.low >= 0
    for env in ALL:
        value = index.evaluate(env)
        assert whole.evaluate(env) == value // k
        assert part.evaluate(env) == value % k
        assert (whole * k + part).evaluate(env) == value


@given(expressions(), expressions())
@settings(max_examples=150, deadline=None)
def test_substitution_agrees_with_evaluation(
    expression: tuple[Index, Value], inner: tuple[Index, Value]
) -> None:
    index, value = expression
    replacement = inner[0] % EXTENTS["i"]
    result = index.substitute({"i": replacement})
    for env in ALL:
        assert result.evaluate(env) == value({**env, "i": replacement.evaluate(env)})


@given(expressions(), st.integers(-30, 60), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_conditions_agree_with_comparisons(
    expression: tuple[Index, Value], low: int, length: int
) -> None:
    index, value = expression
    condition = inside(index, low, low + length)
    for env in ALL:
        expected = low <= value(env) < low + length
        if isinstance(condition, bool):
            assert condition == expected
        else:
            assert condition.evaluate(env) == expected
            assert bool(c_value(condition.to_c(), env)) == expected
            moved = condition.substitute({"i": variable("i", 6), "j": constant(env["j"])})
            assert (moved if isinstance(moved, bool) else moved.evaluate(env)) == expected


SHAPES = st.sampled_from(
    [
        list(shape)
        for size in (1, 12, 24, 48)
        for rank in (1, 2, 3, 4)
        for shape in itertools.product((1, 2, 3, 4, 6, 8, 12, 24, 48), repeat=rank)
        if prod(shape) == size
    ]
)


@given(SHAPES, SHAPES)
@settings(max_examples=200, deadline=None)
def test_reshape_round_trips(from_shape: list[int], to_shape: list[int]) -> None:
    names = {f"a{d}": extent for d, extent in enumerate(from_shape)}
    indices = tuple(variable(name, extent) for name, extent in names.items())
    assert unflatten(flatten(indices, from_shape), from_shape) == indices
    if prod(from_shape) != prod(to_shape):
        with pytest.raises(ValueError, match="sizes differ"):
            reshape(indices, from_shape, to_shape)
        return
    there = reshape(indices, from_shape, to_shape)
    assert there == unflatten(flatten(indices, from_shape), to_shape)
    assert reshape(there, to_shape, from_shape) == indices
    for env in environments(names):
        flat = flatten(indices, from_shape).evaluate(env)
        assert flatten(there, to_shape).evaluate(env) == flat
        assert all(0 <= x.evaluate(env) < n for x, n in zip(there, to_shape, strict=True))


i, j, k, x = variable("i", 6), variable("j", 4), variable("k", 2), variable("x", 96)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ((i * 4 + j) // 4, i),
        ((i * 4 + j) % 4, j),
        ((x * 9 + j) // 4, x * 2 + (x + j) // 4),
        (x // 3 // 4, x // 12),
        ((x // 3 + 5) // 4, (x + 15) // 12),
        (x % 12 % 4, x % 4),
        ((x % 12 + j) % 4, (x + j) % 4),
        (x % 12 // 4, x // 4 % 3),
        ((j + 4) // 4, constant(1)),
        ((j + 4) % 4, j),
        (x // 4 * 4 + x % 4, x),
        (x // 4 * 20 + x % 4 * 5 + i, x * 5 + i),
        (x // 4 % 3 * 4 + x % 4, x % 12),
        (x // 12 * 12 + x // 4 % 3 * 4 + x % 4, x),
        (x * 6 // 15, x * 2 // 5),
        ((x * 4 + j) // 12, x // 3),
        ((x * 4 + j) % 12, x % 3 * 4 + j),
        ((x - 1) // 4, (x + 3) // 4 - 1),
        ((-x) % 4, (96 - x) % 4),
        ((x - i) + i, x),
        (variable("unit", 1), constant(0)),
        (variable("empty", 0), constant(0)),
    ],
)
def test_simplifies(made: Index, expected: Index) -> None:
    assert made == expected


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (variable("r", 9) * 512 + j + 3, "r * 512 + j + 3"),
        (j + x * 512, "x * 512 + j"),
        (3 - j, "3 - j"),
        (-j, "-j"),
        (-j * 2 - 5, "-5 - j * 2"),
        (-(x // 4), "-(x / 4)"),
        (x // 4 % 3 * 5, "x / 4 % 3 * 5"),
        ((x * 3 + i) // 7, "(x * 3 + i) / 7"),
        ((x - 5) // 4, "(x + 3) / 4 - 2"),
        ((5 - x) % 4, "(97 - x) % 4"),
        (constant(0), "0"),
        (constant(-2), "-2"),
    ],
)
def test_c_text(index: Index, text: str) -> None:
    assert index.to_c() == text


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (inside(i, 0, 5), "i < 5"),
        (inside(i, 1, 6), "i >= 1"),
        (inside(i - 1, 0, 4), "i >= 1 && i < 5"),
        (inside(3 - i, 0, 9), "i < 4"),
        (inside(i * 4 + j, 0, 20), "i < 5"),
        (inside(i * 4, 5, 17), "i >= 2 && i < 5"),
        (inside(x // 8, 2, 12), "x >= 16"),
        (inside(i, 2, 3), "i == 2"),
        (inside(i + k, 3, 60), "i + k >= 3"),
    ],
)
def test_condition_text(condition: bool | Condition, text: str) -> None:
    assert isinstance(condition, Condition)
    assert condition.to_c() == text


def test_conditions_fold_by_range() -> None:
    assert inside(i, 0, 6) is True
    assert inside(i, 6, 9) is False
    assert inside(i, 4, 4) is False
    assert inside(i * 4, 5, 8) is False
    condition = inside(i, 0, 4)
    assert isinstance(condition, Condition)
    assert condition.substitute({"i": j}) is True


def test_reshape_leaves_matching_dimensions_alone() -> None:
    outer, inner = variable("outer", 5), variable("inner", 7)
    result = reshape((outer, x, inner), (5, 96, 7), (5, 1, 8, 12, 7))
    assert result == (outer, constant(0), x // 12, x % 12, inner)


def test_empty_shapes_do_not_crash() -> None:
    zero = constant(0)
    assert unflatten(zero, (3, 0)) == (zero, zero)
    assert reshape((zero, zero), (3, 0), (0, 2, 5)) == (zero, zero, zero)
    assert flatten((variable("a", 3), variable("b", 0)), (3, 0)) == zero
    assert flatten((), ()) == zero
    assert unflatten(zero, ()) == ()


def test_queries() -> None:
    index = i * 8 + x // 3 * 4 + 12
    assert index.variables() == {"i", "x"}
    assert index.coefficient("i") == 8
    assert index.coefficient("x") == 0
    assert index.depends_on("x")
    assert not index.depends_on("j")
    assert not index.is_affine()
    assert (i * 8 + j).is_affine()
    assert index.is_multiple_of(4)
    assert not index.is_multiple_of(8)
    assert index.constant_value() is None
    assert (constant(3) * 4).constant_value() == 12
    assert pickle.loads(pickle.dumps(index)) == index


def test_refuses_what_is_not_linear() -> None:
    with pytest.raises(ValueError, match="linear"):
        i * j
    with pytest.raises(ValueError, match="positive"):
        i // 0
    with pytest.raises(ValueError, match="positive"):
        i % -2
