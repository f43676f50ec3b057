"""What of `tf.contrib` Headrace has, most of it under names of its own."""

from __future__ import annotations

from typing import Any

from headrace.compat.names import Alias, Names, Reordered, Table

# What the parameters of these measures are besides predictions and labels, which had another order.
_MEASURES = {
    "accuracy": "weights",
    "auc": "weights num_thresholds",
    "false_negatives": "weights",
    "false_positives": "weights",
    "mean_absolute_error": "weights",
    "mean_cosine_distance": "dim weights",
    "mean_iou": "num_classes weights",
    "mean_relative_error": "normalizer weights",
    "mean_squared_error": "weights",
    "precision": "weights",
    "precision_at_thresholds": "thresholds weights",
    "recall": "weights",
    "recall_at_thresholds": "thresholds weights",
    "root_mean_squared_error": "weights",
    "sensitivity_at_specificity": "specificity weights num_thresholds",
    "specificity_at_sensitivity": "sensitivity weights num_thresholds",
    "true_negatives": "weights",
    "true_positives": "weights",
}
_LOSSES = {
    "absolute_difference": "predictions labels weights scope",
    "cosine_distance": "predictions labels axis weights scope dim",
    "hinge_loss": "logits labels scope",
    "log_loss": "predictions labels weights epsilon scope",
    "mean_pairwise_squared_error": "predictions labels weights scope",
    "mean_squared_error": "predictions labels weights scope",
    "sigmoid_cross_entropy": "logits multi_class_labels weights label_smoothing scope",
    "softmax_cross_entropy": "logits onehot_labels weights label_smoothing scope",
    "sparse_softmax_cross_entropy": "logits labels weights scope",
}
_FLIPPED = {
    "sigmoid_cross_entropy_with_logits": "logits targets=labels name",
    "softmax_cross_entropy_with_logits": "logits labels dim name",
    "sparse_softmax_cross_entropy_with_logits": "logits labels name",
}
_TABLES = (
    "HashTable KeyValueTensorInitializer LookupInterface TextFileIdTableInitializer TextFileIndex "
    "TextFileInitializer TextFileStringTableInitializer"
)

TABLE: Table = (
    Alias("framework", "", "convert_to_tensor_or_sparse_tensor is_tensor nest py_func"),
    Alias("framework", "train", "assert_global_step create_global_step get_global_step"),
    Alias("framework", "train", "get_or_create_global_step init_from_checkpoint list_variables"),
    Alias("framework", "train", "load_checkpoint load_variable"),
    Alias("layers", "compat.layers", "apply_regularization l1_l2_regularizer l1_regularizer l2_regularizer"),
    Alias("layers", "compat.layers", "sum_regularizer variance_scaling_initializer xavier_initializer"),
    Alias("layers", "compat.layers", "xavier_initializer_conv2d=xavier_initializer"),
    Alias("lookup", "lookup", _TABLES),
    Reordered(
        "lookup",
        "MutableHashTable",
        "lookup.MutableHashTable",
        "key_dtype value_dtype default_value name checkpoint",
    ),
    Alias("losses", "losses", "add_loss get_losses get_regularization_losses get_total_loss"),
    Reordered("losses", "compute_weighted_loss", "losses.compute_weighted_loss", "losses weights scope"),
    *(Reordered("losses", name, f"losses.{name}", parameters) for name, parameters in _LOSSES.items()),
    Alias("metrics", "", "confusion_matrix"),
    Alias("metrics", "metrics", "streaming_mean=mean streaming_mean_tensor=mean_tensor"),
    Alias("metrics", "metrics", "streaming_percentage_less=percentage_below"),
    *(
        Reordered(
            "metrics",
            f"streaming_{name}",
            f"metrics.{name}",
            f"predictions labels {parameters} metrics_collections updates_collections "
            + ("curve " if name == "auc" else "")
            + "name",
        )
        for name, parameters in _MEASURES.items()
    ),
    Alias("nn", "nn", "conv1d_transpose"),
    *(
        Reordered("nn", f"deprecated_flipped_{name}", f"nn.{name}", parameters)
        for name, parameters in _FLIPPED.items()
    ),
    Alias("rnn", "nn.rnn_cell", "BasicLSTMCell BasicRNNCell DeviceWrapper DropoutWrapper GRUCell LSTMCell"),
    Alias("rnn", "nn.rnn_cell", "LSTMStateTuple MultiRNNCell RNNCell ResidualWrapper"),
    Alias("rnn", "nn", "static_bidirectional_rnn static_rnn"),
    Alias("staging", "ops.staging", "StagingArea"),
    Alias("tensorboard.plugins", "summary", "projector"),
    Alias("util", "", "make_ndarray make_tensor_proto"),
    Alias("util", "framework.constant", "constant_value"),
)

_names = Names("tf.contrib", TABLE)


def __getattr__(name: str) -> Any:
    return getattr(_names, name)


def __dir__() -> list[str]:
    return dir(_names)
