"""Payment plans: what is due on several invoices of one customer, paid in instalments."""
