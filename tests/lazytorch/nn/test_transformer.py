"""Multi-head attention and transformers against real PyTorch, under every kind of mask."""

import copy
import inspect
import itertools
import warnings

import pytest
from module_comparison import (
    both,
    build,
    compare_gradients,
    first,
    ours,
    outcome,
    randn,
    same_state,
    torch,
)

import lazytorch
from lazytorch import nn

pytestmark = pytest.mark.pytorch

BATCH, ROWS, COLUMNS, SIZE, HEADS = 2, 4, 5, 8, 2


def causal(rows, columns=None):
    return torch.ones(rows, columns or rows, dtype=torch.bool).triu(1)


def padding(columns):
    mask = torch.zeros(BATCH, columns, dtype=torch.bool)
    mask[1, -2:] = True
    return mask


def as_numbers(mask):
    return torch.zeros(mask.shape).masked_fill(mask, -1.5)


ATTENTIONS = [
    {}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "bias": False}, {"kdim": 6, "vdim": 3},
    {"kdim": 6, "bias": False, "add_bias_kv": True},
]  # fmt: skip
MASKS = {
    "none": {},
    "causal": {"attn_mask": causal(ROWS, COLUMNS)},
    "numbers": {"attn_mask": as_numbers(causal(ROWS, COLUMNS))},
    "each head": {"attn_mask": as_numbers(causal(ROWS, COLUMNS)).repeat(BATCH * HEADS, 1, 1)},
    "padding": {"key_padding_mask": padding(COLUMNS)},
    "both": {"key_padding_mask": padding(COLUMNS), "attn_mask": causal(ROWS, COLUMNS)},
    "both numbers": {
        "key_padding_mask": as_numbers(padding(COLUMNS)), "attn_mask": causal(ROWS, COLUMNS)
    },
}  # fmt: skip


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("options", ATTENTIONS, ids=str)
def test_attention(options, mask):
    forms = itertools.product((True, False), (False, True))
    for batch_first, need_weights in forms:
        theirs, our = build(
            "MultiheadAttention", (SIZE, HEADS), {**options, "batch_first": batch_first}
        )
        same_state(theirs, our)
        sizes = (SIZE, options.get("kdim", SIZE), options.get("vdim", SIZE))
        inputs = []
        for length, size in zip((ROWS, COLUMNS, COLUMNS), sizes, strict=True):
            x = randn(BATCH, length, size)
            inputs.append(x if batch_first else x.transpose(0, 1).contiguous())
        if len(set(sizes)) == 1:
            inputs[2] = inputs[1]
        compare_gradients(theirs, our, inputs, need_weights=need_weights, **MASKS[mask])


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_attention_weights(average, batched, training):
    theirs, our = build("MultiheadAttention", (SIZE, HEADS), {"batch_first": True})
    same_state(theirs, our)
    theirs.train(training)
    our.train(training)
    x = randn(BATCH, ROWS, SIZE) if batched else randn(ROWS, SIZE)
    mask = causal(ROWS)
    with torch.no_grad(), lazytorch.no_grad():
        expected = theirs(x, x, x, attn_mask=mask, average_attn_weights=average)
        y = ours(x)
        found = our(y, y, y, attn_mask=ours(mask), average_attn_weights=average)
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.tensor(f.tolist()), e)


def test_attention_to_nothing():
    mask = torch.ones(ROWS, ROWS, dtype=torch.bool)
    for need_weights in (True, False):
        theirs, our = build("MultiheadAttention", (SIZE, HEADS), {})
        same_state(theirs, our)
        x = randn(ROWS, BATCH, SIZE)
        expected = theirs(x, x, x, attn_mask=mask, need_weights=need_weights)
        y = ours(x)
        found = our(y, y, y, attn_mask=ours(mask), need_weights=need_weights)
        torch.testing.assert_close(
            torch.tensor(found[0].tolist()), expected[0].detach(), equal_nan=True
        )


