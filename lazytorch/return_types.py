"""Results with named parts, as torch.return_types: max(values=…, indices=…)."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from lazytorch.utils._pytree import register_pytree_node


class StructSequence(tuple[Any, ...]):
    """A tuple whose elements have names."""

    __slots__ = ()
    fields: tuple[str, ...] = ()

    def __new__(cls, values: Any) -> StructSequence:
        return super().__new__(cls, tuple(values))

    def __repr__(self) -> str:
        parts = [f"{name}={value!r}" for name, value in zip(self.fields, self, strict=True)]
        return f"torch.return_types.{type(self).__name__}(\n" + ",\n".join(parts) + ")"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self),)


def _define(name: str, *fields: str) -> type[StructSequence]:
    parts = {f: property(itemgetter(i)) for i, f in enumerate(fields)}
    made = type(name, (StructSequence,), {"__slots__": (), "fields": fields, **parts})
    register_pytree_node(made, lambda x: (list(x), None), lambda values, _: made(values))
    return made


max = _define("max", "values", "indices")
min = _define("min", "values", "indices")
aminmax = _define("aminmax", "min", "max")
cummax = _define("cummax", "values", "indices")
cummin = _define("cummin", "values", "indices")
sort = _define("sort", "values", "indices")
topk = _define("topk", "values", "indices")
kthvalue = _define("kthvalue", "values", "indices")
median = _define("median", "values", "indices")
nanmedian = _define("nanmedian", "values", "indices")
mode = _define("mode", "values", "indices")

linalg_cholesky_ex = _define("linalg_cholesky_ex", "L", "info")
linalg_eig = _define("linalg_eig", "eigenvalues", "eigenvectors")
linalg_eigh = _define("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_inv_ex = _define("linalg_inv_ex", "inverse", "info")
linalg_ldl_factor = _define("linalg_ldl_factor", "LD", "pivots")
linalg_ldl_factor_ex = _define("linalg_ldl_factor_ex", "LD", "pivots", "info")
linalg_lstsq = _define("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
linalg_lu = _define("linalg_lu", "P", "L", "U")
linalg_lu_factor = _define("linalg_lu_factor", "LU", "pivots")
linalg_lu_factor_ex = _define("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_qr = _define("linalg_qr", "Q", "R")
linalg_slogdet = _define("linalg_slogdet", "sign", "logabsdet")
linalg_solve_ex = _define("linalg_solve_ex", "result", "info")
linalg_svd = _define("linalg_svd", "U", "S", "Vh")
_lu_with_info = _define("_lu_with_info", "LU", "pivots", "info")
geqrf = _define("geqrf", "a", "tau")
lu_unpack = _define("lu_unpack", "P", "L", "U")
qr = _define("qr", "Q", "R")
slogdet = _define("slogdet", "sign", "logabsdet")
svd = _define("svd", "U", "S", "V")
triangular_solve = _define("triangular_solve", "solution", "cloned_coefficient")
histogram = _define("histogram", "hist", "bin_edges")
histogramdd = _define("histogramdd", "hist", "bin_edges")
frexp = _define("frexp", "mantissa", "exponent")
