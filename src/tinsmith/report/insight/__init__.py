"""Insight into one model on one chip: will it fit, how fast, how accurate, where it loses accuracy, what to do next.

`schema` says what there is to know, `tinsmith.report.html` draws it, `to_json` hands it to scripts.
"""
