"""Tax rates: named rates that lines and invoices are taxed at."""
