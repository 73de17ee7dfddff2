"""Credit notes as documents."""
