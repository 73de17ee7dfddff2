"""The tags themselves; below profiles, which resolve tag names."""
