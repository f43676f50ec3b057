"""Images: public names."""

from headrace.ops.space import extract_image_patches
