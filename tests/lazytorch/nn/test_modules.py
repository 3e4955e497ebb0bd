"""Layers and Module's machinery against real PyTorch: printed forms, state, values, errors."""

import copy
import inspect
import pickle
import re
import warnings
from collections import OrderedDict

import pytest

import lazytorch
from lazytorch import nn, tensor

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.pytorch


def ours(value):
    """A value with every PyTorch tensor in it turned into one of the engine."""
    if isinstance(value, torch.Tensor):
        names = {torch.int64: "long", torch.float32: "float"}
        return getattr(tensor(value.tolist()), names[value.dtype])()
    if isinstance(value, (tuple, list)):
        return type(value)(map(ours, value))
    if isinstance(value, dict):
        return {key: ours(item) for key, item in value.items()}
    return value


def numbers(value):
    """A tensor, or a tuple of them, as plain lists."""
    return [numbers(v) for v in value] if isinstance(value, tuple) else value.tolist()


def both(make):
    """What `make(namespace, as_tensor)` gives with PyTorch and with our modules."""
    return make(torch.nn, lambda v: v), make(nn, ours)


def outcome(action):
    """An action's error as (type, message in PyTorch's names), or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except Exception as error:
        # The order in which a set prints is no part of a message.
        text = re.sub(r"\{.*\}", lambda found: str(sorted(found[0])), str(error))
        return type(error), re.sub(r"\blazytorch\b", "torch", text)
    return None


def same_state(theirs, our):
    """Copy PyTorch's state into ours through lists."""
    our.load_state_dict(OrderedDict((k, ours(v)) for k, v in theirs.state_dict().items()))


def randn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape)))


VECTOR, SIGNAL, IMAGE, VOLUME = (2, 6), (2, 4, 8), (2, 4, 6, 6), (2, 4, 4, 4, 4)
CLASSES = torch.tensor([1, 0])
SIGNS = torch.tensor([1.0, -1.0])

