"""torch.func: functions of functions, which nest in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazytorch.func import by_example as by_example
from lazytorch.func import custom as custom
from lazytorch.func.by_example import debug_unwrap
from lazytorch.func.derivatives import grad, grad_and_value, jvp, linearize, vjp
from lazytorch.func.jacobians import hessian, jacfwd, jacrev
from lazytorch.func.modules import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from lazytorch.func.vmap import vmap


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """The function itself: writes and views are pure in the recorded graph anyway."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for "
            f"remove={remove}. Valid options are:\n     remove='mutations': all inplace and out= "
            "operators will be removed from the program, and replaced with their out-of-place "
            "equivalents.\n     remove='mutations_and_views': In addition to the above, all "
            "aliasing operators {view} will be replaced with their non-aliasing counterparts, "
            "{view}_copy.\n"
        )
    return func


__all__ = [
    "debug_unwrap", "functional_call", "functionalize", "grad", "grad_and_value", "hessian",
    "jacfwd", "jacrev", "jvp", "linearize", "replace_all_batch_norm_modules_",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip
