"""Recurrent layers, cells and packed batches beside PyTorch's: values, gradients, forms, errors."""

import warnings
from itertools import product

import pytest
from support import ours, same

import lazytorch
from lazytorch import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.pytorch

KINDS = [("LSTM", {}), ("GRU", {}), ("RNN", {}), ("RNN", {"nonlinearity": "relu"})]
OPTIONS = [
    {},
    {"bias": False, "batch_first": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3},
]
PROJECTED = [("LSTM", {"proj_size": 2, **o}) for o in OPTIONS[::2]]
CASES = [(name, {**k, **o}) for (name, k), o in product(KINDS, OPTIONS)] + PROJECTED


def draw(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=dtype)


def both(name, *args, dtype=torch.float64, **options):
    """PyTorch's module and ours with its weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = getattr(torch.nn, name)(*args, **options).to(dtype)
        mine = getattr(nn, name)(*args, **options)
    for parameter, other in zip(real.parameters(), mine.parameters(), strict=True):
        other.data = ours(parameter.detach())
    assert [n for n, _ in real.named_parameters()] == [n for n, _ in mine.named_parameters()]
    assert repr(mine) == repr(real)
    return real, mine


def states_of(module, batch, dtype=torch.float64):
    """Initial states that want gradients."""
    count = module.num_layers * (2 if module.bidirectional else 1)
    sizes = [module.proj_size or module.hidden_size]
    if module.mode == "LSTM":
        sizes.append(module.hidden_size)
    shapes = [(count, *batch, size) for size in sizes]
    return [draw(*shape, dtype=dtype).requires_grad_() for shape in shapes]


def flat(x):
    """Every tensor in a result."""
    if isinstance(x, (torch.Tensor, lazytorch.Tensor)):
        return [x]
    return [t for part in x if part is not None for t in flat(part)]


def compare(real, mine, inputs, states, run, second=False):
    """Same outputs and gradients, of the outputs' weighted sum; and those of the gradients'."""
    sides = []
    for module, convert, torch_ in ((real, lambda t: t, torch), (mine, ours, lazytorch)):
        x, hx = convert(inputs), [convert(s) for s in states]
        given = None if not hx else hx[0] if len(hx) == 1 else tuple(hx)
        outputs = [t for t in flat(run(torch_, module, x, given)) if t.dtype.is_floating_point]
        loss = sum([(t * convert(draw(*t.shape, dtype=inputs.dtype))).sum() for t in outputs])
        wanted = [x, *hx, *module.parameters()]
        grads = torch_.autograd.grad(loss, wanted, create_graph=second)
        more = ()
        if second:
            total = sum([(g * g).sum() for g in grads])
            more = torch_.autograd.grad(total, wanted, allow_unused=True)
        sides.append((tuple(outputs), tuple(grads), tuple(more)))
    (expected, found) = sides
    for f, e in zip(found, expected, strict=True):
        pairs = [(a, b) for a, b in zip(f, e, strict=True) if b is not None]
        same(tuple([a for a, _ in pairs]), tuple([b for _, b in pairs]), tolerance=100)


def plainly(_torch, module, x, hx):
    return module(x, hx)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@pytest.mark.parametrize("started", [False, True])
def test_layers(name, options, started):
    real, mine = both(name, 4, 3, **options)
    shape = (2, 5, 4) if options.get("batch_first") else (5, 2, 4)
    states = states_of(real, (2,)) if started else []
    compare(real, mine, draw(*shape).requires_grad_(), states, plainly)


@pytest.mark.parametrize(("name", "options"), KINDS + PROJECTED[:1], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 3, 4), (6, 4)])
def test_awkward_shapes(name, options, shape):
    real, mine = both(name, 4, 17, dtype=torch.float32, **options)
    states = states_of(real, shape[1:-1], torch.float32)
    x = draw(*shape, dtype=torch.float32).requires_grad_()
    compare(real, mine, x, states, plainly)


@pytest.mark.parametrize(("name", "options"), KINDS + PROJECTED[:1], ids=str)
def test_second_derivatives(name, options):
    real, mine = both(name, 3, 3, **options)
    compare(real, mine, draw(3, 2, 3).requires_grad_(), states_of(real, (2,)), plainly, True)


@pytest.mark.parametrize(("name", "options"), CASES[1:3] + CASES[6:7] + PROJECTED[1:], ids=str)
@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 5, 4], [3, 3, 3]])
def test_packed(name, options, lengths):
    real, mine = both(name, 4, 3, **options)
    first = bool(options.get("batch_first"))

    def run(torch_, module, x, hx):
        rnn = torch_.nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, lengths, first, enforce_sorted=False)
        output, last = module(packed, hx)
        return [output, rnn.pad_packed_sequence(output, first, -1.0, 7), last]

    shape = (3, 6, 4) if first else (6, 3, 4)
    compare(real, mine, draw(*shape).requires_grad_(), states_of(real, (3,)), run)


@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
@pytest.mark.parametrize("shape", [(2, 4), (4,)])
def test_cells(name, options, shape):
    real, mine = both(name + "Cell", 4, 3, **options)
    count = 2 if name == "LSTM" else 1
    states = [draw(*shape[:-1], 3).requires_grad_() for _ in range(count)]
    compare(real, mine, draw(*shape).requires_grad_(), states, plainly, second=True)
    compare(real, mine, draw(*shape).requires_grad_(), [], lambda _, m, x, hx: m(x, hx)[:1])


def test_dropout_between_layers():
    torch_mask_free = nn.LSTM(3, 4, 2, dropout=0.5)
    x = lazytorch.ones(5, 2, 3)
    assert not torch_mask_free(x)[0].equal(torch_mask_free(x)[0])
    torch_mask_free.eval()
    assert torch_mask_free(x)[0].equal(torch_mask_free(x)[0])


def test_initial_values():
    lazytorch.manual_seed(0)
    for parameter in nn.GRU(40, 100, 2).parameters():
        assert 0.09 < parameter.abs().max().item() <= 0.1


def test_state_stays_between_calls():
    real, mine = both("LSTM", 4, 3)
    x = draw(4, 2, 4)
    hx, lazy_hx = None, None
    for _ in range(3):
        expected, hx = real(x, hx)
        found, lazy_hx = mine(ours(x), lazy_hx)
        same(found, expected)


def test_sequences():
    rnn, lazy = torch.nn.utils.rnn, nn.utils.rnn
    parts = [draw(n, 2) for n in (2, 5, 3)]
    lazy_parts = [ours(p) for p in parts]
    for options in ({}, {"batch_first": True, "padding_value": 3.0}, {"padding_side": "left"}):
        same(lazy.pad_sequence(lazy_parts, **options), rnn.pad_sequence(parts, **options))
    packed = lazy.pack_sequence(lazy_parts, enforce_sorted=False)
    expected = rnn.pack_sequence(parts, enforce_sorted=False)
    same(tuple(packed), tuple(expected))
    same(lazy.unpack_sequence(packed), rnn.unpack_sequence(expected))
    assert packed.float().data.dtype == lazytorch.float32 and packed.to(packed.data.dtype) is packed
    permutation = torch.tensor([2, 0, 1])
    same(lazy.invert_permutation(ours(permutation)), rnn.invert_permutation(permutation))


def error(action):
    with pytest.raises(Exception) as found:
        action()
    return found.type, str(found.value).replace("lazytorch", "torch")


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t.nn.LSTM(0, 3),
        lambda t: t.nn.LSTM(3, 3, proj_size=3),
        lambda t: t.nn.GRU(3, 3, proj_size=1),
        lambda t: t.nn.LSTM(3, 3, bias=1),
        lambda t: t.nn.LSTM(3, 3.0),
        lambda t: t.nn.RNN(3, 3, nonlinearity="sin"),
        lambda t: t.nn.LSTM(3, 3, dropout=2),
        lambda t: t.nn.LSTM(3, 3)(t.zeros(3)),
        lambda t: t.nn.RNN(3, 3)(t.zeros(3)),
        lambda t: t.nn.LSTM(3, 3)(t.zeros(2, 2, 4)),
        lambda t: t.nn.LSTM(3, 3)(t.zeros(0, 2, 3)),
        lambda t: t.nn.LSTM(3, 3)(t.zeros(2, 2, 3), (t.zeros(1, 1, 3), t.zeros(1, 2, 3))),
        lambda t: t.nn.LSTM(3, 3)(t.zeros(2, 2, 3), (t.zeros(1, 2, 3), t.zeros(1, 2, 4))),
        lambda t: t.nn.LSTM(3, 3)(t.zeros(2, 3), (t.zeros(1, 2, 3), t.zeros(1, 2, 3))),
        lambda t: t.nn.GRU(3, 3)(t.zeros(2, 2, 3), t.zeros(1, 3)),
        lambda t: t.nn.GRU(3, 3)(t.zeros(2, 2, 3, dtype=t.float64)),
        lambda t: t.nn.GRUCell(3, 3)(t.zeros(2, 2, 3)),
        lambda t: t.nn.LSTMCell(3, 3)(t.zeros(2, 4)),
        lambda t: t.nn.RNNCell(3, 3)(t.zeros(2, 3), t.zeros(2, 4)),
        lambda t: t.nn.RNNCell(3, 3)(t.zeros(2, 3), t.zeros(3, 3)),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.zeros(3, 2, 1), [1, 2]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.zeros(3, 2, 1), [2, 0]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.zeros(3, 2, 1), [2]),
        lambda t: t.nn.utils.rnn.pad_packed_sequence(
            t.nn.utils.rnn.pack_sequence([t.zeros(3, 1)]), total_length=2
        ),
    ],
)
def test_errors(use):
    assert error(lambda: use(lazytorch)) == error(lambda: use(torch))


def test_functions():
    real, mine = both("LSTM", 4, 3)
    x, states = draw(5, 2, 4), [draw(1, 2, 3), draw(1, 2, 3)]
    options = (True, 1, 0.0, False, False, False)
    expected = torch.lstm(x, states, list(real.parameters()), *options)
    found = lazytorch.lstm(ours(x), ours(states), list(mine.parameters()), *options)
    same(found, expected)


def test_kernels_of_a_sequence_can_be_read():
    layer = nn.LSTM(4, 8)
    output = layer(lazytorch.ones(6, 3, 4))[0]
    output.sum().backward()
    found = lazytorch.kernels(layer.weight_hh_l0.grad)
    assert any("turn of a loop" in k.source for k in found)
    assert len(found) < 40