def test_attention_over_given_keys():
    theirs, our = build("MultiheadAttention", (SIZE, HEADS), {})
    same_state(theirs, our)
    x, static = randn(ROWS, BATCH, SIZE), randn(BATCH * HEADS, 3, SIZE // HEADS)

    def use(n, t, m):
        y = t(x)
        return n.functional.multi_head_attention_forward(
            y, y, y, SIZE, HEADS, m.in_proj_weight, m.in_proj_bias, None, None, False, 0.0,
            m.out_proj.weight, m.out_proj.bias, static_k=t(static), static_v=t(static),
        )  # fmt: skip

    expected, found = use(torch.nn, lambda v: v, theirs), use(nn, ours, our)
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.tensor(f.tolist()), e.detach())


LAYER_OPTIONS = [
    {}, {"norm_first": True}, {"activation": "gelu", "bias": False},
    {"batch_first": True, "norm_first": True, "layer_norm_eps": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
@pytest.mark.parametrize("options", LAYER_OPTIONS, ids=str)
def test_transformer_layers(kind, options):
    theirs, our = build(f"Transformer{kind}Layer", (SIZE, HEADS, 12), {"dropout": 0.0, **options})
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    same_state(theirs, our)
    shape = (BATCH, ROWS, SIZE) if options.get("batch_first") else (ROWS, BATCH, SIZE)
    x, memory = randn(*shape), randn(*shape) + 1
    if kind == "Encoder":
        compare_gradients(
            theirs, our, [x], src_mask=causal(ROWS), src_key_padding_mask=padding(ROWS)
        )
        return
    compare_gradients(
        theirs, our, [x, memory], tgt_mask=causal(ROWS), memory_key_padding_mask=padding(ROWS)
    )


@pytest.mark.parametrize("options", [{}, {"batch_first": True, "norm_first": True}], ids=str)
def test_transformer(options):
    theirs, our = build("Transformer", (SIZE, HEADS, 2, 2, 12, 0.0), options)
    assert repr(our) == repr(theirs)
    assert list(our.state_dict()) == list(theirs.state_dict())
    same_state(theirs, our)
    shape = (BATCH, ROWS, SIZE) if options else (ROWS, BATCH, SIZE)
    mask = theirs.generate_square_subsequent_mask(ROWS)
    assert our.generate_square_subsequent_mask(ROWS).tolist() == mask.tolist()
    compare_gradients(
        theirs, our, [randn(*shape), randn(*shape)], tgt_mask=mask, src_mask=mask,
        memory_mask=mask, tgt_is_causal=True,
    )  # fmt: skip


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("options", [{"batch_first": True}, {}, {"enable_nested_tensor": False}])
def test_encoder_in_evaluation(options, at_end):
    def make(n, t):
        options_ = dict(options)
        nested = options_.pop("enable_nested_tensor", True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = n.TransformerEncoderLayer(SIZE, HEADS, 12, **options_)
            return n.TransformerEncoder(layer, 2, n.LayerNorm(SIZE), nested)

    theirs, our = both(make)
    same_state(theirs, our)
    theirs.eval()
    our.eval()
    shape = (BATCH, ROWS, SIZE) if options.get("batch_first") else (ROWS, BATCH, SIZE)
    mask = padding(ROWS) if at_end else padding(ROWS).flip(1)
    x = randn(*shape)
    with torch.no_grad(), lazytorch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(x, src_key_padding_mask=mask)
        found = our(ours(x), src_key_padding_mask=ours(mask))
    torch.testing.assert_close(torch.tensor(found.tolist()), expected)


def errors(n, t):
    m = n.MultiheadAttention(4, 2)
    wide = n.MultiheadAttention(4, 2, kdim=3)
    x, flat = t(torch.ones(3, 2, 4)), t(torch.ones(3, 4))
    forward = n.functional.multi_head_attention_forward
    rest = (None, None, False, 0.0, m.out_proj.weight, m.out_proj.bias)
    packed = (m.in_proj_weight, m.in_proj_bias)

    def zeros(*shape, dtype=torch.float32):
        return t(torch.zeros(*shape, dtype=dtype))

    return {
        "sizes": lambda: n.MultiheadAttention(0, 1),
        "heads": lambda: n.MultiheadAttention(5, 2),
        "rank": lambda: m(x[None], x[None], x[None]),
        "key rank": lambda: m(x, flat, x),
        "unbatched key rank": lambda: m(flat, x, x),
        "padding rank": lambda: m(x, x, x, key_padding_mask=zeros(3)),
        "unbatched padding rank": lambda: m(flat, flat, flat, key_padding_mask=zeros(3, 1)),
        "padding rows": lambda: m(x, x, x, key_padding_mask=zeros(3, 3)),
        "padding columns": lambda: m(x, x, x, key_padding_mask=zeros(2, 2)),
        "mask rank": lambda: m(x, x, x, attn_mask=zeros(3)),
        "unbatched mask rank": lambda: m(flat, flat, flat, attn_mask=zeros(3)),
        "unbatched mask": lambda: m(flat, flat, flat, attn_mask=zeros(1, 3, 3)),
        "mask": lambda: m(x, x, x, attn_mask=zeros(2, 3)),
        "masks": lambda: m(x, x, x, attn_mask=zeros(2, 3, 3)),
        "mask type": lambda: m(x, x, x, attn_mask=zeros(3, 3, dtype=torch.int64)),
        "padding type": lambda: m(x, x, x, key_padding_mask=zeros(3, dtype=torch.int64)),
        "causal": lambda: m(x, x, x, is_causal=True),
        "embedding": lambda: m(*[t(torch.ones(3, 2, 5))] * 3),
        "key": lambda: m(x, x, x[:2]),
        "key of its own size": lambda: wide(x, zeros(2, 2, 3), x),
        "separate key": lambda: wide(x, x, x),
        "packed": lambda: forward(x, x, x, 4, 2, None, None, *rest),
        "separate": lambda: forward(x, x, x, 4, 2, *packed, *rest, use_separate_proj_weight=True),
        "static": lambda: forward(x, x, x, 4, 2, *packed, *rest, static_k=zeros(2, 3, 2)),
        "static size": lambda: forward(x, x, x, 4, 2, *packed, *rest, static_v=zeros(4, 3, 3)),
        "activation": lambda: n.TransformerEncoderLayer(4, 2, activation="tanh"),
        "batches": lambda: n.Transformer(4, 2, 1, 1, 4)(x, x[:, :1]),
        "features": lambda: n.Transformer(4, 2, 1, 1, 4)(x, x[:, :, :1]),
    }


@pytest.mark.parametrize("name", errors(torch.nn, lambda v: v))
def test_error(name):
    expected, got = both(lambda n, t: outcome(errors(n, t)[name]))
    assert expected is not None
    assert got == expected


@pytest.mark.parametrize(
    "options",
    [
        {"bias": False, "batch_first": True},
        {"activation": "gelu"},
        {"norm_first": True, "batch_first": True},
        {"nhead": 1, "batch_first": True},
    ],
)
def test_encoder_warns_of_no_nesting(options):
    def story(n, t):
        layer = n.TransformerEncoderLayer(**{"d_model": 4, "nhead": 2, **options})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            n.TransformerEncoder(layer, 1)
        return [str(w.message) for w in caught]

    expected, got = both(story)
    assert got == expected


@pytest.mark.parametrize(
    "name",
    [
        "MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerDecoder",
        "TransformerEncoderLayer", "TransformerDecoderLayer",
    ],
)  # fmt: skip
def test_signatures(name):
    for method in ("__init__", "forward"):
        of = [
            [(p.name, p.kind) for p in inspect.signature(f).parameters.values()]
            for f in (getattr(getattr(m, name), method) for m in (nn, torch.nn))
        ]
        assert of[0] == of[1]


def test_choice_of_kernels():
    def story(n, t):
        attention = n.attention
        x = t(randn(2, 3, 4))
        with attention.sdpa_kernel([attention.SDPBackend.MATH]):
            value = n.functional.scaled_dot_product_attention(x, x, x)
        names = {k: int(v) for k, v in attention.SDPBackend.__members__.items()}
        return names, outcome(lambda: attention.sdpa_kernel(3).__enter__()), value

    pytest.importorskip("torch.nn.attention")
    expected, got = both(story)
    assert got[:2] == expected[:2]
    torch.testing.assert_close(torch.tensor(got[2].tolist()), expected[2])


def test_dropout_and_copies():
    layer = nn.TransformerEncoderLayer(SIZE, HEADS, 12, dropout=0.5)
    x = ours(randn(ROWS, BATCH, SIZE))
    assert layer(x).tolist() != layer(x).tolist()
    twin = copy.deepcopy(layer).eval()
    layer.eval()
    assert first(twin(x)).tolist() == layer(x).tolist()
