"""`codegym grade`: every format, results that grow and are resumed, and bad input."""

from __future__ import annotations

import errno
import fcntl
import gzip
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from codegym.commands.options import Judging
from codegym.errors import WorkerError
from codegym.execution import LocalExecutor, Request, Result
from codegym.problems import load_problems
from codegym.problems.files.parquet import require_parquet
from tests.waiting import wait_until

from .toy import ADD, ECHO, WRONG, Command, rows_of, write_lines

BODY = "    return a + b\n"
GTS = json.dumps({"inputs": [[1, 2], [2, 5]], "outputs": [3, 7], "fn_name": "add"})
ANSWER = f"<think>\n```python\nraise\n```\n</think>\nHere it is:\n```python\n{ADD}```\nDone."


def human_eval(folder: Path) -> Path:
    return write_lines(
        folder / "samples.jsonl",
        {"task_id": "Toy/0", "completion": BODY},
        {"task_id": "Toy/0", "completion": "    return a - b\n"},
        {"task_id": "Toy/1", "completion": ECHO},
    )


def evalplus(folder: Path) -> Path:
    path = write_lines(
        folder / "samples.jsonl",
        {"task_id": "Toy/0", "solution": ADD, "completion": "not this"},
        {"task_id": "Toy/0", "solution": WRONG},
        {"task_id": "toy/1", "solution": ECHO},
    )
    packed = folder / "samples.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def evalplus_folder(folder: Path) -> Path:
    for name, program in (("Toy_0/0", ADD), ("Toy_0/1", WRONG), ("Toy_1/0", ECHO)):
        path = folder / "programs" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(program)
    return folder / "programs"


def evalplus_results(folder: Path) -> Path:
    path = folder / "samples.eval_results.json"
    status = {"base_status": "pass", "plus_status": "fail"}
    found = {
        "Toy/0": [{"task_id": "Toy/0", "solution": s, **status} for s in (ADD, WRONG)],
        "Toy/1": [{"solution": ECHO, **status}],
    }
    path.write_text(json.dumps({"date": "2026", "eval": found}, indent=1))
    return path


def live_code_bench(folder: Path) -> Path:
    path = folder / "output.json"
    rows = [
        {"question_id": "Toy/0", "code_list": [ADD, WRONG]},
        {"question_id": "Toy/1", "code_list": [ECHO]},
    ]
    path.write_text(json.dumps(rows, indent=1))
    return path


def bigcode(folder: Path) -> Path:
    path = folder / "generations.json"
    path.write_text(json.dumps([[ADD, WRONG], [ECHO]]))
    return path


def verl(folder: Path) -> Path:
    rollouts = folder / "rollouts"
    rollouts.mkdir()
    prompt = "system\nYou write code.\nuser\nEcho a line.\nassistant\n"
    shared = {"score": 1.0, "step": 1}
    write_lines(
        rollouts / "2.jsonl",
        {"input": "Add.", "output": ANSWER, "gts": GTS, **shared},
        {"input": "Add.", "output": WRONG, "gts": GTS, **shared},
    )
    write_lines(rollouts / "10.jsonl", {"input": prompt, "output": ECHO, "gts": "", **shared})
    return rollouts


def verifiers(folder: Path) -> Path:
    def episode(name: str | None, prompt: Any, answer: str) -> dict[str, Any]:
        task = {"type": "Code", "data": {"idx": 0, "id": name, "prompt": prompt}}
        nodes = [
            {"message": {"role": "user", "content": "..."}, "sampled": False},
            {"message": {"role": "assistant", "content": answer}, "sampled": True},
        ]
        rewards = {"solved": {"score": 1.0, "weight": 1.0}}
        return {"task": task, "traces": [{"task": task, "nodes": nodes, "rewards": rewards}]}

    said = [{"role": "user", "content": [{"type": "text", "text": "Echo a line."}]}]
    return write_lines(
        folder / "traces.jsonl",
        episode("Toy/0", None, ANSWER),
        episode(None, "Add two numbers.", f"```python\n{WRONG}```"),
        episode(None, said, f"```py\n{ECHO}```"),
    )


