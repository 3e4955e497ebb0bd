"""What autocast does to the inputs of a call: a policy for each function, PyTorch's of the CPU."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch import core
from lazytorch.expression import Expression
from lazytorch.recording import record
from lazytorch.tensor import Tensor

# Computed in the lower precision.
LOWER = frozenset(
    {
        "addbmm", "addmm", "baddbmm", "bmm", "convolution", "convolution_plain",
        "convolution_transposed", "linear", "matmul", "mm",
        "scaled_dot_product_attention", "tensordot",
    }
)  # fmt: skip
# Computed in float32, whatever comes in.
FULL = frozenset(
    {
        "binary_cross_entropy", "binary_cross_entropy_with_logits", "cdist",
        "cosine_embedding_loss", "cross_entropy", "cross_entropy_probabilities", "ctc_loss",
        "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss",
        "margin_ranking_loss", "mse_loss", "multi_margin_loss", "multilabel_margin_loss",
        "nll_loss", "poisson_nll_loss", "prod", "prod_dim", "quantile", "smooth_l1_loss",
        "soft_margin_loss", "trace", "triplet_margin_loss",
    }
)  # fmt: skip
_HALVES = (dt.bfloat16, dt.float16)

F = TypeVar("F", bound=Callable[..., Any])


class State(threading.local):
    """Of each thread: device type -> whether autocast is on, and the lower precision."""

    def __init__(self) -> None:
        self.enabled: dict[str, bool] = {}
        self.dtypes: dict[str, DType] = {"cpu": dt.bfloat16, "cuda": dt.float16}
        self.cache_enabled = True


class Active:
    """``count``: how many contexts are open in the process; without one, calls ask no further."""

    count = 0


state, active = State(), Active()


def device_type(device: str) -> str:
    return "cuda" if device.startswith("cuda") else "cpu"


def fitted(name: str, inputs: list[Expression]) -> list[Expression]:
    """The inputs of a call to the function of this name, cast where autocast wants them so."""
    if name in LOWER:
        lower = True
    elif name in FULL:
        lower = False
    else:
        return inputs
    kind = device_type(next((e.device for e in inputs if not e.type.weak), "cpu"))
    if not state.enabled.get(kind):
        return inputs
    wanted = state.dtypes[kind] if lower else dt.float32
    sources = (dt.float32, *_HALVES) if lower else _HALVES
    return [
        record(core.CAST, (e,), (wanted,), e.tracked)[0]
        if e.type.dtype in sources and e.type.dtype is not wanted and not e.type.weak
        else e
        for e in inputs
    ]


# ---- policies of whole operations --------------------------------------------------------------
# Of operations that look at the types of their arguments, or are made of several calls: within,
# autocast is off.


@contextlib.contextmanager
def off() -> Iterator[None]:
    """Within, no autocast is on."""
    before, state.enabled = state.enabled, {}
    try:
        yield
    finally:
        state.enabled = before


def enabled_for(x: Tensor) -> bool:
    """Whether an autocast is on for the device of a tensor."""
    return active.count > 0 and state.enabled.get(device_type(x._storage.device), False)


def _tensors(values: Any) -> list[Tensor]:
    """Those of the arguments that autocast may cast."""
    found = []
    for x in values:
        if isinstance(x, Tensor):
            if x._type.dtype in (dt.float32, *_HALVES) and enabled_for(x):
                found.append(x)
        elif isinstance(x, (list, tuple)):
            found += _tensors(x)
    return found


def _cast(value: Any, dtype: DType) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if _tensors((value,)) else value
    return type(value)([_cast(x, dtype) for x in value]) if type(value) in (list, tuple) else value


def _policy(choose: Callable[[list[Tensor]], DType]) -> Callable[[F], F]:
    """The decorator that casts the arguments of an operation to the type that is chosen."""

    def decorate(definition: F) -> F:
        @functools.wraps(definition)
        def accepting(*args: Any, **kwargs: Any) -> Any:
            found = _tensors((*args, *kwargs.values())) if active.count else None
            if not found:
                return definition(*args, **kwargs)
            dtype = choose(found)
            args = _cast(args, dtype)
            kwargs = {name: _cast(value, dtype) for name, value in kwargs.items()}
            with off():
                return definition(*args, **kwargs)

        return accepting  # type: ignore[return-value]

    return decorate


def lower_precision(x: Tensor) -> DType:
    """The type that autocast computes products in, where a tensor is."""
    return state.dtypes[device_type(x._storage.device)]


def _widest(found: list[Tensor]) -> DType:
    types = {x._type.dtype for x in found}
    return types.pop() if len(types) == 1 else dt.float32


in_float32 = _policy(lambda _: dt.float32)
in_lower_precision = _policy(lambda found: lower_precision(found[0]))
in_widest = _policy(_widest)
