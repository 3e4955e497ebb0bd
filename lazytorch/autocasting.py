"""What autocast does to the inputs of a call: a policy for each function, PyTorch's of the CPU."""

from __future__ import annotations

import threading

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch import core
from lazytorch.expression import Expression
from lazytorch.recording import record

# Computed in the lower precision.
LOWER = frozenset(
    {
        "addbmm", "addmm", "baddbmm", "bmm", "convolution", "convolution_plain",
        "convolution_transposed", "einsum", "inner", "linear", "matmul", "mm",
        "scaled_dot_product_attention", "tensordot",
    }
)  # fmt: skip
# Computed in float32, whatever comes in.
FULL = frozenset(
    {
        "binary_cross_entropy", "binary_cross_entropy_with_logits", "cdist",
        "cosine_embedding_loss", "cross_entropy", "cross_entropy_probabilities", "ctc_loss",
        "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "local_response_norm",
        "margin_ranking_loss", "mse_loss", "multi_margin_loss", "multilabel_margin_loss",
        "nll_loss", "poisson_nll_loss", "prod", "prod_dim", "quantile", "smooth_l1_loss",
        "soft_margin_loss", "trace", "triplet_margin_loss",
    }
)  # fmt: skip
_HALVES = (dt.bfloat16, dt.float16)


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