# name, positional arguments, keyword arguments, inputs (a shape is drawn from a normal).
LAYERS = [
    ("Identity", (1, "x"), {"key": 2}, [VECTOR]),
    ("Linear", (6, 3), {}, [VECTOR]),
    ("Linear", (6, 3), {"bias": False}, [VECTOR]),
    ("Bilinear", (6, 6, 2), {}, [VECTOR, VECTOR]),
    ("Bilinear", (6, 6, 2, False), {}, [VECTOR, VECTOR]),
    ("Conv1d", (4, 6, 3), {}, [SIGNAL]),
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2, "padding_mode": "reflect"}, [SIGNAL]),
    ("Conv2d", (4, 6, 3), {}, [IMAGE]),
    ("Conv2d", (4, 6, (3, 2), (2, 1)), {"padding": (1, 0), "groups": 2, "bias": False}, [IMAGE]),
    ("Conv2d", (4, 6, 4), {"padding": "same"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": "valid"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "circular"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": "same", "padding_mode": "replicate"}, [IMAGE]),
    ("Conv3d", (4, 2, 2), {"stride": 2, "dilation": 1}, [VOLUME]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, [SIGNAL]),
    ("ConvTranspose2d", (4, 6, 3), {"groups": 2, "dilation": 2}, [IMAGE]),
    ("ConvTranspose3d", (4, 2, 2), {"bias": False, "padding": 1}, [VOLUME]),
    ("MaxPool1d", (2,), {}, [SIGNAL]),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True}, [IMAGE]),
    ("MaxPool2d", ((2, 3),), {"return_indices": True}, [IMAGE]),
    ("MaxPool3d", (2,), {}, [VOLUME]),
    ("AvgPool1d", (2,), {"padding": 1, "count_include_pad": False}, [SIGNAL]),
    ("AvgPool2d", (2,), {"stride": 1, "divisor_override": 3}, [IMAGE]),
    ("AvgPool3d", (2,), {}, [VOLUME]),
    ("LPPool1d", (2, 3), {}, [SIGNAL]),
    ("LPPool2d", (2, 3), {"stride": 1}, [IMAGE]),
    ("AdaptiveAvgPool1d", (3,), {}, [SIGNAL]),
    ("AdaptiveAvgPool2d", ((3, None),), {}, [IMAGE]),
    ("AdaptiveAvgPool3d", (2,), {}, [VOLUME]),
    ("AdaptiveMaxPool1d", (3,), {}, [SIGNAL]),
    ("AdaptiveMaxPool2d", (2,), {"return_indices": True}, [IMAGE]),
    ("AdaptiveMaxPool3d", (2,), {}, [VOLUME]),
    ("BatchNorm1d", (6,), {}, [VECTOR]),
    ("BatchNorm1d", (4,), {"momentum": None}, [SIGNAL]),
    ("BatchNorm2d", (4,), {"affine": False}, [IMAGE]),
    ("BatchNorm2d", (4,), {"track_running_stats": False, "bias": False}, [IMAGE]),
    ("BatchNorm3d", (4, 1e-3, 0.2), {}, [VOLUME]),
    ("InstanceNorm1d", (4,), {}, [SIGNAL]),
    ("InstanceNorm2d", (4,), {"affine": True, "track_running_stats": True}, [IMAGE]),
    ("InstanceNorm2d", (4,), {}, [(4, 6, 6)]),
    ("InstanceNorm3d", (4,), {}, [VOLUME]),
    ("LayerNorm", (6,), {}, [VECTOR]),
    ("LayerNorm", ([4, 8],), {"bias": False, "eps": 1e-3}, [SIGNAL]),
    ("LayerNorm", (6,), {"elementwise_affine": False}, [VECTOR]),
    ("GroupNorm", (2, 4), {}, [IMAGE]),
    ("GroupNorm", (2, 4), {"affine": False}, [IMAGE]),
    ("RMSNorm", (6,), {}, [VECTOR]),
    ("RMSNorm", ((4, 8), 1e-2, False), {}, [SIGNAL]),
    ("LocalResponseNorm", (2,), {}, [IMAGE]),
    ("Embedding", (5, 3), {}, [torch.tensor([[0, 4], [2, 1]])]),
    ("Embedding", (5, 3, -1), {"max_norm": 1.0}, [torch.tensor([1, 4])]),
    ("Embedding", (5, 3), {"norm_type": 1.0, "scale_grad_by_freq": True}, [torch.tensor([1])]),
    ("Dropout", (0.0,), {}, [VECTOR]),
    ("Dropout", (), {"inplace": True, "p": 1.0}, [VECTOR]),
    ("Dropout1d", (0.0,), {}, [SIGNAL]),
    ("Dropout2d", (0.0,), {}, [IMAGE]),
    ("Dropout3d", (0.0,), {}, [VOLUME]),
    ("AlphaDropout", (0.0,), {}, [VECTOR]),
    ("FeatureAlphaDropout", (0.0,), {}, [SIGNAL]),
    ("Flatten", (), {}, [IMAGE]),
    ("Flatten", (0, 1), {}, [IMAGE]),
    ("Unflatten", (1, (2, 3)), {}, [VECTOR]),
    ("Unfold", (2,), {}, [IMAGE]),
    ("Fold", ((3, 3), 2), {}, [(2, 8, 4)]),
    *((name, (), {}, [VECTOR]) for name in (
        "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish",
        "Sigmoid", "LogSigmoid", "Hardsigmoid", "Hardswish", "Hardtanh", "Tanh", "Tanhshrink",
        "Softplus", "Softshrink", "Hardshrink", "Softsign", "GLU",
    )),
    *((name, (), {"inplace": True}, []) for name in (
        "ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardsigmoid",
        "Hardswish", "Hardtanh", "RReLU",
    )),
    *((name, (1,), {}, [VECTOR]) for name in ("Softmin", "Softmax", "LogSoftmax")),
    ("Softmax", (), {}, []),
    ("Softmax2d", (), {}, [IMAGE]),
    ("GELU", ("tanh",), {}, [VECTOR]),
    ("PReLU", (4, 0.1), {}, [IMAGE]),
    ("Hardtanh", (-2, 3), {}, [VECTOR]),
    ("Threshold", (0.1, 20), {"inplace": True}, [VECTOR]),
    ("RReLU", (0.2, 0.2), {}, [VECTOR]),
    *(
        (f"{kind}Pad{rank}d", ((1, 2) * rank,), extra, [shape])
        for kind, extra in (
            ("Zero", {}), ("Constant", {"value": 3.5}), ("Reflection", {}),
            ("Replication", {}), ("Circular", {}),
        )
        for rank, shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME))
    ),
    ("ZeroPad2d", (1,), {}, [IMAGE]),
    ("Upsample", (), {"scale_factor": 2}, [IMAGE]),
    ("Upsample", (), {"size": (3, 4), "mode": "bilinear", "align_corners": True}, [IMAGE]),
    ("Upsample", (), {"scale_factor": (2, 3)}, [IMAGE]),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, [IMAGE]),
    ("UpsamplingBilinear2d", (5,), {}, [IMAGE]),
    ("PixelShuffle", (2,), {}, [IMAGE]),
    ("PixelUnshuffle", (2,), {}, [IMAGE]),
    ("ChannelShuffle", (2,), {}, [IMAGE]),
    ("CosineSimilarity", (), {}, [VECTOR, VECTOR]),
    ("PairwiseDistance", (1.0,), {"keepdim": True}, [VECTOR, VECTOR]),
]  # fmt: skip

# name, keyword arguments, inputs.
LOSSES = [
    ("MSELoss", {}, [VECTOR, VECTOR]),
    ("L1Loss", {}, [VECTOR, VECTOR]),
    ("SmoothL1Loss", {"beta": 0.5}, [VECTOR, VECTOR]),
    ("HuberLoss", {"delta": 0.5}, [VECTOR, VECTOR]),
    ("NLLLoss", {"weight": rand(6)}, [VECTOR, CLASSES]),
    ("NLLLoss2d", {"ignore_index": 0}, [VECTOR, CLASSES]),
    ("CrossEntropyLoss", {}, [VECTOR, CLASSES]),
    ("CrossEntropyLoss", {"weight": rand(6), "label_smoothing": 0.1}, [VECTOR, CLASSES]),
    ("BCELoss", {"weight": rand(6)}, [rand(2, 6), rand(2, 6)]),
    ("BCEWithLogitsLoss", {"pos_weight": rand(6)}, [VECTOR, rand(2, 6)]),
    ("KLDivLoss", {"log_target": True}, [VECTOR, VECTOR]),
    ("KLDivLoss", {}, [VECTOR, rand(2, 6)]),
    ("PoissonNLLLoss", {"full": True}, [VECTOR, rand(2, 6)]),
    ("GaussianNLLLoss", {}, [VECTOR, VECTOR, rand(2, 6)]),
    ("CosineEmbeddingLoss", {"margin": 0.1}, [VECTOR, VECTOR, SIGNS]),
    ("MarginRankingLoss", {"margin": 0.1}, [(2,), (2,), SIGNS]),
    ("HingeEmbeddingLoss", {}, [(2,), SIGNS]),
    ("SoftMarginLoss", {}, [(2,), SIGNS]),
    ("TripletMarginLoss", {"swap": True, "p": 1.0}, [VECTOR, VECTOR, rand(2, 6)]),
    ("TripletMarginWithDistanceLoss", {}, [VECTOR, VECTOR, rand(2, 6)]),
    ("MultiLabelMarginLoss", {}, [VECTOR, torch.tensor([[0, 2, -1, 0, 0, 0]] * 2)]),
    ("MultiLabelSoftMarginLoss", {"weight": rand(6)}, [VECTOR, rand(2, 6)]),
    ("MultiMarginLoss", {"p": 2, "weight": rand(6)}, [VECTOR, CLASSES]),
]


