"""Linear algebra: public names."""

from headrace.ops.array import eye
from headrace.ops.array import matrix_transpose as transpose
from headrace.ops.diag import diag as tensor_diag
from headrace.ops.diag import diag_part as tensor_diag_part
from headrace.ops.diag import matrix_band_part as band_part
from headrace.ops.diag import matrix_diag as diag
from headrace.ops.diag import matrix_diag_part as diag_part
from headrace.ops.diag import matrix_set_diag as set_diag
from headrace.ops.matmul import einsum, matmul, matvec, tensordot
from headrace.ops.norm import l2_normalize
