"""Sparse tensors: public names."""

from headrace.framework.sparse_tensor import SparseTensor as SparseTensor
from headrace.ops.sparse import sparse_merge as merge
from headrace.ops.sparse import sparse_placeholder as placeholder
from headrace.ops.sparse import sparse_reorder as reorder
from headrace.ops.sparse import sparse_tensor_to_dense as to_dense
