"""Mechanisms that every service uses; no noun of the business lives here."""
