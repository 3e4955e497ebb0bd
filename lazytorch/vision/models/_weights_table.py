"""The published weights of each model: where they are, and how images are prepared for them.

A row is: name after ``IMAGENET1K_`` (a star marks the default), the file under ``BASE``, the count
of parameters, the sides of crop and resized image, interpolation, the least side of an image.
"""

from __future__ import annotations

BASE = "https://download.pytorch.org/models/"

# fmt: off
WEIGHTS: dict[str, tuple[tuple[str, str, int, int, int, str, int], ...]] = {
    "AlexNet_Weights": (
        ("V1*", "alexnet-owt-7be5be79.pth", 61100840, 224, 256, "bilinear", 63),
    ),
    "ConvNeXt_Base_Weights": (
        ("V1*", "convnext_base-6075fbad.pth", 88591464, 224, 232, "bilinear", 32),
    ),
    "ConvNeXt_Large_Weights": (
        ("V1*", "convnext_large-ea097f82.pth", 197767336, 224, 232, "bilinear", 32),
    ),
    "ConvNeXt_Small_Weights": (
        ("V1*", "convnext_small-0c510722.pth", 50223688, 224, 230, "bilinear", 32),
    ),
    "ConvNeXt_Tiny_Weights": (
        ("V1*", "convnext_tiny-983f1562.pth", 28589128, 224, 236, "bilinear", 32),
    ),
    "DenseNet121_Weights": (
        ("V1*", "densenet121-a639ec97.pth", 7978856, 224, 256, "bilinear", 29),
    ),
    "DenseNet161_Weights": (
        ("V1*", "densenet161-8d451a50.pth", 28681000, 224, 256, "bilinear", 29),
    ),
    "DenseNet169_Weights": (
        ("V1*", "densenet169-b2777c0a.pth", 14149480, 224, 256, "bilinear", 29),
    ),
    "DenseNet201_Weights": (
        ("V1*", "densenet201-c1103571.pth", 20013928, 224, 256, "bilinear", 29),
    ),
    "EfficientNet_B0_Weights": (
        ("V1*", "efficientnet_b0_rwightman-7f5810bc.pth", 5288548, 224, 256, "bicubic", 1),
    ),
    "EfficientNet_B1_Weights": (
        ("V1", "efficientnet_b1_rwightman-bac287d4.pth", 7794184, 240, 256, "bicubic", 1),
        ("V2*", "efficientnet_b1-c27df63c.pth", 7794184, 240, 255, "bilinear", 1),
    ),
    "EfficientNet_B2_Weights": (
        ("V1*", "efficientnet_b2_rwightman-c35c1473.pth", 9109994, 288, 288, "bicubic", 1),
    ),
    "EfficientNet_B3_Weights": (
        ("V1*", "efficientnet_b3_rwightman-b3899882.pth", 12233232, 300, 320, "bicubic", 1),
    ),
    "EfficientNet_B4_Weights": (
        ("V1*", "efficientnet_b4_rwightman-23ab8bcd.pth", 19341616, 380, 384, "bicubic", 1),
    ),
    "EfficientNet_B5_Weights": (
        ("V1*", "efficientnet_b5_lukemelas-1a07897c.pth", 30389784, 456, 456, "bicubic", 1),
    ),
    "EfficientNet_B6_Weights": (
        ("V1*", "efficientnet_b6_lukemelas-24a108a5.pth", 43040704, 528, 528, "bicubic", 1),
    ),
    "EfficientNet_B7_Weights": (
        ("V1*", "efficientnet_b7_lukemelas-c5b4e57e.pth", 66347960, 600, 600, "bicubic", 1),
    ),
    "EfficientNet_V2_L_Weights": (
        ("V1*", "efficientnet_v2_l-59c71312.pth", 118515272, 480, 480, "bicubic", 33),
    ),
    "EfficientNet_V2_M_Weights": (
        ("V1*", "efficientnet_v2_m-dc08266a.pth", 54139356, 480, 480, "bilinear", 33),
    ),
    "EfficientNet_V2_S_Weights": (
        ("V1*", "efficientnet_v2_s-dd5fe13b.pth", 21458488, 384, 384, "bilinear", 33),
    ),
    "GoogLeNet_Weights": (
        ("V1*", "googlenet-1378be20.pth", 6624904, 224, 256, "bilinear", 15),
    ),
    "MNASNet0_5_Weights": (
        ("V1*", "mnasnet0.5_top1_67.823-3ffadce67e.pth", 2218512, 224, 256, "bilinear", 1),
    ),
    "MNASNet0_75_Weights": (
        ("V1*", "mnasnet0_75-7090bc5f.pth", 3170208, 224, 232, "bilinear", 1),
    ),
    "MNASNet1_0_Weights": (
        ("V1*", "mnasnet1.0_top1_73.512-f206786ef8.pth", 4383312, 224, 256, "bilinear", 1),
    ),
    "MNASNet1_3_Weights": (
        ("V1*", "mnasnet1_3-a4c69d6f.pth", 6282256, 224, 232, "bilinear", 1),
    ),
    "MobileNet_V2_Weights": (
        ("V1", "mobilenet_v2-b0353104.pth", 3504872, 224, 256, "bilinear", 1),
        ("V2*", "mobilenet_v2-7ebf99e0.pth", 3504872, 224, 232, "bilinear", 1),
    ),
    "MobileNet_V3_Large_Weights": (
        ("V1", "mobilenet_v3_large-8738ca79.pth", 5483032, 224, 256, "bilinear", 1),
        ("V2*", "mobilenet_v3_large-5c1a4163.pth", 5483032, 224, 232, "bilinear", 1),
    ),
    "MobileNet_V3_Small_Weights": (
        ("V1*", "mobilenet_v3_small-047dcff4.pth", 2542856, 224, 256, "bilinear", 1),
    ),
    "ResNet101_Weights": (
        ("V1", "resnet101-63fe2227.pth", 44549160, 224, 256, "bilinear", 1),
        ("V2*", "resnet101-cd907fc2.pth", 44549160, 224, 232, "bilinear", 1),
    ),
    "ResNet152_Weights": (
        ("V1", "resnet152-394f9c45.pth", 60192808, 224, 256, "bilinear", 1),
        ("V2*", "resnet152-f82ba261.pth", 60192808, 224, 232, "bilinear", 1),
    ),
    "ResNet18_Weights": (
        ("V1*", "resnet18-f37072fd.pth", 11689512, 224, 256, "bilinear", 1),
    ),
    "ResNet34_Weights": (
        ("V1*", "resnet34-b627a593.pth", 21797672, 224, 256, "bilinear", 1),
    ),
    "ResNet50_Weights": (
        ("V1", "resnet50-0676ba61.pth", 25557032, 224, 256, "bilinear", 1),
        ("V2*", "resnet50-11ad3fa6.pth", 25557032, 224, 232, "bilinear", 1),
    ),
    "ResNeXt101_32X8D_Weights": (
        ("V1", "resnext101_32x8d-8ba56ff5.pth", 88791336, 224, 256, "bilinear", 1),
        ("V2*", "resnext101_32x8d-110c445d.pth", 88791336, 224, 232, "bilinear", 1),
    ),
    "ResNeXt101_64X4D_Weights": (
        ("V1*", "resnext101_64x4d-173b62eb.pth", 83455272, 224, 232, "bilinear", 1),
    ),
    "ResNeXt50_32X4D_Weights": (
        ("V1", "resnext50_32x4d-7cdf4587.pth", 25028904, 224, 256, "bilinear", 1),
        ("V2*", "resnext50_32x4d-1a0047aa.pth", 25028904, 224, 232, "bilinear", 1),
    ),
    "ShuffleNet_V2_X0_5_Weights": (
        ("V1*", "shufflenetv2_x0.5-f707e7126e.pth", 1366792, 224, 256, "bilinear", 1),
    ),
    "ShuffleNet_V2_X1_0_Weights": (
        ("V1*", "shufflenetv2_x1-5666bf0f80.pth", 2278604, 224, 256, "bilinear", 1),
    ),
    "ShuffleNet_V2_X1_5_Weights": (
        ("V1*", "shufflenetv2_x1_5-3c479a10.pth", 3503624, 224, 232, "bilinear", 1),
    ),
    "ShuffleNet_V2_X2_0_Weights": (
        ("V1*", "shufflenetv2_x2_0-8be3c8ee.pth", 7393996, 224, 232, "bilinear", 1),
    ),
    "SqueezeNet1_0_Weights": (
        ("V1*", "squeezenet1_0-b66bff10.pth", 1248424, 224, 256, "bilinear", 21),
    ),
    "SqueezeNet1_1_Weights": (
        ("V1*", "squeezenet1_1-b8a52dc0.pth", 1235496, 224, 256, "bilinear", 17),
    ),
    "VGG11_Weights": (
        ("V1*", "vgg11-8a719046.pth", 132863336, 224, 256, "bilinear", 32),
    ),
    "VGG11_BN_Weights": (
        ("V1*", "vgg11_bn-6002323d.pth", 132868840, 224, 256, "bilinear", 32),
    ),
    "VGG13_Weights": (
        ("V1*", "vgg13-19584684.pth", 133047848, 224, 256, "bilinear", 32),
    ),
    "VGG13_BN_Weights": (
        ("V1*", "vgg13_bn-abd245e5.pth", 133053736, 224, 256, "bilinear", 32),
    ),
    "VGG16_Weights": (
        ("V1*", "vgg16-397923af.pth", 138357544, 224, 256, "bilinear", 32),
        ("FEATURES", "vgg16_features-amdegroot-88682ab5.pth", 138357544, 224, 256, "bilinear", 32),
    ),
    "VGG16_BN_Weights": (
        ("V1*", "vgg16_bn-6c64b313.pth", 138365992, 224, 256, "bilinear", 32),
    ),
    "VGG19_Weights": (
        ("V1*", "vgg19-dcbb9e9d.pth", 143667240, 224, 256, "bilinear", 32),
    ),
    "VGG19_BN_Weights": (
        ("V1*", "vgg19_bn-c79401a0.pth", 143678248, 224, 256, "bilinear", 32),
    ),
    "ViT_B_16_Weights": (
        ("V1*", "vit_b_16-c867db91.pth", 86567656, 224, 256, "bilinear", 224),
        ("SWAG_E2E_V1", "vit_b_16_swag-9ac1b537.pth", 86859496, 384, 384, "bicubic", 384),
        ("SWAG_LINEAR_V1", "vit_b_16_lc_swag-4e70ced5.pth", 86567656, 224, 224, "bicubic", 224),
    ),
    "ViT_B_32_Weights": (
        ("V1*", "vit_b_32-d86f8d99.pth", 88224232, 224, 256, "bilinear", 224),
    ),
    "ViT_H_14_Weights": (
        ("SWAG_E2E_V1*", "vit_h_14_swag-80465313.pth", 633470440, 518, 518, "bicubic", 518),
        ("SWAG_LINEAR_V1", "vit_h_14_lc_swag-c1eb923e.pth", 632045800, 224, 224, "bicubic", 224),
    ),
    "ViT_L_16_Weights": (
        ("V1*", "vit_l_16-852ce7e3.pth", 304326632, 224, 242, "bilinear", 224),
        ("SWAG_E2E_V1", "vit_l_16_swag-4f3808c9.pth", 305174504, 512, 512, "bicubic", 512),
        ("SWAG_LINEAR_V1", "vit_l_16_lc_swag-4d563306.pth", 304326632, 224, 224, "bicubic", 224),
    ),
    "ViT_L_32_Weights": (
        ("V1*", "vit_l_32-c7638314.pth", 306535400, 224, 256, "bilinear", 224),
    ),
    "Wide_ResNet101_2_Weights": (
        ("V1", "wide_resnet101_2-32ee1156.pth", 126886696, 224, 256, "bilinear", 1),
        ("V2*", "wide_resnet101_2-d733dc28.pth", 126886696, 224, 232, "bilinear", 1),
    ),
    "Wide_ResNet50_2_Weights": (
        ("V1", "wide_resnet50_2-95faca4d.pth", 68883240, 224, 256, "bilinear", 1),
        ("V2*", "wide_resnet50_2-9ba9bcbe.pth", 68883240, 224, 232, "bilinear", 1),
    ),
}
# fmt: on

# Means and deviations of the channels where they are not ImageNet's.
NORMALIZATION = {
    "EfficientNet_V2_L_Weights.IMAGENET1K_V1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "VGG16_Weights.IMAGENET1K_FEATURES": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}
# Weights that have no classifier: its part of the file holds NaN.
WITHOUT_CATEGORIES = ("VGG16_Weights.IMAGENET1K_FEATURES",)
