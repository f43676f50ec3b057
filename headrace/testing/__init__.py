"""What tests of graphs need: gradients against finite differences, and a test case with sessions."""

from headrace.testing.gradient_check import compute_gradient, compute_gradient_error, verify_grad
from headrace.testing.test_case import (
    TestCase,
    assert_equal_graph_def,
    get_temp_dir,
    gpu_device_name,
    is_built_with_cuda,
    is_gpu_available,
    main,
    test_src_dir_path,
)

__all__ = [
    "TestCase",
    "assert_equal_graph_def",
    "compute_gradient",
    "compute_gradient_error",
    "get_temp_dir",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_gpu_available",
    "main",
    "test_src_dir_path",
    "verify_grad",
]
