"""torch.linalg: factors of matrices, systems of equations, spectra, norms.

Factorizations are LAPACK's on every device; what is made of them is compiled like all else. What
PyTorch raises because of a matrix's values (LinAlgError) is raised at the call here too, so such a
call computes its matrices at once. The functions called ``…_ex`` say in ``info`` what went wrong
instead, and stay lazy.
"""

from __future__ import annotations

from lazytorch.functions.factoring import (
    cholesky,
    cholesky_ex,
    householder_product,
    ldl_factor,
    ldl_factor_ex,
    lu,
    lu_factor,
    lu_factor_ex,
    qr,
)
from lazytorch.functions.matrices import LinAlgError
from lazytorch.functions.matrix_functions import (
    cond,
    det,
    matrix_exp,
    matrix_norm,
    matrix_power,
    norm,
    slogdet,
    vander,
)
from lazytorch.functions.matrix_products import (
    cross,
    diagonal,
    matmul,
    multi_dot,
    vecdot,
    vector_norm,
)
from lazytorch.functions.solving import (
    inv,
    inv_ex,
    ldl_solve,
    lstsq,
    lu_solve,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from lazytorch.functions.spectra import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    matrix_rank,
    pinv,
    svd,
    svdvals,
)

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh",
    "eigvals", "eigvalsh", "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex",
    "ldl_solve", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
    "vander", "vecdot", "vector_norm",
]  # fmt: skip
