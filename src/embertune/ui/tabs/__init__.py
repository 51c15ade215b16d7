"""One file per tab, each with one function ``build(bench)`` that lays it out and wires it."""
