"""Faces drawn from numbers: a person, an expression and a view become a small picture."""
