"""Images: public names."""