def trl(folder: Path) -> Path:
    return write_lines(
        folder / "completions.jsonl",
        {"prompt": "Add two numbers.", "completion": ANSWER, "reward": 1.0, "advantage": 0.5},
        {
            "prompt": [{"role": "user", "content": "Add two numbers."}],
            "completion": [{"role": "assistant", "content": WRONG}],
            "reward": None,
        },
        {"prompt": "Echo a line.", "completion": ECHO, "reward": 0.0},
    )


def trl_parquet(folder: Path) -> Path:
    if importlib.util.find_spec("pyarrow") is None:
        pytest.skip("parquet files need pyarrow: pip install -e '.[parquet]'")
    pyarrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    path = folder / "completions_00001.parquet"
    said = [[{"role": "user", "content": text}] for text in ("Add two numbers.",) * 2]
    said += [[{"role": "user", "content": "Echo a line."}]]
    answers = [[{"role": "assistant", "content": text}] for text in (ANSWER, WRONG, ECHO)]
    table = pyarrow.table({"step": [1, 1, 1], "prompt": said, "completion": answers})
    parquet.write_table(table, path)
    return path


FORMATS: list[tuple[Callable[[Path], Path], list[str]]] = [
    (human_eval, ["id"] * 3),
    (evalplus, ["id"] * 3),
    (evalplus_folder, ["id"] * 3),
    (evalplus_results, ["id"] * 3),
    (live_code_bench, ["id"] * 3),
    (bigcode, ["position"] * 3),
    (verl, ["tests", "tests", "prompt"]),
    (verifiers, ["id", "prompt", "prompt"]),
    (trl, ["prompt"] * 3),
    (trl_parquet, ["prompt"] * 3),
]


@pytest.mark.parametrize(("write", "matched"), FORMATS, ids=lambda x: getattr(x, "__name__", ""))
def test_every_format_is_read_matched_and_graded(
    write: Callable[[Path], Path], matched: list[str], tmp_path: Path, grade: Command
) -> None:
    samples = write(tmp_path)
    ran = grade(samples)
    found = ran.json()
    rows = sorted(rows_of(Path(found["results"])), key=lambda r: (r["problem_id"], not r["passed"]))
    verdicts = [(r["problem_id"], r["verdict"]) for r in rows]
    assert verdicts == [
        ("Toy/0", "accepted"),
        ("Toy/0", "wrong_answer"),
        ("Toy/1", "accepted"),
    ]
    assert [r["matched_by"] for r in rows] == matched
    assert (ran.status, found["graded"], found["unmatched"]) == (0, 3, [])
    assert Path(found["results"]).parent == samples.parent


def test_a_result_tells_the_test_that_failed_and_the_lines_that_ran(
    tmp_path: Path, grade: Command
) -> None:
    program = "def add(a, b):\n    if a == 1:\n        return 3\n    return 0\n"
    samples = write_lines(tmp_path / "s.jsonl", {"task_id": "Toy/0", "solution": program})
    found = grade(samples, "--out", tmp_path / "r.jsonl").json()
    (row,) = rows_of(tmp_path / "r.jsonl")
    assert row["failing_test"]["number"] == 2
    assert row["failing_test"]["test"] == "add(2, 5) must return 7"
    assert row["executed_lines"] == [1, 2, 3, 4]
    assert (row["tests_passed"], row["tests_total"], row["passed"]) == (1, 2, False)
    assert json.loads((tmp_path / "r.json").read_text())["graded"] == found["graded"] == 1


