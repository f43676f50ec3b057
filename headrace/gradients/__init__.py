"""Differentiation, graph to graph: the engine, and a table of gradients for each family of operations."""

from __future__ import annotations

import importlib
import pkgutil

# A family's table is found by its file, so that adding one edits nothing.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
