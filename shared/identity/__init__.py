"""Who calls: tenants, API keys, OAuth clients, tokens and scopes."""
