"""The kinds of FAISS indexes, each against the one that was built from mapped vectors at once."""

import json
import re

import numpy as np
import pytest

from embertune.adapters.linear import LinearAdapter
from embertune.adapters.truncation import TruncationAdapter
from embertune.core.search import top_k
from embertune.core.vectors import normalize
from embertune.errors import StoreError
from embertune.integrations.stores import open_store
from embertune.recipes.apply_adapter import apply_adapter, roll_back

faiss = pytest.importorskip("faiss")
ROWS, WIDTH = 600, 16


@pytest.fixture
def vectors():
    return normalize(np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32))


@pytest.fixture
def adapter():
    pairs = np.random.default_rng(1).standard_normal((2, 30, WIDTH)).astype(np.float32)
    return LinearAdapter("both", maps="separate").fit(*pairs)


def build(kind, vectors, ids=None):
    index = faiss.index_factory(WIDTH, kind, faiss.METRIC_INNER_PRODUCT)
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        ivf.nprobe = 3
    index.train(vectors)
    index.add(vectors) if ids is None else index.add_with_ids(vectors, ids)
    return index


def recall(index, queries, truth):
    rows = zip(index.search(queries, 5)[1], truth, strict=True)
    return np.mean([len(set(found) & set(right)) / 5 for found, right in rows])


@pytest.mark.parametrize("kind", ["Flat", "HNSW8", "IVF4,Flat", "IVF4,PQ4x4"])
def test_the_new_index_is_as_if_built_from_mapped_vectors(kind, vectors, adapter, tmp_path):
    file = tmp_path / "docs.faiss"
    faiss.write_index(build(kind, vectors), str(file))
    np.save(tmp_path / "base.npy", vectors)
    store = open_store(f"faiss:{file}?vectors={tmp_path / 'base.npy'}")
    done = apply_adapter(adapter, store, batch_size=100)
    mapped = adapter.transform(vectors, "document")
    expected = build(kind, mapped)
    found = faiss.read_index(str(tmp_path / "docs.tuned.faiss"))
    queries = normalize(vectors[:50] + 0.1)
    assert isinstance(found, type(expected))
    truth = top_k(queries, mapped, 5)[0]
    assert recall(found, queries, truth) >= recall(expected, queries, truth) - 0.02
    assert store.search("tuned", queries, 5) == [[str(at) for at in row] for row in found.search(queries, 5)[1]]
    assert done.checked == (0 if "PQ" in kind else ROWS)


def test_settings_of_search_are_kept(vectors, adapter, tmp_path):
    file = tmp_path / "docs.faiss"
    index = build("IVF4,PQ4x4", vectors)
    faiss.write_index(index, str(file))
    apply_adapter(adapter, open_store(f"faiss:{file}"))
    new = faiss.read_index(str(tmp_path / "docs.tuned.faiss"))
    assert (new.nlist, new.nprobe, new.pq.M, new.pq.nbits) == (4, 3, 4, 4)


def test_ids_of_a_map_are_kept(vectors, adapter, tmp_path):
    file, ids = tmp_path / "docs.faiss", np.arange(ROWS)[::-1] * 3 + 7
    faiss.write_index(build("IDMap,Flat", vectors, ids), str(file))
    store = open_store(f"faiss:{file}")
    apply_adapter(adapter, store, switch=True)
    new = faiss.read_index(str(file))
    assert (faiss.vector_to_array(new.id_map) == ids).all()
    mapped = adapter.transform(vectors, "document")
    assert store.search("tuned", mapped[5:6], 1) == [[str(ids[5])]]
    assert new.search(mapped[5:6], 1)[1][0, 0] == ids[5]


def test_the_file_is_the_old_one_bit_by_bit_after_a_rollback(vectors, adapter, tmp_path):
    file = tmp_path / "docs.faiss"
    faiss.write_index(build("HNSW8", vectors), str(file))
    before = file.read_bytes()
    apply_adapter(adapter, open_store(f"faiss:{file}"), switch=True)
    assert file.read_bytes() != before
    assert (tmp_path / "docs.base.faiss").read_bytes() == before
    roll_back(open_store(f"faiss:{file}"))
    assert file.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["docs.faiss", "docs.tuned.faiss"]


def test_half_a_row_that_a_crash_left_is_no_row(vectors, adapter, tmp_path):
    file = tmp_path / "docs.faiss"
    faiss.write_index(build("Flat", vectors), str(file))
    store = open_store(f"faiss:{file}")
    mapped = adapter.transform(vectors, "document")
    store.create(WIDTH)
    (tmp_path / "docs.tuned.faiss.rows").write_bytes(mapped.tobytes()[: 37 * 4 * WIDTH + 11])
    assert store.count("tuned") == 37
    assert apply_adapter(adapter, store, batch_size=50).written == ROWS - 37
    new = faiss.read_index(str(tmp_path / "docs.tuned.faiss"))
    assert np.abs(new.reconstruct_n(0, ROWS) - mapped).max() < 1e-6


def test_what_does_not_fit_is_said(vectors, adapter, tmp_path):
    file = tmp_path / "docs.faiss"
    faiss.write_index(build("Flat", vectors), str(file))
    (tmp_path / "ids.txt").write_text("a\nb\n")
    with pytest.raises(StoreError, match=re.escape(f"ids.txt has 2 lines and {file} {ROWS} vectors. Expected one id")):
        open_store(f"faiss:{file}?ids={tmp_path / 'ids.txt'}")
    with pytest.raises(StoreError, match=re.escape("There is no file nothing.faiss. Expected an index that")):
        open_store("faiss:nothing.faiss")
    (tmp_path / "broken.faiss").write_bytes(b"no index")
    with pytest.raises(StoreError, match="FAISS refused"):
        open_store(f"faiss:{tmp_path / 'broken.faiss'}")
    shorter = TruncationAdapter(8).fit(vectors[:40], vectors[:40])
    with pytest.raises(StoreError, match=re.escape("The adapter gives 8 dimensions and")):
        apply_adapter(shorter, open_store(f"faiss:{file}"))


def test_only_what_moves_is_said_to_point_elsewhere(vectors, tmp_path):
    from embertune.adapters.document import DocumentAdapter

    file = tmp_path / "docs.faiss"
    faiss.write_index(build("Flat", vectors), str(file))
    moved = DocumentAdapter().fit(normalize(vectors[:9] + 0.3), vectors[:9])
    done = apply_adapter(moved, open_store(f"faiss:{file}"))
    assert (done.written, done.changed) == (ROWS, 9)
    assert json.loads(json.dumps(done.to_dict()))["changed"] == 9
    assert str(done) == (
        f"600 vectors of 16 dimensions in {tmp_path}/docs.tuned.faiss, beside {file}\n"
        f"of faiss:{file}\n"
        "written now: 600 (9 point elsewhere than before)\n"
        "checked: counts are equal, 600 vectors read back are right\n"
        f"live: {file} leads to the old vectors\n"
        "next: evaluate, then --switch"
    )
