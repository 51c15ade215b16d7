"""Fine-tuning of whole models: the loop around sentence-transformers' trainer."""
