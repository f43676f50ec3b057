"""Reading event files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from headrace.framework import protos
from headrace.framework.records import tf_record_iterator

__all__ = ["summary_iterator"]


def summary_iterator(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Reads an event file.

    Args:
      path: the file.

    Yields:
      `Event` messages.

    Raises:
      errors.NotFoundError: if there is no such file.
      errors.DataLossError: if the file is damaged; what is before comes first.
      OSError: if its records are no events.
    """
    for number, record in enumerate(tf_record_iterator(path)):
        yield protos.parsed("Event", record, f"record {number} of the file '{os.fspath(path)}'")
