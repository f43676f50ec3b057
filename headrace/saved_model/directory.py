"""What lies where in the directory of a saved model.

saved_model.pb (or .pbtxt)   the graphs, a `SavedModel` message
variables/variables.*        a checkpoint
assets/                      files that graphs name
"""

from __future__ import annotations

import os
from typing import Any

from headrace.framework import errors, protos

SAVED_MODEL_SCHEMA_VERSION = 1
SAVED_MODEL_FILENAME_PB = "saved_model.pb"
SAVED_MODEL_FILENAME_PBTXT = "saved_model.pbtxt"
ASSETS_DIRECTORY = "assets"
ASSETS_KEY = "saved_model_assets"
VARIABLES_DIRECTORY = "variables"
VARIABLES_FILENAME = "variables"
LEGACY_INIT_OP_KEY = "legacy_init_op"
MAIN_OP_KEY = "saved_model_main_op"
TRAIN_OP_KEY = "saved_model_train_op"
# Signatures that stand for an operation instead: how newer models name theirs.
INIT_OP_SIGNATURE_KEY = "__saved_model_init_op"
TRAIN_OP_SIGNATURE_KEY = "__saved_model_train_op"
DEBUG_DIRECTORY = "debug"


def variables_path(export_dir: str) -> str:
    """The path of the checkpoint."""
    return os.path.join(export_dir, VARIABLES_DIRECTORY, VARIABLES_FILENAME)


def asset_path(export_dir: str, filename: str) -> str:
    """The path of an asset.

    Raises:
        InvalidArgumentError: If it lies outside of the directory of assets.
    """
    folder = os.path.realpath(os.path.join(export_dir, ASSETS_DIRECTORY))
    path = os.path.join(folder, filename)
    # What is written on another system may have its separators.
    parts = filename.replace("\\", "/").split("/")
    is_name = bool(filename) and "\0" not in filename and ".." not in parts and not os.path.isabs(filename)
    if not is_name or not os.path.realpath(path).startswith(folder + os.sep):
        raise errors.InvalidArgumentError(
            None, None, f"saved model '{export_dir}': the asset {filename!r} lies outside of '{folder}'"
        )
    return path


def maybe_saved_model_directory(export_dir: str | os.PathLike[str]) -> bool:
    """Whether a saved model is in the directory: whether there is a file with its name."""
    folder = os.fspath(export_dir)
    return any(
        os.path.isfile(os.path.join(folder, name))
        for name in (SAVED_MODEL_FILENAME_PB, SAVED_MODEL_FILENAME_PBTXT)
    )


def read_saved_model(export_dir: str | os.PathLike[str]) -> Any:
    """Returns the `SavedModel` message of a directory.

    Raises:
        OSError: If there is none, or the file holds something else.
    """
    from google.protobuf import text_format

    folder = os.fspath(export_dir)
    binary, text = (
        os.path.join(folder, name) for name in (SAVED_MODEL_FILENAME_PB, SAVED_MODEL_FILENAME_PBTXT)
    )
    if os.path.isfile(binary):
        with open(binary, "rb") as file:
            data = file.read()
        return protos.parsed("SavedModel", data, f"the file '{binary}'")
    if os.path.isfile(text):
        with open(text, "rb") as file:
            data = file.read()
        try:
            return text_format.Parse(data.decode(), protos.SavedModel())
        except (UnicodeDecodeError, text_format.ParseError) as error:
            raise OSError(f"the file '{text}' holds no SavedModel: {error}") from None
    raise OSError(
        f"there is no saved model in '{folder}': neither {SAVED_MODEL_FILENAME_PB} nor "
        f"{SAVED_MODEL_FILENAME_PBTXT}"
    )
