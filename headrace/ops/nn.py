"""Activations, biases, softmax and its losses, dropout, and the best k."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, constant_array, name_scope
from headrace.ops.matmul import matmul
from headrace.ops.random import random_uniform

__all__ = [
    "bias_add",
    "crelu",
    "dropout",
    "elu",
    "in_top_k",
    "l2_loss",
    "leaky_relu",
    "log_poisson_loss",
    "log_softmax",
    "relu",
    "relu6",
    "relu_layer",
    "selu",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "top_k",
    "weighted_cross_entropy_with_logits",
    "xw_plus_b",
    "zero_fraction",
]


# ---- activations


def relu(features: Any, name: str | None = None) -> Tensor:
    """Computes max(features, 0) element by element, for any real dtype."""
    return raw.Relu(features, name=name)


def relu6(features: Any, name: str | None = None) -> Tensor:
    """Computes min(max(features, 0), 6) element by element, for any real dtype."""
    return raw.Relu6(features, name=name)


def elu(features: Any, name: str | None = None) -> Tensor:
    """Computes exp(x) - 1 where x is negative, x elsewhere (Clevert et al., 2016)."""
    return raw.Elu(features, name=name)


def selu(features: Any, name: str | None = None) -> Tensor:
    """Computes the scaled exponential linear unit (Klambauer et al., 2017)."""
    return raw.Selu(features, name=name)


def softplus(features: Any, name: str | None = None) -> Tensor:
    """Computes log(1 + exp(features)) element by element."""
    return raw.Softplus(features, name=name)


def softsign(features: Any, name: str | None = None) -> Tensor:
    """Computes features / (1 + |features|) element by element."""
    return raw.Softsign(features, name=name)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """Computes x where it is positive, alpha * x elsewhere.

    Args:
      features: a tensor; integers become float32.
      alpha: the slope of the negative part: a number, or a scalar tensor.
      name: of the operation.
    """
    with name_scope(name, "LeakyRelu", [features, alpha]) as scope:
        features = convert_to_tensor(features, name="features")
        if features.dtype.is_integer:
            features = raw.Cast(features, DstT="float32")
        if isinstance(alpha, Tensor | np.ndarray):
            known = constant_array(alpha) if isinstance(alpha, Tensor) else alpha
            if known is None:
                return raw.Maximum(raw.Mul(alpha, features), features, name=scope)
            alpha = float(known)
        return raw.LeakyRelu(features, alpha=float(alpha), name=scope)


def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """Concatenates relu(features) and relu(-features) along an axis (Shang et al., 2016)."""
    with name_scope(name, "CRelu", [features]) as scope:
        features = convert_to_tensor(features, name="features")
        return raw.Relu(raw.ConcatV2([features, raw.Neg(features)], axis, name=scope))


def swish(features: Any) -> Tensor:
    """Computes features * sigmoid(features) element by element (Ramachandran et al., 2017)."""
    features = convert_to_tensor(features, name="features")
    return raw.Mul(features, raw.Sigmoid(features))


# ---- layers


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """Adds a number for each channel.

    Args:
      value: a tensor with channels last, or second where `data_format` starts with "NC".
      bias: (channels,), of the same dtype.
      data_format: None or "N...C" for channels last, "NC..." for channels second.
      name: of the operation.

    Raises:
      ValueError: for another data format, or if the sizes differ.
    """
    kind = "NHWC"
    if data_format is not None:
        if not data_format.startswith("N") or "C" not in (data_format[1:2], data_format[-1]):
            raise ValueError(f"data_format is {data_format!r}, expected 'N...C' or 'NC...'")
        kind = "NCHW" if data_format.startswith("NC") and len(data_format) > 2 else "NHWC"
    with name_scope(name, "BiasAdd", [value, bias]) as scope:
        value = convert_to_tensor(value, name="input")
        bias = convert_to_tensor(bias, dtype=value.dtype, name="bias")
        return raw.BiasAdd(value, bias, data_format=kind, name=scope)


def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """Computes matmul(x, weights) + biases.

    Args:
      x: a matrix (batch, inputs).
      weights: a matrix (inputs, outputs).
      biases: (outputs,).
      name: of the operation.
    """
    with name_scope(name, "xw_plus_b", [x, weights, biases]) as scope:
        return bias_add(matmul(x, weights), biases, name=scope)


def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """Computes relu(matmul(x, weights) + biases); the arguments are those of `xw_plus_b`."""
    with name_scope(name, "relu_layer", [x, weights, biases]) as scope:
        return raw.Relu(bias_add(matmul(x, weights), biases), name=scope)


def dropout(
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: int | None = None,
    name: str | None = None,
    rate: Any = None,
) -> Tensor:
    """Sets elements to zero at random and scales the others up (Srivastava et al., 2014).

    Args:
      x: a floating tensor.
      keep_prob: the probability to keep an element: 1 - rate. The older of two ways to say it.
      noise_shape: the shape of the decisions, where several elements share one: broadcasts with x. None for
        x's.
      seed: of the decisions, with the graph's seed.
      name: of the scope.
      rate: the probability to drop an element: a number or scalar tensor in [0, 1).

    Returns:
      A tensor like x; x itself if nothing is dropped.

    Raises:
      ValueError: if the probability is missing, given in both ways, or out of range, or if x is not floating.
    """
    if (rate is None) == (keep_prob is None):
        raise ValueError(
            "give either rate, the probability to drop an element, or keep_prob, which is 1 - rate"
        )
    if rate is None:
        try:
            rate = 1 - keep_prob
        except TypeError:
            raise ValueError(f"keep_prob is {keep_prob!r}, expected a number or a scalar tensor") from None
    with name_scope(name, "dropout", [x]):
        x = convert_to_tensor(x, name="x")
        if not x.dtype.is_floating:
            raise ValueError(f"x is {x.dtype.name}, expected a floating dtype, for what is kept is scaled up")
        if isinstance(rate, numbers.Real):
            if not 0 <= float(rate) < 1:
                raise ValueError(f"rate is {rate}, expected a number in [0, 1)")
            if rate == 0:
                return x
        rate = convert_to_tensor(rate, dtype=x.dtype, name="rate")
        rate.shape.assert_has_rank(0)
        random = random_uniform(_noise_shape(x, noise_shape), seed=seed, dtype=x.dtype)
        scale = raw.RealDiv(1.0, raw.Sub(1.0, rate, name="sub"), name="truediv")
        # Numbers are in [0, 1): an element is dropped with probability `rate`.
        kept = raw.GreaterEqual(random, rate)
        result = raw.Mul(raw.Mul(x, scale, name="mul"), raw.Cast(kept, DstT=x.dtype), name="mul")
        result.set_shape(x.shape)
        return result


def _noise_shape(x: Tensor, noise_shape: Any) -> Any:
    if noise_shape is None:
        return x.shape.as_list() if x.shape.is_fully_defined() else raw.Shape(x)
    if isinstance(noise_shape, Tensor):
        return noise_shape
    # Dimensions that are left open are x's.
    known = [getattr(size, "value", size) for size in noise_shape]
    own = x.shape.as_list() if x.shape.ndims == len(known) else known
    sizes = [mine if size is None else size for size, mine in zip(known, own)]
    if None not in sizes:
        return sizes
    shape = raw.Shape(x)
    return raw.Pack(
        [
            raw.StridedSlice(shape, [i], [i + 1], [1], shrink_axis_mask=1) if size is None else np.int32(size)
            for i, size in enumerate(sizes)
        ]
    )


# ---- softmax


def _one_of(axis: Any, dim: Any, default: int) -> int:
    if axis is not None and dim is not None:
        raise ValueError("axis and dim are two names of one argument; give one")
    axis = dim if axis is None else axis
    return default if axis is None else int(axis)


def _move_axis_last(x: Tensor, axis: int) -> tuple[Tensor, Any]:
    """x with an axis swapped with the last, and the permutation that did it (None if nothing needed to)."""
    rank = x.shape.ndims
    if axis == -1 or (rank is not None and axis == rank - 1):
        return x, None
    if rank is not None:
        if not -rank <= axis < rank:
            raise ValueError(f"axis is {axis}, expected one of the {rank} dimensions of {x.shape}")
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]
        permutation: Any = np.array(order, np.int32)
    else:
        size = raw.Rank(x)
        axes = raw.Range(0, size, 1)
        last, own = raw.Sub(size, 1), raw.FloorMod(axis, size)

        def replaced(values: Tensor, old: Tensor, new: Tensor) -> Tensor:
            """`new` at the place of axis `old`."""
            everywhere = raw.Fill(raw.ExpandDims(size, 0), new)
            return raw.Select(raw.Equal(axes, old), everywhere, values)

        permutation = replaced(replaced(axes, own, last), last, own)
    return raw.Transpose(x, permutation), permutation


def _softmax(operation: Any, logits: Any, axis: int, name: str | None) -> Tensor:
    logits = convert_to_tensor(logits)
    if axis == -1 or axis == (logits.shape.ndims or 0) - 1:
        return operation(logits, name=name)
    with name_scope(name, operation.__name__, [logits]):
        moved, permutation = _move_axis_last(logits, axis)
        return raw.Transpose(operation(moved), permutation)


def softmax(logits: Any, axis: int | None = None, name: str | None = None, dim: int | None = None) -> Tensor:
    """Computes exp(x) / sum(exp(x)) along an axis.

    Args:
      logits: a floating tensor.
      axis: the axis, by default the last.
      name: of the operation.
      dim: another name of `axis`.
    """
    return _softmax(raw.Softmax, logits, _one_of(axis, dim, -1), name)


def log_softmax(
    logits: Any, axis: int | None = None, name: str | None = None, dim: int | None = None
) -> Tensor:
    """Computes x - log(sum(exp(x))) along an axis.

    Args:
      logits: a floating tensor.
      axis: the axis, by default the last.
      name: of the operation.
      dim: another name of `axis`.
    """
    return _softmax(raw.LogSoftmax, logits, _one_of(axis, dim, -1), name)


def _check_named(function: str, sentinel: Any, labels: Any, logits: Any) -> None:
    """Labels and logits look alike, so they are only taken by name."""
    if sentinel is not None or labels is None or logits is None:
        raise ValueError(f"call {function}(labels=..., logits=...), with both by name")


def softmax_cross_entropy_with_logits_v2(
    labels: Any, logits: Any, axis: int | None = None, name: str | None = None, dim: int | None = None
) -> Tensor:
    """Cross entropy of a distribution over classes, predicted as logits: -sum(labels * log_softmax(logits)).

    Args:
      labels: a tensor like `logits`: a distribution along the axis of classes. It gets gradients too.
      logits: a floating tensor; do not apply softmax before.
      axis: that of the classes, by default the last.
      name: of the operation.
      dim: another name of `axis`.

    Returns:
      A tensor with one dimension less, float32 for 16-bit logits computed in float32.
    """
    axis = _one_of(axis, dim, -1)
    with name_scope(name, "softmax_cross_entropy_with_logits", [logits, labels]) as scope:
        logits = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(labels, name="labels", preferred_dtype=logits.dtype)
        narrow = logits.dtype
        if narrow.name in ("float16", "bfloat16"):
            logits = raw.Cast(logits, DstT="float32")
        if labels.dtype != logits.dtype:
            labels = raw.Cast(labels, DstT=logits.dtype)
        logits, _ = _move_axis_last(logits, axis)
        labels, _ = _move_axis_last(labels, axis)
        if logits.shape.ndims == 2 and labels.shape.ndims == 2:
            loss = raw.SoftmaxCrossEntropyWithLogits(logits, labels, name=scope)[0]
        else:
            shape = raw.Shape(logits)
            classes = raw.StridedSlice(shape, [-1], [0], [1], end_mask=1)
            rows = raw.ConcatV2([np.array([-1], np.int32), classes], 0)
            flat = [raw.Reshape(v, rows) for v in (logits, labels)]
            loss = raw.SoftmaxCrossEntropyWithLogits(*flat, name=scope)[0]
            static = logits.shape[:-1]
            loss = raw.Reshape(loss, raw.StridedSlice(shape, [0], [-1], [1], begin_mask=1))
            loss.set_shape(static)
        return loss if narrow == loss.dtype else raw.Cast(loss, DstT=narrow)


def softmax_cross_entropy_with_logits(
    _sentinel: Any = None,
    labels: Any = None,
    logits: Any = None,
    dim: int = -1,
    name: str | None = None,
    axis: int | None = None,
) -> Tensor:
    """`softmax_cross_entropy_with_logits_v2`, but the labels get no gradient.

    Args:
      _sentinel: not to be given: labels and logits are passed by name.
      labels: a tensor like `logits`: a distribution along the axis of classes.
      logits: a floating tensor; do not apply softmax before.
      dim: that of the classes, by default the last.
      name: of the operation.
      axis: another name of `dim`.
    """
    _check_named("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "softmax_cross_entropy_with_logits_sg", [logits, labels]) as scope:
        fixed = raw.StopGradient(labels, name="labels_stop_gradient")
        return softmax_cross_entropy_with_logits_v2(
            labels=fixed, logits=logits, axis=dim if axis is None else axis, name=scope
        )


def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross entropy of one right class for each example, predicted as logits: -log_softmax(logits)[label].

    Args:
      _sentinel: not to be given: labels and logits are passed by name.
      labels: an int32 or int64 tensor (...), the classes.
      logits: a floating tensor (..., classes); do not apply softmax before.
      name: of the scope.

    Returns:
      A tensor like labels, of the logits' dtype.

    Raises:
      ValueError: if the shapes do not fit.
    """
    _check_named("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "SparseSoftmaxCrossEntropyWithLogits", [labels, logits]):
        labels = convert_to_tensor(labels)
        logits = convert_to_tensor(logits)
        narrow = logits.dtype
        if narrow.name in ("float16", "bfloat16"):
            logits = raw.Cast(logits, DstT="float32")
        rank = logits.shape.ndims
        if rank == 0:
            raise ValueError(f"logits have shape {logits.shape}, expected a dimension of classes")
        if rank is not None and labels.shape.ndims is not None and labels.shape.ndims != rank - 1:
            raise ValueError(
                f"labels have rank {labels.shape.ndims} and logits {rank}, expected one less: labels are "
                "classes, not distributions (softmax_cross_entropy_with_logits takes those)"
            )
        operation = raw.SparseSoftmaxCrossEntropyWithLogits
        if rank == 2:
            loss = operation(logits, labels, name="SparseSoftmaxCrossEntropyWithLogits")[0]
        else:
            classes = raw.StridedSlice(raw.Shape(logits), [-1], [0], [1], end_mask=1)
            flat = raw.Reshape(logits, raw.ConcatV2([np.array([-1], np.int32), classes], 0))
            loss = operation(
                flat,
                raw.Reshape(labels, np.array([-1], np.int32)),
                name="SparseSoftmaxCrossEntropyWithLogits",
            )[0]
            loss = raw.Reshape(loss, raw.Shape(labels))
            loss.set_shape(labels.shape)
        return loss if narrow == loss.dtype else raw.Cast(loss, DstT=narrow)


def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross entropy of independent yes-or-no classes, predicted as logits.

    Computes -z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x)) as max(x, 0) - x z + log(1 + exp(-|x|)), which
    does not overflow.

    Args:
      _sentinel: not to be given: labels and logits are passed by name.
      labels: z, a tensor like `logits`, of probabilities.
      logits: x, a floating tensor.
      name: of the operation.

    Raises:
      ValueError: if the shapes differ.
    """
    _check_named("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(labels, dtype=logits.dtype, name="labels")
        if not logits.shape.is_compatible_with(labels.shape):
            raise ValueError(
                f"logits are {logits.shape}, labels {labels.shape}; they must have the same shape"
            )
        zeros = raw.ZerosLike(logits)
        positive = raw.GreaterEqual(logits, zeros)
        # Not max and abs: those have no derivative at zero, this is smooth.
        largest = raw.Select(positive, logits, zeros)
        negative_size = raw.Select(positive, raw.Neg(logits), logits)
        smooth = raw.Sub(largest, raw.Mul(logits, labels))
        return raw.AddV2(smooth, raw.Log1p(raw.Exp(negative_size)), name=scope)


def weighted_cross_entropy_with_logits(
    labels: Any = None,
    logits: Any = None,
    pos_weight: Any = None,
    name: str | None = None,
    targets: Any = None,
) -> Tensor:
    """`sigmoid_cross_entropy_with_logits`, where a missed yes costs `pos_weight` times as much.

    Args:
      labels: a tensor like `logits`, of probabilities.
      logits: a floating tensor.
      pos_weight: the weight of positive examples: a number, or a tensor that broadcasts with the logits.
      name: of the operation.
      targets: another name of `labels`.

    Raises:
      ValueError: if the shapes differ.
    """
    labels = targets if labels is None else labels
    with name_scope(name, "logistic_loss", [logits, labels]) as scope:
        logits = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(labels, dtype=logits.dtype, name="labels")
        if not logits.shape.is_compatible_with(labels.shape):
            raise ValueError(
                f"logits are {logits.shape}, labels {labels.shape}; they must have the same shape"
            )
        pos_weight = convert_to_tensor(pos_weight, dtype=logits.dtype)
        one = convert_to_tensor(1.0, dtype=logits.dtype)
        # (1 - z) x + (1 + (w - 1) z) log(1 + exp(-x)), the logarithm so that it does not overflow.
        weight = raw.AddV2(one, raw.Mul(raw.Sub(pos_weight, one), labels))
        logarithm = raw.AddV2(raw.Log1p(raw.Exp(raw.Neg(raw.Abs(logits)))), raw.Relu(raw.Neg(logits)))
        return raw.AddV2(raw.Mul(raw.Sub(one, labels), logits), raw.Mul(weight, logarithm), name=scope)


def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """Negative log-likelihood of counts under Poisson distributions: exp(c) - z c, up to a constant of z.

    Args:
      targets: z, the counts, a tensor like `log_input`.
      log_input: c, the logarithms of the expected counts.
      compute_full_loss: add z log(z) - z + log(2 pi z) / 2, which approximates log(z!), where z > 1.
      name: of the operation.

    Raises:
      ValueError: if the shapes differ.
    """
    with name_scope(name, "log_poisson_loss", [log_input, targets]):
        log_input = convert_to_tensor(log_input, name="log_input")
        targets = convert_to_tensor(targets, dtype=log_input.dtype, name="targets")
        if not log_input.shape.is_compatible_with(targets.shape):
            raise ValueError(
                f"log_input is {log_input.shape}, targets {targets.shape}; they must have the same shape"
            )
        loss = raw.Sub(raw.Exp(log_input), raw.Mul(log_input, targets))
        if not compute_full_loss:
            return loss

        def number(value: float) -> Tensor:
            return convert_to_tensor(value, dtype=targets.dtype)

        half_log = raw.Mul(number(0.5), raw.Log(raw.Mul(number(2 * math.pi), targets)))
        factorial = raw.AddV2(raw.Sub(raw.Mul(targets, raw.Log(targets)), targets), half_log)
        zeros = raw.ZerosLike(targets)
        small = raw.LogicalAnd(
            raw.GreaterEqual(targets, zeros), raw.LessEqual(targets, raw.OnesLike(targets))
        )
        return raw.AddV2(loss, raw.Select(small, zeros, factorial))


def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Half the sum of squares of a floating tensor."""
    return raw.L2Loss(t, name=name)


