"""The queue of bookable facts for the accounting system."""
