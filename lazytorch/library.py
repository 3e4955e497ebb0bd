"""``torch.library`` and ``torch.ops``: operators of one's own, written in Python.

An operator's function runs like any other; what ``custom_op`` adds is its name under ``torch.ops``,
its gradient, and a check that it does what its schema says. Functions that describe an operator to
tracers (``register_fake``) are kept and never needed.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Sequence
from types import NoneType, UnionType
from typing import Any, NoReturn

import lazytorch
from lazytorch.autograd.function import Function
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.device import Device
from lazytorch.dtypes import DType
from lazytorch.tensor import Tensor

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "get_kernel", "impl", "infer_schema",
    "register_autocast", "register_autograd", "register_fake", "register_kernel", "register_vmap",
    "triton_op", "wrap_triton",
]  # fmt: skip

# ---- schemas -----------------------------------------------------------------------------------

_SIMPLE: dict[Any, str] = {
    Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str",
    DType: "ScalarType", Device: "Device", int | float | bool: "Scalar",
}  # fmt: skip


def _schema_type(annotation: Any) -> str | None:
    """How a schema spells a type; None where it has no word for it."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType) and NoneType in inner:
        rest = [a for a in inner if a is not NoneType]
        found = _schema_type(typing.Union[tuple(rest)])  # noqa: UP007  of types found at run time
        return None if found is None else f"{found}?"
    if origin in (list, Sequence, tuple) and inner:
        found = _schema_type(inner[0])
        return None if found is None else f"{found}[]"
    return None


