"""Switches by which programs say how they want operations to behave.

Operations are described first here, variables are resources, and conditions and loops are functions, whatever
a program says. A switch that asks for something else, and would change what a program computes, refuses.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = [
    "control_flow_v2_enabled",
    "disable_control_flow_v2",
    "disable_eager_execution",
    "disable_resource_variables",
    "disable_tensor_equality",
    "disable_v2_behavior",
    "disable_v2_tensorshape",
    "enable_control_flow_v2",
    "enable_eager_execution",
    "enable_resource_variables",
    "enable_tensor_equality",
    "enable_v2_behavior",
    "enable_v2_tensorshape",
    "executing_eagerly",
    "resource_variables_enabled",
]


def executing_eagerly() -> bool:
    """False: operations are described first, and run by a session."""
    return False


def disable_eager_execution() -> None:
    """Nothing to do: operations are described first, and run by a session."""


def enable_eager_execution(
    config: object = None, device_policy: object = None, execution_mode: object = None
) -> NoReturn:
    """Refuses.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError("operations cannot run as they are described; run them in a tf.Session")


def disable_v2_behavior() -> None:
    """Nothing to do: programs behave as those for TensorFlow 1."""


def enable_v2_behavior() -> NoReturn:
    """Refuses.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError("programs for TensorFlow 2 are not supported; write them for its first version")


def resource_variables_enabled() -> bool:
    """True: all variables are resources."""
    return True


def enable_resource_variables() -> None:
    """Nothing to do: all variables are resources."""


def disable_resource_variables() -> None:
    """Accepted; variables are resources nevertheless, and a read is a snapshot."""


def control_flow_v2_enabled() -> bool:
    """True: conditions and loops are functions."""
    return True


def enable_control_flow_v2() -> None:
    """Nothing to do: conditions and loops are functions."""


def disable_control_flow_v2() -> None:
    """Accepted; conditions and loops are functions nevertheless, and compute the same."""


def disable_tensor_equality() -> None:
    """Nothing to do: `==` of tensors says whether they are the same object."""


def enable_tensor_equality() -> NoReturn:
    """Refuses.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError("== of tensors says whether they are the same object; use tf.equal")


def disable_v2_tensorshape() -> None:
    """Nothing to do: the elements of a shape are `tf.Dimension`s."""


def enable_v2_tensorshape() -> NoReturn:
    """Refuses.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError("the elements of a shape are tf.Dimensions; use shape.as_list()")
