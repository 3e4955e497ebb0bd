"""Results with named parts, as torch.return_types: max(values=…, indices=…)."""

from __future__ import annotations

from operator import itemgetter
from typing import Any


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
    return type(name, (StructSequence,), {"__slots__": (), "fields": fields, **parts})


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
histogram = _define("histogram", "hist", "bin_edges")
histogramdd = _define("histogramdd", "hist", "bin_edges")
frexp = _define("frexp", "mantissa", "exponent")
