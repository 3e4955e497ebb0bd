"""Random numbers: counter-based, so that a seed gives the same ones on every device.

Element i of a draw is a function of (seed, stream, i). A generator hands out stream numbers; seed
and stream are arguments of the plan, so that drawing again compiles nothing.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.leaves import iota
from codegen.ops.movement import reshape
from codegen.ops.reduction import broadcast
from lazytorch import capture, levels
from lazytorch.application import apply, apply_expressions
from lazytorch.core import broadcast_to
from lazytorch.defaults import defaults
from lazytorch.device import Device, device_name
from lazytorch.dtypes import as_dtype
from lazytorch.expression import Function
from lazytorch.functions.arguments import integers, size_argument
from lazytorch.functions.complex_numbers import view_as_complex, view_as_real
from lazytorch.functions.creation import lying_as, make
from lazytorch.functions.data import of_array
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.registration import operation, write_out
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

_DEFAULT_SEED = 67280421310721
_STREAM_LIMIT = 1 << 32


class Generator:
    """A source of random numbers: a seed, and how many streams of it are used up.

    >>> torch.Generator().manual_seed(3).initial_seed()
    3
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = Device(device)
        self._seed = _DEFAULT_SEED
        self._next = 0
        self._lock = threading.Lock()

    def take(self, count: int = 1) -> tuple[int, int]:
        """The seed and the first of ``count`` fresh stream numbers."""
        with self._lock:
            first = self._next
            self._next += count
        if first + count > _STREAM_LIMIT:
            with self._lock:
                self._seed, self._next, first = self._seed + 1, count, 0
        if capture.state.active is not None:
            return capture.state.active.note_draw(self, count, self._seed, first)
        return self._seed, first

    def manual_seed(self, seed: Any) -> Generator:
        """Start the numbers that belong to ``seed`` from the beginning."""
        number = int(seed)
        if not -(1 << 63) <= number < 1 << 64:
            raise RuntimeError("Overflow when unpacking long long")
        self._seed = number - (1 << 64) if number >= 1 << 63 else number
        self._next = 0
        return self

    def seed(self) -> int:
        """A new seed from the system, and its number."""
        number = secrets.randbits(63)
        self.manual_seed(number)
        return number

    def initial_seed(self) -> int:
        return self._seed & ((1 << 64) - 1) if self._seed < 0 else self._seed

    def get_state(self) -> Tensor:
        """Seed and position, as bytes."""
        return of_array(np.array([self._seed, self._next], np.int64).view(np.uint8), dt.uint8)

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from where ``get_state`` was called."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not dt.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if new_state.numel() != 16:
            raise RuntimeError("RNG state is wrong size")
        seed, position = np.array(new_state._array()).view(np.int64)
        self._seed, self._next = int(seed), int(position)
        return self

    def clone_state(self) -> Generator:
        return Generator(self.device).set_state(self.get_state())

    def __reduce__(self) -> Any:
        return _restored, (str(self.device), self._seed, self._next)


def _restored(device: str, seed: int, position: int) -> Generator:
    made = Generator(device)
    made._seed, made._next = seed, position
    return made


default_generator = Generator()


@operation(method=False)
def manual_seed(seed: Any) -> Generator:
    """Seed the default generator."""
    return default_generator.manual_seed(seed)


@operation(method=False)
def seed() -> int:
    return default_generator.seed()


@operation(method=False)
def initial_seed() -> int:
    return default_generator.initial_seed()


@operation(method=False)
def get_rng_state() -> Tensor:
    return default_generator.get_state()


@operation(method=False)
def set_rng_state(new_state: Tensor) -> None:
    default_generator.set_state(new_state)


# ---- bits to distributions, in function bodies -------------------------------------


def bits(seed: Node, stream: Node, shape: Shape, number: int = 0) -> Node:
    """32 random bits for each element, as int32; ``number`` counts the streams of one draw."""
    size = math.prod(shape)
    counter = iota(size)
    key = broadcast(ew.cast(seed, dt.int64), (size,), ())
    first = ew.cast(stream, dt.int64)
    if number:
        first = ew.add(first, ew.full_like(first, number))
    drawn = ew.threefry(key, broadcast(first, (size,), ()), counter)
    return reshape(drawn, shape)


