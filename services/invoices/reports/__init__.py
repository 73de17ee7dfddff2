"""Reports that sum to the ledger: aging, statement, days sales outstanding."""
