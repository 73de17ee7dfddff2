"""How a tenant's mails go out: sender, limit, business hours."""
