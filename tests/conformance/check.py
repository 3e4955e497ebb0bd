"""One operator in all its forms, on all of PyTorch's samples: what agrees and what does not."""

from __future__ import annotations

import copy
import itertools
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

import lazytorch

from . import arbitration, comparison, database
from .comparison import tensors
from .translate import Missing, NotApplicable, Translation, callable_of, unseeded

# An operator passes if it does in all of these.
ASPECTS = ("values", "method", "inplace", "out", "gradients", "second", "views", "errors")
# These are counted, and fail nothing: layout of fresh results, texts of errors, and whether out=
# of other types is refused.
COUNTED = ("strides", "messages", "outtypes")
# Results of these are whatever was in memory.
UNDEFINED = {
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
    "resize_", "resize_as_",
}  # fmt: skip
# Which of equal elements these find is not defined; and where their dimension stands.
_ANY_OF_EQUAL = {"kthvalue": 1, "mode": 0, "topk": 1}
# Each vector of these may have the other sign: the samples say what of them is determined.
_UP_TO_SIGN = {"linalg.eigh", "linalg.svd", "svd"}
# Second gradients are taken where all inputs and results together have so few elements.
_SMALL = 200
_REASONS = 4
# An operator with more samples is checked in pieces of so many, at most so many pieces, of which
# the first is short: it is what tells that there are others.
_PIECE, _PIECES, _FIRST = 100, 12, 25
_BY_CHANCE = 20


@dataclass
class Options:
    """device; and of each dtype's samples: how many at most (all: 0), how many of them in the
    method, in-place and out= forms, and how many second gradients. Of an operator that is checked
    in pieces: which of them."""

    device: str = "interpreter"
    samples: int = 0
    forms: int = 0
    second: int = 12
    piece: int = 0
    complex: bool = False  # samples of complex64 alone


@dataclass
class Findings:
    """How often each aspect of an operator agreed and did not, and some reasons.

    ``pieces``: in how many an operator of so many samples is checked; these are of one of them.
    """

    name: str
    family: str
    samples: int = 0
    passed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    not_applicable: str = ""
    seconds: float = 0.0
    pieces: int = 1

    def add(self, other: Findings) -> None:
        """Join the findings on another piece of the same operator."""
        if not self.samples or not other.samples:
            both = bool(self.not_applicable and other.not_applicable)
            self.not_applicable = self.not_applicable if both else ""
        self.samples += other.samples
        self.seconds += other.seconds
        for mine, more in ((self.passed, other.passed), (self.failed, other.failed)):
            for aspect, count in more.items():
                mine[aspect] = mine.get(aspect, 0) + count
        for aspect, reasons in other.reasons.items():
            self.reasons[aspect] = [*self.reasons.get(aspect, []), *reasons][:_REASONS]

    def note(self, aspect: str, reason: str | None, where: str = "") -> None:
        if reason is None:
            self.passed[aspect] = self.passed.get(aspect, 0) + 1
            return
        self.failed[aspect] = self.failed.get(aspect, 0) + 1
        known = self.reasons.setdefault(aspect, [])
        if len(known) < _REASONS:
            known.append(f"{reason.strip()[:300]} {where}".strip())

    def failing(self) -> list[str]:
        return [a for a in ASPECTS if self.failed.get(a)]

    def applicable(self) -> bool:
        return not self.not_applicable


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result, or the exception where one is raised."""
    try:
        return function(*args, **kwargs)
    except (Missing, NotApplicable):
        raise
    except Exception as error:
        return error


class Sample:
    """One sample's arguments in both libraries, made anew for each call."""

    def __init__(self, sample: Any, device: str) -> None:
        self.sample, self.device = sample, device
        self.where = self._describe()

    def _describe(self) -> str:
        def short(value: Any) -> str:
            if isinstance(value, torch.Tensor):
                dense = value.layout is torch.strided
                layout = f" strides {value.stride()}" if dense else f" {value.layout}"
                layout = "" if dense and value.is_contiguous() else layout
                return f"{str(value.dtype)[6:]}{list(value.shape)}{layout}"
            if isinstance(value, (list, tuple)):
                return "(" + ", ".join([short(v) for v in value]) + ")"
            return repr(value)[:60]

        parts = [short(self.sample.input), *[short(a) for a in self.sample.args]]
        parts += [f"{k}={short(v)}" for k, v in self.sample.kwargs.items()]
        return "at (" + ", ".join(parts)[:300] + ")"

    def theirs(self) -> tuple[Any, ...]:
        return _copied((self.sample.input, *self.sample.args, self.sample.kwargs))

    def ours(self) -> tuple[Any, ...]:
        return Translation(self.device)((self.sample.input, *self.sample.args, self.sample.kwargs))


