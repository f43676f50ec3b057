"""Initial values of variables: public names."""
