"""Floor 7: the workbench, the whole loop in a browser. Every tab calls the recipes and reads the records they write."""