def test_pass_at_k_is_the_unbiased_mean_over_problems(tmp_path: Path, grade: Command) -> None:
    right = {"task_id": "Toy/0", "solution": ADD}
    wrong = {"task_id": "Toy/0", "solution": WRONG}
    echoes = [{"task_id": "Toy/1", "solution": ECHO}] * 2
    samples = write_lines(tmp_path / "s.jsonl", right, wrong, wrong, wrong, *echoes)
    one, two, three = grade(samples, "--k", 1, 2, 3).json()["pass_at_k"]
    assert one["rate"] == pytest.approx((1 / 4 + 1) / 2)
    assert two["rate"] == pytest.approx((1 / 2 + 1) / 2)  # 1 - C(3, 2) / C(4, 2)
    assert one["low"] < one["rate"] < one["high"]
    assert (three["rate"], three["reason"]) == (None, "Toy/1 has only 2 graded samples")


def test_an_answer_without_a_program_is_wrong_and_not_left_out(
    tmp_path: Path, grade: Command
) -> None:
    row = {"prompt": "Add two numbers.", "completion": "<think>Hm, a and b, or"}
    ran = grade(write_lines(tmp_path / "s.jsonl", row))
    (result,) = rows_of(Path(ran.json()["results"]))
    assert (ran.status, result["verdict"], result["program"]) == (0, "compile_error", None)


def test_what_has_no_verdict_is_listed_and_the_exit_status_says_so(
    tmp_path: Path, grade: Command
) -> None:
    path = write_lines(
        tmp_path / "s.jsonl",
        {"task_id": "Toy/0", "solution": ADD},
        {"task_id": "Toy/7", "solution": ADD},
        {"task_id": "Toy/0", "solution": 5},
        ["Toy/0", ADD],
        {"id": "Toy/0"},
    )
    with path.open("a") as file:
        file.write('{"task_id": "Toy/1", "solu')
    ran = grade(path)
    found = ran.json()
    assert (ran.status, found["graded"]) == (1, 1)
    assert [r["where"] for r in found["unmatched"]] == ["line 2"]
    assert "'Toy/7'" in found["unmatched"][0]["reason"]
    reasons = {r["where"]: r["reason"] for r in found["unreadable"]}
    assert list(reasons) == ["line 3", "line 4", "line 5", "line 6"]
    assert "must be text" in reasons["line 3"]
    assert "cut off" in reasons["line 6"]


def test_a_row_in_which_a_key_stands_twice_is_listed(tmp_path: Path, grade: Command) -> None:
    good = json.dumps({"task_id": "Toy/0", "solution": ADD})
    twice = good.replace('{"task_id"', '{"task_id": "Toy/1", "task_id"')
    rows = [twice, good, good.replace('"Toy/0"', '{"k": 1, "k": 2}')]
    for text, place in (("\n".join(rows), "line"), (f"[{', '.join(rows)}]", "row")):
        path = tmp_path / f"{place}.json"
        path.write_text(text)
        ran = grade(path)
        assert (ran.status, ran.json()["graded"]) == (1, 1)
        reasons = {row["where"]: row["reason"] for row in ran.json()["unreadable"]}
        assert list(reasons) == [f"{place} 1", f"{place} 3"]
        assert "the key 'task_id' stands twice" in reasons[f"{place} 1"]
        assert "the key 'k' stands twice" in reasons[f"{place} 3"]
    path.write_text('{\n"eval": {"Toy/0": [], "Toy/0": []}}')
    assert "'Toy/0' stands twice" in grade(path).err


def whole(path: Path) -> list[dict[str, Any]]:
    return sorted(rows_of(path), key=lambda row: str(row["where"]))


def test_resuming_after_a_cut_in_a_line_gives_the_same_results(
    tmp_path: Path, grade: Command
) -> None:
    samples = human_eval(tmp_path)
    out = tmp_path / "r.jsonl"
    grade(samples, "--out", out)
    expected, content = whole(out), out.read_bytes()
    out.write_bytes(content[: content.rindex(b'"verdict"')])  # in the middle of the last line
    ran = grade(samples, "--out", out, "--resume")
    assert (ran.status, ran.json()["graded"], ran.json()["resumed"]) == (0, 3, 2)
    assert whole(out) == expected


