import re

import pytest

from embertune.errors import StorageError
from embertune.training.finetune.stages import Stages


def test_a_stage_is_done_once_for_the_same_inputs(tmp_path):
    done = []

    def work():
        done.append(1)
        return {"q": ["no"]}

    for inputs in (["data", {"a": 1}], ["data", {"a": 1}], ["data", {"a": 2}]):
        assert Stages(tmp_path).result("mined", inputs, work) == {"q": ["no"]}
    assert len(done) == 2


def test_a_damaged_result_is_made_again(tmp_path):
    Stages(tmp_path).result("mined", [1], lambda: [1])
    (file,) = tmp_path.iterdir()
    file.write_text("[1, ", encoding="utf-8")
    again = Stages(tmp_path)
    assert again.result("mined", [1], lambda: [2]) == [2]
    assert again.reused == []


def test_a_place_that_is_no_folder_is_explained(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match=re.escape("Name another place: cache_dir=FOLDER")):
        Stages(tmp_path / "file" / "cache")