def inputs_of(specs):
    return [spec if isinstance(spec, torch.Tensor) else randn(*spec) for spec in specs]


def label(case):
    name, *rest = case
    return name + "-" + ",".join(str(part) for part in rest[:-1]).replace("\n", "")[:40]


def build(name, args, kwargs):
    def make(namespace, as_tensor):
        # Over PyTorch both draw from one generator, and so the same numbers.
        torch.manual_seed(7)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(namespace, name)(*as_tensor(args), **as_tensor(kwargs))

    return both(make)


@pytest.mark.parametrize("case", LAYERS, ids=label)
def test_layer(case):
    name, args, kwargs, specs = case
    theirs, our = build(name, args, kwargs)
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    assert dict(our.state_dict()._metadata) == dict(theirs.state_dict()._metadata)
    for (key, a), b in zip(our.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert tuple(a.shape) == tuple(b.shape), key
        assert str(a.dtype) == str(b.dtype), key
    if not specs:
        return
    same_state(theirs, our)
    for train in (True, False):
        theirs.train(train)
        our.train(train)
        inputs = inputs_of(specs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = numbers(theirs(*(v.clone() for v in inputs)))
            got = numbers(our(*map(ours, inputs)))
        # A layer that returns indices too gives a pair, of one shape.
        torch.testing.assert_close(torch.tensor(got), torch.tensor(expected), equal_nan=True)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(torch.tensor(our.state_dict()[key].tolist()).to(value), value)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", LOSSES, ids=label)
def test_loss(case, reduction):
    name, kwargs, specs = case
    theirs, our = build(name, (), {**kwargs, "reduction": reduction})
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    inputs = inputs_of(specs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(*inputs)
        got = our(*map(ours, inputs))
    torch.testing.assert_close(torch.tensor(got.tolist()), expected)


@pytest.mark.parametrize(
    ("average", "reduce"), [(True, True), (False, True), (None, False), (False, None)]
)
def test_legacy_reduction(average, reduce):
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        theirs, our = both(lambda n, _: n.MSELoss(average, reduce))
    assert our.reduction == theirs.reduction


NAMES = sorted({case[0] for case in LAYERS} | {case[0] for case in LOSSES})


@pytest.mark.parametrize("name", [*NAMES, "Sequential", "ModuleList", "Module"])
def test_signature(name):
    def parameters(namespace):
        found = inspect.signature(getattr(namespace, name).__init__).parameters.values()
        return [(p.name, p.kind, p.default) for p in found]

    assert parameters(nn) == parameters(torch.nn)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Linear", (400, 300)), ("Bilinear", (30, 20, 40)), ("Conv1d", (40, 50, 5)),
        ("Conv2d", (40, 50, 3)), ("ConvTranspose2d", (40, 50, 3)), ("Embedding", (300, 50)),
    ],
)  # fmt: skip
def test_initial_distribution(name, args):
    theirs, our = build(name, args, {})
    for (key, a), b in zip(our.named_parameters(), theirs.parameters(), strict=True):
        a, b = torch.tensor(a.tolist()), b.detach()
        # Half of the range and the deviation agree as samples of one distribution do.
        assert abs(a.std() / b.std() - 1) < (0.05 if a.numel() > 1000 else 0.4), key
        assert abs(a.abs().max() / b.abs().max() - 1) < (0.3 if name == "Embedding" else 0.2), key


# ---------------------------------------------------------------- errors


def module_errors(n, t):
    m = n.Linear(2, 3)
    bare = type("Bare", (n.Module,), {"__init__": lambda self: None})()
    return {
        "missing attribute": lambda: m.nothing,
        "no forward": lambda: n.Module()(1),
        "init argument": lambda: n.Module(1),
        "init keyword": lambda: n.Module(a=1),
        "parameter before init": lambda: setattr(bare, "a", n.Parameter(t(torch.ones(1)))),
        "module before init": lambda: setattr(bare, "a", n.ReLU()),
        "buffer before init": lambda: bare.register_buffer("a", None),
        "register parameter before init": lambda: bare.register_parameter("a", None),
        "tensor as parameter": lambda: setattr(m, "weight", t(torch.ones(1))),
        "string as parameter": lambda: setattr(m, "weight", "x"),
        "module as parameter": lambda: setattr(m, "weight", n.ReLU()),
        "tensor as module": lambda: setattr(n.Sequential(m), "0", t(torch.ones(1))),
        "string as buffer": lambda: setattr(n.BatchNorm1d(2), "running_mean", "x"),
        "buffer name": lambda: m.register_buffer(1, None),
        "buffer dot": lambda: m.register_buffer("a.b", None),
        "buffer empty": lambda: m.register_buffer("", None),
        "buffer taken": lambda: m.register_buffer("weight", None),
        "buffer type": lambda: m.register_buffer("a", 1.5),
        "parameter name": lambda: m.register_parameter(1, None),
        "parameter dot": lambda: m.register_parameter("a.b", None),
        "parameter empty": lambda: m.register_parameter("", None),
        "parameter taken": lambda: m.register_parameter("forward", None),
        "parameter type": lambda: m.register_parameter("a", t(torch.ones(1))),
        "module name": lambda: m.add_module(1, n.ReLU()),
        "module dot": lambda: m.add_module("a.b", n.ReLU()),
        "module empty": lambda: m.add_module("", n.ReLU()),
        "module taken": lambda: m.add_module("weight", n.ReLU()),
        "module type": lambda: m.register_module("a", 3),
        "submodule": lambda: n.Sequential(m).get_submodule("0.x"),
        "submodule kind": lambda: n.Sequential(m).get_submodule("0.weight"),
        "set submodule": lambda: m.set_submodule("", n.ReLU()),
        "set submodule strict": lambda: m.set_submodule("x", n.ReLU(), strict=True),
        "set submodule kind": lambda: m.set_submodule("weight", n.ReLU()),
        "get parameter": lambda: m.get_parameter("x"),
        "get parameter kind": lambda: m.get_parameter("training"),
        "get buffer": lambda: m.get_buffer("weight"),
        "train": lambda: m.train(1),
        "delete": lambda: delattr(m, "nothing"),
        "to int": lambda: m.to(lazytorch.long if n is nn else torch.long),
        "to list": lambda: m.to([1]),
        "to bogus": lambda: m.to(bogus=1),
        "to copy": lambda: m.to("cpu", copy=True),
        "to two": lambda: m.to("cpu", "x"),
        "load list": lambda: m.load_state_dict([]),
        "load empty": lambda: n.Sequential(m, n.BatchNorm1d(3)).load_state_dict({}),
        "load more": lambda: m.load_state_dict({"a": 1, "b.c": 2}),
        "load sizes": lambda: m.load_state_dict(
            {"weight": t(torch.ones(2, 2)), "bias": t(torch.ones(1)), "other": 1}
        ),
        "load no tensor": lambda: m.load_state_dict({"weight": 1, "bias": t(torch.ones(3))}),
        "extra state": lambda: m.get_extra_state(),
        "set extra state": lambda: m.set_extra_state(1),
        "sequence index": lambda: n.Sequential(m)[1],
        "sequence add": lambda: n.Sequential(m) + m,
        "sequence times": lambda: n.Sequential(m) * 0,
        "sequence times text": lambda: n.Sequential(m) * "x",
        "sequence insert": lambda: n.Sequential(m).insert(5, m),
        "sequence no module": lambda: n.Sequential(1),
        "list index": lambda: n.ModuleList([m])[-2],
        "list extend": lambda: n.ModuleList().extend(1),
        "dict key": lambda: n.ModuleDict()["a"],
        "dict update": lambda: n.ModuleDict(1),
        "dict pairs": lambda: n.ModuleDict([1]),
        "dict triples": lambda: n.ModuleDict([(1, 2, 3)]),
        "parameters extend": lambda: n.ParameterList(t(torch.ones(1))),
        "parameters index": lambda: n.ParameterList()[0],
        "parameters call": lambda: n.ParameterList()(),
        "parameter dict key": lambda: n.ParameterDict({})[1],
        "parameter dict call": lambda: n.ParameterDict()(1),
        "parameter dict update": lambda: n.ParameterDict(1),
        "conv groups": lambda: n.Conv2d(3, 4, 1, groups=2),
        "conv out groups": lambda: n.Conv2d(4, 3, 1, groups=2),
        "conv no groups": lambda: n.Conv2d(3, 4, 1, groups=0),
        "conv same stride": lambda: n.Conv2d(3, 4, 1, stride=2, padding="same"),
        "conv string": lambda: n.Conv2d(3, 4, 1, padding="some"),
        "conv mode": lambda: n.Conv2d(3, 4, 1, padding_mode="x"),
        "transposed mode": lambda: n.ConvTranspose2d(3, 4, 1, padding_mode="reflect"),
        "transposed size": lambda: n.ConvTranspose1d(1, 1, 3, 2)(
            t(torch.ones(1, 1, 4)), output_size=[20]
        ),
        "transposed sizes": lambda: n.ConvTranspose2d(1, 1, 3)(
            t(torch.ones(1, 1, 4, 4)), output_size=[6]
        ),
        "bilinear": lambda: n.Bilinear(0, 1, 1),
        "batch norm rank": lambda: n.BatchNorm2d(1)(t(torch.ones(1, 1))),
        "batch norm rank 1": lambda: n.BatchNorm1d(1)(t(torch.ones(1))),
        "instance norm rank": lambda: n.InstanceNorm1d(1)(t(torch.ones(1))),
        "instance norm channels": lambda: n.InstanceNorm1d(3, affine=True)(t(torch.ones(2, 4))),
        "group norm": lambda: n.GroupNorm(2, 3),
        "dropout": lambda: n.Dropout(1.5),
        "hardtanh": lambda: n.Hardtanh(1, 0),
        "softmax2d": lambda: n.Softmax2d()(t(torch.ones(2))),
        "unflatten": lambda: n.Unflatten(1, 3),
        "unflatten items": lambda: n.Unflatten(1, (2, "x")),
        "embedding padding": lambda: n.Embedding(3, 2, padding_idx=3),
        "embedding weight": lambda: n.Embedding(3, 2, _weight=t(torch.ones(2, 3))),
        "embedding pretrained": lambda: n.Embedding.from_pretrained(t(torch.ones(2))),
        "circular pad": lambda: n.CircularPad2d(1)(t(torch.ones(2))),
        "multi margin": lambda: n.MultiMarginLoss(p=3),
        "multi margin weight": lambda: n.MultiMarginLoss(weight=t(torch.ones(1, 1))),
        "triplet": lambda: n.TripletMarginLoss(margin=-1),
        "triplet distance": lambda: n.TripletMarginWithDistanceLoss(margin=0),
        "huber": lambda: n.HuberLoss(delta="x"),
        "parameter of list": lambda: n.Parameter([1.0]),
        "gain": lambda: n.init.calculate_gain("x"),
        "gain slope": lambda: n.init.calculate_gain("leaky_relu", "x"),
        "fan": lambda: n.init.xavier_uniform_(t(torch.ones(2))),
        "fan mode": lambda: n.init.kaiming_normal_(t(torch.ones(2, 2)), mode="x"),
        "eye": lambda: n.init.eye_(t(torch.ones(2))),
        "dirac": lambda: n.init.dirac_(t(torch.ones(2))),
        "dirac groups": lambda: n.init.dirac_(t(torch.ones(3, 1, 1)), groups=2),
        "orthogonal": lambda: n.init.orthogonal_(t(torch.ones(2))),
        "sparse": lambda: n.init.sparse_(t(torch.ones(2)), 0.5),
        "vector": lambda: n.utils.vector_to_parameters([1], m.parameters()),
    }


@pytest.mark.parametrize("name", module_errors(torch.nn, lambda v: v))
def test_error(name):
    expected, got = both(lambda n, t: outcome(module_errors(n, t)[name]))
    assert expected is not None
    assert got == expected


# ---------------------------------------------------------------- Module


def network(n):
    class Block(n.Module):
        def __init__(self):
            super().__init__()
            self.first = n.Linear(3, 4)
            self.norm = n.BatchNorm1d(4)
            self.shared = self.first
            self.nothing = None
            self.layers = n.ModuleList([n.Linear(4, 4), n.Linear(4, 4), n.ReLU()])
            self.scale = n.Parameter(n.Linear(1, 1).weight.detach())
            self.register_buffer("kept", n.Linear(1, 2).weight.detach())
            self.register_buffer("passing", n.Linear(1, 2).bias.detach(), persistent=False)
            self.register_parameter("absent", None)
            self.names = n.ModuleDict({"a": n.Tanh(), "b": n.Sequential(n.Linear(2, 2))})

        def forward(self, x, factor=1):
            x = self.norm(self.first(x)) * factor
            for layer in self.layers:
                x = layer(x)
            return x * self.scale

    return Block()


WALKS = {
    "parameters": lambda m: [name for name, _ in m.named_parameters()],
    "duplicates": lambda m: [name for name, _ in m.named_parameters(remove_duplicate=False)],
    "own": lambda m: [name for name, _ in m.named_parameters("p", recurse=False)],
    "buffers": lambda m: [name for name, _ in m.named_buffers()],
    "modules": lambda m: [name for name, _ in m.named_modules(prefix="x")],
    "all modules": lambda m: [name for name, _ in m.named_modules(remove_duplicate=False)],
    "children": lambda m: [name for name, _ in m.named_children()],
    "counts": lambda m: [len(list(walk())) for walk in (m.modules, m.children, m.parameters)],
    "state": lambda m: list(m.state_dict(prefix="pre.")),
    "versions": lambda m: dict(m.state_dict(prefix="pre.")._metadata),
    "repr": repr,
    "dir": lambda m: [name for name in dir(m) if not name.startswith("_")],
    "applied": lambda m: (seen := [], m.apply(lambda k: seen.append(type(k).__name__)))[0],
}


@pytest.mark.parametrize("walk", WALKS)
def test_walk(walk):
    theirs, our = both(lambda n, _: WALKS[walk](network(n)))
    if walk == "dir":
        # PyTorch's other devices, and what needs its own compiler.
        assert set(theirs) - set(our) <= {"T_destination", "compile", "ipu", "mtia", "xpu"}
    else:
        assert our == theirs


def test_assignment_moves_a_name_between_registries():
    m = nn.Module()
    m.a = 1
    m.a = nn.Parameter(tensor([1.0]))
    assert "a" not in m.__dict__ and list(m._parameters) == ["a"]
    m.a = None
    assert m.a is None and list(m._parameters) == ["a"]
    m.a = nn.Parameter(tensor([1.0]))
    del m.a
    m.a = nn.ReLU()
    assert list(m._modules) == ["a"]
    m.b = nn.Buffer(tensor([1.0]), persistent=False)
    assert list(m._buffers) == ["b"] and "b" not in m.state_dict()
    m.b = tensor([2.0])
    assert m.b.tolist() == [2.0] and "b" not in m.state_dict()
    m.b = nn.Parameter(tensor([1.0]))
    assert not m._buffers and list(m.state_dict()) == ["b"]


def test_state_round_trip():
    first, second = network(nn), network(nn)
    assert str(second.load_state_dict(first.state_dict())) == "<All keys matched successfully>"
    for name, value in first.state_dict().items():
        assert second.state_dict()[name].tolist() == value.tolist(), name
    state = first.state_dict()
    del state["scale"]
    state["more"] = tensor([1.0])
    keys = second.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["scale"] and keys.unexpected_keys == ["more"]
    theirs = network(torch.nn)
    other = theirs.state_dict()
    del other["scale"]
    other["more"] = 1
    assert repr(keys) == repr(theirs.load_state_dict(other, strict=False))


def test_load_assign_takes_the_tensors_themselves():
    m = nn.Linear(2, 1)
    weight, bias = nn.Parameter(tensor([[1.0, 2.0]])), tensor([3.0])
    m.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    assert m.weight is weight and isinstance(m.bias, nn.Parameter) and m.bias.requires_grad


def test_state_keep_vars_and_extra_state():
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"count": 3}

        def set_extra_state(self, state):
            self.loaded = state

    m = Extra(1, 1)
    assert list(m.state_dict()) == ["weight", "bias", "_extra_state"]
    assert m.state_dict(keep_vars=True)["weight"] is m.weight
    assert not m.state_dict()["weight"].requires_grad
    m.load_state_dict(m.state_dict())
    assert m.loaded == {"count": 3}
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "_extra_state"\. '):
        m.load_state_dict(nn.Linear(1, 1).state_dict())


