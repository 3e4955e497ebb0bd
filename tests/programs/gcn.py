"""A graph convolutional network over a sparse adjacency matrix, trained on a few marked nodes."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter


class GraphConvolution(nn.Module):
    """Simple GCN layer, similar to https://arxiv.org/abs/1609.02907"""

    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.empty(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.empty(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        output = torch.spmm(adj, support)
        return output if self.bias is None else output + self.bias

    def __repr__(self):
        return f"{self.__class__.__name__} ({self.in_features} -> {self.out_features})"


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass):
        super().__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        return F.log_softmax(self.gc2(x, adj), dim=1)


def normalized(edges, count):
    """D^-1 (A + I) of an undirected graph, as a sparse tensor (count, count)."""
    dense = np.eye(count)
    dense[edges[0], edges[1]] = dense[edges[1], edges[0]] = 1
    dense /= dense.sum(1, keepdims=True)
    indices = torch.from_numpy(np.vstack(dense.nonzero()).astype(np.int64))
    values = torch.tensor(dense[dense.nonzero()], dtype=torch.get_default_dtype())
    return torch.sparse_coo_tensor(indices, values, torch.Size(dense.shape))


def train(device="cpu", start=lambda *models: None):
    rng = np.random.default_rng(0)
    nodes = 40
    adj = normalized(rng.integers(0, nodes, (2, 90)), nodes)
    features = torch.tensor(rng.random((nodes, 12)), dtype=torch.get_default_dtype())
    labels = torch.LongTensor(rng.integers(0, 4, nodes))
    idx_train, idx_val = torch.LongTensor(range(25)), torch.LongTensor(range(25, 40))
    model = GCN(12, 16, 4).to(device)
    start(model)
    features, adj, labels = features.to(device), adj.to(device), labels.to(device)
    idx_train, idx_val = idx_train.to(device), idx_val.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(20):
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss_train = F.nll_loss(output[idx_train], labels[idx_train])
        loss_train.backward()
        optimizer.step()
        model.eval()
        output = model(features, adj)
        loss_val = F.nll_loss(output[idx_val], labels[idx_val])
        yield loss_train.item() + loss_val.item()


if __name__ == "__main__":
    for loss in train():
        print(f"{loss:.6f}")
