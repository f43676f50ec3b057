"""Headrace: a deferred-execution dataflow framework, compatible with TensorFlow 1.x graphs.

import headrace as tf

a = tf.placeholder(tf.float32, [None, 3])
total = tf.reduce_sum(a * a)
with tf.Session() as sess:
    print(sess.run(total, feed_dict={a: [[1, 2, 3]]}))
"""

import importlib
from typing import Any

import headrace._wait_policy
import headrace.debugging
import headrace.framework.packing
import headrace.strings
from headrace.framework import errors, nest, protos
from headrace.framework.behavior import *
from headrace.framework.constant import constant
from headrace.framework.constant import constant_value as get_static_value
from headrace.framework.convert import convert_to_tensor, register_tensor_conversion_function
from headrace.framework.dtypes import (
    QUANTIZED_DTYPES,
    DType,
    as_dtype,
    bfloat16,
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    resource,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
    variant,
)
from headrace.framework.dtypes import bool_ as bool
from headrace.framework.errors import OpError
from headrace.framework.func_graph import init_scope
from headrace.framework.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    add_to_collection,
    add_to_collections,
    colocate_with,
    container,
    control_dependencies,
    device,
    get_collection,
    get_collection_ref,
    get_default_graph,
    get_default_session,
    is_tensor,
    name_scope,
    op_scope,
    reset_default_graph,
)
from headrace.framework.graph_def import import_graph_def, make_ndarray, make_tensor_proto
from headrace.framework.indexed_slices import (
    IndexedSlices,
    IndexedSlicesValue,
    convert_to_tensor_or_indexed_slices,
)
from headrace.framework.placeholder import placeholder, placeholder_with_default
from headrace.framework.py_func import numpy_function, py_func
from headrace.framework.random_seed import get_seed, set_random_seed
from headrace.framework.session import InteractiveSession, Session
from headrace.framework.shapes import (
    Dimension,
    TensorShape,
    broadcast_static_shape,
    dimension_at_index,
    dimension_value,
)
from headrace.framework.sparse_tensor import (
    SparseTensor,
    SparseTensorValue,
    convert_to_tensor_or_sparse_tensor,
)
from headrace.gradients.custom import custom_gradient, grad_pass_through
from headrace.gradients.engine import AggregationMethod, UnconnectedGradients, gradients
from headrace.gradients.jacobian import batch_jacobian, hessians, jacobian
from headrace.gradients.registry import NoGradient, NotDifferentiable, RegisterGradient
from headrace.ops.accumulator import *
from headrace.ops.array import *
from headrace.ops.checks import *
from headrace.ops.clip import *
from headrace.ops.cond import *
from headrace.ops.control_flow import *
from headrace.ops.diag import *
from headrace.ops.functional import *
from headrace.ops.init import *
from headrace.ops.math import *
from headrace.ops.matmul import einsum, matmul, tensordot
from headrace.ops.parse import *
from headrace.ops.queue import *
from headrace.ops.random import *
from headrace.ops.reader import *
from headrace.ops.reduce import *
from headrace.ops.slicing import *
from headrace.ops.space import *
from headrace.ops.sparse import *
from headrace.ops.state import *
from headrace.ops.string import *
from headrace.ops.table import *
from headrace.ops.tensor_array import *
from headrace.ops.while_loop import *
from headrace.summary.timeline import profile

from headrace import bitwise, dtypes, image, initializers, linalg, losses, math, metrics, nn, random, train  # isort: skip
from headrace import io, lookup, python_io, queue, sparse, summary  # isort: skip

__version__ = "0.1.0"
newaxis = None


# What only some programs need: modules, and messages.
_LAZY = (
    *("app", "compat", "flags", "gfile", "graph_util", "logging", "saved_model", "test", "testing"),
    "timeline",
)
_message = protos.lazily(
    "headrace",
    *("AttrValue", "ConfigProto", "Event", "GPUOptions", "GraphDef", "GraphOptions", "HistogramProto"),
    *("LogMessage", "MetaGraphDef", "NameAttrList", "NodeDef", "OptimizerOptions", "RunMetadata"),
    *("RunOptions", "SessionLog", "Summary", "SummaryMetadata", "TensorInfo"),
)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "contrib":
        return importlib.import_module(f"{__name__}.compat.contrib")
    return _message(name)
