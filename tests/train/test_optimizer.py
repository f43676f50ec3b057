"""The optimizer's interface, as programs use and extend it."""

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def variable(name="w", value=(1.0, 2.0), **options):
    return tf.get_variable(name, initializer=np.float32(value), **options)


def run_steps(op, steps=1, fetch=None):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(steps):
            session.run(op)
        return session.run(fetch)


def test_names_of_slots_and_nodes(graph):
    with tf.variable_scope("layer"):
        w = variable()
    loss = tf.reduce_sum(tf.square(w))
    adam = tf.train.AdamOptimizer(0.1)
    op = adam.minimize(loss)
    assert op.name == "Adam" and op.type == "NoOp"
    assert adam.get_slot_names() == ["m", "v"]
    assert adam.get_slot(w, "m").name == "layer/w/Adam:0"
    assert adam.get_slot(w, "v").name == "layer/w/Adam_1:0"
    assert [v.name for v in adam.variables()] == [
        "beta1_power:0",
        "beta2_power:0",
        "layer/w/Adam:0",
        "layer/w/Adam_1:0",
    ]
    assert adam.get_slot(w, "m") not in tf.trainable_variables()
    assert adam.get_slot(w, "m") in tf.global_variables()
    graph.get_operation_by_name("Adam/update_layer/w/ResourceApplyAdam")
    assert op in tf.get_collection(tf.GraphKeys.TRAIN_OP)
    again = tf.train.AdamOptimizer(0.1)
    again.minimize(loss)
    assert again.get_slot(w, "m").name == "layer/w/Adam_2:0"
    assert adam.get_slot(w, "nothing") is None and adam.get_name() == "Adam"


def test_slots_are_made_where_variables_are_reused():
    with tf.variable_scope("model"):
        w = variable()
        tf.get_variable_scope().reuse_variables()
        train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(w))
    np.testing.assert_allclose(run_steps(train, 1, w), [0.9, 1.9], rtol=1e-6)


def test_global_step_counts_and_returns():
    w = variable()
    step = tf.train.create_global_step()
    op = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(w), global_step=step, name="train")
    assert op.name == "train"
    assert run_steps(op, 3, step) == 3
    with pytest.raises(ValueError, match="already"):
        tf.train.create_global_step()
    assert tf.train.get_or_create_global_step() is step and tf.train.get_global_step() is step
    assert step.dtype.base_dtype == tf.int64 and step not in tf.trainable_variables()


def test_rate_may_be_a_number_a_tensor_a_variable_or_a_function():
    rates = [
        0.5,
        tf.constant(0.5),
        variable("rate", 0.5, trainable=False),
        lambda: 0.5,
        lambda: tf.constant(0.5),
    ]
    for i, rate in enumerate(rates):
        w = variable(f"w{i}")
        op = tf.train.GradientDescentOptimizer(rate).minimize(tf.reduce_sum(w), var_list=[w])
        np.testing.assert_allclose(run_steps(op, 1, w), [0.5, 1.5])


def test_rate_can_be_fed():
    w = variable()
    rate = tf.placeholder(tf.float32, [])
    op = tf.train.GradientDescentOptimizer(rate).minimize(tf.reduce_sum(w))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(op, {rate: 0.25})
        session.run(op, {rate: 1.0})
        np.testing.assert_allclose(session.run(w), [-0.25, 0.75])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_dtypes(dtype):
    w = tf.get_variable("w", initializer=tf.cast([1.0, 2.0], dtype))
    adam = tf.train.AdamOptimizer(0.1, 0.5, 0.75, 1e-3)  # what 1 - beta leaves in every dtype
    op = adam.minimize(tf.reduce_sum(w * w))
    assert adam.get_slot(w, "m").dtype.base_dtype == w.dtype.base_dtype
    got = run_steps(op, 1, w)
    np.testing.assert_allclose(np.float64(got), [0.9, 1.9], rtol=1e-2)


def test_sparse_gradients_with_repeated_indices_are_summed():
    for make in (
        lambda: tf.train.GradientDescentOptimizer(1.0),
        lambda: tf.train.AdagradOptimizer(1.0),
        lambda: tf.train.AdamOptimizer(1.0),
    ):
        with tf.Graph().as_default():
            sparse, dense = variable("s", np.ones([4, 2])), variable("d", np.ones([4, 2]))
            indices = tf.constant([2, 0, 2])
            slices = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), indices, [4, 2])
            full = tf.constant([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0], [0.0, 0.0]])
            op = make().apply_gradients([(slices, sparse), (full, dense)])
            got, want = run_steps(op, 2, [sparse, dense])
            np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("gate", [0, 1, 2])
def test_gates_and_grad_loss(gate):
    w = variable()
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    pairs = optimizer.compute_gradients(w * w, gate_gradients=gate, grad_loss=tf.constant([1.0, 10.0]))
    assert pairs[0][1] is w
    np.testing.assert_allclose(run_steps([], 1, pairs[0][0]), [2.0, 40.0])


