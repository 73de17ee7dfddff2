"""Bank files become payments: read as a stream, in batches, by whichever replica is free."""
