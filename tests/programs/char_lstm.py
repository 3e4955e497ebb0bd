"""A language model of two LSTM layers whose states go on from piece to piece; SGD by hand."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class RNNModel(nn.Module):
    """Letters (T, N) and states to log-probabilities (T * N, letters) and the new states."""

    def __init__(self, ntoken, ninp, nhid, nlayers):
        super().__init__()
        self.ntoken, self.nhid, self.nlayers = ntoken, nhid, nlayers
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=0.0)
        self.decoder = nn.Linear(nhid, ntoken)
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        decoded = self.decoder(output).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid),
                weight.new_zeros(self.nlayers, bsz, self.nhid))  # fmt: skip


def repackage_hidden(h):
    """Wraps hidden states in new Tensors, to detach them from their history."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def train(device="cpu", start=lambda *models: None):
    rng = np.random.default_rng(0)
    letters, batch, length = 17, 4, 7
    text = torch.tensor(rng.integers(0, letters, (20 * length + 1, batch))).to(device)
    model = RNNModel(letters, 12, 16, 2).to(device)
    start(model)
    criterion = nn.NLLLoss()
    lr = 2.0
    model.train()
    hidden = model.init_hidden(batch)
    for i in range(0, text.size(0) - 1, length):
        data, targets = text[i : i + length], text[i + 1 : i + 1 + length].view(-1)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        yield loss.item()


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
