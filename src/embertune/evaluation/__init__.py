"""Floor 4: the judge, who does not know the contestants."""