def test_state_hooks():
    m, seen = nn.Sequential(nn.Linear(1, 1)), []
    m.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(("pre", prefix, keep)))
    m.register_state_dict_post_hook(
        lambda module, state, prefix, meta: state.pop("0.bias") and None
    )
    m.register_load_state_dict_pre_hook(lambda module, state, *rest: seen.append(module is m))
    m.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    state = m.state_dict()
    assert list(state) == ["0.weight"] and seen == [("pre", "", False)]
    m.load_state_dict(state)
    assert seen[1:] == [True]


def test_old_batch_norm_file_lacks_the_count():
    m = nn.BatchNorm1d(2)
    state = dict(m.state_dict())
    del state["num_batches_tracked"]
    assert not m.load_state_dict(state).missing_keys


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copied):
    m = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    m[0].weight.requires_grad_(False)
    other = copied(m)
    assert repr(other) == repr(m)
    assert isinstance(other[0].weight, nn.Parameter) and not other[0].weight.requires_grad
    with lazytorch.no_grad():
        other[0].bias.fill_(9.0)
    assert m[0].bias.tolist() != other[0].bias.tolist()
    assert other[0].weight.tolist() == m[0].weight.tolist()


def test_conversion_keeps_identity():
    m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weight = m[0].weight
    m(tensor([[1.0, 2.0], [3.0, 5.0]])).sum().backward()
    assert m.double() is m and m[0].weight is weight
    assert str(weight.dtype) == str(weight.grad.dtype) == "torch.float64"
    assert str(m[1].num_batches_tracked.dtype) == "torch.int64"
    forms = [
        lambda: m.to(tensor([1.0]).dtype), lambda: m.half(), lambda: m.to("cpu", weight.dtype),
        lambda: m.bfloat16(), lambda: m.to(tensor([1.0])), lambda: m.cpu(),
        lambda: m.to(device="cpu", dtype=tensor([1.0]).dtype), lambda: m.float(),
    ]  # fmt: skip
    expected = ["float32", "float16", "float16", "bfloat16", *["float32"] * 4]
    for form, dtype in zip(forms, expected, strict=True):
        assert form() is m
        assert str(m[0].weight.dtype) == f"torch.{dtype}"
    assert m.to_empty(device="cpu")[0].weight is weight


