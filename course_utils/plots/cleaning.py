"""Articles and what cleaning does to them."""
