"""torch.autograd.gradcheck: gradients compared with finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from lazytorch.autograd import forward_ad
from lazytorch.autograd.backward import grad
from lazytorch.autograd.function import Function
from lazytorch.functions.comparison import allclose
from lazytorch.functions.creation import ones_like, zeros, zeros_like
from lazytorch.functions.data import tensor
from lazytorch.functions.joining import stack
from lazytorch.functions.random import rand, randn_like
from lazytorch.realize import realize
from lazytorch.tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

# Results that are computed by one plan.
_PLAN = 32
_NONDETERMINISM = (
    "\n\nNOTE: If your op relies on non-deterministic operations i.e., it is listed here:\n"
    "https://pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html\n"
    "this failure might be expected.\n"
)
_UNDEFINED = (
    'Please look at "Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"'
)


class GradcheckError(RuntimeError):
    """What ``gradcheck`` and ``gradgradcheck`` raise where gradients differ."""


class _UndefinedGradient(Function):
    """The identity, which stops gradients so that what comes before gets none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        copy: Tensor = x.clone()
        return copy

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> None:
        return None


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def _differentiable(results: Any) -> tuple[Tensor, ...]:
    return tuple([r for r in _as_tuple(results) if isinstance(r, Tensor) and r.requires_grad])


def _wanted(inputs: Sequence[Any]) -> list[Tensor]:
    return [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of ``func(*inputs)`` are what small differences of the inputs show.

    Inputs that require grad should be float64. GradcheckError where the gradients differ, or False
    without ``raise_exception``. ``fast_mode`` compares one random direction.

    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.sin, x)
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    if check_batched_grad and not check_backward_ad:
        raise AssertionError(
            "Setting check_batched_grad=True requires check_backward_ad to be True"
        )
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be True"
        )
    given = _as_tuple(inputs)
    try:
        _check_inputs(given)
        results = func(*given)
        outputs = _differentiable(results)
        if not outputs:
            _check_constant(func, results, given, eps)
            return True
        compare = _compare_fast if fast_mode else _compare
        if check_backward_ad:
            compare(func, given, outputs, eps, atol, rtol, nondet_tol, check_grad_dtypes)
            _check_scaled_by_seed(outputs, given)
            if check_batched_grad:
                _check_batched(outputs, given)
            if check_undefined_grad:
                _check_undefined(func, given)
        if check_forward_ad:
            (_check_forward_fast if fast_mode else _check_forward)(func, given, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check_inputs(given: Sequence[Any]) -> None:
    for i, x in enumerate(given):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        if x.dtype is not dt.float64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=3,
            )
        if any([s == 0 and n > 1 for s, n in zip(x.stride(), x.shape, strict=True)]):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients correctly. "
                "You should call .contiguous on the input before passing it to gradcheck."
            )
    if not _wanted(given):
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )


# ---- finite differences --------------------------------------------------------------------------


def _arrays(values: Sequence[Tensor]) -> list[Any]:
    """Values as arrays, many computed together."""
    plain = [v.detach() for v in values]
    for start in range(0, len(plain), _PLAN):
        realize([v._read() for v in plain[start : start + _PLAN]])
    return [np.array(v._float_array(), np.float64) for v in plain]


def _moved(x: Tensor, array: Any) -> Tensor:
    """A tensor like ``x`` of other values."""
    made: Tensor = tensor(array, dtype=x.dtype, device=x.device)
    return made.requires_grad_(x.requires_grad)


def _shifted_outputs(
    func: Callable[..., Any], given: Sequence[Any], moves: Sequence[tuple[int, Any]], count: int
) -> list[list[Any]]:
    """The differentiable outputs at inputs of which one is replaced, for each of the moves."""
    pending: list[Tensor] = []
    for place, array in moves:
        changed = [*given[:place], _moved(given[place], array), *given[place + 1 :]]
        outputs = _differentiable(func(*changed)) or _as_tuple(func(*changed))
        pending += outputs[:count]
    arrays = _arrays(pending)
    return [arrays[i : i + count] for i in range(0, len(arrays), count)]


def _numerical(
    func: Callable[..., Any], given: Sequence[Any], place: int, eps: float, count: int
) -> list[Any]:
    """For each output, its differences by one input: (input elements, output elements)."""
    (base,) = _arrays([given[place]])
    if not base.size:
        results = _differentiable(func(*given)) or _as_tuple(func(*given))
        return [np.zeros((0, r.numel())) for r in results[:count]]
    moves = []
    for k in range(base.size):
        for sign in (1, -1):
            array = base.copy()
            array.reshape(-1)[k] += sign * eps
            moves.append((place, array))
    values = _shifted_outputs(func, given, moves, count)
    columns = []
    for o in range(count):
        rows = [
            (values[2 * k][o] - values[2 * k + 1][o]).reshape(-1) / (2 * eps)
            for k in range(base.size)
        ]
        columns.append(np.array(rows).reshape(base.size, -1))
    return columns


