import pickle

import pytest

import headrace as tf
from headrace.framework import errors, raw


def test_the_family():
    published = {
        1: "CancelledError", 2: "UnknownError", 3: "InvalidArgumentError", 4: "DeadlineExceededError",
        5: "NotFoundError", 6: "AlreadyExistsError", 7: "PermissionDeniedError", 8: "ResourceExhaustedError",
        9: "FailedPreconditionError", 10: "AbortedError", 11: "OutOfRangeError", 12: "UnimplementedError",
        13: "InternalError", 14: "UnavailableError", 15: "DataLossError", 16: "UnauthenticatedError",
    }  # fmt: skip
    for code, name in published.items():
        kind = getattr(tf.errors, name)
        assert errors.exception_type_from_error_code(code) is kind
        assert errors.error_code_from_exception_type(kind) == code
        error = kind(None, None, "what happened")
        assert isinstance(error, tf.OpError)
        assert (str(error), error.message, error.error_code, error.op) == (
            "what happened",
            "what happened",
            code,
            None,
        )
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.message, again.error_code) == (kind, "what happened", code)


def test_wrong_shapes_are_value_errors_and_wrong_dtypes_type_errors():
    with tf.Graph().as_default():
        a, b = tf.constant([[1.0]]), tf.constant([[1.0, 2.0], [3.0, 4.0]])
        with pytest.raises(ValueError) as shape:
            raw.MatMul(a, b)
        assert type(shape.value) is tf.errors.InvalidArgumentError
        with pytest.raises(TypeError) as dtype:
            raw.Tanh(tf.constant(["a"]))
        assert isinstance(dtype.value, tf.errors.InvalidArgumentError)
        assert shape.value.op_type == "MatMul"
