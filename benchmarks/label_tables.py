"""The tables on labels: are planted errors found, and are learning curves right about what comes?"""

from peers_table import ENCODERS


def lines(audit, curve):
    found = []
    if audit:
        found += ["", "## Planted label errors", "", "`python benchmarks/audit.py`", "", *audit_lines(audit)]
    if curve:
        found += ["", "## Forecasts of learning curves", "", "`python benchmarks/curve.py`", "", *curve_lines(curve)]
    return [*found, ""] if found else []


def audit_lines(rows):
    """One line per set, encoder and kind: precision and recall at several lengths, over all seeds."""
    lines = [
        "5 % of the labels swapped for random documents (a wrong and a missing label each), and answers left out; sums "
        "of three seeds. A list of length × n holds n times as many suspects as there are planted errors.",
        "",
        "| data | encoder | kind | planted | × 0.5: precision | × 1: precision = recall | × 2: recall | × 4: recall | "
        "wrong in all, estimated | the same, nothing planted |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        for kind in ("wrong", "missing"):
            runs = [run[kind] for run in row["runs"]]
            planted = sum(run["planted"] for run in runs)
            hits = {length: sum(run["hits"][length] for run in runs) for length in ("0.5", "1", "2", "4")}
            half = sum(int(0.5 * run["planted"]) for run in runs)
            estimate = ("", "")
            if kind == "wrong":
                estimate = (str(sum(run["estimate"] for run in row["runs"])), str(row["clean estimate"]))
            lines.append(
                f"| {row['set']} | {ENCODERS[row['encoder']]} | {kind} | {planted} | {hits['0.5'] / half:.2f} | "
                + " | ".join(f"{hits[length] / planted:.2f}" for length in ("1", "2", "4"))
                + f" | {estimate[0]} | {estimate[1]} |"
            )
    return lines


def curve_lines(rows):
    """One line per set and encoder: the forecast from half of the labels beside what all of them gave."""
    lines = [
        "The law is fitted to the sizes up to half of the labels. \"As now\" says that more bring nothing.",
        "",
        "| data | encoder | labels | base | at half | forecast | measured | error | as now | gain, foretold | gain |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|---|--:|",
    ]  # fmt: skip
    for row in rows:
        lines.append(
            f"| {row['set']} | {ENCODERS[row['encoder']]} | {row['half']} → {row['whole']} | {row['base']:.3f} | "
            f"{row['at half']:.3f} | {row['forecast']:.3f} | {row['measured']:.3f} | {row['error']:+.3f} | "
            f"{row['error as now']:+.3f} | {row['gain']:+.3f} [{row['gain low']:+.3f}, {row['gain high']:+.3f}] | "
            f"{row['measured'] - row['at half']:+.3f} |"
        )
    held = sum(row["gain low"] <= row["measured"] - row["at half"] <= row["gain high"] for row in rows)
    ours, now = (sum(abs(row[key]) for row in rows) / len(rows) for key in ("error", "error as now"))
    told = f'Mean size of the error: {ours:.4f}; of "as now" {now:.4f}.'
    lines += ["", f"{told} The interval of the gain held {held} of {len(rows)} times."]
    return lines
