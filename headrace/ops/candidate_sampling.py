"""Losses over very many classes that look at a sample of them only, and the samplers.

A sampler draws `num_sampled` classes and says how often each of them, and each true class, is to be expected
in such a sample: with `unique` at most once, which takes drawing again, else with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.random_seed import get_seed
from headrace.ops.array import stop_gradient
from headrace.ops.embedding import embedding_lookup
from headrace.ops.matmul import matmul
from headrace.ops.nn import sigmoid_cross_entropy_with_logits, softmax_cross_entropy_with_logits_v2

__all__ = [
    "all_candidate_sampler",
    "compute_accidental_hits",
    "fixed_unigram_candidate_sampler",
    "learned_unigram_candidate_sampler",
    "log_uniform_candidate_sampler",
    "nce_loss",
    "sampled_softmax_loss",
    "uniform_candidate_sampler",
]

Sampled = tuple[Tensor, Tensor, Tensor]


def _seeds(seed: int | None) -> dict[str, int]:
    graph_seed, op_seed = get_seed(seed)
    return {"seed": graph_seed or 0, "seed2": op_seed or 0}


def uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Draws classes in [0, range_max), all with the same probability.

    Args:
      true_classes: an int64 tensor (batch, num_true).
      num_true: how many true classes an example has.
      num_sampled: how many classes to draw.
      unique: whether no class may be drawn twice.
      range_max: how many classes there are.
      seed: with the graph's seed, of the random numbers.
      name: of the operation.

    Returns:
      The classes drawn, int64 of shape (num_sampled,); and how often the true classes (batch, num_true) and
      the drawn ones (num_sampled,) are to be expected, float32.

    Raises:
      errors.InvalidArgumentError: if there are not so many different classes, or a true class is outside.
    """
    return raw.UniformCandidateSampler(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        name=name, **_seeds(seed),
    )  # fmt: skip


def log_uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Draws classes in [0, range_max), class k with probability log((k + 2) / (k + 1)) / log(range_max + 1).

    That is about how often words occur, if the classes are words in the order of their frequency.

    Args:
      true_classes, num_true, num_sampled, unique, range_max, seed, name: as in `uniform_candidate_sampler`.

    Returns:
      What `uniform_candidate_sampler` does.
    """
    return raw.LogUniformCandidateSampler(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        name=name, **_seeds(seed),
    )  # fmt: skip


def learned_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Draws classes in [0, range_max) as often as they were among the true ones of the steps so far.

    Every class counts as seen once before the first step. Each session learns anew.

    Args:
      true_classes, num_true, num_sampled, unique, range_max, seed, name: as in `uniform_candidate_sampler`.

    Returns:
      What `uniform_candidate_sampler` does.
    """
    return raw.LearnedUnigramCandidateSampler(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        name=name, **_seeds(seed),
    )  # fmt: skip


def fixed_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    vocab_file: str = "",
    distortion: float = 1.0,
    num_reserved_ids: int = 0,
    num_shards: int = 1,
    shard: int = 0,
    unigrams: Sequence[float] = (),
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Draws classes in [0, range_max) by given weights.

    Args:
      true_classes, num_true, num_sampled, unique, range_max, seed, name: as in `uniform_candidate_sampler`.
      vocab_file: a file with a line for each class, whose last comma-separated column is the weight.
      distortion: the power to which weights are raised.
      num_reserved_ids: so many classes of weight 0 come before those with given weights.
      num_shards, shard: take only every `num_shards`th class from class `shard` on, and number them anew.
      unigrams: the weights, in place of a file.

    Returns:
      What `uniform_candidate_sampler` does. True classes outside are to be expected 0 times.

    Raises:
      errors.InvalidArgumentError: if not exactly one of `vocab_file` and `unigrams` is given, if there are
        not `range_max` weights, or if fewer than `num_sampled` of them are positive and classes are unique.
      errors.NotFoundError: if there is no such file.
    """
    return raw.FixedUnigramCandidateSampler(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, range_max=range_max,
        vocab_file=vocab_file, distortion=distortion, num_reserved_ids=num_reserved_ids,
        num_shards=num_shards, shard=shard, unigrams=list(unigrams), name=name, **_seeds(seed),
    )  # fmt: skip


def all_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Gives all classes in [0, num_sampled), once each: to compare sampled losses with the whole ones.

    Args:
      true_classes, num_true, seed, name: as in `uniform_candidate_sampler`.
      num_sampled: how many classes there are.
      unique: True.

    Returns:
      What `uniform_candidate_sampler` does.
    """
    return raw.AllCandidateSampler(
        true_classes, num_true=num_true, num_sampled=num_sampled, unique=unique, name=name, **_seeds(seed)
    )