def infer_schema(
    prototype_function: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
) -> str:
    """The schema that a function's annotations say: ``(Tensor x, float s=1.0) -> Tensor``.

    mutates_args  the parameters that the function writes to, or "unknown": then each tensor
    """
    signature = inspect.signature(prototype_function)
    hints = typing.get_type_hints(prototype_function)

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"infer_schema(func): {what} Got func with signature {signature})")

    written: list[str] = []
    for i, (name, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            refuse("We do not support positional-only args, varargs, or varkwargs.")
        if name not in hints:
            refuse(f"Parameter {name} must have a type annotation.")
        kind = _schema_type(hints[name])
        if kind is None:
            refuse(f"Parameter {name} has unsupported type {hints[name]}.")
        is_mutated = "Tensor" in kind if mutates_args == "unknown" else name in mutates_args
        if is_mutated:
            kind = kind.replace("Tensor", f"Tensor(a{i}!)", 1)
        star = "*, " if parameter.kind is parameter.KEYWORD_ONLY and "*, " not in written else ""
        default = "" if parameter.default is parameter.empty else f"={parameter.default}"
        written.append(f"{star}{kind} {name}{default}")
    given = hints.get("return")
    if "return" not in hints:
        refuse("No return type annotation was provided. Please add one.")
    if given is NoneType:
        result = "()"
    elif typing.get_origin(given) is tuple:
        result = "(" + ", ".join([str(_schema_type(a)) for a in typing.get_args(given)]) + ")"
    else:
        result = str(_schema_type(given))
    return f"{op_name or ''}({', '.join(written)}) -> {result}"


# ---- operators ---------------------------------------------------------------------------------

_operators: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """What ``custom_op`` makes of a function; calling it calls the function."""

    def __init__(self, name: str, function: Callable[..., Any], schema: str, checked: bool) -> None:
        self._qualname, self._schema, self._checks_aliases = name, schema, checked
        self._function = function
        self._kernels: dict[str, Callable[..., Any]] = {}
        self._signature = _signature_of(schema, function)
        self._backward: Callable[..., Any] | None = None
        self._setup_context: Callable[..., Any] | None = None
        self._vmap: Callable[..., Any] | None = None
        self._as_function = _differentiable(self)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    @property
    def default(self) -> CustomOpDef:
        """The operator itself, which has no overloads."""
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._as_function.apply(*self._bound(args, kwargs))

    def _bound(self, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """All arguments in their order, missing ones by their defaults."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            missing = re.search(r"missing a required.*argument: '(\w+)'", str(error))
            text = f"is missing value for argument '{missing[1]}'" if missing else str(error)
            raise RuntimeError(f"{self._qualname}() {text}. Declaration: "
                               f"{self._qualname}{self._schema}") from None  # fmt: skip
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            wanted = self._signature.parameters[name].annotation
            if wanted == "Tensor" and not isinstance(value, Tensor):
                raise RuntimeError(
                    f"{self._qualname}() Expected a value of type 'Tensor' for argument "
                    f"'{name}' but instead found type '{type(value).__name__}'."
                )
        return tuple(bound.arguments.values())

    def _run(self, args: tuple[Any, ...]) -> Any:
        tensors = [a for a in args if isinstance(a, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        named = dict(zip(self._signature.parameters, args, strict=True))
        kinds = self._signature.parameters
        last = {n: v for n, v in named.items() if kinds[n].kind is inspect.Parameter.KEYWORD_ONLY}
        with no_grad():
            result = self._kernels.get(device, self._function)(
                *[v for n, v in named.items() if n not in last], **last
            )
        if self._checks_aliases:
            storages = {id(t._storage) for t in tensors}
            for made in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(made, Tensor) and id(made._storage) in storages:
                    raise RuntimeError(
                        f"{self._qualname}: The output of this custom operator (1) must not also "
                        "be an input to this custom operator and (2) may not alias any inputs to "
                        "this custom operator or other returns. Consider returning a clone."
                    )
        return result

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Keep what describes the results' types to tracers: there are none here."""
        return fn

    def register_kernel(
        self, device_types: str | Sequence[str] | None, fn: Callable[..., Any] | None = None, /
    ) -> Any:
        """Another function for tensors of some devices; a decorator where none is given."""
        if fn is None:
            return lambda function: self.register_kernel(device_types, function)
        devices = [device_types] if isinstance(device_types, str) else device_types
        if devices is None:
            self._function = fn
        for device in devices or ():
            self._kernels[device] = fn
        return fn

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """``backward(ctx, *gradients)`` gives a gradient, or None, for each argument;
        ``setup_context(ctx, inputs, output)`` keeps what it needs."""
        self._backward, self._setup_context = backward, setup_context

    def register_vmap(self, func: Callable[..., Any] | None = None) -> Any:
        """``func(info, in_dims, *args)`` gives (results, out_dims) under ``vmap``."""
        if func is None:
            return self.register_vmap
        self._vmap = func
        return func

    def register_autocast(self, device_type: str, cast_inputs: DType) -> None:
        """Cast floating-point arguments under ``autocast``."""
        inner = self._function

        def cast(*args: Any, **kwargs: Any) -> Any:
            if not lazytorch.is_autocast_enabled(device_type):
                return inner(*args, **kwargs)
            moved = [
                a.to(cast_inputs) if isinstance(a, Tensor) and a.is_floating_point() else a
                for a in args
            ]
            with lazytorch.autocast(device_type, enabled=False):
                return inner(*moved, **kwargs)

        self._function = cast


def _differentiable(operator: CustomOpDef) -> type[Function]:
    """The operator as an autograd.Function."""

    class Operator(Function):
        @staticmethod
        def forward(*args: Any) -> Any:
            return operator._run(args)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            if operator._setup_context is not None:
                operator._setup_context(ctx=ctx, inputs=inputs, output=output)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            if operator._backward is None:
                raise RuntimeError(
                    f"Trying to backward through {operator._qualname.replace('::', '.')}.default "
                    "but no autograd formula was registered. Please use register_autograd to add "
                    "one."
                )
            return operator._backward(ctx, *gradients)

        @staticmethod
        def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
            if operator._vmap is None:
                raise RuntimeError(
                    f"There is no vmap rule for {operator._qualname}. Please use register_vmap."
                )
            return operator._vmap(info, in_dims, *args)

    Operator.__name__ = operator._qualname.replace("::", "_")
    return Operator


_PARAMETER = re.compile(r"([\w()!.]+(?:\[\d*\])?\??)\s+(\w+)(?:\s*=\s*(.+))?$")


def _signature_of(schema: str, function: Callable[..., Any]) -> inspect.Signature:
    """The parameters of a schema: names, kinds and defaults; their annotation is its type."""
    text = schema[schema.index("(") + 1 : schema.rindex("->")].strip()[:-1]
    parameters: list[inspect.Parameter] = []
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for part in re.split(r",\s*(?![^\[(]*[\])])", text) if text else ():
        if part.strip() == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
            continue
        found = _PARAMETER.match(part.strip())
        if found is None:
            raise RuntimeError(f"cannot read {part.strip()!r} in the schema {schema!r}")
        annotation, name, default = found.groups()
        value: Any = inspect.Parameter.empty if default is None else _default(default)
        own = _own_default(function, name)
        parameters.append(
            inspect.Parameter(
                name, kind, default=value if own is inspect.Parameter.empty else own,
                annotation=re.sub(r"\(\w+!?\)", "", annotation),
            )
        )  # fmt: skip
    return inspect.Signature(parameters)


def _own_default(function: Callable[..., Any], name: str) -> Any:
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):
        return inspect.Parameter.empty
    return inspect.Parameter.empty if parameter is None else parameter.default


def _default(text: str) -> Any:
    named = {"None": None, "True": True, "False": False}
    if text in named:
        return named[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text.strip("\"'")


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Make a function an operator, found as ``torch.ops.namespace.name``; a decorator without fn.

    name          "namespace::name"
    mutates_args  the parameters that the function writes to
    schema        what its annotations would say, where it has none

    >>> @torch.library.custom_op("docs::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return x * 2
    >>> torch.ops.docs.twice(torch.ones(2))
    tensor([2., 2.])
    """

    def make(function: Callable[..., Any]) -> CustomOpDef:
        found = infer_schema(function, mutates_args=mutates_args) if schema is None else schema
        if name.count("::") != 1:
            raise ValueError(
                f"Expected op name to be of the form namespace::name, but got {name!r}"
            )
        made = CustomOpDef(name, function, found, True)
        if device_types is not None:
            made._function = _only_elsewhere(name, device_types)
            made.register_kernel(device_types, function)
        _operators[name] = made
        return made

    return make if fn is None else make(fn)


triton_op = custom_op


def _only_elsewhere(name: str, device_types: str | Sequence[str]) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{name} is for tensors of {device_types} alone")

    return refuse


def wrap_triton(triton_kernel: Any, /) -> NoReturn:
    raise NotImplementedError("Triton kernels cannot run on lazytorch's devices")


def _operator(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    name = str(op)
    if name not in _operators:
        raise RuntimeError(f"no operator is called {name!r}; make it by torch.library.custom_op")
    return _operators[name]


def register_fake(op: Any, func: Any = None, /, **_: Any) -> Any:
    """As the operator's method of this name, the operator given by its name."""
    return _given(func, lambda fn: fn)


def register_kernel(op: Any, device_types: Any, func: Any = None, /, **_: Any) -> Any:
    """As the operator's method of this name, the operator given by its name."""
    return _operator(op).register_kernel(device_types, func)


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Any = None, lib: Any = None
) -> None:
    """As the operator's method of this name, the operator given by its name."""
    _operator(op).register_autograd(backward, setup_context=setup_context)


def register_vmap(op: Any, func: Any = None, /, **_: Any) -> Any:
    """As the operator's method of this name, the operator given by its name."""
    return _operator(op).register_vmap(func)


def register_autocast(op: Any, device_type: str, cast_inputs: DType, /, **_: Any) -> None:
    """As the operator's method of this name, the operator given by its name."""
    _operator(op).register_autocast(device_type, cast_inputs)


def _given(function: Any, action: Callable[[Any], Any]) -> Any:
    return action if function is None else action(function)


class Library:
    """Operators of one namespace, defined by their schemas, then given functions."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "IMPL", "FRAGMENT"):
            raise ValueError("Unsupported kind: ", kind)
        self.ns = ns

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Name an operator: ``name(Tensor x, int n=2) -> Tensor``."""
        name = schema[: schema.index("(")].strip()
        define(f"{self.ns}::{name}", schema[schema.index("(") :])
        return name

    def impl(self, op_name: Any, fn: Callable[..., Any], dispatch_key: str = "", **_: Any) -> None:
        """The function of an operator, for all devices or for the one that the key names."""
        name = op_name if isinstance(op_name, str) else op_name._qualname
        name = name if "::" in name else f"{self.ns}::{name}"
        if name not in _operators:
            raise NotImplementedError(f"operators of {self.ns} that lazytorch itself has stay")
        device = dispatch_key.lower() if dispatch_key in ("CPU", "CUDA") else None
        _operators[name].register_kernel(device, fn)


def define(qualname: str, schema: str, *, lib: Any = None, tags: Any = ()) -> None:
    """Name an operator whose function comes later."""
    _operators[qualname] = CustomOpDef(
        qualname, _only_elsewhere(qualname, "no device"), schema, False
    )


def impl(qualname: Any, types: Any, func: Any = None, *, lib: Any = None) -> Any:
    """Give an operator its function: ``impl("ns::name", "cpu", f)`` or ``impl(lib, "name", key)``;
    a decorator where no function is given."""
    if isinstance(qualname, Library):
        library, name, key = qualname, types, func or ""

        def give(fn: Callable[..., Any]) -> Callable[..., Any]:
            library.impl(name, fn, key)
            return fn

        return give
    device = None if types in ("default", "CompositeExplicitAutograd") else types
    return _operator(qualname).register_kernel(device, func)


def get_kernel(op: Any, dispatch_key: Any = None) -> Callable[..., Any]:
    """The function of an operator."""
    return _operator(op)._function


# ---- torch.ops ---------------------------------------------------------------------------------


class _Overloads:
    """An operator of PyTorch's own, found by the name of the function that computes it."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__, self._function = name, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self  # an overload: the function sees itself which is meant


class _Namespace:
    """``torch.ops.name``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = _operators.get(f"{self._name}::{name}")
        if found is not None:
            return found
        if self._name == "aten":
            for place in (lazytorch, lazytorch.nn.functional, Tensor):
                function = getattr(place, name, None)
                if callable(function):
                    return _Overloads(name, function)
        raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'")


class _Operators:
    """``torch.ops``."""

    def __getattr__(self, name: str) -> _Namespace:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Namespace(name)

    def load_library(self, path: Any) -> NoReturn:
        raise NotImplementedError("compiled extensions of PyTorch cannot be loaded by lazytorch")


ops = _Operators()
