"""Starting variables from an earlier training, whose vocabularies may have been others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from headrace.framework import raw
from headrace.framework.graph import GraphKeys, Tensor, get_collection, name_scope
from headrace.ops import slicing
from headrace.ops.init import zeros_initializer
from headrace.ops.variables import PartitionedVariable, Variable
from headrace.train.checkpoint_reader import init_from_checkpoint, load_checkpoint
from headrace.train.checkpoint_state import latest_checkpoint

__all__ = ["VocabInfo", "warm_start"]


class VocabInfo(NamedTuple):
    """What the rows (or columns) of a variable stand for, now and in an earlier training.

    Attributes:
        new_vocab: A file with a word in each line, in the order of the rows.
        new_vocab_size: How many of them the variable has.
        num_oov_buckets: How many rows come after these, for other words.
        old_vocab: The file of the earlier training.
        old_vocab_size: How many of its words were used then; -1 for all.
        backup_initializer: Makes the rows of words that are new, and of other words; zeros by default.
        axis: 0 for rows, 1 for columns.
    """

    new_vocab: str
    new_vocab_size: int
    num_oov_buckets: int
    old_vocab: str
    old_vocab_size: int = -1
    backup_initializer: Callable[..., Any] | None = None
    axis: int = 0


def warm_start(
    ckpt_to_initialize_from: str | os.PathLike[str],
    vars_to_warm_start: Any = ".*",
    var_name_to_vocab_info: dict[str, VocabInfo] | None = None,
    var_name_to_prev_var_name: dict[str, str] | None = None,
) -> None:
    """Makes the initializers of variables read them from the checkpoint of an earlier training.

    Args:
        ckpt_to_initialize_from: The checkpoint, or a folder whose latest is taken.
        vars_to_warm_start: Which variables: a regular expression from the start of the names of trainable
            ones; a list of such for all global ones; or a list of variables. None for those of
            `var_name_to_vocab_info` only.
        var_name_to_vocab_info: The vocabularies of variables, by name. Words are found again, wherever they
            are now.
        var_name_to_prev_var_name: Names in the checkpoint of variables that have another name there.

    Raises:
        ValueError: If the checkpoint lacks a variable or has it in another shape, or a name stands for none.
        TypeError: If `vars_to_warm_start` is something else.
    """
    vocabularies = dict(var_name_to_vocab_info or {})
    earlier = dict(var_name_to_prev_var_name or {})
    grouped = _grouped(_chosen(vars_to_warm_start))
    for argument, names in (
        ("var_name_to_vocab_info", vocabularies),
        ("var_name_to_prev_var_name", earlier),
    ):
        unknown = sorted(set(names) - set(grouped))
        if unknown:
            raise ValueError(
                f"{argument} names {unknown}, but the variables to be warm-started are {sorted(grouped)}"
            )
    plain: dict[str, list[Variable]] = {}
    for name, parts in grouped.items():
        before = earlier.get(name, name)
        if name in vocabularies:
            _start_by_words(parts, os.fspath(ckpt_to_initialize_from), before, vocabularies[name])
        elif vars_to_warm_start is not None:
            plain[before] = parts
    init_from_checkpoint(ckpt_to_initialize_from, plain)


def _chosen(wanted: Any) -> list[Variable]:
    if wanted is None or isinstance(wanted, str):
        return get_collection(GraphKeys.TRAINABLE_VARIABLES, wanted)
    items = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    if isinstance(wanted, (list, tuple)) and all(isinstance(item, str) for item in items):
        return [var for item in items for var in get_collection(GraphKeys.GLOBAL_VARIABLES, item)]
    found: list[Variable] = []
    for item in items:
        if isinstance(item, (Variable, PartitionedVariable)):
            found += [item] if isinstance(item, Variable) else list(item)
        else:
            raise TypeError(
                "vars_to_warm_start must be a regular expression, or a list of such or of variables, got "
                f"{wanted!r}"
            )
    return found


def _grouped(variables: Iterable[Variable]) -> dict[str, list[Variable]]:
    """The variables by name, the partitions of one together."""
    found: dict[str, list[Variable]] = {}
    for variable in variables:
        info = variable._get_save_slice_info()
        parts = found.setdefault(info.full_name if info else variable.op.name, [])
        if variable not in parts:
            parts.append(variable)
    return found


def _start_by_words(parts: list[Variable], path: str, name: str, vocab: VocabInfo) -> None:
    """Each word's row comes from where it was."""
    prefix = latest_checkpoint(path) if os.path.isdir(path) else path
    shapes = load_checkpoint(path).get_variable_to_shape_map()
    if name not in shapes:
        raise ValueError(f"the checkpoint '{prefix}' has no tensor '{name}'; it has {sorted(shapes)}")
    there = shapes[name]
    old = {word: i for i, word in enumerate(_words(vocab.old_vocab, vocab.old_vocab_size))}
    rows = [old.get(word, -1) for word in _words(vocab.new_vocab, vocab.new_vocab_size)]
    rows += [-1] * vocab.num_oov_buckets
    for variable in parts:
        info = variable._get_save_slice_info()
        here = list(info.full_shape) if info else variable.shape.as_list()
        fits = len(here) == len(there) and 0 <= vocab.axis < len(here) and here[vocab.axis] == len(rows)
        if not fits or any(a != b for i, (a, b) in enumerate(zip(here, there)) if i != vocab.axis):
            raise ValueError(
                f"'{name}' of the checkpoint '{prefix}' has the shape {there}, the variable {here}; of a "
                f"vocabulary of {len(rows)} along axis {vocab.axis}, only that may differ"
            )
        if len(old) > there[vocab.axis]:
            raise ValueError(
                f"'{vocab.old_vocab}' has {len(old)} words, '{name}' of the checkpoint '{prefix}' {there}"
            )
        offset, shape = (info.var_offset, info.var_shape) if info else ([0] * len(here), here)
        ids = np.array(rows[offset[vocab.axis] :][: shape[vocab.axis]], np.int64)
        with variable.graph.as_default(), name_scope("warm_start"):
            whole = raw.RestoreV2(str(prefix), [name], [""], dtypes=[variable.dtype])[0]
            whole.set_shape(there)
            variable._start_from(_remapped(whole, ids, offset, shape, vocab))


def _remapped(whole: Tensor, ids: Any, offset: Any, shape: Any, vocab: VocabInfo) -> Tensor:
    """The rows of these ids, of a partition's other dimensions; those without an id are made anew."""
    axis = vocab.axis
    begin, size = ([0 if i == axis else n for i, n in enumerate(offset)], list(shape))
    size[axis] = -1
    taken = slicing.gather(raw.Slice(whole, begin, size), np.maximum(ids, 0), axis=axis)
    make = vocab.backup_initializer or zeros_initializer()
    known = np.reshape(ids >= 0, [-1 if i == axis else 1 for i in range(len(shape))])
    return raw.SelectV2(known, taken, make(list(shape), dtype=whole.dtype))


def _words(path: str, size: int) -> list[bytes]:
    """The first lines of a file, all for -1."""
    with open(path, "rb") as file:
        words = file.read().splitlines()
    if size < 0:
        return words
    if len(words) < size:
        raise ValueError(f"the vocabulary '{path}' has {len(words)} words, expected at least {size}")
    return words[:size]
