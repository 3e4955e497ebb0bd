"""The programs that the benchmarks time, as text that runs on PyTorch and on this engine alike.

They find in scope ``torch``; ``rand(*shape)``, uniform in (-1, 1), and ``integers(bound, *shape)``;
``fill(model)``, which gives it weights that do not depend on the engine; ``done(*tensors)``, which
returns when they are computed; ``timed``, false in the first run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A program: ``setup`` runs once, ``step`` is timed; ``result`` names what must agree."""

    name: str
    setup: str
    step: str
    result: str


TWO_LAYER = """
x, y = rand(64, 1000), rand(64, 10)
model = torch.nn.Sequential(
    torch.nn.Linear(1000, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
fill(model)
criterion = torch.nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, **fused)
"""
TRAIN = """
loss = criterion(model(x), y)
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""
BY_HAND = """
x, y = rand(64, 1000), rand(64, 10)
w1 = (rand(1000, 100) * 0.01).requires_grad_()
w2 = (rand(100, 10) * 0.01).requires_grad_()
"""
BY_HAND_STEP = """
global w1, w2
loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
loss.backward()
with torch.no_grad():
    w1 -= 1e-6 * w1.grad
    w2 -= 1e-6 * w2.grad
    w1.grad.zero_()
    w2.grad.zero_()
"""
LENET = """
nn, F = torch.nn, torch.nn.functional
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
model = Net()
fill(model)
x, y = rand(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, **fused)
"""
# An epoch of 2048 images, a batch of 64, fetched by two worker processes that start anew.
LOADER = (
    LENET.replace("BATCH", "64")
    + """
class Samples(torch.utils.data.Dataset):
    def __init__(self):
        self.x, self.y = rand(2048, 3, 32, 32), torch.arange(2048) % 10
    def __len__(self):
        return 2048
    def __getitem__(self, i):
        return self.x[i], self.y[i]
whole = Samples()
if ROWS:
    whole = torch.utils.data.TensorDataset(whole.x, whole.y)
# The class is no module's, so only a fork has it; a spawned process would spawn others.
loader = torch.utils.data.DataLoader(
    whole, batch_size=64, num_workers=2, multiprocessing_context="fork")
"""
)
EPOCH = """
for x, y in loader:
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
done(loss)
"""


def cases() -> list[Case]:
    cases = [
        Case("two layers, Adam", TWO_LAYER, TRAIN, "loss"),
        Case("two layers, Adam, loss read", TWO_LAYER, TRAIN.replace(
            "optimizer.zero_grad()", "loss.item()\noptimizer.zero_grad()"), "loss"),
        Case("two layers by hand", BY_HAND, BY_HAND_STEP, "loss"),
        Case("LeNet, batch 4", LENET.replace("BATCH", "4"), TRAIN, "loss"),
        Case("LeNet, batch 64", LENET.replace("BATCH", "64"), TRAIN, "loss"),
        Case("LeNet epoch, 2 workers", LOADER.replace("ROWS", "False"), EPOCH, "loss"),
        Case("LeNet epoch, 2 workers, rows", LOADER.replace("ROWS", "True"), EPOCH, "loss"),
    ]  # fmt: skip
    for n in (64, 128, 256, 512):
        for kind, left, right in (("", "a", "b"), (" Aᵀ", "a.t()", "b"), (" Bᵀ", "a", "b.t()")):
            cases.append(
                Case(f"matmul {n}{kind}", f"a, b = rand({n}, {n}), rand({n}, {n})",
                     f"c = done({left} @ {right})", "c")
            )  # fmt: skip
            if n <= 128:  # ten at once: the products themselves rather than the calls
                cases.append(
                    Case(f"10 products of {n}{kind}",
                         f"a, b = rand({n}, {n}), [rand({n}, {n}) for _ in range(10)]",
                         f"products = [{left.replace('b', 'm')} @ {right.replace('b', 'm')} "
                         "for m in b]\ndone(*products)", "products")
                )  # fmt: skip
    big = "x, a, b = rand(1 << 24), rand(1 << 24), rand(1 << 24)"
    cases += [
        Case("gelu(x*a+b), 16M", big, "y = done(torch.nn.functional.gelu(x * a + b))", "y"),
        Case("softmax 4096×1024", "x = rand(4096, 1024)", "y = done(torch.softmax(x, 1))", "y"),
        Case("layer norm 4096×1024", "x = rand(4096, 1024)",
             "y = done(torch.nn.functional.layer_norm(x, (1024,)))", "y"),
        Case("sum 16M", "x = rand(1 << 24)", "y = done(x.sum())", "y"),
        Case("100 chained adds of 10", "x = rand(10)",
             "y = x\nfor _ in range(100):\n    y = y + x\ndone(y)", "y"),
    ]  # fmt: skip
    return cases + _rows()


GPT = """
nn, F = torch.nn, torch.nn.functional
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (t.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
                   for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))
