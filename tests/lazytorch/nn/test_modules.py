"""Module's machinery against real PyTorch: errors, walks, state, conversion, hooks."""

import copy
import pickle
import warnings

import pytest
from module_comparison import both, outcome, torch

import lazytorch
from lazytorch import nn, tensor

pytestmark = pytest.mark.pytorch

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
        "bag padding": lambda: n.EmbeddingBag(3, 2, padding_idx=3),
        "bag weight": lambda: n.EmbeddingBag(3, 2, _weight=t(torch.ones(2, 3))),
        "bag pretrained": lambda: n.EmbeddingBag.from_pretrained(t(torch.ones(2))),
        "fractional": lambda: n.FractionalMaxPool2d(2),
        "fractional both": lambda: n.FractionalMaxPool2d(2, 2, 0.5),
        "fractional ratio": lambda: n.FractionalMaxPool3d(2, output_ratio=1.5),
        "fractional kernel": lambda: n.FractionalMaxPool3d((2, 0, 1), 2),
        "cross map": lambda: n.CrossMapLRN2d(2)(t(torch.ones(2))),
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


@pytest.mark.host
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


def test_call_without_hooks_takes_the_short_way(monkeypatch):
    monkeypatch.setattr(nn.Module, "_call_with_hooks", None)
    assert nn.Identity()(3) == 3
