from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from embertune.encoders import load_encoder, vector_files
from embertune.errors import ConfigError, EncoderError

C = np.arange(12, dtype=np.float16).reshape(4, 3) + 1
Q = np.arange(6, dtype=np.float16).reshape(2, 3) + 2
ARRAYS = {
    "corpus": C,
    "queries": Q,
    "corpus_ids": np.array(["d0", "d1", "d2", "d3"]),
    "query_ids": np.array(["q0", "q1"]),
}


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def save(path, **changes):
    np.savez(path, **{name: value for name, value in {**ARRAYS, **changes}.items() if value is not None})
    return f"precomputed:{path}"


def check(encoder):
    np.testing.assert_allclose(encoder.lookup(["d3", "d0", "d3"], "document"), unit(C[[3, 0, 3]]), rtol=1e-6)
    np.testing.assert_allclose(encoder.lookup(["q1"], "query"), unit(Q[[1]]), rtol=1e-6)
    assert encoder.lookup(["q1"], "query").dtype == np.float32


def test_npz(tmp_path):
    encoder = load_encoder(save(tmp_path / "v.npz"))
    check(encoder)
    assert (encoder.spec.provider, encoder.spec.model, encoder.spec.dimension) == ("precomputed", "v.npz", 3)


def test_the_model_can_be_named(tmp_path):
    assert load_encoder(save(tmp_path / "v.npz"), name="all-MiniLM-L6-v2").spec.model == "all-MiniLM-L6-v2"
    with pytest.raises(ConfigError, match="Did you mean 'name'"):
        load_encoder(save(tmp_path / "v.npz"), nam="x")


