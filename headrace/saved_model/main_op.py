"""What a saved model runs after loading."""

from __future__ import annotations

from typing import Any

from headrace.framework.graph import Operation, control_dependencies, get_default_graph
from headrace.ops import control_flow, table, variables


def main_op() -> Operation:
    """Returns an operation that initialises all variables and tables."""
    return control_flow.group(
        variables.global_variables_initializer(),
        variables.local_variables_initializer(),
        table.tables_initializer(),
    )


def main_op_with_restore(restore_op_name: Any) -> Operation:
    """Returns an operation that runs `main_op()` and one that restores, in no particular order.

    Args:
        restore_op_name: The operation that restores, or its name.
    """
    restore = get_default_graph().as_graph_element(restore_op_name)
    with control_dependencies([main_op()]):
        return control_flow.group(restore)