def test_modes_and_gradients():
    m = network(nn)
    assert not any(k.training for k in m.eval().modules())
    assert all(k.training for k in m.train().modules())
    m(tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])).sum().backward()
    m.zero_grad(set_to_none=False)
    assert m.scale.grad.tolist() == [[0.0]]
    m.zero_grad()
    assert m.scale.grad is None
    assert not any(p.requires_grad for p in m.requires_grad_(False).parameters())


def test_parameter():
    p = nn.Parameter(tensor([1.0, 2.0]))
    assert repr(p) == repr(torch.nn.Parameter(torch.tensor([1.0, 2.0])))
    assert type(p * 2) is lazytorch.Tensor and p.requires_grad and p.is_leaf
    assert isinstance(nn.Parameter(), nn.Parameter)
    assert not nn.Parameter(tensor([1.0]), requires_grad=False).requires_grad


# ---------------------------------------------------------------- hooks


def hook_story(n, t):
    """One module's life with every kind of forward hook, as a list of events."""
    m, story = n.Identity(), []
    x = t(torch.tensor([1.0]))
    m.register_forward_pre_hook(lambda module, args: story.append("pre") or (args[0] + 1,))
    m.register_forward_pre_hook(
        lambda module, args, kwargs: story.append(("kwargs", dict(kwargs))),
        with_kwargs=True,
        prepend=True,
    )
    m.register_forward_hook(lambda module, args, out: story.append("post") or out * 10)
    handle = m.register_forward_hook(lambda module, args, out: story.append("first"), prepend=True)
    m.register_forward_hook(
        lambda module, args, kwargs, out: story.append(out.tolist()), with_kwargs=True
    )
    story.append(m(x).tolist())
    handle.remove()
    with m.register_forward_hook(lambda *_: story.append("within")):
        m(x)
    m(x)
    return story