def _seeded(output: Tensor, wanted: Sequence[Tensor], seed: Tensor) -> list[Tensor]:
    found = grad(output, wanted, seed, retain_graph=True, allow_unused=True)
    return [zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]


def _analytical(
    output: Tensor, wanted: Sequence[Tensor], nondet_tol: float, check_dtypes: bool
) -> list[Any]:
    """For each input, the gradients of an output: (input elements, output elements)."""
    count = output.numel()
    rounds = []
    for _ in range(2):
        rows: list[Tensor] = []
        for j in range(count):
            seed = np.zeros(count)
            seed[j] = 1
            shaped = tensor(seed.reshape(tuple(output.shape)), dtype=output.dtype)
            found = _seeded(output, wanted, shaped.to(output.device))
            for g, x in zip(found, wanted, strict=True):
                if check_dtypes and g.dtype is not x.dtype:
                    raise GradcheckError("Gradient has dtype mismatch")
                if g.shape != x.shape:
                    raise GradcheckError("Analytical gradient has incorrect size")
            rows += found
        arrays = _arrays(rows)
        many = len(wanted)
        rounds.append(
            [
                np.array([arrays[j * many + i].reshape(-1) for j in range(count)])
                .reshape(count, x.numel())
                .T
                for i, x in enumerate(wanted)
            ]
        )
    _check_reentrant(rounds[0], rounds[1], nondet_tol)
    return rounds[0]


def _check_reentrant(before: Sequence[Any], after: Sequence[Any], nondet_tol: float) -> None:
    for first, second in zip(before, after, strict=True):
        if first.size and np.abs(first - second).max() > nondet_tol:
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and grad_output "
                "multiple times gives different values, although analytical gradient matches "
                f"numerical gradient.The tolerance for nondeterminism was {nondet_tol}."
                + _NONDETERMINISM
            )


_SLOW_MODE_AGREES = """\
Fast gradcheck failed but element-wise differences are small. This means that the
test might've passed in slow_mode!

If you are adding a new operator, please file an issue and then use one of the
workarounds. The workaround depends on how your test invokes gradcheck/gradgradcheck:

If the test
- manually invokes gradcheck/gradgradcheck, then call gradcheck/gradgradcheck
  with `fast_mode=False` as a keyword argument.
- is OpInfo-based (e.g., in test_ops_gradients.py), then modify the OpInfo for the test
  to have `gradcheck_fast_mode=False`
- is a Module test (e.g., in common_nn.py), then modify the corresponding
  module_test entry to have `gradcheck_fast_mode=False`"""


def _mismatch(output: int, place: int, numerical: Any, analytical: Any, mode: str = "") -> str:
    return (
        f"Jacobian {mode}mismatch for output {output:d} with respect to input {place:d},\n"
        f"numerical:{tensor(numerical)}\nanalytical:{tensor(analytical)}\n"
    )


