"""Strings: public names."""
