"""The tags API: making tags and hanging them on customers, which changes the customers."""
