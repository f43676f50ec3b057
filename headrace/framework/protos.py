"""The protocol messages: GraphDef, ConfigProto, Summary, Event, Example and their kin.

They are compiled from ``schema/`` at build time into one descriptor set, which is loaded into a pool of
our own when the first message is asked for: importing Headrace costs nothing for them, and they never meet
messages of the same name that another package has registered.

Every message and enumeration of ``schema/`` is an attribute of this module (``protos.GraphDef``), and so is
every value of an outermost enumeration (``protos.DT_FLOAT``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace import _core

# Beside the core, which an editable install keeps apart from the sources.
_SCHEMA = Path(_core.__file__).parent / "schema.binpb"


@functools.cache
def _names() -> dict[str, Any]:
    """Everything that the schema defines outermost, by name."""
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.internal import enum_type_wrapper

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    files = descriptor_pb2.FileDescriptorSet.FromString(_SCHEMA.read_bytes())
    pending = {file.name: file for file in files.file}

    def add(file: Any) -> None:
        for needed in file.dependency:
            if needed in pending:
                add(pending.pop(needed))
        pool.AddSerializedFile(file.SerializeToString())

    while pending:
        add(pending.pop(next(iter(pending))))

    names: dict[str, Any] = {}
    for file in files.file:
        descriptor = pool.FindFileByName(file.name)
        for name, message in descriptor.message_types_by_name.items():
            names[name] = message_factory.GetMessageClass(message)
            names[name].__module__ = __name__  # where pickle finds it again
        for name, enum in descriptor.enum_types_by_name.items():
            names[name] = enum_type_wrapper.EnumTypeWrapper(enum)
            names.update((value.name, value.number) for value in enum.values)
    return names


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return _names()[name]
    except KeyError:
        raise AttributeError(f"there is no message {name!r}; see headrace.framework.protos") from None


def __dir__() -> list[str]:
    return sorted(_names())


def parsed(kind: str, data: bytes, source: str) -> Any:
    """The message in the bytes that a file held.

    Args:
        kind: The name of the message.
        data: The bytes.
        source: Where they come from, for errors.

    Raises:
        OSError: If they are no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return _names()[kind].FromString(data)
    except DecodeError as error:
        raise OSError(f"{source} ({len(data)} bytes) holds no {kind}: {error}") from None


def lazily(module: str, *names: str) -> Callable[[str], Any]:
    """A `__getattr__` for `module` that finds the messages of these names when they are first asked for."""

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return _names()[name]

    return find
