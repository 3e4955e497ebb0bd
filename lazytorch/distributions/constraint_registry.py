"""Transforms from all real numbers to a region.

``biject_to(constraint)`` is bijective; ``transform_to(constraint)`` need not be, and suits
optimization by coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazytorch.distributions import constraints, transforms

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Which transform leads to the regions of a class.

    >>> from lazytorch.distributions import constraints, transform_to
    >>> transform_to(constraints.positive)(torch.zeros(2))
    tensor([1., 1.])
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Any]] = {}

    def register(self, constraint: Any, factory: Any = None) -> Any:
        """Enter a function from a region to a transform; without ``factory``, a decorator."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        if isinstance(constraint, constraints.Constraint):
            constraint = type(constraint)
        if not isinstance(constraint, type) or not issubclass(constraint, constraints.Constraint):
            raise TypeError(
                "Expected constraint to be either a Constraint subclass or instance, but got "
                f"{constraint}"
            )
        self._registry[constraint] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        """The transform to a region."""
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


biject_to = ConstraintRegistry()
transform_to = ConstraintRegistry()


def _above(c: Any) -> Any:
    shift = transforms.AffineTransform(c.lower_bound, 1)
    return transforms.ComposeTransform([transforms.ExpTransform(), shift])


def _below(c: Any) -> Any:
    shift = transforms.AffineTransform(c.upper_bound, -1)
    return transforms.ComposeTransform([transforms.ExpTransform(), shift])


def _between(c: Any) -> Any:
    low, high = c.lower_bound, c.upper_bound
    if isinstance(low, (int, float)) and low == 0 and isinstance(high, (int, float)) and high == 1:
        return transforms.SigmoidTransform()
    scale = transforms.AffineTransform(low, high - low)
    return transforms.ComposeTransform([transforms.SigmoidTransform(), scale])


# Regions, what leads to them, and whether it is bijective.
_KNOWN: list[tuple[list[Any], Callable[[Any], Any], bool]] = [
    ([constraints.real], lambda c: transforms.identity_transform, True),
    ([constraints.greater_than, constraints.greater_than_eq], _above, True),
    ([constraints.less_than], _below, True),
    ([constraints.interval, constraints.half_open_interval], _between, True),
    ([constraints.simplex], lambda c: transforms.SoftmaxTransform(), False),
    ([constraints.lower_cholesky], lambda c: transforms.LowerCholeskyTransform(), False),
    (
        [constraints.positive_definite, constraints.positive_semidefinite],
        lambda c: transforms.PositiveDefiniteTransform(),
        False,
    ),
    ([constraints.corr_cholesky], lambda c: transforms.CorrCholeskyTransform(), True),
]
for _regions, _factory, _is_bijective in _KNOWN:
    for _region in _regions:
        transform_to.register(_region, _factory)
        if _is_bijective:
            biject_to.register(_region, _factory)
biject_to.register(constraints.simplex, lambda c: transforms.StickBreakingTransform())


def _register_wrappers(registry: ConstraintRegistry) -> None:
    """Regions made of regions, through the transforms to these."""

    @registry.register(constraints.independent)  # type: ignore[untyped-decorator]
    def independent(c: Any) -> Any:
        inner = registry(c.base_constraint)
        return transforms.IndependentTransform(inner, c.reinterpreted_batch_ndims)

    @registry.register(constraints.cat)  # type: ignore[untyped-decorator]
    def cat(c: Any) -> Any:
        return transforms.CatTransform([registry(x) for x in c.cseq], c.dim, c.lengths)

    @registry.register(constraints.stack)  # type: ignore[untyped-decorator]
    def stack(c: Any) -> Any:
        return transforms.StackTransform([registry(x) for x in c.cseq], c.dim)


_register_wrappers(biject_to)
_register_wrappers(transform_to)
