"""Every page of committed results is what its JSON file says, and tells how to make it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks import page
from benchmarks.page import Bar
from benchmarks.pages import PAGES, rendered

RESULTS = Path(__file__).parents[2] / page.RESULTS


def test_every_page_has_its_module() -> None:
    assert {path.stem for path in RESULTS.glob("*.md")} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_its_json_file_says(name: str) -> None:
    text = (RESULTS / f"{name}.md").read_text()
    assert text == rendered(name, RESULTS)
    title, _, asked, _, command = text.splitlines()[:5]
    assert title.startswith("# ")
    assert asked.endswith((".", "?"))
    assert command.startswith("`python -m benchmarks.")
    for line in text.splitlines():
        assert not line.startswith("![") or (RESULTS / line.partition("(")[2][:-1]).is_file()
    arguments = json.loads((RESULTS / f"{name}.json").read_text()).get("arguments", {})
    assert [value for value in arguments.values() if str(value).startswith("/")] == []


def test_arguments_tell_no_path_of_a_machine(tmp_path: Path) -> None:
    given = {"data": "/somewhere/data", "out": tmp_path, "runs": "runs/fgo", "seeds": [1]}
    page.write(tmp_path / "it", {"machine": {}, "arguments": given}, lambda _: [], quiet=True)
    kept = json.loads((tmp_path / "it.json").read_text())["arguments"]
    assert kept == {"data": "FOLDER", "out": "FOLDER", "runs": "runs/fgo", "seeds": [1]}


def test_a_page_tells_the_commands_and_minutes_of_all_its_parts(tmp_path: Path) -> None:
    parts = [["--seeds", "1"], ["--seeds", "2"], ["--seeds", "2"]]
    data: dict[str, Any] = {}
    for words in parts:
        results: dict[str, Any] = {"command": f"python -m benchmarks.it {' '.join(words)}"}
        results["machine"] = {}
        page.going_on(results, data)
        page.write(tmp_path / "it", results, lambda found: page.head("It", "?", found), quiet=True)
        data = json.loads((tmp_path / "it.json").read_text())
        data["minutes"] = results["minutes_before"] + 10.0
    said = "`python -m benchmarks.it --seeds 1`, then `python -m benchmarks.it --seeds 2`: 2"
    assert (tmp_path / "it.md").read_text().splitlines()[4].startswith(said)


def test_a_benchmark_leaves_json_page_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["x", "--rounds", "3", "--data", "/some/where"])
    results = page.environment("grading", "numpy", "no-such-package") | {"rows": [1]}

    def lines(found: dict[str, object]) -> list[str]:
        return [*page.head("Title", "What is it?", found), *page.table(("a|b",), [found["rows"]])]  # type: ignore[list-item]

    def draw(found: dict[str, object]) -> Figure:
        return plt.figure()

    page.write(tmp_path / "new" / "name", results, lines, draw)
    kept = json.loads((tmp_path / "new" / "name.json").read_text())
    assert kept["command"] == "python -m benchmarks.grading --rounds 3 --data FOLDER"
    assert "numpy" in kept["machine"]
    assert "no-such-package" not in kept["machine"]
    text = (tmp_path / "new" / "name.md").read_text()
    assert text.startswith("# Title\n\nWhat is it?\n\n`python -m benchmarks.grading --rounds 3")
    assert text.endswith("| a\\|b |\n|---|\n| 1 |\n")
    assert (tmp_path / "new" / "name.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_a_bar_is_met_or_not_or_not_surely() -> None:
    found = [Bar("a", "1", True), Bar("b", "2", False, True), Bar("c", "none", None)]
    assert list(page.bars(found))[2:] == [
        "| a | 1 | yes |",
        "| b | 2 | **no**, interval reaches past the bar |",
        "| c | none |  |",
    ]