def compute_accidental_hits(
    true_classes: Any,
    sampled_candidates: Any,
    num_true: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Finds true classes among those drawn.

    Args:
      true_classes: an int64 tensor (batch, num_true).
      sampled_candidates: an int64 vector of the classes drawn.
      num_true: how many true classes an example has.
      seed: accepted and without effect.
      name: of the operation.

    Returns:
      For each hit the row of the true class (int32), the position of the drawn one (int64, the last if it was
      drawn more than once), and the lowest float32, which added to a logit removes it.
    """
    return raw.ComputeAccidentalHits(
        true_classes, sampled_candidates, num_true=num_true, name=name, **_seeds(seed)
    )


def _logits_of_sample(
    weights: Any,
    biases: Any,
    labels: Tensor,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int,
    sampled_values: Any,
    remove_accidental_hits: bool,
    partition_strategy: str,
    seed: int | None,
) -> tuple[Tensor, Tensor]:
    """(logits, labels) of shape (batch, num_true + num_sampled): true classes first, then those drawn."""
    inputs = convert_to_tensor(inputs, name="inputs")
    labels = labels if labels.dtype.name == "int64" else raw.Cast(labels, DstT="int64")
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(
            labels, num_true, num_sampled, unique=True, range_max=num_classes, seed=seed
        )
    drawn, true_expected, drawn_expected = map(stop_gradient, sampled_values)
    drawn = drawn if drawn.dtype.name == "int64" else raw.Cast(drawn, DstT="int64")

    def rows_of(ids: Tensor) -> tuple[Tensor, Tensor]:
        return (
            embedding_lookup(weights, ids, partition_strategy),
            embedding_lookup(biases, ids, partition_strategy),
        )

    true_weights, true_biases = rows_of(labels)  # (batch, num_true, units), (batch, num_true)
    drawn_weights, drawn_biases = rows_of(drawn)
    products = raw.Mul(raw.ExpandDims(inputs, 1), true_weights)
    true_logits = raw.AddV2(raw.Sum(products, 2), true_biases)
    drawn_logits = raw.AddV2(matmul(inputs, drawn_weights, transpose_b=True), drawn_biases)
    if remove_accidental_hits:
        # A mask, for it has a shape that is known, which the number of hits is not.
        hits = raw.Any(raw.Equal(raw.ExpandDims(labels, 2), drawn), 1)
        lowest = convert_to_tensor(inputs.dtype.min, dtype=inputs.dtype)
        drawn_logits = raw.AddV2(drawn_logits, raw.Mul(raw.Cast(hits, DstT=inputs.dtype), lowest))
    true_logits = raw.Sub(true_logits, raw.Cast(raw.Log(true_expected), DstT=inputs.dtype))
    drawn_logits = raw.Sub(drawn_logits, raw.Cast(raw.Log(drawn_expected), DstT=inputs.dtype))
    share = convert_to_tensor(1 / num_true, dtype=inputs.dtype)
    targets = raw.ConcatV2([raw.Mul(raw.OnesLike(true_logits), share), raw.ZerosLike(drawn_logits)], 1)
    return raw.ConcatV2([true_logits, drawn_logits], 1), targets


def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str = "nce_loss",
) -> Tensor:
    """Noise-contrastive estimation: tells true classes from drawn ones (Gutmann and Hyvärinen, 2010).

    Args:
      weights: a table (num_classes, units), or a list of its parts.
      biases: a vector (num_classes,), or a list of its parts.
      labels: the true classes, int64 (batch, num_true).
      inputs: what is to be classified: (batch, units).
      num_sampled: how many classes to draw for the batch.
      num_classes: how many classes there are.
      num_true: how many true classes an example has; each counts 1 / num_true.
      sampled_values: what a sampler returned; by default that of `log_uniform_candidate_sampler`.
      remove_accidental_hits: whether true classes that were drawn count as true only.
      partition_strategy: how parts share the rows, as in `embedding_lookup`.
      name: of the operations' scope.

    Returns:
      A loss for each example: (batch,).
    """
    with name_scope(name, "nce_loss", [inputs, labels]):
        labels = convert_to_tensor(labels, name="labels")
        logits, targets = _logits_of_sample(
            weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values,
            remove_accidental_hits, partition_strategy, None,
        )  # fmt: skip
        return raw.Sum(sigmoid_cross_entropy_with_logits(labels=targets, logits=logits), 1)


def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss",
    seed: int | None = None,
) -> Tensor:
    """Softmax cross entropy over the true and a few drawn classes, for training (Jean et al., 2015).

    It underestimates the whole loss; evaluate with the whole softmax.

    Args:
      weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values,
        remove_accidental_hits, partition_strategy, name: as in `nce_loss`.
      seed: of the default sampler.

    Returns:
      A loss for each example: (batch,).
    """
    with name_scope(name, "sampled_softmax_loss", [inputs, labels]):
        labels = convert_to_tensor(labels, name="labels")
        logits, targets = _logits_of_sample(
            weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values,
            remove_accidental_hits, partition_strategy, seed,
        )  # fmt: skip
        return softmax_cross_entropy_with_logits_v2(labels=stop_gradient(targets), logits=logits)
