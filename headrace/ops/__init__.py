"""Public functions, by operation family."""
