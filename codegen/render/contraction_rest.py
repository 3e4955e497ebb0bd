"""The columns of a product past its last whole vector, as dot products along K.

As a vector of their own they would cost as much as sixteen columns. They are laid out along K, as
rows of A lie, once for a task; a few rows at a time are multiplied by all of them.
"""

from __future__ import annotations

from codegen.index.contraction import Contraction, a_spans, b_spans
from codegen.render.contraction_form import Form, Text, lane_sum, static_function


def _height(form: Form) -> int:
    """Rows at a time. Two in three registers are sums; one is a row of A, others the columns."""
    return max(1, min(form.m, form.schedule.accumulators * 2 // 3 // form.schedule.rest))


def reserve_for_rest(form: Form) -> None:
    """Room for the columns, and for the sums of some rows."""
    count = form.schedule.rest
    form.reserve(form.element, "rest_", count * form.k, form.itemsize)
    form.reserve(form.element, "sums_", count * _height(form), form.itemsize)


def write_rest(form: Form, whole: Contraction, when: str) -> None:
    """For the task's rows, the columns that ``whole`` has after those of the form's contraction."""
    text, k, begin, end = form.text, form.k, form.n, whole.sizes[2]
    count, element = end - begin, form.element
    (column,), (inner,) = b_spans(whole.columns), b_spans(whole.inner)
    a_row = a_spans(whole.rows)[0].stride
    height = _height(form)
    text.add(
        f"if ({when}) {{",
        f"for (long k_ = 0; k_ < {k}; k_++) {{",
        f"for (long j_ = 0; j_ < {count}; j_++) {{",
        f"rest_[j_ * {k} + k_] = b_[k_ * {inner.stride} + ({begin} + j_) * {column.stride}];",
        "}",
        "}",
        "for (long i_ = m_begin_, rows_; i_ < m_end_; i_ += rows_) {",
        f"rows_ = m_end_ - i_ < {height} ? 1 : {height};",
    )
    for rows, head in ((height, f"if (rows_ == {height}) {{"), (1, "} else {")):
        name = _function(form, rows, count, a_row)
        text.add(head, f"{name}(a_ + i_ * {a_row}, rest_, sums_);")
    text.add(
        "}",
        "for (long m_ = i_; m_ < i_ + rows_; m_++) {",
        f"const {element} *row_ = sums_ + (m_ - i_) * {count} - {begin};",
    )
    form.consume(str(begin), str(end), "row_[n_]")
    text.add("}", "}", "}")


def _function(form: Form, rows: int, columns: int, a_row: int) -> str:
    """A function for so many rows of A and columns that are K apart: a row of results each."""
    element, lanes, k = form.element, form.schedule.lanes, form.k
    vector = form.helpers.vector(form.contraction.dtype, lanes)
    text, pairs = Text(), [(i, j) for i in range(rows) for j in range(columns)]
    text.add(*[f"{vector} s{i}_{j} = {{0}};" for i, j in pairs], "long k = 0;")
    text.add(f"for (; k + {lanes} <= {k}; k += {lanes}) {{")
    for j in range(columns):
        text.add(f"const {vector} y{j} = *(const {vector}u *)(b + {j * k} + k);")
    for i in range(rows):
        text.add(f"const {vector} x{i} = *(const {vector}u *)(a + {i * a_row} + k);")
        text.add(" ".join([f"s{i}_{j} += x{i} * y{j};" for j in range(columns)]))
    text.add("}")
    for i, j in pairs:
        text.add(*lane_sum(form.helpers, form.contraction.dtype, lanes, f"s{i}_{j}"))
    if k % lanes:
        text.add(f"for (; k < {k}; k++) {{")
        text.add(*[f"s{i}_{j}_sum += a[{i * a_row} + k] * b[{j * k} + k];" for i, j in pairs], "}")
    text.add(*[f"c[{i * columns + j}] = s{i}_{j}_sum;" for i, j in pairs])
    signature = (
        f"@(const {element} *restrict a, const {element} *restrict b, {element} *restrict c)"
    )
    return form.helpers.add(f"rest{rows}x{columns}", static_function(signature, text))
