"""The workloads as TensorFlow 1.x programs: they run on Headrace and on TensorFlow's graph mode alike.

`ROWS[name](tf)` builds the workload and returns a function that runs one step.
"""

import numpy as np

rng = np.random.RandomState(0)


def random(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def variable(tf, *shape, scale=None):
    scale = scale if scale is not None else (2.0 / np.prod(shape[:-1])) ** 0.5
    return tf.Variable(tf.random_normal(shape, stddev=scale), use_resource=True)


def zeros(tf, *shape):
    return tf.Variable(tf.zeros(shape), use_resource=True)


def ones(tf, *shape):
    return tf.Variable(tf.ones(shape), use_resource=True)


def stepper(tf, fetch, feeds=None, other_feeds=None, config=None):
    """A function that runs a step. Its `other` runs one with `other_feeds`, its `trace` says what ran."""
    session = tf.Session(config=config or tf.ConfigProto(inter_op_parallelism_threads=1))
    session.run(tf.global_variables_initializer())

    def trace():
        """[(operation, start in ms, end in ms, bytes written)] of the nodes of one step."""
        metadata = tf.RunMetadata()
        session.run(fetch, feeds, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), metadata)
        return [
            (
                node.timeline_label.split(" = ")[-1].split("(")[0],
                node.all_start_nanos / 1e6,
                (node.all_start_nanos + node.op_end_rel_nanos) / 1e6,
                sum(memory.total_bytes for memory in node.memory),
            )
            for device in metadata.step_stats.dev_stats
            for node in device.node_stats
        ]

    step = lambda: session.run(fetch, feeds)  # noqa: E731
    step.trace = trace
    if other_feeds is not None:
        step.other = lambda: session.run(fetch, other_feeds)
    return step


def computed(tensor):
    """What to fetch to have a tensor computed, but not handed over."""
    return tensor.op


def sgd(tf, loss, rate=0.01):
    return tf.train.GradientDescentOptimizer(rate).minimize(loss)


def labels(batch, classes):
    return rng.randint(0, classes, batch).astype(np.int64)


def matmul(tf):
    a, b = variable(tf, 1024, 1024), variable(tf, 1024, 1024)
    return stepper(tf, computed(tf.matmul(a, b)))


def elementwise(tf):
    x = variable(tf, 4_000_000, scale=1.0).value()
    return stepper(tf, computed(tf.tanh(2.0 * x + 1.0) * tf.sigmoid(x) - tf.square(x)))


def linear_regression(tf):
    x, y = tf.placeholder(tf.float32, [None, 1]), tf.placeholder(tf.float32, [None, 1])
    w, b = variable(tf, 1, 1), zeros(tf, 1)
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - y))
    data = random(100, 1)
    return stepper(tf, sgd(tf, loss), {x: data, y: 3 * data + 2})


def mlp(tf):
    x, y = tf.placeholder(tf.float32, [None, 784]), tf.placeholder(tf.int64, [None])
    h = x
    for units_in, units in ((784, 512), (512, 512)):
        h = tf.nn.relu(tf.matmul(h, variable(tf, units_in, units)) + zeros(tf, units))
    logits = tf.matmul(h, variable(tf, 512, 10)) + zeros(tf, 10)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    return stepper(tf, sgd(tf, loss), {x: random(128, 784), y: labels(128, 10)})


