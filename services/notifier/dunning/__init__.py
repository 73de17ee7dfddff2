"""Reminders by the calendar: schedules, and the clock that follows them."""
