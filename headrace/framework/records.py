"""Files of records (TFRecord files), read and written in Python."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator
from typing import Any

from headrace import _core
from headrace.framework import errors

__all__ = ["TFRecordCompressionType", "TFRecordOptions", "TFRecordWriter", "tf_record_iterator"]

_PIECE = 1 << 20


class TFRecordCompressionType:
    """How a file of records is compressed."""

    NONE = 0
    ZLIB = 1
    GZIP = 2


# What zlib calls the formats: bits of the window, and 16 for gzip's header.
_WINDOW_BITS = {"ZLIB": zlib.MAX_WBITS, "GZIP": zlib.MAX_WBITS + 16}


class TFRecordOptions:
    """Options of a file of records.

    Args:
      compression_type: a `TFRecordCompressionType`, its name ("GZIP"), or other options to take it from.
      flush_mode: accepted, and not needed.
      input_buffer_size: accepted, and not needed.
      output_buffer_size: accepted, and not needed.
      window_bits: binary logarithm of the compressor's window, 9 to 15.
      compression_level: 0 to 9.
      compression_method: 8, the only one there is.
      mem_level: 1 to 9, how much memory the compressor uses.
      compression_strategy: a strategy of zlib.
    """

    compression_type_map = {  # noqa: RUF012
        TFRecordCompressionType.ZLIB: "ZLIB",
        TFRecordCompressionType.GZIP: "GZIP",
        TFRecordCompressionType.NONE: "",
    }

    def __init__(
        self,
        compression_type: Any = None,
        flush_mode: int | None = None,
        input_buffer_size: int | None = None,
        output_buffer_size: int | None = None,
        window_bits: int | None = None,
        compression_level: int | None = None,
        compression_method: int | None = None,
        mem_level: int | None = None,
        compression_strategy: int | None = None,
    ):
        self.get_compression_type_string(compression_type)
        self.compression_type = compression_type
        self.flush_mode = flush_mode
        self.input_buffer_size = input_buffer_size
        self.output_buffer_size = output_buffer_size
        self.window_bits = window_bits
        self.compression_level = compression_level
        self.compression_method = compression_method
        self.mem_level = mem_level
        self.compression_strategy = compression_strategy

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """The name of a compression: "ZLIB", "GZIP" or "".

        Raises:
          ValueError: if there is no such compression.
        """
        if not options:
            return ""
        if isinstance(options, TFRecordOptions):
            return cls.get_compression_type_string(options.compression_type)
        if isinstance(options, str) and options in _WINDOW_BITS:
            return options
        if isinstance(options, int) and options in cls.compression_type_map:
            return cls.compression_type_map[options]
        raise ValueError(f"{options!r} is no compression; there are '', 'ZLIB' and 'GZIP'")

    def _compressor(self, kind: str) -> Any:
        def given(value: int | None, default: int) -> int:
            return default if value is None else value

        return zlib.compressobj(
            level=given(self.compression_level, zlib.Z_DEFAULT_COMPRESSION),
            method=given(self.compression_method, zlib.DEFLATED),
            wbits=_WINDOW_BITS[kind] - zlib.MAX_WBITS + given(self.window_bits, zlib.MAX_WBITS),
            memLevel=given(self.mem_level, zlib.DEF_MEM_LEVEL),
            strategy=given(self.compression_strategy, zlib.Z_DEFAULT_STRATEGY),
        )


class TFRecordWriter:
    """Writes a file of records. It can be used from several threads, and as a context manager.

    Args:
      path: the file, which is replaced if it exists.
      options: `TFRecordOptions`, or what its `compression_type` may be.

    Raises:
      errors.NotFoundError: if the folder does not exist; other errors of `tf.errors` as the system says.
    """

    def __init__(self, path: str | os.PathLike[str], options: Any = None):
        kind = TFRecordOptions.get_compression_type_string(options)
        if not isinstance(options, TFRecordOptions):
            options = TFRecordOptions(options)
        self._path = os.fspath(path)
        self._compressor = options._compressor(kind) if kind else None
        self._lock = threading.Lock()
        self._file = _opened(self._path, "wb")

    def write(self, record: bytes) -> None:
        """Adds a record.

        Raises:
          errors.FailedPreconditionError: if the writer is closed.
        """
        framed = _core.record(record.encode() if isinstance(record, str) else bytes(record))
        with self._lock:
            self._check_open()
            self._file.write(self._compressor.compress(framed) if self._compressor else framed)

    def flush(self) -> None:
        """Brings the file up to date."""
        with self._lock:
            self._check_open()
            if self._compressor:
                self._file.write(self._compressor.flush(zlib.Z_SYNC_FLUSH))
            self._file.flush()

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        with self._lock:
            if not self._file.closed:
                if self._compressor:
                    self._file.write(self._compressor.flush())
                self._file.close()

    def _check_open(self) -> None:
        if self._file.closed:
            raise errors.FailedPreconditionError(None, None, f"the writer of {self._path} is closed")

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def tf_record_iterator(path: str | os.PathLike[str], options: Any = None) -> Iterator[bytes]:
    """Reads a file of records, from front to back.

    Args:
      path: the file.
      options: `TFRecordOptions`, or what its `compression_type` may be.

    Yields:
      The records.

    Raises:
      errors.NotFoundError: if there is no such file.
      errors.DataLossError: if a checksum is wrong, or the file ends within a record; what is before comes
        first.
    """
    kind = TFRecordOptions.get_compression_type_string(options)
    parser = _core.RecordParser(os.fspath(path))
    with _opened(os.fspath(path), "rb") as file:
        for piece in _expanded(file, kind) if kind else iter(lambda: file.read(_PIECE), b""):
            yield from parser.feed(piece)
    parser.finish()


def _expanded(file: Any, kind: str) -> Iterator[bytes]:
    """The contents of a compressed file, in pieces of bounded size."""
    # A gzip file may be several, one behind the other.
    expander = zlib.decompressobj(_WINDOW_BITS[kind])
    try:
        while piece := file.read(_PIECE):
            while piece:
                if expander.eof:
                    expander = zlib.decompressobj(_WINDOW_BITS[kind])
                yield expander.decompress(piece, _PIECE)
                piece = expander.unused_data if expander.eof else expander.unconsumed_tail
        yield expander.flush()
        if not expander.eof and file.tell():
            raise zlib.error("it ends too early")
    except zlib.error as error:
        raise errors.DataLossError(None, None, f"{file.name}: not a whole {kind} file: {error}") from None


def _opened(path: str, mode: str) -> Any:
    try:
        return open(path, mode)
    except FileNotFoundError:
        raise errors.NotFoundError(None, None, f"{path}: there is no such file or folder") from None
    except PermissionError:
        raise errors.PermissionDeniedError(None, None, f"{path}: the system does not permit it") from None
    except IsADirectoryError:
        raise errors.FailedPreconditionError(None, None, f"{path} is a folder") from None
