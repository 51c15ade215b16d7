import subprocess
import sys

import pytest

CODE = """
import ast, inspect
from embertune.ui.loading import load_gradio

def parsed(*arguments, **options):
    raise AssertionError("Gradio writes its stubs by another way than through inspect.getfile")

real, ast.get_source_segment = inspect.getfile, parsed
print(load_gradio().Textbox.__name__, inspect.getfile is real)
"""


def test_gradio_is_imported_without_its_stubs_and_nothing_stays_patched():
    pytest.importorskip("gradio", reason="the workbench needs gradio: pip install 'embertune[ui]'")
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("Textbox True\n", 0), found.stderr[-2000:]
