"""torch.special: the special functions, most of them torch's own under other names."""

from __future__ import annotations

from lazytorch.functions.pointwise import ELEMENTARY, logit, mvlgamma, round, sinc, xlogy
from lazytorch.functions.reductions import logsumexp
from lazytorch.functions.softmax import log_softmax, softmax
from lazytorch.functions.special_functions import (
    CONSTANT,
    POLYNOMIALS,
    entr,
    erfcx,
    i0,
    i0e,
    i1,
    i1e,
    igamma,
    igammac,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    xlog1py,
    zeta,
)

digamma = psi = ELEMENTARY["digamma"]
erf, erfc, erfinv = ELEMENTARY["erf"], ELEMENTARY["erfc"], ELEMENTARY["erfinv"]
exp2, expm1, log1p = ELEMENTARY["exp2"], ELEMENTARY["expm1"], ELEMENTARY["log1p"]
expit, gammaln = ELEMENTARY["sigmoid"], ELEMENTARY["lgamma"]
multigammaln, gammainc, gammaincc = mvlgamma, igamma, igammac
airy_ai, spherical_bessel_j0 = CONSTANT["airy_ai"], CONSTANT["spherical_bessel_j0"]
bessel_j0, bessel_j1 = CONSTANT["bessel_j0"], CONSTANT["bessel_j1"]
bessel_y0, bessel_y1 = CONSTANT["bessel_y0"], CONSTANT["bessel_y1"]
modified_bessel_i0 = CONSTANT["modified_bessel_i0"]
modified_bessel_i1 = CONSTANT["modified_bessel_i1"]
modified_bessel_k0 = CONSTANT["modified_bessel_k0"]
modified_bessel_k1 = CONSTANT["modified_bessel_k1"]
scaled_modified_bessel_k0 = CONSTANT["scaled_modified_bessel_k0"]
scaled_modified_bessel_k1 = CONSTANT["scaled_modified_bessel_k1"]
chebyshev_polynomial_t = POLYNOMIALS["chebyshev_polynomial_t"]
chebyshev_polynomial_u = POLYNOMIALS["chebyshev_polynomial_u"]
chebyshev_polynomial_v = POLYNOMIALS["chebyshev_polynomial_v"]
chebyshev_polynomial_w = POLYNOMIALS["chebyshev_polynomial_w"]
hermite_polynomial_h = POLYNOMIALS["hermite_polynomial_h"]
hermite_polynomial_he = POLYNOMIALS["hermite_polynomial_he"]
laguerre_polynomial_l = POLYNOMIALS["laguerre_polynomial_l"]
legendre_polynomial_p = POLYNOMIALS["legendre_polynomial_p"]
shifted_chebyshev_polynomial_t = POLYNOMIALS["shifted_chebyshev_polynomial_t"]
shifted_chebyshev_polynomial_u = POLYNOMIALS["shifted_chebyshev_polynomial_u"]
shifted_chebyshev_polynomial_v = POLYNOMIALS["shifted_chebyshev_polynomial_v"]
shifted_chebyshev_polynomial_w = POLYNOMIALS["shifted_chebyshev_polynomial_w"]

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t",
    "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma",
    "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc",
    "gammaln", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0",
    "modified_bessel_k1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w", "sinc", "softmax", "spherical_bessel_j0", "xlog1py",
    "xlogy", "zeta",
]  # fmt: skip
