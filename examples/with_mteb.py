"""mteb: have others judge the adapter. Here on a task made of the demo; mteb.get_task("NFCorpus") does as well.

Needs: mteb torch
"""

import mteb
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from toy import DATA, DOCUMENTS, QUERIES, save_adapter

from embertune.integrations.mteb import EmbertuneModel


class Demo(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="Demo", dataset={"path": "none/none", "revision": "1"}, description="Questions on Python.",
        reference=None, type="Retrieval", category="t2t", modalities=["text"], eval_splits=["test"],
        eval_langs=["eng-Latn"], main_score="ndcg_at_10", date=None, domains=None, task_subtypes=None,
        license=None, annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
    )  # fmt: skip

    def load_data(self, *arguments, **options):
        self.corpus = {"test": {key: {"text": text} for key, text in DOCUMENTS.items()}}
        self.queries = {"test": QUERIES}
        self.relevant_docs = {"test": {query: dict.fromkeys(DATA.positives(query), 1) for query in QUERIES}}
        self.convert_v1_dataset_format_to_v2(num_proc=None)
        self.data_loaded = True


for name, model in {
    "base": EmbertuneModel(encoder="static"),
    "tuned on these very queries": EmbertuneModel(save_adapter("my-adapter")),
}.items():
    result = mteb.evaluate(model, Demo(), cache=None, show_progress_bar=False)
    print(name, round(result.task_results[0].get_score(), 3))
