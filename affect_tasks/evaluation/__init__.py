"""Scores, comparisons, plots and the floor."""
