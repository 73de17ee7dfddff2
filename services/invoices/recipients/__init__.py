"""Who is billed: the copy of the customers that invoices are made from."""
