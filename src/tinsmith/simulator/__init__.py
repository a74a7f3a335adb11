"""Exact execution of a `Program`: the interpreter, which is the definition, and its compiled form."""
