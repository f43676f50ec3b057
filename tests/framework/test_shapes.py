import numpy as np
import pytest

import headrace as tf

Dimension, Shape = tf.Dimension, tf.TensorShape


def test_dimension_arithmetic():
    seven, unknown = Dimension(7), Dimension(None)
    assert (seven + 1).value == (1 + seven).value == 8
    assert (seven - 2).value == 5
    assert (9 - seven).value == 2
    assert (seven * 3).value == (3 * seven).value == 21
    assert (seven // 2).value == 3
    assert (15 // seven).value == 2
    assert (seven % 4).value == 3
    for result in (seven + unknown, unknown * 2, seven // None, unknown % 2, 3 - unknown):
        assert result.value is None
    with pytest.raises(TypeError, match="//"):
        seven / 2


def test_dimension_comparisons():
    assert Dimension(3) == 3
    assert Dimension(3) != 4
    assert Dimension(3) < 4 <= Dimension(4)
    assert Dimension(5) > Dimension(4) >= 4
    assert (Dimension(None) == Dimension(None)) is None
    assert (Dimension(None) < 3) is None
    assert list(range(Dimension(3))) == [0, 1, 2]
    assert int(Dimension(3)) == 3
    assert (str(Dimension(None)), repr(Dimension(3))) == ("?", "Dimension(3)")


def test_dimension_merge():
    assert Dimension(3).merge_with(None).value == 3
    assert Dimension(None).merge_with(3).value == 3
    with pytest.raises(ValueError):
        Dimension(3).merge_with(4)
    with pytest.raises(ValueError):
        Dimension(-1)
    with pytest.raises(TypeError):
        Dimension(1.5)


@pytest.mark.parametrize(
    ("dims", "text"),
    [(None, "<unknown>"), ([], "()"), ([2], "(2,)"), ([None, 3], "(?, 3)"), (4, "(4,)")],
)
def test_text(dims, text):
    assert str(Shape(dims)) == text


def test_what_makes_a_shape():
    for dims in ([1, 2], (1, 2), np.array([1, 2]), [Dimension(1), np.int64(2)], Shape([1, 2])):
        assert Shape(dims).as_list() == [1, 2]
    assert Shape(Shape([1, None]).as_proto()).as_list() == [1, None]
    assert Shape(Shape(None).as_proto()).ndims is None
    for wrong, error in [("ab", TypeError), ([1.5], TypeError), ([-1], ValueError)]:
        with pytest.raises(error):
            Shape(wrong)


def test_properties():
    shape, unknown = Shape([2, None]), Shape(None)
    assert (shape.ndims, shape.rank, len(shape)) == (2, 2, 2)
    assert shape.dims[0].value == 2
    assert shape[1].value is None
    assert [d.value for d in shape] == [2, None]
    assert shape[-1:].as_list() == [None]
    assert shape.num_elements() is None
    assert Shape([2, 3]).num_elements() == 6
    assert Shape([]).num_elements() == 1
    assert bool(Shape([])) and not bool(unknown)
    assert unknown.ndims is None and unknown.dims is None
    assert unknown[3].value is None
    assert unknown[1:3].as_list() == [None, None]
    assert unknown[1:].ndims is None
    for fails in (unknown.as_list, lambda: len(unknown), lambda: list(unknown)):
        with pytest.raises(ValueError):
            fails()


def test_compatibility():
    assert Shape([None, 2]).is_compatible_with([3, 2])
    assert not Shape([None, 2]).is_compatible_with([3, 3])
    assert Shape(None).is_compatible_with([1])
    assert Shape([1, None]).merge_with([None, 2]).as_list() == [1, 2]
    assert Shape(None).merge_with([1]).as_list() == [1]
    with pytest.raises(ValueError):
        Shape([1]).merge_with([2])
    assert Shape([2, 3]).most_specific_compatible_shape([2, 4]).as_list() == [2, None]
    assert Shape([2, 3]).is_subtype_of(Shape([None, 3]))
    with pytest.raises(ValueError):
        Shape([1]).assert_is_compatible_with([2])
    with pytest.raises(ValueError):
        Shape([None]).assert_is_fully_defined()


def test_ranks():
    assert Shape(None).with_rank(2).as_list() == [None, None]
    assert Shape([1, 2]).with_rank_at_least(2).as_list() == [1, 2]
    for fails in (
        lambda s: s.with_rank(3),
        lambda s: s.with_rank_at_least(3),
        lambda s: s.with_rank_at_most(1),
    ):
        with pytest.raises(ValueError):
            fails(Shape([1, 2]))
    with pytest.raises(ValueError):
        Shape([1]).assert_same_rank([1, 2])
    Shape([1]).assert_has_rank(1)


def test_joining_and_equality():
    assert (Shape([1]) + Shape([2])).as_list() == [1, 2]
    assert Shape([2]).__radd__([1]).as_list() == [1, 2]
    assert Shape([1]).concatenate(None).ndims is None
    assert Shape([1, 2]) == [1, 2] == Shape((1, 2))
    assert Shape(None) == Shape(None)
    assert Shape([1]) != [2]
    assert {Shape([1, 2]): 1}[Shape([1, 2])] == 1
    with pytest.raises(ValueError):
        Shape(None) != [1]  # noqa: B015


def test_static_broadcast():
    assert tf.broadcast_static_shape(Shape([2, 1]), Shape([1, 3])).as_list() == [2, 3]
    assert tf.broadcast_static_shape(Shape([None, 4]), Shape([1])).as_list() == [None, 4]
    assert tf.broadcast_static_shape(Shape(None), Shape([1])).ndims is None
    with pytest.raises(ValueError, match="broadcast"):
        tf.broadcast_static_shape(Shape([2]), Shape([3]))
