"""Plain functions of one shape: queries, documents, pairs and settings in, matrices out."""
