from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from agents.environments import load_split, make_tokenizer, task_of
from agents.evaluate import Evaluation, LevelResult
from agents.policy import CausalLMPolicy
from agents.prm.storage import LabelledResponse
from agents.telemetry import RunLogger
from benchmarks import prm
from benchmarks.prm import Args
from benchmarks.prm_report import draw, equal_executions, lines, passes_gate, told
from benchmarks.process_reward import labels as labelling
from benchmarks.process_reward.arms import (
    ACCOUNT,
    ARMS,
    BASE,
    BOTH,
    CORE,
    LONGER,
    make_trainer,
)
from benchmarks.process_reward.labels import KINDS, PERFECT, Kind, Labels
from benchmarks.process_reward.scorers import (
    RandomScorer,
    ReferenceScorer,
    ScoresOfOthers,
    compare,
)
from benchmarks.token_budget import _rate
from codegym import Grader
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import ProblemSet, load_mini

TOKENIZER = make_tokenizer("mini")


def response(problems: ProblemSet, k: int, text: str, **changes: Any) -> LabelledResponse:
    """A labelled program, all of whose lines are generated and bad."""
    tokens = [TOKENIZER.encode(line + "\n") for line in text.rstrip("\n").split("\n")]
    ends = np.cumsum([len(line) for line in tokens]) - 1
    one = LabelledResponse(
        policy=0,
        problem_id=problems[k].id,
        difficulty="interview",
        input_ids=tuple(token for line in tokens for token in line),
        start_length=0,
        line_ends=tuple(int(end) for end in ends),
        labels=(-1.0,) * len(ends),
        kind="wrong",
        recoverable_lines=0,
        verdict="wrong_answer",
        questions=2,
        completions=9,
    )
    return dataclasses.replace(one, **changes)


def some_labels() -> Labels:
    """Two programs for the first problem and one for the third; the second one goes wrong."""
    problems = load_mini(size=3)
    right = [problem.canonical_solution or "" for problem in problems]
    wrong = right[0].replace("return", "return 7 +")
    responses = (
        response(problems, 0, right[0], kind="correct", completions=0),
        response(problems, 0, wrong),
        response(problems, 2, right[2], kind="revised", recoverable_lines=1),
    )
    return Labels(responses, problems, "mini", "hash", 1.0)


def test_labels_cost_programs_and_their_completions() -> None:
    every = some_labels()
    found = every.summary()
    assert (found["programs"], found["failed"], found["recoverable"]) == (3, 2, 1)
    assert (found["completions"], found["executions"]) == (18, 21)
    tokens = [len(one.input_ids) for one in every.responses]
    assert found["mean_tokens"] == pytest.approx(np.mean(tokens))


def test_perfect_labels_turn_where_the_program_does_and_fall_by_two() -> None:
    every = some_labels()
    reference = ReferenceScorer(every.problems, TOKENIZER)
    rest = len(every.responses[1].labels) - 1
    neutral = dataclasses.replace(every.responses[1], labels=(0.0, *(-1.0,) * rest))
    found = labelling._perfect(neutral, reference)
    assert found.labels == (0.0, *(1.0,) * (rest - 1), -1.0)
    assert (found.kind, found.completions) == ("revised", 0)
    perfect = tuple(labelling._perfect(one, reference) for one in every.responses)
    judged = dataclasses.replace(every, responses=perfect).judge()
    assert (judged.programs, judged.fall, judged.auc) == (1, 2.0, 1.0)
    # As they were, all lines alike, they tell nothing.
    assert (every.judge().fall, every.judge().falls_share, every.judge().auc) == (0.0, 0.0, 0.5)


def test_scores_of_others_are_another_programs_spread_over_the_lines() -> None:
    def scorer(tokens: Any, ends: Any) -> list[float]:
        """Program k has k + 0.0, k + 0.1 and so on."""
        pairs = zip(tokens, ends, strict=True)
        return [float(each[0]) + line / 10 for each, some in pairs for line in some]

    programs = [np.full(9, k) for k in range(4)]
    ends = [np.arange(4), np.arange(2), np.arange(0), np.arange(4)]
    others = ScoresOfOthers(scorer, seed=0, remembered=3)
    found = others(programs, ends)
    assert len(found) == 10
    of_first, of_second = found[:4], found[4:6]
    # None has its own; one with half as many lines has each other score.
    assert of_first in ([1.0, 1.0, 1.1, 1.1], [3.0, 3.1, 3.2, 3.3])
    assert of_second in ([0.0, 0.2], [3.0, 3.2])
    assert others([np.full(9, 7)], [np.arange(4)]) != [7.0, 7.1, 7.2, 7.3]
    assert ScoresOfOthers(scorer, seed=1)([np.full(9, 7)], [np.arange(2)]) == [7.0, 7.1], "alone"
    drawn = {ScoresOfOthers(scorer, seed=k)(programs, ends)[0] for k in range(20)}
    assert drawn == {1.0, 3.0}


