"""Templates: functions that make their variables once and share them from call to call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from headrace.framework.graph import GraphKeys, get_collection
from headrace.ops.variable_scope import AUTO_REUSE, VariableScope, variable_scope
from headrace.ops.variables import Variable

__all__ = ["make_template"]


class Template:
    """A function with variables of its own; made by `make_template`."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        create_scope_now: bool,
        unique_name: str | None,
        custom_getter: Any,
    ):
        self._function = function
        self._name = name
        self._unique_name = unique_name
        self._custom_getter = custom_getter
        self._scope: VariableScope | None = None
        self._variables_made = False
        self.__doc__ = getattr(function, "__doc__", None)
        if create_scope_now:
            with self._new_scope() as scope:
                self._scope = scope

    def _new_scope(self) -> variable_scope:
        return variable_scope(self._unique_name, self._name, custom_getter=self._custom_getter)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function; the first call makes its variables, later ones share them."""
        if self._scope is None:
            with self._new_scope() as scope:
                self._scope = scope
                return self._first_call(args, kwargs)
        with variable_scope(self._scope, reuse=True if self._variables_made else AUTO_REUSE):
            return self._call(args, kwargs) if self._variables_made else self._first_call(args, kwargs)

    def _first_call(self, args: Any, kwargs: Any) -> Any:
        result = self._call(args, kwargs)
        self._variables_made = True
        return result

    def _call(self, args: Any, kwargs: Any) -> Any:
        trainable = len(get_collection(GraphKeys.TRAINABLE_VARIABLES))
        result = self._function(*args, **kwargs)
        if self._variables_made and len(get_collection(GraphKeys.TRAINABLE_VARIABLES)) != trainable:
            raise ValueError(
                f"template '{self._name}' made new trainable variables when it was called again; make its "
                "variables with tf.get_variable, under the same names in every call"
            )
        return result

    @property
    def name(self) -> str:
        """The name as given."""
        return self._name

    @property
    def func(self) -> Callable[..., Any]:
        """The function."""
        return self._function

    @property
    def variable_scope(self) -> VariableScope | None:
        """The scope of its variables, None before the first call."""
        return self._scope

    @property
    def variable_scope_name(self) -> str | None:
        """The name of that scope and a "/"; None before the first call."""
        return None if self._scope is None else self._scope.name + "/"

    def _collected(self, key: str) -> list[Variable]:
        return [] if self._scope is None else self._scope.get_collection(key)

    @property
    def variables(self) -> list[Variable]:
        """Its global and local variables."""
        return self.global_variables + self.local_variables

    @property
    def global_variables(self) -> list[Variable]:
        """Its global variables."""
        return self._collected(GraphKeys.GLOBAL_VARIABLES)

    @property
    def local_variables(self) -> list[Variable]:
        """Its local variables."""
        return self._collected(GraphKeys.LOCAL_VARIABLES)

    @property
    def trainable_variables(self) -> list[Variable]:
        """Its trainable variables."""
        return self._collected(GraphKeys.TRAINABLE_VARIABLES)

    @property
    def weights(self) -> list[Variable]:
        """Its variables."""
        return self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """Its trainable variables."""
        return self.trainable_variables


def make_template(
    name_: str,
    func_: Callable[..., Any],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Any = None,
    **kwargs: Any,
) -> Template:
    """Wraps a function so that the variables which it gets by `tf.get_variable` are shared between its calls.

    Args:
        name_: Name of the scope of its variables, made unique.
        func_: The function.
        create_scope_now_: Whether to fix the scope's name now, and not at the first call.
        unique_name_: A name that is not made unique, instead of `name_`.
        custom_getter_: See `get_variable`.
        **kwargs: Arguments that are passed in each call.

    Returns:
        A callable with the properties `variables`, `trainable_variables` and others.
    """
    if kwargs:
        func_ = functools.partial(func_, **kwargs)
    return Template(name_, func_, create_scope_now_, unique_name_, custom_getter_)
