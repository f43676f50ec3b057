"""Variables: names, values, assignments, collections, initialisation."""

import threading

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def session(graph):
    with tf.Session(graph=graph) as session:
        yield session


def initialize(session):
    session.run(tf.global_variables_initializer())


def names(graph):
    return [op.name for op in graph.get_operations()]


# ---- making


def test_nodes_of_a_variable(graph):
    variable = tf.Variable([1.0, 2.0], name="w")
    assert names(graph) == ["w/initial_value", "w", "w/Assign", "w/read"]
    assert variable.name == "w:0"
    assert variable.op.name == "w"
    assert variable.initializer.name == "w/Assign"
    assert variable.value().name == "w/read:0"
    assert variable.initial_value.name == "w/initial_value:0"
    assert variable.graph is graph
    assert variable.dtype == tf.float32
    assert variable.shape == variable.get_shape() == (2,)
    assert repr(variable) == "<tf.Variable 'w:0' shape=(2,) dtype=float32>"


def test_nodes_of_a_variable_from_a_function(graph):
    tf.Variable(lambda: tf.zeros([2]) + 1, name="w")
    assert names(graph) == [
        "w/Initializer/zeros",
        "w/Initializer/add/y",
        "w/Initializer/add",
        "w",
        "w/Assign",
        "w/read",
    ]


def test_names_are_unique_and_in_their_scope(graph):
    with tf.name_scope("layer"):
        assert [tf.Variable(0).name for _ in range(3)] == [
            "layer/Variable:0",
            "layer/Variable_1:0",
            "layer/Variable_2:0",
        ]


def test_dtype_and_shape(graph):
    assert tf.Variable(1, dtype=tf.float64).dtype == tf.float64
    assert tf.Variable(np.zeros(2, np.int8)).dtype == tf.int8
    assert tf.Variable(tf.zeros([2, 3])).shape.as_list() == [2, 3]
    unknown = tf.placeholder(tf.float32, [None, 3])
    with pytest.raises(ValueError, match="partly known"):
        tf.Variable(unknown)
    assert tf.Variable(unknown, validate_shape=False).shape.ndims is None
    assert tf.Variable(np.zeros([2, 3]), shape=[None, 3]).shape.as_list() == [None, 3]
    with pytest.raises(ValueError):
        tf.Variable([1.0, 2.0], expected_shape=[3])
    with pytest.raises(TypeError):
        tf.Variable(tf.zeros([2]), dtype=tf.int32)


def test_bad_arguments(graph):
    with pytest.raises(ValueError, match="initial_value"):
        tf.Variable()
    with pytest.raises(ValueError, match="list"):
        tf.Variable(0, collections="mine")
    with pytest.raises(ValueError, match="constraint"):
        tf.Variable(0.0, constraint=1)


def test_collections(graph):
    weight = tf.Variable(1.0, name="weight")
    counter = tf.Variable(0, trainable=False, name="counter")
    local = tf.Variable(0.0, collections=[tf.GraphKeys.LOCAL_VARIABLES], trainable=False)
    mine = tf.Variable(0.0, collections=["mine"])
    assert tf.global_variables() == tf.all_variables() == [weight, counter]
    assert tf.trainable_variables() == [weight, mine]
    assert tf.local_variables() == [local]
    assert tf.get_collection("mine") == [mine]
    assert tf.global_variables("count") == [counter]
    assert tf.model_variables() == tf.moving_average_variables() == []
    assert (weight.trainable, counter.trainable) == (True, False)


# ---- values


def test_read_before_initialisation(session):
    variable = tf.Variable([1.0], name="weights")
    with pytest.raises(errors.FailedPreconditionError, match=r"'weights'.*initializer"):
        session.run(variable + 1)


