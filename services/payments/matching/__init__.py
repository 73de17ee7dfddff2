"""Which invoices a payment means, and putting the money on them."""
