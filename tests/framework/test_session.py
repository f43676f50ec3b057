import collections
import gc
import weakref

import ml_dtypes
import numpy as np
import pytest

import headrace as tf
from headrace.framework import protos, raw
from headrace.framework.fetches import register_session_run_conversion_functions


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def session(graph):
    with tf.Session() as session:
        yield session


Pair = collections.namedtuple("Pair", ["x", "y"])


def test_structures_of_fetches(session):
    k = tf.constant([1.0, 2.0], name="k")
    value = np.array([1, 2], np.float32)

    def same(fetch):
        """The structure, with True for the value of k."""
        if isinstance(fetch, np.ndarray):
            return bool((fetch == value).all()) and fetch.dtype == np.float32
        if isinstance(fetch, tuple) and hasattr(fetch, "_fields"):
            return type(fetch)(*map(same, fetch))
        if isinstance(fetch, (list, tuple)):
            return type(fetch)(map(same, fetch))
        return {key: same(part) for key, part in fetch.items()} if isinstance(fetch, dict) else fetch

    for fetches, expected in [
        (k, True),
        ("k:0", True),
        ("k", None),
        (k.op, None),
        ([], []),
        ((), ()),
        ({}, {}),
        ([k, k.op, (k,)], [True, None, (True,)]),
        (Pair(k, [k, k.op]), Pair(True, [True, None])),
        ({"a": k, "b": {"c": [k]}}, {"a": True, "b": {"c": [True]}}),
    ]:
        for _ in range(2):  # the first call prepares, the second finds
            assert same(session.run(fetches)) == expected
    ordered = session.run(collections.OrderedDict(b=k, a=k))
    assert type(ordered) is collections.OrderedDict and list(ordered) == ["b", "a"]


@pytest.mark.parametrize(
    "fetch", [3, None, pytest.param(object(), id="object"), [None], {"a": 3.5}, np.ones(2)], ids=repr
)
def test_what_cannot_be_fetched(session, fetch):
    with pytest.raises(TypeError, match="fetched"):
        session.run(fetch)


@pytest.mark.parametrize("name", ["nope", "nope:0", "k:1", "a:b:c"])
def test_names_that_do_not_exist(session, name):
    tf.constant(1, name="k")
    with pytest.raises(ValueError, match="fetched"):
        session.run(name)


def test_results_are_the_callers_own(session):
    k = tf.constant(np.zeros(5000, np.float32))
    p = tf.placeholder(tf.float32)
    fed = np.zeros(5000, np.float32)
    first, again, echoed = session.run([k, k, p], {p: fed})
    for result in (first, again, echoed):
        result[:] = 7
    np.testing.assert_array_equal(session.run(k), np.zeros(5000))
    np.testing.assert_array_equal(fed, np.zeros(5000))


def test_scalars_and_strings(session):
    assert type(session.run(tf.constant(3))) is np.int32
    assert type(session.run(tf.constant(True))) is np.bool_
    assert session.run(tf.constant("abc")) == b"abc"
    assert session.run(tf.constant(["a", b"\xff"])).tolist() == [b"a", b"\xff"]
    assert session.run(tf.constant(np.array(2, ml_dtypes.bfloat16))) == 2


def test_feeds(session):
    a = tf.placeholder(tf.float32, [None, 2], name="a")
    doubled = raw.AddV2(a, a)
    for key in (a, "a:0"):
        for value in ([[1, 2]], np.array([[1, 2]]), np.array([[1, 2]], np.float32), ((1.0, 2.0),)):
            for _ in range(2):
                np.testing.assert_array_equal(session.run(doubled, {key: value}), [[2, 4]])
    np.testing.assert_array_equal(
        session.run(doubled, {a: np.ones((3, 4), np.float32)[:, ::2]}), np.full((3, 2), 2)
    )
    # any tensor can be fed
    np.testing.assert_array_equal(session.run(doubled, {doubled: [[5, 6]]}), [[5, 6]])
    k = tf.constant([1.0, 2.0])
    np.testing.assert_array_equal(session.run(raw.Neg(k), {k: [3, 4]}), [-3, -4])


