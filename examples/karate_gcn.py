"""Who goes with whom after a club's quarrel: graph convolution with a sparse adjacency matrix.

python examples/karate_gcn.py --epochs 60

Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks" (2017), on
Zachary's karate club. Two of the 34 members are known: the instructor and the president.
"""

from __future__ import annotations

import networkx
import numpy as np
from common import make_parser, parse, plt, progress, report, save_picture

import lazytorch as torch
from lazytorch import nn
from lazytorch.nn import functional as F


class GraphConvolution(nn.Module):
    """Each node gets a linear function of what its neighbours have, weighted by ``adjacency``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(adjacency, self.linear(x))


class GCN(nn.Module):
    """Features (nodes, inputs) to scores (nodes, classes)."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.first = GraphConvolution(inputs, hidden)
        self.second = GraphConvolution(hidden, classes)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x, adjacency)), adjacency)


def normalized_adjacency(graph: networkx.Graph) -> torch.Tensor:
    """D^(-1/2) (A + I) D^(-1/2), sparse."""
    count = len(graph)
    ends = np.array([*graph.edges, *[(b, a) for a, b in graph.edges], *[(n, n) for n in graph]])
    degrees = np.bincount(ends[:, 0], minlength=count)
    weights = 1 / np.sqrt(degrees[ends[:, 0]] * degrees[ends[:, 1]])
    return torch.sparse_coo_tensor(
        torch.from_numpy(ends.T.copy()), torch.from_numpy(weights.astype(np.float32)),
        (count, count), check_invariants=True,
    )  # fmt: skip


def main() -> None:
    options = parse(make_parser(__doc__, epochs=60, hidden=8, lr=0.01))
    graph = networkx.karate_club_graph()
    clubs = np.array([int(graph.nodes[n]["club"] == "Officer") for n in graph])
    known = [0, 33]
    adjacency = normalized_adjacency(graph).to(options.device)
    features = torch.eye(len(graph)).to(options.device)
    wanted = torch.from_numpy(clubs[known]).to(options.device)
    model = GCN(len(graph), options.hidden, 2).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, weight_decay=5e-4)
    bar = progress(range(options.epochs), "training")
    for _ in bar:
        loss = F.cross_entropy(model(features, adjacency)[known], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bar.set_postfix(loss=f"{loss.item():.4f}")
    print(f"loss {loss.item():.4f} after {options.epochs} epochs")

    with torch.no_grad():
        chances = torch.softmax(model(features, adjacency), 1)[:, 1].cpu().numpy()
    others = [n for n in graph if n not in known]
    ways = [networkx.single_source_shortest_path_length(graph, n) for n in known]
    nearest = np.array([ways[1][n] < ways[0][n] for n in others])
    report("members placed rightly", ((chances > 0.5) == clubs)[others].mean(),
           (nearest == clubs[others]).mean(), "with the nearer of the two", ".1%")  # fmt: skip
    figure, axes = plt.subplots(figsize=(7, 6))
    networkx.draw_networkx(
        graph, networkx.spring_layout(graph, seed=2), ax=axes, node_color=chances, cmap="coolwarm",
        vmin=0, vmax=1, edgecolors=["black" if c else "white" for c in clubs],
    )  # fmt: skip
    axes.set_title("colour: the model's guess; rim: the side that was taken")
    save_picture(figure, options.picture)


if __name__ == "__main__":
    main()
