"""Boxes (..., 4) of pictures: how they overlap, and which of them to keep.

``xyxy`` is two corners, ``xywh`` a corner and the sides, ``cxcywh`` the middle and the sides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.functions.joining import stack
from lazytorch.functions.registration import PUBLIC
from lazytorch.tensor import Tensor
from lazytorch.vision.transforms._tensors import tensor_of

_maximum, _minimum, _where = PUBLIC["maximum"], PUBLIC["minimum"], PUBLIC["where"]
_FORMATS = ("xyxy", "xywh", "cxcywh")


def _corners(boxes: Tensor, form: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b, c, d = boxes.unbind(-1)
    if form == "xywh":
        return a, b, a + c, b + d
    if form == "cxcywh":
        return a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d
    return a, b, c, d


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """The same boxes in another format; ValueError for an unknown one."""
    if in_fmt not in _FORMATS or out_fmt not in _FORMATS:
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}"
        )
    if in_fmt == out_fmt:
        return boxes.clone()
    left, top, right, bottom = _corners(boxes, in_fmt)
    if out_fmt == "xyxy":
        parts = (left, top, right, bottom)
    elif out_fmt == "xywh":
        parts = (left, top, right - left, bottom - top)
    else:
        parts = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    return stack(parts, -1)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """(..., 4) to (...)."""
    if fmt not in _FORMATS:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    if fmt != "xyxy":
        return boxes[..., 2] * boxes[..., 3]
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _overlap(boxes1: Tensor, boxes2: Tensor, fmt: str) -> tuple[Tensor, Tensor]:
    """Of each pair (N, M): the area that they share, and that of both."""
    if fmt not in _FORMATS:
        raise ValueError(f"Unsupported Box IoU Calculation for given fmt {fmt}.")
    first, second = [box_convert(boxes, fmt, "xyxy") for boxes in (boxes1, boxes2)]
    low = _maximum(first[..., :, None, :2], second[..., None, :, :2])
    high = _minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    sides = (high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    both = box_area(boxes1, fmt)[..., :, None] + box_area(boxes2, fmt)[..., None, :] - shared
    return shared, both


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """(N, 4) and (M, 4) to (N, M): the shared area over that of both."""
    shared, both = _overlap(boxes1, boxes2, fmt)
    return shared / both


def _hull(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The sides (N, M, 2) of the smallest box around both."""
    low = _minimum(boxes1[:, None, :2], boxes2[None, :, :2])
    high = _maximum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    return (high - low).clamp(min=0)


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """``box_iou`` minus the part of the box around both that is neither's (Rezatofighi 2019)."""
    shared, both = _overlap(boxes1, boxes2, "xyxy")
    sides = _hull(boxes1, boxes2)
    around = sides[..., 0] * sides[..., 1]
    return shared / both - (around - both) / around


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """``box_iou`` minus the middles' squared distance over the diagonal's (Zheng 2019)."""
    sides = _hull(boxes1, boxes2)
    diagonal = sides[..., 0] ** 2 + sides[..., 1] ** 2 + eps
    middles = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (boxes1, boxes2)]
    apart = ((middles[0][:, None] - middles[1][None]) ** 2).sum(-1)
    return box_iou(boxes1, boxes2) - apart / diagonal


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """``distance_box_iou`` that also compares the shapes (Zheng 2020)."""
    shapes = [
        ((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1])).atan()
        for boxes in (boxes1, boxes2)
    ]
    difference = (4 / math.pi**2) * (shapes[0][:, None] - shapes[1][None]) ** 2
    with no_grad():
        weight = difference / (1 - box_iou(boxes1, boxes2) + difference + eps)
    return distance_box_iou(boxes1, boxes2, eps) - weight * difference


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes' parts inside a picture of ``size`` (height, width)."""
    height, width = size
    across, down = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return stack((across, down), boxes.dim()).reshape(boxes.shape)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The places of the boxes with both sides at least ``min_size``."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return _where((sides >= min_size).all(-1))[0]


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The places of the boxes (N, 4) to keep, best score first: none overlaps a better one by more
    than ``iou_threshold``. Runs on the host."""
    _check(boxes, scores)
    kept = _suppressed(_host(boxes), _host(scores), iou_threshold)
    return tensor_of(kept, boxes.device)


def _check(boxes: Tensor, scores: Tensor) -> None:
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"boxes should be (N, 4), got {tuple(boxes.shape)}")
    if scores.dim() != 1 or scores.shape[0] != boxes.shape[0]:
        raise RuntimeError(
            f"boxes and scores should have same number of elements in dimension 0, got "
            f"{boxes.shape[0]} and {tuple(scores.shape)}"
        )


def _host(tensor: Tensor) -> Any:
    return tensor.detach().float()._array()


def _suppressed(boxes: Any, scores: Any, threshold: float) -> Any:
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = order[~(shared > threshold * (areas[best] + areas[order] - shared))]
    return np.array(kept, np.int64)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """``nms`` for each class of ``idxs`` alone."""
    _check(boxes, scores)
    array, points, classes = _host(boxes), _host(scores), idxs.detach()._array()
    kept = [np.empty(0, np.int64)]
    for which in np.unique(classes):
        places = np.flatnonzero(classes == which)
        kept.append(places[_suppressed(array[places], points[places], iou_threshold)])
    found = np.concatenate(kept)
    return tensor_of(found[np.argsort(-points[found], kind="stable")], boxes.device)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """(N, H, W) to the boxes (N, 4) around what is not zero."""
    array = masks.detach()._array() != 0
    found = np.zeros((len(array), 4), np.float32)
    for box, mask in zip(found, array, strict=True):
        rows, columns = np.nonzero(mask)
        if rows.size:
            box[:] = columns.min(), rows.min(), columns.max(), rows.max()
    return tensor_of(found, masks.device)
