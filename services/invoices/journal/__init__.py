"""Reading the general ledger: entries and the trial balance."""
