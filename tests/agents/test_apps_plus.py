from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import codegym
from agents import apps_plus, ppo
from agents.environments import make_tokenizer
from codegym.problems import load_problems

ARGS = apps_plus.Args(threads=1, samples=1)


def test_the_problems_that_are_evaluated_were_seen_by_nobody() -> None:
    seen, unseen, new = (set(problems.ids) for problems in apps_plus.split(ARGS.ppo))
    assert (len(seen), len(unseen), len(new)) == (15, 15, 30)
    assert not seen & unseen
    assert not (seen | unseen) & new
    training = load_problems("apps_plus", data="sample", split="train")
    assert seen | unseen == set(training.ids)
    for problems in apps_plus.split(ARGS.ppo):
        assert {problem.difficulty for problem in problems} == {
            "introductory",
            "interview",
            "competition",
        }


def test_a_line_break_ends_a_token(tmp_path: Path) -> None:
    seen, unseen, new = apps_plus.split(ARGS.ppo)
    apps_plus.train_vocabulary([*seen, *unseen]).save_pretrained(tmp_path)
    tokenizer = make_tokenizer(str(tmp_path))
    for problem in new:
        whole = tokenizer.encode(problem.canonical_solution)
        lines = problem.canonical_solution.splitlines(keepends=True)
        assert whole == [token for line in lines for token in tokenizer.encode(line)]
        assert tokenizer.decode(whole) == problem.canonical_solution


def test_a_copy_of_the_nearest_solution_passes_where_it_is_the_solution() -> None:
    seen, _, new = apps_plus.split(ARGS.ppo)
    problem = new[0]
    twin = dataclasses.replace(problem, id="twin")
    with codegym.Grader() as grader:
        right = apps_plus.copied([problem], [twin, *seen], grader)
        wrong = apps_plus.copied([problem], list(seen), grader)
    assert {stage: passed for stage, (passed, _) in right.items()} == dict.fromkeys(right, 1)
    assert wrong[0] == (0, 1)


def test_the_example_from_end_to_end(tmp_path: Path) -> None:
    args = dataclasses.replace(
        ARGS,
        out=tmp_path,
        sft=dataclasses.replace(ARGS.sft, steps=2, model_width=16, model_layers=1),
        ppo=dataclasses.replace(
            ARGS.ppo, iterations=1, episodes=4, num_envs=8, max_new_tokens=4, workers=1
        ),
    )
    assert isinstance(args.ppo, ppo.Args)
    results = apps_plus.train(args)
    for rates in results.values():
        assert set(rates) == {"untrained", "SFT", "PPO", "copy of the nearest"}
        stages = set(rates["copy of the nearest"])
        assert {0, 1} <= stages
        for counts in rates.values():
            assert set(counts) == stages
            assert all(0 <= passed <= tried for passed, tried in counts.values())
    log = (tmp_path / "log.txt").read_text()
    assert "Rewards of PPO's 4 programs" in log
    assert json.loads((tmp_path / "results.json").read_text())["passed_of_by_stage"]
