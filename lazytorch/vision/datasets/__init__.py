"""Datasets of pictures, from the files that they are published as."""

from lazytorch.vision.datasets import utils
from lazytorch.vision.datasets.cifar import CIFAR10, CIFAR100
from lazytorch.vision.datasets.fakedata import FakeData
from lazytorch.vision.datasets.folder import DatasetFolder, ImageFolder
from lazytorch.vision.datasets.mnist import EMNIST, KMNIST, MNIST, FashionMNIST
from lazytorch.vision.datasets.vision import StandardTransform, VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "DatasetFolder", "FakeData",
    "FashionMNIST", "ImageFolder", "StandardTransform", "VisionDataset", "utils",
]  # fmt: skip
