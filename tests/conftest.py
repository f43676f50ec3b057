"""What all tests rely on."""

import signal

# A shell has its background jobs ignore the interrupts that some tests send to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)
