"""Whether a model will run on a chip, said before any data are collected (design §5, §10)."""
