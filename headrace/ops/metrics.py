"""Streaming metrics: each keeps sums in local variables, has a value, and an update that takes a batch in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import GraphKeys, Operation, Tensor, add_to_collections, control_dependencies
from headrace.ops import array, diag, math, matmul, nn, reduce, slicing
from headrace.ops import variable_scope as scopes
from headrace.ops.variables import Variable

__all__ = [
    "accuracy",
    "auc",
    "false_negatives",
    "false_negatives_at_thresholds",
    "false_positives",
    "false_positives_at_thresholds",
    "mean",
    "mean_absolute_error",
    "mean_cosine_distance",
    "mean_iou",
    "mean_per_class_accuracy",
    "mean_relative_error",
    "mean_squared_error",
    "mean_tensor",
    "percentage_below",
    "precision",
    "precision_at_thresholds",
    "recall",
    "recall_at_k",
    "recall_at_thresholds",
    "root_mean_squared_error",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "true_negatives",
    "true_negatives_at_thresholds",
    "true_positives",
    "true_positives_at_thresholds",
]

Metric = tuple[Tensor, Tensor]
Collections = Sequence[str] | str | None


def metric_variable(shape: Any, dtype: Any, validate_shape: bool = True, name: str | None = None) -> Variable:
    """Makes a local variable of zeros, in the collections `LOCAL_VARIABLES` and `METRIC_VARIABLES`."""
    return Variable(
        lambda: array.zeros(shape, dtype),
        trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.METRIC_VARIABLES],
        validate_shape=validate_shape,
        name=name,
    )


def _finish(
    value: Tensor, update: Any, metrics_collections: Collections, updates_collections: Collections
) -> Metric:
    if metrics_collections:
        add_to_collections(metrics_collections, value)
    if updates_collections:
        add_to_collections(updates_collections, update)
    return value, update


def _fit_weights(weights: Any, values: Tensor, dtype: Any = dtypes.float32) -> Tensor | None:
    """Weights as a tensor of the shape of the values: given dimensions of size 1 more or less are mended."""
    if weights is None:
        return None
    weight = math.cast(weights, dtype)
    have, want = weight.get_shape().ndims, values.get_shape().ndims
    if have is not None and want is not None and have != 0:
        if have == want + 1 and weight.get_shape().as_list()[-1] == 1:
            weight = array.squeeze(weight, [-1])
        elif have == want - 1:
            weight = array.expand_dims(weight, -1)
    return array.broadcast_to(weight, array.shape(values))


def _match(labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors; a last dimension of size 1 that only one of them has is removed."""
    labels, predictions = convert_to_tensor(labels), convert_to_tensor(predictions)
    have, want = labels.get_shape(), predictions.get_shape()
    if have.ndims is not None and want.ndims is not None:
        if have.ndims == want.ndims + 1 and have.as_list()[-1] == 1:
            labels = array.squeeze(labels, [-1])
        elif want.ndims == have.ndims + 1 and want.as_list()[-1] == 1:
            predictions = array.squeeze(predictions, [-1])
        if not labels.get_shape().is_compatible_with(predictions.get_shape()):
            raise ValueError(f"labels have shape {have}, predictions have {want}; they must be the same")
    return labels, predictions


@contextmanager
def _scope(name: str | None, default: str, *values: Any) -> Iterator[None]:
    with scopes.variable_scope(name, default, values):
        yield


