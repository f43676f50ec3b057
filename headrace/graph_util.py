"""Work on graphs as messages: public names."""

from headrace.framework.freezing import convert_variables_to_constants
from headrace.framework.graph_def import import_graph_def
from headrace.framework.graph_util import (
    extract_sub_graph,
    must_run_on_cpu,
    remove_training_nodes,
    tensor_shape_from_node_def_name,
)

__all__ = [
    "convert_variables_to_constants",
    "extract_sub_graph",
    "import_graph_def",
    "must_run_on_cpu",
    "remove_training_nodes",
    "tensor_shape_from_node_def_name",
]