def _high_bits(drawn: Node, count: int) -> Node:
    moved = ew.shift_right(drawn, ew.full_like(drawn, 32 - count))
    return ew.and_(moved, ew.full_like(drawn, (1 << count) - 1))


_SIGNIFICANT = {"float16": 11, "bfloat16": 8, "float32": 24}


def uniform(seed: Node, stream: Node, shape: Shape, dtype: DType, number: int = 0) -> Node:
    """Numbers in [0, 1), every one a multiple of the last place of 1; a draw of two streams."""
    drawn = bits(seed, stream, shape, 2 * number)
    if dtype is not dt.float64:
        count = _SIGNIFICANT[dtype.name]
        whole = ew.cast(_high_bits(drawn, count), dt.float32)
        return ew.cast(ew.mul(whole, ew.full_like(whole, 2.0**-count)), dtype)
    high = ew.cast(_high_bits(drawn, 27), dt.float64)
    low = ew.cast(_high_bits(bits(seed, stream, shape, 2 * number + 1), 26), dt.float64)
    whole = ew.add(ew.mul(high, ew.full_like(high, 2.0**26)), low)
    return ew.mul(whole, ew.full_like(whole, 2.0**-53))


def normal_numbers(seed: Node, stream: Node, shape: Shape, dtype: DType) -> Node:
    """Standard normal numbers by Box and Muller's transform; a draw of four streams."""
    compute = dtype if dtype.itemsize > 2 else dt.float32
    first = uniform(seed, stream, shape, compute)
    second = uniform(seed, stream, shape, compute, 1)
    above_zero = ew.sub(ew.full_like(first, 1), first)
    log = ew.log(above_zero)
    radius = ew.sqrt(ew.mul(ew.full_like(first, -2), log))
    angle = ew.mul(second, ew.full_like(second, 2 * math.pi))
    return ew.cast(ew.mul(radius, ew.cos(angle)), dtype)


def integer_numbers(
    seed: Node, stream: Node, low: Node, high: Node, shape: Shape, dtype: DType, wide: bool
) -> Node:
    """Integers from low to high-1: scaled 32 bits, or the remainder of 63 where ``wide``."""
    word = ew.cast(bits(seed, stream, shape), dt.int64)
    word = ew.and_(word, ew.full_like(word, (1 << 32) - 1))
    least = broadcast(ew.cast(low, dt.int64), shape, ())
    extent = ew.sub(broadcast(ew.cast(high, dt.int64), shape, ()), least)
    if wide:
        upper = ew.cast(bits(seed, stream, shape, 1), dt.int64)
        upper = ew.and_(upper, ew.full_like(upper, (1 << 31) - 1))
        joined = ew.or_(ew.shift_left(upper, ew.full_like(upper, 32)), word)
        place = ew.remainder(joined, extent)
    else:
        place = ew.shift_right(ew.mul(word, extent), ew.full_like(word, 32))
    return ew.cast(ew.add(least, place), dtype)


def _scaled(x: Node, low: Node, extent: Node) -> Node:
    first = broadcast(ew.cast(low, x.dtype), x.shape, ())
    return ew.add(first, ew.mul(x, broadcast(ew.cast(extent, x.dtype), x.shape, ())))


def _uniform_between(
    seed: Node, stream: Node, low: Node, high: Node, shape: Shape, dtype: DType
) -> Node:
    a, b = ew.cast(low, dtype), ew.cast(high, dtype)
    return _scaled(uniform(seed, stream, shape, dtype), a, ew.sub(b, a))


def _normal_scaled(
    seed: Node, stream: Node, mean: Node, std: Node, shape: Shape, dtype: DType
) -> Node:
    return _scaled(normal_numbers(seed, stream, shape, dtype), mean, std)


