"""Documents as people keep them, as texts: plain text, Markdown, HTML, PDF, Word, JSONL, and folders of them."""
