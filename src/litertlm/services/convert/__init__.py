"""Convert a checkpoint to a bundle."""
