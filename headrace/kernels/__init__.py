"""Kernels in Python, of operations that NumPy and the standard library do well."""
