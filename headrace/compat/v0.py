"""Names from before TensorFlow 1.0: `import headrace.compat.v0 as tf`.

Everything of `headrace` is here, too, but where the same name meant something else then, it does so here:
`concat(axis, values)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.compat.names import Alias, Names, Reordered, Table
from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import GraphKeys, Tensor, add_to_collections
from headrace.ops import slicing

TABLE: Table = (
    Alias("", "", "mul=multiply sub=subtract neg=negative inv=reciprocal pack=stack unpack=unstack"),
    Alias("", "", "select=where listdiff=setdiff1d complex_abs=abs batch_matmul=matmul"),
    Alias("", "", "batch_matrix_band_part=matrix_band_part batch_matrix_diag=matrix_diag"),
    Alias("", "", "batch_matrix_diag_part=matrix_diag_part batch_matrix_set_diag=matrix_set_diag"),
    Alias("", "", "batch_matrix_transpose=matrix_transpose"),
    Alias("", "", "all_variables=global_variables initialize_all_variables=global_variables_initializer"),
    Alias("", "", "initialize_variables=variables_initializer initialize_all_tables=tables_initializer"),
    Alias("", "", "initialize_local_variables=local_variables_initializer"),
    Alias("", "summary", "merge_summary=merge merge_all_summaries=merge_all"),
    Alias("", "compat.v0", "audio_summary histogram_summary image_summary reverse scalar_summary"),
    Reordered("", "concat", "concat", "concat_dim=axis values name"),
    Reordered("", "split", "split", "split_dim=axis num_split=num_or_size_splits value name"),
    Reordered(
        "",
        "reverse_sequence",
        "reverse_sequence",
        "input seq_lengths seq_dim=seq_axis batch_dim=batch_axis name",
    ),
    Alias("train", "summary", "SummaryWriter=FileWriter SummaryWriterCache=FileWriterCache"),
    Alias("train", "train"),
    Alias("nn", "nn", "rnn=static_rnn bidirectional_rnn=static_bidirectional_rnn"),
    Reordered(
        "nn",
        "softmax_cross_entropy_with_logits",
        "nn.softmax_cross_entropy_with_logits",
        "logits labels dim name",
    ),
    Reordered(
        "nn",
        "sparse_softmax_cross_entropy_with_logits",
        "nn.sparse_softmax_cross_entropy_with_logits",
        "logits labels name",
    ),
    Reordered(
        "nn",
        "sigmoid_cross_entropy_with_logits",
        "nn.sigmoid_cross_entropy_with_logits",
        "logits targets=labels name",
    ),
    *(
        Reordered(
            "nn",
            loss,
            f"nn.{loss}",
            "weights biases inputs labels num_sampled num_classes num_true sampled_values "
            "remove_accidental_hits partition_strategy name",
        )
        for loss in ("nce_loss", "sampled_softmax_loss")
    ),
    Alias("nn", "nn"),
    Alias("", ""),
)


def _collected(summary: Tensor, collections: Sequence[str] | None) -> Tensor:
    add_to_collections([GraphKeys.SUMMARIES] if collections is None else list(collections), summary)
    return summary


def scalar_summary(
    tags: Any, values: Any, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """Numbers, for curves.

    Args:
      tags: strings, as many as there are values, or one.
      values: real numbers.
      collections: graph collections to add the summary to; `GraphKeys.SUMMARIES` if None.
      name: of the operation.

    Returns:
      A string scalar: a `Summary` message.
    """
    return _collected(raw.ScalarSummary(tags, values, name=name or "ScalarSummary"), collections)


def histogram_summary(
    tag: Any, values: Any, collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """The histogram of all elements of a tensor; see `scalar_summary`."""
    return _collected(raw.HistogramSummary(tag, values, name=name or "HistogramSummary"), collections)


def image_summary(
    tag: Any,
    tensor: Any,
    max_images: int = 3,
    collections: Sequence[str] | None = None,
    name: str | None = None,
) -> Tensor:
    """The first images of a batch; see `tf.summary.image` and `scalar_summary`."""
    summary = raw.ImageSummary(tag, tensor, max_images=max_images, name=name or "ImageSummary")
    return _collected(summary, collections)


def audio_summary(
    tag: Any,
    tensor: Any,
    sample_rate: float,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    name: str | None = None,
) -> Tensor:
    """The first sounds of a batch; see `tf.summary.audio` and `scalar_summary`."""
    rate = convert_to_tensor(sample_rate, dtype=dtypes.float32)
    summary = raw.AudioSummaryV2(tag, tensor, rate, max_outputs=max_outputs, name=name or "AudioSummary")
    return _collected(summary, collections)


def reverse(tensor: Any, dims: Sequence[bool], name: str | None = None) -> Tensor:
    """A tensor with some dimensions in the opposite order.

    Args:
      tensor: the tensor.
      dims: for each dimension whether it is reversed.
      name: of the operation.
    """
    return slicing.reverse(tensor, np.flatnonzero(dims), name)


_names = Names("tf.compat.v0", TABLE)


def __getattr__(name: str) -> Any:
    return getattr(_names, name)


def __dir__() -> list[str]:
    return dir(_names)
