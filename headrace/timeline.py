"""Traces of steps: public names."""

from headrace.summary.timeline import Timeline, profile

__all__ = ["Timeline", "profile"]
