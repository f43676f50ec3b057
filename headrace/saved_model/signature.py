"""Signatures of saved models: which tensors go in and come out, under names that stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.framework import dtypes, protos
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, get_default_graph
from headrace.framework.sparse_tensor import SparseTensor
from headrace.ops.variables import Variable

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"
CLASSIFY_INPUTS = "inputs"
CLASSIFY_METHOD_NAME = "tensorflow/serving/classify"
CLASSIFY_OUTPUT_CLASSES = "classes"
CLASSIFY_OUTPUT_SCORES = "scores"
PREDICT_INPUTS = "inputs"
PREDICT_METHOD_NAME = "tensorflow/serving/predict"
PREDICT_OUTPUTS = "outputs"
REGRESS_INPUTS = "inputs"
REGRESS_METHOD_NAME = "tensorflow/serving/regress"
REGRESS_OUTPUTS = "outputs"


def build_tensor_info(tensor: Any) -> Any:
    """Returns the `TensorInfo` that describes a tensor: its name, dtype and static shape.

    Args:
        tensor: A tensor, a variable, or what has the attributes `values`, `indices` and `dense_shape`.

    Raises:
        TypeError: If it is none of these.
    """
    if isinstance(tensor, Variable):
        tensor = tensor.value()
    if all(isinstance(getattr(tensor, part, None), Tensor) for part in ("values", "indices", "dense_shape")):
        info = protos.TensorInfo(dtype=tensor.values.dtype.as_datatype_enum)
        info.coo_sparse.values_tensor_name = tensor.values.name
        info.coo_sparse.indices_tensor_name = tensor.indices.name
        info.coo_sparse.dense_shape_tensor_name = tensor.dense_shape.name
        shape = getattr(tensor, "shape", None)
        if shape is not None:
            info.tensor_shape.CopyFrom(shape.as_proto())
        return info
    if not isinstance(tensor, Tensor):
        raise TypeError(f"expected a tensor, got {tensor!r}; a signature names tensors of the graph")
    return protos.TensorInfo(
        name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto()
    )


def get_tensor_from_tensor_info(tensor_info: Any, graph: Any = None, import_scope: str | None = None) -> Any:
    """Returns the tensor of a graph that a `TensorInfo` names: a `Tensor` or a `SparseTensor`.

    Args:
        tensor_info: The message.
        graph: The graph; by default the default one.
        import_scope: The scope that the graph was imported under.

    Raises:
        KeyError: If the graph does not have it.
        ValueError: If the message names a tensor in a form that is not supported, or none.
    """
    scope = f"{import_scope.rstrip('/')}/" if import_scope else ""

    def find(name: str) -> Tensor:
        return (graph or get_default_graph()).get_tensor_by_name(scope + name)

    kind = tensor_info.WhichOneof("encoding")
    if kind == "name":
        return find(tensor_info.name)
    if kind == "coo_sparse":
        sparse = tensor_info.coo_sparse
        return SparseTensor(
            find(sparse.indices_tensor_name),
            find(sparse.values_tensor_name),
            find(sparse.dense_shape_tensor_name),
        )
    raise ValueError(
        f"the tensor is described by {kind or 'nothing'}; only dense and sparse tensors can be found"
    )


def build_signature_def(
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    method_name: str | None = None,
) -> Any:
    """Returns a `SignatureDef`.

    Args:
        inputs: `TensorInfo` messages by the names that callers use.
        outputs: The same for what is computed.
        method_name: What kind of call it is; one of the method names in `signature_constants`.

    Raises:
        TypeError: If something else is among the inputs or outputs.
    """
    made = protos.SignatureDef()
    for tensors, into in ((inputs, made.inputs), (outputs, made.outputs)):
        if tensors is not None and not isinstance(tensors, Mapping):
            raise TypeError(f"expected a dict from names to TensorInfo messages, got {tensors!r}")
        for name, info in (tensors or {}).items():
            if getattr(getattr(info, "DESCRIPTOR", None), "name", None) != "TensorInfo":
                raise TypeError(
                    f"'{name}' must be a TensorInfo message, got {type(info).__name__}; see build_tensor_info"
                )
            into[name].ParseFromString(info.SerializeToString())
    if method_name is not None:
        made.method_name = method_name
    return made


def _infos(tensors: dict[str, Any], what: str) -> dict[str, Any]:
    if tensors is not None and not isinstance(tensors, Mapping):
        raise TypeError(f"{what} of a signature must be a dict from names to tensors, got {tensors!r}")
    if not tensors:
        raise ValueError(f"a signature needs {what}, got {tensors!r}")
    return {name: build_tensor_info(tensor) for name, tensor in tensors.items()}


def predict_signature_def(inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> Any:
    """Returns the signature of a prediction: any named tensors in, any out.

    Raises:
        ValueError: If there are no inputs or no outputs.
    """
    return build_signature_def(_infos(inputs, "inputs"), _infos(outputs, "outputs"), PREDICT_METHOD_NAME)


def _strings(tensor: Any, what: str) -> Any:
    if tensor is None:
        raise ValueError(f"{what} is None; pass a tensor")
    tensor = convert_to_tensor(tensor)
    if tensor.dtype != dtypes.string:
        raise ValueError(f"{what} must be strings, got {tensor.dtype.name}")
    return build_tensor_info(tensor)


def _floats(tensor: Any, what: str) -> Any:
    tensor = convert_to_tensor(tensor)
    if tensor.dtype != dtypes.float32:
        raise ValueError(f"{what} must be float32, got {tensor.dtype.name}; cast it")
    return build_tensor_info(tensor)


def classification_signature_def(examples: Tensor, classes: Tensor | None, scores: Tensor | None) -> Any:
    """Returns the signature of a classification of serialised examples.

    Args:
        examples: Strings.
        classes: Names of classes, strings; or None.
        scores: A score for each, float32; or None.

    Raises:
        ValueError: If both are None, or a dtype is another.
    """
    if classes is None and scores is None:
        raise ValueError("a classification needs classes, scores or both")
    outputs = {}
    if classes is not None:
        outputs[CLASSIFY_OUTPUT_CLASSES] = _strings(classes, "classes")
    if scores is not None:
        outputs[CLASSIFY_OUTPUT_SCORES] = _floats(scores, "scores")
    return build_signature_def(
        {CLASSIFY_INPUTS: _strings(examples, "examples")}, outputs, CLASSIFY_METHOD_NAME
    )


def regression_signature_def(examples: Tensor, predictions: Tensor) -> Any:
    """Returns the signature of a regression on serialised examples: strings in, float32 out.

    Raises:
        ValueError: If a tensor is missing or of another dtype.
    """
    if predictions is None:
        raise ValueError("predictions is None; pass a tensor")
    return build_signature_def(
        {REGRESS_INPUTS: _strings(examples, "examples")},
        {REGRESS_OUTPUTS: _floats(predictions, "predictions")},
        REGRESS_METHOD_NAME,
    )


def is_valid_signature(signature_def: Any) -> bool:
    """Whether the signature is one of a classification, regression or prediction that can be served."""
    if signature_def is None:
        return False
    inputs, outputs = signature_def.inputs, signature_def.outputs
    if signature_def.method_name == PREDICT_METHOD_NAME:
        return bool(inputs) and bool(outputs)
    if signature_def.method_name == REGRESS_METHOD_NAME:
        return _are(inputs, {REGRESS_INPUTS: dtypes.string}) and _are(
            outputs, {REGRESS_OUTPUTS: dtypes.float32}
        )
    if signature_def.method_name == CLASSIFY_METHOD_NAME:
        kinds = {CLASSIFY_OUTPUT_CLASSES: dtypes.string, CLASSIFY_OUTPUT_SCORES: dtypes.float32}
        some = {name: kinds[name] for name in outputs if name in kinds}
        return bool(some) and _are(inputs, {CLASSIFY_INPUTS: dtypes.string}) and _are(outputs, some)
    return False


def _are(infos: Any, kinds: dict[str, Any]) -> bool:
    return set(infos) == set(kinds) and all(
        infos[name].dtype == dtype.as_datatype_enum for name, dtype in kinds.items()
    )