def point(tokens: float, episodes: int, rate: float) -> dict[str, float]:
    return {
        "tokens": tokens,
        "episodes": episodes,
        "iteration": episodes // 100,
        "sampled": rate,
        "greedy": 2 * rate,
    }


def row(arm: str, seed: int, *points: dict[str, float]) -> dict[str, Any]:
    end = points[-1]["sampled"]
    by = {mode: {"3": end} for mode in ("sampled", "greedy")}
    return {
        "arm": arm,
        "seed": seed,
        "curve": list(points),
        "by_conditionals": by,
        "cpu_seconds": 9.0,
    }


def made(fall: float = 0.9, **changes: Any) -> dict[str, Any]:
    """Results of three seeds, of which the last has no longer run."""
    start = point(0, 0, 0.05)
    judged = {"programs": 40, "lines": 9, "right": 0.5, "auc": 0.9, "falls_share": 1.0}

    def labels(kind: str, problems: int, fall: float) -> dict[str, Any]:
        return {
            "kind": kind,
            "problems": problems,
            "programs": 4 * problems,
            "completions": 200,
            "executions": 1000,
            "failed": 10,
            "recoverable": 5,
            "mean_tokens": 50.0,
            "labels": {**judged, "fall": 1.6},
            "model": {**judged, "fall": fall},
            "fit_cpu_seconds": 3.0,
        }

    few, most = Args().label_problems
    rows = [row(BASE, seed, start, point(1e5, 1000, 0.2)) for seed in (1, 2, 3)]
    rows += [row(BOTH, seed, start, point(1e5, 1000, 0.2 + 0.1 * seed)) for seed in (1, 2, 3)]
    rows += [
        row(LONGER, seed, start, point(1e5, 1000, 0.1), point(3e5, 3000, 0.3)) for seed in (1, 2)
    ]
    return {
        "command": "",
        "machine": {},
        "arguments": json.loads(json.dumps(dataclasses.asdict(Args()), default=str)),
        "bases": {"1": {"seed": 1, "first_errors": {"typical": 3, "copying": 1}}},
        "baseline": {"seed": 101, "curve": [start, point(1e6, 9000, 0.5), point(2e6, 18000, 0.51)]},
        "labels": [
            labels(PERFECT, most, 1.5),
            labels(Args().labels, few, 2.0),
            labels(Args().labels, most, fall),
        ],
        "transfer": {"1": {"seed": 1, **judged, "fall": 0.8}},
        "values": {},
        "by_writer": [{"point": 1, **judged, "fall": 0.9, "error": 0.2 / 1.96}],
        "rows": rows,
        "starts": 9,
        **changes,
    }


def test_the_gate_is_about_the_model_that_the_arms_have() -> None:
    assert passes_gate(made(0.7))
    # That of fewer labels passes.
    assert not passes_gate(made(0.69))
    assert not passes_gate(made(math.nan))
    assert not passes_gate(made(labels=[]))
    text = "\n".join(lines(made(0.5, rows=[])))
    assert "The gate is not passed, so no run of PPO was begun." in text
    assert "0.50 in 40 new programs (perfect: 2) | **no** |" in text
    assert "## At equal generated tokens" not in text
    assert draw(made(0.5, rows=[])) is None
    unknown = "\n".join(lines(made(rows=[], labels=[], baseline=None, by_writer=[], bases={})))
    assert "not measured yet" in unknown
    assert "The gate is not passed" not in unknown


def test_the_page_pairs_seeds_and_says_what_the_intervals_say() -> None:
    text = "\n".join(lines(made()))
    # 10, 20 and 30 points: the mean and t * sd / sqrt 3.
    half = stats.t.ppf(0.975, 2) * 10 / math.sqrt(3)
    assert f"| {BOTH} - {BASE} | 3 | +20.0 ± {half:.1f} | +40.0 ± {2 * half:.1f} |" in text
    assert f"| {BOTH} above {BASE}, sampled, paired by seed | +20.0 ± {half:.1f} (3 seeds)" in text
    # The interval is wider than the difference.
    assert f"+20.0 ± {half:.1f} (3 seeds) | **no** |" in text
    assert f"| {BASE} | 3 | 5.0 ± 0.0 | 20.0 ± 0.0 |" in text
    # The range of the arm reaches below 20 %.
    assert f"| 40.0 ± {half:.1f} and 20.0 ± 0.0 | **no** |" in text
    # The one with most labels, and no figure of fewer.
    assert "0.90 of their model, 1.50 of a model" in text
    assert "0.90 in 40 new programs (perfect: 2) | yes |" in text
    assert "gained +1.0 points sampled, +2.0 points greedy" in text
    assert "| 1 | 0 | 3 | 1 | 0.80 | 40 |" in text
    assert "9 runs were started (the baseline is one of them), 9 are shown." in text
    # The completer passes 51 %; the best seed 50 %.
    assert (
        "the completer passes 51.0 % sampled, the best run with its labels 50.0 %, and 0 of "
        in text
    )
    assert "| 1000 | 50.0 | 40 | 0.90 ± 0.20 |" in text
    assert "not to be told apart" in text


