"""Decides how threads wait for each other, before GNU OpenMP is loaded and can be told no more.

Its own policy, to spin for a millisecond, is ruinous where other work wants the cores: the thread that is
waited for may be the one that cannot run. To spin for some microseconds and then to sleep is as good on idle
cores and far better on busy ones: see "Wait policy" in benchmarks/README.md. Whoever sets OMP_WAIT_POLICY or
GOMP_SPINCOUNT knows better.
"""

import os

_TURNS = "2000"

if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
    from headrace import _core
else:
    os.environ["GOMP_SPINCOUNT"] = _TURNS
    try:
        from headrace import _core
    finally:
        # Only for us, not for the processes that the program starts.
        del os.environ["GOMP_SPINCOUNT"]
