"""A variational autoencoder with linear layers: the drawn code, and a loss of two terms; Adam."""

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    """Images (N, pixels) and noise (N, code) to images again, and the code's distribution."""

    def __init__(self, pixels=64, hidden=32, code=4):
        super().__init__()
        self.pixels = pixels
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, code)
        self.fc22 = nn.Linear(hidden, code)
        self.fc3 = nn.Linear(code, hidden)
        self.fc4 = nn.Linear(hidden, pixels)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, noise):
        std = torch.exp(0.5 * logvar)
        return mu + noise * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x, noise):
        mu, logvar = self.encode(x.view(-1, self.pixels))
        z = self.reparameterize(mu, logvar, noise)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, x[0].numel()), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def train(device="cpu", start=lambda *models: None):
    rng = np.random.default_rng(0)
    model = VAE().to(device)
    start(model)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    dtype = torch.get_default_dtype()
    model.train()
    for _ in range(20):
        data = torch.tensor(rng.random((16, 1, 8, 8)), dtype=dtype).to(device)
        noise = torch.tensor(rng.standard_normal((16, 4)), dtype=dtype).to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data, noise)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        optimizer.step()
        yield loss.item() / len(data)


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
