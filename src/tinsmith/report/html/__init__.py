"""A report as one HTML file that needs nothing else: no network, no other files, no framework.

`page.page` draws an `Insight` and nothing beside it. What the templates cannot compute stands in small modules: charts
(`histogram`, `channels`, `timeline`, `descent`), rows (`rows`, `bars`) and how numbers are written (`text`).
"""
