"""Every configuration in the documentation is one that runs."""

import re
from pathlib import Path

import pytest
import yaml

from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.files import make_config

GUIDES = Path(__file__).parents[3] / "docs" / "guides"
RECIPES = sorted((GUIDES / "recipes").glob("*.md"))
PAGES = [GUIDES / "finetune.md", *RECIPES]
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def configurations(page):
    return [yaml.safe_load(block) for block in BLOCK.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_configuration_in_the_guides_is_valid(page):
    for values in configurations(page):
        assert isinstance(make_config(values), FinetuneConfig)


def test_there_is_a_recipe_for_every_need():
    assert [page.stem for page in RECIPES] == [
        "balanced", "biomedical", "legal", "memory", "multilingual", "quality", "small",
    ]  # fmt: skip


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_a_recipe_names_its_model_its_data_and_a_folder_of_its_own(page):
    found = configurations(page)
    assert found
    text = page.read_text(encoding="utf-8")
    for values in found:
        assert {"model_name", "data", "output_dir"} <= set(values)
        assert f"https://huggingface.co/{values['model_name']}" in text
    folders = [values["output_dir"] for other in RECIPES for values in configurations(other)]
    assert len(folders) == len(set(folders))


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_the_guide_leads_to_every_recipe(page):
    assert f"(recipes/{page.name})" in (GUIDES / "finetune.md").read_text(encoding="utf-8")
