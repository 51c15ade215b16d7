"""The demo: real documentation, questions that do not copy it, a split with unseen objects."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections import Counter

import pytest

from embertune.core.hashing import fingerprint_texts
from embertune.data import demo, demo_corpus
from embertune.data.demo import demo_dataset
from embertune.data.demo_corpus import read_python_docs
from embertune.errors import DataError


@pytest.fixture(scope="module")
def data():
    return demo_dataset()


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def objects_of(data, *parts):
    return {name for query_id, part in data.parts.items() if part in parts for name in data.positives(query_id)}


def test_there_are_thousands_of_passages_and_hundreds_of_questions(data):
    assert 3000 <= len(data.corpus) <= 6000
    assert len(data.queries) >= 700
    assert len(objects_of(data, "train", "dev", "test")) >= 800
    assert data.name == "python-docs"


def test_the_given_split_is_about_50_20_30(data):
    counts = Counter(data.parts.values())
    shares = {part: counts[part] / len(data.queries) for part in counts}
    assert shares.keys() == {"train", "dev", "test"}
    assert shares["train"] == pytest.approx(0.5, abs=0.04)
    assert shares["dev"] == pytest.approx(0.2, abs=0.04)
    assert shares["test"] == pytest.approx(0.3, abs=0.04)


def test_a_third_of_the_objects_appears_only_in_test_and_other_test_questions_are_seen(data):
    everything, learned = objects_of(data, "train", "dev", "test"), objects_of(data, "train", "dev")
    assert len(everything - learned) / len(everything) >= 0.32
    trained = objects_of(data, "train")
    seen = [q for q, part in data.parts.items() if part == "test" and trained & set(data.positives(q))]
    assert len(seen) >= 60


def test_every_answer_is_documented_except_what_newer_versions_added(data):
    wanted = {name for question in demo._questions() for name in question["answers"]}
    missing = wanted - data.corpus.keys()
    if sys.version_info[:2] == (3, 11):
        # itertools.batched came in 3.12, copy.replace in 3.13; the selector is named after what the system offers
        assert missing <= {"itertools.batched", "copy.replace", "selectors.DefaultSelector"}
    assert len(missing) <= 0.05 * len(wanted)


def test_questions_are_distinct_and_complete():
    questions = demo._questions()
    assert [question["id"] for question in questions] == [f"q{number:03d}" for number in range(1, len(questions) + 1)]
    assert len({" ".join(words(question["query"])) for question in questions}) == len(questions)
    for question in questions:
        assert question.keys() == {"id", "query", "answers", "part"}
        assert len(question["answers"]) == len(set(question["answers"])) > 0


def test_no_question_shares_five_words_in_a_row_with_its_answer(data):
    def runs(text):
        found = words(text)
        return {tuple(found[start : start + 5]) for start in range(len(found) - 4)}

    copied = [
        (data.queries[query_id], name)
        for query_id in data.queries
        for name in data.positives(query_id)
        if runs(data.queries[query_id]) & runs(data.corpus[name].content)
    ]
    assert copied == []


def test_few_questions_name_their_answer(data):
    named = [
        query_id
        for query_id, text in data.queries.items()
        if any(name.rpartition(".")[2].lower() in words(text) for name in data.positives(query_id))
    ]
    assert len(named) / len(data.queries) <= 0.15
    qualified = [
        text for text in data.queries.values() if any(f"{name}(" in text for name in data.corpus if "." in name)
    ]
    assert qualified == []


def test_no_test_question_is_a_near_copy_of_a_training_question(data):
    """Two questions with the same answer share less than two thirds of their words, counted as Jaccard."""
    stop = {"a", "an", "the", "of", "to", "in", "is", "it", "i", "my", "do", "how", "for", "from", "and", "or", "with"}
    tokens = {query_id: set(words(text)) - stop for query_id, text in data.queries.items()}
    answers = {query_id: set(data.positives(query_id)) for query_id in data.queries}
    train = [query_id for query_id, part in data.parts.items() if part == "train"]
    near = [
        (data.queries[test], data.queries[other])
        for test, part in data.parts.items()
        if part == "test"
        for other in train
        if answers[test] & answers[other]
        and len(tokens[test] & tokens[other]) >= 2 / 3 * len(tokens[test] | tokens[other])
    ]
    assert near == []


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("len", "number of items"),
        ("str.split", "list of the substrings"),
        ("str.replace", "occurrences"),
        ("bytes.decode", "Decode the bytes"),
        ("os.path.join", "Join two or more pathname components"),
        ("collections.Counter.most_common", "most common elements"),
        ("time.localtime", "seconds since the Epoch"),
        ("math.sqrt", "square root"),
        ("uuid.uuid4", "random UUID"),
        ("pathlib.PurePath.suffix", "final component"),
        ("random.choice", "random element"),
        ("io.IOBase.seek", "stream position"),
        ("socket.socket.settimeout", "timeout on socket operations"),
    ],
)
def test_well_known_objects_have_their_passage_under_the_name_that_people_use(data, name, phrase):
    document = data.corpus[name]
    assert document.title == name
    assert phrase.lower() in " ".join(document.text.split()).lower()


def test_aliases_and_inherited_methods_are_listed_once(data):
    for second in (
        "posixpath.join",  # os.path
        "frozenset.union",  # word for word set.union
        "collections.Counter.keys",  # dict's
        "pathlib.PosixPath.exists",  # Path's
        "secrets.choice",  # random.choice of SystemRandom
        "bisect.bisect",  # bisect_right
        "logging.Formatter.converter",  # time.localtime
        "socket.SocketType.connect",  # socket.socket
    ):
        assert second not in data.corpus
    copies = Counter((name.rpartition(".")[2], document.text) for name, document in data.corpus.items())
    assert max(copies.values()) == 1


def test_passages_are_public_and_say_something(data):
    assert [name for name in data.corpus if any(part.startswith("_") for part in name.split("."))] == []
    assert min(len(document.text) for document in data.corpus.values()) >= 15
    assert [name for name, document in data.corpus.items() if document.text.startswith("Alias for field")] == []
    # neither addresses nor folders of this machine, which would change with every run or every reader
    assert [
        name
        for name, document in data.corpus.items()
        if re.search(r"=\S* at 0x|" + re.escape(sys.prefix), document.text)
    ] == []


def test_what_this_python_lacks_is_dropped_and_counted(monkeypatch, data):
    only = next(q for q in data.queries if len(data.positives(q)) == 1)
    shared = next(q for q in data.queries if len(data.positives(q)) > 1 and data.positives(q) != data.positives(only))
    gone = {data.positives(only)[0], data.positives(shared)[0]}
    lost = [q for q in data.queries if set(data.positives(q)) <= gone]
    corpus = {name: document for name, document in data.corpus.items() if name not in gone}
    monkeypatch.setattr(demo, "read_python_docs", lambda: corpus)

    smaller = demo_dataset()

    assert data.queries.keys() - smaller.queries.keys() == set(lost)
    assert shared in smaller.queries
    assert not gone & set(smaller.positives(shared))
    before = int(re.search(r"dropped: (\d+) \(", data.notes[1]).group(1)) if len(data.notes) > 1 else 0
    already = len(demo._questions()) - len(data.queries)
    assert f"dropped: {before + 2} (" in smaller.notes[1]
    assert smaller.notes[1].endswith(f"Questions dropped because nothing else answers them: {already + len(lost)}.")


def test_a_module_that_this_system_lacks_is_left_out(monkeypatch, data):
    monkeypatch.setitem(sys.modules, "sqlite3", None)  # as in a Python built without SQLite: importing it fails
    corpus = read_python_docs()
    assert not [name for name in corpus if name.startswith("sqlite3.")]
    assert len(corpus) > 0.95 * len(data.corpus)


def test_what_strangers_hang_into_builtins_is_not_documentation(monkeypatch, data):
    def display():
        """Show something in a notebook, as IPython's function of that name does."""

    monkeypatch.setattr("builtins.display", display, raising=False)
    assert list(read_python_docs()) == list(data.corpus)


