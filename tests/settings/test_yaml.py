"""Reading and writing YAML: numbers as people and DVC write them, and one line for a file that is not valid."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Raw, complaint
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hw2core.errors import UserError
from hw2core.settings import load_params
from hw2core.settings.yaml import read_yaml, write_yaml


@pytest.mark.parametrize("spelling", ["3e-4", "3E-4", "0.0003", "3.0e-4", '"3e-4"', "'0.0003'"])
def test_every_spelling_of_a_number_is_read_as_a_number(tmp_path: Path, raw: Raw, spelling: str) -> None:
    raw["classifier"]["lr"] = "HERE"
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps(raw).replace('"HERE"', spelling))
    assert load_params(path).classifier.lr == 3e-4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "holds no keys", id="empty"),
        pytest.param(b"# nothing but a comment\n", "holds no keys", id="comment"),
        pytest.param(b"- a\n- b\n", "holds no keys", id="list"),
        pytest.param(b"just words\n", "holds no keys", id="words"),
        pytest.param(b"engine: {threads: 1\n", "not valid YAML", id="unclosed"),
        pytest.param(b"engine:\n\tthreads: 1\n", "line 2: not valid YAML", id="tab"),
        pytest.param(
            b"seeds: [0]\nengine:\n  threads: 1\n  threads: 2\n",
            'line 4: not valid YAML: found duplicate key "threads"',
            id="duplicate key",
        ),
        pytest.param(b"a: *nowhere\n", "not valid YAML", id="undefined alias"),
        pytest.param(b"a: !!python/object:os.system {}\n", "not valid YAML", id="tag that is code"),
        pytest.param(b"a: 1\n---\nb: 2\n", "not valid YAML", id="two documents"),
        pytest.param(b"seeds: [\xff\xfe]\n", "UTF-8", id="not UTF-8"),
        pytest.param(b"seeds: [0]\x00\n", "not valid YAML", id="zero byte"),
        pytest.param(b"seeds: 2020-13-45\n", "not valid YAML", id="impossible date"),
        pytest.param(b"seeds: &a [*a]\n", "*a contains itself", id="recursive list"),
        pytest.param(b"seeds: " + b"9" * 5000 + b"\n", "not valid YAML", id="number too long"),
    ],
)
def test_a_file_that_is_not_a_yaml_mapping_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_params(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith("params.yaml: ") for line in lines)
    assert any(message in line for line in lines)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params\.yaml: no such file"):
        read_yaml(tmp_path / "params.yaml")


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@` \n\t01.e"), max_size=30))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "params.yaml"
    path.write_text(text, encoding="utf-8")
    message = complaint(lambda: read_yaml(path))
    assert message is None or (message.startswith("params.yaml:") and "\n" not in message)


def test_writing_keeps_comments_and_spells_out_null() -> None:
    text = "# about\nseeds: [0, 1]   # two\nmirror: null\nlr: 1e-3  # small\n"
    written = io.StringIO()
    write_yaml(YAML().load(text), written)
    assert written.getvalue() == text