def _normal_around(mean: Node, std: Node, seed: Node, stream: Node, dtype: DType) -> Node:
    shape = broadcast_shapes(mean.shape, std.shape)
    numbers = normal_numbers(seed, stream, shape, dtype)
    spread = ew.mul(numbers, broadcast_to(ew.cast(std, dtype), shape))
    return ew.add(broadcast_to(ew.cast(mean, dtype), shape), spread)


def _no_slope(inputs: Sequence[Node], *_: Any) -> list[Node | None]:
    """PyTorch's draws have a gradient with respect to their parameters, which is 0."""
    return [ew.full_like(x, 0) if x.dtype.kind == "float" else None for x in inputs]


def _bernoulli(p: Node, seed: Node, stream: Node, shape: Shape, dtype: DType) -> Node:
    compute = p.dtype if p.dtype is dt.float64 else dt.float32
    limit = broadcast_to(ew.cast(p, compute), shape)
    return ew.cast(ew.lt(uniform(seed, stream, shape, compute), limit), dtype)


def _above_zero(seed: Node, stream: Node, shape: Shape, dtype: DType) -> Node:
    compute = dt.float64 if dtype is dt.float64 or dtype.kind == "int" else dt.float32
    drawn = uniform(seed, stream, shape, compute)
    return ew.sub(ew.full_like(drawn, 1), drawn)


def _exponential(seed: Node, stream: Node, rate: Node, shape: Shape, dtype: DType) -> Node:
    logs = ew.neg(ew.log(_above_zero(seed, stream, shape, dtype)))
    return ew.cast(ew.div(logs, broadcast(ew.cast(rate, logs.dtype), shape, ())), dtype)


def _cauchy(
    seed: Node, stream: Node, median: Node, sigma: Node, shape: Shape, dtype: DType
) -> Node:
    drawn = _above_zero(seed, stream, shape, dtype)
    centred = ew.sub(drawn, ew.full_like(drawn, 0.5))
    tangent = ew.tan(ew.mul(centred, ew.full_like(drawn, math.pi)))
    return ew.cast(_scaled(tangent, median, sigma), dtype)


def _geometric(seed: Node, stream: Node, p: Node, shape: Shape, dtype: DType) -> Node:
    logs = ew.log(_above_zero(seed, stream, shape, dtype))
    fail = ew.log1p(ew.neg(ew.cast(p, logs.dtype)))
    tries = ew.ceil(ew.div(logs, broadcast(fail, shape, ())))
    return ew.cast(ew.maximum(tries, ew.full_like(tries, 1)), dtype)


def _log_normal(
    seed: Node, stream: Node, mean: Node, std: Node, shape: Shape, dtype: DType
) -> Node:
    return ew.exp(_normal_scaled(seed, stream, mean, std, shape, dtype))


RAND = Function("rand", uniform)
RANDN = Function("randn", normal_numbers)
RANDINT = Function("randint", integer_numbers)
UNIFORM = Function("uniform", _uniform_between)
NORMAL = Function("normal", _normal_scaled)
NORMAL_AROUND = Function(
    "normal_around", _normal_around, gradient=_no_slope, gradient_name="NormalBackward0"
)
BERNOULLI = Function("bernoulli", _bernoulli)
EXPONENTIAL = Function("exponential", _exponential)
CAUCHY = Function("cauchy", _cauchy)
GEOMETRIC = Function("geometric", _geometric)
LOG_NORMAL = Function("log_normal", _log_normal)
BITS = Function("random_bits", bits)

# Streams that each draw takes: the largest that its body counts to.
_STREAMS = 4


# Under vmap examples may draw apart: each has streams of its own.
STREAM = Function(
    "random_stream", lambda first, index, stride: ew.add(first, ew.mul(index, stride))
)


def take(generator: Generator | None = None) -> tuple[int, Any]:
    """The seed and the stream of a fresh draw, which under vmap may be one for each example."""
    source = default_generator if generator is None else generator
    if not levels.state.active:
        return source.take(_STREAMS)
    apart = levels.check_randomness()
    seed, stream = source.take(_STREAMS * math.prod([level.size for level in apart]))
    stride = _STREAMS
    for level in reversed(apart):
        stream = apply(STREAM, (stream, level.draws, stride))
        stride *= level.size
    return seed, stream