def test_problems_count_alike_whatever_their_level() -> None:
    def level(name: str, solved: dict[str, int]) -> LevelResult:
        some: dict[int, float] = {}
        return LevelResult(name, len(solved), 2, some, some, some, {}, 9.0, solved)

    found = Evaluation(1.0, (level("a", {"p": 2}), level("b", {"q": 0, "r": 0, "s": 1})), 0.0)
    assert _rate(found) == pytest.approx(3 / 8)


def test_what_an_interval_tells() -> None:
    assert told([1.0, 1.1, 0.9]) == "above"
    assert told([-1.0, -1.1, -0.9]) == "below"
    assert told([-1.0, 1.0, 0.5]) == "not to be told apart"
    assert told([5.0]) == "one seed tells nothing"


def test_at_equal_executions_the_labels_count() -> None:
    # 1,000 for the labels and 1,000 episodes: half way between the last two points of the others.
    found = equal_executions(made(), BOTH, "sampled")
    assert np.allclose(found, [(2000, 30.0, 20.0), (2000, 40.0, 20.0)])
    text = "\n".join(lines(made()))
    half = stats.t.ppf(0.975, 1) * stats.sem([10, 20])
    assert f"| {BOTH} | 2 | 2000 | 35.0" in text
    assert f"| +15.0 ± {half:.1f} |" in text
    assert equal_executions(made(), "dense", "sampled") == []
    assert equal_executions(made(), BASE, "sampled") == []  # takes no labels
    ended = "what it had reached at its end stands"
    assert ended not in text
    dear = made()
    dear["labels"][-1]["executions"] = 2500
    assert equal_executions(dear, BOTH, "sampled")[0] == pytest.approx((3500, 30.0, 30.0))
    assert ended in "\n".join(lines(dear))


def test_the_picture_has_every_arm_where_it_belongs() -> None:
    figure = draw(made())
    assert figure is not None
    labels = [[line.get_label() for line in axis.get_lines()] for axis in figure.axes]
    assert labels == [[BASE, BOTH], [BASE], [BASE, BOTH], [BOTH, LONGER]]
    # In thousands, and behind the labels.
    assert figure.axes[3].get_lines()[0].get_xdata() == pytest.approx([1.0, 2.0])


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="any of 5"):
        Args(labels="any of 5")