def test_resuming_after_kill_9_gives_the_same_results(
    tmp_path: Path, toy: Path, grade: Command
) -> None:
    program = "def add(a, b):\n    for i in range(10 ** 5 + {}): pass\n    return a + b\n"
    rows = [{"task_id": "Toy/0", "solution": program.format(i)} for i in range(60)]
    samples, out = write_lines(tmp_path / "s.jsonl", *rows), tmp_path / "r.jsonl"
    words = ["grade", samples, "--source", "custom", "--data", toy, "--workers", 1, "--out", out]
    command = [sys.executable, "-m", "codegym", *map(str, words)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: out.exists() and out.stat().st_size > 0)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    kept = out.read_bytes().count(b"\n")
    ran = grade(samples, "--out", out, "--resume")
    assert (ran.status, ran.json()["resumed"]) == (0, kept)
    assert [row["where"] for row in whole(out)] == sorted(f"line {i}" for i in range(1, 61))
    assert all(row["passed"] for row in rows_of(out))


def test_results_that_are_there_are_never_lost_by_mistake(tmp_path: Path, grade: Command) -> None:
    samples, out = human_eval(tmp_path), tmp_path / "r.jsonl"
    grade(samples, "--out", out)
    content = out.read_bytes()

    again = grade(samples, "--out", out)
    assert again.status == 2
    assert "--resume" in again.err
    other = grade(samples, "--out", out, "--resume", "--cpu-seconds", 1)
    assert other.status == 2
    assert "cpu_seconds was 4.0 and is 1.0" in other.err
    both = grade(samples, "--out", out, "--resume", "--overwrite")
    assert both.status == 2
    write_lines(samples, {"task_id": "Toy/0", "completion": "    return 3\n"})
    changed = grade(samples, "--out", out, "--resume")
    assert changed.status == 2
    assert "line 1" in changed.err
    assert out.read_bytes() == content

    assert grade(samples, "--out", out, "--overwrite").json()["graded"] == 1


class Failing:
    """An executor that fails, as a machine does, on programs that say so."""

    def __init__(self) -> None:
        self.fails = True
        self._real = LocalExecutor(workers=1)
        self.workers = 1

    def submit(self, request: Request) -> Future[Result]:
        if self.fails and "FAULT" in request.program:
            failed: Future[Result] = Future()
            failed.set_exception(WorkerError("The machine is out of memory."))
            return failed
        return self._real.submit(request)

    def close(self) -> None:
        """Stays open, for the next command."""

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    executor = Failing()
    monkeypatch.setattr(Judging, "executor", lambda _: executor)
    return executor


def test_a_fault_of_the_machine_is_no_verdict_and_is_tried_again(
    tmp_path: Path, grade: Command, failing: Failing
) -> None:
    fault = {"task_id": "Toy/0", "solution": f"{ADD}# FAULT\n"}
    samples = write_lines(tmp_path / "s.jsonl", fault, {"task_id": "Toy/1", "solution": ECHO})
    ran = grade(samples)
    found = ran.json()
    assert (ran.status, found["graded"], list(found["counts"])) == (1, 1, ["Toy/1"])
    assert found["not_run"][0]["where"] == "line 1"
    assert "out of memory" in found["not_run"][0]["reason"]
    assert [row["where"] for row in rows_of(Path(found["results"]))] == ["line 2"]
    failing.fails = False
    again = grade(samples, "--resume")
    assert (again.status, again.json()["graded"], again.json()["resumed"]) == (0, 2, 1)


