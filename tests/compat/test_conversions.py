"""The helpers of `tf.compat`."""

import pathlib

import numpy as np
import pytest

import headrace as tf
from headrace import compat


def test_bytes_and_texts():
    assert compat.as_bytes("aé") == b"a\xc3\xa9"
    assert compat.as_bytes(bytearray(b"x")) == compat.as_bytes(np.bytes_(b"x")) == b"x"
    assert compat.as_bytes("é", "latin-1") == b"\xe9"
    assert compat.as_text(b"a\xc3\xa9") == compat.as_str("aé") == "aé"
    assert compat.as_text(b"\xe9", "latin-1") == "é"
    assert [compat.as_str_any(value) for value in (b"a", "x", 3, [1])] == ["a", "x", "3", "[1]"]
    for wrong in (3, None, bytearray(b"x")):
        with pytest.raises(TypeError, match="expected bytes or a text"):
            compat.as_text(wrong)
    with pytest.raises(TypeError, match="got 3"):
        compat.as_bytes(3)


def test_paths():
    assert compat.path_to_str(pathlib.Path("/x")) == "/x"
    assert compat.path_to_str("a") == "a" and compat.path_to_str(3) == 3


def test_kinds():
    assert isinstance(np.int8(3), compat.integral_types) and not isinstance(1.0, compat.integral_types)
    assert isinstance(np.float16(3), compat.real_types) and not isinstance(1j, compat.real_types)
    assert isinstance(1j, compat.complex_types) and isinstance(np.complex64(1), compat.complex_types)
    assert isinstance("", compat.bytes_or_text_types) and isinstance(b"", compat.bytes_or_text_types)


def test_dimensions():
    sizes = [compat.dimension_value(value) for value in (tf.Dimension(3), tf.Dimension(None), 3, None)]
    assert sizes == [3, None, 3, None]
    assert compat.dimension_at_index(tf.TensorShape([1, 4]), 1).value == 4
    assert compat.dimension_at_index(tf.TensorShape(None), 5).value is None


def test_horizon():
    assert compat.forward_compatible(2019, 8, 20) and not compat.forward_compatible(2019, 8, 21)
    with compat.forward_compatibility_horizon(2020, 1, 1):
        assert compat.forward_compatible(2019, 12, 31) and not compat.forward_compatible(2020, 1, 1)
    assert not compat.forward_compatible(2019, 12, 31)
