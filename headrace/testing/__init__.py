"""What tests of graphs need: gradients against finite differences, and a test case with sessions."""

from headrace.testing.gradient_check import verify_grad

__all__ = ["verify_grad"]
