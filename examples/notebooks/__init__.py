"""The steps of the course as notebooks, made by tools/notebooks.py."""
