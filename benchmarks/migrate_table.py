"""The tables on migration: what a bridge keeps, by the number of sample texts."""

from itertools import groupby

NAMES = {"static": "static (default)", "minilm": "all-MiniLM-L6-v2"}
DIRECTIONS = {"queries": "queries mapped, index stays", "index": "index mapped once"}


def ends(row):
    return row["old"], row["new"], row["direction"]


def title(old, new, direction):
    return f"{NAMES[old]} → {NAMES[new]}, {DIRECTIONS[direction]}"


def mean(rows, key):
    return sum(row[key] for row in rows) / len(rows)


def ordered(rows, *keys):
    return sorted(rows, key=lambda row: [row[key] for key in ("old", "new", "direction", *keys)])


def short(rows):
    """One line per pair and direction: the mean share over the sets, by the number of sample texts."""
    whole = [row for row in rows if row["sample"] == "all"]
    sizes = sorted({row["size"] for row in whole})
    lines = [
        "| old → new, what is mapped | stay with old | "
        + " | ".join(f"{size:,}" for size in sizes)
        + " | 4,000 of others |",
        "|---|--:|" + "--:|" * (len(sizes) + 1),
    ]
    for key, group in groupby(ordered(rows), ends):
        found = list(group)
        of = {size: [row for row in found if row["sample"] == "all" and row["size"] == size] for size in sizes}
        first = of[sizes[0]]
        stay = sum(row["recall old"] / row["recall full"] for row in first) / len(first)
        shares = [f"{mean(of[size], 'kept'):.1%}" if of[size] else "–" for size in sizes]
        others = [row for row in found if row["sample"] == "others"]
        shares.append(f"{mean(others, 'kept'):.1%}" if len(others) == len(first) else "–")
        lines.append(f"| {title(*key)} | {stay:.1%} | " + " | ".join(shares) + " |")
    return lines


def lines(rows):
    """What the rows are, the means, and every row with its interval."""
    found = [
        "`python benchmarks/migrate.py`. Share of a full re-embedding's recall@10 that a bridge keeps, mean of five "
        'sets, by the number of sample texts; "4,000 of others" are texts of the other four sets, so that no document '
        'that is searched was fitted on. "Stay with old" is what the old encoder finds by itself, as the same share. '
        "With more than 2,000 texts, and of others, no network was tried.",
        "",
        *short(rows),
        "",
        "| data | old → new, what is mapped | sample texts | queries | old | bridge | new | share kept, 95 % interval "
        "| bridge |",
        "|---|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for row in ordered(rows, "set", "sample", "size"):
        sample = f"{row['size']:,}" + (" of others" if row["sample"] == "others" else "")
        kind = row["kind"] if row["kind"] == "procrustes" else f"{row['kind']}, pull {row['pull']:g}"
        rank = f", rank {row['rank']}" if row["rank"] and row["kind"] != "procrustes" else ""
        found.append(
            f"| {row['set']} | {title(*ends(row))} | {sample} | {row['queries']} | {row['recall old']:.3f} | "
            f"{row['recall bridged']:.3f} | {row['recall full']:.3f} | {row['kept']:.1%} [{row['low']:.1%}, "
            f"{row['high']:.1%}] | {kind}{rank} |"
        )
    return found
