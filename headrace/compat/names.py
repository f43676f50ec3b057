"""Modules made of tables: names of other times and places, and where Headrace has what they stand for."""

from __future__ import annotations

import difflib
import functools
import importlib
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Alias(NamedTuple):
    """Names of a module, for what Headrace has elsewhere.

    Attributes:
      module: the module that has the names: "train"; "" is the outermost.
      place: where Headrace has them: "summary"; "" is `headrace` itself.
      names: "FileWriter", or "SummaryWriter=FileWriter" if it has another name there; several with blanks
        between them. "*" is all that there are, unless another entry says otherwise.
    """

    module: str
    place: str
    names: str = "*"

    def targets(self) -> dict[str, str]:
        """What the names are called in Headrace."""
        if self.names == "*":
            return {}
        return {new: old or new for new, _, old in (name.partition("=") for name in self.names.split())}


class Reordered(NamedTuple):
    """A function whose parameters have other names, or another order.

    Attributes:
      module: the module that has the name.
      name: of the function there.
      function: what Headrace calls it, with the module.
      parameters: in their order: "values", or "concat_dim=axis" if Headrace calls it otherwise.
    """

    module: str
    name: str
    function: str
    parameters: str

    def targets(self) -> dict[str, str]:
        """The function."""
        return {self.name: self.function}

    def made(self) -> Callable[..., Any]:
        """The function with these parameters."""
        renamed = Alias("", "", self.parameters).targets()
        function = find(self.function)

        def call(*args: Any, **given: Any) -> Any:
            if len(args) > len(renamed):
                raise TypeError(f"{self.name} takes {len(renamed)} arguments, not {len(args)}")
            named = dict(zip(renamed, args))
            if twice := named.keys() & given.keys():
                raise TypeError(f"{self.name} is given '{min(twice)}' twice")
            if unknown := given.keys() - renamed.keys():
                raise TypeError(f"{self.name} has no parameter '{min(unknown)}'; it has {', '.join(renamed)}")
            return function(**{renamed[name]: value for name, value in (named | given).items()})

        call.__name__ = call.__qualname__ = self.name
        call.__doc__ = f"`tf.{self.function}`, whose parameters are in this order: {', '.join(renamed)}."
        return call


Table = Sequence[Alias | Reordered]


@functools.cache
def find(path: str) -> Any:
    """What `headrace.<path>` is: a module, or something in one."""
    value: Any = importlib.import_module("headrace")
    parts = path.split(".") if path else []
    for i, part in enumerate(parts):
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(".".join(["headrace", *parts[: i + 1]]))
    return value


class Names(types.ModuleType):
    """A module that a table describes, with the modules below it.

    Args:
      name: as programs import it.
      table: what it has.
      module: which module of the table it is.
    """

    def __init__(self, name: str, table: Table, module: str = ""):
        super().__init__(name, f"Names of {name} for what Headrace has.")
        self.__path__: list[str] = []  # what is below can be imported, too
        self._table = table
        self._module = module
        self._entries = [entry for entry in table if entry.module == module]
        front = f"{module}." if module else ""
        self._below = {
            entry.module[len(front) :].partition(".")[0]
            for entry in table
            if entry.module != module and entry.module.startswith(front)
        }

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self._found(name)
        path = f"{self.__name__}.{name}"
        if isinstance(value, Names) and value.__name__ != path:
            value = Names(path, value._table, value._module)
        elif isinstance(value, types.ModuleType) and value.__name__.startswith("headrace."):
            value = Names(path, [Alias("", value.__name__.removeprefix("headrace."))])
        setattr(self, name, value)
        return value

    def _found(self, name: str) -> Any:
        for entry in self._entries:
            target = entry.targets().get(name)
            if target is not None and isinstance(entry, Reordered):
                return entry.made()
            if target is not None and isinstance(entry, Alias):
                return find(f"{entry.place}.{target}".lstrip("."))
        if name in self._below:
            return Names(f"{self.__name__}.{name}", self._table, f"{self._module}.{name}".lstrip("."))
        for place in self._places():
            try:
                return getattr(place, name)
            except AttributeError:
                pass
        near = difflib.get_close_matches(name, dir(self), 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"Headrace has no {self.__name__}.{name}{hint}")

    def _places(self) -> list[Any]:
        """The modules all of whose names are here."""
        return [
            find(entry.place) for entry in self._entries if isinstance(entry, Alias) and entry.names == "*"
        ]

    def __dir__(self) -> list[str]:
        names = set(self._below)
        for entry in self._entries:
            names |= entry.targets().keys()
        for place in self._places():
            names |= {name for name in dir(place) if not name.startswith("_")}
        return sorted(names)
