"""Lines of "Beside the peers" in benchmarks/README.md, from the rows that benchmarks/peers.py wrote."""

from collections import defaultdict
from statistics import mean, median

from peers import METHODS, OURS, PEERS

ENCODERS = {"minilm": "all-MiniLM-L6-v2", "static": "static (default)"}
SETS = ("cmrc2018-zh", "cosqa", "cranfield", "demo", "finance10k-lyft", "medquad", "nl2bash", "scifact", "squad-dev",
        "xquad-en")  # fmt: skip
SPLITS = ("given", "by-document")
GROUPS = ("all", "seen", "unseen")
_NAMES = {"bm25": "BM25"}
_SEEDS = 5
# Of fewer queries a mean tells nothing, so no method is counted as ahead or behind on them.
_FEWEST = 20
_HARM = 0.005
# A longer list is folded.
_LONG = 20
_MISSING = "–"


def lines(rows):
    """Give the section.

    Args:
        rows: Of results/peers.json.
    """
    table = {(row["set"], row["encoder"], row["split"], row["seed"], row["peer"]): row for row in rows}
    blocks = defaultdict(lambda: defaultdict(list))
    for key in sorted(table):
        blocks[key[:3]][key[4]].append(table[key])
    order = sorted(blocks, key=lambda key: (list(ENCODERS).index(key[1]), key[0], SPLITS.index(key[2])))
    parts = [*_INTRO.splitlines(), "", *_summary(table), "", *_coverage(blocks), ""]
    for key in order:
        parts += [*_block(key, blocks[key]), ""]
    return parts[:-1]


_INTRO = """\
`python benchmarks/peers.py`. Every method gets the same frozen vectors and the same split, and one judge scores all by
exact search. The peers are their authors' own code where it runs, else their published recipe (`benchmarks/peers/`,
each with its source). `embertune` is `tune` at its defaults: it may also map documents and move those that have
training queries; `embertune-query` has `side="query"` and leaves documents alone, and so does `embertune-fast`, which
is `effort="fast"`. What is judged is what was trained, shipped or not; the verdict stands beside the name.

Peers choose on dev and train on train, as their code does. `tune` trains once more on train and dev when it has chosen;
rows called "refit" give the peers that, too, so that the difference is not one of data.

**Bold**: first of its column in its block, or level with the first: the 95 % interval of the paired difference holds 0
(in every split, where a block is the mean of several; ends of intervals are then averaged, too). BM25 adapts nothing
and is not in this contest; it stands there because a search may be better off with it. Seconds are CPU seconds of one
thread, choosing included and embedding not; peak memory is that of the whole process: torch with the peers, texts and
vectors with ours."""
_SUMMARY = f"""\
### In short

{{rows}} rows: one per set, encoder, split and seed. Change is the mean over a method's rows; beside it stands
`embertune` on the same rows. First or level, and worst change, are told of groups of {_FEWEST} queries or more."""
_COVERAGE = f"""\
### What was run

Seeds per set, encoder and split, of the {_SEEDS} that are wanted. A given split stays as it is: its seeds differ
only in what methods draw."""


def _gain(row, group="all"):
    return row["delta"][group]["mean"]


def _counts(row, group):
    return row["n"][group] >= _FEWEST


def _level(row, group):
    """Whether a method is first of a group of queries, or level with the first."""
    return "behind" in row and row["behind"][group]["low"] <= 0


def _seconds(row):
    return row.get("cpu_seconds", row.get("seconds"))


