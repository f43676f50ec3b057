"""Readers: they take names of files from a queue, and give what is in the files, piece by piece."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.framework.records import TFRecordOptions
from headrace.ops.queue import QueueBase

__all__ = [
    "FixedLengthRecordReader",
    "IdentityReader",
    "ReaderBase",
    "TFRecordReader",
    "TextLineReader",
    "WholeFileReader",
    "read_file",
    "write_file",
]


class ReaderBase:
    """What all readers have in common.

    A reader takes the name of a file from a queue when it has read the last one to its end. Steps that read
    at the same time are served one after another.

    Args:
        reader_ref: The handle.
        supports_serialize: Whether its state can be saved.
    """

    def __init__(self, reader_ref: Tensor, supports_serialize: bool = False):
        self._reader_ref = reader_ref
        self._supports_serialize = supports_serialize

    @property
    def reader_ref(self) -> Tensor:
        """The handle."""
        return self._reader_ref

    @property
    def supports_serialize(self) -> bool:
        """Whether its state can be saved."""
        return self._supports_serialize

    def read(self, queue: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
        """Gives the next piece, waiting for the name of a file if need be.

        Args:
            queue: A queue of strings, or its handle.
            name: Name of the operation.

        Returns:
            The place of the piece, such as "file:12", and the piece: scalar strings. They end with
            `OutOfRangeError` once the queue is closed and empty.
        """
        return tuple(raw.ReaderReadV2(self._reader_ref, _handle(queue), name=name or "ReaderRead"))

    def read_up_to(self, queue: Any, num_records: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
        """Gives up to `num_records` pieces of one file, fewer at its end.

        Args:
            queue: A queue of strings, or its handle.
            num_records: How many, a scalar.
            name: Name of the operation.

        Returns:
            The places and the pieces: vectors of strings.
        """
        name = name or "ReaderReadUpTo"
        return tuple(raw.ReaderReadUpToV2(self._reader_ref, _handle(queue), num_records, name=name))

    def num_records_produced(self, name: str | None = None) -> Tensor:
        """How many pieces it has given: an int64 scalar."""
        return raw.ReaderNumRecordsProducedV2(self._reader_ref, name=name or "ReaderNumRecordsProduced")

    def num_work_units_completed(self, name: str | None = None) -> Tensor:
        """How many files it has read to the end: an int64 scalar."""
        return raw.ReaderNumWorkUnitsCompletedV2(self._reader_ref, name=name or "ReaderNumWorkUnitsCompleted")

    def serialize_state(self, name: str | None = None) -> Tensor:
        """What it has done, as a string for `restore_state`; `UnimplementedError` if it has no such state."""
        return raw.ReaderSerializeStateV2(self._reader_ref, name=name or "ReaderSerializeState")

    def restore_state(self, state: Any, name: str | None = None) -> Operation:
        """Makes an operation that puts it in a state that `serialize_state` gave."""
        return raw.ReaderRestoreStateV2(self._reader_ref, state, name=name or "ReaderRestoreState")

    def reset(self, name: str | None = None) -> Operation:
        """Makes an operation that makes it forget what it has done, and the file that is open."""
        return raw.ReaderResetV2(self._reader_ref, name=name or "ReaderReset")


def _handle(queue: Any) -> Tensor:
    return queue.queue_ref if isinstance(queue, QueueBase) else queue


class TextLineReader(ReaderBase):
    """A reader of text: gives lines, without their ends; its places are "file:line", from 1.

    Args:
        skip_header_lines: How many lines to leave out at the beginning of each file.
        name: Name of the operation.
    """

    def __init__(self, skip_header_lines: int | None = None, name: str | None = None):
        super().__init__(
            raw.TextLineReaderV2(skip_header_lines=skip_header_lines or 0, name=name or "TextLineReaderV2")
        )


class FixedLengthRecordReader(ReaderBase):
    """A reader of records of one length; its places are "file:number", from 0.

    Args:
        record_bytes: The length of a record.
        header_bytes: How many bytes to leave out at the beginning of each file.
        footer_bytes: How many at its end.
        hop_bytes: How far apart records begin; by default, one begins where another ends.
        name: Name of the operation.
        encoding: How files are compressed: "GZIP", "ZLIB" or "". What is compressed is read as a whole, and
            header, footer and hops are those of the contents.
    """

    def __init__(
        self,
        record_bytes: int,
        header_bytes: int | None = None,
        footer_bytes: int | None = None,
        hop_bytes: int | None = None,
        name: str | None = None,
        encoding: str | None = None,
    ):
        super().__init__(
            raw.FixedLengthRecordReaderV2(
                record_bytes=record_bytes,
                header_bytes=header_bytes or 0,
                footer_bytes=footer_bytes or 0,
                hop_bytes=hop_bytes or 0,
                encoding=encoding or "",
                name=name or "FixedLengthRecordReaderV2",
            )
        )


class TFRecordReader(ReaderBase):
    """A reader of files of records with checksums (TFRecord files); its places are "file:byte".

    Args:
        name: Name of the operation.
        options: A `TFRecordOptions`, which says how files are compressed; places are those in the contents.
    """

    def __init__(self, name: str | None = None, options: Any = None):
        super().__init__(
            raw.TFRecordReaderV2(
                compression_type=TFRecordOptions.get_compression_type_string(options),
                name=name or "TFRecordReaderV2",
            )
        )


class WholeFileReader(ReaderBase):
    """A reader that gives each file as a whole; its places are the names of files.

    Args:
        name: Name of the operation.
    """

    def __init__(self, name: str | None = None):
        super().__init__(raw.WholeFileReaderV2(name=name or "WholeFileReaderV2"), True)


class IdentityReader(ReaderBase):
    """A reader that gives what the queue holds, as places and as pieces.

    Args:
        name: Name of the operation.
    """

    def __init__(self, name: str | None = None):
        super().__init__(raw.IdentityReaderV2(name=name or "IdentityReaderV2"), True)


def read_file(filename: Any, name: str | None = None) -> Tensor:
    """Reads a file as a whole: a scalar string.

    Args:
        filename: Its path, a scalar string.
        name: Name of the operation.
    """
    return raw.ReadFile(filename, name=name or "ReadFile")


def write_file(filename: Any, contents: Any, name: str | None = None) -> Operation:
    """Makes an operation that writes a file, and the folders that it is in.

    Args:
        filename: Its path, a scalar string.
        contents: What is to be in it, a scalar string.
        name: Name of the operation.
    """
    return raw.WriteFile(filename, contents, name=name or "WriteFile")
