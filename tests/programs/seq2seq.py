"""Translation with attention: a GRU reads, another writes a word a turn and looks back; Adam."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, input):
        return self.gru(self.embedding(input))


class BahdanauAttention(nn.Module):
    """Queries (N, 1, H) and keys (N, T, H) to contexts (N, 1, H) and weights (N, 1, T)."""

    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        scores = scores.squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor):
        """The given words (N, T) are what it should have written (teacher forcing)."""
        batch_size, length = target_tensor.shape
        decoder_input = torch.empty(
            batch_size, 1, dtype=torch.long, device=target_tensor.device
        ).fill_(0)
        decoder_hidden, decoder_outputs, attentions = encoder_hidden, [], []
        for i in range(length):
            decoder_output, decoder_hidden, attn_weights = self.forward_step(
                decoder_input, decoder_hidden, encoder_outputs
            )
            decoder_outputs.append(decoder_output)
            attentions.append(attn_weights)
            decoder_input = target_tensor[:, i].unsqueeze(1)
        decoder_outputs = F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1)
        return decoder_outputs, decoder_hidden, torch.cat(attentions, dim=1)

    def forward_step(self, input, hidden, encoder_outputs):
        embedded = self.embedding(input)
        query = hidden.permute(1, 0, 2)
        context, attn_weights = self.attention(query, encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden, attn_weights


def train(device="cpu", start=lambda *models: None):
    rng = np.random.default_rng(0)
    words, width, batch, length = 13, 16, 4, 5
    encoder = EncoderRNN(words, width).to(device)
    decoder = AttnDecoderRNN(width, words).to(device)
    start(encoder, decoder)
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=0.003)
    decoder_optimizer = optim.Adam(decoder.parameters(), lr=0.003)
    criterion = nn.NLLLoss()
    for _ in range(20):
        input_tensor = torch.tensor(rng.integers(0, words, (batch, length)))
        target_tensor = input_tensor.flip(1).to(device)
        encoder_optimizer.zero_grad()
        decoder_optimizer.zero_grad()
        encoder_outputs, encoder_hidden = encoder(input_tensor.to(device))
        decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, target_tensor)
        loss = criterion(
            decoder_outputs.view(-1, decoder_outputs.size(-1)), target_tensor.reshape(-1)
        )
        loss.backward()
        encoder_optimizer.step()
        decoder_optimizer.step()
        yield loss.item()


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
