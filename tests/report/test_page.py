"""The page as text: complete, escaped, marked when it is outdated."""

import json
import os
import re

import pytest

from rixs_pipeline.report.page import is_current, mark_outdated, page


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_data_comes_back_whatever_it_holds():
    content = {"a": "</script><b>", "b": ["\u2028", "$title", "ü"], "c": 1.1}
    text = page("<x> & y", content)
    assert data_of(text) == content
    assert "<title>&lt;x&gt; &amp; y</title>" in text
    assert text.count("</script>") == 2


def test_numbers_that_json_does_not_have_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        page("x", {"a": float("nan")})


def test_nothing_is_loaded_from_elsewhere():
    text = page("x", {})
    assert not re.search(r'(src|href)="(?!#)', text)
    assert "default-src 'none'" in text


def test_a_page_is_marked_as_outdated(tmp_path):
    path = tmp_path / "report.html"
    mark_outdated(path)
    assert not path.exists() and not is_current(path)
    path.write_text(page("x", {"a": 1}))
    size = path.stat().st_size
    assert is_current(path)
    for _ in range(2):
        mark_outdated(path)
        assert not is_current(path)
    assert path.stat().st_size == size
    assert 'data-state="outdated"' in path.read_text()


def test_a_page_without_permission_is_not_current(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text(page("a", {}))
    assert is_current(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not is_current(path)
