"""The kernel of examples in JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import protos


def decode_json_example(json_examples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The kernel: Example messages out of their JSON form."""
    from google.protobuf import json_format

    made = np.empty(json_examples.shape, object)
    for i, text in enumerate(json_examples.flat):
        try:
            made.flat[i] = json_format.Parse(text, protos.Example()).SerializeToString()
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(f"string {i} is no Example in JSON: {error}") from None
    return made


_core.add_kernel("DecodeJSONExample", decode_json_example)