def test_a_machine_that_fails_all_the_time_ends_the_command_and_keeps_what_was_done(
    tmp_path: Path, grade: Command, failing: Failing
) -> None:
    fault = [{"task_id": "Toy/0", "solution": f"{ADD}# FAULT {i}\n"} for i in range(30)]
    samples = write_lines(tmp_path / "s.jsonl", {"task_id": "Toy/1", "solution": ECHO}, *fault)
    ran = grade(samples)
    assert ran.status == 2
    assert "WorkerError: The machine is out of memory." in ran.err
    assert {row["where"] for row in rows_of(tmp_path / "s.codegym.jsonl")} <= {"line 1"}
    failing.fails = False
    assert grade(samples, "--resume").json()["graded"] == 31


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\x7fELF\x02\x01", "holds no JSON objects"),
        (b"task_id,solution\n", "holds no JSON objects"),
        (b'{"name": "x", "code": "y"}\n', "rows with 'name', 'code'"),
        (b"[1, 2]", "rows such as 1"),
        (b"[]", "empty JSON list"),
        (b'[{"question_id": "a", "code_list": [', "may be cut off"),
        (b"\x1f\x8b\x08\x00broken", "damaged gzip"),
    ],
)
def test_a_file_of_no_known_kind_is_refused_with_the_kinds_that_are_known(
    content: bytes, told: str, tmp_path: Path, grade: Command
) -> None:
    path = tmp_path / "samples.bin"
    path.write_bytes(content)
    ran = grade(path)
    assert ran.status == 2
    assert told in ran.err
    assert "one of these kinds" in ran.err
    assert not list(tmp_path.glob("*.codegym.*"))


def test_a_folder_of_programs_and_files_is_refused(tmp_path: Path, grade: Command) -> None:
    write_lines(evalplus_folder(tmp_path) / "samples.jsonl", {"task_id": "Toy/0", "solution": ADD})
    ran = grade(tmp_path / "programs")
    assert ran.status == 2
    assert "Name the one or the other" in ran.err