def test_forward_hooks():
    theirs, our = both(hook_story)
    assert our == theirs


def always_called_story(n, t):
    def fail(*_):
        raise ValueError("stop")

    m, story = type("Failing", (n.Module,), {"forward": fail})(), []
    m.register_forward_hook(lambda *a: story.append("never"))
    m.register_forward_hook(lambda module, args, out: story.append(out), always_call=True)
    m.register_forward_hook(fail, always_call=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        story.append(outcome_loud(lambda: m(1)))
    return story, [str(w.message) for w in caught]


def outcome_loud(action):
    try:
        return action()
    except ValueError as error:
        return str(error)


def test_always_called_hooks():
    theirs, our = both(always_called_story)
    assert our == theirs


def test_pre_hook_must_return_a_pair():
    def story(n, t):
        m = n.Identity()
        m.register_forward_pre_hook(lambda module, args, kwargs: 1, with_kwargs=True)
        return outcome(lambda: m(1))

    theirs, our = both(story)
    assert our == theirs


def test_global_hooks():
    def story(n, t):
        module, events = n.modules.module, []
        handles = [
            module.register_module_forward_pre_hook(lambda m, a: events.append(type(m).__name__)),
            module.register_module_forward_hook(lambda m, a, out: events.append(out)),
            module.register_module_buffer_registration_hook(lambda m, k, b: events.append(k)),
            module.register_module_module_registration_hook(lambda m, k, b: events.append(k)),
            module.register_module_parameter_registration_hook(lambda m, k, b: events.append(k)),
        ]
        n.Sequential(n.Identity(), n.Identity())(3)
        n.Sequential(n.BatchNorm1d(1))
        for handle in handles:
            handle.remove()
        n.Identity()(4)
        return events

    theirs, our = both(story)
    assert our == theirs


@pytest.mark.parametrize("input_needs_gradient", [True, False])
def test_full_backward_hooks(input_needs_gradient):
    def story(n, t):
        torch.manual_seed(0)
        m, events = n.Linear(2, 1), []
        weight = t(torch.tensor([[2.0, 3.0]]))
        m.load_state_dict({"weight": weight, "bias": t(torch.tensor([0.0]))})
        x = t(torch.tensor([[1.0, 1.0]])).requires_grad_(input_needs_gradient)
        listed = lambda grads: [None if g is None else g.tolist() for g in grads]  # noqa: E731
        m.register_full_backward_pre_hook(lambda m, out: (out[0] * 2,))

        def double(module, grad_input, grad_output):
            events.append((listed(grad_input), listed(grad_output)))
            return (grad_input[0] * 10,) if input_needs_gradient else None

        m.register_full_backward_hook(double)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            m(x).sum().backward()
        return events, m.weight.grad.tolist(), x.grad.tolist() if input_needs_gradient else None

    theirs, our = both(story)
    assert our == theirs


def test_the_deprecated_backward_hook_says_so():
    with pytest.raises(NotImplementedError, match="register_full_backward_hook"):
        nn.Bilinear(1, 1, 1).register_backward_hook(lambda *_: None)


# ---------------------------------------------------------------- containers


def sequence_story(n, t):
    s = n.Sequential(n.ReLU(), n.Tanh(), n.Sigmoid())
    reprs = [repr(s), repr(s[1:]), repr(s[-1]), len(s)]
    s.append(n.ELU()).insert(1, n.SELU()).extend([n.GELU()])
    s[0] = n.Mish()
    reprs += [repr(s), repr(s.pop(2)), repr(s)]
    del s[-1]
    del s[:2]
    reprs += [repr(s), repr(s + s), repr(s * 2), repr(2 * s)]
    s += n.Sequential(n.ReLU6())
    s *= 2
    s.insert(-1, n.Softsign())
    reprs += [repr(s), repr(n.Sequential(OrderedDict(a=n.ReLU(), b=n.Linear(1, 2))))]
    reprs += [[type(k).__name__ for k in s], "1" in dir(s)]
    named = n.Sequential(OrderedDict(a=n.ReLU(), b=n.Tanh()))
    del named[0]
    return [*reprs, repr(named)]


def list_story(n, t):
    s = n.ModuleList(n.Linear(1, 1) for _ in range(3))
    s += [n.ReLU()]
    reprs = [repr(s), repr(s[1:]), repr(s[-1]), repr(n.ModuleList()), len(s)]
    s.insert(0, n.Sequential(n.ReLU(), n.ReLU()))
    s[1] = n.Tanh()
    reprs += [repr(s), repr(s.__add__([n.ELU()])), repr(s.pop(-1))]
    del s[0]
    del s[1:]
    return [*reprs, repr(s), [name for name, _ in s.named_children()]]


def dict_story(n, t):
    d = n.ModuleDict({"b": n.ReLU(), "a": n.Tanh()})
    d.update([("c", n.ELU())])
    d.update(n.ModuleDict({"b": n.SELU()}))
    reprs = [repr(d), list(d), "a" in d, len(d), repr(d.pop("a")), list(d.keys())]
    reprs += [[(k, repr(v)) for k, v in d.items()], [repr(v) for v in d.values()]]
    del d["b"]
    d["z"] = n.Linear(1, 1)
    reprs.append(repr(d))
    d.clear()
    return [*reprs, repr(d)]


def parameter_list_story(n, t):
    one, two = t(torch.ones(2, 3)), t(torch.tensor(1.0))
    p = n.ParameterList([one, n.Parameter(two), "text"])
    p.append(3)
    p[0] = t(torch.ones(1))
    p += [two]
    kinds = [type(v).__name__ for v in p]
    return [repr(p), repr(p[1:3]), list(p.state_dict()), len(p), kinds, "0" in dir(p), p[-2]]


def parameter_dict_story(n, t):
    one = t(torch.ones(2, 3))
    p = n.ParameterDict({"b": one, "a": n.Parameter(one), "c": "text"})
    story = [list(p), [name for name, _ in p.named_parameters()], "a" in p, len(p)]
    p["x"] = one
    story += [list((p | n.ParameterDict({"y": one})).keys()), list(reversed(p)), p.get("q", 5)]
    story += [
        p.popitem()[0],
        p.setdefault("n", 4),
        list(p.copy()),
        p.pop("c"),
        repr(type(p.a))[-11:],
    ]
    story += [list(p.fromkeys(["u", "v"], 1).items()), [k for k, _ in p.items()]]
    p |= n.ParameterDict([("w", one)])
    story.append(list(p.state_dict()))
    # The type's own name stands in the printed form of a Parameter here.
    story.append(repr(p).replace("lazytorch", "torch"))
    p.clear()
    return [*story, repr(p)]


@pytest.mark.parametrize(
    "story",
    [sequence_story, list_story, dict_story, parameter_list_story, parameter_dict_story],
)
def test_container(story):
    theirs, our = both(story)
    assert our == theirs


# ---------------------------------------------------------------- init and utils

INITS = {
    "uniform": lambda i, w: i.uniform_(w, -2, 3),
    "normal": lambda i, w: i.normal_(w, 1, 2),
    "truncated": lambda i, w: i.trunc_normal_(w, 0, 1, -1.5, 1.5),
    "truncated far": lambda i, w: i.trunc_normal_(w, 0, 1, 1.0, 2.0),
    "constant": lambda i, w: i.constant_(w, 3),
    "ones": lambda i, w: i.ones_(w),
    "zeros": lambda i, w: i.zeros_(w),
    "eye": lambda i, w: i.eye_(w),
    "xavier uniform": lambda i, w: i.xavier_uniform_(w, 2),
    "xavier normal": lambda i, w: i.xavier_normal_(w),
    "kaiming uniform": lambda i, w: i.kaiming_uniform_(w, nonlinearity="relu"),
    "kaiming normal": lambda i, w: i.kaiming_normal_(w, 0.2, "fan_out"),
    "orthogonal": lambda i, w: i.orthogonal_(w, 2),
    "sparse": lambda i, w: i.sparse_(w, 0.3, 1.0),
}


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
@pytest.mark.parametrize("name", INITS)
def test_init(name, shape):
    drawn = []
    for n, weight in ((torch.nn, torch.zeros(shape)), (nn, lazytorch.zeros(shape))):
        torch.manual_seed(3)
        lazytorch.manual_seed(3)
        assert INITS[name](n.init, weight) is weight
        drawn.append(torch.tensor(weight.tolist()))
    expected, got = drawn
    if name in ("constant", "ones", "zeros", "eye"):
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got.mean(), expected.mean(), atol=0.1, rtol=0)
    torch.testing.assert_close(got.std(), expected.std(), atol=0, rtol=0.1)
    if name == "orthogonal":
        small = got if shape[0] < shape[1] else got.T
        torch.testing.assert_close(small @ small.T, 4 * torch.eye(40), atol=1e-4, rtol=0)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 2, 3, 4), (6, 3, 1, 2, 3)])