def test_optimised_python_has_no_docstrings_and_is_told_so(monkeypatch):
    class Flags:
        optimize = 2

    monkeypatch.setattr(demo_corpus.sys, "flags", Flags)
    with pytest.raises(DataError, match=re.escape("Python runs with -OO (or PYTHONOPTIMIZE=2)")):
        demo_dataset()


def run_python(code, folder, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "", **environment},
        check=True,
    )


def test_reading_is_silent_leaves_no_files_and_gives_the_same_in_every_process(tmp_path, data):
    code = """
        from embertune.core.hashing import fingerprint_texts
        from embertune.data.demo_corpus import read_python_docs
        passages = read_python_docs()
        print(fingerprint_texts(part for name, passage in passages.items() for part in (name, passage.text)))
    """
    results = [run_python(code, tmp_path, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    here = fingerprint_texts(part for name, passage in data.corpus.items() for part in (name, passage.text))
    assert [result.stdout.strip() for result in results] == [here, here]
    assert [result.stderr for result in results] == ["", ""]
    assert list(tmp_path.iterdir()) == []


def test_importing_the_module_reads_nothing(tmp_path):
    code = """
        import sys
        import embertune.data.demo
        print("mailbox" in sys.modules or "xmlrpc" in sys.modules)
    """
    assert run_python(code, tmp_path).stdout.strip() == "False"


def test_the_file_of_questions_is_one_json_object_a_line():
    from importlib.resources import files

    text = files("embertune.data").joinpath("demo_questions.jsonl").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert all(json.loads(line)["part"] in {"train", "dev", "test"} for line in text.splitlines())
