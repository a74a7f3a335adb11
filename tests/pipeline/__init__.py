"""Stages of the pipeline, one room for the rest."""
