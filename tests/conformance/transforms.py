"""One operator's derivatives of both orders and modes, and its batching: what agrees and what
does not.

gradgrad   second gradients against finite differences of the first, in float64.
forward    tangents beside PyTorch's; against finite differences where PyTorch has none.
forward2   tangents of gradients (forward over reverse) beside PyTorch's.
vmap       the operator for a batch beside PyTorch's for each example, over in_dims variants.
vmapgrad   gradients for a batch of cotangents beside PyTorch's for each.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import lazytorch

from . import arbitration, comparison, database, report
from .check import UNDEFINED, Findings, Options, Sample, attempt
from .comparison import mapped, tensors
from .translate import Missing, NotApplicable, Translation, callable_of, unseeded

ASPECTS = ("gradgrad", "forward", "forward2", "vmap", "vmapgrad")
LEFT_OUT = Path(__file__).with_name("left_out_transforms.txt")
# Samples with more elements than this, inputs and results together, are passed over.
_LARGE = 3000
_BATCH = 2
# Of the in_dims variants that batch one tensor alone, how many are tried.
_ALONE = 2


@dataclass
class TransformOptions(Options):
    """aspects: which of ``ASPECTS`` are looked at."""

    aspects: tuple[str, ...] = ASPECTS


class TransformFindings(Findings):
    """Findings whose aspects are those of this module."""

    def failing(self) -> list[str]:
        return [a for a in ASPECTS if self.failed.get(a)]


class _Arguments:
    """A sample's arguments as a function of its tensors, for one library."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.tensors = list(tensors(arguments))
        self.wanted = [i for i, t in enumerate(self.tensors) if t.requires_grad]

    def __call__(self, *given: Any) -> Any:
        rest = iter(given)
        *args, kwargs = mapped(self.arguments, lambda _: next(rest))
        return self.function(*args, **kwargs)

    def of_wanted(self, *given: Any) -> tuple[Any, ...]:
        """The differentiable results, of the inputs that are differentiated by."""
        values = list(self.tensors)
        for i, x in zip(self.wanted, given, strict=True):
            values[i] = x
        return tuple([t for t in tensors(self(*values)) if _continuous(t)])


def _continuous(x: Any) -> bool:
    return bool(x.dtype.is_floating_point)


class _Refused(Exception):
    """PyTorch refuses the same, or its numbers are not defined."""