def test_dirac(shape, groups):
    expected = torch.nn.init.dirac_(torch.ones(shape), groups)
    assert nn.init.dirac_(lazytorch.ones(shape), groups).tolist() == expected.tolist()


def test_deprecated_inits():
    with pytest.warns(FutureWarning, match=r"`nn\.init\.xavier_normal` is now deprecated in favor"):
        nn.init.xavier_normal(lazytorch.zeros(2, 2))
    assert nn.init.calculate_gain("leaky_relu", 0.2) == torch.nn.init.calculate_gain(
        "leaky_relu", 0.2
    )


def with_gradients(n, t):
    m = n.Linear(2, 2)
    m.weight.grad = t(torch.tensor([[3.0, -4.0], [0.5, 1.0]]))
    m.bias.grad = t(torch.tensor([12.0, -2.0]))
    return m


UTILS = {
    "norm": lambda u, m: u.clip_grad_norm_(m.parameters(), 2.0),
    "wide norm": lambda u, m: u.clip_grad_norm_(m.parameters(), 200.0),
    "norm 1": lambda u, m: u.clip_grad_norm_(list(m.parameters()), 2.0, norm_type=1),
    "norm inf": lambda u, m: u.clip_grad_norm_(m.weight, 2.0, float("inf")),
    "empty": lambda u, m: u.clip_grad_norm_([], 1.0),
    "value": lambda u, m: u.clip_grad_value_(m.parameters(), 2),
    "total": lambda u, m: u.get_total_norm([p.grad for p in m.parameters()]),
}


