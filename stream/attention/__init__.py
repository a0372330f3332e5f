"""How often the networks look, at whom, and what becomes of everybody in between."""
