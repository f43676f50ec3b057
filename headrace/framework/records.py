"""Files of records (TFRecord files), read and written in Python."""

from __future__ import annotations

import collections
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

from headrace import _core
from headrace.framework import errors

__all__ = ["TFRecordCompressionType", "TFRecordOptions", "TFRecordWriter", "tf_record_iterator"]

_PIECE = 1 << 20
_COMPRESSED_PIECE = 256 << 10


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

    def _compressor(self, last: bytes) -> Any:
        """A compressor of raw data that follows on `last`."""

        def given(value: int | None, default: int) -> int:
            return default if value is None else value

        return zlib.compressobj(
            given(self.compression_level, zlib.Z_DEFAULT_COMPRESSION),
            given(self.compression_method, zlib.DEFLATED),
            -given(self.window_bits, zlib.MAX_WBITS),
            given(self.mem_level, zlib.DEF_MEM_LEVEL),
            given(self.compression_strategy, zlib.Z_DEFAULT_STRATEGY),
            last,
        )


class _Container:
    """What stands around compressed data: a header, and a checksum at the end."""

    def __init__(self, kind: str, window_bits: int):
        self._gzip = kind == "GZIP"
        self._size = 0
        if self._gzip:  # no name, no time, of an unknown system
            self.header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
            self._sum = zlib.crc32(b"")
        else:
            first = (window_bits - 8) << 4 | zlib.DEFLATED
            self.header = bytes([first, -first * 256 % 31])  # together a multiple of 31
            self._sum = zlib.adler32(b"")

    def add(self, data: bytes) -> None:
        self._size += len(data)
        self._sum = (zlib.crc32 if self._gzip else zlib.adler32)(data, self._sum)

    def trailer(self) -> bytes:
        if self._gzip:
            return struct.pack("<II", self._sum, self._size % 2**32)
        return struct.pack(">I", self._sum)


class _CompressedWriter:
    """Writes a compressed file of records.

    The data are cut into pieces that are compressed by several threads at once. Each piece may refer to the
    end of the one before and ends at a byte, so that all together are one stream.
    """

    def __init__(self, path: str, kind: str, options: TFRecordOptions):
        import concurrent.futures  # only some programs need it

        self._path = path
        self._options = options
        self._lock = threading.Lock()
        self._pending = _core.RecordBuffer(_COMPRESSED_PIECE)
        self._last = b""
        window_bits = options.window_bits or zlib.MAX_WBITS
        self._window = 1 << window_bits
        self._container = _Container(kind, window_bits)
        self._tasks: collections.deque[Any] = collections.deque()
        self._workers = os.cpu_count() or 1
        self._pool = concurrent.futures.ThreadPoolExecutor(self._workers, "compress records")
        self._file = _opened(path, "wb")
        self._file.write(self._container.header)

    def write(self, record: bytes) -> None:
        if self._file.closed:
            self._check_open()
        if self._pending.add(record):
            with self._lock:
                self._check_open()
                self._start_piece(zlib.Z_SYNC_FLUSH)
                self._finish_pieces(2 * self._workers)

    def flush(self) -> None:
        with self._lock:
            self._check_open()
            self._start_piece(zlib.Z_SYNC_FLUSH)
            self._finish_pieces(0)
            self._file.flush()

    def close(self) -> None:
        with self._lock:
            if self._file.closed:
                return
            try:
                self._start_piece(zlib.Z_FINISH)
                self._finish_pieces(0)
                self._file.write(self._container.trailer())
            finally:
                self._pool.shutdown()
                self._file.close()

    def _start_piece(self, end: int) -> None:
        piece = self._pending.take()
        compressor = self._options._compressor(self._last)
        self._last = (self._last + piece)[-self._window :]

        def compress() -> tuple[bytes, bytes]:
            return piece, compressor.compress(piece) + compressor.flush(end)

        self._tasks.append(self._pool.submit(compress))
        # Who writes many small records holds the interpreter's lock all the time: a worker would wait for it.
        time.sleep(1e-6)

    def _finish_pieces(self, left: int) -> None:
        """Writes what is compressed, in order, until no more than so many pieces are being worked at."""
        while len(self._tasks) > left or (self._tasks and self._tasks[0].done()):
            piece, compressed = self._tasks.popleft().result()
            self._container.add(piece)
            self._file.write(compressed)

    def _check_open(self) -> None:
        if self._file.closed:
            raise errors.FailedPreconditionError(None, None, f"the writer of {self._path} is closed")


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
        path = os.fspath(path)
        self._writer = _CompressedWriter(path, kind, options) if kind else _core.RecordWriter(path)

    def write(self, record: bytes) -> None:
        """Adds a record.

        Raises:
          errors.FailedPreconditionError: if the writer is closed.
        """
        if type(record) is not bytes:
            record = record.encode() if isinstance(record, str) else bytes(record)
        self._writer.write(record)

    def flush(self) -> None:
        """Brings the file up to date."""
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        self._writer.close()

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
