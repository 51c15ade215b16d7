"""Floor 7: where vectors live and who else speaks of embeddings; one file per project, its import inside functions."""
