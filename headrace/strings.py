"""Strings: public names."""

from headrace.ops.string import (
    as_string,
    lower,
    regex_full_match,
    regex_replace,
    split,
    substr,
    unicode_transcode,
    unsorted_segment_join,
    upper,
)
from headrace.ops.string import reduce_join as reduce_join
from headrace.ops.string import string_format as format
from headrace.ops.string import string_join as join
from headrace.ops.string import string_length as length
from headrace.ops.string import string_strip as strip
from headrace.ops.string import string_to_hash_bucket as to_hash_bucket
from headrace.ops.string import string_to_hash_bucket_fast as to_hash_bucket_fast
from headrace.ops.string import string_to_hash_bucket_strong as to_hash_bucket_strong
from headrace.ops.string import string_to_number as to_number

__all__ = [
    "as_string",
    "format",
    "join",
    "length",
    "lower",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "split",
    "strip",
    "substr",
    "to_hash_bucket",
    "to_hash_bucket_fast",
    "to_hash_bucket_strong",
    "to_number",
    "unicode_transcode",
    "unsorted_segment_join",
    "upper",
]
