"""Variables to and from files of the safetensors format, which PyTorch and Hugging Face programs use.

The package `safetensors` does the format; it is needed only when these functions are called.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from headrace.framework import errors
from headrace.framework.graph import GraphKeys, get_collection, get_default_session
from headrace.ops.variables import PartitionedVariable, Variable

__all__ = ["load_safetensors", "restore_safetensors", "save_safetensors"]

# What the format calls dtypes.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "C64": np.complex64,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_SAVED = {np.dtype(dtype) for dtype in _DTYPES.values()}


def _library(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError("the package safetensors is missing; pip install headrace[safetensors]") from None


def save_safetensors(
    path: str | os.PathLike[str],
    var_list: Any = None,
    sess: Any = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Saves variables to a file of the safetensors format.

    The file is there whole or not at all: it is written under another name, which is changed at the end.

    Args:
        path: The file.
        var_list: The variables: a list, or a dict from names in the file to variables or arrays. By default
            all global ones. Partitions of a variable become one tensor.
        sess: The session that they are in; the default session if it is None.
        metadata: Texts to put into the file's header, by name.

    Raises:
        ImportError: If the package safetensors is missing.
        TypeError: If there is something of a dtype that the format does not have, or no variable.
        ValueError: If there is nothing to save, no session, or two variables of one name.
        errors.OpError: If the file cannot be written.
    """
    library = _library("safetensors.numpy")
    arrays: dict[str, Any] = {}
    parts: dict[str, list[Variable]] = {}
    for name, item in _named(var_list):
        if isinstance(item, Variable):
            parts.setdefault(name, []).append(item)
        else:
            arrays[name] = np.asarray(item, order="C")
    if not arrays and not parts:
        raise ValueError("there is nothing to save; make variables first")
    if parts:
        session = _session(sess)
        values = session.run({name: [one.value() for one in some] for name, some in parts.items()})
        arrays.update((name, _joined(name, parts[name], values[name])) for name in parts)
    for name, array in arrays.items():
        if array.dtype not in _SAVED:
            raise TypeError(f"'{name}' is {array.dtype}, which the safetensors format does not have")
    path = os.fspath(path)
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise errors.NotFoundError(None, None, f"cannot write '{path}': there is no such folder")
    temporary = f"{path}.tmp{os.getpid()}"
    try:
        library.save_file(dict(sorted(arrays.items())), temporary, dict(metadata or {}))
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except Exception as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise errors.UnknownError(None, None, f"cannot write '{path}': {error}") from None


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Reads a file of the safetensors format.

    Args:
        path: The file.

    Returns:
        The tensors as arrays, by name.

    Raises:
        ImportError: If the package safetensors is missing.
        errors.NotFoundError: If there is no such file.
        errors.DataLossError: If it is damaged, or of another format.
        errors.UnimplementedError: If a tensor has a dtype that is unknown here.
    """
    library = _library("safetensors")
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            found = library.deserialize(file.read())
    except FileNotFoundError:
        raise errors.NotFoundError(None, None, f"{path}: there is no such file") from None
    except library.SafetensorError as error:
        raise errors.DataLossError(None, None, f"{path}: no safetensors file: {error}") from None
    arrays = {}
    for name, tensor in found:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise errors.UnimplementedError(
                None, None, f"{path}: the tensor '{name}' is {tensor['dtype']}, which is not known here"
            )
        arrays[name] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
    return arrays


def restore_safetensors(path: str | os.PathLike[str], var_list: Any = None, sess: Any = None) -> None:
    """Gives variables the values that they have in a file of the safetensors format.

    Other programs may keep weights in another layout: what PyTorch calls `weight` of a linear layer is the
    transposed of a `kernel`. Such tensors go through `load_safetensors`, NumPy and `Variable.load`.

    Args:
        path: The file.
        var_list: The variables: a list, or a dict from names in the file. By default all global ones.
        sess: The session that they are in; the default session if it is None.

    Raises:
        ImportError, TypeError, ValueError: As `save_safetensors`; and `ValueError` if a variable has another
            shape in the file.
        errors.NotFoundError: If there is no such file, or a variable is not in it.
        errors.DataLossError: If it is damaged, or of another format.
    """
    session = _session(sess)
    arrays = load_safetensors(path)
    loads = []
    for name, variable in _named(var_list):
        if not isinstance(variable, Variable):
            raise TypeError(f"'{name}' is {variable!r}, expected a variable")
        if name not in arrays:
            raise errors.NotFoundError(
                None, None, f"{os.fspath(path)}: there is no tensor '{name}'; there are {sorted(arrays)}"
            )
        info = variable._get_save_slice_info()
        value, shape = arrays[name], info.full_shape if info else variable.shape.as_list()
        if list(value.shape) != list(shape):
            raise ValueError(f"'{name}' has the shape {list(value.shape)} in the file, the variable {shape}")
        if info:
            value = value[_place(info)]
        loads.append((variable, value.astype(variable.dtype.as_numpy_dtype)))
    for variable, value in loads:
        variable.load(value, session)


def _session(sess: Any) -> Any:
    session = sess if sess is not None else get_default_session()
    if session is None:
        raise ValueError("there is no session; pass sess, or call this within one")
    return session


def _named(var_list: Any) -> Iterable[tuple[str, Any]]:
    """Names in the file, with a variable for each; the partitions of one have one name."""
    if var_list is None:
        var_list = get_collection(GraphKeys.GLOBAL_VARIABLES)
    if isinstance(var_list, Mapping):
        for name, item in var_list.items():
            many = isinstance(item, (list, tuple, PartitionedVariable)) and not isinstance(item, np.ndarray)
            for one in item if many else [item]:
                yield name, one
        return
    names: set[str] = set()
    for item in var_list:
        for one in item if isinstance(item, (list, tuple, PartitionedVariable)) else [item]:
            if not isinstance(one, Variable):
                raise TypeError(f"{one!r} cannot be saved; pass variables")
            info = one._get_save_slice_info()
            if not info and one.op.name in names:
                raise ValueError(f"two variables are named '{one.op.name}'; pass a dict with other names")
            names.add(one.op.name)
            yield (info.full_name if info else one.op.name), one


def _place(info: Any) -> tuple[slice, ...]:
    return tuple(
        slice(offset, offset + length) for offset, length in zip(info.var_offset, info.var_shape, strict=True)
    )


def _joined(name: str, parts: list[Variable], values: list[Any]) -> np.ndarray[Any, Any]:
    infos = [part._get_save_slice_info() for part in parts]
    if len(parts) == 1 and infos[0] is None:
        return np.asarray(values[0], order="C")
    if None in infos:
        raise ValueError(f"two variables are named '{name}'; pass a dict with other names")
    whole = np.zeros(infos[0].full_shape, np.asarray(values[0]).dtype)
    for info, value in zip(infos, values):
        whole[_place(info)] = value
    return whole