def test_a_variable_is_used_as_a_tensor(session):
    variable = tf.Variable([[1.0, 2], [3, 4]])
    results = {
        "sum": (variable + 1, [[2, 3], [4, 5]]),
        "difference": (1 - variable, [[0, -1], [-2, -3]]),
        "of arrays": (np.ones([2, 2], np.float32) * variable, [[1, 2], [3, 4]]),
        "quotient": (variable / 2, [[0.5, 1], [1.5, 2]]),
        "power": (variable**2, [[1, 4], [9, 16]]),
        "matmul": (variable @ variable, [[7, 10], [15, 22]]),
        "negative": (-variable, [[-1, -2], [-3, -4]]),
        "absolute": (abs(variable), [[1, 2], [3, 4]]),
        "order": (variable < 2, [[True, False], [False, False]]),
        "function": (tf.reduce_sum(variable), 10),
        "slice": (variable[1, ::-1], [4, 3]),
        "list": (tf.stack([variable, variable]), [[[1, 2], [3, 4]]] * 2),
        "itself": (variable, [[1, 2], [3, 4]]),
        "name": (variable.name, [[1, 2], [3, 4]]),
        "read": (variable.read_value(), [[1, 2], [3, 4]]),
        "rows": (variable.sparse_read([1, 1]), [[3, 4], [3, 4]]),
        "elements": (variable.gather_nd([[0, 1]]), [2]),
    }
    initialize(session)
    for name, (fetch, expected) in results.items():
        assert session.run(fetch).tolist() == expected, name
    assert variable.eval().tolist() == [[1, 2], [3, 4]]
    integers = tf.Variable([5, 6])
    initialize(session)
    assert [value.tolist() for value in session.run([integers % 4, integers // 4])] == [[1, 2], [1, 1]]
    flags = tf.Variable([True, False])
    initialize(session)
    assert session.run(~flags | flags).tolist() == [True, True]


def test_a_variable_can_be_fed(session):
    variable = tf.Variable([1.0, 2.0])
    total = tf.reduce_sum(variable)
    initialize(session)
    assert session.run(total, {variable: [5, 6]}) == 11
    assert session.run(total, {variable.name: [5, 6]}) == 11
    assert session.run(total) == 3


def test_a_variable_is_no_python_value(graph):
    variable = tf.Variable([1.0])
    with pytest.raises(TypeError, match="true nor false"):
        bool(variable)
    with pytest.raises(TypeError, match="iterated"):
        list(variable)
    assert {variable: 1}[variable] == 1
    assert variable.experimental_ref() is variable


def test_assignments(session):
    variable = tf.Variable([1.0, 2.0], name="w")
    assign = variable.assign([3, 4])
    add = tf.assign_add(variable, [1, 1])
    subtract = variable.assign_sub([0.5, 0.5])
    op = variable.assign([0, 0], read_value=False)
    assert isinstance(op, tf.Operation)
    assert assign.op.control_inputs[0].name == "Assign"
    assert "Assign/value" in names(session.graph)
    initialize(session)
    assert session.run(assign).tolist() == [3, 4]
    assert session.run(add).tolist() == [4, 5]
    assert session.run(subtract).tolist() == [3.5, 4.5]
    assert session.run(op) is None
    assert session.run(variable).tolist() == [0, 0]
    with pytest.raises(ValueError, match="shape"):
        variable.assign([1, 2, 3])
    with pytest.raises(TypeError):
        variable.assign(tf.constant([1, 2]))
    with pytest.raises(TypeError, match=r"only a tf\.Variable"):
        tf.assign(tf.constant([1.0]), [1.0])


def test_a_read_after_an_assignment(session):
    variable = tf.Variable(1.0)
    before = variable + 0
    with tf.control_dependencies([before]):
        assign = variable.assign(5)
    with tf.control_dependencies([assign]):
        after = tf.identity(variable)
    initialize(session)
    assert session.run([before, after]) == [1, 5]


def test_scatters(session):
    variable = tf.Variable([[1.0, 1], [2, 2], [3, 3]])
    delta = tf.IndexedSlices(tf.constant([[10.0, 20]]), tf.constant([1]))
    steps = [
        (tf.scatter_update(variable, [0], [[5, 6]]), [[5, 6], [2, 2], [3, 3]]),
        (tf.scatter_add(variable, [0, 0], [[1, 1], [1, 1]]), [[7, 8], [2, 2], [3, 3]]),
        (tf.scatter_sub(variable, [2], [[1, 1]]), [[7, 8], [2, 2], [2, 2]]),
        (tf.scatter_mul(variable, [2], 3), [[7, 8], [2, 2], [6, 6]]),
        (tf.scatter_div(variable, [2], [[2, 3]]), [[7, 8], [2, 2], [3, 2]]),
        (tf.scatter_min(variable, [0], [[7.5, 7.5]]), [[7, 7.5], [2, 2], [3, 2]]),
        (tf.scatter_max(variable, [1], [[1, 4]]), [[7, 7.5], [2, 4], [3, 2]]),
        (variable.scatter_add(delta), [[7, 7.5], [12, 24], [3, 2]]),
        (tf.scatter_nd_update(variable, [[0, 1]], [0]), [[7, 0], [12, 24], [3, 2]]),
        (tf.scatter_nd_add(variable, [[2]], [[1, 1]]), [[7, 0], [12, 24], [4, 3]]),
        (tf.scatter_nd_sub(variable, [[1, 0], [1, 0]], [1, 1]), [[7, 0], [10, 24], [4, 3]]),
        (tf.batch_scatter_update(variable, [[1], [0], [1]], [[1], [2], [3]]), [[7, 1], [2, 24], [4, 3]]),
    ]
    initialize(session)
    for update, expected in steps:
        assert session.run(update).tolist() == expected
    with pytest.raises(TypeError, match="IndexedSlices"):
        variable.scatter_add([1.0])


def test_assignments_to_slices(session):
    variable = tf.Variable(np.zeros([3, 4]))
    row = variable[1].assign([1, 2, 3, 4])
    block = variable[:2, ::2].assign([[5, 6], [7, 8]])
    element = variable[-1, tf.constant(3)].assign(9)
    filled = variable[2:, :2].assign(3.0)
    added = variable[..., None, 1].assign([[1], [2], [3]])
    initialize(session)
    session.run(row)
    session.run(block)
    session.run(element)
    assert session.run(filled).tolist() == [[5, 0, 6, 0], [7, 2, 8, 4], [3, 3, 0, 9]]
    assert session.run(added).tolist() == [[5, 1, 6, 0], [7, 2, 8, 4], [3, 3, 0, 9]]
    with pytest.raises(errors.InvalidArgumentError, match="slice"):
        session.run(variable[0].assign([1, 2]))


def test_count_up_to(session):
    counter = tf.Variable(0)
    count = counter.count_up_to(2)
    initialize(session)
    assert [session.run(count), session.run(tf.count_up_to(counter, 5))] == [0, 1]
    with pytest.raises(errors.OutOfRangeError, match="limit, 2"):
        session.run(count)


def test_load(session):
    variable = tf.Variable([1.0, 2.0])
    variable.load([5, 6], session)
    assert session.run(variable).tolist() == [5, 6]
    variable.load(np.zeros(2))
    assert session.run(variable).tolist() == [0, 0]


def test_a_shape_that_is_not_fixed(session):
    size = tf.placeholder_with_default([2], [1])
    variable = tf.Variable(tf.zeros(size), validate_shape=False)
    doubled = variable * 2
    replace = variable.assign(tf.ones([3, 1]))
    initialize(session)
    assert session.run(doubled).shape == (2,)
    assert session.run(replace).shape == (3, 1)
    assert session.run(doubled).tolist() == [[2], [2], [2]]
    variable.set_shape([None, 1])
    assert variable.shape.as_list() == [None, 1]


def test_sessions_do_not_share_variables(graph):
    variable = tf.Variable(1.0)
    add = variable.assign_add(1)
    with tf.Session() as one, tf.Session() as two:
        one.run(variable.initializer)
        two.run(variable.initializer)
        one.run(add)
        assert (one.run(variable), two.run(variable)) == (2, 1)


# ---- initialisation


def test_initial_values_from_other_variables(session):
    first = tf.Variable(tf.random_normal([4]))
    second = tf.Variable(first.initialized_value() * 2)
    third = tf.Variable(first * 3 + second)
    initialize(session)
    values = session.run([first, second, third])
    np.testing.assert_allclose(values[1], 2 * values[0])
    np.testing.assert_allclose(values[2], 5 * values[0], rtol=1e-6)
    # What is initialised already is read, not computed anew.
    first.load([1, 1, 1, 1], session)
    session.run(second.initializer)
    assert session.run(second).tolist() == [2, 2, 2, 2]


def test_initializers_of_some(session):
    a, b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")
    local = tf.Variable(3.0, collections=[tf.GraphKeys.LOCAL_VARIABLES], name="local")
    missing = tf.report_uninitialized_variables()
    known = tf.is_variable_initialized(a)
    check = tf.assert_variables_initialized()
    assert session.run(missing).tolist() == [b"a", b"b", b"local"]
    assert not session.run(known)
    session.run(tf.variables_initializer([a]))
    assert session.run(known)
    assert session.run(missing).tolist() == [b"b", b"local"]
    with pytest.raises(errors.FailedPreconditionError):
        session.run(check)
    session.run([tf.initialize_all_variables(), tf.local_variables_initializer()])
    session.run(check)
    assert session.run(missing).size == 0
    assert session.run([a, b, local]) == [1, 2, 3]
    assert tf.global_variables_initializer().type == "NoOp"


def test_nothing_to_initialise(session):
    assert session.run(tf.report_uninitialized_variables()).size == 0
    assert tf.assert_variables_initialized() is None
    initialize(session)


def test_a_variable_that_depends_on_a_placeholder(session):
    size = tf.placeholder(tf.float32, [2])
    variable = tf.Variable(size * 2)
    session.run(variable.initializer, {size: [1, 2]})
    assert session.run(variable).tolist() == [2, 4]


# ---- messages, gradients, threads


def test_messages(graph):
    with tf.name_scope("outer"):
        variable = tf.Variable([1.0], trainable=False, name="w")
    proto = variable.to_proto()
    assert proto.variable_name == "outer/w:0"
    assert (proto.initializer_name, proto.snapshot_name) == ("outer/w/Assign", "outer/w/read:0")
    again = tf.Variable.from_proto(proto)
    assert again.name == variable.name
    assert again.initializer is variable.initializer
    assert not again.trainable
    inside = variable.to_proto("outer")
    assert inside.variable_name == "w:0"
    assert tf.Variable(variable_def=inside, import_scope="outer").name == "outer/w:0"
    assert variable.to_proto("elsewhere") is None


def test_gradients_of_variables(session):
    table = tf.Variable(np.arange(12.0).reshape(4, 3))
    weight = tf.Variable(2.0, dtype=tf.float64)
    loss = tf.reduce_sum(tf.square(table) * weight) + weight**3
    by_table, by_weight = tf.gradients(loss, [table, weight])
    second = tf.gradients(by_weight, [weight])[0]
    initialize(session)
    values = session.run([by_table, by_weight, second, table])
    np.testing.assert_allclose(values[0], 4 * values[3])
    assert values[1] == (values[3] ** 2).sum() + 12
    assert values[2] == 12


def test_gradients_of_gathers(session):
    value = np.arange(12.0).reshape(4, 3)
    table = tf.Variable(value)
    indices = [[2, 0], [2, 2]]
    rows = table.sparse_read(indices)
    gradient = tf.gradients(tf.reduce_sum(rows**2), table)[0]
    assert isinstance(gradient, tf.IndexedSlices)
    expected = np.zeros_like(value)
    np.add.at(expected, np.ravel(indices), 2 * value[np.ravel(indices)])
    elements = tf.gradients(tf.reduce_sum(table.gather_nd([[1, 2], [1, 2], [0, 0]]) ** 2), table)[0]
    batched = tf.gradients(tf.reduce_sum(raw_gather(table, [[2, 0], [1, 1], [0, 0], [2, 1]]) ** 2), table)[0]
    initialize(session)
    np.testing.assert_allclose(session.run(tf.convert_to_tensor(gradient)), expected)
    found = session.run(elements)
    assert (found[1, 2], found[0, 0], np.count_nonzero(found)) == (4 * value[1, 2], 0, 1)
    counts = np.array([[1, 0, 1], [0, 2, 0], [2, 0, 0], [0, 1, 1]])
    np.testing.assert_allclose(session.run(batched), 2 * value * counts)


def raw_gather(table, indices):
    return raw.ResourceGather(table.handle, indices, batch_dims=1, dtype=table.dtype)


def test_many_threads(session):
    """Updates are atomic, reads are snapshots, and initialising again does no harm."""
    threads, steps = 8, 40
    variables = [tf.Variable(np.zeros(500, np.float32)) for _ in range(3)]
    updates = tf.group(*[variable.assign_add(np.ones(500)) for variable in variables])
    initialize(session)
    failures = []

    def work():
        for _ in range(steps):
            session.run(updates)
            for value in session.run(variables):
                if (value != value[0]).any():
                    failures.append(value)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    for value in session.run(variables):
        assert (value == threads * steps).all()
