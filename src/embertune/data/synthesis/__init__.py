"""Queries for documents that have none: written by an LLM, by a local model, or cut from the documents themselves."""
