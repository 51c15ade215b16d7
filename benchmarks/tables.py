"""Make the tables of README.md, benchmarks/README.md and two guides from benchmarks/results/*.json.

python benchmarks/tables.py            write them
python benchmarks/tables.py --check    fail if they are not what the results say
"""

import argparse
import json
import sys
from itertools import groupby
from pathlib import Path

import finetune_table
import foreign_table
import label_tables
import migrate_table
import optuna_table
import peers_table
import speed_table
import synthetic_table
from peers_table import ENCODERS

HERE = Path(__file__).parent
START, END = "<!-- benchmarks:start -->", "<!-- benchmarks:end -->"
SYNTHETIC_START, SYNTHETIC_END = "<!-- synthetic:start -->", "<!-- synthetic:end -->"
MIGRATION_START, MIGRATION_END = "<!-- migrate:start -->", "<!-- migrate:end -->"
FINETUNE_START, FINETUNE_END = "<!-- finetune:start -->", "<!-- finetune:end -->"
SPLITS = {"given": "given", "study": "unseen documents, the study's split", "by-document": "unseen documents"}


def read(name):
    path = HERE / "results" / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def row_key(row):
    return row["set"], row["encoder"], row["split"]


def mean(rows, key):
    return sum(row[key] for row in rows) / len(rows)


def short_table(rows):
    """One line per set, encoder and kind of split; splits by document are averaged."""
    lines = ["| data | encoder | test | base | BM25 | tuned | change | verdict |", "|---|---|---|--:|--:|--:|--:|---|"]
    for (name, encoder, split), group in groupby(rows, row_key):
        found = list(group)
        base, bm25, tuned = (mean(found, key) for key in ("base", "bm25", "tuned"))
        verdicts = ", ".join(sorted({row["verdict"] for row in found}))
        where = SPLITS[split] + (f", mean of {len(found)} splits" if len(found) > 1 else "")
        lines.append(f"| {name} | {ENCODERS[encoder]} | {where} | {base:.3f} | {bm25:.3f} | {tuned:.3f} | "
                     f"{tuned - base:+.3f} | {verdicts} |")  # fmt: skip
    return lines


def long_table(rows):
    """One line per run, with its interval, beside the figures of the first study."""
    lines = [
        "| data | encoder | split | seed | base | tuned | change, 95 % interval | seen | unseen | verdict | "
        "pull of most weight | fit s | study |",
        "|---|---|---|--:|--:|--:|---|--:|--:|---|--:|--:|---|",
    ]
    for row in rows:
        groups = [
            "–" if group["mean"] is None else f"{group['mean']:+.3f} ({group['n']})" for group in row["groups"].values()
        ]
        heaviest = max(row["shares"], key=lambda one: one["share"])
        pull = f"{heaviest['pull']:g} ({heaviest['share']:.0%})" if "pull" in heaviest else "none"
        study = "{base:.3f} → {tuned:.3f}".format_map(row["study"]) if row["study"] else ""
        lines.append(
            f"| {row['set']} | {ENCODERS[row['encoder']]} | {row['split']} | {row['seed']} | {row['base']:.3f} | "
            f"{row['tuned']:.3f} | {row['tuned'] - row['base']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] | "
            f"{groups[0]} | {groups[1]} | {row['verdict']} | {pull} | "
            f"{row['seconds']['fit']:.1f} | {study} |"
        )
    return lines


def aa_lines(reports):
    lines = ["## The judge, judged", "", "`python benchmarks/aa_check.py [--side query]`", ""] if reports else []
    for side, report in reports.items():
        lines += [*aa_table(side, report["summary"]), ""]
    return lines


def aa_table(side, found):
    half = found["half shuffled"]
    lines = [
        f'side="{side}": {found["data sets"]} data sets whose training labels are shuffled: the verdict was `ship` for '
        f"{found['ship']} ({found['ship'] / found['data sets']:.1%}). Of {half['data sets']} with half of them "
        f"shuffled {half['ship']} shipped, {half['ship without a true gain']} of these without a true gain.",
        "",
        "| adapter | intervals | cover the true difference | mean true difference |",
        "|---|--:|--:|--:|",
    ]
    names = {"chosen": "what tuning chose, where it chose any (half shuffled, mostly)",
             "shuffled": "fitted on shuffled labels, pull 0.1",
             "true labels": "fitted on the true labels, pull 0.1"}  # fmt: skip
    for key, name in names.items():
        one = found[key]
        lines.append(f"| {name} | {one['intervals']} | {one['share']:.1%} | {one['mean truth']:+.3f} |")
    return lines


