"""One function for every operation of the registry: `raw.MatMul(a, b, transpose_a=True, name="x")`.

The functions are made when they are first asked for. Inputs come first, in the order of the definition, then
attributes as keywords, then `name`. Inputs are converted to tensors of the dtype that the other inputs imply.
A function adds exactly one operation, and a constant for each argument that is no tensor; it returns the
output, a list if that is a list, a named tuple if there are several, or the operation if there is none.
"""

# Nothing else may have a name here: it would hide the operation of that name.
from headrace import _core
from headrace.framework import wrappers as _wrappers


def __getattr__(name: str) -> "_wrappers.Callable[..., _wrappers.Any]":
    if name.startswith("_") and not _core.has_op(name):
        raise AttributeError(name)
    try:
        function = globals()[name] = _wrappers.make(name)
    except _wrappers.NotFoundError as error:
        raise AttributeError(str(error)) from None
    return function


def __dir__() -> list[str]:
    return _core.op_names()
