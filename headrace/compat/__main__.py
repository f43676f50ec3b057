"""python -m headrace.compat PROGRAM.py ARGUMENTS"""

import sys

from headrace.compat.programs import main

main(sys.argv[1:])
