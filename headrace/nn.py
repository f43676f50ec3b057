"""Neural networks: public names."""