def test_feeds_of_every_kind(session):
    def echo(dtype, value):
        p = tf.placeholder(dtype)
        return session.run(raw.Identity(p), {p: value})

    assert echo(tf.int32, 3) == 3
    assert echo(tf.int32, np.int64(3)) == 3
    assert echo(tf.int32, 3.7) == 3
    assert echo(tf.bool, 1) == True  # noqa: E712
    assert echo(tf.string, "é") == "é".encode()
    assert echo(tf.string, np.array(["a", "bc"])).tolist() == [b"a", b"bc"]
    assert echo(tf.complex64, 1 + 2j) == 1 + 2j
    assert echo(tf.float32, np.array([1.0], ">f4")).tolist() == [1.0]
    assert echo(tf.bfloat16, [1.0, 2.0]).dtype == ml_dtypes.bfloat16
    assert echo(tf.float32, np.zeros((0, 3))).shape == (0, 3)


def test_wrong_feeds(session):
    a = tf.placeholder(tf.float32, [None, 2], name="a")
    i = tf.placeholder(tf.int32, [], name="i")
    fetch = raw.Identity(a)
    for feed, error, match in [
        ({a: [1, 2]}, ValueError, r"a:0 has shape \(2,\).*\(\?, 2\)"),
        ({a: np.ones((1, 3), np.float32)}, ValueError, "shape"),
        ({a: "x"}, ValueError, "float32"),
        ({a: tf.constant(1.0)}, TypeError, "no value yet"),
        ({a: [[1, 2], [3]]}, ValueError, "a:0"),
        ({3: 1}, TypeError, "3"),
        ({"zz:0": 1}, TypeError, "zz"),
        ({a.op: 1}, TypeError, "Operation"),
        ([a], TypeError, "dict"),
        ({a: [[1, 2]], i: 2**40}, TypeError, "int32"),
        ({}, tf.errors.InvalidArgumentError, "'a'"),
    ]:
        with pytest.raises(error, match=match):
            session.run(fetch, feed)
    np.testing.assert_array_equal(session.run(fetch, {a: [[1, 2]]}), [[1, 2]])


def test_unfeedable_and_unfetchable(graph, session):
    a, b = tf.constant(1.0), tf.constant(1.0)
    graph.prevent_feeding(a)
    graph.prevent_fetching(b.op)
    assert not graph.is_feedable(a) and graph.is_feedable(b)
    with pytest.raises(ValueError, match="fed"):
        session.run(b, {a: 1.0})
    with pytest.raises(ValueError, match="fetched"):
        session.run(b)


def test_indexed_slices(session):
    slices = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([1, 1]), tf.constant([3, 1]))
    result = session.run([slices])[0]
    assert isinstance(result, tf.IndexedSlicesValue)
    assert result.indices.tolist() == [1, 1]
    fed = session.run(slices, {slices: ([[5.0], [6.0]], [0, 2], [3, 1])})
    assert (fed.values.tolist(), fed.indices.tolist()) == ([[5.0], [6.0]], [0, 2])
    partial = session.run(tf.IndexedSlices(slices.values, slices.indices))
    assert partial.dense_shape is None
    np.testing.assert_array_equal(session.run(tf.convert_to_tensor(slices)), [[0], [3], [0]])


def test_registered_fetch(session):
    class Box:
        def __init__(self, tensor):
            self.tensor = tensor

    register_session_run_conversion_functions(
        Box,
        lambda box: ([box.tensor], lambda values: ("box", values[0])),
        lambda box, value: [(box.tensor, value)],
    )
    box = Box(tf.constant(1.0))
    for _ in range(2):
        assert session.run(box) == ("box", 1)
        assert session.run([box, box.tensor], {box: 3.0}) == [("box", 3), 3]
    with pytest.raises(ValueError):
        register_session_run_conversion_functions(Box, lambda box: ([], list))


def test_a_graph_may_grow(session):
    a = tf.constant(1.0)
    assert session.run(a) == 1
    b = raw.AddV2(a, a)
    assert session.run([a, b]) == [1, 2]


def test_default_session():
    k = tf.constant(2.0)
    assert tf.get_default_session() is None
    for use in (k.eval, k.op.run):
        with pytest.raises(ValueError, match="session"):
            use()
    with tf.Session() as outer:
        assert tf.get_default_session() is outer
        with tf.Session().as_default() as inner:
            assert tf.get_default_session() is inner
            assert k.eval() == 2
        assert inner.run(k) == 2  # as_default does not close
        k.op.run()
    assert k.eval(session=inner) == 2
    assert tf.get_default_session() is None
    with pytest.raises(ValueError, match="another graph"):
        k.eval(session=tf.Session(graph=tf.Graph()))


