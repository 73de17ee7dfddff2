"""Money that came in: payments, what of them is on which invoice, and what was paid back."""
