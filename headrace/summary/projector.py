"""Embeddings for TensorBoard's projector."""

from __future__ import annotations

import os
from typing import Any

from headrace.framework import protos

__all__ = ["visualize_embeddings"]

__getattr__ = protos.lazily(
    "headrace.summary.projector", "EmbeddingInfo", "ProjectorConfig", "SpriteMetadata"
)


def visualize_embeddings(summary_writer: Any, config: Any) -> None:
    """Tells TensorBoard which variables of the checkpoints in a log folder to show as points in space.

        config = tf.summary.projector.ProjectorConfig()
        embedding = config.embeddings.add(tensor_name="words", metadata_path="words.tsv")
        tf.summary.projector.visualize_embeddings(writer, config)

    Args:
      summary_writer: a `tf.summary.FileWriter`, in whose folder checkpoints are saved, too.
      config: a `ProjectorConfig`.

    Raises:
      ValueError: if the writer has no folder.
    """
    from google.protobuf import text_format

    folder = summary_writer.get_logdir()
    if not folder:
        raise ValueError("the summary writer has no log folder")
    with open(os.path.join(folder, "projector_config.pbtxt"), "w") as file:
        file.write(text_format.MessageToString(config))
