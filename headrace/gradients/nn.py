"""Derivatives of activations, biases, softmax and its losses, and the best k."""

from __future__ import annotations

from headrace.framework import raw
from headrace.framework.constant import constant
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import NotDifferentiable, RegisterGradient


def _scalar(value: float, like: Tensor) -> Tensor:
    return constant(value, like.dtype)


# ---- activations. A gradient is linear in its gradient, so by that it is differentiated by itself


@RegisterGradient("Relu")
def _relu(op: Operation, grad: Tensor) -> Tensor:
    # The output is positive where the feature is, and is more likely to be around.
    return raw.ReluGrad(grad, op.outputs[0])


@RegisterGradient("ReluGrad")
def _relu_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    features = op.inputs[1]
    return [raw.ReluGrad(grad, features), raw.ZerosLike(features)]


@RegisterGradient("Relu6")
def _relu6(op: Operation, grad: Tensor) -> Tensor:
    return raw.Relu6Grad(grad, op.outputs[0])


@RegisterGradient("Relu6Grad")
def _relu6_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    features = op.inputs[1]
    return [raw.Relu6Grad(grad, features), raw.ZerosLike(features)]


@RegisterGradient("LeakyRelu")
def _leaky_relu(op: Operation, grad: Tensor) -> Tensor:
    return raw.LeakyReluGrad(grad, op.inputs[0], alpha=op.get_attr("alpha"))


@RegisterGradient("LeakyReluGrad")
def _leaky_relu_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    features = op.inputs[1]
    return [raw.LeakyReluGrad(grad, features, alpha=op.get_attr("alpha")), raw.ZerosLike(features)]


@RegisterGradient("Elu")
def _elu(op: Operation, grad: Tensor) -> Tensor:
    return raw.EluGrad(grad, op.outputs[0])


@RegisterGradient("EluGrad")
def _elu_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    gradients, outputs = op.inputs
    return [raw.EluGrad(grad, outputs), _where_negative(outputs, raw.Mul(grad, gradients))]


@RegisterGradient("Selu")
def _selu(op: Operation, grad: Tensor) -> Tensor:
    return raw.SeluGrad(grad, op.outputs[0])


@RegisterGradient("SeluGrad")
def _selu_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    gradients, outputs = op.inputs
    return [raw.SeluGrad(grad, outputs), _where_negative(outputs, raw.Mul(grad, gradients))]


def _where_negative(x: Tensor, value: Tensor) -> Tensor:
    return raw.Select(raw.Less(x, _scalar(0, x)), value, raw.ZerosLike(x))


@RegisterGradient("Softplus")
def _softplus(op: Operation, grad: Tensor) -> Tensor:
    return raw.SoftplusGrad(grad, op.inputs[0])


@RegisterGradient("SoftplusGrad")
def _softplus_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    # The derivative of the sigmoid s is s (1 - s).
    gradients, features = op.inputs
    s = raw.Sigmoid(features)
    slope = raw.Mul(s, raw.Sub(_scalar(1, s), s))
    return [raw.SoftplusGrad(grad, features), raw.Mul(raw.Mul(grad, gradients), slope)]


@RegisterGradient("Softsign")
def _softsign(op: Operation, grad: Tensor) -> Tensor:
    return raw.SoftsignGrad(grad, op.inputs[0])


@RegisterGradient("SoftsignGrad")
def _softsign_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    # d/dx (1 + |x|)^-2 = -2 sign(x) (1 + |x|)^-3
    gradients, x = op.inputs
    size = raw.Add(raw.Abs(x), _scalar(1, x))
    slope = raw.RealDiv(raw.Mul(_scalar(-2, x), raw.Sign(x)), raw.Mul(raw.Square(size), size))
    return [raw.SoftsignGrad(grad, x), raw.Mul(raw.Mul(grad, gradients), slope)]


# ---- biases


@RegisterGradient("BiasAdd")
def _bias_add(op: Operation, grad: Tensor) -> list[Tensor]:
    return [grad, raw.BiasAddGrad(grad, data_format=op.get_attr("data_format"))]


@RegisterGradient("BiasAddV1")
def _bias_add_v1(op: Operation, grad: Tensor) -> list[Tensor]:
    return [grad, raw.BiasAddGrad(grad)]


@RegisterGradient("BiasAddGrad")
def _bias_add_grad(op: Operation, grad: Tensor) -> Tensor:
    shape = raw.Shape(op.inputs[0])
    if op.get_attr("data_format") == b"NCHW":
        # (channels,) becomes (channels, 1, ...), one dimension less than the value.
        ones = raw.OnesLike(raw.StridedSlice(shape, [2], [0], [1], end_mask=1))
        grad = raw.Reshape(grad, raw.ConcatV2([raw.Shape(grad), ones], 0))
    return raw.BroadcastTo(grad, shape)


