"""Everything that touches pixels and samples. Its modules import av, numpy and Pillow: import them when first needed."""
