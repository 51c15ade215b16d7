import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.judge import DevJudge, vectors_for
from embertune.training.finetune.mixing import largest_harmless, mix_with_base


@pytest.mark.parametrize(
    ("quarter", "half", "expected"),
    [
        (0.1, 0.12, 0.5),
        (0.1, 0.14, 0.25),
        (0.14, 0.2, 0),
        (0.2, 0.12, 0.5),
        (-0.1, 0.0, 0.5),
        (-0.1, 0.04, 0.25),
    ],
)
def test_the_largest_share_within_a_standard_error_of_the_best(quarter, half, expected):
    trained = np.array([0.9, 0.5, 0.7, 0.3])
    assert np.std(trained, ddof=1) / 2 == pytest.approx(0.129, abs=1e-3)
    assert largest_harmless([0.0, 0.25, 0.5], [trained, trained - quarter, trained - half]) == expected


def test_one_query_has_no_standard_error():
    assert largest_harmless([0.0, 0.5], [np.array([0.6]), np.array([0.5])]) == 0
    assert largest_harmless([0.0, 0.5], [np.array([0.5]), np.array([0.5])]) == 0.5


def judge_of(animals):
    queries = dict(list(animals.queries.items())[::4])
    few = Dataset(animals.corpus, queries, {query: animals.qrels[query] for query in queries})
    nothing = np.zeros((len(few.queries), 32)), np.zeros((len(few.corpus), 32))
    return DevJudge.of(few, nothing, {}, ["ndcg@10"], max_documents=1000)


@pytest.fixture
def trained(tiny_model, tmp_path):
    """The tiny model with other weights in all its layers, as a folder."""
    torch = pytest.importorskip("torch")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model))
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=noise)
    model.save_pretrained(str(tmp_path / "trained"))
    return tmp_path / "trained"


@pytest.mark.torch
@pytest.mark.parametrize("shares", [(0.5,), (0.25, 0.5, 0.75)])
def test_the_weights_written_are_the_mean_that_was_chosen(tiny_model, trained, animals, tmp_path, shares):
    import torch
    from sentence_transformers import SentenceTransformer

    judge, config = judge_of(animals), FinetuneConfig(model_name=str(tiny_model), base_shares=shares)
    mixed = mix_with_base(trained, tmp_path / "mixed", judge, config)
    base, other, mean = (
        SentenceTransformer(str(each)).state_dict() for each in (tiny_model, trained, tmp_path / "mixed")
    )
    assert mean.keys() == base.keys()
    for name, tensor in mean.items():
        if tensor.is_floating_point():
            expected = (1 - mixed.share) * other[name] + mixed.share * base[name]
            torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-5)
    assert list(mixed.scores) == [0.0, *shares]
    for share, folder in ((0.0, trained), (mixed.share, tmp_path / "mixed")):
        found = judge.score(*vectors_for(SentenceTransformer(str(folder)), judge))["ndcg@10"]
        assert mixed.scores[share] == pytest.approx(found, abs=1e-6)


@pytest.mark.torch
def test_of_queries_alone_documents_keep_their_vectors(tiny_model, trained, animals, tmp_path):
    from sentence_transformers import SentenceTransformer

    from embertune.training.finetune.models import load_model

    config = FinetuneConfig(model_name=str(tiny_model), query_only=True, base_shares=(0.5,))
    routes = load_model(config)
    for own, other in zip(routes[0].sub_modules["query"], SentenceTransformer(str(trained)), strict=True):
        own.load_state_dict(other.state_dict())
    routes.save_pretrained(str(tmp_path / "routes"))
    mixed = mix_with_base(tmp_path / "routes", tmp_path / "mixed", judge_of(animals), config)
    texts = [each.content for each in animals.corpus.values()]
    base, found = SentenceTransformer(str(tiny_model)), SentenceTransformer(str(tmp_path / "mixed"))
    np.testing.assert_array_equal(found.encode_document(texts), base.encode_document(texts))
    assert not np.allclose(found.encode_query(texts), base.encode_query(texts))
    assert mixed.scores.keys() == {0.0, 0.5}
