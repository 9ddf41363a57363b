"""Recipes, input pipeline, checkpoints and the fit itself."""
