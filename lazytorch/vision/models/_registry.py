"""Models by name, and their published weights: enumerations of files that are fetched once."""

from __future__ import annotations

import fnmatch
import functools
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from lazytorch.hub import load_state_dict_from_url
from lazytorch.nn import Module
from lazytorch.vision.models import _weights_table as table
from lazytorch.vision.transforms._presets import ImageClassification
from lazytorch.vision.transforms.functional import InterpolationMode

_BUILDERS: dict[str, Callable[..., Any]] = {}
_WEIGHTS: dict[str, type[WeightsEnum]] = {}


@dataclass(frozen=True)
class Weights:
    """Where a model's weights are, the transform that prepares images for them, and what is known
    of them (``categories``, ``num_params``, ``min_size``)."""

    url: str
    transforms: Callable[..., Any]
    meta: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weights) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)


class WeightsEnum(Enum):
    """The weights published for one model; a member's value is a ``Weights``."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """The member that ``obj`` is, or names; None stays None. TypeError for another's."""
        if obj is None or isinstance(obj, cls):
            return obj
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        raise TypeError(
            f"Invalid Weight class provided; expected {cls.__name__} but received "
            f"{obj.__class__.__name__}."
        )

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The parameters by name; the file is fetched into the hub's folder once."""
        return load_state_dict_from_url(self.url, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}.{self._name_}"

    @property
    def url(self) -> str:
        return str(self.value.url)

    @property
    def transforms(self) -> Any:
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = self.value.meta
        return meta


@functools.cache
def imagenet_categories() -> list[str]:
    """The 1000 classes of ImageNet, in the order of a model's outputs."""
    return Path(__file__).with_name("imagenet_categories.txt").read_text("utf-8").splitlines()


def weights_enum(name: str) -> Any:
    """The enumeration of the weights published under ``name``, from the table."""
    members: list[tuple[str, Weights]] = []
    for row, file, parameters, crop, resize, interpolation, side in table.WEIGHTS[name]:
        member = "IMAGENET1K_" + row.rstrip("*")
        options: dict[str, Any] = {"crop_size": crop, "resize_size": resize}
        options["interpolation"] = InterpolationMode(interpolation)
        if f"{name}.{member}" in table.NORMALIZATION:
            options["mean"], options["std"] = table.NORMALIZATION[f"{name}.{member}"]
        known = f"{name}.{member}" not in table.WITHOUT_CATEGORIES
        meta = {
            "num_params": parameters,
            "min_size": (side, side),
            "categories": imagenet_categories() if known else None,
        }
        made = Weights(table.BASE + file, functools.partial(ImageClassification, **options), meta)
        members.append((member, made))
        if row.endswith("*"):
            members.append(("DEFAULT", made))
    module = sys._getframe(1).f_globals["__name__"]
    make: Any = WeightsEnum
    found: Any = make(name, members, module=module)
    _WEIGHTS[name] = found
    return found


def set_fixed(options: dict[str, Any], name: str, value: Any) -> None:
    """Set an argument that published weights prescribe; ValueError where the user's is another."""
    if options.setdefault(name, value) != value:
        raise ValueError(
            f"The parameter '{name}' expected value {value} but got {options[name]} instead."
        )


def load_weights(model: Module, weights: WeightsEnum, progress: bool) -> None:
    model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))


def builder(
    name: str,
    make: Callable[..., Any],
    weights_class: Any,
    *arguments: Any,
    loading: dict[str, Any] | Callable[[Any], dict[str, Any]] | None = None,
    load: Callable[[Any, Any, bool], None] = load_weights,
    **fixed: Any,
) -> Any:
    """A function that makes the model called ``name``: ``make(*arguments, **fixed)``.

    It takes ``weights`` (a member of ``weights_class``, its name, or None), ``progress`` and
    further arguments of ``make``; ``loading`` are arguments that come with published weights, or
    a function of those.
    """

    def build(*positional: Any, progress: bool = True, **options: Any) -> Any:
        if positional:
            options["weights"], *rest = positional
            progress = rest[0] if rest else progress
        weights = weights_class.verify(_chosen(options, weights_class))
        options = fixed | options
        if weights is not None:
            if weights.meta["categories"] is not None:
                set_fixed(options, "num_classes", len(weights.meta["categories"]))
            more = loading(weights) if callable(loading) else loading
            for key, value in (more or {}).items():
                set_fixed(options, key, value)
        model = make(*arguments, **options)
        if weights is not None:
            load(model, weights, progress)
        return model

    build.__name__ = build.__qualname__ = name
    build.__module__ = sys._getframe(1).f_globals["__name__"]
    build.__doc__ = f"""The {name} model, a {getattr(make, "__name__", "module")}.

    ``weights`` is a member of {weights_class.__name__}, its name, or None; ``progress`` shows a bar
    while they are fetched; what else is given goes to the model's constructor.

    >>> vision.models.{name}(num_classes=10)(images).shape
    """
    build.weights_class = weights_class  # type: ignore[attr-defined]
    _BUILDERS[name] = build
    return build


def _chosen(options: dict[str, Any], weights_class: Any) -> Any:
    """The weights that the arguments ask for, also in the way of old (``pretrained=True``)."""
    chosen = options.pop("weights", None)
    if "pretrained" in options:
        warnings.warn(
            "The parameter 'pretrained' is deprecated since 0.13 and may be removed in the future, "
            "please use 'weights' instead.",
            stacklevel=3,
        )
        chosen = options.pop("pretrained")
    if isinstance(chosen, bool):
        chosen = weights_class(next(iter(weights_class)).value) if chosen else None
        warnings.warn(
            "Arguments other than a weight enum or `None` for 'weights' are deprecated since 0.13 "
            "and may be removed in the future. The current behavior is equivalent to passing "
            f"`weights={chosen}`.",
            stacklevel=3,
        )
    return chosen


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """The names of the models, of one module or of all; patterns say which of them.

    >>> vision.models.list_models(include="resnet*")
    ['resnet101', 'resnet152', 'resnet18', 'resnet34', 'resnet50']
    """

    def matching(patterns: Iterable[str] | str) -> set[str]:
        several = [patterns] if isinstance(patterns, str) else patterns
        return {name for pattern in several for name in fnmatch.filter(_BUILDERS, pattern)}

    names = {
        name
        for name, build in _BUILDERS.items()
        if module is None or build.__module__.rpartition(".")[0] == module.__name__
    }
    if include:
        names &= matching(include)
    if exclude:
        names -= matching(exclude)
    return sorted(names)


def get_model_builder(name: str) -> Callable[..., Any]:
    """The function that makes the model called ``name``; ValueError where there is none."""
    try:
        return _BUILDERS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name}") from None


def get_model(name: str, **config: Any) -> Any:
    """The model called ``name``, made with the arguments ``config``."""
    return get_model_builder(name)(**config)


def get_model_weights(name: Callable[..., Any] | str) -> Any:
    """The enumeration of a model's weights; the model by its name or its function."""
    build = get_model_builder(name) if isinstance(name, str) else name
    return build.weights_class  # type: ignore[attr-defined]


def get_weight(name: str) -> WeightsEnum:
    """Weights by their full name, ``ResNet50_Weights.IMAGENET1K_V2``; ValueError else."""
    kind, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    if kind not in _WEIGHTS:
        raise ValueError(f"The weight enum '{kind}' for the specific method couldn't be retrieved.")
    return _WEIGHTS[kind][member]
