"""LeNet-5: convolutions, pools and linear layers on images of 28 by 28, SGD with momentum."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim


class LeNet(nn.Module):
    """Images (N, 1, 28, 28) to scores (N, 10)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), (2, 2))
        x = x.view(-1, 16 * 5 * 5)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def train(device="cpu", start=lambda *models: None):
    rng = np.random.default_rng(0)
    images = torch.tensor(rng.random((4, 8, 1, 28, 28)), dtype=torch.get_default_dtype())
    labels = torch.tensor(rng.integers(0, 10, (4, 8)))
    net = LeNet().to(device)
    start(net)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for step in range(20):
        optimizer.zero_grad()
        loss = criterion(net(images[step % 4].to(device)), labels[step % 4].to(device))
        loss.backward()
        optimizer.step()
        yield loss.item()


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