class GPT(nn.Module):
    def __init__(self, vocabulary=65, block=64, layers=4, width=128, heads=4):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(block, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))
model = GPT()
fill(model)
tokens, targets = integers(65, 12, 64), integers(65, 12, 64)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **fused)
"""
GPT_STEP = """
loss = F.cross_entropy(model(tokens).view(-1, 65), targets.view(-1))
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""
RESNET = """
nn, F = torch.nn, torch.nn.functional
class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))
class ResNet18(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool, self.avgpool = nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1)
        layers, inputs = [], 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            layers += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
            inputs = outputs
        self.layers, self.fc = nn.Sequential(*layers), nn.Linear(512, classes)
    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(self.layers(x)), 1))
model = ResNet18(CLASSES)
fill(model)
"""
INFER = "with torch.no_grad():\n    y = done(model(x))"
LSTM = """
nn, F = torch.nn, torch.nn.functional
class CharLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(65, 256)
        self.lstm, self.head = nn.LSTM(256, 256, batch_first=True), nn.Linear(256, 65)
    def forward(self, tokens):
        return self.head(self.lstm(self.tokens(tokens))[0])
model = CharLSTM()
fill(model)
tokens, targets = integers(65, 32, 64), integers(65, 32, 64)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, **fused)
"""
EMBEDDING = """
weight, indices = (rand(50257, 256)).requires_grad_(), integers(50257, 8192)
seed = rand(8192, 256)
"""
EMBEDDING_STEP = """
weight.grad = None
torch.nn.functional.embedding(indices, weight).backward(seed)
grad = done(weight.grad)
"""
CROSS_ENTROPY = """
x, t = rand(4096, 1000).requires_grad_(), integers(1000, 4096)
"""
CROSS_ENTROPY_STEP = """
x.grad = None
torch.nn.functional.cross_entropy(x, t).backward()
grad = done(x.grad)
"""
LAYER_NORM = """
x, seed = rand(4096, 1024).requires_grad_(), rand(4096, 1024)
weight, bias = rand(1024).requires_grad_(), rand(1024).requires_grad_()
"""
LAYER_NORM_STEP = """
x.grad = weight.grad = bias.grad = None
torch.nn.functional.layer_norm(x, (1024,), weight, bias).backward(seed)
grad = done(weight.grad, bias.grad, x.grad)
"""
GATHER_STEP = """
x.grad = None
torch.gather(x, 1, places).backward(seed)
grad = done(x.grad)
"""
MAX_POOL = """
pool = torch.nn.MaxPool2d(3, 2, 1)
x, seed = rand(8, 64, 112, 112).requires_grad_(), rand(8, 64, 56, 56)
"""
POOL_STEP = """
x.grad = None
pool(x).backward(seed)
grad = done(x.grad)
"""