def rule_lines(report):
    lines = [f"{report['splits']} splits of five sets.", "", "| rule | mean gain | worst split | of which |",
             "|---|--:|--:|---|"]  # fmt: skip
    lines += [
        f"| {one['rule']} | {one['mean gain']:+.4f} | {one['worst']:+.4f} | {one['worst at']} |"
        for one in report["rules"]
    ]
    return lines


def page(reach, aa, rules, peers, foreign, synthetic, speed, labels, migration, searched, finetuned):  # noqa: PLR0913 - one per section
    parts = ["# Benchmarks", "", "Made by `python benchmarks/tables.py` from `benchmarks/results/`. nDCG@10 on test; "
             "everything is chosen on train and dev. A losing row stays.", ""]  # fmt: skip
    if reach:
        parts += ["## Tuning at its defaults", "", "`python benchmarks/reach.py`. \"study\" is base → tuned of the "
                  "study before this project, on the rows of its own splits.", "",
                  *long_table(reach), ""]  # fmt: skip
    if peers:
        parts += ["## Beside the peers", "", *peers_table.lines(peers), ""]
    if foreign:
        parts += ["## What other queries pay", "", *foreign_table.lines(foreign), ""]
    if synthetic:
        parts += ["## Queries cut out of documents", "", *synthetic_table.lines(synthetic), ""]
    parts += aa_lines(aa)
    if rules:
        parts += ["## How dev should choose", "", "`python benchmarks/selection_rules.py`", "", *rule_lines(rules), ""]
    if searched:
        parts += ["## Choosing, beside Optuna", "", *optuna_table.lines(searched), ""]
    if any(speed):
        parts += ["## Speed", "", *speed_table.lines(*speed)]
    parts += label_tables.lines(*labels)
    if migration:
        parts += ["## Going over to another encoder", "", *migrate_table.lines(migration), ""]
    parts += finetune_table.lines(*finetuned)
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something would change")
    check = parser.parse_args().check
    names = ("reach", "selection_rules", "peers", "foreign", "synthetic")
    reach, rules, peers, foreign, synthetic = (read(f"{name}.json") for name in names)
    aa = {side: found for side in ("auto", "query") if (found := read(f"aa-{side}.json"))}
    speed = read("transform.json"), read("growth.json")
    labels, migration = (read("audit.json"), read("curve.json")), read("migrate.json")
    searched = read("optuna.json")
    finetuned = (read("finetune.json") or {"rows": []})["rows"], read("finetune_parity.json")
    readme = HERE.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(START)
    _, tail = rest.split(END)
    guide = HERE.parent / "docs" / "guides" / "synthetic-data.md"
    before, rest = guide.read_text(encoding="utf-8").split(SYNTHETIC_START)
    _, after = rest.split(SYNTHETIC_END)
    bridges = HERE.parent / "docs" / "guides" / "migrate.md"
    opening, rest = bridges.read_text(encoding="utf-8").split(MIGRATION_START)
    _, ending = rest.split(MIGRATION_END)
    whole = HERE.parent / "docs" / "guides" / "finetune.md"
    above, rest = whole.read_text(encoding="utf-8").split(FINETUNE_START)
    _, below = rest.split(FINETUNE_END)
    wanted = {
        readme: "\n".join([head + START, "", *short_table(reach), "", END + tail]),
        guide: "\n".join([before + SYNTHETIC_START, *synthetic_table.short(synthetic or []), SYNTHETIC_END + after]),
        bridges: "\n".join([opening + MIGRATION_START, *migrate_table.short(migration or []), MIGRATION_END + ending]),
        whole: "\n".join([above + FINETUNE_START, *finetune_table.short(*finetuned), FINETUNE_END + below]),
        HERE / "README.md": page(
            reach, aa, rules, peers, foreign, synthetic, speed, labels, migration, searched, finetuned
        ),
    }
    stale = [p for p, new in wanted.items() if not p.is_file() or p.read_text(encoding="utf-8") != new]
    if check and stale:
        sys.exit(f"{', '.join(p.name for p in stale)} differ from the results. Type: python benchmarks/tables.py")
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")


if __name__ == "__main__":
    main()
