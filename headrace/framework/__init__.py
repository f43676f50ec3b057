"""Graphs, operations, tensors, sessions: what every other part of the front end stands on."""