def test_a_gzip_file_that_is_cut_off_keeps_what_comes_before(
    tmp_path: Path, grade: Command
) -> None:
    rows = [{"task_id": "Toy/0", "solution": f"{ADD}# {os.urandom(999).hex()}"} for _ in range(90)]
    path = write_lines(tmp_path / "s.jsonl", *rows)
    content = gzip.compress(path.read_bytes())
    path.write_bytes(content[: len(content) * 3 // 4])
    ran = grade(path, "--cpu-seconds", 2)
    found = ran.json()
    assert ran.status == 1
    assert found["graded"] >= 50
    assert "damaged" in found["unreadable"][-1]["reason"]


def test_positions_mean_nothing_where_rows_of_the_source_were_skipped(
    tmp_path: Path, toy: Path, grade: Command
) -> None:
    with toy.open("a") as file:
        file.write('{"id": "Toy/2"}\n')
    ran = grade(bigcode(tmp_path))
    assert ran.status == 1
    assert "positions mean nothing" in ran.json()["unmatched"][0]["reason"]


def test_the_programs_of_humaneval_are_graded_as_their_harness_does(
    tmp_path: Path, data_dir: Path, command: Command
) -> None:
    """Completions follow the prompt; a tenth of the problems, each solution and a stub."""
    with gzip.open(data_dir / "HumanEval.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][::10]
    samples = write_lines(
        tmp_path / "s.jsonl",
        *({"task_id": r["task_id"], "completion": r["canonical_solution"]} for r in rows),
        *({"task_id": r["task_id"], "completion": "    pass\n"} for r in rows),
    )
    ran = command("grade", samples, "--source", "humaneval", "--data", data_dir, "--json")
    found = ran.json()
    assert ran.status == 0
    assert all(one == {"samples": 2, "passed": 1} for one in found["counts"].values())
    assert len(found["counts"]) == len(rows) == 17


@pytest.mark.parametrize(
    ("samples", "out"),
    [
        ("samples.jsonl", "samples.jsonl"),
        ("samples.json", "samples.jsonl"),
        ("rollouts", "rollouts/1.jsonl"),
        ("samples.jsonl", "out.json"),
    ],
)
def test_samples_are_never_written_over(
    samples: str, out: str, tmp_path: Path, toy: Path, command: Command
) -> None:
    path = tmp_path / samples
    if samples == "rollouts":
        path.mkdir()
        read = write_lines(
            path / "1.jsonl", {"input": "?", "output": ANSWER, "gts": GTS, "score": 1.0}
        )
    elif samples.endswith(".json"):
        read = path
        read.write_text(json.dumps([[ADD], [ECHO]]))
    else:
        read = human_eval(tmp_path)
    before = read.read_bytes()
    words = ("--source", "custom", "--data", toy, "--out", tmp_path / out, "--overwrite")
    ran = command("grade", path, *words)
    assert ran.status == 2
    assert "--out" in ran.err or ".jsonl" in ran.err
    assert read.read_bytes() == before


def test_a_summary_of_somebody_else_stays(tmp_path: Path, toy: Path, command: Command) -> None:
    samples = human_eval(tmp_path)
    mine = tmp_path / "mine.json"
    mine.write_text('{"a": 1}')
    words = ("--source", "custom", "--data", toy, "--out", tmp_path / "mine.jsonl", "--overwrite")
    ran = command("grade", samples, *words)
    assert (ran.status, mine.read_text()) == (2, '{"a": 1}')
    assert "somebody else's" in ran.err


def test_positions_of_another_source_are_refused(
    tmp_path: Path, toy: Path, command: Command
) -> None:
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([[ADD], [ECHO], [ADD]]))
    ran = command("grade", path, "--source", "custom", "--data", toy)
    assert ran.status == 2
    assert "programs for 3 problems" in ran.err
    path.write_text(json.dumps([[ADD]]))
    assert command("grade", path, "--source", "custom", "--data", toy).status == 0


def test_the_sample_of_apps_plus_has_a_name(tmp_path: Path, command: Command) -> None:
    first = next(iter(load_problems("apps_plus", data="sample")))
    row = {"task_id": first.id, "solution": first.canonical_solution}
    samples = write_lines(tmp_path / "samples.jsonl", row)
    ran = command("grade", samples, "--source", "apps_plus", "--data", "sample", "--json")
    assert ran.json()["verdicts"] == {"accepted": 1}


def test_one_run_at_a_time_writes_results(tmp_path: Path, toy: Path, command: Command) -> None:
    samples = human_eval(tmp_path)
    words = ("--source", "custom", "--data", toy)
    assert command("grade", samples, *words).status == 0
    results = tmp_path / "samples.codegym.jsonl"
    before = results.read_bytes()
    with results.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for way in ("--resume", "--overwrite"):
            ran = command("grade", samples, *words, way)
            assert ran.status == 2
            assert "written by another run" in ran.err
    assert results.read_bytes() == before


class Full(io.FileIO):
    """A file on a disk that has room for some bytes."""

    room = 900

    def write(self, data: Any) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(bytes(data)[: self.room])
        self.room -= written
        return written


def test_a_full_disk_keeps_what_was_written(
    tmp_path: Path, grade: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"task_id": "Toy/0", "solution": f"{ADD}# {n}\n"} for n in range(6)]
    samples = write_lines(tmp_path / "s.jsonl", *rows)
    there, results = tmp_path / "there.jsonl", tmp_path / "full.jsonl"
    assert grade(samples, "--out", there).status == 0

    def opened(path: Path) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BufferedWriter(Full(str(path), "ab")), encoding="utf-8")

    with monkeypatch.context() as disk:
        disk.setattr("codegym.commands.results._opened_alone", opened)
        ran = grade(samples, "--out", results)
    assert ran.status == 2
    assert "No space left on device" in ran.err
    kept = results.read_bytes()
    assert len(kept) == Full.room
    whole_lines = kept.count(b"\n")
    assert 1 <= whole_lines < 6
    again = grade(samples, "--out", results, "--resume").json()
    assert (again["graded"], again["resumed"]) == (6, whole_lines)
    assert results.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert whole(results) == whole(there)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", b"x", b"5", b"null", b'["where", "digest", "verdict"]', b"{}", b"[" * 10**5,
        b'{"where": "line 1", "digest": "d"}', b'{"where": "1", "digest": "d", "verdict": null}',
        b'{"where": 1, "digest": "d", "verdict": "accepted"}',
    ],
)  # fmt: skip
def test_odd_results_are_not_resumed_and_stay(tmp_path: Path, grade: Command, line: bytes) -> None:
    samples = write_lines(tmp_path / "s.jsonl", {"task_id": "Toy/0", "solution": ADD})
    results = Path(grade(samples).json()["results"])
    results.write_bytes(line + b"\n" + results.read_bytes())
    before = results.read_bytes()
    ran = grade(samples, "--resume")
    assert ran.status == 2
    assert "line 1, is no result of this command" in ran.err
    assert results.read_bytes() == before
    assert grade(samples, "--overwrite").json()["graded"] == 1


