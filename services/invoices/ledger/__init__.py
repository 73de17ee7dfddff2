"""The general ledger behind the invoices."""
