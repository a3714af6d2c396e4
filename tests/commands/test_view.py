"""`codegym view`: what is in the page, what it must never do, and bad input."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegym.commands.viewing.curves import charts_of_scalars
from codegym.commands.viewing.page import page
from codegym.commands.viewing.rollout import COLUMNS, Rollout, View

from .pages import read_page
from .test_grade import ANSWER, trl, trl_parquet, verifiers, verl
from .toy import WRONG, Command, write_lines

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 \x00 &amp; <img src=x onerror=alert(2)>"
PIECES = ["# Double x.\n", "def f(x):\n", "    y = x\n", "    return", " y /", " 0", "\n", ""]


def ours(**changes: Any) -> dict[str, Any]:
    """A row of `rollouts.jsonl`: two pieces of prompt, one given, five written."""
    return {
        "step": 20,
        "row": 3,
        "problem_id": "mini/train/1",
        "difficulty": "interview",
        "verdict": "runtime_error",
        "reward": -0.6,
        "stage": 1,
        "num_stages": 2,
        "truncated": False,
        "prompt_length": 2,
        "start_length": 3,
        "pieces": PIECES,
        "program_start": 0,
        "failing_test": {
            "number": 2,
            "input": "f(3)",
            "expected": "6",
            "test": "f(3) must return 6",
            "verdict": "runtime_error",
            "error_type": "ZeroDivisionError",
            "error_message": "division by zero",
        },
        "error": {"type": "ZeroDivisionError", "message": "division by zero", "line": 4},
        "executed": [1, 1, 1, 0, 0],
        "loss_mask": [1, 1, 0, 0, 0],
        "rewards": [0, 0, 0, 0, -0.6],
        "advantages": [0.5, -1.25, 0, 0.1, 2],
        "values": [-0.5, -0.4, 0, 0.1, 0.2],
        "logprobs": [0.0, math.log(0.5), math.log(0.25), -30.0, -0.1],
        "reference_logprobs": [0.0, 0.0, 0.0, 0.0, 0.0],
        "checkpoint_logprobs": [0.0, math.log(0.75), math.log(0.25), -30.0, -0.1],
        **changes,
    }


def test_our_rollouts_come_back_with_every_number(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours(), ours(row=4, verdict="accepted"))
    ran = command("view", path, "--json")
    told = ran.json()
    assert (ran.status, told["rollouts"], told["notes"]) == (0, 2, [])
    assert told["columns"] == [column.name for column in COLUMNS]
    assert told["page"] == str(tmp_path / "rollouts.view.html")
    shown = read_page(Path(told["page"]))
    assert told["bytes"] == len(shown.html.encode())
    one = shown.rollouts[0]
    assert one.pieces == PIECES
    assert (one.head["prompt"], one.head["start"], one.head["tokens"]) == (2, 3, True)
    assert one.row["verdict"] == "runtime_error"
    assert (one.row["reward"], one.row["stage"], one.row["length"]) == (-0.6, 1, 5)
    assert one.facts["failing test"] == "number 2, runtime_error"
    assert (one.facts["input"], one.facts["expected"]) == ("f(3)", "6")
    assert one.facts["got"] == "ZeroDivisionError: division by zero"
    # Line 4 of the program is "    return y / 0": from the fourth piece to the line's end.
    assert one.head["error"] == [3, 6]
    expected: dict[str, list[float]] = {
        "executed": [1, 1, 1, 0, 0],
        "loss mask": [1, 1, 0, 0, 0],
        "reward": [0, 0, 0, 0, -0.6],
        "advantage": [0.5, -1.25, 0, 0.1, 2],
        "value": [-0.5, -0.4, 0, 0.1, 0.2],
        "probability": [1, 0.5, 0.25, 0, math.exp(-0.1)],
        "change of probability": [0, -0.25, 0, 0, 0],
    }
    assert one.columns.keys() == expected.keys()
    for column in shown.index["columns"]:
        low, high = column["scale"]
        signed = column["kind"] == "signed"
        values = one.columns[column["title"]]
        # What is zero is zero, and what is largest is exact.
        for value, wanted in zip(values, expected[column["title"]], strict=True):
            assert value is not None
            half = (high - low) / 254 / 2
            if signed:  # equal steps of the square root
                half *= 2 * (abs(wanted) / high) ** 0.5 + half
            assert value == pytest.approx(wanted, abs=half + 1e-6)
            if wanted in (0, low, high):
                assert value == pytest.approx(wanted, abs=1e-6)


def test_a_column_that_is_not_there_is_absent_and_not_zero(
    command: Command, tmp_path: Path
) -> None:
    row = ours()
    for name in ("values", "checkpoint_logprobs", "stage", "verdict"):
        del row[name]
    path = write_lines(tmp_path / "rollouts.jsonl", row)
    ran = command("view", path, "--json")
    assert "Not in the source, and greyed out: value, change of probability." in ran.json()["notes"]
    shown = read_page(tmp_path / "rollouts.view.html")
    scales = {column["title"]: column["scale"] for column in shown.index["columns"]}
    assert scales["value"] is scales["change of probability"] is None
    assert scales["advantage"] == [-2.0, 2.0]
    (one,) = shown.rollouts
    assert not {"value", "change of probability"} & one.columns.keys()
    assert one.row["stage"] is one.row["verdict"] is None


def test_a_number_that_is_not_there_is_no_zero(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours(advantages=[None, 1, 0, 0, 0]))
    command("view", path)
    (one,) = read_page(tmp_path / "rollouts.view.html").rollouts
    assert one.columns["advantage"][:3] == [None, 1.0, 0.0]


@pytest.mark.parametrize("write", [verl, trl, trl_parquet, verifiers], ids=lambda w: w.__name__)
def test_rollouts_of_other_trainers_are_shown_as_text(
    write: Callable[[Path], Path], command: Command, tmp_path: Path
) -> None:
    source = write(tmp_path)
    ran = command("view", source, "--json")
    told = ran.json()
    assert (ran.status, told["rollouts"], told["columns"]) == (0, 3, [])
    shown = read_page(Path(told["page"]))
    texts = ["".join(one.pieces[one.head["start"] :]) for one in shown.rollouts]
    assert texts[0] == ANSWER
    assert WRONG.strip() in texts[1]
    assert not any(one.head["tokens"] for one in shown.rollouts)
    assert all(column["scale"] is None for column in shown.index["columns"])
    if write is verl:
        assert [one.row["step"] for one in shown.rollouts] == [1, 1, 1]
        assert [one.row["reward"] for one in shown.rollouts] == [1.0, 1.0, 1.0]
        assert shown.index["reward"] == "score"


def test_grades_beside_a_file_are_shown_with_it(
    grade: Command, command: Command, tmp_path: Path
) -> None:
    source = verl(tmp_path)
    before = command("view", source, "--json").json()
    assert any("`codegym grade`" in note for note in before["notes"])
    grade(source)
    after = command("view", source, "--json").json()
    assert not any("`codegym grade`" in note for note in after["notes"])
    rollouts = read_page(Path(after["page"])).rollouts
    assert sorted(one.row["verdict"] for one in rollouts) == ["accepted"] * 2 + ["wrong_answer"]
    (wrong,) = (one for one in rollouts if one.row["verdict"] == "wrong_answer")
    assert wrong.facts["failing test"] == "number 1: add(1, 2) must return 3"
    assert wrong.facts["got"].startswith("Expected 3, got ")


def trace(ids: list[int]) -> dict[str, Any]:
    mask = [False] * 3 + [True] * (len(ids) - 3)
    node = {
        "parent": 0,
        "message": {"role": "assistant", "content": "ab"},
        "token_ids": ids,
        "mask": mask,
        "logprobs": [-0.5] * sum(mask),
    }
    asked = {"message": {"role": "user", "content": "?"}, "token_ids": [63], "mask": [False]}
    return {"traces": [{"task": {"data": {"idx": 0, "prompt": "?"}}, "nodes": [asked, node]}]}


def test_tokens_of_a_trace_are_spelled_where_the_tokenizer_is_at_hand(
    command: Command, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "traces.jsonl", trace([60, 61, 62, 97, 98]))
    told = command("view", path, "--tokenizer", "byte", "--json").json()
    assert told["columns"] == ["loss_mask", "probability"]
    (one,) = read_page(Path(told["page"])).rollouts
    assert (one.pieces, one.head["start"]) == (["?", "<", "=", ">", "a", "b"], 4)
    assert one.columns["probability"] == pytest.approx([math.exp(-0.5)] * 2, abs=0.002)


@pytest.mark.parametrize("words", [(), ("--tokenizer", "byte"), ("--tokenizer", "hf:./nowhere")])
def test_text_is_shown_where_no_tokenizer_spells_the_tokens(
    words: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "traces.jsonl", trace([60, 61, 62, 97, 100_000]))
    ran = command("view", path, *words, "--json")
    assert any("their text is shown" in note for note in ran.json()["notes"])
    assert ran.status == (1 if "hf:./nowhere" in words else 0)
    (one,) = read_page(Path(ran.json()["page"])).rollouts
    assert (one.pieces, one.head["tokens"], one.columns) == (["?", "ab"], False, {})


def scalars(steps: int) -> list[dict[str, float]]:
    names = [f"{mode}/{of}" for mode in ("greedy", "sampled") for of in ("introductory", "mean")]
    return [
        {
            "step": step,
            **dict.fromkeys(names, step / steps),
            "rollout/solved": 0.5,
            "verdict/accepted": step / steps,
            "verdict/wrong_answer": 1 - step / steps,
            "curriculum/share_stage_0": 0.25,
            "curriculum/share_stage_1": 0.75,
            "kl/reference_k1": 0.01 * step,
            "value/explained_variance": 0.3,
        }
        for step in range(1, steps + 1)
    ]


def test_a_training_run_opens_with_its_curves(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "train"
    (run / "ppo").mkdir(parents=True)
    write_lines(
        run / "scalars.jsonl", {"step": 50, "sft/loss": 2.0}, {"step": 100, "sft/loss": 1.0}
    )
    write_lines(run / "ppo" / "scalars.jsonl", *scalars(12))
    write_lines(run / "ppo" / "rollouts.jsonl", ours())
    told = command("view", run, "--json").json()
    assert told["page"] == str(run / "view.html")
    assert told["rollouts"] == 1
    found = {
        "pass@1 greedy, by difficulty",
        "pass@1 sampled, by difficulty",
        "rollouts that solve their problem",
        "verdicts of the rollouts",
        "problems by stage of the curriculum",
        "KL divergence",
        "explained variance of the critic",
        "supervised fine-tuning, before",
    }
    assert set(told["charts"]) == found
    for chart in read_page(run / "view.html").index["charts"]:
        assert re.search(r"%|nats|share of 1|seconds|unit", chart["y"]), chart["y"]
        assert chart["x"] in ("iteration", "optimiser step")
        assert chart["expected"].endswith(".")
        if chart["stacked"]:
            for point in zip(*(one["points"] for one in chart["series"]), strict=True):
                assert sum(y for _, y in point) == pytest.approx(100, abs=0.01)


def test_a_chart_without_data_is_left_out() -> None:
    assert charts_of_scalars([]) == []
    assert charts_of_scalars([{"step": 1.0, "nothing/known": 1.0}]) == []
    (one,) = charts_of_scalars([{"step": 1.0, "kl/reference_k1": 0.5}])
    assert [(series.name, list(series.points)) for series in one.series] == [
        ("to the reference, k1", [(1.0, 0.5)])
    ]


def test_rollouts_of_several_steps_make_curves(command: Command, tmp_path: Path) -> None:
    rows = [
        {"input": "?", "output": "!", "gts": "", "score": score, "step": step}
        for step, score in ((1, 0.0), (1, 1.0), (2, 1.0))
    ]
    told = command("view", write_lines(tmp_path / "all.jsonl", *rows), "--json").json()
    assert told["charts"] == ["score of the rollouts"]
    (chart,) = read_page(Path(told["page"])).index["charts"]
    assert chart["series"] == [{"name": "score", "points": [[1, 0.5], [2, 1.0]]}]


def test_nothing_in_the_data_becomes_markup(command: Command, tmp_path: Path) -> None:
    row = ours(
        pieces=[HOSTILE] * 8,
        problem_id=HOSTILE,
        verdict=HOSTILE,
        failing_test={"number": HOSTILE, "input": HOSTILE, "verdict": HOSTILE},
        program_start=None,
    )
    name = "a'\"<b onclick=alert(3)>&.jsonl"
    path = write_lines(tmp_path / name, row)
    command("view", path)
    shown = read_page(tmp_path / name.replace(".jsonl", ".view.html"))
    clean = write_lines(tmp_path / "clean.jsonl", ours())
    command("view", clean)
    harmless = read_page(tmp_path / "clean.view.html")
    assert [tag for tag, _ in shown.tags] == [tag for tag, _ in harmless.tags]
    assert shown.rollouts[0].pieces == [HOSTILE] * 8
    assert shown.rollouts[0].row["verdict"] == HOSTILE
    assert shown.index["title"] == name
    assert (shown.script, shown.style) == (harmless.script, harmless.style)


def test_half_characters_of_a_program_are_kept(command: Command, tmp_path: Path) -> None:
    row = ours(pieces=[*PIECES[:5], "\udcff", "\ud800", ""])
    command("view", write_lines(tmp_path / "rollouts.jsonl", row))
    (one,) = read_page(tmp_path / "rollouts.view.html").rollouts
    assert one.pieces[5:] == ["\udcff", "\ud800", ""]


def test_the_page_asks_nobody_for_anything(command: Command, tmp_path: Path) -> None:
    command("view", write_lines(tmp_path / "rollouts.jsonl", ours()))
    shown = read_page(tmp_path / "rollouts.view.html")
    allowed = dict(part.strip().split(" ", 1) for part in shown.policy.split(";"))
    assert allowed.pop("default-src") == "'none'"
    for name, text in (("script-src", shown.script), ("style-src", shown.style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed.pop(name) == f"'sha256-{digest}'"
    assert allowed == {"img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    assert re.findall(r"https?://[^\s\"']*", shown.html) == ["http://www.w3.org/2000/svg"]
    # What makes markup of text, or code, is not used.
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in shown.script
    assert not [attributes for _, attributes in shown.tags if "style" in attributes]


def test_five_thousand_rollouts_of_four_hundred_tokens_are_at_most_40_mb() -> None:
    random = np.random.default_rng(0)
    words = [f"word{k}" for k in range(50_000)]
    rollouts = [
        Rollout(
            where=f"iteration {k}, episode 0",
            pieces=[words[i] for i in random.integers(0, len(words), 400)],
            prompt=0,
            start=0,
            tokens=True,
            # Nothing that could be compressed.
            columns={
                column.name: random.random(400).astype(np.float32)
                if column.kind != "flag"
                else random.integers(0, 2, 400).astype(np.float32)
                for column in COLUMNS
            },
            problem_id=f"problem/{k}",
            verdict="accepted",
            reward=float(random.random()),
            stage=0,
            step=k,
        )
        for k in range(5_000)
    ]
    view = View(title="large", source="5000", rollouts=rollouts, charts=[], total=5_000)
    assert len(page(view).encode()) <= 40_000_000


def test_too_many_rollouts_are_thinned_out_evenly(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", *(ours(row=k) for k in range(100)))
    told = command("view", path, "--limit", 10, "--json").json()
    assert (told["rollouts"], told["total"]) == (10, 100)
    assert "10 of 100 rollouts are shown, spread evenly; --limit shows more." in told["notes"]
    where = [one.row["where"] for one in read_page(Path(told["page"])).rollouts]
    episodes = [int(text.rpartition(" ")[2]) for text in where]
    gaps = {b - a for a, b in itertools.pairwise(episodes)}
    assert episodes[0] == 0
    assert episodes[-1] >= 80
    assert max(gaps) <= 2 * min(gaps)


def test_a_run_without_rollouts_shows_its_curves_and_says_so(
    command: Command, tmp_path: Path
) -> None:
    write_lines(tmp_path / "scalars.jsonl", *scalars(3))
    ran = command("view", tmp_path)
    assert ran.status == 1
    assert "This run kept no rollouts: rollouts.jsonl is not there." in ran.out
    assert read_page(tmp_path / "view.html").index["charts"]


def test_rows_that_cannot_be_read_are_listed_and_the_others_shown(
    command: Command, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours(), ours(values=[1]), ours(pieces=3), 7)
    with path.open("a") as file:
        file.write(json.dumps(ours())[:200])
    ran = command("view", path, "--json")
    told = ran.json()
    assert (ran.status, told["rollouts"]) == (1, 1)
    reasons = [
        "line 2: 'values' must have a number for each of 5 tokens",
        "line 3: 'pieces' must be a list of texts, got 3",
        "line 4: it is not an object but 7",
        "line 5: it is not JSON, perhaps cut off",
    ]
    assert len(told["left_out"]) == len(reasons)
    for reason in reasons:
        assert any(reason in text for text in told["left_out"]), reason


@pytest.mark.parametrize("name", sorted(ours()))
def test_a_field_that_holds_anything_else_ends_nothing(
    name: str, command: Command, tmp_path: Path
) -> None:
    odd: list[Any] = [None, True, -1, 10**400, 1e999, "x", [], [[1]], [None] * 5, [10**400] * 5, {}]
    odd += [{"line": 10**9, "number": []}, {"line": -1}, {"line": 1, "message": {}}, [{}] * 5]
    rows = [ours(), *(ours(**{name: value}) for value in odd)]
    rows.append({key: value for key, value in ours().items() if key != name})
    path = write_lines(tmp_path / "rollouts.jsonl", *rows)
    ran = command("view", path, "--json")
    told = ran.json()
    assert ran.status in (0, 1)
    assert told["rollouts"] + len(told["left_out"]) == len(rows)
    assert len(read_page(Path(told["page"])).rollouts) == told["rollouts"] >= 1


def test_scalars_that_are_no_numbers_are_left_out(command: Command, tmp_path: Path) -> None:
    odd = [None, True, "x", [1], 10**400, 1e999, -1e999]
    rows = [{"step": k, "greedy/mean": value} for k, value in enumerate(odd)]
    known = {"step": 9, "greedy/mean": 0.5}
    write_lines(tmp_path / "scalars.jsonl", *rows, *({"step": value} for value in odd), known)
    command("view", tmp_path)
    (chart,) = read_page(tmp_path / "view.html").index["charts"]
    assert chart["series"] == [{"name": "mean", "points": [[9, 50.0]]}]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nothing", "There is no file or folder"),
        (lambda folder: folder, "holds no samples"),
        (lambda folder: write_lines(folder / "x.jsonl", {"a": 1}), "holds rows with 'a'"),
    ],
)
def test_what_is_no_run_is_refused(
    make: Callable[[Path], Path], message: str, command: Command, tmp_path: Path
) -> None:
    ran = command("view", make(tmp_path))
    assert ran.status == 2
    assert message in ran.err
    assert not list(tmp_path.glob("*.html"))


def test_no_file_of_others_is_written_over(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours())
    mine = tmp_path / "mine.html"
    mine.write_text("<p>mine</p>")
    for out in (path, mine, tmp_path):
        ran = command("view", path, "--out", out)
        assert ran.status == 2
        assert "is no page of `codegym view`" in ran.err
    assert mine.read_text() == "<p>mine</p>"
    assert command("view", path).status == 0
    assert command("view", path).status == 0  # its own page it replaces


def test_of_several_scores_none_is_guessed(command: Command, tmp_path: Path) -> None:
    shared = {"prompt": "?", "completion": "!", "empty": None}
    path = write_lines(tmp_path / "c.jsonl", {**shared, "right": 1.0, "short": 0.5})
    told = command("view", path, "--json").json()
    assert any("several scores, right, short," in note for note in told["notes"])
    (one,) = read_page(Path(told["page"])).rollouts
    assert one.row["reward"] is None
    assert (one.facts["right"], one.facts["short"], one.facts["empty"]) == ("1", "0.5", "none")
    command("view", path, "--score", "short")
    shown = read_page(Path(told["page"]))
    assert (shown.index["reward"], shown.rollouts[0].row["reward"]) == ("short", 0.5)


def test_numbers_that_mean_nothing_are_refused(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours())
    assert "limit must be 1 or more, got 0" in command("view", path, "--limit", 0).err
    ran = command("view", verl(tmp_path), "--score", "scorr")
    assert ran.status == 2
    assert "scorr" in ran.err
    assert "score" in ran.err


def test_iterations_that_a_resumed_run_wrote_again_count_once(
    command: Command, tmp_path: Path
) -> None:
    first = [{"step": k, "kl/reference_k1": 9.0, "verdict/accepted": 1.0} for k in range(1, 8)]
    again = [{"step": k, "kl/reference_k1": 0.5, "verdict/accepted": 1.0} for k in range(4, 6)]
    more = {"step": 5, "greedy/mean": 0.5}  # a second row of a step
    write_lines(tmp_path / "scalars.jsonl", *first, *again, more)
    command("view", tmp_path)
    charts = {one["title"]: one for one in read_page(tmp_path / "view.html").index["charts"]}
    points = charts["KL divergence"]["series"][0]["points"]
    assert [x for x, _ in points] == [1, 2, 3, 4, 5]
    assert points[-1][1] == pytest.approx((3 * 9.0 + 2 * 0.5) / 5)
    assert charts["pass@1 greedy, by difficulty"]["series"][0]["points"] == [[5, 50.0]]


def test_a_long_run_is_drawn_with_as_many_points_as_there_is_room_for(
    command: Command, tmp_path: Path
) -> None:
    rows = ({"step": k, "kl/reference_k1": 0.5} for k in range(10_001))
    write_lines(tmp_path / "scalars.jsonl", *rows)
    command("view", tmp_path)
    (chart,) = read_page(tmp_path / "view.html").index["charts"]
    xs = [x for x, _ in chart["series"][0]["points"]]
    assert (len(xs), xs[0], xs[-1]) == (2_000, 0, 10_000)
    assert max(b - a for a, b in itertools.pairwise(xs)) <= 6


def test_a_run_that_has_not_written_a_rollout_yet_says_so(command: Command, tmp_path: Path) -> None:
    (tmp_path / "rollouts.jsonl").touch()
    ran = command("view", tmp_path)
    assert ran.status == 1
    assert "rollouts.jsonl holds no rollout yet" in ran.out


def test_numbers_that_no_float_holds_are_not_shown_and_warn_nobody(
    command: Command, tmp_path: Path
) -> None:
    numbers = [math.nan, 1000.0, -math.inf, 1e39, 1e-4]
    row = ours(logprobs=numbers, checkpoint_logprobs=numbers, advantages=[1e39, 1, 0, 0, 0])
    assert command("view", write_lines(tmp_path / "rollouts.jsonl", row)).err.strip() == ""
    (one,) = read_page(tmp_path / "rollouts.view.html").rollouts
    assert one.columns["probability"] == [None, None, 0.0, None, 1.0]
    assert one.columns["advantage"][:2] == [None, 1.0]


def test_a_page_that_cannot_be_written_leaves_nothing_behind(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours())
    assert "Name a file elsewhere with --out" in command("view", path, "--out", path / "x").err
    assert command("view", path).status == 0
    before = (tmp_path / "rollouts.view.html").read_bytes()
    write_text = Path.write_text

    def full(part: Path, text: str, **how: Any) -> int:
        write_text(part, text[:100], **how)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    ran = command("view", path)
    assert ran.status == 2
    assert "cannot be written: [Errno 28] No space left on device" in ran.err
    assert (tmp_path / "rollouts.view.html").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_character_of_several_tokens_belongs_to_the_last(
    command: Command, tmp_path: Path
) -> None:
    ids = [60, 61, 62, *"\N{PARTY POPPER}".encode(), 0xFF]
    path = write_lines(tmp_path / "traces.jsonl", trace(ids))
    command("view", path, "--tokenizer", "byte")
    (one,) = read_page(tmp_path / "traces.view.html").rollouts
    assert one.pieces == ["?", "<", "=", ">", "", "", "", "\N{PARTY POPPER}", "\udcff"]


@pytest.mark.parametrize("first", ["", '{"step": 1, "pie', '{"a": 1, "a": 2}'])
def test_a_damaged_first_line_does_not_hide_what_a_file_is(
    first: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{first}\n{json.dumps(ours())}\n")
    told = command("view", path, "--json").json()
    assert (told["rollouts"], len(told["left_out"])) == (1, int(first != ""))


def test_a_name_that_is_not_utf_8_is_shown_all_the_same(command: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "mine\udcff.jsonl", ours())
    assert command("view", path, "--json").status == 0
    assert len(read_page(tmp_path / "mine\udcff.view.html").rollouts) == 1


@pytest.mark.parametrize("words", [("--score", "short"), ("--tokenizer", "byte")])
def test_what_would_change_nothing_is_refused(
    words: tuple[str, str], command: Command, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "rollouts.jsonl", ours())
    for source in (path, tmp_path):
        ran = command("view", source, *words)
        assert ran.status == 2
        assert f"{words[0]}: a run of ours has one reward" in ran.err
