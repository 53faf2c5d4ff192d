"""Measures of every stage: the metrics themselves and one file a stage."""
