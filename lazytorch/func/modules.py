"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lazytorch.functions.registration import PUBLIC
from lazytorch.nn.modules.batchnorm import _NormBase
from lazytorch.nn.modules.module import Module
from lazytorch.tensor import Tensor


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in the places of its parameters and buffers.

    parameter_and_buffer_dicts  names to tensors, or several such with no name in common.
    args         a tuple of arguments, or the one argument.
    tie_weights  what shares one tensor in the module shares the one given for any of its names.
    strict       refuse missing and unexpected names.

    >>> m = torch.nn.Linear(2, 1, bias=False)
    >>> torch.func.functional_call(m, {"weight": torch.ones(1, 2)}, torch.ones(2))
    tensor([2.])
    """
    given = _one_dictionary(parameter_and_buffer_dicts)
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _reparametrized(module, given, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _one_dictionary(given: Any) -> dict[str, Tensor]:
    if isinstance(given, dict):
        return given
    if not isinstance(given, Sequence):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(given)}"
        )
    if not all([isinstance(d, dict) for d in given]):
        raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    counts = Counter([name for d in given for name in d])
    repeated = [name for name, n in counts.items() if n > 1]
    if repeated:
        raise ValueError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
            "ambiguous"
        )
    return {name: value for d in given for name, value in d.items()}


def _named_tensors(module: Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    found.update(module.named_parameters(remove_duplicate=False))
    found.update(module.named_buffers(remove_duplicate=False))
    return found


def _untied(module: Module, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The given tensors for every name of what they stand for."""
    own = _named_tensors(module)
    names: dict[int, list[str]] = {}
    for name, value in own.items():
        names.setdefault(id(value), []).append(name)
    result = dict(given)
    for name, value in given.items():
        tied = names.get(id(own.get(name)), [])
        chosen = [n for n in tied if n in given]
        if len({id(given[n]) for n in chosen}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(chosen)}, which are tied. "
                "Consider using tie_weights=False"
            )
        result.update(dict.fromkeys(tied, value))
    return result


@contextmanager
def _reparametrized(
    module: Module, given: dict[str, Tensor], tie_weights: bool, strict: bool
) -> Iterator[None]:
    """The module with the given tensors in place, and its own again after. What the module puts
    in a buffer's place meanwhile goes into ``given``."""
    values = _untied(module, given) if tie_weights else dict(given)
    if strict:
        _check_names(module, values)
    before: dict[str, Any] = {}
    try:
        for name, value in values.items():
            before[name] = _swap(module, name, value)
        yield
    finally:
        for name in reversed(before):
            now = _swap(module, name, before[name])
            if name in given and now is not _MISSING:
                given[name] = now


def _check_names(module: Module, values: Mapping[str, Tensor]) -> None:
    own = set(_named_tensors(module))
    unexpected, missing = sorted(set(values) - own), sorted(own - set(values))
    messages = []
    if unexpected:
        messages.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    if missing:
        messages.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if messages:
        text = "\n\t".join(messages)
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:\n\t{text}")


_MISSING = object()


def _swap(module: Module, name: str, value: Any) -> Any:
    """Put a tensor in the place of a dotted name; what was there."""
    *path, last = name.split(".")
    if not last:
        raise KeyError('tensor name can\'t be empty string ""')
    owner: Any = module
    for part in path:
        if not hasattr(owner, part):
            raise AttributeError(f"{owner._get_name()} has no attribute `{part}`")
        owner = getattr(owner, part)
        if not isinstance(owner, Module):
            raise TypeError(f"submodule `{part}`: {owner} is not an instance of torch.nn.Module")
    if value is not _MISSING and value is not None and not isinstance(value, Tensor):
        raise TypeError(f"{value} is not an instance of torch.Tensor")
    for kind in (owner._parameters, owner._buffers):
        if last in kind:
            before = kind[last]
            if value is _MISSING:
                del kind[last]
            else:
                kind[last] = value
            return before
    there = getattr(owner, last, None)
    if there is not None and not isinstance(there, Tensor):
        raise TypeError(f"attribute `{last}`: {there} is not an instance of torch.Tensor")
    before = owner.__dict__.get(last, _MISSING)
    if value is _MISSING:
        owner.__dict__.pop(last, None)
    else:
        owner.__dict__[last] = value
    return before


def stack_module_state(
    models: Sequence[Module],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of models of one class, each stacked along a new first
    dimension: an ensemble for ``vmap`` over ``functional_call``.

    >>> models = [torch.nn.Linear(2, 3) for _ in range(4)]
    >>> params, buffers = torch.func.stack_module_state(models)
    >>> params["weight"].shape
    torch.Size([4, 3, 2])
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {name: _stacked([p[name] for p in parameters], name) for name in parameters[0]},
        {name: _stacked([b[name] for b in buffers], name) for name in buffers[0]},
    )


def _stacked(tensors: Sequence[Tensor], name: str) -> Tensor:
    wanted = [t.requires_grad for t in tensors]
    if len(set(wanted)) > 1:
        raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
    result: Tensor = PUBLIC["stack"](list(tensors))
    return result.detach()._require_grad_() if wanted[0] else result


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Take the running statistics out of every batch norm below, in place: under ``vmap`` they
    would be written for all examples at once."""
    for module in root.modules():
        if isinstance(module, _NormBase):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
