"""Algorithms, their names, and what tells how good they are."""
