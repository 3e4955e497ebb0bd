"""Tensors by where they are and what they hold, as optimizers outside this package sort them."""

from __future__ import annotations

from typing import Any


def _group_tensors_by_device_and_dtype(
    tensorlistlist: list[list[Any]], with_indices: bool = False
) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
    """Lists of tensors that belong together place by place, by the first list's device and dtype;
    with the places, if asked for."""
    groups: dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]] = {}
    for i, first in enumerate(tensorlistlist[0]):
        key = first.device, first.dtype
        lists, places = groups.setdefault(key, ([[] for _ in tensorlistlist], []))
        for group, given in zip(lists, tensorlistlist, strict=True):
            if given:
                group.append(given[i])
        if with_indices:
            places.append(i)
    return groups


def _get_foreach_kernels_supported_devices() -> list[str]:
    """Where lists of tensors are joined: everywhere."""
    return ["cpu", "cuda", "opencl", "interpreter"]


_get_fused_kernels_supported_devices = _get_foreach_kernels_supported_devices