# ---- counting and ranking


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are zero, a float32 scalar; NaN for an empty tensor."""
    with name_scope(name, "zero_fraction", [value]):
        value = convert_to_tensor(value, name="value")
        zero = convert_to_tensor(0, dtype=value.dtype)
        flat = raw.Reshape(raw.Cast(raw.Equal(value, zero), DstT="int64"), np.array([-1], np.int32))
        count = raw.Cast(raw.Sum(flat, np.array([0], np.int32)), DstT="float32")
        return raw.RealDiv(count, raw.Cast(raw.Size(value), DstT="float32"), name="fraction")


def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> Any:
    """The k largest elements along the last dimension, and where they are.

    Args:
      input: a tensor of a real dtype, of rank 1 or more.
      k: how many: a number or an int32 scalar, at most the size of the last dimension.
      sorted: False leaves the order open.
      name: of the operation.

    Returns:
      A named tuple (values, indices), the largest first, of equal ones that with the lower index; indices are
      int32.
    """
    return raw.TopKV2(input, k, sorted=sorted, name=name)


def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether each target's prediction is among the k highest of its example; ties at the border count.

    Args:
      predictions: a float32 matrix (batch, classes).
      targets: an int32 or int64 vector (batch,) of classes.
      k: how many.
      name: of the scope.

    Returns:
      A bool vector (batch,): False too where the target is no class, or a prediction is not finite.
    """
    with name_scope(name, "in_top_k"):
        return raw.InTopKV2(predictions, targets, k)
