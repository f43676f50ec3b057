"""Strings: public names."""

from headrace.ops.string import as_string, regex_full_match, regex_replace
from headrace.ops.string import string_format as format
from headrace.ops.string import string_join as join

__all__ = ["as_string", "format", "join", "regex_full_match", "regex_replace"]