def test_compressed_npz(tmp_path):
    np.savez_compressed(tmp_path / "v.npz", **ARRAYS)
    check(load_encoder(f"precomputed:{tmp_path / 'v.npz'}"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_npz_is_mapped_not_read(tmp_path, monkeypatch, order):
    monkeypatch.setattr(vector_files, "_MAP_FROM_BYTES", 1)
    encoder = load_encoder(save(tmp_path / "v.npz", corpus=np.asarray(C, order=order)))
    assert isinstance(encoder._tables["document"].vectors, np.memmap)
    check(encoder)


def test_ids_may_be_numbers_or_bytes(tmp_path):
    encoder = load_encoder(save(tmp_path / "v.npz", corpus_ids=np.arange(4), query_ids=np.array([b"q0", b"q1"])))
    np.testing.assert_allclose(encoder.lookup(["2"], "document"), unit(C[[2]]), rtol=1e-6)
    np.testing.assert_allclose(encoder.lookup(["q0"], "query"), unit(Q[[0]]), rtol=1e-6)


@pytest.mark.parametrize("ending", ["txt", "json", "npy"])
def test_pairs_of_npy(tmp_path, ending):
    np.save(tmp_path / "corpus.npy", C)
    np.save(tmp_path / "queries.npy", Q)
    for name, ids in (("corpus", ARRAYS["corpus_ids"]), ("queries", ARRAYS["query_ids"])):
        path = tmp_path / f"{name}_ids.{ending}"
        if ending == "npy":
            np.save(path, ids)
        else:
            path.write_text("\n".join(ids) + "\n" if ending == "txt" else json.dumps(ids.tolist()))
    encoder = load_encoder(f"precomputed:{tmp_path}/corpus.npy,{tmp_path}/queries.npy")
    check(encoder)
    assert encoder.spec.model == "corpus.npy,queries.npy"
    assert isinstance(encoder._tables["document"].vectors, np.memmap)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_only_a_line_feed_ends_an_id(tmp_path, end, last):
    ids = ["a\u2028b", "c\x85d", " e\x0b", "f\rg"]
    np.save(tmp_path / "c.npy", C)
    np.save(tmp_path / "q.npy", Q)
    (tmp_path / "c_ids.txt").write_bytes((end.join(ids) + end * last).encode())
    (tmp_path / "q_ids.txt").write_bytes(b"\xef\xbb\xbfq0\nq1\n")
    encoder = load_encoder(f"precomputed:{tmp_path}/c.npy,{tmp_path}/q.npy")
    np.testing.assert_allclose(encoder.lookup(ids, "document"), unit(C), rtol=1e-6)
    np.testing.assert_allclose(encoder.lookup(["q0", "q1"], "query"), unit(Q), rtol=1e-6)


def test_an_empty_file_of_ids_has_none(tmp_path):
    np.save(tmp_path / "c.npy", C)
    np.save(tmp_path / "q.npy", Q)
    (tmp_path / "c_ids.txt").write_bytes(b"")
    with pytest.raises(EncoderError, match=r"4 rows and .* 0 ids. Expected one id per row"):
        load_encoder(f"precomputed:{tmp_path}/c.npy,{tmp_path}/q.npy")


@pytest.mark.parametrize(
    ("column", "query", "document"), [("side", "query", "document"), ("kind", "queries", "corpus")]
)
@pytest.mark.parametrize("fixed", [True, False])
def test_parquet(tmp_path, column, query, document, fixed):
    pa = pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    import pyarrow.parquet

    kind = pa.list_(pa.float32(), 3) if fixed else pa.list_(pa.float64())
    table = pa.table(
        {
            "id": ["q0", "d0", "d1", "q1", "d2", "d3"],
            column: [query, document, document, query, document, document],
            "vector": pa.array([list(map(float, row)) for row in [Q[0], C[0], C[1], Q[1], C[2], C[3]]], kind),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "v.parquet")
    check(load_encoder(f"precomputed:{tmp_path / 'v.parquet'}"))


def test_parquet_errors(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    import pyarrow.parquet

    path = tmp_path / "v.parquet"
    good = {"id": ["a", "b"], "side": ["query", "document"], "vector": [[1.0, 2.0], [3.0, 4.0]]}
    for changes, message in [
        ({"vector": None}, "has no column vector; it has id, side. Expected the columns id, side"),
        ({"side": ["query", "hello"]}, "side holds hello. Expected query or document."),
        ({"vector": ["1 2", "3 4"]}, "the column vector holds string. Expected lists of numbers."),
        ({"vector": [["1"], ["3"]]}, "type object. Expected numbers of shape (n, d)"),
        ({"vector": [[1.0], [3.0, 4.0]]}, "the queries have 1 dimensions and the corpus 2."),
        ({"vector": [None, [3.0, 4.0]]}, "the vectors have several lengths (empty). Expected one length"),
        ({"side": ["query", "query"], "vector": [[1.0], [3.0, 4.0]]}, "the vectors have several lengths (1, 2)."),
        ({"side": ["query", "query"]}, "Expected numbers of shape (n, d)"),
    ]:
        pyarrow.parquet.write_table(pa.table({k: v for k, v in {**good, **changes}.items() if v is not None}), path)
        with pytest.raises(EncoderError, match=re.escape(message)):
            load_encoder(f"precomputed:{path}")
    path.write_bytes(b"no parquet")
    with pytest.raises(EncoderError, match="is damaged or no Parquet file"):
        load_encoder(f"precomputed:{path}")


def test_ids_without_a_vector(tmp_path):
    encoder = load_encoder(save(tmp_path / "v.npz"))
    message = "3 of 4 documents have no vector (such as 'x', 'y', 'z'); the file has 4 document ids (such as 'd0',"
    with pytest.raises(EncoderError, match=re.escape(message)):
        encoder.lookup(["x", "d1", "y", "z"], "document")


def test_new_texts_are_refused(tmp_path):
    encoder = load_encoder(save(tmp_path / "v.npz"))
    for encode in (encoder.encode_query, encoder.encode_document):
        with pytest.raises(EncoderError, match="holds vectors of known ids and cannot embed 2 new texts"):
            encode(["a", "b"])


@pytest.mark.parametrize(
    ("row", "what"), [([np.nan, 1, 1], "NaN or infinite values"), ([np.inf, 1, 1], "NaN"), ([0, 0, 0], "only zeros")]
)
def test_bad_rows_are_refused_where_they_are_used(tmp_path, row, what):
    corpus = C.copy()
    corpus[2] = row
    encoder = load_encoder(save(tmp_path / "v.npz", corpus=corpus))
    encoder.lookup(["d0", "d1"], "document")
    with pytest.raises(EncoderError, match=re.escape("the vectors of 1 of 2 documents hold " + what)) as caught:
        encoder.lookup(["d1", "d2"], "document")
    assert "(such as 'd2')" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": None, "query_ids": None}, "has no queries and no query_ids; it has corpus, corpus_ids. Write it"),
        ({"corpus_ids": np.array(["a", "b"])}, "corpus has 4 rows and corpus_ids 2 ids. Expected one id per row."),
        ({"corpus_ids": np.array(["a", "b", "b", "a"])}, "2 of 4 corpus_ids occur more than once (such as 'a')."),
        (
            {"corpus_ids": np.array(["a", "b", "c", None], dtype=object)},
            "corpus_ids is an array of Python objects, which only pickle could read, and pickle can run any code. "
            "Save it as text: np.array(corpus_ids, dtype=str)",
        ),
        ({"corpus": C.astype(object)}, "corpus is an array of Python objects"),
        ({"queries": Q[:, :2]}, "the queries have 2 dimensions and the corpus 3. Both must come from the same model"),
        ({"queries": Q[0]}, "queries has shape (3,) and type float16. Expected numbers of shape (n, d)"),
        ({"queries": np.array([["a"], ["b"]])}, "queries has shape (2, 1) and type <U1."),
        ({"queries": Q[:0], "query_ids": ARRAYS["query_ids"][:0]}, "queries has no rows."),
    ],
)
@pytest.mark.parametrize("mapped", [True, False])
def test_npz_errors(tmp_path, monkeypatch, changes, message, mapped):
    if mapped:
        monkeypatch.setattr(vector_files, "_MAP_FROM_BYTES", 1)
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoder(save(tmp_path / "v.npz", **changes))


def test_an_array_with_the_wrong_ending(tmp_path):
    np.save(tmp_path / "v.npy", C)
    (tmp_path / "v.npy").rename(tmp_path / "v.npz")
    with pytest.raises(EncoderError, match="is no npz archive but a single array"):
        load_encoder(f"precomputed:{tmp_path / 'v.npz'}")


@pytest.mark.parametrize("keep", [0, 10, 200, -10])
def test_a_truncated_npz(tmp_path, keep):
    name = save(tmp_path / "v.npz")
    path = tmp_path / "v.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EncoderError, match=re.escape(f"{path} (")) as caught:
        load_encoder(name)
    assert "is damaged or no npz file" in str(caught.value)


def test_a_flipped_byte_in_an_npz(tmp_path):
    name = save(tmp_path / "v.npz")
    path = tmp_path / "v.npz"
    data = bytearray(path.read_bytes())
    at = data.index(C.tobytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(EncoderError, match="is damaged or no npz file: Bad CRC-32"):
        load_encoder(name)


def test_npy_errors(tmp_path):
    np.save(tmp_path / "c.npy", C)
    np.save(tmp_path / "q.npy", Q)
    name = f"precomputed:{tmp_path}/c.npy,{tmp_path}/q.npy"
    with pytest.raises(
        EncoderError, match=re.escape("c.npy has 4 rows but no ids beside it. Expected one of c_ids.txt")
    ):
        load_encoder(name)
    (tmp_path / "q_ids.txt").write_text("q0\nq1")
    (tmp_path / "c_ids.json").write_text('{"d0": 0}')
    with pytest.raises(EncoderError, match=r"holds a JSON dict. Expected a list of ids."):
        load_encoder(name)
    (tmp_path / "c_ids.json").write_bytes(b"\xff\xfe[")
    with pytest.raises(EncoderError, match=r"cannot be read: .*Expected UTF-8 text"):
        load_encoder(name)
    (tmp_path / "c_ids.json").write_text('["d0", "d1", "d2", "d3"]')
    check(load_encoder(name))
    (tmp_path / "c.npy").write_bytes((tmp_path / "c.npy").read_bytes()[:-3])
    with pytest.raises(EncoderError, match=r"c.npy is damaged or no npy file"):
        load_encoder(name)
    np.save(tmp_path / "c.npy", C.astype(object))
    with pytest.raises(EncoderError, match="array of Python objects"):
        load_encoder(name)


def test_path_errors(tmp_path):
    with pytest.raises(EncoderError, match=re.escape(f"{tmp_path} is a folder. Expected a file of vectors")):
        load_encoder(f"precomputed:{tmp_path}")
    save(tmp_path / "v.npz")
    message = f"There is no file {tmp_path / 'w.npz'}. The folder {tmp_path} has v.npz."
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoder(f"precomputed:{tmp_path / 'w.npz'}")
    (tmp_path / "v.csv").write_text("a,b")
    with pytest.raises(EncoderError, match=r"is none of the known forms. Expected precomputed:FILE.npz"):
        load_encoder(f"precomputed:{tmp_path / 'v.csv'}")
    with pytest.raises(EncoderError, match=re.escape(f'type "precomputed:{tmp_path / "v.npz"}"')):
        load_encoder(str(tmp_path / "v.npz"))


def test_real_vectors():
    path = Path(__file__).parents[2].parent / "shared" / "data" / "finance10k-lyft" / "all-MiniLM-L6-v2.npz"
    if not path.is_file():
        pytest.skip("the finance10k-lyft set is not in ../shared/data")
    encoder = load_encoder(f"precomputed:{path}")
    with np.load(path) as archive:
        ids, corpus = archive["corpus_ids"].tolist(), archive["corpus"]
    np.testing.assert_allclose(encoder.lookup(ids[::-1], "document")[::-1], corpus.astype(np.float32), atol=1e-3)
    assert encoder.spec.dimension == 384
