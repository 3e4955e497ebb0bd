"""Operations and blocks for pictures, under the names of ``torchvision.ops``."""

from lazytorch.vision.ops import boxes, misc
from lazytorch.vision.ops.boxes import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    masks_to_boxes,
    nms,
    remove_small_boxes,
)
from lazytorch.vision.ops.misc import (
    MLP,
    Conv2dNormActivation,
    FrozenBatchNorm2d,
    Permute,
    SqueezeExcitation,
    StochasticDepth,
    stochastic_depth,
)

__all__ = [
    "MLP", "Conv2dNormActivation", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth", "batched_nms", "box_area", "box_convert", "box_iou", "boxes",
    "clip_boxes_to_image", "complete_box_iou", "distance_box_iou", "generalized_box_iou",
    "masks_to_boxes", "misc", "nms", "remove_small_boxes", "stochastic_depth",
]  # fmt: skip
