"""Weights that torchvision's authors have published for the classic networks: where they are, and what they expect.

Trained on ImageNet (1,000 classes), https://github.com/pytorch/vision/tree/main/torchvision/models. A file is a pickle,
so it is read with care (torch.load with weights_only), and its sha256 begins with the letters in its name. Nothing here
opens anything: this is a list.

The names of the weights are the names of gipi's parameters: a network with 1,000 classes, three channels and pictures
of that size takes all of them.
"""

from typing import Any

SOURCE = "https://download.pytorch.org/models/"

# What a picture, 0 to 1, is centered by and divided by: red, green, blue over all of ImageNet.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# googlenet came from another library, where pictures are brought to -1 .. 1.
HALF = (0.5, 0.5, 0.5)

Published = tuple[str, str, int, tuple[float, ...], tuple[float, ...]]

# name: (address, how its sha256 begins, height and width of the pictures, mean, std)
# Those named swag began with weights of https://github.com/facebookresearch/SWAG, which are CC BY-NC 4.0: no commerce.
published: dict[str, Published] = {
    "alexnet": (SOURCE + "alexnet-owt-7be5be79.pth", "7be5be79", 224, MEAN, STD),
    "googlenet": (SOURCE + "googlenet-1378be20.pth", "1378be20", 224, HALF, HALF),
    "resnet18": (SOURCE + "resnet18-f37072fd.pth", "f37072fd", 224, MEAN, STD),
    "resnet34": (SOURCE + "resnet34-b627a593.pth", "b627a593", 224, MEAN, STD),
    "resnet50": (SOURCE + "resnet50-11ad3fa6.pth", "11ad3fa6", 224, MEAN, STD),
    "resnet50_v1": (SOURCE + "resnet50-0676ba61.pth", "0676ba61", 224, MEAN, STD),
    "resnet101": (SOURCE + "resnet101-cd907fc2.pth", "cd907fc2", 224, MEAN, STD),
    "resnet101_v1": (SOURCE + "resnet101-63fe2227.pth", "63fe2227", 224, MEAN, STD),
    "resnet152": (SOURCE + "resnet152-f82ba261.pth", "f82ba261", 224, MEAN, STD),
    "resnet152_v1": (SOURCE + "resnet152-394f9c45.pth", "394f9c45", 224, MEAN, STD),
    "vit_b_16": (SOURCE + "vit_b_16-c867db91.pth", "c867db91", 224, MEAN, STD),
    "vit_b_16_swag": (SOURCE + "vit_b_16_swag-9ac1b537.pth", "9ac1b537", 384, MEAN, STD),
    "vit_b_16_lc_swag": (SOURCE + "vit_b_16_lc_swag-4e70ced5.pth", "4e70ced5", 224, MEAN, STD),
    "vit_b_32": (SOURCE + "vit_b_32-d86f8d99.pth", "d86f8d99", 224, MEAN, STD),
    "vit_l_16": (SOURCE + "vit_l_16-852ce7e3.pth", "852ce7e3", 224, MEAN, STD),
    "vit_l_16_swag": (SOURCE + "vit_l_16_swag-4f3808c9.pth", "4f3808c9", 512, MEAN, STD),
    "vit_l_16_lc_swag": (SOURCE + "vit_l_16_lc_swag-4d563306.pth", "4d563306", 224, MEAN, STD),
    "vit_l_32": (SOURCE + "vit_l_32-c7638314.pth", "c7638314", 224, MEAN, STD),
    "vit_h_14_swag": (SOURCE + "vit_h_14_swag-80465313.pth", "80465313", 518, MEAN, STD),
    "vit_h_14_lc_swag": (SOURCE + "vit_h_14_lc_swag-c1eb923e.pth", "c1eb923e", 224, MEAN, STD),
}

# how a name begins: (the system, its options that make the network of these weights)
networks: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet": ("alexnet", {"stem": "imagenet"}),
    "googlenet": ("googlenet", {"stem": "imagenet"}),
    "resnet18": ("resnet", {"layers": 18, "stem": "imagenet"}),
    "resnet34": ("resnet", {"layers": 34, "stem": "imagenet"}),
    "resnet50": ("resnet", {"layers": 50, "stem": "imagenet"}),
    "resnet101": ("resnet", {"layers": 101, "stem": "imagenet"}),
    "resnet152": ("resnet", {"layers": 152, "stem": "imagenet"}),
    "vit_b_16": ("vit", {"size": "base", "patch": 16}),
    "vit_b_32": ("vit", {"size": "base", "patch": 32}),
    "vit_l_16": ("vit", {"size": "large", "patch": 16}),
    "vit_l_32": ("vit", {"size": "large", "patch": 32}),
    "vit_h_14": ("vit", {"size": "huge", "patch": 14}),
}


def network_of(name: str) -> tuple[str, dict[str, Any]]:
    """The system of published weights, and its options.

    Example:
        >>> network_of("resnet50_v1")
        ('resnet', {'layers': 50, 'stem': 'imagenet'})
    """
    return next(network for start, network in networks.items() if name == start or name.startswith(f"{start}_"))
