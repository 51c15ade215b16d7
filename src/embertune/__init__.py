"""Embertune makes retrieval better on your own data, with any embedding model, and proves it."""
