"""What lines are made of: products and tax rates."""
