"""mteb judges an adapted encoder, and finds what our judge finds."""

from __future__ import annotations

import numpy as np
import pytest

from embertune import Dataset, Document, LinearAdapter, demo_dataset, load_encoder
from embertune.recipes.evaluate_encoders import evaluate

# torch comes along with mteb.
pytestmark = [pytest.mark.frameworks, pytest.mark.torch]


@pytest.fixture(scope="module")
def small():
    """Sixty queries of the demo and their documents, with two hundred others."""
    demo = demo_dataset()
    queries = list(demo.queries)[:60]
    answers = {document for query in queries for document in demo.positives(query)}
    kept = [*answers, *[document for document in demo.corpus if document not in answers][:200]]
    return Dataset(
        {document: Document(demo.corpus[document].content) for document in sorted(kept)},
        {query: demo.queries[query] for query in queries},
        {query: dict(demo.qrels[query]) for query in queries},
        name="small",
    )


@pytest.fixture(scope="module")
def adapted(small):
    encoder = load_encoder("static")
    pairs = [(query, document) for query in small.queries for document in small.positives(query)]
    queries = encoder.encode_query([small.queries[query] for query, _ in pairs])
    documents = encoder.encode_document([small.corpus[document].content for _, document in pairs])
    adapter = LinearAdapter("both", pull=0.1).fit(queries, documents)
    adapter.encoder = encoder.spec.to_dict()
    return adapter


def _whole(grades):
    return {document: int(grade) for document, grade in grades.items()}


def task_of(data):
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Small(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Small", dataset={"path": "none/none", "revision": "1"}, description="A task made on the spot.",
            reference=None, type="Retrieval", category="t2t", modalities=["text"], eval_splits=["test"],
            eval_langs=["eng-Latn"], main_score="ndcg_at_10", date=None, domains=None, task_subtypes=None,
            license=None, annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip

        def load_data(self, *arguments, **options):
            self.corpus = {"test": {key: {"text": each.content} for key, each in data.corpus.items()}}
            self.queries = {"test": dict(data.queries)}
            self.relevant_docs = {"test": {key: _whole(grades) for key, grades in data.qrels.items()}}
            self.convert_v1_dataset_format_to_v2(num_proc=None)
            self.data_loaded = True

    return Small()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("tuned", [False, True])
def test_mteb_finds_what_our_judge_finds(tuned, small, adapted):
    mteb = pytest.importorskip("mteb", reason="mteb is not installed: group frameworks")
    from mteb.models.models_protocols import EncoderProtocol

    from embertune.integrations.mteb import EmbertuneModel

    model = EmbertuneModel(adapted if tuned else None, None if tuned else "static")
    assert isinstance(model, EncoderProtocol)
    found = mteb.evaluate(model, task_of(small), cache=None, show_progress_bar=False)
    scores = found.task_results[0].scores["test"][0]
    judged = evaluate(small, "static", [adapted] if tuned else ())
    ours = judged.evaluations["adapter 1" if tuned else "base"].means
    assert scores["ndcg_at_10"] == pytest.approx(ours["ndcg@10"], abs=1e-4)
    assert scores["recall_at_10"] == pytest.approx(ours["recall@10"], abs=1e-4)
    assert model.mteb_model_meta.name == f"embertune/wordllama-l2_supercat-{'linear' if tuned else 'base'}"


def test_sides_and_texts_without_a_side(adapted):
    pytest.importorskip("mteb", reason="mteb is not installed: group frameworks")
    from mteb.types import PromptType

    from embertune.integrations.mteb import EmbertuneModel

    model, encoder = EmbertuneModel(adapted), load_encoder("static") | adapted
    batches = [{"text": ["how to sort a list", "read a file"]}, {"text": ["open a socket"]}]
    texts = ["how to sort a list", "read a file", "open a socket"]
    assert np.array_equal(model.encode(batches, prompt_type=PromptType.query), encoder.encode_query(texts))
    assert np.array_equal(model.encode(batches, prompt_type=PromptType.document), encoder.encode_document(texts))
    assert np.array_equal(model.encode(batches), encoder.encode_document(texts))
