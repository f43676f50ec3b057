"""Writes tests/golden/*.json: what the programs give in TensorFlow 1.15.

Run it where that is installed: `python tests/golden/record.py`. The tests themselves need no TensorFlow.
"""

import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import train_programs


def plain(value):
    """The value out of lists, dicts, strings and numbers only."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(format(value, ".9g"))
    return value


def main():
    import tensorflow as tf

    tf.compat.v1.logging.set_verbosity("ERROR")
    if not tf.__version__.startswith("1.15"):
        sys.exit("the recorded version is TensorFlow 1.15, this is " + tf.__version__)
    results = {name: plain(program(tf)) for name, program in train_programs.PROGRAMS.items()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "train.json")
    with open(path, "w") as file:
        json.dump(results, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
