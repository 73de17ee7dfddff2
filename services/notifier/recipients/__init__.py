"""Copies of what other services own: customers with their contacts, invoices, payment plans."""
