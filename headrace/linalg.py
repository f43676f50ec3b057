"""Linear algebra: public names."""

from headrace.ops.matmul import einsum, matmul, matvec, tensordot