class Checker:
    """Checks one operator and gathers the findings."""

    def __init__(self, op: Any, options: TransformOptions) -> None:
        self.op, self.options = op, options
        self.findings = TransformFindings(database.title(op), database.family(op))
        self.theirs = unseeded(op.op)
        self.function = callable_of(op.op, op.name)
        self.process = op.output_process_fn_grad if hasattr(op, "output_process_fn_grad") else None

    def run(self) -> Findings:
        reason = "no samples in float64"
        if self.op.name in UNDEFINED:
            reason = "results are whatever was in memory"
        elif torch.float64 in self.op.supported_dtypes("cpu"):
            torch.default_generator.manual_seed(0)
            graded = self.op.supports_autograd
            found = attempt(
                lambda: list(self.op.sample_inputs("cpu", torch.float64, requires_grad=graded))
            )
            samples = [] if isinstance(found, Exception) else found
            limit = self.options.samples or len(samples)
            for sample in _spread(samples, limit):
                try:
                    self.sample(Sample(sample, self.options.device))
                    self.findings.samples += 1
                except (NotApplicable, _Refused) as error:
                    reason = str(error)
        if not self.findings.samples:
            self.findings.not_applicable = reason
        return self.findings

    def sample(self, sample: Sample) -> None:
        real = _Arguments(self._processed(self.theirs, sample), sample.theirs())
        if any(t.layout is not torch.strided for t in real.tensors):
            raise NotApplicable("sparse layout")
        torch.default_generator.manual_seed(0)
        state = torch.get_rng_state()
        expected = attempt(real, *real.tensors)
        if isinstance(expected, Exception):
            raise _Refused(f"PyTorch refuses its own sample: {expected}")
        if not torch.equal(torch.get_rng_state(), state):
            raise _Refused("random numbers")
        if any(t.is_complex() or t.layout is not torch.strided for t in tensors(expected)):
            raise NotApplicable("a complex or sparse result")
        if sum(t.numel() for t in (*real.tensors, *tensors(expected))) > _LARGE:
            raise _Refused("only large samples")
        mine = _Arguments(self._processed(self.function, sample, True), sample.ours())
        outs = [t for t in tensors(expected) if t.requires_grad]
        for aspect in self.options.aspects:
            if aspect == "vmap":
                self.note_variants(real, mine, sample)
            elif real.wanted and outs and self.supports(aspect):
                self.note(aspect, getattr(self, aspect), real, mine, sample)

    def _processed(self, function: Any, sample: Sample, ours: bool = False) -> Any:
        """The operator as its derivatives are to be looked at: of symmetric or triangular
        matrices, and up to signs of vectors."""
        process, wrapper = sample.sample.output_process_fn_grad, self.op.gradcheck_wrapper
        process = callable_of(process) if ours else process
        known = " ".join([wrapper.__name__, *wrapper.__code__.co_names])
        if "hermitian" not in known and "triangular" not in known:
            return lambda *args, **kwargs: process(function(*args, **kwargs))
        wrapper = callable_of(wrapper) if ours else wrapper
        return lambda *args, **kwargs: process(wrapper(function, *args, **kwargs))

    def supports(self, aspect: str) -> bool:
        flags = {
            "gradgrad": self.op.supports_gradgrad, "forward": self.op.supports_autograd,
            "forward2": self.op.supports_fwgrad_bwgrad, "vmapgrad": self.op.supports_autograd,
        }  # fmt: skip
        return bool(flags[aspect])

    def note(
        self, aspect: str, check: Callable[..., str | None], real: _Arguments, mine: _Arguments,
        sample: Sample, *more: Any,
    ) -> None:  # fmt: skip
        try:
            reason = check(real, mine, *more)
        except _Refused:
            return
        except (NotApplicable, Missing):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        self.findings.note(aspect, reason, f"{more if more else ''} {sample.where}")

    def compare(self, found: Any, expected: Sequence[Any], wider: float = 1.0) -> str | None:
        """Tensors against tensors; zeros and None are the same."""
        if len(found) != len(expected):
            return f"{len(found)} results instead of {len(expected)}"
        for f, e in zip(found, expected, strict=True):
            if f is None or e is None:
                other = e if f is None else f
                if other is not None and bool((other != 0).any()):
                    return "none instead of numbers" if f is None else "numbers instead of none"
                continue
            reason = comparison.structure(f.detach(), e.detach())
            relative, absolute = database.tolerance(self.op, e.dtype)
            allowed = wider * relative, wider * absolute
            reason = reason or comparison.values(f.detach(), e.detach(), allowed)
            if reason is not None:
                return reason
        return None

    # ---- second gradients -----------------------------------------------------------------

    def gradgrad(self, real: _Arguments, mine: _Arguments) -> str | None:
        options: dict[str, Any] = {
            "fast_mode": True, "check_undefined_grad": False, "raise_exception": True,
            "nondet_tol": self.op.gradcheck_nondet_tol,
        }  # fmt: skip
        outputs = mine.of_wanted(*[mine.tensors[i] for i in mine.wanted])
        if any(t.requires_grad and t.dtype is not lazytorch.float64 for t in outputs):
            raise _Refused("too coarse for finite differences")
        return self._by_differences("gradgradcheck", real, mine, options)

    def _by_differences(
        self, check: str, real: _Arguments, mine: _Arguments, options: dict[str, Any]
    ) -> str | None:
        """Our check of finite differences; refused where PyTorch's own fails too."""
        inputs = [mine.tensors[i] for i in mine.wanted]
        found = attempt(getattr(lazytorch.autograd, check), mine.of_wanted, inputs, **options)
        if not isinstance(found, Exception):
            return None
        theirs = [real.tensors[i] for i in real.wanted]
        expected = attempt(getattr(torch.autograd, check), real.of_wanted, theirs, **options)
        if isinstance(expected, Exception):
            raise _Refused("PyTorch's derivatives are not those of finite differences either")
        return f"{type(found).__name__}: {found}"

    # ---- forward mode ---------------------------------------------------------------------

    def _directions(self, real: _Arguments) -> list[Any]:
        generator = torch.Generator().manual_seed(2)
        return [
            torch.randn(real.tensors[i].shape, dtype=real.tensors[i].dtype, generator=generator)
            for i in real.wanted
        ]

    def forward(self, real: _Arguments, mine: _Arguments) -> str | None:
        directions = self._directions(real)
        ours = Translation(self.options.device)(directions)
        expected = attempt(_tangents, torch, real.of_wanted, real, directions)
        if isinstance(expected, Exception) or None in expected:  # finite differences
            options = {"check_forward_ad": True, "check_backward_ad": False, "fast_mode": True}
            return self._by_differences("gradcheck", real, mine, options)
        found = _tangents(lazytorch, mine.of_wanted, mine, ours)
        return self.judged(found, expected, real.of_wanted, real, directions)

    def forward2(self, real: _Arguments, mine: _Arguments) -> str | None:
        directions = self._directions(real)
        ours = Translation(self.options.device)(directions)
        pulled = _pulled(torch, real)
        expected = attempt(_tangents, torch, pulled, real, directions)
        if isinstance(expected, Exception):
            raise _Refused(str(expected))
        found = _tangents(lazytorch, _pulled(lazytorch, mine), mine, ours)
        return self.judged(found, expected, pulled, real, directions, 10.0)

    def judged(
        self, found: Any, expected: Sequence[Any], function: Callable[..., Any], real: _Arguments,
        directions: Sequence[Any], wider: float = 1.0,
    ) -> str | None:  # fmt: skip
        """Tangents as PyTorch's: of its forward mode or, where another way to the same numbers
        differs from that, by its reverse mode or by differences of its results."""
        reason = self.compare(found, expected, wider)
        if reason is None:
            return None
        inputs = [real.tensors[i] for i in real.wanted]
        for way in (arbitration.products, arbitration.differences):
            other = attempt(way, function, inputs, directions)
            if not isinstance(other, Exception) and self.compare(found, other, wider) is None:
                return None
        self.refuse_undefined(real)
        return reason

    def refuse_undefined(self, real: _Arguments) -> None:
        """Refused where PyTorch's gradients, or those of them, are not what finite differences
        show: then nothing says what the numbers are to be."""
        inputs = [real.tensors[i] for i in real.wanted]
        options: dict[str, Any] = {
            "fast_mode": True, "check_undefined_grad": False, "nondet_tol": 0.0,
        }  # fmt: skip
        for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
            if isinstance(attempt(check, real.of_wanted, inputs, **options), Exception):
                raise _Refused("PyTorch's gradients are not those of finite differences")

    # ---- batches --------------------------------------------------------------------------

    def note_variants(self, real: _Arguments, mine: _Arguments, sample: Sample) -> None:
        count = len(real.tensors)
        alone = [tuple([0 if i == k else None for i in range(count)]) for k in range(count)]
        variants = [(0,) * count, (-1,) * count, *(alone[:_ALONE] if count > 1 else [])]
        for in_dims in variants if count else []:
            self.note("vmap", self.vmap, real, mine, sample, in_dims)

    def vmap(self, real: _Arguments, mine: _Arguments, in_dims: Any) -> str | None:
        with torch.no_grad(), lazytorch.no_grad():
            examples = [_examples(x) for x in real.tensors]
            batch = [
                xs[0] if dim is None else torch.stack(xs, dim)
                for xs, dim in zip(examples, in_dims, strict=True)
            ]
            results = []
            for i in range(_BATCH):
                one = [
                    xs[0] if dim is None else xs[i]
                    for xs, dim in zip(examples, in_dims, strict=True)
                ]
                result = attempt(real, *[x.clone() for x in one])
                if isinstance(result, Exception):
                    raise _Refused(f"PyTorch refuses an example: {result}")
                results.append(list(tensors(result)))
            same = {tuple([tuple(t.shape) for t in r]) for r in results}
            if len(same) > 1 or not results[0]:
                raise _Refused("results of other shapes, or none")
            expected = [torch.stack(parts) for parts in zip(*results, strict=True)]
            ours = Translation(self.options.device)([x.clone() for x in batch])
            try:
                found = lazytorch.vmap(lambda *x: tuple(tensors(mine(*x))), in_dims)(*ours)
                return self.compare(found, expected)
            except Exception as error:

                def run(*x: Any) -> Any:
                    return tuple(tensors(real(*x)))

                if isinstance(attempt(torch.vmap(run, in_dims), *batch), Exception):
                    raise _Refused("PyTorch's vmap refuses it too") from error
                raise

    def vmapgrad(self, real: _Arguments, mine: _Arguments) -> str | None:
        wanted = [real.tensors[i] for i in real.wanted]
        outs = [t for t in real.of_wanted(*wanted) if t.requires_grad]
        generator = torch.Generator().manual_seed(1)
        seeds = [
            torch.randn((_BATCH, *t.shape), dtype=t.dtype, generator=generator) for t in outs
        ]  # fmt: skip
        rows = [
            torch.autograd.grad(
                outs, wanted, [s[i] for s in seeds], retain_graph=True, allow_unused=True
            )
            for i in range(_BATCH)
        ]
        expected = [
            None if parts[0] is None else torch.stack(parts) for parts in zip(*rows, strict=True)
        ]
        inputs = [mine.tensors[i] for i in mine.wanted]
        _, pull = lazytorch.func.vjp(lambda *x: _tracked(mine.of_wanted(*x)), *inputs)
        ours = Translation(self.options.device)(seeds)
        found = lazytorch.vmap(lambda *s: pull(tuple(s)))(*ours)
        reason = self.compare(found, expected)
        if reason is not None:
            self.refuse_undefined(real)
        return reason


