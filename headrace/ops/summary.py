"""Summaries: tensors whose value is a message for event files, which TensorBoard shows."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from headrace.framework import dtypes, protos, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import (
    GraphKeys,
    Tensor,
    add_to_collections,
    get_collection,
    name_scope,
)

__all__ = [
    "audio",
    "get_summary_description",
    "histogram",
    "image",
    "merge",
    "merge_all",
    "scalar",
    "tensor_summary",
    "text",
]


@contextlib.contextmanager
def _scope(name: str, family: str | None, default: str, values: Any) -> Iterator[tuple[str, str]]:
    """The tag of a summary, and the scope that is the name of its node.

    A tag is the node's name, after the family if there is one, by which TensorBoard groups.

    Raises:
      TypeError: if the name is no string.
      ValueError: if it is None, or nothing is left of it.
    """
    if not isinstance(name, str):
        kind = ValueError if name is None else TypeError
        raise kind(f"a summary is named by a string, which is its tag; got {name!r}")
    given, name = name, re.sub(r"[^-/\w.]", "_", name).lstrip("/")
    if not name:
        raise ValueError(f"{given!r} is no name for a summary, which is its tag; use letters or digits")
    if family is not None:
        family = re.sub(r"[^-/\w.]", "_", str(family)).lstrip("/")
        name = f"{family}/{name}"
    with name_scope(name, default, values) as scope:
        tag = scope.rstrip("/")
        yield (tag if family is None else f"{family}/{tag}"), scope


def _collected(summary: Tensor, collections: Sequence[str] | None, default: Sequence[str] = ()) -> Tensor:
    add_to_collections(list(default if collections is None else collections), summary)
    return summary


_SUMMARIES = (GraphKeys.SUMMARIES,)


def scalar(
    name: str, tensor: Any, collections: Sequence[str] | None = None, family: str | None = None
) -> Any:
    """A number, for a curve.

    Args:
      name: of the node, and with the scopes around it the tag in TensorBoard.
      tensor: a real scalar.
      collections: graph collections to add the summary to; `GraphKeys.SUMMARIES` if None.
      family: put before the tag; TensorBoard groups by it.

    Returns:
      A string scalar: a `Summary` message.
    """
    with _scope(name, family, "ScalarSummary", [tensor]) as (tag, scope):
        return _collected(raw.ScalarSummary(tag, tensor, name=scope), collections, _SUMMARIES)


def histogram(
    name: str, values: Any, collections: Sequence[str] | None = None, family: str | None = None
) -> Any:
    """The histogram of all elements of a tensor.

    Args:
      name: as for `scalar`.
      values: real numbers of any shape, all finite.
      collections: as for `scalar`.
      family: as for `scalar`.

    Returns:
      A string scalar: a `Summary` message.

    Raises:
      errors.InvalidArgumentError: when run, if a value is not finite.
    """
    with _scope(name, family, "HistogramSummary", [values]) as (tag, scope):
        return _collected(raw.HistogramSummary(tag, values, name=scope), collections, _SUMMARIES)


def image(
    name: str,
    tensor: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Any:
    """The first images of a batch.

    Bytes are shown as they are. Floats are scaled, image by image: the brightest pixel becomes white; if some
    are negative, 0 becomes the middle grey. Pixels that are not finite are red.

    Args:
      name: as for `scalar`; the tags have "/image" behind it, and a number if `max_outputs` is above 1.
      tensor: [batch, height, width, channels] of uint8 or floats: 1, 3 or 4 channels.
      max_outputs: how many.
      collections: as for `scalar`.
      family: as for `scalar`.

    Returns:
      A string scalar: a `Summary` message.
    """
    with _scope(name, family, "ImageSummary", [tensor]) as (tag, scope):
        summary = raw.ImageSummary(tag, tensor, max_images=max_outputs, name=scope)
        return _collected(summary, collections, _SUMMARIES)


def audio(
    name: str,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Any:
    """The first sounds of a batch.

    Args:
      name: as for `scalar`; the tags have "/audio" behind it, and a number if `max_outputs` is above 1.
      tensor: float32 in [-1, 1], [batch, frames] or [batch, frames, channels].
      sample_rate: frames a second.
      max_outputs: how many.
      collections: as for `scalar`.
      family: as for `scalar`.

    Returns:
      A string scalar: a `Summary` message.
    """
    with _scope(name, family, "AudioSummary", [tensor]) as (tag, scope):
        rate = convert_to_tensor(sample_rate, dtype=dtypes.float32, name="sample_rate")
        summary = raw.AudioSummaryV2(tag, tensor, rate, max_outputs=max_outputs, name=scope)
        return _collected(summary, collections, _SUMMARIES)


def tensor_summary(
    name: str,
    tensor: Any,
    summary_description: str | None = None,
    collections: Sequence[str] | None = None,
    summary_metadata: Any = None,
    family: str | None = None,
    display_name: str | None = None,
) -> Any:
    """A tensor of any type and shape, for a plugin of TensorBoard.

    Args:
      name: as for `scalar`.
      tensor: the tensor.
      summary_description: a text to show with it, in Markdown.
      collections: as for `scalar`.
      summary_metadata: a `SummaryMetadata` that says which plugin shows it.
      family: as for `scalar`.
      display_name: shown instead of the tag.

    Returns:
      A string scalar: a `Summary` message.
    """
    metadata = protos.SummaryMetadata()
    if summary_metadata is not None:
        metadata.ParseFromString(summary_metadata.SerializeToString())
    if summary_description is not None:
        metadata.summary_description = summary_description
    if display_name is not None:
        metadata.display_name = display_name
    with _scope(name, family, "TensorSummary", [tensor]) as (tag, scope):
        summary = raw.TensorSummaryV2(
            tag, tensor, serialized_summary_metadata=metadata.SerializeToString(), name=scope
        )
        return _collected(summary, collections, _SUMMARIES)


def text(name: str, tensor: Any, collections: Sequence[str] | None = None) -> Any:
    """Text, in Markdown; a matrix of strings is shown as a table.

    Args:
      name: as for `scalar`.
      tensor: strings.
      collections: as for `scalar`.

    Returns:
      A string scalar: a `Summary` message.

    Raises:
      ValueError: if the tensor is not of strings.
    """
    strings = convert_to_tensor(tensor)
    if strings.dtype.base_dtype != dtypes.string:
        raise ValueError(f"a text summary is of strings, '{name}' is given {strings.dtype.name}")
    metadata = protos.SummaryMetadata(plugin_data={"plugin_name": "text"})
    return tensor_summary(name, strings, summary_metadata=metadata, collections=collections)


def merge(inputs: Sequence[Any], collections: Sequence[str] | None = None, name: str | None = None) -> Any:
    """One summary with the values of several.

    Args:
      inputs: summaries, all of different tags.
      collections: graph collections to add it to; none if None.
      name: of the scope, and of the operation in it.

    Returns:
      A string scalar: a `Summary` message.
    """
    with name_scope(name, "Merge", inputs):
        return _collected(raw.MergeSummary(inputs, name=name), collections)


def merge_all(key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None) -> Any:
    """One summary with the values of all in a collection of the graph.

    Args:
      key: the collection.
      scope: a regular expression that names must match at their start.
      name: of the scope.

    Returns:
      A string scalar, or None if the collection is empty.
    """
    summaries = get_collection(key, scope=scope)
    return merge(summaries, name=name) if summaries else None


def get_summary_description(node_def: Any) -> Any:
    """The `SummaryDescription` of a node of the operation `TensorSummary`.

    Raises:
      ValueError: if the node is of another operation.
    """
    if node_def.op != "TensorSummary":
        raise ValueError(f"'{node_def.name}' is {node_def.op}, not TensorSummary")
    description = protos.SummaryDescription()
    written = node_def.attr["description"].s.decode()
    if written:
        description.type_hint = json.loads(written).get("typeHint", "")
    return description
