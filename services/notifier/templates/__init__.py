"""Email templates: the system set, the tenants' own, and the small language they are written in."""
