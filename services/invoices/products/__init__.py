"""Products: what is sold, so that a line need not say it again."""
