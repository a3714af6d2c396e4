"""codegym."""
