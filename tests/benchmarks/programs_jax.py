"""Programs of ``programs.py`` written for JAX: text that defines ``step``, under the same names.

They find in scope ``jax``, ``jnp``, ``rand`` and ``integers``. Steps that train keep their state in
a list and donate it.
"""

from __future__ import annotations

_LAYERS = """
x, y = rand(64, 1000), rand(64, 10)
params = [rand(1000, 100) / 32, jnp.zeros(100), rand(100, 10) / 10, jnp.zeros(10)]
def loss(p):
    w1, b1, w2, b2 = p
    return jnp.mean((jax.nn.relu(x @ w1 + b1) @ w2 + b2 - y) ** 2)
"""
_ADAM = """
def update(params, m, v, t):
    value, grads = jax.value_and_grad(loss)(params)
    t = t + 1
    m = [0.9 * a + 0.1 * g for a, g in zip(m, grads)]
    v = [0.999 * a + 0.001 * g * g for a, g in zip(v, grads)]
    c1, c2 = 1 - 0.9 ** t, 1 - 0.999 ** t
    params = [p - 1e-4 * (a / c1) / (jnp.sqrt(b / c2) + 1e-8) for p, a, b in zip(params, m, v)]
    return params, m, v, t, value
update = jax.jit(update, donate_argnums=(0, 1, 2))
zeros = lambda: [jnp.zeros_like(p) for p in params]
state = [params, zeros(), zeros(), jnp.float32(0)]
def step():
    *state[:], value = update(*state)
    return value
"""
_SGD = """
def update(params, momentum):
    value, grads = jax.value_and_grad(loss)(params)
    momentum = [0.9 * b + g for b, g in zip(momentum, grads)]
    return [p - 0.001 * b for p, b in zip(params, momentum)], momentum, value
update = jax.jit(update, donate_argnums=(0, 1))
state = [params, [jnp.zeros_like(p) for p in params]]
def step():
    *state[:], value = update(*state)
    return value
"""
_BY_HAND = """
x, y = rand(64, 1000), rand(64, 10)
state = [[rand(1000, 100) * 0.01, rand(100, 10) * 0.01]]
def loss(p):
    return jnp.sum((jnp.maximum(x @ p[0], 0) @ p[1] - y) ** 2)
def update(p):
    value, grads = jax.value_and_grad(loss)(p)
    return [a - 1e-6 * g for a, g in zip(p, grads)], value
update = jax.jit(update, donate_argnums=0)
def step():
    state[0], value = update(state[0])
    return value
"""
_LENET = """
x, y = rand(BATCH, 3, 32, 32), jnp.arange(BATCH) % 10
params = [rand(6, 3, 5, 5) / 5, jnp.zeros(6), rand(16, 6, 5, 5) / 5, jnp.zeros(16),
          rand(400, 120) / 20, jnp.zeros(120), rand(120, 84) / 11, jnp.zeros(84),
          rand(84, 10) / 9, jnp.zeros(10)]
def conv(x, w, b):
    y = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID")
    y = jax.nn.relu(y + b[:, None, None])
    return jax.lax.reduce_window(y, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
def loss(p):
    h = conv(conv(x, p[0], p[1]), p[2], p[3]).reshape(BATCH, -1)
    h = jax.nn.relu(jax.nn.relu(h @ p[4] + p[5]) @ p[6] + p[7]) @ p[8] + p[9]
    return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(BATCH), y])
"""
_STEP = "f = jax.jit({})\ndef step():\n    return f({})"


def _kernel(setup: str, function: str, arguments: str) -> str:
    return f"{setup}\n" + _STEP.format(function, arguments)


_PRODUCTS = {
    f"matmul {n}{kind}": _kernel(
        f"a, b = rand({n}, {n}), rand({n}, {n})", f"lambda a, b: {left} @ {right}", "a, b"
    )
    for n in (64, 128, 256, 512, 1024, 2048)
    for kind, left, right in (("", "a", "b"), (" Aᵀ", "a.T", "b"), (" Bᵀ", "a", "b.T"))
}
_CAUSAL = (
    "lambda q, k, v: jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((512, 512), bool)), "
    "q @ k.swapaxes(2, 3) / 8, -jnp.inf)) @ v"
)

JAX_PROGRAMS: dict[str, str] = {
    **_PRODUCTS,
    "two layers, Adam": _LAYERS + _ADAM,
    "two layers by hand": _BY_HAND,
    "LeNet, batch 4": _LENET.replace("BATCH", "4") + _SGD,
    "LeNet, batch 64": _LENET.replace("BATCH", "64") + _SGD,
    "gelu(x*a+b), 16M": _kernel(
        "x, a, b = rand(1 << 24), rand(1 << 24), rand(1 << 24)",
        "lambda x, a, b: jax.nn.gelu(x * a + b, approximate=False)", "x, a, b",
    ),
    "softmax 4096×1024": _kernel("x = rand(4096, 1024)", "jax.nn.softmax", "x"),
    "layer norm 4096×1024": _kernel("x = rand(4096, 1024)", "jax.nn.standardize", "x"),
    "sum 16M": _kernel("x = rand(1 << 24)", "jnp.sum", "x"),
    "100 chained adds of 10": "x = rand(10)\n@jax.jit\ndef f(x):\n    y = x\n"
    "    for _ in range(100):\n        y = y + x\n    return y\ndef step():\n    return f(x)",
    "100 products of 64 in a chain": "a, b = rand(64, 64), rand(64, 64) / 8\n@jax.jit\n"
    "def f(a, b):\n    for _ in range(100):\n        a = a @ b\n    return a\n"
    "def step():\n    return f(a, b)",
    "matmul 1024 bf16": _kernel(
        "a, b = (rand(1024, 1024).astype(jnp.bfloat16) for _ in range(2))",
        "lambda a, b: a @ b", "a, b",
    ),
    "attention 4×8×512×64": _kernel(
        "q, k, v = (rand(4, 8, 512, 64) for _ in range(3))", _CAUSAL, "q, k, v"
    ),
    "embedding and its gradient": _kernel(
        "w, i, seed = rand(50257, 256), integers(50257, 8192), rand(8192, 256)",
        "jax.grad(lambda w, i, seed: jnp.sum(w[i] * seed))", "w, i, seed",
    ),
    "cumsum 16M": _kernel("x = rand(1 << 24)", "jnp.cumsum", "x"),
    "sort 1M": _kernel(
        "x = rand(1 << 20)", "lambda x: jax.lax.sort((x, jnp.arange(x.size)), num_keys=1)", "x"
    ),
    "transposing copy 4096²": _kernel("x = rand(4096, 4096)", "lambda x: x.T + 0", "x"),
    "x + xᵀ, 2048²": _kernel("x = rand(2048, 2048)", "lambda x: x + x.T", "x"),
}  # fmt: skip