# ---- new tensors -------------------------------------------------------------------

_OPTIONS = ("layout", "pin_memory", "memory_format", "names")


def _drawn(
    function: Function, numbers: tuple[Any, ...], shape: Shape, last: tuple[Any, ...],
    options: dict[str, Any], default: DType,
) -> Tensor:  # fmt: skip
    dtype, out = options.pop("dtype", None), options.pop("out", None)
    device, generator = options.pop("device", None), options.pop("generator", None)
    requires_grad = options.pop("requires_grad", False)
    for key in options:
        if key not in _OPTIONS:
            raise TypeError(f"{function.name}() got an unexpected keyword argument '{key}'")
    chosen = as_dtype(dtype) if dtype is not None else default if out is None else out.dtype
    if chosen.is_complex and function in (RAND, RANDN) and not numbers:
        # Real and imaginary parts, of which both together have the variance of one number.
        options |= {"device": device, "generator": generator, "dtype": dt.HALF_OF_COMPLEX[chosen]}
        pairs = _drawn(function, (), (*shape, 2), last, options, default)
        if function is RANDN:
            pairs = pairs * math.sqrt(0.5)
        made = view_as_complex(pairs).clone()
        if out is not None:
            return write_out(out, made)  # type: ignore[no-any-return]
        return made._require_grad_(requires_grad)  # type: ignore[no-any-return]
    if function is not RANDINT and chosen.kind != "float":
        raise NotImplementedError(
            f'"{"normal_kernel_cpu" if function is RANDN else "check_uniform_bounds"}" not '
            f"implemented for '{type_name(chosen)}'"
        )
    place = device_name(device)
    inputs = (*take(generator), *numbers)
    return make(function, inputs, (shape, chosen, *last), place, requires_grad, out)


@operation(method=False)
def rand(*size: Any, **options: Any) -> Tensor:
    """Uniform numbers in [0, 1)."""
    shape = size_argument(size, options.pop("size", None), "rand")
    return _drawn(RAND, (), shape, (), options, defaults.dtype)


@operation(method=False)
def randn(*size: Any, **options: Any) -> Tensor:
    """Standard normal numbers."""
    shape = size_argument(size, options.pop("size", None), "randn")
    return _drawn(RANDN, (), shape, (), options, defaults.dtype)


@operation(method=False)
def randint(*args: Any, **options: Any) -> Tensor:
    """Integers from low (0 by default) to high-1: ``randint([low,] high, size)``."""
    given = list(args)
    size = options.pop("size", None)
    if size is None and given and not isinstance(given[-1], int):
        size = given.pop()
    low, high = options.pop("low", None), options.pop("high", None)
    if len(given) == 2:
        low, high = given
    elif len(given) == 1:
        if high is None:
            high = given[0]
        else:
            low = given[0]
    if high is None or size is None:
        raise TypeError("randint() received an invalid combination of arguments")
    return _randint(int(low or 0), int(high), size_argument((), size, "randint"), options)


def _randint(low: int, high: int, shape: Shape, options: dict[str, Any]) -> Tensor:
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    return _drawn(RANDINT, (low, high), shape, (high - low > 1 << 31,), options, dt.int64)


@operation(method=False)
def rand_like(input: Tensor, **options: Any) -> Tensor:
    made = rand(input._type.shape, **_as_input(input, options))
    return lying_as(made, input, options.get("memory_format"))


@operation(method=False)
def randn_like(input: Tensor, **options: Any) -> Tensor:
    made = randn(input._type.shape, **_as_input(input, options))
    return lying_as(made, input, options.get("memory_format"))


@operation(method=False)
def randint_like(input: Tensor, *args: Any, **options: Any) -> Tensor:
    made = randint(*args, size=input._type.shape, **_as_input(input, options))
    return lying_as(made, input, options.get("memory_format"))


