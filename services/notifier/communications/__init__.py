"""Mails to customers: stored first, sent once, retried, recorded."""
