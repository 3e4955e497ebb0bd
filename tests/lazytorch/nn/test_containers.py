"""Containers of modules and parameters against real PyTorch, told as stories."""

from collections import OrderedDict

import pytest
from module_comparison import both, torch

pytestmark = pytest.mark.pytorch


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
