"""Linear algebra: public names."""
