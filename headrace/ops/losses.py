"""Losses: weighted, reduced, and remembered in a collection."""

from __future__ import annotations

from typing import Any

from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import GraphKeys, Tensor, add_to_collection, get_collection, name_scope
from headrace.ops import array, math, nn, reduce, slicing
from headrace.ops.nn import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
)

__all__ = [
    "Reduction",
    "absolute_difference",
    "add_loss",
    "compute_weighted_loss",
    "cosine_distance",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
    "hinge_loss",
    "huber_loss",
    "log_loss",
    "mean_pairwise_squared_error",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


class Reduction:
    """How a loss of many elements becomes a number.

    `NONE` keeps the elements, `SUM` adds them, `SUM_OVER_BATCH_SIZE` divides the sum by the number of
    elements, `MEAN` by the sum of the weights, `SUM_OVER_NONZERO_WEIGHTS` (or `SUM_BY_NONZERO_WEIGHTS`) by
    the number of elements whose weight is not zero.
    """

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Returns all ways, that with two names twice."""
        return (
            cls.NONE,
            cls.SUM,
            cls.MEAN,
            cls.SUM_OVER_BATCH_SIZE,
            cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )

    @classmethod
    def validate(cls, key: str) -> None:
        """Raises ValueError if there is no such way."""
        if key not in cls.all():
            raise ValueError(f"reduction is {key!r}; pass one of {', '.join(dict.fromkeys(cls.all()))}")


def add_loss(loss: Tensor, loss_collection: str | None = GraphKeys.LOSSES) -> None:
    """Puts a loss into the collection, from which `get_losses` and `get_total_loss` take it."""
    if loss_collection:
        add_to_collection(loss_collection, loss)


def get_losses(scope: str | None = None, loss_collection: str = GraphKeys.LOSSES) -> list[Tensor]:
    """Returns the losses of the collection whose names match `scope`, all if it is None."""
    return get_collection(loss_collection, scope)


def get_regularization_losses(scope: str | None = None) -> list[Tensor]:
    """Returns the regularization losses whose names match `scope`, all if it is None."""
    return get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def get_regularization_loss(scope: str | None = None, name: str = "total_regularization_loss") -> Tensor:
    """Returns the sum of the regularization losses, 0 if there are none."""
    losses = get_regularization_losses(scope)
    return math.add_n(losses, name=name) if losses else convert_to_tensor(0.0, name=name)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """Returns the sum of all losses of the collection.

    Args:
        add_regularization_losses: Whether to add the regularization losses too.
        name: Name of the result.
        scope: Takes only losses whose names match it.

    Raises:
        ValueError: If there are no losses.
    """
    losses = get_losses(scope)
    if add_regularization_losses:
        losses = losses + get_regularization_losses(scope)
    if not losses:
        raise ValueError("there are no losses to add; make some before, or call add_loss with your own")
    return math.add_n(losses, name=name)


def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """Multiplies losses by weights and reduces them.

    Args:
        losses: Tensor of any shape; 16-bit and 64-bit losses are reduced in float32.
        weights: Scalar, or a tensor of the rank of `losses` whose dimensions are the same or 1.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.

    Returns:
        A scalar of the dtype of `losses`, or a tensor of its shape for `Reduction.NONE`.

    Raises:
        ValueError: If the weights do not broadcast to the losses, or there is no such reduction.
    """
    Reduction.validate(reduction)
    with name_scope(scope, "weighted_loss"):
        values = convert_to_tensor(losses)
        dtype = values.dtype.base_dtype
        values = math.cast(values, dtypes.float32)
        weight = math.cast(weights, dtypes.float32)
        weight = _broadcastable(weight, values)
        weighted = math.multiply(values, weight, name="Mul")
        if reduction == Reduction.NONE:
            loss = weighted
        else:
            loss = reduce.reduce_sum(weighted)
            if reduction == Reduction.MEAN:
                loss = _divide(loss, reduce.reduce_sum(array.ones_like(values) * weight))
            elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
                loss = _divide(loss, math.cast(array.size(values, name="num_elements"), dtypes.float32))
            elif reduction == Reduction.SUM_BY_NONZERO_WEIGHTS:
                loss = _divide(loss, _num_present(values, weight))
        loss = math.cast(loss, dtype)
        add_loss(loss, loss_collection)
        return loss


def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The loss `|predictions - labels|`.

    Args:
        labels: The truth: a tensor of the shape of `predictions`.
        predictions: A floating tensor.
        weights: As in `compute_weighted_loss`; so are the arguments after it, the result and the errors.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(labels=labels, predictions=predictions, weights=weights)
    with name_scope(scope, "absolute_difference") as name:
        predictions, labels = _pair(predictions, labels)
        losses = math.abs(math.subtract(predictions, labels))
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: int | None = None,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
    dim: int | None = None,
) -> Tensor:
    """The loss `1 - sum(predictions * labels)` along an axis, for vectors of length 1.

    Args:
        labels: The truth: a tensor of the shape of `predictions`.
        predictions: A floating tensor of unit vectors.
        axis: The dimension along which the vectors lie.
        weights: As in `compute_weighted_loss`; the losses have size 1 along `axis`.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
        dim: Old name of `axis`.

    Raises:
        ValueError: If `axis` is missing, shapes differ, or the weights do not fit.
    """
    axis = dim if axis is None else axis
    if axis is None:
        raise ValueError("axis is missing; say along which dimension the vectors lie")
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "cosine_distance_loss") as name:
        predictions, labels = _pair(predictions, labels)
        losses = 1 - reduce.reduce_sum(math.multiply(predictions, labels), axis=(axis,), keepdims=True)
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def hinge_loss(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The loss `max(0, 1 - logits)` where the label is 1, `max(0, 1 + logits)` where it is 0.

    Args:
        labels: The truth, 0 or 1: a tensor of the shape of `logits`.
        logits: A floating tensor.
        weights: As in `compute_weighted_loss`; so are the arguments after it, the result and the errors.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(labels=labels, logits=logits)
    with name_scope(scope, "hinge_loss") as name:
        logits, labels = _pair(logits, labels)
        signs = math.subtract(2 * labels, array.ones_like(labels))
        losses = nn.relu(math.subtract(array.ones_like(labels), math.multiply(signs, logits)))
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The loss `e**2 / 2` for errors up to `delta`, `delta * (|e| - delta / 2)` beyond (Huber, 1964).

    Args:
        labels: The truth: a tensor of the shape of `predictions`.
        predictions: A floating tensor.
        weights: As in `compute_weighted_loss`; so are the result and the errors.
        delta: Where the square ends.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "huber_loss") as name:
        predictions, labels = _pair(predictions, labels)
        error = math.abs(math.subtract(predictions, labels))
        square = math.minimum(error, delta)
        losses = 0.5 * square * square + delta * (error - square)
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The loss `-labels * log(predictions) - (1 - labels) * log(1 - predictions)`.

    Args:
        labels: The truth, in [0, 1]: a tensor of the shape of `predictions`.
        predictions: Probabilities.
        weights: As in `compute_weighted_loss`; so are the result and the errors.
        epsilon: Added under the logarithms.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "log_loss") as name:
        predictions, labels = _pair(predictions, labels)
        positive = math.multiply(labels, math.log(predictions + epsilon))
        negative = math.multiply(1 - labels, math.log(1 - predictions + epsilon))
        losses = -positive - negative
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The loss `(predictions - labels)**2`.

    Args:
        labels: The truth: a tensor of the shape of `predictions`.
        predictions: A floating tensor.
        weights: As in `compute_weighted_loss`; so are the arguments after it, the result and the errors.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_squared_error") as name:
        predictions, labels = _pair(predictions, labels)
        losses = math.squared_difference(predictions, labels)
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def mean_pairwise_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
) -> Tensor:
    """The mean square of `(p[i] - p[j]) - (l[i] - l[j])` over the pairs of elements of each item of a batch.

    Args:
        labels: The truth: a tensor of the shape of `predictions`.
        predictions: A floating tensor whose first dimension is the batch.
        weights: Scalar, or of shape [batch] or [batch, 1...].
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.

    Returns:
        A scalar, summed over the batch and divided by the number of items whose weight is not zero.

    Raises:
        ValueError: If shapes differ, or the weights do not fit.
    """
    _check_given(labels=labels, predictions=predictions)
    with name_scope(scope, "mean_pairwise_squared_error"):
        predictions, labels = _pair(predictions, labels)
        weight = math.cast(weights, dtypes.float32)
        weight = _broadcastable(weight, labels)
        error = math.subtract(predictions, labels)
        axes = array.range(1, array.rank(error))
        present = _num_present(error, weight, per_item=True)
        squares = reduce.reduce_sum(math.square(error), axis=axes, keepdims=True)
        total = reduce.reduce_sum(error, axis=axes, keepdims=True)
        pairs = present * math.maximum(present - 1, 0)
        # The sum over pairs of (e[i] - e[j])**2 is n * sum(e**2) - sum(e)**2.
        first = 2.0 * math.div_no_nan(squares, math.maximum(present - 1, 0), name="value")
        second = 2.0 * math.div_no_nan(math.square(total), pairs, name="value")
        weighted = math.multiply(first - second, weight)
        loss = reduce.reduce_sum(weighted)
        some = reduce.reduce_sum(present) > 0
        loss = slicing.where(some, loss, array.zeros_like(loss), name="value")
        add_loss(loss, loss_collection)
        return loss


def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: Any = 0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The cross entropy of independent classes, `nn.sigmoid_cross_entropy_with_logits`.

    Args:
        multi_class_labels: The truth, in [0, 1], of shape [batch, classes].
        logits: A floating tensor of that shape.
        weights: As in `compute_weighted_loss`; so are the result and the errors.
        label_smoothing: Moves labels this share of the way to 1/2.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(multi_class_labels=multi_class_labels, logits=logits)
    with name_scope(scope, "sigmoid_cross_entropy_loss") as name:
        logits = convert_to_tensor(logits)
        labels = math.cast(multi_class_labels, logits.dtype)
        _check_same_shape(logits, labels)
        if _is_positive(label_smoothing):
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        losses = sigmoid_cross_entropy_with_logits(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: Any = 0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The cross entropy of exclusive classes, `nn.softmax_cross_entropy_with_logits_v2`.

    Args:
        onehot_labels: Probabilities of the classes, of shape [..., classes]. No gradient flows into them.
        logits: A floating tensor of that shape.
        weights: As in `compute_weighted_loss`, for losses of shape [...]; so are the result and the errors.
        label_smoothing: Moves labels this share of the way to 1/classes.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(onehot_labels=onehot_labels, logits=logits)
    with name_scope(scope, "softmax_cross_entropy_loss") as name:
        logits = convert_to_tensor(logits)
        labels = math.cast(onehot_labels, logits.dtype)
        _check_same_shape(logits, labels)
        if _is_positive(label_smoothing):
            classes = math.cast(array.shape(labels)[-1], logits.dtype)
            labels = labels * (1 - label_smoothing) + label_smoothing / classes
        labels = array.stop_gradient(labels, name="labels_stop_gradient")
        losses = softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """The cross entropy of exclusive classes given by number, `nn.sparse_softmax_cross_entropy_with_logits`.

    Args:
        labels: Class numbers, integers in [0, classes), of shape [...] or [..., 1].
        logits: A floating tensor of shape [..., classes].
        weights: As in `compute_weighted_loss`, for losses of shape [...]; so are the result and the errors.
        scope: Name scope.
        loss_collection: Where the result goes, None for nowhere.
        reduction: See `Reduction`.
    """
    _check_given(labels=labels, logits=logits)
    with name_scope(scope, "sparse_softmax_cross_entropy_loss") as name:
        logits = convert_to_tensor(logits)
        labels = convert_to_tensor(labels)
        weight = convert_to_tensor(weights)
        # Labels of shape [..., 1] are labels of shape [...]; weights follow the labels.
        rank, label_rank, weight_rank = (
            logits.get_shape().ndims,
            labels.get_shape().ndims,
            weight.get_shape().ndims,
        )
        if rank is not None and label_rank == rank and labels.get_shape().as_list()[-1] == 1:
            labels = array.squeeze(labels, [-1])
            label_rank = rank - 1
        if label_rank is not None and weight_rank == label_rank + 1 and weight.get_shape().as_list()[-1] == 1:
            weight = array.squeeze(weight, [-1])
        losses = sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name="xentropy")
        return compute_weighted_loss(losses, weight, name, loss_collection, reduction)


def _pair(predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of float32 (or of their own dtype if it is wider), of one shape."""
    predictions = math.cast(predictions, dtypes.float32)
    labels = math.cast(labels, dtypes.float32)
    _check_same_shape(predictions, labels)
    return predictions, labels


def _check_same_shape(a: Tensor, b: Tensor) -> None:
    if not a.get_shape().is_compatible_with(b.get_shape()):
        raise ValueError(
            f"predictions have shape {a.get_shape()}, labels have {b.get_shape()}; they must be the same"
        )


def _check_given(**arguments: Any) -> None:
    for name, value in arguments.items():
        if value is None:
            raise ValueError(f"{name} is None; pass a tensor")


def _is_positive(value: Any) -> bool:
    """Whether a number is above zero; a tensor may be."""
    return isinstance(value, Tensor) or value > 0


def _broadcastable(weights: Tensor, values: Tensor) -> Tensor:
    """The weights, checked to broadcast to the values without making them larger."""
    have, want = weights.get_shape(), values.get_shape()
    if have.ndims == 0:
        return weights
    if have.ndims is not None and want.ndims is not None:
        dims = list(zip(have.as_list(), want.as_list()))
        if have.ndims != want.ndims or any(w not in (None, 1) and v not in (None, w) for w, v in dims):
            raise ValueError(
                f"weights have shape {have}, values have {want}; weights must be a scalar "
                "or have the same number of dimensions, each equal or 1"
            )
        if all(w is not None and (w == 1 or w == v) for w, v in dims):
            return weights
    # What is not known yet is checked when it is: this cannot broadcast the values up.
    return array.broadcast_to(weights, array.shape(values))


def _num_present(values: Tensor, weights: Tensor, per_item: bool = False) -> Tensor:
    """How many elements have a weight that is not zero: in all, or in each item of the batch."""
    with name_scope(None, "num_present") as scope:
        present = math.cast(math.not_equal(weights, 0.0), dtypes.float32)
        present = array.ones_like(values, dtype=dtypes.float32) * present
        if per_item:
            axes = array.range(1, array.rank(present))
            return reduce.reduce_sum(present, axis=axes, keepdims=True, name=scope)
        return reduce.reduce_sum(present, name=scope)


def _divide(total: Tensor, count: Tensor) -> Tensor:
    return math.div_no_nan(total, count, name="value")
