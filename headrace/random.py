"""Random numbers: public names."""
