"""The workloads in JAX. `ROWS[name]()` returns a function that runs one step."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

rng = np.random.RandomState(0)


def random(*shape, scale=1.0):
    return jnp.asarray((rng.standard_normal(shape) * scale).astype(np.float32))


def weight(*shape):
    return random(*shape, scale=float((2.0 / np.prod(shape[:-1])) ** 0.5))


def dense_weights(size_in, size):
    return weight(size_in, size), jnp.zeros(size)


def dense(p, x):
    return x @ p[0] + p[1]


def trainer(loss, params, inputs, rate=0.01, other=None):
    """One SGD step. Its `other` runs one on other inputs."""

    @jax.jit
    def update(params, *inputs):
        gradients = jax.grad(loss)(params, *inputs)
        return jax.tree_util.tree_map(lambda p, g: p - rate * g, params, gradients)

    state = [params]

    def step(inputs=inputs):
        state[0] = jax.block_until_ready(update(state[0], *inputs))

    if other is not None:
        step.other = lambda: step(other)
    return step


def caller(function, *args):
    compiled = jax.jit(function)
    return lambda: jax.block_until_ready(compiled(*args))


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1))


def labels(batch, classes):
    return jnp.asarray(rng.randint(0, classes, batch))


def matmul():
    return caller(lambda a, b: a @ b, random(1024, 1024), random(1024, 1024))


def elementwise():
    return caller(lambda x: jnp.tanh(2.0 * x + 1.0) * jax.nn.sigmoid(x) - x * x, random(4_000_000))


def linear_regression():
    x = random(100, 1)
    return trainer(lambda p, x, y: jnp.mean((dense(p, x) - y) ** 2), dense_weights(1, 1), (x, 3 * x + 2))


def mlp():
    params = [dense_weights(784, 512), dense_weights(512, 512), dense_weights(512, 10)]

    def loss(params, x, y):
        for p in params[:-1]:
            x = jax.nn.relu(dense(p, x))
        return cross_entropy(dense(params[-1], x), y)

    return trainer(loss, params, (random(128, 784), labels(128, 10)))


def conv(x, w, stride=1):
    return lax.conv_general_dilated(
        x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def max_pool(x, size, stride):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), "SAME")


def lenet():
    params = (
        [(weight(5, 5, 1, 32), jnp.zeros(32)), (weight(5, 5, 32, 64), jnp.zeros(64))],
        [dense_weights(7 * 7 * 64, 1024), dense_weights(1024, 10)],
    )

    def loss(params, x, y):
        convs, denses = params
        for w, b in convs:
            x = max_pool(jax.nn.relu(conv(x, w) + b), 2, 2)
        x = jax.nn.relu(dense(denses[0], x.reshape(x.shape[0], -1)))
        return cross_entropy(dense(denses[1], x), y)

    return trainer(loss, params, (random(64, 28, 28, 1), labels(64, 10)))


def resnet50_weights():
    def conv_bn(size_in, size, kernel):
        return {
            "w": weight(kernel, kernel, size_in, size),
            "scale": jnp.ones(size),
            "offset": jnp.zeros(size),
        }

    params, size_in = {"stem": conv_bn(3, 64, 7), "blocks": []}, 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            layers = [conv_bn(size_in, width, 1), conv_bn(width, width, 3), conv_bn(width, 4 * width, 1)]
            if block == 0:
                layers.append(conv_bn(size_in, 4 * width, 1))
            params["blocks"].append(layers)
            size_in = 4 * width
    params["head"] = dense_weights(2048, 1000)
    return params


def resnet50(params, x, training):
    def conv_bn(p, x, stride=1):
        x = conv(x, p["w"], stride)
        if training:
            mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        else:
            mean, variance = jnp.zeros(x.shape[-1], x.dtype), jnp.ones(x.shape[-1], x.dtype)
        return (x - mean) * (lax.rsqrt(variance + 1e-3) * p["scale"]) + p["offset"]

    x = max_pool(jax.nn.relu(conv_bn(params["stem"], x, 2)), 3, 2)
    starts = {3, 7, 13}
    for i, p in enumerate(params["blocks"]):
        stride = 2 if i in starts else 1
        shortcut = conv_bn(p[3], x, stride) if len(p) == 4 else x
        h = jax.nn.relu(conv_bn(p[0], x))
        h = jax.nn.relu(conv_bn(p[1], h, stride))
        x = jax.nn.relu(conv_bn(p[2], h) + shortcut)
    return dense(params["head"], jnp.mean(x, (1, 2)))


def resnet50_inference(batch, dtype=jnp.float32):
    def build():
        weights, x = resnet50_weights(), random(batch, 224, 224, 3)
        weights, x = jax.tree_util.tree_map(lambda array: array.astype(dtype), (weights, x))
        return caller(lambda p, x: resnet50(p, x, False), weights, x)

    return build


def resnet50_training(batch=8, other=4):
    def loss(params, x, y):
        return cross_entropy(resnet50(params, x, True), y)

    inputs, others = ((random(n, 224, 224, 3), labels(n, 1000)) for n in (batch, other))
    return trainer(loss, resnet50_weights(), inputs, other=others)


def lstm(width=256, steps=50, batch=32):
    def loss(p, x, y):
        def cell(carry, x_t):
            h, c = carry
            i, j, f, o = jnp.split(dense(p, jnp.concatenate([x_t, h], 1)), 4, 1)
            c = jax.nn.sigmoid(f + 1.0) * c + jax.nn.sigmoid(i) * jnp.tanh(j)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        start = jnp.zeros((batch, width)), jnp.zeros((batch, width))
        (h, _), _ = lax.scan(cell, start, jnp.swapaxes(x, 0, 1))
        return jnp.mean((h - y) ** 2)

    return trainer(
        loss, dense_weights(2 * width, 4 * width), (random(batch, steps, width), random(batch, width))
    )


def transformer(width=256, steps=128, batch=16, heads=4, blocks=2):
    def block_weights():
        sizes = [(width, width)] * 4 + [(width, 4 * width), (4 * width, width)]
        return [dense_weights(*size) for size in sizes] + [
            (jnp.ones(width), jnp.zeros(width)) for _ in range(2)
        ]

    def layer_norm(p, h):
        mean, variance = jnp.mean(h, -1, keepdims=True), jnp.var(h, -1, keepdims=True)
        return (h - mean) * lax.rsqrt(variance + 1e-5) * p[0] + p[1]

    def loss(params, x, y):
        h = x
        for q, k, v, out, up, down, norm1, norm2 in params:
            n = layer_norm(norm1, h)
            a, b, c = (dense(p, n).reshape(batch, steps, heads, -1).transpose(0, 2, 1, 3) for p in (q, k, v))
            scores = jax.nn.softmax(a @ b.swapaxes(-1, -2) * (width // heads) ** -0.5)
            mixed = (scores @ c).transpose(0, 2, 1, 3).reshape(batch, steps, width)
            h = h + dense(out, mixed)
            h = h + dense(down, jax.nn.gelu(dense(up, layer_norm(norm2, h)), approximate=True))
        return jnp.mean((h - y) ** 2)

    params = [block_weights() for _ in range(blocks)]
    return trainer(loss, params, (random(batch, steps, width), random(batch, steps, width)))


def null_step():
    return caller(lambda: jnp.float32(1))


def feed():
    total, x = jax.jit(jnp.sum), np.asarray(random(128, 784))
    return lambda: np.asarray(total(x))


def sparse(rows, width=16, batch=32):
    def build():
        def update(table, ids):
            found = table[ids]
            gradient = jax.grad(lambda found: jnp.sum((found - 1.0) ** 2))(found)
            return table.at[ids].add(-0.01 * gradient)

        state, ids = [jnp.zeros((rows, width))], labels(batch, rows)
        compiled = jax.jit(update, donate_argnums=0)

        def step():
            state[0] = jax.block_until_ready(compiled(state[0], ids))

        return step

    return build


def full_softmax(batch=32, units=512, words=40_000):
    def loss(p, x, y):
        return cross_entropy(dense(p, x), y)

    return trainer(loss, dense_weights(units, words), (random(batch, units), labels(batch, words)))


ROWS = {
    "matmul 1024": matmul,
    "elementwise 4M": elementwise,
    "linear regression": linear_regression,
    "MLP": mlp,
    "LeNet": lenet,
    "ResNet-50 inference 1": resnet50_inference(1),
    "ResNet-50 inference 8": resnet50_inference(8),
    "ResNet-50 training 8": resnet50_training,
    "LSTM": lstm,
    "transformer": transformer,
    "ResNet-50 bfloat16 8": resnet50_inference(8, jnp.bfloat16),
    "null step": null_step,
    "feed": feed,
    "sparse 10^3": sparse(10**3),
    "sparse 10^5": sparse(10**5),
    "sparse 10^7": sparse(10**7),
    "full softmax": full_softmax,
}
