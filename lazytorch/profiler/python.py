"""The Python of a step as spans: every module's forward, every optimizer's step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from codegen import spans
from lazytorch.nn.modules._hooks import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from lazytorch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

Tell = Callable[[str, int], None]


class PythonRanges:
    """Tells of the calls of modules and of optimizers' steps, by the hooks that all of them have.

    ``tell(name, begin)`` is called where one ends. Names are PyTorch's: ``nn.Module: Linear_1`` is
    the second Linear that was called, ``Optimizer.step#Adam.step`` an optimizer's step.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._names: dict[int, tuple[Any, str]] = {}  # with the module, so that no id comes again
        self._counts: dict[str, int] = {}
        self._open = threading.local()
        self._hooks = [
            register_module_forward_pre_hook(lambda module, _: self._begin(module)),
            register_module_forward_hook(
                lambda module, _, __: self._end(module, self._name_of(module)), always_call=True
            ),
            register_optimizer_step_pre_hook(lambda optimizer, _, __: self._begin(optimizer)),
            register_optimizer_step_post_hook(
                lambda optimizer, _, __: self._end(
                    optimizer, f"Optimizer.step#{type(optimizer).__name__}.step"
                )
            ),
        ]

    def stop(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _name_of(self, module: Any) -> str:
        found = self._names.get(id(module))
        if found is None:
            kind = type(module).__name__
            number = self._counts.get(kind, 0)
            self._counts[kind] = number + 1
            found = self._names[id(module)] = (module, f"nn.Module: {kind}_{number}")
        return found[1]

    def _begin(self, called: Any) -> None:
        if not hasattr(self._open, "calls"):
            self._open.calls = []
        self._open.calls.append((called, spans.now()))

    def _end(self, called: Any, name: str) -> None:
        # A call that failed within may have left its beginning: what is above ours is over.
        calls = getattr(self._open, "calls", [])
        while calls:
            other, began = calls.pop()
            if other is called:
                self._tell(name, began)
                return
