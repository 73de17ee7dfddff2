"""The chart of accounts, which a tenant extends for its own bookkeeping."""