def _rows() -> list[Case]:
    """The larger programs and kernels of the performance page."""
    causal = "torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)"
    rows = [
        Case("GPT, 4 layers", GPT, GPT_STEP, "loss"),
        Case("character LSTM", LSTM, GPT_STEP, "loss"),
        Case("ResNet-18 infer, batch 1",
             RESNET.replace("CLASSES", "1000") + "model.eval()\nx = rand(1, 3, 224, 224)",
             INFER, "y"),
        Case("ResNet-18 infer, batch 8",
             RESNET.replace("CLASSES", "1000") + "model.eval()\nx = rand(8, 3, 224, 224)",
             INFER, "y"),
        Case("ResNet-18 train, 64², batch 8",
             RESNET.replace("CLASSES", "10") + "x, y = rand(8, 3, 64, 64), integers(10, 8)\n"
             "criterion = nn.CrossEntropyLoss()\n"
             "optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, **fused)",
             TRAIN, "loss"),
    ]  # fmt: skip
    for n in (1024, 2048):
        for kind, left, right in (("", "a", "b"), (" Aᵀ", "a.t()", "b"), (" Bᵀ", "a", "b.t()")):
            rows.append(Case(f"matmul {n}{kind}", f"a, b = rand({n}, {n}), rand({n}, {n})",
                             f"c = done({left} @ {right})", "c"))  # fmt: skip
    rows += [
        Case("100 products of 64 in a chain", "a, b = rand(64, 64), rand(64, 64) / 8",
             "c = a\nfor _ in range(100):\n    c = c @ b\ndone(c)", "c"),
        Case("matmul 1024 bf16",
             "a, b = (rand(1024, 1024).to(torch.bfloat16) for _ in range(2))",
             "c = done(a @ b)\nd = c if timed else c.float()", "d"),
        Case("MLP 1024×768 bf16",
             "x, up, down = (rand(*shape).to(torch.bfloat16) for shape in "
             "((1024, 768), (3072, 768), (768, 3072)))\nF = torch.nn.functional",
             "y = F.linear(F.gelu(F.linear(x, up)), down)\nz = done(y) if timed else y.float()",
             "z"),
        Case("attention 4×8×512×64", "q, k, v = (rand(4, 8, 512, 64) for _ in range(3))",
             f"y = done({causal})", "y"),
        Case("embedding and its gradient", EMBEDDING, EMBEDDING_STEP, "grad"),
        Case("index_add of 8192 rows of 256",
             "table, rows = rand(50257, 256), rand(8192, 256)\nplaces = integers(50257, 8192)",
             "total = done(table.index_add(0, places, rows))", "total"),
        Case("scatter_add 1M into 1M",
             "x, updates, places = rand(1 << 20), rand(1 << 20), integers(1 << 20, 1 << 20)",
             "total = done(x.scatter_add(0, places, updates))", "total"),
        Case("gather's gradient, 4096×1024",
             "x, seed = rand(4096, 1024).requires_grad_(), rand(4096, 1024)\n"
             "places = integers(1024, 4096, 1024)", GATHER_STEP, "grad"),
        Case("cross-entropy 4096×1000, training", CROSS_ENTROPY, CROSS_ENTROPY_STEP, "grad"),
        Case("layer norm 4096×1024, training", LAYER_NORM, LAYER_NORM_STEP, "grad"),
        Case("max-pool 3×3 by 2, training", MAX_POOL, POOL_STEP, "grad"),
        Case("average pool 3×3 by 2, training", MAX_POOL.replace("MaxPool", "AvgPool"),
             POOL_STEP, "grad"),
        Case("cumsum 16M", "x = rand(1 << 24)", "y = done(torch.cumsum(x, 0))", "y"),
        Case("sort 1M", "x = rand(1 << 20)", "y = done(*torch.sort(x))", "y"),
        Case("topk 1000×1000", "x = rand(1000, 1000)", "y = done(*torch.topk(x, 5))", "y"),
        Case("searchsorted 1M",
             "edges, x = torch.arange(-1000, 1000) / 1000, rand(1 << 20)",
             "y = done(torch.searchsorted(edges, x))", "y"),
        Case("transposing copy 4096²", "x = rand(4096, 4096)", "y = done(x.t().contiguous())", "y"),
        Case("x + xᵀ, 2048²", "x = rand(2048, 2048)", "y = done(x + x.t())", "y"),
    ]  # fmt: skip
    return rows
