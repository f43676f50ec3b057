"""The modules of TensorFlow that programs import from, besides its public ones."""

from __future__ import annotations

from headrace.compat import v0, v1
from headrace.compat.names import Alias, Names, Table


def _modules(package: str, names: str, *places: str) -> list[Alias]:
    """Modules of a package, all of whose names are looked for in the same places."""
    return [Alias(f"{package}.{name}", place) for name in names.split() for place in places]


_TENSORS = "array_ops check_ops clip_ops confusion_matrix math_ops nn_ops nn_impl nn special_math_ops"
_STATE = "partitioned_variables resource_variable_ops state_ops template variable_scope variables"
_OTHERS = (
    "bitwise_ops candidate_sampling_ops control_flow_ops cond_v2 data_flow_ops embedding_ops functional_ops "
    "gradients gradients_impl image_ops init_ops io_ops linalg_ops logging_ops lookup_ops map_fn parsing_ops "
    "random_ops rnn script_ops sparse_ops standard_ops string_ops tensor_array_ops while_v2"
)
_GENERATED = (
    "array bitwise candidate_sampling control_flow data_flow functional image io linalg list logging lookup "
    "math nn parsing random resource_variable script sparse state stateless_random string training"
)
_MESSAGES = {
    "core.example": "example feature",
    "core.framework": "attr_value cost_graph function graph node_def op_def resource_handle step_stats "
    "summary tensor tensor_shape types variable versions",
    "core.protobuf": "cluster config meta_graph saved_model saver tensorflow_server",
    "core.util": "event",
}

INSIDE: Table = (
    *_modules("python.framework", "constant_op device importer ops py_func random_seed", ""),
    *_modules("python.framework", "function", "framework.function"),
    *_modules("python.framework", "common_shapes tensor_shape tensor_util", "", "framework.constant"),
    *_modules("python.framework", "sparse_tensor meta_graph graph_io test_util", "", "train", "test"),
    Alias("python.framework", "", "dtypes errors graph_util"),
    *_modules("python.framework", "errors_impl", "errors"),
    *_modules("python.framework", "dtypes_impl", "dtypes"),
    *_modules("python.ops", _TENSORS, "", "nn", "math"),
    *_modules("python.ops", _STATE, ""),
    *_modules("python.ops", "rnn_cell rnn_cell_impl", "nn.rnn_cell"),
    *_modules("python.ops", _OTHERS, "", "nn", "initializers", "image", "lookup", "strings", "linalg"),
    *_modules("python.ops", "summary_ops", "summary"),
    Alias("python.ops", "", "losses metrics"),
    *_modules("python.ops.losses", "losses losses_impl util", "losses"),
    *_modules("python.ops", "metrics_impl", "metrics"),
    *_modules("python.ops", " ".join(f"gen_{name}_ops" for name in _GENERATED.split()), "compat.generated"),
    *_modules("python.saved_model", "builder loader main_op", "saved_model"),
    Alias("python.saved_model", "saved_model", "builder loader main_op signature_constants"),
    Alias("python.saved_model", "saved_model", "signature_def_utils simple_save tag_constants utils"),
    *_modules(
        "python.training",
        "adadelta adagrad adam basic_session_run_hooks checkpoint_utils coordinator ftrl gradient_descent "
        "input learning_rate_decay momentum monitored_session moving_averages optimizer queue_runner "
        "queue_runner_impl rmsprop saver session_manager session_run_hook slot_creator supervisor "
        "sync_replicas_optimizer training training_util",
        "train",
    ),
    *_modules("python.training", "training_ops", "compat.generated"),
    *_modules("python.training", "saver saveable_object", "ops.saveable"),
    *_modules("python.training.saving", "saveable_object", "ops.saveable"),
    *_modules("python.summary", "summary summary_iterator writer", "summary", "train"),
    *_modules("python.client", "session", ""),
    Alias("python.client", "", "timeline"),
    *_modules("python.lib.io", "tf_record", "python_io"),
    *_modules("python.lib.io", "file_io", "gfile"),
    Alias("python.platform", "", "app flags gfile test tf_logging=logging"),
    *_modules("python.platform", "googletest", "test"),
    *_modules("python.util", "compat", "compat"),
    *_modules("python.util", "nest", "nest"),
    *(
        Alias(f"{package}.{name}_pb2", "framework.protos")
        for package, names in _MESSAGES.items()
        for name in names.split()
    ),
)


def tensorflow(before_1: bool = False) -> Names:
    """The outermost module, as a program that imports TensorFlow finds it.

    Args:
      before_1: whether names mean what they did before TensorFlow 1.0.
    """
    outermost = v0.TABLE if before_1 else [Alias("", "compat.v1")]
    module = Names("tensorflow", [*INSIDE, *outermost])
    vars(module)["__version__"] = v1.VERSION
    return module
