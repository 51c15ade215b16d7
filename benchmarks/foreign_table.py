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
        named = [row["named"] | {"own": row["own"], "foreign": row["foreign"]} for row in found]
        worst_named = min(named, key=lambda row: row["change"])
        given = [row["named"]["own_change"] - row["own_change"] for row in found if row["named"]["how"]]
        cost = f"{sum(given) / len(given):+.4f}, {min(given):+.3f} at most" if given else "nothing"
        yield (
            f"| {ENCODERS[kind]} | {side} | {len(found)} | {_mean(found):+.4f} | {_told(worst)} | {len(below)} | "
            f"{_mean(named):+.4f} | {_told(worst_named)} | {sum(row['change'] < -BOUND for row in named)} | "
            f"{len(given)} | {cost} |"
        )


def _mean(rows):
    return sum(row["change"] for row in rows) / len(rows)


def _told(row):
    return f"{row['change']:+.4f} ({row['own']} → {row['foreign']})"


def _change(row):
    change = f"{row['change']:+.4f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"**{change}**" if row["change"] < -BOUND else change


def lines(rows):
    """Give its lines."""
    found = [
        "`python benchmarks/foreign.py`. Every set is tuned on; queries of every other one search the documents of "
        "both. What is judged is what was trained, shipped or not, with one seed; of large sets a part. The verdict "
        f'allows a loss of {BOUND}; rows that lose more are **bold**. "Named": the other set was given as `foreign=`; '
        "half of its queries were looked at, and the other half is judged, which may tip a row over the bound either "
        "way. Where that changed what was chosen, the last columns say how, and what the own queries then gain.",
        "",
        "| encoder | side | pairs | mean change | worst | below the bound | named: mean | worst | below the bound | "
        "chosen otherwise | own queries there, change |",
        "|---|---|--:|--:|---|--:|--:|---|--:|--:|---|",
        *summary(rows),
        "",
        "| tuned on | encoder | side | own change | mapped | gates | foreign | n | base | change, 95 % interval | "
        "named: n | change, 95 % interval | own change | by |",
        "|---|---|---|--:|---|---|---|--:|--:|---|--:|---|--:|---|",
    ]
    for row in rows:
        gates = ", ".join(GATES[name] for name in sorted(row["gates"], reverse=True)) or "none"
        named = row["named"]
        found.append(
            f"| {row['own']} | {ENCODERS[row['encoder']]} | {row['side']} | {row['own_change']:+.3f} | {row['maps']} | "
            f"{gates} | {row['foreign']} | {row['n']} | {row['base']:.3f} | {_change(row)} | {named['n']} | "
            f"{_change(named)} | {named['own_change']:+.3f} | {named['how']} |"
        )
    return found