def _as_input(input: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    options["dtype"] = options.get("dtype") or input.dtype
    options["device"] = options.get("device") or input._storage.device
    return options


def draw_bits(count: int, generator: Generator | None = None) -> Any:
    """64 random bits each, as a host array of unsigned integers."""
    if levels.state.active and levels.check_randomness():
        raise levels.UnknownValue
    seed, stream = take(generator)
    high = make(BITS, (seed, stream), ((count,),))._array().view(np.uint32)
    low = make(BITS, (seed, stream + 1), ((count,),))._array().view(np.uint32)
    return high.astype(np.uint64) << np.uint64(32) | low


@operation(method=False)
def randperm(
    n: int, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """0 … n-1 in random order."""
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    order = np.argsort(draw_bits(n, generator), kind="stable")
    made = of_array(order, dt.int64 if dtype is None else as_dtype(dtype), device_name(device))
    if out is not None:
        if out._type.shape != made._type.shape:
            out.resize_(n)
        out.copy_(made)
        return out
    return made._require_grad_() if requires_grad else made


@operation(method=False)
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
    out: Tensor | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    **options: Any,
) -> Tensor:  # fmt: skip
    """Normal numbers: of one mean and deviation and a size, or of tensors of them."""
    if size is not None:
        chosen = as_dtype(dtype) if dtype is not None else (
            defaults.dtype if out is None else out.dtype
        )  # fmt: skip
        _check_std(std)
        shape = integers((size,), "normal")
        numbers = (*take(generator), mean, std)
        return make(NORMAL, numbers, (shape, chosen), device, requires_grad, out)
    first = mean if isinstance(mean, Tensor) else std
    if not isinstance(first, Tensor):
        raise TypeError("normal() received an invalid combination of arguments")
    if not isinstance(std, Tensor):
        _check_std(std)
    made: Tensor = apply(NORMAL_AROUND, (mean, std, *take(generator)), (first.dtype,))
    return made if out is None else out.copy_(made)


def _check_std(std: Any) -> None:
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


@operation(out=True)
def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element is (or with probability ``p``), else 0."""
    if p is not None:
        _check_probability(p)
        chance, shape, dtype = p, input._type.shape, input.dtype
    else:
        if input.dtype.kind != "float":
            raise NotImplementedError(
                f"\"bernoulli_tensor_cpu_p_\" not implemented for '{type_name(input.dtype)}'"
            )
        chance, shape, dtype = input, input._type.shape, input.dtype
    return apply(BERNOULLI, (chance, *take(generator)), (shape, dtype))  # type: ignore[no-any-return]


def _check_probability(p: Any) -> None:
    if not isinstance(p, Tensor) and not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")


@operation()
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *,
    generator: Generator | None = None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Positions drawn in proportion to the weights in each row, with or without repetition."""
    if out is not None and out.dtype is not dt.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {type_name(out.dtype)}")
    if input.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if input.dtype.kind != "float":
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{type_name(input.dtype)}"
        )
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    weights = np.atleast_2d(input.detach()._float_array()).astype(np.float64)
    rows, count = weights.shape
    if not replacement and num_samples > count:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if count > 1 << 24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    infinite, negative = not np.isfinite(weights).all(), (weights < 0).any()
    if (infinite or negative) and replacement and num_samples > 1:
        entry = "< 0" if negative else "= infinity or NaN"
        raise RuntimeError(
            f"invalid multinomial distribution (encountering probability entry {entry})"
        )
    if infinite or negative:
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(-1) == 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement:
        drawn = _host_uniform(rows * num_samples, generator).reshape(rows, num_samples)
        edges = np.cumsum(weights, -1)
        chosen = [
            np.searchsorted(e, u * e[-1], side="right").clip(0, count - 1)
            for e, u in zip(edges, drawn, strict=True)
        ]
        result = np.stack(chosen)
    else:
        drawn = _host_uniform(rows * count, generator).reshape(rows, count)
        with np.errstate(divide="ignore"):
            waits = np.where(weights > 0, -np.log1p(-drawn) / np.maximum(weights, 1e-300), np.inf)
        result = np.argsort(waits, -1, kind="stable")[:, :num_samples]
    made = of_array(result if input.ndim == 2 else result[0], dt.int64, input._storage.device)
    return made if out is None else write_out(out, made)