def mean(
    values: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The weighted mean of all values so far.

    Args:
        values: Tensor of any shape.
        weights: Tensor that broadcasts to `values`; 0 leaves an element out.
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        name: Name of the variable scope.

    Returns:
        The value, and the update: run it to take a batch in; its result is the value then.
    """
    with _scope(name, "mean", values, weights):
        items = math.cast(values, dtypes.float32)
        total = metric_variable([], dtypes.float32, name="total")
        count = metric_variable([], dtypes.float32, name="count")
        weight = _fit_weights(weights, items)
        if weight is None:
            number = math.cast(array.size(items), dtypes.float32)
        else:
            items = items * weight
            number = reduce.reduce_sum(weight)
        new_total = total.assign_add(reduce.reduce_sum(items))
        with control_dependencies([items]):
            new_count = count.assign_add(number)
        value = math.div_no_nan(total.read_value(), count.read_value(), name="value")
        update = math.div_no_nan(new_total, new_count, name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)


def mean_tensor(
    values: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The weighted mean of each element over the batches so far; arguments and result as in `mean`."""
    with _scope(name, "mean", values, weights):
        items = math.cast(values, dtypes.float32)
        shape = items.get_shape()
        total = metric_variable(shape, dtypes.float32, name="total_tensor")
        count = metric_variable(shape, dtypes.float32, name="count_tensor")
        weight = _fit_weights(weights, items)
        number = array.ones_like(items) if weight is None else weight
        new_total = total.assign_add(items if weight is None else items * weight)
        with control_dependencies([items]):
            new_count = count.assign_add(number)
        value = math.div_no_nan(total.read_value(), count.read_value(), name="value")
        update = math.div_no_nan(new_total, new_count, name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)


def accuracy(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """How often predictions equal labels.

    Args:
        labels: The truth: a tensor of the shape of `predictions`.
        predictions: A tensor of any dtype.
        weights: As in `mean`; so are the arguments after it and the result.
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        name: Name of the variable scope.

    Raises:
        ValueError: If the shapes differ.
    """
    labels, predictions = _match(labels, predictions)
    if labels.dtype != predictions.dtype:
        predictions = math.cast(predictions, labels.dtype)
    correct = math.cast(math.equal(predictions, labels), dtypes.float32)
    return mean(correct, weights, metrics_collections, updates_collections, name or "accuracy")


def mean_absolute_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The mean of `|predictions - labels|`; arguments and result as in `accuracy`."""
    labels, predictions = _match(labels, predictions)
    error = math.abs(predictions - labels)
    return mean(error, weights, metrics_collections, updates_collections, name or "mean_absolute_error")


def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The mean of `(predictions - labels)**2`; arguments and result as in `accuracy`."""
    labels, predictions = _match(labels, predictions)
    error = math.squared_difference(labels, predictions)
    return mean(error, weights, metrics_collections, updates_collections, name or "mean_squared_error")


def root_mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The root of the mean of `(predictions - labels)**2`; arguments and result as in `accuracy`."""
    value, update = mean_squared_error(
        labels, predictions, weights, None, None, name or "root_mean_squared_error"
    )
    return _finish(math.sqrt(value), math.sqrt(update), metrics_collections, updates_collections)


def mean_relative_error(
    labels: Any,
    predictions: Any,
    normalizer: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The mean of `|labels - predictions| / normalizer`, 0 where that is 0; otherwise as `accuracy`."""
    labels, predictions = _match(labels, predictions)
    error = math.div_no_nan(
        math.abs(labels - predictions), convert_to_tensor(normalizer, dtype=predictions.dtype)
    )
    return mean(error, weights, metrics_collections, updates_collections, name or "mean_relative_error")


def mean_cosine_distance(
    labels: Any,
    predictions: Any,
    dim: int,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """One minus the mean product of unit vectors that lie along `dim`; otherwise as `accuracy`."""
    labels, predictions = _match(labels, predictions)
    product = reduce.reduce_sum(predictions * labels, axis=[dim], keepdims=True)
    value, update = mean(product, weights, None, None, name or "mean_cosine_distance")
    return _finish(1.0 - value, 1.0 - update, metrics_collections, updates_collections)


def percentage_below(
    values: Any,
    threshold: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The share of values below a threshold; otherwise as `mean`."""
    below = math.cast(math.less(values, threshold), dtypes.float32)
    return mean(
        below, weights, metrics_collections, updates_collections, name or "percentage_below_threshold"
    )


# ---- counts of the four kinds of answers to a yes-or-no question

# Each kind by what the label is and what the prediction is.
_KINDS = {
    "true_positives": (True, True),
    "false_negatives": (True, False),
    "true_negatives": (False, False),
    "false_positives": (False, True),
}


def _count(
    kind: str,
    labels: Any,
    predictions: Any,
    weights: Any,
    metrics_collections: Collections,
    updates_collections: Collections,
    name: str | None,
) -> Metric:
    with _scope(name, kind, labels, predictions, weights):
        label, prediction = _match(math.cast(labels, dtypes.bool_), math.cast(predictions, dtypes.bool_))
        is_label, is_prediction = _KINDS[kind]
        hits = math.logical_and(math.equal(label, is_label), math.equal(prediction, is_prediction))
        hits = math.cast(hits, dtypes.float32)
        weight = _fit_weights(weights, hits)
        count = metric_variable([], dtypes.float32, name="count")
        update = count.assign_add(reduce.reduce_sum(hits if weight is None else hits * weight))
        return _finish(
            array.identity(count.read_value(), name="value"), update, metrics_collections, updates_collections
        )


def true_positives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The weighted number of elements where label and prediction are both true.

    Args:
        labels: The truth; cast to bool.
        predictions: Of the shape of `labels`; cast to bool.
        weights: As in `mean`; so are the arguments after it and the result.
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        name: Name of the variable scope.
    """
    return _count(
        "true_positives", labels, predictions, weights, metrics_collections, updates_collections, name
    )


def false_negatives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The weighted number of true labels with a false prediction; arguments as in `true_positives`."""
    return _count(
        "false_negatives", labels, predictions, weights, metrics_collections, updates_collections, name
    )


def true_negatives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The weighted number of false labels with a false prediction; arguments as in `true_positives`."""
    return _count(
        "true_negatives", labels, predictions, weights, metrics_collections, updates_collections, name
    )


def false_positives(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The weighted number of false labels with a true prediction; arguments as in `true_positives`."""
    return _count(
        "false_positives", labels, predictions, weights, metrics_collections, updates_collections, name
    )


def precision(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The share of true predictions that are right, 0 if there are none; arguments as in `true_positives`."""
    with _scope(name, "precision", labels, predictions, weights):
        right, add_right = true_positives(labels, predictions, weights)
        wrong, add_wrong = false_positives(labels, predictions, weights)
        value = math.div_no_nan(right, right + wrong, name="value")
        update = math.div_no_nan(add_right, add_right + add_wrong, name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)


def recall(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The share of true labels that are predicted, 0 if there are none; arguments as in `true_positives`."""
    with _scope(name, "recall", labels, predictions, weights):
        found, add_found = true_positives(labels, predictions, weights)
        missed, add_missed = false_negatives(labels, predictions, weights)
        value = math.div_no_nan(found, found + missed, name="value")
        update = math.div_no_nan(add_found, add_found + add_missed, name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)


def _counts_at_thresholds(
    labels: Any, predictions: Any, thresholds: Any, weights: Any, kinds: Sequence[str]
) -> dict[str, tuple[Tensor, Tensor]]:
    """For each kind, the counts at each threshold, and their updates: vectors."""
    prediction = math.cast(predictions, dtypes.float32)
    label, prediction = _match(math.cast(labels, dtypes.bool_), prediction)
    weight = _fit_weights(weights, prediction)
    number = len(thresholds)
    limits = array.expand_dims(convert_to_tensor(list(thresholds), dtype=dtypes.float32), 1)
    label = array.reshape(label, [1, -1])
    positive = math.greater(array.reshape(prediction, [1, -1]), limits)
    counts = {}
    for kind in kinds:
        is_label, is_prediction = _KINDS[kind]
        hits = math.logical_and(math.equal(label, is_label), math.equal(positive, is_prediction))
        hits = math.cast(hits, dtypes.float32)
        if weight is not None:
            hits = hits * array.reshape(weight, [1, -1])
        count = metric_variable([number], dtypes.float32, name=kind)
        counts[kind] = count.read_value(), count.assign_add(reduce.reduce_sum(hits, axis=1))
    return counts


def _at_thresholds(
    default: str,
    kinds: Sequence[str],
    formula: Callable[..., Tensor],
    labels: Any,
    predictions: Any,
    thresholds: Any,
    weights: Any,
    metrics_collections: Collections,
    updates_collections: Collections,
    name: str | None,
) -> Metric:
    """A metric that is a formula of counts at thresholds."""
    with _scope(name, default, labels, predictions, weights):
        counts = _counts_at_thresholds(labels, predictions, thresholds, weights, kinds)
        value = formula(*(counts[kind][0] for kind in kinds), name="value")
        update = formula(*(counts[kind][1] for kind in kinds), name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)


def _share(part: Tensor, other: Tensor, name: str) -> Tensor:
    return math.div_no_nan(part, part + other + 1e-7, name=name)


def true_positives_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """For each threshold, the weighted number of true labels with a prediction above it.

    Args:
        labels: The truth; cast to bool.
        predictions: Floating, in [0, 1], of the shape of `labels`.
        thresholds: Numbers in [0, 1].
        weights: As in `mean`; so are the arguments after it.
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        name: Name of the variable scope.

    Returns:
        The value and the update: vectors, one element a threshold.
    """
    return _at_thresholds(
        "true_positives",
        ["true_positives"],
        array.identity,
        labels,
        predictions,
        thresholds,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def false_negatives_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The true labels with a prediction not above each threshold; as `true_positives_at_thresholds`."""
    return _at_thresholds(
        "false_negatives",
        ["false_negatives"],
        array.identity,
        labels,
        predictions,
        thresholds,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def true_negatives_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The false labels with a prediction not above each threshold; as `true_positives_at_thresholds`."""
    return _at_thresholds(
        "true_negatives",
        ["true_negatives"],
        array.identity,
        labels,
        predictions,
        thresholds,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def false_positives_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The false labels with a prediction above each threshold; as `true_positives_at_thresholds`."""
    return _at_thresholds(
        "false_positives",
        ["false_positives"],
        array.identity,
        labels,
        predictions,
        thresholds,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def precision_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The share of predictions above each threshold that are right; as `true_positives_at_thresholds`."""
    return _at_thresholds(
        "precision_at_thresholds",
        ["true_positives", "false_positives"],
        _share,
        labels,
        predictions,
        thresholds,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def recall_at_thresholds(
    labels: Any,
    predictions: Any,
    thresholds: Sequence[float],
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The share of true labels with a prediction above each threshold; as `true_positives_at_thresholds`."""
    return _at_thresholds(
        "recall_at_thresholds",
        ["true_positives", "false_negatives"],
        _share,
        labels,
        predictions,
        thresholds,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def _even_thresholds(number: int) -> list[float]:
    """Numbers evenly spaced over [0, 1], the ends moved out a little so that they bound every prediction."""
    inner = [i / (number - 1) for i in range(1, number - 1)]
    return [-1e-7, *inner, 1.0 + 1e-7]


def auc(
    labels: Any,
    predictions: Any,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    curve: str = "ROC",
    name: str | None = None,
    summation_method: str = "trapezoidal",
    thresholds: Sequence[float] | None = None,
) -> Metric:
    """The area under a curve that a threshold on predictions traces, approximated by a sum.

    Args:
        labels: The truth; cast to bool.
        predictions: Floating, in [0, 1], of the shape of `labels`.
        weights: As in `mean`.
        num_thresholds: How many thresholds, evenly spaced.
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        curve: "ROC" (true over false positive rate) or "PR" (precision over recall).
        name: Name of the variable scope.
        summation_method: "trapezoidal", "minoring" (from below), "majoring" (from above), or, for "PR",
            "careful_interpolation" (Davis and Goadrich, 2006, https://www.biostat.wisc.edu/~page/rocpr.pdf).
        thresholds: Thresholds in (0, 1) of your own, increasing.

    Returns:
        The value and the update: scalars.

    Raises:
        ValueError: If there is no such curve or summation method.
    """
    if curve not in ("ROC", "PR"):
        raise ValueError(f"curve is {curve!r}; pass 'ROC' or 'PR'")
    methods = ("trapezoidal", "minoring", "majoring") + (("careful_interpolation",) if curve == "PR" else ())
    if summation_method not in methods:
        raise ValueError(
            f"summation_method is {summation_method!r}; for {curve} pass one of {', '.join(methods)}"
        )
    limits = _even_thresholds(num_thresholds) if thresholds is None else [-1e-7, *thresholds, 1.0 + 1e-7]

    def area(tp: Tensor, fn: Tensor, tn: Tensor, fp: Tensor, name: str) -> Tensor:
        if summation_method == "careful_interpolation":
            return _interpolated_area(tp, fn, fp, name)
        rate = math.div(tp + 1e-6, tp + fn + 1e-6)
        if curve == "ROC":
            x, y = math.div(fp, fp + tn + 1e-6), rate
        else:
            x, y = rate, math.div(tp + 1e-6, tp + fp + 1e-6)
        heights = {
            "trapezoidal": lambda: (y[:-1] + y[1:]) / 2.0,
            "minoring": lambda: math.minimum(y[:-1], y[1:]),
            "majoring": lambda: math.maximum(y[:-1], y[1:]),
        }[summation_method]()
        return reduce.reduce_sum(math.multiply(x[:-1] - x[1:], heights), name=name)

    kinds = ["true_positives", "false_negatives", "true_negatives", "false_positives"]
    return _at_thresholds(
        "auc",
        kinds,
        area,
        labels,
        predictions,
        limits,
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def _interpolated_area(tp: Tensor, fn: Tensor, fp: Tensor, name: str) -> Tensor:
    """The area under precision over recall; between thresholds, true positives are linear in positives."""
    step = tp[:-1] - tp[1:]
    positives = tp + fp
    slope = math.div_no_nan(step, math.maximum(positives[:-1] - positives[1:], 0))
    intercept = tp[1:] - slope * positives[1:]
    both = math.logical_and(positives[:-1] > 0, positives[1:] > 0)
    ratio = math.div_no_nan(positives[:-1], math.maximum(positives[1:], 0))
    ratio = slicing.where(both, ratio, array.ones_like(ratio))
    area = slope * (step + intercept * math.log(ratio))
    return reduce.reduce_sum(math.div_no_nan(area, math.maximum(tp[1:] + fn[1:], 0)), name=name)


def sensitivity_at_specificity(
    labels: Any,
    predictions: Any,
    specificity: float,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The true positive rate at the threshold whose true negative rate is nearest to `specificity`.

    The other arguments and the result are those of `auc`.
    """
    _check_share("specificity", specificity)

    def formula(tp: Tensor, fn: Tensor, tn: Tensor, fp: Tensor, name: str) -> Tensor:
        distance = math.abs(math.div(tn, tn + fp + 1e-7) - specificity)
        at = math.cast(reduce.argmin(distance, 0), dtypes.int32)
        return math.div(tp[at], tp[at] + fn[at] + 1e-7, name=name)

    kinds = ["true_positives", "false_negatives", "true_negatives", "false_positives"]
    return _at_thresholds(
        "sensitivity_at_specificity",
        kinds,
        formula,
        labels,
        predictions,
        _even_thresholds(num_thresholds),
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def specificity_at_sensitivity(
    labels: Any,
    predictions: Any,
    sensitivity: float,
    weights: Any = None,
    num_thresholds: int = 200,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The true negative rate at the threshold whose true positive rate is nearest to `sensitivity`.

    The other arguments and the result are those of `auc`.
    """
    _check_share("sensitivity", sensitivity)

    def formula(tp: Tensor, fn: Tensor, tn: Tensor, fp: Tensor, name: str) -> Tensor:
        # Of the thresholds that are equally near, the last: it has the best specificity.
        distance = math.abs(math.div(tp, tp + fn + 1e-7) - sensitivity)
        nearest = math.equal(distance, reduce.reduce_min(distance))
        places = array.range(num_thresholds)
        at = reduce.reduce_max(slicing.where(nearest, places, array.zeros_like(places)))
        return math.div(tn[at], tn[at] + fp[at] + 1e-7, name=name)

    kinds = ["true_positives", "false_negatives", "true_negatives", "false_positives"]
    return _at_thresholds(
        "specificity_at_sensitivity",
        kinds,
        formula,
        labels,
        predictions,
        _even_thresholds(num_thresholds),
        weights,
        metrics_collections,
        updates_collections,
        name,
    )


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it must be in [0, 1]")


# ---- metrics of several classes


def _streaming_confusion(
    labels: Any, predictions: Any, num_classes: int, weights: Any
) -> tuple[Variable, Tensor]:
    """The weighted counts of (label, prediction) so far, [num_classes, num_classes], and their update."""
    label = array.reshape(math.cast(labels, dtypes.int64), [-1])
    prediction = array.reshape(math.cast(predictions, dtypes.int64), [-1])
    rows = array.one_hot(label, num_classes, dtype=dtypes.float64)
    columns = array.one_hot(prediction, num_classes, dtype=dtypes.float64)
    if weights is not None:
        rows = rows * array.reshape(math.cast(weights, dtypes.float64), [-1, 1])
    total = metric_variable([num_classes, num_classes], dtypes.float64, name="total_confusion_matrix")
    return total, total.assign_add(matmul.matmul(rows, columns, transpose_a=True))


def mean_iou(
    labels: Any,
    predictions: Any,
    num_classes: int,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The mean over classes of intersection over union of what is labelled and what is predicted so.

    Args:
        labels: Class numbers, of any shape.
        predictions: Class numbers, of the same size.
        num_classes: How many classes there are. Those that never occur do not count.
        weights: Tensor of the size of `labels`.
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        name: Name of the variable scope.

    Returns:
        The value, and the update, whose result is the matrix of counts.
    """
    with _scope(name, "mean_iou", predictions, labels, weights):
        total, update = _streaming_confusion(labels, predictions, num_classes, weights)
        counts = math.cast(total.read_value(), dtypes.float32)
        both = diag.diag_part(counts)
        union = reduce.reduce_sum(counts, axis=0) + reduce.reduce_sum(counts, axis=1) - both
        occur = reduce.reduce_sum(math.cast(math.not_equal(union, 0), dtypes.float32))
        shares = reduce.reduce_sum(math.div_no_nan(both, union))
        value = math.div_no_nan(shares, occur, name="mean_iou")
        return _finish(value, update, metrics_collections, updates_collections)


def mean_per_class_accuracy(
    labels: Any,
    predictions: Any,
    num_classes: int,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The mean over classes of how often each is predicted right; arguments as in `mean_iou`."""
    with _scope(name, "mean_accuracy", predictions, labels, weights):
        label = array.reshape(math.cast(labels, dtypes.int64), [-1])
        prediction = array.reshape(math.cast(predictions, dtypes.int64), [-1])
        total = metric_variable([num_classes], dtypes.float32, name="total")
        count = metric_variable([num_classes], dtypes.float32, name="count")
        members = array.one_hot(label, num_classes, dtype=dtypes.float32)
        if weights is not None:
            members = members * array.reshape(math.cast(weights, dtypes.float32), [-1, 1])
        right = math.cast(math.equal(label, prediction), dtypes.float32)
        new_total = total.assign_add(reduce.reduce_sum(members, axis=0))
        new_count = count.assign_add(reduce.reduce_sum(members * array.expand_dims(right, 1), axis=0))
        value = reduce.reduce_mean(
            math.div_no_nan(count.read_value(), total.read_value()), name="mean_accuracy"
        )
        update = math.div_no_nan(new_count, new_total, name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)


def recall_at_k(
    labels: Any,
    predictions: Any,
    k: int,
    class_id: int | None = None,
    weights: Any = None,
    metrics_collections: Collections = None,
    updates_collections: Collections = None,
    name: str | None = None,
) -> Metric:
    """The share of labels that are among the `k` classes predicted highest.

    Args:
        labels: Class numbers: integers of shape [batch] or [batch, labels].
        predictions: Scores: floating, of shape [batch, classes].
        k: How many classes to look at.
        class_id: Counts only this class.
        weights: Of shape [batch] or [batch, 1].
        metrics_collections: Where the value goes.
        updates_collections: Where the update goes.
        name: Name of the variable scope.

    Returns:
        The value and the update: scalars.
    """
    with _scope(name, f"recall_at_{k}", predictions, labels, weights):
        label = math.cast(labels, dtypes.int64)
        if label.get_shape().ndims == 1:
            label = array.expand_dims(label, 1)
        scores = convert_to_tensor(predictions)
        top = math.cast(nn.top_k(scores, k)[1], dtypes.int64)
        hits = math.equal(array.expand_dims(label, 2), array.expand_dims(top, 1))
        found = math.cast(reduce.reduce_any(hits, axis=2), dtypes.float32)
        counted = array.ones_like(found)
        if class_id is not None:
            counted = math.cast(math.equal(label, math.cast(class_id, dtypes.int64)), dtypes.float32)
        if weights is not None:
            counted = counted * array.reshape(math.cast(weights, dtypes.float32), [-1, 1])
        right = metric_variable([], dtypes.float64, name=f"true_positive_at_{k}")
        wrong = metric_variable([], dtypes.float64, name=f"false_negative_at_{k}")
        add_right = right.assign_add(math.cast(reduce.reduce_sum(found * counted), dtypes.float64))
        add_wrong = wrong.assign_add(math.cast(reduce.reduce_sum((1 - found) * counted), dtypes.float64))
        value = math.div_no_nan(right.read_value(), right.read_value() + wrong.read_value(), name="value")
        update = math.div_no_nan(add_right, add_right + add_wrong, name="update_op")
        return _finish(value, update, metrics_collections, updates_collections)
