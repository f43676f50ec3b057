"""The tables of names: each leads somewhere, and what is missing is named."""

import inspect

import numpy as np
import pytest

import headrace as tf
from headrace.compat import contrib, modules, names, v0, v1
from headrace.compat.names import Alias, Names, Reordered

TABLES = {"contrib": contrib.TABLE, "v0": v0.TABLE, "inside": modules.INSIDE}


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.parametrize("table", TABLES)
def test_every_entry_leads_somewhere(table):
    for entry in TABLES[table]:
        if isinstance(entry, Alias):
            names.find(entry.place)
            for target in entry.targets().values():
                assert names.find(f"{entry.place}.{target}".lstrip(".")) is not None
            continue
        parameters = inspect.signature(names.find(entry.function)).parameters
        for target in Alias("", "", entry.parameters).targets().values():
            assert target in parameters, f"{entry.name}: {entry.function} has no parameter {target}"


@pytest.mark.parametrize("table", TABLES)
def test_names_are_told_once(table):
    seen = set()
    for entry in TABLES[table]:
        for name in entry.targets():
            assert (entry.module, name) not in seen, f"{entry.module}.{name} is told twice"
            seen.add((entry.module, name))


def test_v1_has_what_headrace_has():
    for name in ("Session", "nn", "train", "compat", "contrib", "GraphDef", "float32", "disable_v2_behavior"):
        assert getattr(v1, name) is getattr(tf, name)
        assert getattr(tf.compat.v1, name) is getattr(tf, name)
    assert v1.VERSION == v1.version.VERSION == v1.__version__ == "1.15.0"
    assert {"Session", "VERSION"} <= set(dir(v1))
    scope = {}
    exec("from headrace.compat.v1 import *", scope)
    assert scope["placeholder"] is tf.placeholder
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = v1.no_such_name


def test_contrib_is_reached_from_headrace():
    assert tf.contrib.rnn.BasicLSTMCell is tf.nn.rnn_cell.BasicLSTMCell
    assert tf.contrib.tensorboard.plugins.projector.ProjectorConfig is tf.summary.projector.ProjectorConfig
    assert tf.contrib.util.constant_value(tf.constant(3)) == 3
    assert {"rnn", "layers"} <= set(dir(tf.contrib))
    with pytest.raises(AttributeError, match=r"no tf\.contrib\.layers\.conv2d"):
        _ = tf.contrib.layers.conv2d
    with pytest.raises(AttributeError, match=r"no tf\.contrib\.rnn\.GRUCel; did you mean GRUCell"):
        _ = tf.contrib.rnn.GRUCel
    assert not hasattr(tf.contrib, "slim")


def test_measures_take_predictions_first():
    predictions, labels = tf.constant([1, 1, 0]), tf.constant([1, 0, 0])
    value, update = tf.contrib.metrics.streaming_precision(predictions, labels)
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        session.run(update)
        assert session.run(value) == 0.5
        loss = tf.contrib.losses.sparse_softmax_cross_entropy(tf.constant([[0.0, 0.0]]), tf.constant([1]))
        assert session.run(loss) == pytest.approx(np.log(2))


def test_reordered_functions_check_their_arguments():
    mod = Reordered("", "mod", "floormod", "divisor=y dividend=x").made()
    with tf.Session() as session:
        assert session.run(mod(3, 7)) == session.run(mod(dividend=7, divisor=3)) == 1
    assert "divisor, dividend" in mod.__doc__ and mod.__name__ == "mod"
    with pytest.raises(TypeError, match="takes 2 arguments, not 3"):
        mod(1, 2, 3)
    with pytest.raises(TypeError, match="'divisor' twice"):
        mod(1, divisor=2)
    with pytest.raises(TypeError, match="no parameter 'x'; it has divisor, dividend"):
        mod(1, x=2)


def test_a_module_of_a_table():
    table = [Alias("a.b", "nn", "r=relu"), Alias("a", "train"), Alias("", "", "exp")]
    module = Names("m", table)
    assert module.a.b.r is tf.nn.relu
    assert module.a.AdamOptimizer is tf.train.AdamOptimizer
    assert dir(module) == ["a", "exp"] and dir(module.a.b) == ["r"]
    assert module.a is module.a and module.a.b.__name__ == "m.a.b"
    assert not hasattr(module, "__wrapped__")
    with pytest.raises(AttributeError, match=r"no m\.a\.b\.relu"):
        _ = module.a.b.relu
    wrapped = Names("m", [Alias("", "")]).nn
    assert wrapped.__name__ == "m.nn" and wrapped.relu is tf.nn.relu


def test_generated_names():
    from headrace.compat import generated

    with tf.Session() as session:
        assert session.run(generated.mat_mul([[2.0]], [[3.0]])) == 6
        assert session.run(generated.add_v2(1, 2)) == 3
    with pytest.raises(AttributeError, match="no_such_op"):
        generated.no_such_op  # noqa: B018


def test_switches():
    for name in ("v2_behavior", "eager_execution", "tensor_equality", "v2_tensorshape"):
        assert getattr(tf, f"disable_{name}")() is None
        with pytest.raises(NotImplementedError):
            getattr(tf, f"enable_{name}")()
    for name in ("resource_variables", "control_flow_v2"):
        getattr(tf, f"enable_{name}")()
        getattr(tf, f"disable_{name}")()
        assert getattr(tf, f"{name}_enabled")() is True