@pytest.mark.parametrize("name", UTILS)
def test_gradient_utils(name):
    results = []
    for n, t in ((torch.nn, lambda v: v), (nn, ours)):
        m = with_gradients(n, t)
        answer = UTILS[name](n.utils, m)
        results.append(
            [None if answer is None else torch.tensor(answer.tolist())]
            + [torch.tensor(p.grad.tolist()) for p in m.parameters()]
        )
    theirs, our = results
    assert (our[0] is None) == (theirs[0] is None)
    torch.testing.assert_close(our[our[0] is None :], theirs[theirs[0] is None :])


def test_nonfinite_norm():
    def story(n, t):
        m = with_gradients(n, t)
        m.bias.grad = t(torch.tensor([float("nan"), 1.0]))
        return outcome(
            lambda: n.utils.clip_grad_norm_(m.parameters(), 1.0, error_if_nonfinite=True)
        )

    theirs, our = both(story)
    assert our == theirs


def test_parameters_and_vectors():
    m = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(m.parameters())
    assert vector.tolist() == [v for row in m.weight.tolist() for v in row] + m.bias.tolist()
    nn.utils.vector_to_parameters(tensor([float(i) for i in range(9)]), m.parameters())
    assert m.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and m.bias.tolist() == [6, 7, 8]


def test_call_without_hooks_takes_the_short_way(monkeypatch):
    monkeypatch.setattr(nn.Module, "_call_with_hooks", None)
    assert nn.Identity()(3) == 3