def test_session_of_a_graph_makes_it_the_default():
    other = tf.Graph()
    with tf.Session(graph=other) as session:
        assert tf.get_default_graph() is session.graph is other


def test_closed_session(session):
    k = tf.constant(1.0)
    f = session.make_callable(k)
    session.run(k)
    session.close()
    session.close()
    for use in (lambda: session.run(k), f, lambda: session.make_callable(k), lambda: session.run([k, k])):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_interactive_session(graph):
    session = tf.InteractiveSession()
    try:
        assert tf.constant(3.0).eval() == 3
    finally:
        session.close()
    assert tf.get_default_session() is None
    other = tf.Graph()
    session = tf.InteractiveSession(graph=other)
    assert tf.get_default_graph() is other
    session.close()
    assert tf.get_default_graph() is graph


def test_wrong_arguments():
    with pytest.raises(TypeError):
        tf.Session(graph=3)
    with pytest.raises(TypeError):
        tf.Session(3)


def test_make_callable(session):
    a, b = tf.placeholder(tf.float32, name="a"), tf.placeholder(tf.float32, name="b")
    total = raw.AddV2(a, b)
    f = session.make_callable([total, total.op], [a, "b:0"])
    assert f(1, 2.5) == [3.5, None]
    assert session.make_callable(total, [b, a])(np.float32(1), 2) == 3
    with pytest.raises(TypeError, match="2 values"):
        f(1)
    with pytest.raises(TypeError):
        session.make_callable(total, a)
    with pytest.raises(TypeError, match="accept_options"):
        f(1, 2, options=protos.RunOptions())
    metadata = protos.RunMetadata()
    traced = session.make_callable(total, [a, b], accept_options=True)
    traced(1, 2, options=protos.RunOptions(trace_level=protos.RunOptions.FULL_TRACE), run_metadata=metadata)
    assert metadata.step_stats.dev_stats


def test_trace(session):
    a = tf.placeholder(tf.float32, name="a")
    b = raw.Exp(raw.MatMul(a, a, name="product"), name="raised")
    metadata = protos.RunMetadata()
    options = protos.RunOptions(trace_level=protos.RunOptions.FULL_TRACE)
    session.run(b, {a: np.ones((50, 50))}, options=options, run_metadata=metadata)
    (device,) = metadata.step_stats.dev_stats
    assert device.device.endswith("CPU:0")
    assert {node.node_name for node in device.node_stats} >= {"product", "raised"}
    assert all(node.op_end_rel_nanos >= 0 and node.all_start_nanos > 0 for node in device.node_stats)


def test_config():
    config = protos.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1, allow_soft_placement=True
    )
    config.disabled_passes.append("constant_folding")
    with tf.Session(config=config) as session:
        assert session.run(raw.AddV2(tf.constant(1.0), 2.0)) == 3
        assert any(device.device_type == "CPU" for device in session.list_devices())


def test_null_device_on_request():
    with tf.Session(config=protos.ConfigProto(device_count={"NULL": 1})) as session:
        assert any(device.device_type == "NULL" for device in session.list_devices())


def test_failing_operation_is_named(session):
    p = tf.placeholder(tf.float32, name="p")
    checked = raw.CheckNumerics(p, message="not finite", name="check")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"\[CheckNumerics 'check'\].*test_session\.py"
    ) as caught:
        session.run(checked, {p: np.nan})
    assert caught.value.op is checked.op
    assert caught.value.node_def.name == "check"
    assert caught.value.error_code == tf.errors.INVALID_ARGUMENT
    assert session.run(checked, {p: 1.0}) == 1


def test_who_waits_for_a_fed_operation_need_not_wait():
    with tf.Graph().as_default(), tf.Session() as session:
        fed = tf.placeholder(tf.float32, [])
        with tf.control_dependencies([fed]):
            after = tf.constant(1.0) + 1.0
        assert session.run(after, {fed: 0.0}) == 2.0


def test_a_session_dies_with_its_last_user():
    session = tf.Session()
    p = tf.placeholder(tf.float32)
    for _ in range(2):
        session.run(p, {p: 1.0})
    ref = weakref.ref(session)
    gc.disable()  # without cycles
    try:
        del session
        assert ref() is None
    finally:
        gc.enable()
