"""Programs with conditions and loops. Each is a function of the `tensorflow` module that returns (feeds,
fetches): a list of feeds to run one after the other, and the tensors to fetch in each. Variables are
initialised before.
"""

import numpy as np

X = np.arange(6, dtype=np.float32).reshape(2, 3) / 5 + 0.1


def _x(tf, shape=(2, 3)):
    return tf.placeholder(tf.float32, shape, name="x")


def _n(tf):
    return tf.placeholder(tf.int32, [], name="n")


def _with_gradient(tf, x, *ys):
    return [*ys, tf.gradients(list(ys), x)[0]]


def condition(tf):
    x, p = _x(tf), tf.placeholder(tf.bool, [], name="p")
    y = tf.cond(p, lambda: tf.tanh(x) * 2, lambda: x + 1)
    return [{x: X, p: True}, {x: X, p: False}], _with_gradient(tf, x, y)


def condition_in_condition(tf):
    x, p = _x(tf), tf.placeholder(tf.bool, [], name="p")
    q = tf.placeholder(tf.bool, [], name="q")
    y = tf.cond(p, lambda: tf.cond(q, lambda: tf.sin(x) * x, lambda: tf.exp(x)), lambda: x * x * 3.0)
    return [{x: X, p: a, q: b} for a in (True, False) for b in (True, False)], _with_gradient(tf, x, y)


def cases(tf):
    x = _x(tf, [])
    pairs = [(x < 0, lambda: -x), (x < 1, lambda: x * x), (x < 2, lambda: x + 5)]
    y = tf.case(pairs, default=lambda: tf.constant(7.0))
    return [{x: value} for value in (-3.0, 0.5, 1.5, 9.0)], _with_gradient(tf, x, y)


def effects(tf):
    p = tf.placeholder(tf.bool, [], name="p")
    v = tf.get_variable("v", initializer=1.0, use_resource=True)
    y = tf.cond(p, lambda: v.assign_add(2.0), lambda: v.assign_sub(1.0))
    with tf.control_dependencies([y]):
        z = tf.cond(p, tf.no_op, lambda: tf.group(v.assign_add(10.0)))
    with tf.control_dependencies([z]):
        after = tf.identity(v.read_value())
    return [{p: True}, {p: False}, {p: True}], [y, after]


def loop(tf):
    x, n = _x(tf), _n(tf)
    _, y = tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, tf.tanh(a * x) + a), [0, x])
    return [{x: X, n: 3}, {x: X, n: 0}], _with_gradient(tf, x, y)


def loop_in_loop(tf):
    x, n = _x(tf), _n(tf)

    def body(i, a):
        _, b = tf.while_loop(lambda j, b: j < i + 1, lambda j, b: (j + 1, tf.sin(b) * x + a), [0, a])
        return i + 1, b

    _, y = tf.while_loop(lambda i, a: i < n, body, [0, x])
    return [{x: X, n: 3}, {x: X, n: 0}], _with_gradient(tf, x, y)


def condition_in_loop(tf):
    x, n = _x(tf), _n(tf)

    def body(i, a):
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: tf.sin(a) * x, lambda: a + tf.exp(-a) * 2)

    _, y = tf.while_loop(lambda i, a: i < n, body, [0, x])
    return [{x: X, n: 5}, {x: X, n: 0}], _with_gradient(tf, x, y)


def loop_in_condition(tf):
    x, n = _x(tf), _n(tf)

    def loop():
        return tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, tf.tanh(a * x) + a), [0, x])[1]

    y = tf.cond(n > 2, loop, lambda: x * x)
    return [{x: X, n: 4}, {x: X, n: 1}], _with_gradient(tf, x, y)


def deep(tf):
    x, n = _x(tf), _n(tf)

    def inner(a):
        return tf.while_loop(lambda j, b: j < 2, lambda j, b: (j + 1, tf.cos(b) * a), [0, a])[1]

    def body(i, a):
        def even():
            return tf.cond(i > 2, lambda: inner(a), lambda: a * x)

        return i + 1, tf.cond(tf.equal(i % 2, 0), even, lambda: tf.sqrt(a * a + x))

    _, y = tf.while_loop(lambda i, a: i < n, body, [0, x])
    return [{x: X, n: 6}, {x: X, n: 0}, {x: X, n: 1}], _with_gradient(tf, x, y)


def growing(tf):
    x, n = _x(tf, [None]), _n(tf)
    anything = tf.TensorShape([None])
    _, y = tf.while_loop(
        lambda i, a: i < n,
        lambda i, a: (i + 1, tf.concat([a, x * tf.reduce_sum(a)], 0)),
        [0, x],
        shape_invariants=[tf.TensorShape([]), anything],
    )
    return [{x: X[0], n: 2}, {x: X[0], n: 0}], _with_gradient(tf, x, y)


