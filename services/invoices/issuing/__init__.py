"""Making invoices, issuing, changing and ending them."""
