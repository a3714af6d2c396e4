"""CCCS against the hand-computed stages of the paper's rule."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegym.errors import ConfigurationError, StartStateError
from codegym.problems import load_problems
from codegym.start_states import CurriculumOfSubtasks, Reference, stage_starts

RNG = np.random.default_rng(0)
TEN = Reference(
    "ten", "def f(x):\n" + "".join(f"    if x > {i}:\n        x = {i}\n" for i in range(10))
)


@pytest.mark.parametrize(
    ("conditionals", "starts"),
    [
        (5, [4, 2, 0]),
        (7, [6, 3, 0]),
        (10, [9, 6, 3, 0]),
        (16, [12, 8, 4, 0]),
        (0, [0]),
        (1, [0]),
        (2, [1, 0]),
    ],
)
def test_hand_computed_stages(conditionals: int, starts: list[int]) -> None:
    assert stage_starts(conditionals)[::-1] == starts


def test_every_stage_begins_at_a_conditional_that_exists() -> None:
    for conditionals in range(2, 2000):
        starts = stage_starts(conditionals)
        assert len(starts) == math.ceil(math.sqrt(conditionals))
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        assert starts[-1] < conditionals


def test_prefix_ends_before_the_line_of_the_conditional() -> None:
    curriculum = CurriculumOfSubtasks()
    start = curriculum.draw(TEN, RNG)
    assert (start.stage, start.num_stages) == (3, 4)
    assert start.prefix.endswith("        x = 8\n")
    assert TEN.program[len(start.prefix) :].startswith("    if x > 9:")


def test_stage_0_is_the_empty_prefix_although_code_precedes_the_first_conditional() -> None:
    assert CurriculumOfSubtasks().draw(TEN, RNG, stage=0).prefix == ""


def test_conditionals_of_the_header_do_not_count() -> None:
    header = "def f(x):\n    if x > 0:\n        x = 0\n"
    assert CurriculumOfSubtasks().num_stages(Reference("h", header + "    return x\n", header)) == 1
    whole = Reference("w", TEN.program, "def f(x):\n    if x > 0:\n        x = 0\n")
    assert CurriculumOfSubtasks().num_stages(whole) == 3  # nine are left


def test_moves_one_stage_down_after_the_hand_computed_number_of_successes() -> None:
    curriculum = CurriculumOfSubtasks(threshold=0.5, alpha=0.1)
    needed = math.ceil(math.log(0.5) / math.log(0.9))  # 7, papers.md section 1.3
    stages = []
    for _ in range(4 * needed):
        start = curriculum.draw(TEN, RNG)
        stages.append(start.stage)
        curriculum.update(TEN, start, solved=True)
    assert stages == [3] * needed + [2] * needed + [1] * needed + [0] * needed


def test_is_monotone_and_stays_at_0() -> None:
    curriculum = CurriculumOfSubtasks(threshold=0.3, alpha=0.5)
    rng = np.random.default_rng(1)
    stages = []
    for _ in range(300):
        start = curriculum.draw(TEN, rng)
        stages.append(start.stage)
        curriculum.update(TEN, start, solved=bool(rng.random() < 0.4))
    assert stages == sorted(stages, reverse=True)
    assert stages[-1] == 0


def test_a_move_resets_the_average_and_other_problems_are_untouched() -> None:
    curriculum = CurriculumOfSubtasks(threshold=0.5, alpha=1.0)
    other = Reference("other", TEN.program)
    curriculum.update(TEN, curriculum.draw(TEN, RNG), solved=True)
    assert curriculum.describe(TEN) == {"stage": 2, "num_stages": 4, "success_rate": 0.0}
    assert curriculum.stage(other) == 3


def test_episodes_of_an_earlier_stage_do_not_count() -> None:
    curriculum = CurriculumOfSubtasks(threshold=0.5, alpha=1.0)
    late = curriculum.draw(TEN, RNG)
    curriculum.update(TEN, late, solved=True)
    for _ in range(5):
        curriculum.update(TEN, late, solved=True)
    assert curriculum.stage(TEN) == 2


def test_saved_and_loaded_through_json() -> None:
    curriculum = CurriculumOfSubtasks(threshold=0.5, alpha=0.3)
    for solved in (True, True, False, True, True):
        curriculum.update(TEN, curriculum.draw(TEN, RNG), solved=solved)
    copy = CurriculumOfSubtasks(threshold=0.5, alpha=0.3)
    copy.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert copy.describe(TEN) == curriculum.describe(TEN)
    assert copy.state_dict() == curriculum.state_dict()


def test_loading_another_curriculum_is_refused() -> None:
    with pytest.raises(StartStateError, match="threshold"):
        CurriculumOfSubtasks(threshold=0.5).load_state_dict(CurriculumOfSubtasks().state_dict())
    with pytest.raises(StartStateError, match="EmptyPrefix"):
        CurriculumOfSubtasks().load_state_dict({"kind": "EmptyPrefix"})


@pytest.mark.parametrize(
    "arguments", [{"alpha": 0.0}, {"alpha": 1.5}, {"threshold": 1.0}, {"threshold": -0.1}]
)
def test_senseless_parameters_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CurriculumOfSubtasks(**arguments)


def test_a_stage_that_does_not_exist_names_the_legal_ones() -> None:
    with pytest.raises(StartStateError, match="stages 0 to 3"):
        CurriculumOfSubtasks().draw(TEN, RNG, stage=4)


def test_real_solutions_begin_with_every_prefix(data_dir: Path) -> None:
    problems = load_problems(
        "leetcode", data=data_dir / "LeetCodeDataset-v0.2.0-train.jsonl.gz", split="train"
    )
    curriculum = CurriculumOfSubtasks()
    several = 0
    for problem in problems.take(200):
        reference = Reference(problem.id, problem.canonical_solution)
        stages = curriculum.num_stages(reference)
        prefixes = [curriculum.draw(reference, RNG, stage=s).prefix for s in range(stages)]
        assert prefixes[0] == ""
        assert all(reference.program.startswith(p) and p[-1:] in ("", "\n") for p in prefixes)
        assert [len(p) for p in prefixes] == sorted({len(p) for p in prefixes})
        several += stages > 1
    assert several > 100
