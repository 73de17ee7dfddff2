"""Credit notes: taking back some of what was billed, and what becomes of the money."""
