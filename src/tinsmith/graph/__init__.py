"""The float network: canonical form, and the plain view of it that later stages read."""

from __future__ import annotations

from tinsmith.graph.canonical import canonicalize
from tinsmith.graph.execute import Runner
from tinsmith.graph.network import network

__all__ = ["Runner", "canonicalize", "network"]
