"""Disputes: a customer says that some of an invoice is not owed."""