@pytest.mark.parametrize("line", [b"", b"\xff", b"[]", b"[" * 10**5, b'{"settings": 5}', b"{}"])
def test_results_whose_summary_is_odd_are_not_resumed(
    tmp_path: Path, grade: Command, line: bytes
) -> None:
    samples = write_lines(tmp_path / "s.jsonl", {"task_id": "Toy/0", "solution": ADD})
    found = grade(samples).json()
    results, summary = Path(found["results"]), Path(found["summary"])
    before = results.read_bytes()
    summary.write_bytes(line)
    ran = grade(samples, "--resume")
    assert ran.status == 2
    assert "somebody else's file" in ran.err
    summary.write_bytes(b'{"settings": 5, "complete": true}')
    ran = grade(samples, "--resume")
    assert ran.status == 2
    assert "cannot be resumed" in ran.err
    assert results.read_bytes() == before


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_damaged_parquet_keeps_what_comes_before(tmp_path: Path, grade: Command) -> None:
    arrow = require_parquet("the test")
    answers = [f"```python\n{ADD}```\n" + f"{n} " * 500 for n in range(4)]
    rows = [{"prompt": "Add two numbers.", "completion": answer} for answer in answers]
    path = tmp_path / "completions.parquet"
    arrow.parquet.write_table(arrow.Table.from_pylist(rows), path, row_group_size=2)
    content = path.read_bytes()
    for kept in (5, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        ran = grade(path)
        assert ran.status == 2
        assert "is a damaged parquet file" in ran.err
    with arrow.parquet.ParquetFile(io.BytesIO(content)) as file:
        column = file.metadata.row_group(1).column(1)
        start, length = column.dictionary_page_offset, column.total_compressed_size
    damaged = bytearray(content)
    damaged[start : start + length] = b"\xff" * length
    path.write_bytes(damaged)
    ran = grade(path)
    assert ran.status == 1
    (left,) = ran.json()["unreadable"]
    assert left["where"] == "completions.parquet, the rest"
    assert "the file is damaged" in left["reason"]


def test_the_parts_of_a_message_need_no_type_and_no_text(tmp_path: Path, grade: Command) -> None:
    parts = [{"text": f"```python\n{ADD}```\n"}, {"type": "image", "text": None}, {}, "x"]
    path = write_lines(
        tmp_path / "s.jsonl",
        {
            "prompt": [{"role": "user", "content": [{"text": "Add two numbers."}]}],
            "completion": [{"role": "assistant", "content": parts}],
            "problem_id": "Toy/0",
        },
    )
    ran = grade(path)
    assert ran.status == 0, ran.err
    (row,) = rows_of(Path(ran.json()["results"]))
    assert (row["program"], row["verdict"]) == (ADD, "accepted")


def test_answers_in_a_file_of_code_are_pointed_out(
    toy: Path, tmp_path: Path, command: Command
) -> None:
    fenced = {"task_id": "Toy/0", "completion": f"Sure!\n```python\n{ADD}```"}
    path = write_lines(tmp_path / "fenced.jsonl", fenced, fenced, {**fenced, "completion": BODY})
    words = ("grade", path, "--source", "custom", "--data", toy)
    ran = command(*words)
    assert "2 samples hold a fence of Markdown" in ran.out
    assert command(*words, "--resume", "--json").json()["fenced"] == 2
    path = write_lines(tmp_path / "code.jsonl", {**fenced, "completion": BODY})
    assert "fence" not in command("grade", path, *words[2:]).out
