"""Tax rates and what they come to."""
