"""A transformer encoder that classifies sequences of different lengths; Adam with a warm-up."""

import math

import numpy as np
import torch
from torch import Tensor, nn


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, max_len: int = 50):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[:, : x.size(1)]


class TransformerModel(nn.Module):
    """Words (N, T) to scores (N, classes); words 0 are padding."""

    def __init__(self, ntoken: int, d_model: int, nhead: int, d_hid: int, nlayers: int):
        super().__init__()
        self.embedding = nn.Embedding(ntoken, d_model, padding_idx=0)
        self.d_model = d_model
        self.pos_encoder = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, d_hid, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, nlayers, enable_nested_tensor=False)
        self.linear = nn.Linear(d_model, 3)

    def forward(self, src: Tensor) -> Tensor:
        padding = src == 0
        x = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
        x = self.encoder(x, src_key_padding_mask=padding)
        x = x.masked_fill(padding.unsqueeze(-1), 0).sum(1)
        return self.linear(x / (~padding).sum(1, keepdim=True))


def train(device="cpu", start=lambda *models: None):
    rng = np.random.default_rng(0)
    words = rng.integers(1, 20, (4, 6, 9))
    words[np.arange(9) >= rng.integers(3, 10, (4, 6, 1))] = 0
    data = torch.from_numpy(words)
    labels = data.sum(2) % 3
    model = TransformerModel(20, 16, 4, 32, 2).to(device)
    start(model)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.98), eps=1e-9)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 10, (10 / (step + 1)) ** 0.5)
    )
    for step in range(20):
        output = model(data[step % 4].to(device))
        loss = criterion(output, labels[step % 4].to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        yield loss.item()


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