def lenet(tf):
    x, y = tf.placeholder(tf.float32, [None, 28, 28, 1]), tf.placeholder(tf.int64, [None])
    h = x
    for size_in, size in ((1, 32), (32, 64)):
        h = tf.nn.conv2d(h, variable(tf, 5, 5, size_in, size), strides=[1, 1, 1, 1], padding="SAME")
        h = tf.nn.relu(tf.nn.bias_add(h, zeros(tf, size)))
        h = tf.nn.max_pool(h, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    h = tf.reshape(h, [-1, 7 * 7 * 64])
    h = tf.nn.relu(tf.matmul(h, variable(tf, 7 * 7 * 64, 1024)) + zeros(tf, 1024))
    logits = tf.matmul(h, variable(tf, 1024, 10)) + zeros(tf, 10)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    return stepper(tf, sgd(tf, loss), {x: random(64, 28, 28, 1), y: labels(64, 10)})


def resnet50(tf, x, training):
    dtype = x.dtype

    def conv_bn(h, size_in, size, kernel, stride, relu=True):
        w = tf.cast(variable(tf, kernel, kernel, size_in, size), dtype)
        h = tf.nn.conv2d(h, w, [1, stride, stride, 1], "SAME")
        scale, offset = ones(tf, size), zeros(tf, size)
        if training:
            h, _, _ = tf.nn.fused_batch_norm(h, scale, offset, is_training=True)
        else:
            mean, variance = zeros(tf, size), ones(tf, size)
            h, _, _ = tf.nn.fused_batch_norm(h, scale, offset, mean, variance, is_training=False)
        return tf.nn.relu(h) if relu else h

    h = conv_bn(x, 3, 64, 7, 2)
    h = tf.nn.max_pool(h, [1, 3, 3, 1], [1, 2, 2, 1], "SAME")
    size_in = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            shortcut = h
            if block == 0:
                shortcut = conv_bn(h, size_in, 4 * width, 1, stride, relu=False)
            h = conv_bn(h, size_in, width, 1, 1)
            h = conv_bn(h, width, width, 3, stride)
            h = conv_bn(h, width, 4 * width, 1, 1, relu=False)
            h = tf.nn.relu(h + shortcut)
            size_in = 4 * width
    h = tf.reduce_mean(h, axis=[1, 2])
    return tf.matmul(h, tf.cast(variable(tf, 2048, 1000), dtype)) + tf.cast(zeros(tf, 1000), dtype)


def resnet50_inference(batch, dtype="float32"):
    def build(tf):
        x = tf.placeholder(tf.float32, [None, 224, 224, 3])
        y = resnet50(tf, tf.cast(x, dtype), training=False)
        return stepper(tf, computed(y), {x: random(batch, 224, 224, 3)})

    return build


def resnet50_training(tf, batch=8, other=4):
    x, y = tf.placeholder(tf.float32, [None, 224, 224, 3]), tf.placeholder(tf.int64, [None])
    logits = resnet50(tf, x, training=True)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    feeds, other_feeds = ({x: random(n, 224, 224, 3), y: labels(n, 1000)} for n in (batch, other))
    return stepper(tf, sgd(tf, loss), feeds, other_feeds)


def lstm(tf, width=256, steps=50, batch=32):
    x, y = tf.placeholder(tf.float32, [batch, steps, width]), tf.placeholder(tf.float32, [batch, width])
    w, b = variable(tf, 2 * width, 4 * width), zeros(tf, 4 * width)
    h = c = tf.zeros([batch, width])
    for x_t in tf.unstack(x, axis=1):
        i, j, f, o = tf.split(tf.matmul(tf.concat([x_t, h], 1), w) + b, 4, axis=1)
        c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(j)
        h = tf.sigmoid(o) * tf.tanh(c)
    loss = tf.reduce_mean(tf.square(h - y))
    return stepper(tf, sgd(tf, loss), {x: random(batch, steps, width), y: random(batch, width)})


def lstm_loop(tf, width=256, steps=50, batch=32):
    """The same with the steps in a loop, which reads its inputs from an array of tensors."""
    x, y = tf.placeholder(tf.float32, [batch, steps, width]), tf.placeholder(tf.float32, [batch, width])
    w, b = variable(tf, 2 * width, 4 * width), zeros(tf, 4 * width)
    inputs = tf.TensorArray(tf.float32, steps, element_shape=[batch, width])
    inputs = inputs.unstack(tf.transpose(x, [1, 0, 2]))
    outputs = tf.TensorArray(tf.float32, steps, element_shape=[batch, width])

    def cell(t, h, c, outputs):
        i, j, f, o = tf.split(tf.matmul(tf.concat([inputs.read(t), h], 1), w) + b, 4, axis=1)
        c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(j)
        h = tf.sigmoid(o) * tf.tanh(c)
        return t + 1, h, c, outputs.write(t, h)

    start = tf.zeros([batch, width])
    outputs = tf.while_loop(lambda t, *_: t < steps, cell, [0, start, start, outputs])[-1]
    loss = tf.reduce_mean(tf.square(outputs.stack()[-1] - y))
    return stepper(tf, sgd(tf, loss), {x: random(batch, steps, width), y: random(batch, width)})


def lstm_dynamic_rnn(tf, width=256, steps=50, batch=32):
    """The same again as `dynamic_rnn` does it."""
    x, y = tf.placeholder(tf.float32, [batch, steps, width]), tf.placeholder(tf.float32, [batch, width])
    w, b = variable(tf, 2 * width, 4 * width), zeros(tf, 4 * width)

    class Cell:
        """Anything with these can be a cell, and TensorFlow 2 has no cells of its own."""

        output_size = width
        state_size = (width, width)

        def zero_state(self, batch_size, dtype):
            return tuple(tf.zeros([batch_size, size], dtype) for size in self.state_size)

        def __call__(self, inputs, state, scope=None):
            h, c = state
            i, j, f, o = tf.split(tf.matmul(tf.concat([inputs, h], 1), w) + b, 4, axis=1)
            c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(j)
            h = tf.sigmoid(o) * tf.tanh(c)
            return h, (h, c)

    outputs, _ = tf.nn.dynamic_rnn(Cell(), x, dtype=tf.float32)
    loss = tf.reduce_mean(tf.square(outputs[:, -1] - y))
    return stepper(tf, sgd(tf, loss), {x: random(batch, steps, width), y: random(batch, width)})


def transformer(tf, width=256, steps=128, batch=16, heads=4, blocks=2):
    x, y = (
        tf.placeholder(tf.float32, [batch, steps, width]),
        tf.placeholder(tf.float32, [batch, steps, width]),
    )

    def dense(h, size_in, size):
        return tf.matmul(h, variable(tf, size_in, size)) + zeros(tf, size)

    def layer_norm(h):
        mean, variance = tf.nn.moments(h, [1], keep_dims=True)
        return (h - mean) * tf.rsqrt(variance + 1e-5) * ones(tf, width) + zeros(tf, width)

    def heads_first(h):
        return tf.transpose(tf.reshape(h, [batch, steps, heads, width // heads]), [0, 2, 1, 3])

    h = tf.reshape(x, [batch * steps, width])
    for _ in range(blocks):
        n = layer_norm(h)
        q, k, v = (heads_first(dense(n, width, width)) for _ in range(3))
        scores = tf.matmul(q, k, transpose_b=True) * (width // heads) ** -0.5
        mixed = tf.matmul(tf.nn.softmax(scores), v)
        mixed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * steps, width])
        h = h + dense(mixed, width, width)
        n = dense(layer_norm(h), width, 4 * width)
        gelu = 0.5 * n * (1.0 + tf.tanh(0.7978845608 * (n + 0.044715 * n * n * n)))
        h = h + dense(gelu, 4 * width, width)
    loss = tf.reduce_mean(tf.square(tf.reshape(h, [batch, steps, width]) - y))
    return stepper(tf, sgd(tf, loss), {x: random(batch, steps, width), y: random(batch, steps, width)})


def null_step(tf):
    return stepper(tf, tf.constant(1.0))


def as_written(tf):
    """A configuration in which every node of the graph is run."""
    config = tf.ConfigProto(inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    return config


def chain(tf, length=10_000):
    x = y = tf.placeholder(tf.float32, [])
    for _ in range(length):
        y = y + x
    return stepper(tf, computed(y), {x: np.float32(1)}, config=as_written(tf))


def fan_out(tf, width=10_000):
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    sums = [(x + y).op for _ in range(width)]
    return stepper(tf, tf.group(*sums), {x: np.float32(1), y: np.float32(1)}, config=as_written(tf))


def feed(tf):
    x = tf.placeholder(tf.float32, [128, 784])
    return stepper(tf, tf.reduce_sum(x), {x: random(128, 784)})


def sparse(rows, width=16, batch=32):
    def build(tf):
        table, ids = zeros(tf, rows, width), tf.placeholder(tf.int32, [batch])
        loss = tf.reduce_sum(tf.square(tf.nn.embedding_lookup(table, ids) - 1.0))
        return stepper(tf, sgd(tf, loss), {ids: rng.randint(0, rows, batch).astype(np.int32)})

    return build


def softmax(sampled, batch=32, units=512, words=40_000, samples=512):
    """The softmax of a language model with its gradients and its update, after the units of an LSTM."""

    def build(tf):
        h, y = tf.placeholder(tf.float32, [batch, units]), tf.placeholder(tf.int64, [batch])
        w, b = variable(tf, words, units, scale=0.05), zeros(tf, words)
        if sampled:
            loss = tf.nn.sampled_softmax_loss(w, b, y[:, None], h, samples, words)
        else:
            logits = tf.matmul(h, w, transpose_b=True) + b
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        loss = tf.reduce_mean(loss)
        below = tf.gradients(loss, h)[0]  # what the rest of the network would go on with
        return stepper(tf, tf.group(below, sgd(tf, loss)), {h: random(batch, units), y: labels(batch, words)})

    return build


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
    "LSTM loop": lstm_loop,
    "LSTM dynamic_rnn": lstm_dynamic_rnn,
    "transformer": transformer,
    "ResNet-50 bfloat16 8": resnet50_inference(8, "bfloat16"),
    "null step": null_step,
    "chain": chain,
    "fan-out": fan_out,
    "feed": feed,
    "sparse 10^3": sparse(10**3),
    "sparse 10^5": sparse(10**5),
    "sparse 10^7": sparse(10**7),
    "full softmax": softmax(sampled=False),
    "sampled softmax": softmax(sampled=True),
}
