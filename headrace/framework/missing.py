"""What is said of an operation that a graph does not have."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from headrace import _core


def missing_operation(core: Any, name: str, known: Sequence[str]) -> KeyError:
    """The error for an operation that is not in a graph itself, but perhaps inside of one that is.

    Args:
      core: the graph.
      name: of the operation.
      known: the names of those that there are.
    """
    around = _core.callers(core, name)
    if not around:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return KeyError(f"the graph has no operation '{name}'{hint}")
    places = ", which is inside of ".join(f"{op_type} '{op_name}'" for op_type, op_name in around)
    if around[0][0].endswith("While"):
        why, mend = "it has another value in every iteration", "a loop variable"
    else:
        why, mend = "it runs only when that calls it", "one of its results"
    return KeyError(
        f"operation '{name}' is inside of {places}: {why}; fetch what '{around[-1][1]}' gives, or make what "
        f"you need {mend}"
    )