def _compare(
    func: Callable[..., Any],
    given: Sequence[Any],
    outputs: Sequence[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_dtypes: bool,
) -> None:
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    numerical = [_numerical(func, given, place, eps, len(outputs)) for place in places]
    for o, output in enumerate(outputs):
        analytical = _analytical(output, [given[p] for p in places], nondet_tol, check_dtypes)
        for j, found in enumerate(analytical):
            if not np.allclose(found, numerical[j][o], rtol, atol):
                raise GradcheckError(_mismatch(o, j, numerical[j][o], found))


def _compare_fast(
    func: Callable[..., Any],
    given: Sequence[Any],
    outputs: Sequence[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_dtypes: bool,
) -> None:
    """As ``_compare``, in a random direction of each input, for random sums of each output."""
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    wanted = [given[p] for p in places]
    seeds = [rand(o.shape, dtype=o.dtype, device=o.device) for o in outputs]
    directions = []
    for x in wanted:
        u = _arrays([randn_like(x.detach())])[0]
        directions.append(u / max(float(np.sqrt((u * u).sum())), 1e-300))
    bases, weights = _arrays(wanted), _arrays(seeds)
    for o, (output, seed) in enumerate(zip(outputs, seeds, strict=True)):
        analytical = _arrays(_seeded(output, wanted, seed))
        _check_reentrant(analytical, _arrays(_seeded(output, wanted, seed)), nondet_tol)
        for j, (place, u) in enumerate(zip(places, directions, strict=True)):
            moves = [(place, bases[j] + eps * u), (place, bases[j] - eps * u)]
            above, below = _shifted_outputs(func, given, moves, len(outputs))
            numerical = float((weights[o] * (above[o] - below[o])).sum()) / (2 * eps)
            found = float((analytical[j] * u).sum())
            scale = float(np.abs(weights[o]).sum())
            if abs(found - numerical) > atol * max(scale, 1) + rtol * abs(numerical):
                whole = _numerical(func, given, place, eps, len(outputs))[o]
                slow = _analytical(output, wanted, float("inf"), False)[j]
                raise GradcheckError(
                    _mismatch(o, j, numerical, found) + _in_slow_mode(whole, slow, rtol, atol)
                )


def _in_slow_mode(numerical: Any, analytical: Any, rtol: float, atol: float) -> str:
    """What to say of the whole matrices, where fast mode found a mismatch."""
    close = np.allclose(analytical, numerical, rtol, atol)
    return (
        "\nThe above quantities relating the numerical and analytical jacobians are computed \n"
        "in fast mode. See: https://github.com/pytorch/pytorch/issues/53876 for more background \n"
        "about fast mode. Below, we recompute numerical and analytical jacobians in slow mode:\n\n"
        f"Numerical:\n {tensor(numerical)}\n"
        f"Analytical:\n{tensor(analytical)}\n\n"
        f"The max per-element difference (slow mode) is: {np.abs(numerical - analytical).max()}.\n"
    ) + (_SLOW_MODE_AGREES if close else "")


def _check_constant(
    func: Callable[..., Any], results: Any, given: Sequence[Any], eps: float
) -> None:
    """Results that do not require grad must not change with the inputs."""
    count = len([r for r in _as_tuple(results) if isinstance(r, Tensor)])
    for place, x in enumerate(given):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        if any([np.any(d != 0) for d in _numerical(func, given, place, eps, count)]):
            raise GradcheckError("Numerical gradient for function expected to be zero")


# ---- what else must hold -------------------------------------------------------------------------


def _check_scaled_by_seed(outputs: Sequence[Tensor], given: Sequence[Any]) -> None:
    wanted = _wanted(given)
    seeds = [zeros_like(o) for o in outputs]
    found = grad(outputs, wanted, seeds, retain_graph=True, allow_unused=True)
    for g, x in zip(found, wanted, strict=True):
        if g is None:
            continue
        if not _is_zero(g):
            raise GradcheckError("backward not multiplied by grad_output")
        if g.dtype is not x.dtype:
            raise GradcheckError("grad is incorrect type")
        if g.device != x.device:
            raise GradcheckError("grad is incorrect device")
        if g.size() != x.size():
            raise GradcheckError("grad is incorrect size")


def _is_zero(x: Tensor) -> bool:
    return bool(x.eq(0).all())


def _check_undefined(func: Callable[..., Any], given: Sequence[Any]) -> None:
    """Backward must do with gradients that do not arrive, at one output or at all."""
    wanted = _wanted(given)
    count = len(_differentiable(func(*given)))
    for chosen in [list(range(count)), *([[i] for i in range(count)] if count > 1 else [])]:
        outputs = _differentiable(func(*given))
        stopped = [_UndefinedGradient.apply(outputs[i]) for i in chosen]
        seeds = [ones_like(o) for o in stopped]
        try:
            found = grad(stopped, wanted, seeds, allow_unused=True)
        except RuntimeError as error:
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. " + _UNDEFINED
            ) from error
        if any([g is not None and not _is_zero(g) for g in found]):
            raise GradcheckError(
                "Expected all input grads to be undefined or zero when all output grads are "
                "undefined or zero. " + _UNDEFINED
            )


def _check_batched(outputs: Sequence[Tensor], given: Sequence[Any]) -> None:
    wanted = _wanted(given)
    for o, output in enumerate(outputs):
        seeds = [randn_like(output.detach()) for _ in range(2)]
        expected = [_seeded(output, wanted, s) for s in seeds]
        found = grad(
            output, wanted, stack(seeds), retain_graph=True, allow_unused=True,
            is_grads_batched=True,
        )  # fmt: skip
        for j, (g, x) in enumerate(zip(found, wanted, strict=True)):
            rows = stack([e[j] for e in expected])
            batch = zeros((2, *x.shape), dtype=x.dtype) if g is None else g
            if not allclose(batch, rows):
                raise GradcheckError(
                    f"\nFor output {o} and input {j}:\n\ngradcheck or gradgradcheck failed while "
                    f"testing batched gradient computation.\nGot:\n{batch}\n\nExpected:\n{rows}\n"
                )


def _check_forward(
    func: Callable[..., Any], given: Sequence[Any], eps: float, atol: float, rtol: float
) -> None:
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    count = len(_differentiable(func(*given)))
    for j, place in enumerate(places):
        numerical = _numerical(func, given, place, eps, count)
        x = given[place].detach()
        rows: list[list[Any]] = [[] for _ in range(count)]
        for k in range(x.numel()):
            tangent = np.zeros(x.numel())
            tangent[k] = 1
            shaped = tensor(tangent.reshape(tuple(x.shape)), dtype=x.dtype)
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(x, shaped)
                changed = [v.detach() if isinstance(v, Tensor) else v for v in given]
                changed[place] = dual
                results = [r for r in _as_tuple(func(*changed)) if isinstance(r, Tensor)]
                for o in range(count):
                    found = forward_ad.unpack_dual(results[o]).tangent
                    rows[o].append(
                        np.zeros(results[o].numel())
                        if found is None
                        else _arrays([found])[0].reshape(-1)
                    )
        for o in range(count):
            matrix = np.array(rows[o]).reshape(numerical[o].shape)
            if not np.allclose(matrix, numerical[o], rtol, atol):
                mode = "computed with forward mode "
                raise GradcheckError(_mismatch(o, j, numerical[o], matrix, mode))


def _check_forward_fast(
    func: Callable[..., Any], given: Sequence[Any], eps: float, atol: float, rtol: float
) -> None:
    """As ``_check_forward``, in a random direction of each input."""
    places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    count = len(_differentiable(func(*given)))
    bases = _arrays([given[p] for p in places])
    for j, (place, base) in enumerate(zip(places, bases, strict=True)):
        x = given[place].detach()
        u = _arrays([randn_like(x)])[0]
        u = u / max(float(np.sqrt((u * u).sum())), 1e-300)
        moves = [(place, base + eps * u), (place, base - eps * u)]
        above, below = _shifted_outputs(func, given, moves, count)
        with forward_ad.dual_level():
            changed = [v.detach() if isinstance(v, Tensor) else v for v in given]
            changed[place] = forward_ad.make_dual(x, tensor(u, dtype=x.dtype, device=x.device))
            results = [r for r in _as_tuple(func(*changed)) if isinstance(r, Tensor)]
            found = [forward_ad.unpack_dual(r).tangent for r in results[:count]]
        for o, part in enumerate(found):
            numerical = (above[o] - below[o]) / (2 * eps)
            tangent = np.zeros_like(numerical) if part is None else _arrays([part])[0]
            if not np.allclose(tangent, numerical, rtol, atol):
                mode = "computed with forward mode "
                raise GradcheckError(_mismatch(o, j, numerical, tangent, mode))


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """``gradcheck`` of the gradients of ``func``, by its inputs and by their own seeds.

    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(torch.sin, x)
    True
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
        )
    for name, asked in (
        ("check_undefined_grad", check_undefined_grad), ("check_batched_grad", check_batched_grad),
    ):  # fmt: skip
        if asked and not check_rev_over_rev:
            raise AssertionError(f"Setting {name}=True requires check_rev_over_rev to be True")
    given = _as_tuple(inputs)
    if grad_outputs is None:
        outputs = _differentiable(func(*given))
        seeds = tuple(
            [
                (rand(o.shape, dtype=o.dtype, device=o.device) * 2 - 1).detach().requires_grad_()
                for o in outputs
            ]
        )
    else:
        seeds = _as_tuple(grad_outputs)
    count = len(seeds)
    flags = [isinstance(x, Tensor) and x.requires_grad for x in (*given, *seeds)]

    def gradients(*args: Any) -> tuple[Tensor, ...]:
        restored = [x.requires_grad_() if f else x for x, f in zip(args, flags, strict=True)]
        first = restored[:-count]  # nothing where there is no output, as in PyTorch
        roots = _differentiable(func(*first))
        wanted = [x for x, f in zip(first, flags, strict=False) if f]
        found = grad(roots, wanted, restored[-count:], create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        gradients, (*given, *seeds), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, masked=masked,
    )  # fmt: skip
