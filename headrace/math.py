"""Mathematics: public names."""
