"""README and docs are executed; what they list equals the code.

In a page, a block is read by what stands behind its three backticks:

* ``python`` is executed, all blocks of a page in one namespace and one temporary folder;
* ``console``: every ``$ embertune …`` is executed, of other commands ``make`` targets are looked up;
* ``text output`` must be what the block before it printed;
* a language and a file name (``csv faq.csv``) writes that file.

A comment right before a block changes this: ``<!-- static stands in -->`` lets the embedded encoder answer for models
that need a key, the network or torch; ``<!-- chat stands in -->`` does so, too, and a server of the tests answers for
language models; ``<!-- not run: reason -->`` leaves a block alone, its commands are still looked
up; ``<!-- needs PACKAGE -->`` does so where that is not installed.
"""

import builtins
import contextlib
import csv
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import embertune
from embertune import errors
from embertune.cli import root
from embertune.encoders import registry
from embertune.encoders.static import StaticEncoder

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"])
PAGES = [README, ROOT / "CHANGELOG.md", *GUIDES]
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>]*) -->\n)?^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    line: int
    note: str
    info: str
    body: str

    @property
    def commands(self):
        """The command lines of a console block, those that end in a backslash joined."""
        joined = self.body.replace("\\\n", " ")
        return [shlex.split(line[2:], comments=True) for line in joined.splitlines() if line.startswith("$ ")]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("body"))
        yield Block(line, match["note"] or "", match["info"].strip(), match["body"])


@pytest.fixture(scope="session")
def questions():
    """What a reader has: questions in one column, the passages that answer them in another."""
    demo = embertune.demo_dataset()
    pairs = [(query, document) for query in list(demo.queries)[:110] for document in demo.positives(query)]
    return [(demo.queries[query], demo.corpus[document].content) for query, document in pairs]