def _copied(value: Any) -> Any:
    """The same arguments over other memory, of the same layout."""
    if isinstance(value, torch.Tensor):
        with torch.no_grad():
            made = copy.deepcopy(value.detach()) if value.layout is torch.strided else value.clone()
        return made.requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        parts = [_copied(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return value


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], **more: Any) -> Any:
    return attempt(function, *arguments[:-1], **arguments[-1], **more)


class Checker:
    """Checks one operator and gathers the findings."""

    def __init__(self, op: Any, options: Options) -> None:
        self.op, self.options = op, options
        self.findings = Findings(database.title(op), database.family(op))
        self.theirs = unseeded(op.op)
        self.function = callable_of(op.op, op.name)

    def run(self) -> Findings:
        reason, samples = "", []
        for dtype in database.dtypes(self.op):
            try:
                samples += [(dtype, *numbered) for numbered in enumerate(self.samples(dtype))]
            except Exception as error:
                reason = reason or f"no samples: {error}"
        self.findings.pieces = min(_PIECES, max(1, len(samples) // _PIECE))
        for dtype, number, sample in self.piece(samples):
            try:
                self.sample(Sample(sample, self.options.device), dtype, number)
                self.findings.samples += 1
            except NotApplicable as error:
                reason = reason or str(error)
        if self.options.piece == 0:
            self.errors()
        if not self.findings.samples:
            self.findings.not_applicable = reason or "no samples of real numbers"
        return self.findings

    def piece(self, samples: list[Any]) -> list[Any]:
        """What is to be checked of all samples."""
        if self.findings.pieces == 1:
            return samples
        rest = len(samples) - _FIRST
        begin, end = (
            _FIRST + rest * (piece - 1) // (self.findings.pieces - 1)
            for piece in (self.options.piece, self.options.piece + 1)
        )
        return samples[max(0, begin) : end]

    def samples(self, dtype: torch.dtype) -> list[Any]:
        """PyTorch's samples of a type, the same at every call."""
        torch.default_generator.manual_seed(0)
        graded = dtype is torch.float64 and self.op.supports_autograd
        found = self.op.sample_inputs("cpu", dtype, requires_grad=graded)
        return list(itertools.islice(found, self.options.samples or None))

    # ---- one sample -----------------------------------------------------------------------

    def sample(self, sample: Sample, dtype: torch.dtype, number: int) -> None:
        theirs = sample.theirs()
        torch.default_generator.manual_seed(0)
        state = torch.get_rng_state()
        expected = _call(self.theirs, theirs)
        if isinstance(expected, Exception):
            raise NotApplicable(f"PyTorch refuses its own sample: {expected}")
        drawn = not torch.equal(torch.get_rng_state(), state)
        defined = self.op.name not in UNDEFINED
        for seed in range(1, 6 if drawn else 2):
            torch.default_generator.manual_seed(seed)
            again = _call(self.theirs, sample.theirs())
            defined = defined and _same_twice(expected, again, drawn)
        ours = sample.ours()
        found = _call(self.function, ours)
        reason = self.compare(found, expected, defined, sample)
        self.findings.note("values", reason, sample.where)
        if reason is None:
            self.layout(found, expected, ours, theirs, sample.where)
            if any(t.requires_grad for t in tensors(expected)) and defined:
                self.gradients(found, expected, ours, theirs, sample, number)
        few = self.options.forms and number >= self.options.forms
        if not few and (dtype is not torch.float64 or not self.op.supports_autograd):
            self.forms(sample, expected, defined)

    def compare(
        self, found: Any, expected: Any, defined: bool, sample: Sample | None = None
    ) -> str | None:
        if isinstance(found, Exception):
            return f"{type(found).__name__}: {found}"
        try:
            reason = comparison.structure(found, expected)
            if reason is None and sample is not None and self.op.name in _UP_TO_SIGN:
                determined = sample.sample.output_process_fn_grad
                found, expected = callable_of(determined)(found), determined(expected)
            if reason is None and sample is not None and self.op.name in _ANY_OF_EQUAL:
                found, expected = (_chosen(self.op.name, r, sample) for r in (found, expected))
            if reason is None and defined:
                allowed = self.tolerance(expected)
                reason = comparison.values(found, expected, allowed)
                if reason is not None and sample is not None and _is_float32(expected):
                    exact = arbitration.is_exact(found, self.theirs, sample.theirs(), allowed)
                    reason = None if exact else reason
        except NotApplicable:
            raise
        except Exception as error:
            return f"when computed, {type(error).__name__}: {error}"
        return reason

    def tolerance(self, expected: Any) -> tuple[float, float]:
        kinds = [t.dtype for t in tensors(expected) if t.is_floating_point() or t.is_complex()]
        return database.tolerance(self.op, kinds[0] if kinds else torch.float64)

    def layout(self, found: Any, expected: Any, ours: Any, theirs: Any, where: str) -> None:
        shares = attempt(comparison.memory, found, expected, ours, theirs)
        if not isinstance(shares, Exception):
            self.findings.note("views", shares, where)
        pairs = zip(tensors(found), tensors(expected), strict=True)
        same = all(f.is_contiguous() == e.is_contiguous() for f, e in pairs)
        self.findings.note("strides", None if same else "contiguous or not", where)

    # ---- the other calling forms ------------------------------------------------------------

    def forms(self, sample: Sample, expected: Any, defined: bool) -> None:
        method, inplace = self.op.method_variant, self.op.inplace_variant
        if method is not None:
            self.form("method", method, sample, expected, defined)
        if inplace is not None:
            self.inplace(inplace, sample, defined)
        if self.op.supports_out:
            self.out(sample, expected, defined)
            if not self.findings.passed.get("outtypes") and not self.findings.failed.get(
                "outtypes"
            ):
                self.out_types(sample, expected)

    def form(self, aspect: str, theirs: Any, sample: Sample, expected: Any, defined: bool) -> None:
        if theirs is self.op.op:
            return
        try:
            function = callable_of(theirs)
        except Missing as error:
            self.findings.note(aspect, f"missing: {error}")
            return
        found = _call(function, sample.ours())
        self.findings.note(aspect, self.compare(found, expected, defined, sample), sample.where)

    def inplace(self, theirs: Any, sample: Sample, defined: bool) -> None:
        given = sample.theirs()
        torch.default_generator.manual_seed(0)
        expected = _call(theirs, given)
        try:
            function = callable_of(theirs)
        except Missing as error:
            self.findings.note("inplace", f"missing: {error}")
            return
        ours = sample.ours()
        found = _call(function, ours)
        if isinstance(expected, Exception):
            reason = _same_error(found, expected)
        else:
            reason = self.compare(found, expected, defined)
            if reason is None and found is not ours[0]:
                reason = "returns another tensor"
        self.findings.note("inplace", reason, sample.where)

    def out(self, sample: Sample, expected: Any, defined: bool) -> None:
        if not list(tensors(expected)):
            return
        given = sample.theirs()
        target, fresh = _empty(expected), _empty(expected)
        torch.default_generator.manual_seed(0)
        with torch.no_grad():
            expected = _call(self.theirs, given, out=target)
        if isinstance(expected, Exception):
            return
        mine = Translation(self.options.device)(fresh)
        with lazytorch.no_grad():
            found = _call(self.function, sample.ours(), out=mine)
        if expected is None:  # of the copies of views, which write alone
            expected, found = target, found if isinstance(found, Exception) else mine
        reason = self.compare(found, expected, defined, sample)
        if reason is None:
            kept = [a is b for a, b in zip(tensors(found), tensors(mine), strict=True)]
            reason = None if all(kept) else "returns another tensor"
        self.findings.note("out", reason, sample.where)

    def out_types(self, sample: Sample, expected: Any) -> None:
        """out= tensors of other types are taken or refused."""
        for dtype in (torch.float64, torch.int32, torch.bool):
            target, fresh = _empty(expected, dtype), _empty(expected, dtype)
            mine = Translation(self.options.device)(fresh)
            with torch.no_grad(), lazytorch.no_grad():
                theirs = _call(self.theirs, sample.theirs(), out=target)
                ours = _call(self.function, sample.ours(), out=mine)
            if isinstance(theirs, Exception):
                reason = _same_error(ours, theirs)
            else:
                reason = f"{ours!r}"[:250] if isinstance(ours, Exception) else None
            self.findings.note("outtypes", reason, sample.where)

    # ---- gradients --------------------------------------------------------------------------

    def gradients(
        self, found: Any, expected: Any, ours: Any, theirs: Any, sample: Sample, number: int
    ) -> None:
        mine = [t for t in tensors(ours) if t.requires_grad and t.is_leaf]
        real = [t for t in tensors(theirs) if t.requires_grad and t.is_leaf]
        process = sample.sample.output_process_fn_grad
        expected = attempt(process, expected)
        found = attempt(callable_of(process), found)
        if isinstance(expected, Exception) or isinstance(found, Exception):
            return
        outs = [t for t in tensors(expected) if t.requires_grad]
        found_outs = [t for t in tensors(found) if t.requires_grad]
        if not outs or len(found_outs) != len(outs):
            return
        size = sum([t.numel() for t in (*real, *outs)])
        twice = number < self.options.second and size <= _SMALL and self.op.supports_gradgrad
        generator = torch.Generator().manual_seed(1)
        seeds = [torch.randn(t.shape, dtype=t.dtype, generator=generator) for t in outs]
        options = {"allow_unused": True, "create_graph": twice}
        first = attempt(torch.autograd.grad, outs, real, seeds, **options)
        if isinstance(first, Exception):
            return
        translate = Translation(self.options.device)
        found_first = attempt(
            lazytorch.autograd.grad, found_outs, mine, [translate(s) for s in seeds], **options
        )
        reason = self.compare_gradients(found_first, first, 1.0)
        if reason is not None and not isinstance(found_first, Exception):
            given = sample.theirs()
            right = arbitration.are_differences(
                found_first,
                lambda: process(_call(self.theirs, given)),
                [t for t in tensors(given) if t.requires_grad and t.is_leaf],
                [i for i, t in enumerate(tensors(expected)) if t.requires_grad],
                seeds,
            )
            if right:
                self.findings.note("gradients", None)
                return
        self.findings.note("gradients", reason, sample.where)
        if not twice or reason is not None:
            return
        pairs = [
            (f, e) for f, e in zip(found_first, first, strict=True)
            if e is not None and e.requires_grad
        ]  # fmt: skip
        if not pairs:
            return
        if any(f is None or not f.requires_grad for f, _ in pairs):
            reason = "the gradient has no gradient"
        seeds = [torch.randn(e.shape, dtype=e.dtype, generator=generator) for _, e in pairs]
        second = attempt(torch.autograd.grad, [e for _, e in pairs], real, seeds, allow_unused=True)
        if isinstance(second, Exception):
            return
        if reason is None:
            found_second = attempt(
                lazytorch.autograd.grad, [f for f, _ in pairs], mine,
                [translate(s) for s in seeds], allow_unused=True,
            )  # fmt: skip
            reason = self.compare_gradients(found_second, second, 10.0)
        self.findings.note("second", reason, sample.where)

    def compare_gradients(self, found: Any, expected: Any, wider: float) -> str | None:
        """What PyTorch gives no gradient gets none or zero here."""
        if isinstance(found, Exception):
            return f"{type(found).__name__}: {found}"
        for f, e in zip(found, expected, strict=True):
            if e is None:
                if f is not None and bool((f != 0).any()):
                    return "a gradient where PyTorch has none"
                continue
            if f is None:
                if bool((e != 0).any()):
                    return "no gradient"
                continue
            relative, absolute = database.tolerance(self.op, e.dtype)
            try:
                reason = comparison.values(f, e.detach(), (wider * relative, wider * absolute))
            except Exception as error:
                reason = f"when computed, {type(error).__name__}: {error}"
            if reason is not None:
                return reason
        return None

    # ---- errors -----------------------------------------------------------------------------

    def errors(self) -> None:
        torch.default_generator.manual_seed(0)
        if self.op.error_inputs_func is None:
            return
        inputs = attempt(lambda: list(self.op.error_inputs("cpu")))
        if isinstance(inputs, Exception):
            return
        for error in inputs:
            sample = Sample(error.sample_input, self.options.device)
            try:
                real = _call(self.theirs, sample.theirs())
                if not isinstance(real, Exception):
                    continue
                found = _call(self.function, sample.ours())
                if not isinstance(found, Exception):
                    for t in tensors(found):  # an index may turn out to be wrong only here
                        found = attempt(t._float_array)
                        if isinstance(found, Exception):
                            break
            except NotApplicable:
                continue
            reason = _same_error(found, real)
            self.findings.note("errors", reason, sample.where)
            if reason is None:
                regex = error.error_regex
                same = regex is None or re.search(regex, str(found)) is not None
                reason = None if same else f"{found} instead of {real}"
                self.findings.note("messages", reason, sample.where)


def _same_error(found: Any, expected: Exception) -> str | None:
    if not isinstance(found, Exception):
        return f"no error, but PyTorch raises {type(expected).__name__}: {str(expected)[:120]}"
    if type(found) is not type(expected):
        return f"{type(found).__name__}: {found} instead of {expected!r}"[:250]
    return None


def _same_twice(first: Any, second: Any, drawn: bool) -> bool:
    """Whether two runs of PyTorch with other seeds gave the same, and not by chance: where random
    numbers were ``drawn``, few elements say nothing."""
    if drawn and sum([t.numel() for t in tensors(first)]) < _BY_CHANCE:
        return False
    if isinstance(second, Exception):
        return True
    for a, b in zip(tensors(first), tensors(second), strict=True):
        if a.layout is not torch.strided or a.shape != b.shape:
            return a.shape == b.shape
        a, b = (torch.view_as_real(x.resolve_conj()) if x.is_complex() else x for x in (a, b))
        if not torch.equal(torch.nan_to_num(a.detach()), torch.nan_to_num(b.detach())):
            return False
    return list(tensors(first)) != [] or first == second


def _is_float32(expected: Any) -> bool:
    kinds = {t.dtype for t in tensors(expected)}
    return torch.float32 in kinds


def _chosen(name: str, result: Any, sample: Sample) -> Any:
    """Values, and the elements of the input that the indices beside them name."""
    input, *args, options = sample.theirs()
    values, places = (torch.as_tensor(comparison.array_of(t)) for t in tensors(result))
    place = _ANY_OF_EQUAL[name]
    dim = options.get("dim", args[place] if len(args) > place else -1)
    if places.dim() < input.dim():
        places = places.unsqueeze(dim)
    return values, input.detach().gather(dim, places)


def _empty(expected: Any, dtype: torch.dtype | None = None) -> Any:
    """Tensors like the results (or of another type), full of sevens."""
    if isinstance(expected, torch.Tensor):
        made = torch.empty_like(expected, dtype=dtype, requires_grad=False)
        return made.fill_(7) if made.layout is torch.strided else made
    if isinstance(expected, (list, tuple)):
        return tuple([_empty(e, dtype) for e in expected])
    return expected


def check(op: Any, options: Options) -> Findings:
    """All that there is to say about one operator."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            database.complex_only = options.complex
            findings = Checker(op, options).run()
        except (Missing, NotApplicable) as error:
            findings = Findings(database.title(op), database.family(op))
            if isinstance(error, NotApplicable):
                findings.not_applicable = str(error)
            else:
                findings.note("values", f"missing: {error}")
    findings.seconds = time.perf_counter() - start
    return findings
