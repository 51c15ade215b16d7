"""Realistic records, made up with numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

METRICS = ["ndcg@10", "mrr@10", "recall@10", "recall@100", "accuracy@1"]


@pytest.fixture
def make_record():
    return fake_record


@pytest.fixture
def make_texts():
    return fake_texts


@pytest.fixture
def record():
    return fake_record()


@pytest.fixture
def degenerate():
    return degenerate_record()


def fake_record(code: str = "ship", *, queries: int = 200, unseen: int = 80, seed: int = 0) -> dict[str, Any]:
    """A full record; `code` is the verdict, `unseen` the number of queries on unseen documents."""
    rng = np.random.default_rng(seed)
    lift = {"ship": 0.12, "no-gain": 0.0, "too-little-data": 0.03}[code]
    metrics = METRICS
    base = np.clip(rng.beta(1.2, 1.4, size=(queries, len(metrics))), 0, 1)
    base[rng.random(queries) < 0.2] = 0.0
    change = np.where(rng.random((queries, 1)) < 0.55, rng.normal(lift * 1.8, 0.22, (queries, len(metrics))), 0.0)
    tuned = base if code == "no-gain" else np.clip(base + change, 0, 1)
    base, tuned = base.round(4), tuned.round(4)
    is_unseen = np.arange(queries) < unseen
    foreign = {
        "name": "xquad-en",
        "n": 238,
        "notes": ["2 of its 240 queries are asked in finance10k-lyft, too, and left out."],
        "base": dict.fromkeys(metrics, 0.948),
        "tuned": dict.fromkeys(metrics, 0.944),
        "delta": {"ndcg@10": {"mean": -0.004, "low": -0.009, "high": 0.001}},
    }
    return {
        "format": 1,
        "name": "finance10k-lyft",
        "created": "2026-11-21T09:30:00+00:00",
        "primary": "ndcg@10",
        "metrics": metrics,
        **_system(base, tuned, metrics, rng),
        "baselines": {"bm25": {m: float(v) for m, v in zip(metrics, base.mean(0) + 0.04, strict=True)}},
        "groups": {
            "seen": _group(base[~is_unseen], tuned[~is_unseen], metrics, rng),
            "unseen": _group(base[is_unseen], tuned[is_unseen], metrics, rng),
        },
        "foreign": foreign,
        "strength": _strengths(base[:, 0], tuned[:, 0], is_unseen) if code != "no-gain" else [],
        "verdict": _verdict(code, base[:, 0], tuned[:, 0]),
        "counts": {"train": 600, "dev": 200, "test": queries, "documents": 2815, "pairs": 1244},
        "seconds": {"embed": 1.82, "fit": 2.41, "evaluate": 0.63, "total": 5.12},
        "encoder": {
            "provider": "static",
            "model": "wordllama-l2_supercat_256",
            "revision": None,
            "dimension": 256,
            "query_prompt": "",
            "document_prompt": "",
            "normalized": True,
        },
        "adapter": {"type": "identity", "side": "none"}
        if code == "no-gain"
        else {
            "type": "linear",
            "side": "query",
            "pull": 0.03,
            "temperature": 0.05,
            "max_steps": 40,
            "max_candidates": 4096,
            "seed": 0,
        },
        "data": {
            "name": "finance10k-lyft",
            "fingerprint": "sha256:" + "4f1c09ab" * 8,
            "split": {"method": "by-query", "fractions": [0.6, 0.2, 0.2], "seed": 0},
            "leakage": {"exact": 0, "near": 3, "threshold": 0.95, "pairs": [["q17", "q201"], ["q8", "q77"]]},
            "notes": ["12 equal documents were merged.", "3 queries without text were dropped."],
        },
        "seed": 0,
        "versions": {"python": "3.11.2", "embertune": "0.1.0", "numpy": "2.4.6", "safetensors": "0.6.2"},
        "test_opened": 1,
        "selection": _selection(code, rng),
        "cosines": _cosines(code, rng),
        "queries": [
            {"id": f"q{at}", "group": "unseen" if is_unseen[at] else "seen", "base": float(b), "tuned": float(t)}
            for at, (b, t) in enumerate(zip(base[:, 0], tuned[:, 0], strict=True))
        ],
    }


def degenerate_record() -> dict[str, Any]:
    """One test query, nothing changed, no baseline, no curve, no candidates, no histogram, nothing optional."""
    record = fake_record("no-gain", queries=1, unseen=0)
    for key in ("selection", "cosines", "queries", "baselines", "foreign", "strength"):
        del record[key]
    for metric in record["metrics"]:
        nothing = {"mean": 0.0, "low": None, "high": None, "p": None}
        record["base"][metric] = record["tuned"][metric] = 0.0
        record["delta"][metric] = nothing
    record["groups"] = {name: {"n": 0, "base": {}, "tuned": {}, "delta": {}} for name in ("seen", "unseen")}
    record["data"] |= {"leakage": {}, "notes": []}
    record["verdict"] = {"code": "too-little-data", "sentence": "Do not ship this yet.", "reason": "", "numbers": {}}
    return record


def _system(base, tuned, metrics, rng) -> dict[str, Any]:
    change = tuned - base
    draws = change[rng.integers(len(change), size=(400, len(change)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    flips = rng.choice([-1, 1], size=(999, len(change), 1))
    null = np.abs((flips * change).mean(axis=1))
    p = (1 + (null >= np.abs(change.mean(axis=0)) - 1e-12).sum(axis=0)) / 1000
    return {
        "base": dict(zip(metrics, base.mean(axis=0).tolist(), strict=True)),
        "tuned": dict(zip(metrics, tuned.mean(axis=0).tolist(), strict=True)),
        "delta": {
            metric: {
                "mean": float(change[:, at].mean()),
                "low": float(low[at]),
                "high": float(high[at]),
                "p": float(p[at]),
                "wins": int((change[:, at] > 0).sum()),
                "ties": int((change[:, at] == 0).sum()),
                "losses": int((change[:, at] < 0).sum()),
            }
            for at, metric in enumerate(metrics)
        },
    }


def _group(base, tuned, metrics, rng) -> dict[str, Any]:
    if not len(base):
        return {"n": 0, "base": {}, "tuned": {}, "delta": {}}
    return {"n": len(base), **_system(base, tuned, metrics, rng)}


def _strengths(base, tuned, is_unseen) -> list[dict[str, Any]]:
    def mean(part, strength):
        return float((base + (tuned - base) * strength**0.5)[part].mean()) if part.any() else None

    return [
        {
            "strength": strength,
            "all": mean(np.ones_like(is_unseen), strength),
            "seen": mean(~is_unseen, strength),
            "unseen": mean(is_unseen, strength),
            "foreign": 0.948 - 0.004 * strength**2,
        }
        for strength in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]


def _verdict(code, base, tuned) -> dict[str, Any]:
    measured = f"ndcg@10 {base.mean():.3f} → {tuned.mean():.3f} ({(tuned - base).mean():+.3f})"
    sentence = {
        "ship": f"Ship it: {measured}.",
        "no-gain": "Do not ship anything: on dev no adapter beat the frozen encoder "
        f"(ndcg@10 {base.mean():.3f}), so the adapter is the identity.",
        "too-little-data": f"Do not ship this yet: the gain is within the noise. {measured}.",
    }[code]
    reason = (
        f"{(tuned > base).sum()} queries gain, {(tuned < base).sum()} lose; the base finds 91% of the answers in its "
        "top 100 at an MRR of 0.412, so reordering alone could win up to +0.498; 3 seeds differ from +0.101 to +0.124."
    )
    return {"code": code, "sentence": sentence, "reason": reason, "numbers": {"headroom": 0.498}}


def _selection(code, rng) -> dict[str, Any]:
    pulls = [None, 1.0, 0.3, 0.1, 0.03, 0.01]
    dev = [0.455, 0.512, 0.561, 0.602, 0.617, 0.609]
    chosen = 0 if code == "no-gain" else 4
    curve: list[dict[str, Any]] = [{"step": 0, "loss": None, "dev": dev[0]}]
    for level in range(len(pulls) - 1):
        for at in range(12):
            loss = 2.4 - 0.3 * level - 0.35 * (1 - np.exp(-at / 3)) + 0.01 * rng.random()
            curve.append({"step": len(curve), "loss": float(loss), "dev": dev[level + 1] if at == 11 else None})
    return {
        "candidates": [
            {"params": {} if pull is None else {"pull": pull}, "dev": score, "weight": float(at == chosen)}
            for at, (pull, score) in enumerate(zip(pulls, dev, strict=True))
        ],
        "curve": curve,
        "seeds": [{"seed": at, "delta": 0.101 + 0.0115 * at} for at in range(3)],
    }


def _cosines(code, rng) -> dict[str, Any]:
    edges = np.linspace(-0.2, 1.0, 41)

    def counts(mean, spread, size):
        return np.histogram(np.clip(rng.normal(mean, spread, size), -0.2, 1), edges)[0].tolist()

    base = {"relevant": counts(0.52, 0.13, 1244), "irrelevant": counts(0.24, 0.12, 20000)}
    tuned = {"relevant": counts(0.61, 0.12, 1244), "irrelevant": counts(0.17, 0.10, 20000)}
    return {"edges": edges.tolist(), "base": base, "tuned": base if code == "no-gain" else tuned}


TEXTS = [
    "How much revenue did Lyft report in 2021?",
    "what changed in insurance reserves since last year",
    "who owns the class b shares and how many votes do they carry",
    "is there any risk from drivers being classified as employees",
    "cash and restricted cash at the end of december",
    "light vehicles segement growth",
]


def fake_texts(record: dict[str, Any], *, most: int = 4) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Query texts, and the examples of the most gained and most lost queries, as `Texts` takes them."""
    rng = np.random.default_rng(1)
    ordered = sorted(record["queries"], key=lambda row: row["tuned"] - row["base"])
    texts = {row["id"]: TEXTS[at % len(TEXTS)] for at, row in enumerate(record["queries"])}
    sentence = (
        "Revenue for the year increased mainly through a recovery of rideshare demand; contribution margin improved "
        "while insurance costs required by regulatory agencies and third-party claims administrators also rose. "
    )
    examples = []
    for row in ordered[:most] + ordered[-most:]:
        pool = [f"lyft-{at:04d}" for at in rng.choice(2000, size=6, replace=False)]
        scores = np.sort(rng.uniform(0.3, 0.8, size=5))[::-1]
        one = [(pool[at], float(scores[at]), at == 3, f"[{pool[at]}] " + sentence * (1 + at % 3)) for at in range(5)]
        order = zip(scores, [3, 5, 1, 0, 4], strict=True)
        other = [(pool[at], float(s), at == 3, f"[{pool[at]}] " + sentence) for s, at in order]
        gained = row["tuned"] >= row["base"]
        base, tuned = (one, other) if gained else (other, one)
        examples.append({"query_id": row["id"], "base": base, "tuned": tuned})
    return texts, examples