@pytest.fixture
def folder(tmp_path, monkeypatch, questions):
    """A folder with the reader's questions.csv, and nothing else."""
    place = tmp_path / "reader"
    place.mkdir()
    with open(place / "questions.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "passage"), *questions])
    monkeypatch.chdir(place)
    return place


@contextlib.contextmanager
def static_stands_in(active):
    """Let the embedded encoder answer for every other model."""
    with pytest.MonkeyPatch.context() as patch:
        if active:
            patch.setattr(registry, "_load", lambda runtime, arguments, options: StaticEncoder())
        yield


def run_command(arguments):
    try:
        code = root.main(arguments, prog_name="embertune", standalone_mode=False)
    except SystemExit as ended:
        code = ended.code
    assert not code, f"embertune {shlex.join(arguments)} ended with {code}"


def run_block(block, namespace, printed, page):
    """Run one block; give what it printed, or, where it prints nothing of its own, what was printed before."""
    out = io.StringIO()
    with static_stands_in(block.note in ("static stands in", "chat stands in")), contextlib.redirect_stdout(out):
        kind, _, rest = block.info.partition(" ")
        if kind == "python":
            exec(compile("\n" * block.line + block.body, name_of(page), "exec"), namespace)
        elif kind == "console":
            for command in block.commands:
                if command[0] == "embertune":
                    run_command(command[1:])
        elif rest == "output":
            assert printed == block.body, f"{name_of(page)}:{block.line} shows another output"
        elif rest:
            Path(rest).parent.mkdir(parents=True, exist_ok=True)
            Path(rest).write_text(block.body, encoding="utf-8")
        else:
            return printed
    return out.getvalue()


def absent(note):
    """Give the packages that a block needs and that are not installed."""
    first, *names = note.split() or [""]
    return (
        [name for name in names if importlib.util.find_spec(name.partition(".")[0]) is None] if first == "needs" else []
    )


def run_page(page):
    namespace, printed = {"__name__": "__main__"}, ""
    for block in blocks_of(page):
        if not block.note.startswith("not run") and not absent(block.note):
            printed = run_block(block, namespace, printed, page)


def test_readme_runs(folder):
    run_page(README)
    assert {path.name for path in (folder / "my-adapter").iterdir()} >= {"config.json", "record.json", "report.html"}


@pytest.fixture
def language_models(chat_server, monkeypatch):
    """Pages may ask language models of OpenAI, and open the browser."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-of-anyone")
    monkeypatch.setenv("OPENAI_API_BASE", chat_server.base)
    monkeypatch.setattr("webbrowser.open", lambda address: None)


def with_marks(page):
    needy = "<!-- needs " in page.read_text(encoding="utf-8")
    return pytest.param(page, marks=[pytest.mark.frameworks] if needy else [], id=name_of(page))


@pytest.mark.parametrize("page", [with_marks(page) for page in GUIDES])
def test_guides_run(page, folder, language_models):
    if "<!-- chat stands in -->" in page.read_text(encoding="utf-8") and importlib.util.find_spec("litellm") is None:
        pytest.skip("the api extra is not installed")
    run_page(page)


def test_readme_leads_to_code_in_twenty_lines():
    first = next(block for block in blocks_of(README) if block.info == "python")
    assert first.line <= 20
    assert len(first.body.split("\n\n", 1)[1].strip().splitlines()) + 1 <= 8


def test_what_the_demo_shows_in_the_readme_is_what_it_computes():
    """The base column is cheap to compute again; another Python has a slightly other documentation."""
    from embertune.recipes.evaluate_encoders import evaluate

    text = re.search(r"<!-- demo:start -->(.*?)<!-- demo:end -->", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    shown = {name: float(base) for name, base in re.findall(r"^(\w+@\d+) +(0\.\d{3}) ", text, re.MULTILINE)}
    judged = evaluate(embertune.demo_dataset(), "static")
    assert shown == pytest.approx(judged.evaluations["base"].means, abs=0.02)
    assert f"all {len(judged.evaluations['base'])} test queries" in text
    assert re.search(r"^Ship it: ndcg@10 0\.\d{3} → 0\.\d{3} ", text, re.MULTILINE)
    assert re.search(r"^Report: +embertune-demo/report\.html$", text, re.MULTILINE)


def generated_pages():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_default_tables_equal_code():
    stale = [name_of(page) for page, text in generated_pages().items() if page.read_text(encoding="utf-8") != text]
    assert stale == [], "type: make docs"


def test_tables_of_benchmarks_equal_the_results():
    command = [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def options_of(command):
    return {name for option in command.params if isinstance(option, click.Option) for name in option.opts}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_in_pages_exist(page):
    with click.Context(root) as context:
        for block in blocks_of(page):
            if block.info == "console":
                for command in block.commands:
                    check_command(context, command)
        for words in re.findall(r"`embertune ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
            check_command(context, ["embertune", *shlex.split(words)])


def check_command(context, words):
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[0] == "embertune":
        command = root.get_command(context, words[1])
        assert command is not None, words
        named = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert named <= {*options_of(command), "--help"}, words


def test_every_option_is_on_the_page_of_the_command_line():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    with click.Context(root) as context:
        for name in root.list_commands(context):
            section = page.partition(f"## embertune {name}\n")[2].partition("\n## ")[0]
            command = root.get_command(context, name)
            assert [option for option in options_of(command) if f"`{option}`" not in section] == []
            assert all(option.help for option in command.params if isinstance(option, click.Option)), name


def test_every_error_stands_in_the_tree_under_its_parent():
    tree = errors.__doc__
    for name in errors.__all__:
        error = getattr(errors, name)
        assert error.__doc__
        found = re.search(rf"^( *)[*x+] {name}(?: \((\w+)\))?", tree, re.MULTILINE)
        assert found, f"{name} is not in the tree"
        depth = len([parent for parent in error.__mro__ if issubclass(parent, errors.EmbertuneError)]) - 1
        assert len(found[1]) == 2 * depth
        if found[2]:
            assert issubclass(error, getattr(builtins, found[2]))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith(("https://", "http://")):
            path, _, anchor = target.partition("#")
            goal = (page.parent / path).resolve() if path else page
            assert goal.exists(), f"{name_of(page)} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in [slug(heading) for heading in headings], target


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_page_on_encoders_names_every_form():
    page = (ROOT / "docs" / "guides" / "encoders.md").read_text(encoding="utf-8")
    assert [form for form in registry.ENCODER_FORMS if f"`{form}`" not in page] == []


def test_every_verdict_is_explained():
    from typing import get_args

    from embertune.evaluation.verdict import Code

    for page in (README, ROOT / "docs" / "guides" / "first-adapter.md"):
        assert [code for code in get_args(Code) if f"`{code}`" not in page.read_text(encoding="utf-8")] == []
