"""sentence-transformers with its own code: a trained Dense module behind frozen embeddings, one for both sides.

What users are told to do (its issue 680; "Creating Custom Models" in its documentation): freeze what embeds, put a
`Dense` behind it, train with MultipleNegativesRankingLoss. A module that looks vectors up by row takes the place of
the frozen model.
"""

import tempfile

import torch
from datasets import Dataset, disable_progress_bars
from job import Adapted, Best, dev_ndcg, normalize
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.modules import InputModule
from sentence_transformers.losses import MultipleNegativesRankingLoss
from sentence_transformers.models import Dense
from sentence_transformers.training_args import BatchSamplers
from transformers import TrainerCallback
from transformers.utils import logging

_EPOCHS, _BATCH, _RATE = 10, 64, 1e-3


class Rows(InputModule):
    """Frozen embeddings: a text is the number of its row."""

    def __init__(self, vectors):
        super().__init__()
        self.vectors = vectors

    def preprocess(self, inputs, prompt=None, **kwargs):
        return {"sentence_embedding": self.vectors[[int(row) for row in inputs]]}

    def forward(self, features, **kwargs):
        return features

    def get_embedding_dimension(self):
        return self.vectors.shape[1]

    def save(self, output_path, *args, **kwargs):
        raise NotImplementedError("nothing is saved here")


class KeepBest(TrainerCallback):
    """The epoch that is best on dev, in memory; the trainer itself would save the frozen vectors with every epoch."""

    def __init__(self, job, dense, epoch):
        self.job, self.dense, self.epoch, self.best = job, dense, epoch, Best()

    def on_epoch_end(self, args, state, control, **kwargs):
        if self.epoch not in (None, round(state.epoch)):
            return
        queries, documents = (_apply(self.dense, part) for part in (self.job.dev_queries, self.job.corpus))
        weights = {name: tensor.clone() for name, tensor in self.dense.state_dict().items()}
        self.best.offer(dev_ndcg(self.job, queries, documents), weights, round(state.epoch))
        self.dense.train()


def _apply(dense, vectors):
    dense.eval()
    with torch.no_grad():
        return normalize(dense({"sentence_embedding": torch.from_numpy(vectors)})["sentence_embedding"].numpy())


def _train(job, start, epoch=None):
    """Train a Dense module: with its weights at an epoch, or at the best on dev; and which that was."""
    n, d = job.train_queries.shape
    options = {} if start == "default" else {"bias": False, "activation_function": None, "init_weight": torch.eye(d)}
    dense = Dense(d, d, **options)
    rows = Rows(torch.cat([torch.from_numpy(job.train_queries), torch.from_numpy(job.corpus)]))
    model = SentenceTransformer(modules=[rows, dense], device="cpu")
    queries, documents = job.train_pairs.T
    data = Dataset.from_dict({"anchor": list(map(str, queries)), "positive": list(map(str, documents + n))})
    keep = KeepBest(job, dense, epoch)
    with tempfile.TemporaryDirectory() as folder:
        settings = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=_EPOCHS,
            per_device_train_batch_size=_BATCH,
            learning_rate=_RATE,
            warmup_ratio=0.1,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=job.seed,
        )
        SentenceTransformerTrainer(
            model=model, args=settings, train_dataset=data, loss=MultipleNegativesRankingLoss(model), callbacks=[keep]
        ).train()
    dense.load_state_dict(keep.best.state)
    return dense, keep.best


def fit(job, *, start, refit=False):
    """Train the Dense module; both sides pass through it.

    Args:
        job: The job.
        start: "default", which is a random matrix and tanh, or "identity": no bias, no activation.
        refit: Train once more, up to the epoch chosen, on train and dev together.
    """
    logging.set_verbosity_error()
    disable_progress_bars()
    dense, best = _train(job, start)
    if refit:
        torch.manual_seed(job.seed)
        dense, _ = _train(job.pooled(), start, best.at)
    chosen = {"epoch": best.at, "dev ndcg@10": best.score}
    return Adapted(_apply(dense, job.test_queries), _apply(dense, job.corpus), chosen)
