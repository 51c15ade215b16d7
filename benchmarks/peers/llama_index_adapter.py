"""LlamaIndex's adapter trainer with its own code, `llama-index-finetuning`: a map of queries, in-batch negatives.

`EmbeddingAdapterFinetuneEngine` cannot be imported without packages of several LLM providers, so its trainer's file
is loaded alone and called as the engine calls it: the first relevant document of each query, batches of 10 in the
order of the queries, AdamW at 2e-5, linear warm-up over a tenth of the steps. The engine embeds every text again in
every epoch; here the vectors are given, so its seconds are kinder than a user's.
"""

import importlib.util
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import torch
from job import Adapted, Best, dev_ndcg, normalize, positives
from llama_index.embeddings.adapter.utils import LinearLayer, TwoLayerNN
from torch.utils.data import DataLoader, TensorDataset

_BATCH = 10


def _load_trainer():
    file = distribution("llama-index-finetuning").locate_file("llama_index/finetuning/embeddings/adapter_utils.py")
    spec = importlib.util.spec_from_file_location("adapter_utils", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.train_model


train_model = _load_trainer()


def _model(layers, dimension):
    if layers == 1:
        return LinearLayer(dimension, dimension)
    # hidden_features, bias and the residual as in LlamaIndex's notebook on adapters
    return TwoLayerNN(dimension, 1024, dimension, bias=True, add_residual=True)


def _apply(model, queries):
    model.eval()
    with torch.no_grad():
        return normalize(model(torch.from_numpy(queries)).numpy())


def fit(job, *, layers, epochs):
    """Train a map of the queries.

    Args:
        job: The job.
        layers: 1 or 2.
        epochs: 1 is the engine's default. With more, its checkpoints, one per epoch, are compared on dev.
    """
    relevant = positives(job.train_pairs, len(job.train_queries))
    first = [documents[0] for documents in relevant]
    pairs = TensorDataset(torch.from_numpy(job.train_queries), torch.from_numpy(job.corpus[first]))
    loader = DataLoader(pairs, batch_size=_BATCH)
    model = _model(layers, job.corpus.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / "checkpoints"
        train_model(
            model,
            loader,
            torch.device("cpu"),
            epochs=epochs,
            warmup_steps=int(len(loader) * epochs * 0.1),
            output_path=f"{folder}/model",
            checkpoint_path=str(checkpoints) if epochs > 1 else None,
            checkpoint_save_steps=len(loader),
            show_progress_bar=False,
        )
        if epochs == 1:
            return Adapted(_apply(model, job.test_queries))
        best = Best()
        for epoch in range(1, epochs + 1):
            saved = type(model).load(str(checkpoints / f"step_{epoch * len(loader)}"))
            best.offer(dev_ndcg(job, _apply(saved, job.dev_queries), job.corpus), saved, epoch)
    return Adapted(_apply(best.state, job.test_queries), None, {"epoch": best.at, "dev ndcg@10": best.score})
