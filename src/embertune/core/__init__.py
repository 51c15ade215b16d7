"""Floor 1: pure functions of arrays, numpy only."""