def test_gradients_may_be_changed_before_they_are_applied():
    w = variable()
    optimizer = tf.train.GradientDescentOptimizer(1.0)
    pairs = optimizer.compute_gradients(tf.reduce_sum(w * w))
    grads, norm = tf.clip_by_global_norm([grad for grad, _ in pairs], 1.0)
    op = optimizer.apply_gradients(zip(grads, [var for _, var in pairs]))
    np.testing.assert_allclose(run_steps(op, 1, w), np.array([1.0, 2.0]) * (1 - 1 / np.sqrt(5)), rtol=1e-6)
    np.testing.assert_allclose(run_steps([], 1, norm), 2 * np.sqrt(5), rtol=1e-6)


def test_constraint_is_applied_after_the_update():
    w = variable(constraint=lambda value: tf.clip_by_value(value, -0.5, 0.5))
    op = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(w))
    np.testing.assert_allclose(run_steps(op, 1, w), [0.5, 0.5])


def test_errors():
    w = variable()
    other = variable("other")
    sgd = tf.train.GradientDescentOptimizer(0.1)
    with pytest.raises(ValueError, match="no variable has a gradient"):
        sgd.minimize(tf.constant(1.0), var_list=[w])
    with pytest.raises(ValueError, match="gate_gradients"):
        sgd.compute_gradients(tf.reduce_sum(w), gate_gradients="op")
    with pytest.raises(ValueError, match="no variables"):
        sgd.apply_gradients([])
    with pytest.raises(ValueError, match="none of the variables"):
        sgd.apply_gradients([(None, w)])
    with pytest.raises(TypeError, match="pass variables"):
        sgd.compute_gradients(tf.reduce_sum(w), var_list=["w"])
    with pytest.raises(ValueError, match="int32"):
        sgd.compute_gradients(tf.constant(1), var_list=[w])
    with pytest.raises(ValueError, match="name"):
        tf.train.Optimizer(False, "")
    with pytest.raises(ValueError, match="positive"):
        tf.train.AdagradOptimizer(0.1, initial_accumulator_value=0.0)
    with pytest.raises(NotImplementedError):
        tf.train.Optimizer(False, "Mine").minimize(tf.reduce_sum(w))
    pairs = sgd.compute_gradients(tf.reduce_sum(w), var_list=[w, other])
    assert pairs[1] == (None, other)


class WeightDecay(tf.train.AdamOptimizer):
    """Overrides the dense hook of the time before resource variables, and calls it."""

    def _apply_dense(self, grad, var):
        with tf.control_dependencies([var.assign_sub(0.5 * var)]):
            return super()._apply_dense(grad, var)


class Both(tf.train.GradientDescentOptimizer):
    """Overrides both hooks; only one is to be called."""

    def _decay(self, var):
        return var.assign_sub(0.5 * var)

    def _apply_dense(self, grad, var):
        with tf.control_dependencies([self._decay(var)]):
            return super()._apply_dense(grad, var)

    def _resource_apply_dense(self, grad, var):
        with tf.control_dependencies([self._decay(var)]):
            return super()._resource_apply_dense(grad, var)


class SignDescent(tf.train.Optimizer):
    """Written from scratch, with a slot."""

    def __init__(self, rate):
        super().__init__(False, "SignDescent")
        self._rate = rate

    def _create_slots(self, var_list):
        for var in var_list:
            self._zeros_slot(var, "sum", self._name)

    def _prepare(self):
        self._rate_tensor = tf.convert_to_tensor(self._call_if_callable(self._rate), name="rate")

    def _apply_dense(self, grad, var):
        total = self.get_slot(var, "sum")
        new = tf.assign_add(total, grad)
        return tf.assign_sub(var, self._rate_tensor * tf.sign(new)).op

    def _apply_sparse(self, grad, var):
        return self._apply_dense(tf.convert_to_tensor(grad), var)


@pytest.mark.parametrize("make,expected", [
    (lambda: WeightDecay(0.1, epsilon=1e-9), [0.4, 0.9]),
    (lambda: Both(0.1), [0.4, 0.9]),
    (lambda: SignDescent(0.1), [0.9, 1.9]),
])  # fmt: skip
def test_subclasses(make, expected):
    w = variable()
    op = make().minimize(tf.reduce_sum(w))
    np.testing.assert_allclose(run_steps(op, 1, w), expected, rtol=1e-5)


def test_slots_of_a_subclass_have_its_name():
    w = variable()
    optimizer = SignDescent(0.1)
    optimizer.minimize(tf.reduce_sum(w))
    assert optimizer.get_slot_names() == ["sum"]
    assert optimizer.get_slot(w, "sum").name == "w/SignDescent:0"


def test_slots_of_partitioned_variables_are_parts_too():
    parts = tf.get_variable(
        "table", [4, 2], initializer=tf.ones_initializer(), partitioner=tf.fixed_size_partitioner(2)
    )
    adam = tf.train.AdamOptimizer(0.1)
    op = adam.minimize(tf.reduce_sum(tf.convert_to_tensor(parts)))
    _, second = tf.trainable_variables()
    info = adam.get_slot(second, "m")._get_save_slice_info()
    assert (info.full_name, info.full_shape, info.var_offset) == ("table/Adam", [4, 2], [2, 0])
    assert adam.get_slot(second, "m").name == "table/part_1/Adam:0"
    np.testing.assert_allclose(run_steps(op, 1, tf.convert_to_tensor(parts)), np.full([4, 2], 0.9), rtol=1e-5)
