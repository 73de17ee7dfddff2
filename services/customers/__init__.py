"""Who owes: customers, their contacts, tags."""