@RegisterGradient("L2Loss")
def _l2_loss(op: Operation, grad: Tensor) -> Tensor:
    return raw.Mul(op.inputs[0], grad)


# ---- softmax


def _centred(grad: Tensor, softmax: Tensor) -> Tensor:
    """The derivative of softmax times a gradient: (grad - sum(grad * softmax)) * softmax, by rows."""
    mean = raw.Sum(raw.Mul(grad, softmax), -1, keep_dims=True)
    return raw.Mul(raw.Sub(grad, mean), softmax)


@RegisterGradient("Softmax")
def _softmax(op: Operation, grad: Tensor) -> Tensor:
    return _centred(grad, op.outputs[0])


@RegisterGradient("LogSoftmax")
def _log_softmax(op: Operation, grad: Tensor) -> Tensor:
    total = raw.Sum(grad, -1, keep_dims=True)
    return raw.Sub(grad, raw.Mul(total, raw.Exp(op.outputs[0])))


def _cross_entropy_by_logits(op: Operation, grad_loss: Tensor, grad_backprop: Tensor) -> Tensor:
    grad = raw.Mul(raw.ExpandDims(grad_loss, -1), op.outputs[1])
    # Nobody but a derivative of this derivative reads the second output.
    if grad_backprop.op.type != "ZerosLike":
        grad = raw.Add(grad, _centred(grad_backprop, raw.Softmax(op.inputs[0])))
    return grad


def _summed_like(grad: Tensor, x: Tensor) -> Tensor:
    """A gradient of the broadcast shape as one of x's shape."""
    if grad.shape.is_fully_defined() and grad.shape == x.shape:
        return grad
    shape = raw.Shape(x)
    axes = raw.BroadcastGradientArgs(shape, raw.Shape(grad))
    return raw.Reshape(raw.Sum(grad, axes[0]), shape)


@RegisterGradient("SoftmaxCrossEntropyWithLogits")
def _softmax_cross_entropy(op: Operation, grad_loss: Tensor, grad_backprop: Tensor) -> list[Tensor]:
    logits, labels = op.inputs
    by_labels = raw.Mul(raw.ExpandDims(raw.Neg(grad_loss), -1), raw.LogSoftmax(logits))
    if grad_backprop.op.type != "ZerosLike":  # backprop = softmax(logits) - labels
        by_labels = raw.Sub(by_labels, grad_backprop)
    by_logits = _cross_entropy_by_logits(op, grad_loss, grad_backprop)
    return [_summed_like(by_logits, logits), _summed_like(by_labels, labels)]


@RegisterGradient("SparseSoftmaxCrossEntropyWithLogits")
def _sparse_softmax_cross_entropy(
    op: Operation, grad_loss: Tensor, grad_backprop: Tensor
) -> list[Tensor | None]:
    return [_cross_entropy_by_logits(op, grad_loss, grad_backprop), None]


# ---- the best k


def _top_k_grad(op: Operation, grad: Tensor) -> Tensor:
    x, indices = op.inputs[0], op.outputs[1]
    # Each chosen element's place in the flat input: its row's start, and its index.
    shape, chosen = raw.Shape(x), raw.Shape(indices)
    columns = raw.StridedSlice(shape, [-1], [0], [1], end_mask=1, shrink_axis_mask=1)
    k = raw.StridedSlice(chosen, [-1], [0], [1], end_mask=1, shrink_axis_mask=1)
    zero, one = constant(0, "int32"), constant(1, "int32")
    rows = raw.Prod(raw.StridedSlice(shape, [0], [-1], [1], begin_mask=1), [0])
    starts = raw.ExpandDims(raw.Mul(raw.Range(zero, rows, one), columns), 1)
    places = raw.Add(raw.Reshape(indices, raw.Pack([rows, k])), starts)
    summed = raw.UnsortedSegmentSum(raw.Reshape(grad, [-1]), raw.Reshape(places, [-1]), raw.Prod(shape, [0]))
    return raw.Reshape(summed, shape)


@RegisterGradient("TopK")
def _top_k(op: Operation, grad: Tensor, _: Tensor | None) -> Tensor:
    return _top_k_grad(op, grad)


@RegisterGradient("TopKV2")
def _top_k_v2(op: Operation, grad: Tensor, _: Tensor | None) -> list[Tensor | None]:
    return [_top_k_grad(op, grad), None]


NotDifferentiable("InTopK")
NotDifferentiable("InTopKV2")
