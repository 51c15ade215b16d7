"""The section on Optuna of benchmarks/README.md, from optuna.json."""

from peers_table import ENCODERS

SPLITS = {"given": "given", "by-document": "unseen documents"}


def _lead(row, budget):
    lead = row["lead"][budget]
    found = f"{lead['mean']:+.3f} [{lead['low']:+.3f}, {lead['high']:+.3f}]"
    return f"**{found}**" if lead["mean"] < 0 else found


def _trials(row, budget):
    counts = {told[f"optuna {budget}"]["trials"] for told in row["seeds"]}
    return "–".join(map(str, sorted({min(counts), max(counts)})))


def lines(rows):
    """Give its lines."""
    versions = ", ".join(sorted({row["optuna"] for row in rows}))
    found = [
        f"`python benchmarks/optuna_search.py`, Optuna {versions}. Its TPE and a median pruner get the knobs that "
        "tuning has (side and maps, strength, temperature, rank, steps, offsets of documents), the same folds of train "
        "and dev, and the CPU time that tuning at its defaults takes to choose and to fit, then three times that. What "
        "is best on dev is fitted on all and judged on test. One seed; the lead is tune minus Optuna, with its "
        "interval over queries, **bold** where Optuna is ahead.",
        "",
        "| data | encoder | test | seeds | base | tune | Optuna | lead | Optuna, 3 × time | lead | CPU s | trials | "
        "trials, 3 × |",
        "|---|---|---|--:|--:|--:|--:|---|--:|---|--:|--:|--:|",
    ]
    for row in rows:
        base, tuned, once, thrice = (
            row["scores"][name]["mean"] for name in ("base", "embertune", "optuna 1x", "optuna 3x")
        )
        seconds = sum(told["cpu"] for told in row["seeds"]) / len(row["seeds"])
        found.append(
            f"| {row['set']} | {ENCODERS[row['encoder']]} | {SPLITS[row['split']]} | {len(row['seeds'])} | "
            f"{base:.3f} | {tuned:.3f} | {once:.3f} | {_lead(row, '1x')} | {thrice:.3f} | {_lead(row, '3x')} | "
            f"{seconds:.1f} | {_trials(row, '1x')} | {_trials(row, '3x')} |"
        )
    gains = {
        name: sum(row["scores"][name]["mean"] - row["scores"]["base"]["mean"] for row in rows) / len(rows)
        for name in ("embertune", "optuna 1x", "optuna 3x")
    }
    found += [
        "",
        f"Mean gain over base: tune {gains['embertune']:+.3f}, Optuna {gains['optuna 1x']:+.3f}, with three times the "
        f"time {gains['optuna 3x']:+.3f}.",
    ]
    return found