def _host_uniform(count: int, generator: Generator | None) -> Any:
    return (draw_bits(count, generator) >> np.uint64(11)) * 2.0**-53


# ---- in place ----------------------------------------------------------------------


def _draw_into(
    x: Tensor, function: Function, numbers: tuple[Any, ...], generator: Generator | None,
    *last: Any,
) -> Tensor:  # fmt: skip
    inputs = (*take(generator), *numbers)
    (value,) = apply_expressions(function, inputs, (x._type.shape, x.dtype, *last))
    value.device = x._storage.device
    return x._write(value)


def _need_float(x: Tensor, kernel: str) -> None:
    if x.dtype.kind != "float":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(x.dtype)}'")


def _uniform_(
    self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None, **o: Any
) -> Tensor:
    """Uniform numbers in [from, to)."""
    low = o.get("from", from_)
    _need_float(self, "check_uniform_bounds")
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={to:g}"
        )
    return _draw_into(self, UNIFORM, (float(low), float(to)), generator)


def _normal_(
    self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Normal numbers."""
    _check_std(std)
    if self.dtype.is_complex:
        _normal_(view_as_real(self), mean, std * math.sqrt(0.5), generator=generator)
        return self
    _need_float(self, "normal_kernel_cpu")
    return _draw_into(self, NORMAL, (float(mean), float(std)), generator)


_EXACT = {"float32": 1 << 24, "float64": 1 << 53, "float16": 1 << 11, "bfloat16": 1 << 8}


def _random_(self: Tensor, *args: Any, generator: Generator | None = None, **o: Any) -> Tensor:
    """Integers from ``from`` to ``to``-1; by default all that the type holds exactly."""
    low, high = o.get("from", 0), o.get("to")
    if len(args) == 1:
        high = args[0]
    elif len(args) == 2:
        low, high = args
    if high is None:
        if self.dtype.kind == "bool":
            high = 2
        elif self.dtype.kind == "float":
            high = _EXACT[self.dtype.name] + 1
        else:
            high = int(np.iinfo(self.dtype.numpy).max)
            high += high < (1 << 63) - 1
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    return _draw_into(self, RANDINT, (int(low), int(high)), generator, high - low > 1 << 31)


def _bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p`` (a number, or a tensor of probabilities), else 0."""
    _check_probability(p)
    chance = p.detach() if isinstance(p, Tensor) else float(p)
    inputs = (chance, *take(generator))
    (value,) = apply_expressions(BERNOULLI, inputs, (self._type.shape, self.dtype))
    value.device = self._storage.device
    return self._write(value)


def _exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Exponential numbers of rate ``lambd``."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    _need_float(self, "exponential_cpu")
    return _draw_into(self, EXPONENTIAL, (float(lambd),), generator)


def _cauchy_(
    self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Cauchy numbers."""
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    _need_float(self, "cauchy_cpu")
    return _draw_into(self, CAUCHY, (float(median), float(sigma)), generator)


def _geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """The number of tries until a success of probability ``p``."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    return _draw_into(self, GEOMETRIC, (float(p),), generator)


def _log_normal_(
    self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None
) -> Tensor:
    """Numbers whose logarithm is normal."""
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    _need_float(self, "log_normal_cpu")
    return _draw_into(self, LOG_NORMAL, (float(mean), float(std)), generator)


_IN_PLACE: dict[str, Callable[..., Tensor]] = {
    "uniform_": _uniform_, "normal_": _normal_, "random_": _random_, "bernoulli_": _bernoulli_,
    "exponential_": _exponential_, "cauchy_": _cauchy_, "geometric_": _geometric_,
    "log_normal_": _log_normal_,
}  # fmt: skip
for _name, _definition in _IN_PLACE.items():
    setattr(Tensor, _name, _definition)
