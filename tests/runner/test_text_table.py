from rixs_pipeline.runner.text_table import format_table, shorten


def test_texts_are_left_and_numbers_right():
    rows = [["LMR", "+5", "O_Ka"], ["LMR_100C", "", "5-a"]]
    assert format_table(["sample", "counts", "line"], rows) == [
        "sample    counts  line",
        "LMR           +5  O_Ka",
        "LMR_100C          5-a",
    ]
    assert format_table(["sample"], []) == []


def test_long_names_keep_their_ends():
    assert shorten("short") == "short"
    assert shorten("a" * 40 + "-Co_L", 11) == "aaaaa…-Co_L".replace("…-", "…-")
    assert len(shorten("x" * 100)) == 30