def _spread(samples: list[Any], limit: int) -> list[Any]:
    """So many of the samples, from the whole list: the first are often the simplest."""
    if limit >= len(samples):
        return samples
    return [samples[i * len(samples) // limit] for i in range(limit)]


def _examples(x: Any) -> list[Any]:
    """Examples that lie in the domain that ``x`` lies in: scaled towards zero."""
    x = x.detach()
    return [x * (1 - i / 10) if _continuous(x) else x for i in range(_BATCH)]


def _tracked(outputs: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([t for t in outputs if t.requires_grad])


def _tangents(
    library: Any, function: Callable[..., Any], given: _Arguments, directions: Sequence[Any]
) -> list[Any]:
    """The tangents of the results along some directions of the inputs."""
    forward = library.autograd.forward_ad
    with forward.dual_level():
        duals = [
            forward.make_dual(given.tensors[i].detach().clone(), d)
            for i, d in zip(given.wanted, directions, strict=True)
        ]
        return [forward.unpack_dual(r).tangent for r in function(*duals)]


def _pulled(library: Any, given: _Arguments) -> Callable[..., Any]:
    """The gradients of the sum of squares of the results."""

    def function(*inputs: Any) -> Any:
        inputs = tuple([x.requires_grad_() for x in inputs])
        outputs = _tracked(given.of_wanted(*inputs))
        total = sum([(t * t).sum() for t in outputs])
        found = library.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
        return [library.zeros_like(x) if g is None else g
                for g, x in zip(found, inputs, strict=True)]  # fmt: skip

    return function


def check(op: Any, options: TransformOptions) -> Findings:
    """All that there is to say about one operator's transforms."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            findings = Checker(op, options).run()
        except (Missing, NotApplicable) as error:
            findings = TransformFindings(database.title(op), database.family(op))
            findings.not_applicable = str(error)
    findings.seconds = time.perf_counter() - start
    return findings


def totals(results: Sequence[Findings], listed: Any, device: str) -> str:
    """A line an aspect: operators that pass on every sample, of those that have it and a meaning
    here."""
    results = [f for f in results if report.applicable(f, listed)]
    lines = [f"{device}: {len(results)} operators, {sum(f.samples for f in results)} samples"]
    for aspect in ASPECTS:
        have = [f for f in results if f.passed.get(aspect) or f.failed.get(aspect)]
        good = [f for f in have if not f.failed.get(aspect)]
        checks = sum(f.passed.get(aspect, 0) for f in have)
        missed = sum(f.failed.get(aspect, 0) for f in have)
        known = [f for f in have if f.name in listed and aspect in listed[f.name].aspects]
        lines.append(
            f"{aspect:10} {len(good)} of {len(have)} operators, {checks} of {checks + missed} "
            f"comparisons; {len(known)} are listed"
        )
    return "\n".join(lines)
