"""The base of all distributions: shapes, validation, and the generic part of every family."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.utils import broadcast_all, lazy_property
from lazytorch.distributions.validity import are_valid
from lazytorch.functions.creation import full
from lazytorch.functions.joining import stack
from lazytorch.functions.random import rand
from lazytorch.size import Size
from lazytorch.tensor import Tensor

__all__ = ["Distribution"]


def _all_lie_in(checked: list[tuple[Any, Any]]) -> bool:
    """Whether, of pairs of a region and a value, all values lie wholly in their regions: one
    computation, whatever their number."""
    answer = are_valid(checked)
    if answer is not None:
        return answer
    reduced = [region.check(value).all() for region, value in checked]
    return bool(reduced[0] if len(reduced) == 1 else stack(reduced).all())


class Distribution:
    """A batch of distributions over events.

    A sample's shape is sample_shape + batch_shape + event_shape. A family names its parameters in
    ``_parameters``; these broadcast together but for the dimensions that are an event's.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args: bool = __debug__
    _parameters: ClassVar[tuple[str, ...]] = ()
    _family: ClassVar[type]

    if TYPE_CHECKING:
        # Parameters, which ``_set`` and ``expand`` give an object.
        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_parameters" in cls.__dict__:
            cls._family = cls

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments where ``validate_args`` is not given."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_arguments()
        super().__init__()

    def _check_arguments(self) -> None:
        try:
            regions = self.arg_constraints
        except NotImplementedError:
            regions = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. "
                "Please set `arg_constraints = {}` or initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
        checked = []
        for name, region in regions.items():
            if constraints.is_dependent(region):
                continue
            if name not in self.__dict__ and isinstance(
                getattr(type(self), name, None), lazy_property
            ):
                continue
            checked.append((name, region, getattr(self, name)))
        if not checked or _all_lie_in([(region, value) for _, region, value in checked]):
            return
        for name, region, value in checked:
            if not _all_lie_in([(region, value)]):
                raise ValueError(
                    f"Expected parameter {name} "
                    f"({type(value).__name__} of shape {tuple(value.shape)}) "
                    f"of distribution {self!r} "
                    f"to satisfy the constraint {region!r}, "
                    f"but found invalid values:\n{value}"
                )

    def _set(self, validate_args: bool | None, /, **parameters: Any) -> None:
        """Take parameters of events of one number each, broadcast together."""
        values = broadcast_all(*parameters.values())
        for name, value in zip(parameters, values, strict=True):
            setattr(self, name, value)
        Distribution.__init__(self, values[0].shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its batch expanded to ``batch_shape``."""
        if not self._parameters:
            raise NotImplementedError
        new = self._get_checked_instance(self._family, _instance)
        batch_shape = Size(batch_shape)
        own = len(self._batch_shape)
        for name in self._parameters:
            value = self.__dict__.get(name)
            if value is not None:
                new.__dict__[name] = value.expand((*batch_shape, *value.shape[own:]))
        self._expand_rest(new, batch_shape)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expand_rest(self, new: Any, batch_shape: Size) -> None:
        """Give an expanded distribution what it has besides its parameters."""

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Any]:
        """The region of each parameter."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The region of samples."""
        raise NotImplementedError

    @property
    def mean(self) -> Any:
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Any:
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Any:
        """Samples, through which no gradient flows."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Samples that are differentiable functions of the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Any:
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.",
            FutureWarning,
            stacklevel=2,
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density or of the probability of each value."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of a sample up to each value."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The value up to which samples have each probability."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution along a new first dimension."""
        raise NotImplementedError

    def entropy(self) -> Any:
        raise NotImplementedError

    def perplexity(self) -> Any:
        """exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _uniform(self, sample_shape: Any, like: Any) -> Any:
        """Uniform numbers in [0, 1) of a sample's shape, in the type of a parameter."""
        shape = self._extended_shape(sample_shape)
        return rand(shape, dtype=like.dtype, device=like.device)

    def _enumerated(self, values: Any, expand: bool) -> Any:
        values = values.reshape((-1, *[1] * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values

    def _full(self, value: float, like: Any) -> Any:
        return full(self._extended_shape(), value, dtype=like.dtype, device=like.device)

    def _checked(self, value: Any) -> None:
        if self._validate_args:
            self._validate_sample(value)

    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape = value.size()
        start = len(shape) - len(self._event_shape)
        if shape[start:] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{shape} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{shape} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable "
                "sample validation. Please initialize the distribution with "
                "`validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if support is None:
            raise AssertionError("support is unexpectedly None")
        if not _all_lie_in([(support, value)]):
            raise ValueError(
                "Expected value argument "
                f"({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) "
                f"of the distribution {self!r}, "
                f"but found invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is not None:
            return _instance
        if type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom "
                "__init__ method must also define a custom .expand() method."
            )
        return self.__new__(type(self))

    def __repr__(self) -> str:
        own = {k: self.__dict__[k] for k in self.arg_constraints if k in self.__dict__}
        shown = [f"{k}: {v if v.numel() == 1 else v.size()}" for k, v in own.items()]
        return f"{self.__class__.__name__}({', '.join(shown)})"
