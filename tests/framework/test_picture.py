"""Pictures of graphs and tensors in notebooks."""

from xml.etree import ElementTree

import pytest

import headrace as tf

SVG = "{http://www.w3.org/2000/svg}"


def drawn(thing):
    """What a notebook shows: well-formed XML, every box and line within its bounds."""
    text = thing._repr_html_()
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    width, height = float(root.get("width")), float(root.get("height"))
    for rectangle in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rectangle.get(key)) for key in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    return root, text


def titles(root):
    return [title.text for title in root.iter(f"{SVG}title")]


def boxes(root):
    return [box.findall(f"{SVG}text")[0].text for box in root.iter(f"{SVG}g")]


def test_small_graphs_are_shown_as_they_are():
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        with tf.name_scope("layer"):
            tf.nn.relu(x + 1.0, name="out")
    root, _ = drawn(graph)
    assert boxes(root) == ["x", "layer/add/y", "layer/add", "layer/out"]
    assert "float32 (?, 3)" in titles(root)
    assert any(title.startswith("layer/add (Add") for title in titles(root))


def test_an_empty_graph():
    root, _ = drawn(tf.Graph())
    assert boxes(root) == []


def test_large_scopes_stay_closed():
    with tf.Graph().as_default() as graph:
        x = tf.constant(1.0, name="x")
        with tf.name_scope("small"):
            x = tf.negative(x, name="inside")
        for name in ("one", "two"):
            with tf.name_scope(name):
                for _ in range(100):
                    x = tf.negative(x)
    root, _ = drawn(graph)
    assert boxes(root) == ["x", "small/inside", "one", "two"]
    assert {"one: 100 operations", "two: 100 operations"} <= set(titles(root))


def test_order_follows_the_data():
    with tf.Graph().as_default() as graph:
        a = tf.constant(1.0, name="a")
        c = tf.negative(tf.negative(a, name="b"), name="c")
        with tf.control_dependencies([c]):
            tf.no_op(name="d")
    root, _ = drawn(graph)
    heights = {
        box.findall(f"{SVG}text")[0].text: float(box.find(f"{SVG}rect").get("y"))
        for box in root.iter(f"{SVG}g")
    }
    assert heights["a"] < heights["b"] < heights["c"] < heights["d"]
    assert "control" in titles(root)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_pictures_of_large_graphs_are_small(depth):
    with tf.Graph().as_default() as graph:
        x = tf.constant(1.0)
        for i in range(10_000):
            scopes = "/".join(f"s{i // 10 ** (k + 1)}" for k in reversed(range(depth)))
            x = graph.create_op("Neg", [x], name=f"{scopes}/n{i}/" if depth else f"n{i}/").outputs[0]
    root, text = drawn(graph)
    assert 2 <= len(boxes(root)) <= 30
    assert len(text) < 100_000
    assert float(root.get("width")) < 1500 and float(root.get("height")) < 6000


def test_tensors_show_what_is_around_them():
    x = tf.placeholder(tf.float32, [2], name="x")
    y = tf.negative(x, name="a_" + "long_" * 10 + "name")
    tf.exp(y, name="z")
    root, text = drawn(y)
    assert "…" in text and any(title.startswith("z (Exp)") for title in titles(root))
    drawn(y.op)
