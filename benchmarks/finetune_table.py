"""The tables of fine-tuning beside the adapter, for tables.py."""

SYSTEMS = {
    "base": "base",
    "bm25": "BM25",
    "adapter": "adapter",
    "tuned": "fine-tuned",
    "tuned + adapter": "fine-tuned + adapter",
}
SPLITS = {"given": "by query", "by-query": "by query", "by-document": "by document"}
CLOCKS = {"processor": "processor time", "wall": "wall clock"}


def lines(rows, parity):
    """The section of the page: one line per set, split and system."""
    if not rows and not parity:
        return []
    found = [
        "## Fine-tuning a whole model",
        "",
        "`python benchmarks/finetune.py MODEL`: a whole model fine-tuned beside the adapter on the same data, one "
        "seed. Seconds are what has to be spent once base vectors are there: mining, labels and training, or "
        "choice and fit of an adapter; dollars are those seconds at 0.10 an hour.",
        "",
    ]
    for row in rows:
        found += [f"**{row['data']}, {SPLITS[row['split']]}**: {_said(row)}", "", *_contest(row), ""]
    return found + _parity(parity)


def short(rows, parity):
    """One line per set and split, for the guide."""
    found = [f"| data | test | settings | {' | '.join(SYSTEMS.values())} | seconds: adapter, fine-tuned |",
             "|---|---|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    for row in rows:
        by = {each["system"]: each for each in row["contest"]["rows"]}
        cells = [_score(by[name], row["primary"]) for name in SYSTEMS]
        seconds = f"{by['adapter']['seconds']:.0f}, {by['tuned']['seconds']:.0f}"
        place = f"{row['data']} | {SPLITS[row['split']]} | {', '.join(row['changes'])}"
        found.append(f"| {place} | {' | '.join(cells)} | {seconds} |")
    notes = [
        f"* {row['data']}, {SPLITS[row['split']]}, {', '.join(row['changes'])}: {row['contest']['sentence']}"
        for row in rows
    ]
    return [*found, "", *notes, "", *_parity(parity)]


def _said(row):
    counts, (step, steps) = row["counts"], row["step"]
    set_to = ", ".join(row["changes"]) or "none"
    return (
        f"{row['model']}; {counts['train']} train, {counts['dev']} dev and {counts['test']} test queries, "
        f"{counts['documents']} documents; settings other than the defaults: {set_to}; kept step {step} of {steps}; "
        f"seconds of {CLOCKS[row['clock']]}, {row['machine']}, {row['seconds']['total']:.0f} in all. "
        f"Verdict: {row['verdict']['code']}. {row['contest']['sentence']}"
    )


def _contest(row):
    metric = row["primary"]
    found = [f"| system | {metric} | change, 95 % interval | s | $ |", "|---|--:|---|--:|--:|"]
    for each in row["contest"]["rows"]:
        change = _change(each.get("change")) or "–"
        found.append(f"| {SYSTEMS[each['system']]} | {each[metric]:.3f} | {change} | {each['seconds']:.0f} | "
                     f"{each['dollars']:.4f} |")  # fmt: skip
    return found


def _score(each, metric):
    return f"{each[metric]:.3f} {_change(each.get('change'))}".strip()


def _change(delta):
    return f"{delta['mean']:+.3f} [{delta['low']:+.3f}, {delta['high']:+.3f}]" if delta else ""


def _parity(found):
    """Say how far we are from plain sentence-transformers with the same settings."""
    if not found:
        return []
    ours, plain, settings = found["ours"], found["plain"], found["settings"]
    apart = max(abs(a - b) for a, b in zip(ours["loss"], plain["loss"], strict=True))
    metrics = max(abs(ours["metrics"][name] - plain["metrics"][name]) for name in ours["metrics"])
    return [
        f"Beside plain sentence-transformers code with the same settings (`python benchmarks/finetune_parity.py`, "
        f"`results/finetune_parity.json`: {settings['steps']} steps of {settings['batch_size']} rows, "
        f"{settings['max_seq_length']} tokens): the losses of all steps are {_apart(apart)}, nDCG@10 and MRR@10 of its "
        f"own evaluator {_apart(metrics)}.",
        "",
    ]


def _apart(gap):
    return "equal" if gap == 0 else f"within {gap:.0e}" if gap > 1e-12 else "equal but for the last bits"