def _summary(table):
    found = defaultdict(dict)
    for key, row in table.items():
        if "scores" in row:
            found[key[4]][key[:4]] = row
    failed = sum("error" in row for row in table.values())
    every = {key[:4] for key in table}
    parts = [*_SUMMARY.format(rows=len(every)).splitlines(), "",
             "| method | rows | change | embertune there | first or level: all | seen | unseen | worst change | "
             f"worse than base by > {_HARM} | CPU s, median | most | peak MiB |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    parts += [_summary_line(name, found[name], found["embertune"]) for name in METHODS if found[name]]
    parts += ["", *_verdicts(found, every)]
    parts += ["", *(line for name in OURS for line in _behind(name, found[name]))]
    if wall := sum("seconds" in row and "cpu_seconds" not in row and row["peer"] in PEERS for row in table.values()):
        parts += ["", f"{wall} rows of peers were measured before CPU time was kept: theirs are wall-clock seconds."]
    if failed:
        told = "1 row failed; its block says" if failed == 1 else f"{failed} rows failed; their blocks say"
        parts += ["", f"{told} how."]
    return parts


def _summary_line(name, rows, ours):
    shared = [key for key in rows if key in ours]
    theirs = f"{mean(_gain(ours[key]) for key in shared):+.4f}" if shared else _MISSING
    judged = {group: [row for row in rows.values() if _counts(row, group)] for group in GROUPS}
    ahead = [
        _MISSING if name == "bm25" else f"{sum(_level(row, group) for row in judged[group])} of {len(judged[group])}"
        for group in GROUPS
    ]
    changes = [_gain(row, group) for group in GROUPS for row in judged[group]]
    harmed = sum(any(_counts(row, group) and _gain(row, group) < -_HARM for group in GROUPS) for row in rows.values())
    seconds = [_seconds(row) for row in rows.values() if _seconds(row) is not None]
    peaks = [row["peak_mib"] for row in rows.values() if "peak_mib" in row]
    cells = [
        _NAMES.get(name, name),
        len(rows),
        f"{mean(map(_gain, rows.values())):+.4f}",
        theirs,
        *ahead,
        f"{min(changes):+.3f}" if changes else _MISSING,
        harmed,
        f"{median(seconds):.2f}" if seconds else _MISSING,
        f"{max(seconds):.2f}" if seconds else _MISSING,
        f"{max(peaks):.0f}" if peaks else _MISSING,
    ]
    return _line(cells)


def _verdicts(found, every):
    """Say in sentences how far what is promised is reached, over the rows that all of the methods named have."""
    everywhere = {name: mean(map(_gain, rows.values())) for name, rows in found.items() if set(rows) == every}
    peers = {name: gain for name, gain in everywhere.items() if name in PEERS}
    ours = {name: gain for name, gain in everywhere.items() if name in OURS}
    parts = []
    if peers and ours:
        best, first = max(peers, key=peers.get), max(ours, key=ours.get)
        told = f"Over the {len(every)} rows that all have"
        if left := sorted(name for name, rows in found.items() if rows and name not in everywhere):
            told += f" (not {', '.join(left)})"
        told += f" the mean gain of {first} is {ours[first]:+.4f}, that of the best peer, {best}, {peers[best]:+.4f}"
        parts += [told + (f": {ours[first] / peers[best]:.2f} times." if peers[best] > 0 else ".")]
        plain = {name: gain for name, gain in peers.items() if not name.endswith("-refit")}
        if plain and (second := max(plain, key=plain.get)) != best and plain[second] > 0:
            parts += [
                f"Of those that train on train alone, as their code does, {second} gains most, {plain[second]:+.4f}: "
                f"{ours[first] / plain[second]:.2f} times."
            ]
    fast, llama = found["embertune-fast"], found["llama-index-linear"]
    if shared := [key for key in fast if key in llama]:
        quicker = sum(_seconds(fast[key]) < _seconds(llama[key]) for key in shared)
        parts += [f"embertune-fast takes less CPU time than llama-index-linear in {quicker} of {len(shared)} rows."]
        whole = [key for key in shared if "process_cpu_seconds" in fast[key].keys() & llama[key].keys()]
        if whole:
            quicker = sum(fast[key]["process_cpu_seconds"] < llama[key]["process_cpu_seconds"] for key in whole)
            parts += [
                "Of the whole process, with imports (torch with theirs), reading, and, with ours, judging and the "
                f"report, it takes less in {quicker} of the {len(whole)} rows where that was kept."
            ]
    ahead = sorted({(key[0], key[1]) for key, row in found["bm25"].items() if _ahead_of_all(found, key, row)})
    if ahead:
        names = ", ".join(f"{name} ({ENCODERS[encoder]})" for name, encoder in ahead)
        parts += [f"BM25 is ahead of every adapter, and of base, in at least one split of: {names}."]
    return [" ".join(parts)] if parts else []


def _behind(name, rows):
    """Name every row and group in which one of ours is behind the first, by more than chance."""
    late = []
    for key, row in sorted(rows.items()):
        # Where no document is seen, unseen is all.
        groups = GROUPS if row["n"]["seen"] else ("all",)
        for group in (group for group in groups if _counts(row, group) and not _level(row, group)):
            lag = row["behind"][group]
            late.append(f"  * {' '.join(map(str, key))}, {group}: {lag['mean']:.3f} behind {lag['first']}")
    head = f"{name} is behind the first on (set, encoder, split, seed, queries):"
    if len(late) > _LONG:
        return [f"<details><summary>{head} {len(late)} in all</summary>", "", *late, "", "</details>", ""]
    return [f"* {head}", *late] if late else []


def _ahead_of_all(found, key, row):
    others = [rows[key]["scores"]["all"]["ndcg@10"] for name, rows in found.items() if name != "bm25" and key in rows]
    return row["scores"]["all"]["ndcg@10"] > max(others)


def _coverage(blocks):
    """Say what was run and what was not."""
    parts = [*_COVERAGE.splitlines(), "",
             "| data | " + " | ".join(f"{name}, {split}" for name in ENCODERS.values() for split in SPLITS) + " |",
             "|---|" + "--:|" * (len(ENCODERS) * len(SPLITS))]  # fmt: skip
    for name in SETS:
        cells = [_seeds(blocks.get((name, encoder, split), {})) for encoder in ENCODERS for split in SPLITS]
        parts.append(_line([name, *(cell or "not run" for cell in cells)]))
    return [*parts, "", *_left_out(blocks)]


def _seeds(methods):
    return len({row["seed"] for rows in methods.values() for row in rows})


def _left_out(blocks):
    """Say which methods some of these rows are without."""
    there = defaultdict(list)
    for method in METHODS:
        where = [key for key, found in sorted(blocks.items()) if len(found.get(method, ())) == _seeds(found)]
        if len(where) < len(blocks):
            rows = sum(len(found.get(method, ())) for found in blocks.values())
            there[tuple(" ".join(key) for key in where), rows].append(method)
    every = sum(map(_seeds, blocks.values()))
    told = {
        (where, rows): (f"in {rows} of {every} rows" if rows else "not run")
        + (f", with every seed on {', '.join(where)} only" if where else "")
        for where, rows in there
    }
    return [f"* {', '.join(methods)}: {told[where]}." for where, methods in there.items()]


def _block(key, methods):
    name, encoder, split = key
    judged = [row["n"] for rows in methods.values() for row in rows if "n" in row]
    counts = (_span({n[group] for n in judged}) for group in GROUPS[:2])
    told = "{} test queries, {} of them on seen documents".format(*counts)
    seeds = _seeds(methods)
    told += f", mean of {seeds} splits" if seeds > 1 else ""
    parts = [f"### {name} · {ENCODERS[encoder]} · {split}", "", f"{told}.", "",
             "| method | nDCG@10 | change, 95 % interval | seen | unseen | recall@10 | MRR@10 | CPU s | peak MiB |",
             "|---|--:|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    return parts + [_row(method, methods[method], seeds) for method in METHODS if method in methods]


def _span(values):
    return str(min(values)) if len(values) == 1 else f"{min(values)} to {max(values)}"


def _row(method, rows, wanted):
    label = _NAMES.get(method, method)
    if errors := [row["error"] for row in rows if "error" in row]:
        return _line([label, f"failed: {errors[0]}", *[""] * 7])
    if verdicts := list(dict.fromkeys(row["verdict"] for row in rows if "verdict" in row)):
        label += f" ({', '.join(verdicts)})"
    if len(rows) < wanted:
        label += f", {len(rows)} of {wanted} splits"
    delta = {part: mean(row["delta"]["all"][part] for row in rows) for part in ("mean", "low", "high")}
    change = "" if method == "base" else "{mean:+.3f} [{low:+.3f}, {high:+.3f}]".format_map(delta)
    memory, seconds = ([found for row in rows if (found := get(row)) is not None] for get in (_peak, _seconds))
    return _line([
        label, _score(rows, "all"), change, *(_score(rows, group, is_base=method == "base") for group in GROUPS[1:]),
        *(f"{mean(row['scores']['all'][metric] for row in rows):.3f}" for metric in ("recall@10", "mrr@10")),
        f"{mean(seconds):.2f}" if seconds else "", f"{mean(memory):.0f}" if memory else "",
    ])  # fmt: skip


def _peak(row):
    return row.get("peak_mib")


def _score(rows, group, *, is_base=True):
    """Give the mean of a group of queries, with its change in the groups, bold where it is first or level."""
    there = [row for row in rows if row["n"][group]]
    if not there:
        return _MISSING
    text = f"{mean(row['scores'][group]['ndcg@10'] for row in there):.3f}"
    if all(_level(row, group) for row in there):
        text = f"**{text}**"
    return text if is_base else f"{text} ({mean(_gain(row, group) for row in there):+.3f})"


def _line(cells):
    return "| " + " | ".join(map(str, cells)) + " |"
