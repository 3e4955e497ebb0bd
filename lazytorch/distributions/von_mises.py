"""The von Mises distribution."""

from __future__ import annotations

import math
from typing import Any

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.distributions import constraints
from lazytorch.distributions.distribution import Distribution
from lazytorch.distributions.utils import lazy_property
from lazytorch.functions.masks import where
from lazytorch.functions.random import rand
from lazytorch.special import i0e, i1e

__all__ = ["VonMises"]

# Each proposal is accepted with a probability above 0.65: all are refused with one below 1e-13.
_PROPOSALS = 30


class VonMises(Distribution):
    """Angles around ``loc``, in radians; the greater ``concentration``, the nearer.

    Draws are by Best and Fisher's rejection method (1979).

    >>> m = torch.distributions.VonMises(torch.tensor([0.0]), torch.tensor([4.0]))
    >>> m.log_prob(torch.tensor([0.0]))
    tensor([-0.2628])
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False
    _parameters = ("loc", "concentration")

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self._set(validate_args, loc=loc, concentration=concentration)

    def log_prob(self, value: Any) -> Any:
        self._checked(value)
        k = self.concentration
        log_bessel = k + i0e(k).log()
        return k * (value - self.loc).cos() - math.log(2 * math.pi) - log_bessel

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            shape = self._extended_shape(sample_shape)
            k = self.concentration.double()
            tau = 1 + (1 + 4 * k.square()).sqrt()
            rho = (tau - (2 * tau).sqrt()) / (2 * k)
            r = where(k < 1e-5, 1 / k + k, (1 + rho.square()) / (2 * rho)).unsqueeze(-1)
            u = rand((3, *shape, _PROPOSALS), dtype=k.dtype, device=k.device)
            z = (math.pi * u[0]).cos()
            cosine = (1 + r * z) / (r + z)
            c = k.unsqueeze(-1) * (r - cosine)
            accepted = (c * (2 - c) > u[1]) | ((c / u[1]).log() + 1 - c >= 0)
            first = accepted.to(k.dtype).argmax(-1, keepdim=True)
            angle = ((u[2] - 0.5).sign() * cosine.clamp(-1, 1).acos()).gather(-1, first)
            turned = angle.squeeze(-1) + math.pi + self.loc.double()
            return (turned % (2 * math.pi) - math.pi).to(self.loc.dtype)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @lazy_property
    def variance(self) -> Any:
        return 1 - i1e(self.concentration) / i0e(self.concentration)
