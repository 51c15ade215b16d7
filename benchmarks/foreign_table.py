"""The section on foreign queries of benchmarks/README.md, from foreign.json."""

from peers_table import ENCODERS

BOUND = 0.01
GATES = {"gate": "queries", "document_gate": "documents"}


def summary(rows):
    """One line per encoder and side."""
    for kind, side in sorted({(row["encoder"], row["side"]) for row in rows}):
        found = [row for row in rows if (row["encoder"], row["side"]) == (kind, side)]
        worst = min(found, key=lambda row: row["change"])
        below = [row for row in found if row["change"] < -BOUND]
        mean = sum(row["change"] for row in found) / len(found)
        yield (
            f"| {ENCODERS[kind]} | {side} | {len(found)} | {mean:+.4f} | {worst['change']:+.4f} "
            f"({worst['own']} → {worst['foreign']}) | {len(below)} |"
        )


def lines(rows):
    """Give its lines."""
    found = [
        "`python benchmarks/foreign.py`. Every set is tuned on; queries of every other one search the documents of "
        "both. What is judged is what was trained, shipped or not, with one seed; of large sets a part. The verdict "
        f"allows a loss of {BOUND}; rows that lose more are **bold**.",
        "",
        "| encoder | side | pairs | mean change | worst | below the bound |",
        "|---|---|--:|--:|---|--:|",
        *summary(rows),
        "",
        "| tuned on | encoder | side | own change | mapped | gates | foreign | n | base | change, 95 % interval |",
        "|---|---|---|--:|---|---|---|--:|--:|---|",
    ]
    for row in rows:
        change = f"{row['change']:+.4f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        change = f"**{change}**" if row["change"] < -BOUND else change
        gates = ", ".join(GATES[name] for name in sorted(row["gates"], reverse=True)) or "none"
        found.append(
            f"| {row['own']} | {ENCODERS[row['encoder']]} | {row['side']} | {row['own_change']:+.3f} | {row['maps']} | "
            f"{gates} | {row['foreign']} | {row['n']} | {row['base']:.3f} | {change} |"
        )
    return found
