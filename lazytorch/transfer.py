"""Values on another device."""

from __future__ import annotations

from codegen.runtime.memory import Buffer
from lazytorch import capture, core
from lazytorch.application import apply
from lazytorch.device import transferred
from lazytorch.expression import new_expression
from lazytorch.realize import realize
from lazytorch.tensor import Tensor, wrap


def moved(x: Tensor, device: str, copy: bool = False) -> Tensor:
    """The values on another device, to which the gradient comes back."""
    if device == x._storage.device:
        if not copy:
            return x
        copied: Tensor = apply(core.IDENTITY, (x,))
        return copied
    made: Tensor = apply(core.CAST, (x,), (x._type.dtype,))
    e = made._storage.expression
    if e.value is None:
        assert e.call is not None
        (source,) = e.call.inputs
        realize([source])
    else:
        source = e
    if not e.tracked and capture.state.active is None:
        assert isinstance(source.value, Buffer)
        value = new_expression(x._type, device, value=transferred(source.value, device))
        return wrap(value, made._storage.layout)
    # The copy is a call on the other device: a gradient flows through it, a replay makes it again.
    e.device = device
    return made
