"""Reading invoices: one, and lists of them."""