def arrays(tf):
    x = _x(tf, [None, 3])
    n = tf.shape(x)[0]
    rows = tf.TensorArray(tf.float32, size=n).unstack(x)

    def body(i, state, out):
        state = state * 0.5 + tf.sin(rows.read(i))
        return i + 1, state, out.write(i, state * state)

    out = tf.TensorArray(tf.float32, size=n)
    _, state, out = tf.while_loop(lambda i, *_: i < n, body, [0, tf.zeros([3]), out])
    return [{x: X}, {x: np.concatenate([X, X])}], _with_gradient(tf, x, out.stack(), state)


def functional(tf):
    x = _x(tf, [None, 3])
    y = tf.map_fn(lambda row: tf.sin(row) * row, x)
    z = tf.foldl(lambda a, row: a * 0.5 + row * row, x)
    return [{x: X}], _with_gradient(tf, x, y, z)


def recurrent(tf):
    x = tf.placeholder(tf.float32, [None, None, 3], name="x")
    lengths = tf.placeholder(tf.int32, [None], name="lengths")
    with tf.variable_scope("model", use_resource=True, initializer=tf.constant_initializer(0.1)):
        cell = tf.nn.rnn_cell.LSTMCell(4)
        y, state = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32)
        loss = tf.reduce_mean(tf.square(y - 0.3)) + tf.reduce_sum(state.c)
        train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
        with tf.control_dependencies([train]):
            done = tf.constant(1.0)
    values = np.random.RandomState(0).randn(2, 4, 3).astype(np.float32)
    return [{x: values, lengths: [4, 2]}] * 5, [loss, done]


def several_ways(tf):
    """One Merge of what four sides of three conditions give."""
    x = _x(tf, [])
    positive = x > 0

    def switch(value, pred):
        return tf.raw_ops.Switch(data=value, pred=pred)

    below, above = switch(x, positive)
    below_far, _ = switch(x > -5, positive)
    _, above_far = switch(x > 5, positive)
    far_below, near_below = switch(below, below_far)
    near_above, far_above = switch(above, above_far)
    ways = [near_above * 2, near_below * 3, far_above * 5, far_below * 4]
    y = tf.raw_ops.Merge(inputs=ways).output + 1
    _, z = tf.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, a * y), [0, y])
    return [{x: value} for value in (1.0, -1.0, 8.0, -7.0)], [y, z]


def first_stacks(tf):
    """Stacks as graphs of the first versions have them, with references as handles."""
    x, n = _x(tf, []), _n(tf)
    handle = tf.raw_ops.Stack(elem_type=tf.float32, stack_name="s")
    chosen = tf.cond(
        x > 0,
        lambda: tf.raw_ops.StackPush(handle=handle, elem=x),
        lambda: tf.raw_ops.StackPush(handle=handle, elem=x * x),
    )

    def push(i):
        with tf.control_dependencies([tf.raw_ops.StackPush(handle=handle, elem=x * tf.cast(i, tf.float32))]):
            return i + 1

    def pop(i, total):
        element = tf.raw_ops.StackPop(handle=handle, elem_type=tf.float32)
        element.set_shape([])
        return i - 1, total * 2 + element

    with tf.control_dependencies([chosen]):
        count = tf.while_loop(lambda i: i < n, push, [tf.identity(0)])
    _, total = tf.while_loop(lambda i, _: i >= 0, pop, [count, 0.0])
    with tf.control_dependencies([total]):
        closed = tf.raw_ops.StackClose(handle=handle)
    with tf.control_dependencies([closed]):
        return [{x: 2.0, n: 4}, {x: -3.0, n: 2}, {x: 1.5, n: 0}], [chosen, tf.identity(total)]


def in_functions(tf):
    from tensorflow.python.framework import function

    x, n = _x(tf), _n(tf)
    v = tf.get_variable("v", initializer=1.0, use_resource=True)

    @function.Defun(tf.float32, tf.int32)
    def looped(x, n):
        def body(i, a):
            return i + 1, tf.cond(tf.reduce_sum(a) > 2, lambda: tf.sin(a) * x, lambda: a + x)

        return tf.while_loop(lambda i, _: i < n, body, [0, x])[1]

    @function.Defun(tf.float32, tf.int32)
    def differentiated(x, n):
        _, y = tf.while_loop(lambda i, _: i < n, lambda i, a: (i + 1, tf.sin(a) * x), [0, x])
        return y, tf.gradients(y, x)[0]

    @function.Defun(tf.int32, capture_by_value=False)
    def counted(n):
        def body(i):
            with tf.control_dependencies([v.assign_add(2.0)]):
                return i + 1

        with tf.control_dependencies([tf.while_loop(lambda i: i < n, body, [0])]):
            return v.read_value()

    return [{x: X, n: 4}, {x: X + 1, n: 0}, {x: X, n: 1}], [looped(x, n), *differentiated(x, n), counted(n)]


# All are written by TensorFlow 1.15, those of NEWER also by 2.21.
PROGRAMS = [
    *(condition, condition_in_condition, cases, effects, loop, loop_in_loop, condition_in_loop),
    *(loop_in_condition, deep, growing, arrays, functional, recurrent),
    *(several_ways, first_stacks, in_functions),
]
NEWER = [condition, effects, condition_in_loop, arrays]
