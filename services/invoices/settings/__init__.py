"""How a tenant bills: prefix, terms, time zone, currency, branding."""
