"""Names of TensorFlow's: `tf.compat`, and programs that are run as they are.

    python -m headrace.compat PROGRAM.py ARGUMENTS

runs a program that imports TensorFlow with Headrace in its place; `headrace.compat.v1` has the public names
of its first version, `headrace.compat.v0` those from before, and `headrace.compat.contrib` those of
`tf.contrib` that there are.
"""

from headrace.compat import contrib as contrib
from headrace.compat import v0 as v0
from headrace.compat import v1 as v1
from headrace.compat.conversions import *
