"""Floor 1: pure functions of arrays, numpy only; and paths and whole files, which every floor above needs."""
