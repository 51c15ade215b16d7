"""Floor 5: who learns. Adapters are chosen here, by the judge, on dev."""
