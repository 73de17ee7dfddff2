"""Telling people: templates, mails, reminders."""
