"""What is due on an invoice, and the status that follows from it."""
