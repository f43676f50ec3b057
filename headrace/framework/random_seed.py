"""Seeds of random operations: one of the graph, one of each operation."""

from __future__ import annotations

from headrace.framework.graph import get_default_graph

DEFAULT_GRAPH_SEED = 87654321
_MAX = 2**31 - 1


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds that an operation made now gets.

    With a graph seed and no operation seed, the second seed is the number of operations made so far, so that
    the same program gets the same numbers.

    Args:
      op_seed: the operation's own seed, or None.

    Returns:
      `(graph seed, operation seed)`, both None if neither is set: then every run differs.
    """
    graph = get_default_graph()
    if graph.seed is not None:
        seeds = graph.seed, graph._last_id if op_seed is None else op_seed
    elif op_seed is not None:
        seeds = DEFAULT_GRAPH_SEED, op_seed
    else:
        return None, None
    low, high = seeds[0] % _MAX, seeds[1] % _MAX
    # Two zeros would mean "not seeded" to the kernels.
    return (0, _MAX) if low == 0 and high == 0 else (low, high)


def set_random_seed(seed: int | None) -> None:
    """Sets the seed of the default graph."""
    get_default_graph().seed = seed
