"""Algorithms that choose or improve formats and weights: one file each."""