def in_process(_: int, jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """In place of other processes, in which nothing is replaced."""
    for function, *arguments in jobs:
        yield function(*arguments)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Args:
    """A run of seconds: untrained policies, eight episodes at a time, short programs."""
    small: dict[str, Any] = {"num_envs": 8, "max_new_tokens": 24}
    learning = {**small, "episodes": 8, "minibatches": 1, "warmup_updates": 1}

    def smaller(name: str, changes: dict[str, Any]) -> None:
        whole: Callable[..., Any] = getattr(prm, name)
        monkeypatch.setattr(prm, name, lambda *given: dataclasses.replace(whole(*given), **changes))

    smaller("_settings", learning)
    smaller("_collecting", small)
    monkeypatch.setattr(prm, "side_by_side", in_process)
    for kind in set(KINDS) - {PERFECT, Args().labels}:
        monkeypatch.delitem(KINDS, kind)
    monkeypatch.setitem(KINDS, Args().labels, Kind("completer", "any", 1))
    monkeypatch.setattr(prm, "CORE", (BASE, BOTH, LONGER))
    for seed in (1, 2):
        policy = CausalLMPolicy.from_config_tiny(
            TOKENIZER.vocab_size, d=16, layers=1, heads=2, context_length=1024, seed=seed
        )
        policy.save_pretrained(tmp_path / "sft" / f"sft-{seed}")
    return Args(
        seeds=(1, 2),
        baseline_seed=1,
        sft=tmp_path / "sft",
        tokens=300,
        points=1,
        baseline_tokens=400,
        baseline_points=3,
        problems=8,
        label_problems=(4, 8),
        held_problems=4,
        epochs=1,
        test_problems=4,
        samples=1,
        parallel=1,
        runs=tmp_path / "runs",
        out=tmp_path / "found",
    )


def test_without_the_gate_no_run_is_begun(tiny: Args) -> None:
    prm.run(tiny)
    found = json.loads(tiny.out.with_suffix(".json").read_text())
    assert found["rows"] == []
    # An untrained policy writes no right line, so that nothing falls.
    assert [row["model"]["fall"] for row in found["labels"]] == [
        pytest.approx(math.nan, nan_ok=True)
    ] * 4
    assert len(found["baseline"]["curve"]) == 4
    assert found["starts"] == 1
    assert "no run of PPO was begun" in tiny.out.with_suffix(".md").read_text()


def test_all_parts_are_run_once_and_a_row_that_is_lost_is_made_again(
    tiny: Args, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        labelling, "compare", lambda *given: compare(*given)._replace(fall=1.0, programs=1)
    )
    prm.run(tiny)
    path = tiny.out.with_suffix(".json")
    found = json.loads(path.read_text())
    assert [(row["arm"], row["seed"]) for row in found["rows"]] == [
        (arm, seed) for arm in (BASE, BOTH, LONGER) for seed in (1, 2)
    ]
    assert found["starts"] == 7
    assert {path.suffix for path in tiny.out.parent.glob("found.*")} == {".json", ".md", ".png"}
    kinds = [(row["kind"], row["problems"]) for row in found["labels"]]
    assert kinds == [(kind, problems) for kind in (PERFECT, tiny.labels) for problems in (4, 8)]
    labels = found["labels"][-1]
    ends = {row["arm"]: row["curve"][-1] for row in found["rows"]}
    assert ends[BASE]["tokens"] >= tiny.tokens
    assert ends[LONGER]["tokens"] >= tiny.tokens + labels["executions"] * labels["mean_tokens"]

    made: list[tuple[Any, ...]] = []

    def counted(_: int, jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        for function, *arguments in jobs:
            made.append((function.__name__, *arguments[1:3]))
            yield function(*arguments)

    monkeypatch.setattr(prm, "side_by_side", counted)
    prm.run(tiny)
    assert made == []
    lost = found["rows"].pop(3)
    path.write_text(json.dumps(found))
    prm.run(tiny)
    assert made == [("reinforce", BOTH, 2)]
    assert json.loads(path.read_text())["rows"][3] == lost
    with pytest.raises(ConfigurationError, match="gate differ"):
        prm.run(dataclasses.replace(tiny, gate=0.5))


def test_each_arm_changes_what_it_says(tiny: Args, tmp_path: Path) -> None:
    at_one = {"tests only, lambda 1", "dense, lambda 1"}
    later = {"dense, perfect labels", "scores of others", *at_one}
    assert set(ARMS) - set(CORE) == later
    assert set(ACCOUNT) >= {BASE, "dense", BOTH, "perfect scores", *later}
    needing = {arm for arm in ARMS if ARMS[arm].needs_labels}
    assert needing == {"value init", "dense", "step", BOTH, "scores of others", "dense, lambda 1"}
    base = prm._settings(tiny, BASE, 1)
    problems = load_split(base, split="train", size=4, seed=0)
    assert base.gae_lambda < 1.0
    with Grader() as grader, RunLogger(tmp_path / "log", quiet=True) as logger:

        def made(arm: str) -> Any:
            trainer = make_trainer(ARMS[arm], prm._settings(tiny, arm, 1), problems, grader, logger)
            trainer.close()
            return task_of(trainer.envs).process

        scorers = {arm: made(arm).scorer for arm in ("random scores", "perfect scores")}
    assert isinstance(scorers["random scores"], RandomScorer)
    assert isinstance(scorers["perfect scores"], ReferenceScorer)
    folders = {arm: prm._settings(tiny, arm, 1) for arm in ARMS}
    learned = tiny.runs / "models" / "completer-any-of-1-8"
    assert folders["dense"].reward_model == folders[BOTH].reward_model == learned
    assert folders["dense, perfect labels"].reward_model == (
        tiny.runs / "models" / "perfect-the-canonical-program-8"
    )
    assert folders["value init"].reward_model is None
    assert (
        folders["value init"].value_model
        == folders[BOTH].value_model
        == (tiny.runs / "value-model")
    )
    assert folders["pass ratio"].reward == "pass_ratio"
    assert {folders[arm].gae_lambda for arm in at_one} == {1.0}
    assert {folders[arm].gae_lambda for arm in set(ARMS) - at_one} == {base.gae_lambda}
    assert folders["dense, lambda 1"].reward_model == learned
