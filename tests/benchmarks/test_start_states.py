from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.environments import make_tokenizer
from agents.models import make_policy
from agents.policy import CausalLMPolicy
from benchmarks import fgo_learning, methods, prm, runs, start_states, token_budget
from benchmarks.first_errors import first_error
from benchmarks.runs import kept_before
from benchmarks.start_state_arms import ARMS
from benchmarks.start_states import Args
from benchmarks.start_states_report import draw, lines, tokens_a_program, tokens_to
from codegym.errors import ConfigurationError, UnknownNameError
from codegym.problems import flawed_solution, load_mini
from codegym.start_states import Reference, StartStates

# Four conditionals have two stages; seven lines after the header.
PROGRAM = "if a:\n    x = 1\nif b:\n    x = 2\nif c:\n    x = 3\nif d:\n    x = 4\n"
REFERENCE = Reference("one", PROGRAM)


def visited(starts: StartStates, wins: int) -> list[int]:
    """The stages of episodes that all succeed."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(wins):
        start = starts.draw(REFERENCE, rng)
        found.append(start.stage)
        starts.update(REFERENCE, start, solved=True)
    return found


def test_the_control_that_never_moves_stays_at_the_last_stage() -> None:
    starts = ARMS["last stage only"].start()
    assert visited(starts, 30) == [starts.num_stages(REFERENCE) - 1] * 30 == [1] * 30


def test_a_random_order_passes_each_stage_by_the_rule_of_the_curriculum() -> None:
    orders = set()
    for name in "abcdefgh":
        starts, reference = ARMS["cccs, random order"].start(), Reference(name, PROGRAM)
        rng, found = np.random.default_rng(0), []
        for _ in range(10):
            start = starts.draw(reference, rng)
            found.append(start.stage)
            starts.update(reference, start, solved=True)
        # Five successes in a row bring an average of 0.2 each above 0.6.
        assert found[:5] == [found[0]] * 5
        assert found[5:] == [1 - found[0]] * 5
        orders.add(found[0])
    assert orders == {0, 1}


def test_the_reverse_curriculum_moves_back_line_by_line() -> None:
    starts = ARMS["reverse by lines"].start()
    assert visited(starts, 18) == [line for line in range(7, -1, -1) for _ in range(2)] + [0, 0]


def test_failures_do_not_move_a_problem_and_its_state_is_kept() -> None:
    starts = ARMS["reverse by lines"].start()
    visited(starts, 4)
    other = ARMS["reverse by lines"].start()
    other.load_state_dict(starts.state_dict())
    for each in (starts, other):
        start = each.draw(REFERENCE, np.random.default_rng(0))
        assert start.stage == 5
        each.update(REFERENCE, start, solved=False)
        assert each.describe(REFERENCE)["stage"] == 5


def test_a_typical_mistake_is_told_from_a_copying_error() -> None:
    rng = np.random.default_rng(0)
    seen = 0
    for problem in load_mini(split="validation", difficulty="6-8", size=20, seed=0):
        canonical = problem.canonical_solution
        assert canonical is not None
        flawed = flawed_solution(problem, rng)
        if flawed == canonical:
            continue
        seen += 1
        assert first_error(problem, flawed) == "typical"
        # Another start value than the one that is asked for, which no weak coder writes.
        assert first_error(problem, flawed.replace("    r = ", "    r = 7 + ", 1)) == "copying"
        cut = canonical.replace("    return", "    retrun")
        assert first_error(problem, cut) == "copying"
    assert seen > 10


def test_tokens_to_a_rate_lie_between_two_points() -> None:
    curve = [{"tokens": t, "sampled": s} for t, s in ((0, 0.0), (100, 0.04), (200, 0.08))]
    assert tokens_to(0.05, curve) == pytest.approx(125.0)
    assert tokens_to(0.10, curve) is None


def test_the_length_of_programs_is_that_of_the_last_stretch() -> None:
    points = ((0.0, 0), (300.0, 10), (1100.0, 30))
    curve = [{"tokens": tokens, "episodes": episodes} for tokens, episodes in points]
    assert tokens_a_program(curve) == 40.0


def row(arm: str, seed: int, end: float) -> dict[str, object]:
    points = ((0.0, 0.0), (1e6, end))
    return {
        "arm": arm,
        "seed": seed,
        "curve": [{"tokens": t, "iteration": 9, "sampled": s, "greedy": s} for t, s in points],
        "by_conditionals": {mode: {"6": end} for mode in ("sampled", "greedy")},
    }


def results_of(rows: list[dict[str, object]]) -> dict[str, Any]:
    return {
        "command": "",
        "machine": {},
        "arguments": dataclasses.asdict(Args(seeds=(1, 2, 3), problems=7)),
        "bases": {"1": {"typical": 3, "copying": 1}},
        "starts": 6,
        "rows": rows,
    }


def test_the_page_pairs_seeds_and_draws_every_arm() -> None:
    rows = [row("sparse", seed, 0.0) for seed in (1, 2)]
    rows += [row("cccs", seed, 0.1 * seed) for seed in (1, 2, 3)]
    results = results_of(rows)
    text = "\n".join(lines(results))
    # The third seed has no partner; the mean of 10 and 20 is 15, half its interval t * sd / sqrt 2.
    assert "| cccs - sparse | 2 | +15.0 ± 63.5 |" in text
    assert "| 1 | 0 | 3 | 1 | 25 |" in text
    assert "6-8 conditionals: 7 for training" in text
    assert "| seeds | 1, 2, 3 |" in text
    assert "6 runs were started, 5 are shown." in text
    figure = draw(results)
    assert figure is not None
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert labels == ["sparse", "cccs"]


def test_differences_stand_without_the_seeds_that_did_not_pass_the_gate_as_well() -> None:
    rows = [
        row(arm, seed, end * seed)
        for arm, end in (("sparse", 0), ("cccs", 0.1))
        for seed in (1, 2, 3)
    ]
    bases = {str(seed): {"typical": 4 - seed, "copying": 1, "solved": 5} for seed in (1, 2, 3)}
    text = "\n".join(lines(results_of(rows) | {"bases": bases}))
    without = text.partition("## Without what did not pass the gate: seed 1, 2, 3")
    assert not without[1], "no seed would be left"
    bases["1"]["typical"] = 4
    text = "\n".join(lines(results_of(rows) | {"bases": bases}))
    with_all, _, without_some = text.partition("## Without what did not pass the gate: seed 2, 3")
    assert "| cccs - sparse | 3 | +20.0 ± " in with_all
    assert "| cccs - sparse | 1 | +10.0 | " in without_some


def test_arms_are_compared_at_as_many_episodes() -> None:
    def played(arm: str, seed: int, iterations: int, *rates: float) -> dict[str, Any]:
        curve = [
            {"tokens": k * 1e5, "iteration": k * iterations, "sampled": rate, "greedy": rate / 2}
            for k, rate in enumerate(rates)
        ]
        return row(arm, seed, 0.0) | {"curve": curve}

    rows = [played("sparse", seed, 10, 0.0, 0.1, 0.2 * seed) for seed in (1, 2)]
    rows += [played("cccs", seed, 40, 0.0, 0.8, 0.9) for seed in (1, 2)]
    text = "\n".join(lines(results_of(rows))).partition("## At equal episodes")[2]
    # After 20 of 80 iterations CCCS has come half way to its first .8; sparse is at its end.
    half = 12.706 * 20 / 2
    assert f"| cccs - sparse | 2 | 20 | +10.0 ± {half:.1f} | +5.0 ± {half / 2:.1f} |" in text


def test_controls_have_panels_of_their_own_beside_the_curriculum() -> None:
    arms = ("sparse", "cccs", "cccs + fgo", "last stage only", "jsrl")
    figure = draw(results_of([row(arm, seed, 0.1) for arm in arms for seed in (1, 2)]))
    assert figure is not None
    labels = [[line.get_label() for line in axis.get_lines()] for axis in figure.axes]
    assert labels[:2] == [["sparse", "cccs", "cccs + fgo"]] * 2
    assert labels[2:] == [["cccs", "last stage only", "jsrl"]] * 2


def test_the_page_has_other_flaw_rates_and_an_earlier_comparison() -> None:
    results = results_of([row("cccs", seed, 0.1) for seed in (1, 2)])
    rows = [row(arm, seed, end) for arm, end in (("sparse", 0.3), ("cccs", 0.5)) for seed in (1, 2)]
    results["other_rates"] = {"0.5": {"bases": {"1": {"typical": 1, "copying": 3}}, "rows": rows}}
    machine = {"cpu": "abacus", "kernel": "7"}
    earlier = [row("sparse", seed, 0.0) for seed in (1, 2)] + [row("cccs", 1, 0.4)]
    results["earlier"] = {"machine": machine, "rows": earlier, "starts": 4}
    text = "\n".join(lines(results))
    main, _, others = text.partition("## Flaw rate 0.5")
    others, _, earlier_text = others.partition("## Earlier, on another machine")
    assert "cccs - sparse" not in main
    assert "| cccs - sparse | 2 | +20.0 ± 0.0 |" in others
    assert "| 1 | 0 | 1 | 3 | 75 |" in others
    assert "(abacus, Linux 7); 4 runs were started, 3 are shown." in earlier_text
    assert "| cccs - sparse | 1 | +40.0 |" in earlier_text
    assert text.endswith("6 runs were started, 6 are shown.")


def test_all_arms_come_before_other_flaw_rates_and_what_is_there_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, int, float]] = []

    def reinforce(args: Args, arm: str, seed: int) -> dict[str, Any]:
        made.append((arm, seed, args.flaw_rate))
        assert args.runs == (
            tmp_path if args.flaw_rate == 1 else tmp_path / f"flaw-rate-{args.flaw_rate:g}"
        )
        return row(arm, seed, 0.1)

    def base(args: Args, seed: int) -> dict[str, Any]:
        return {"seed": seed, "first_errors": {"typical": int(10 * args.flaw_rate)}}

    monkeypatch.setattr(start_states, "reinforce", reinforce)
    monkeypatch.setattr(start_states, "base", base)
    monkeypatch.setattr(
        start_states, "side_by_side", lambda _, jobs: (call(*given) for call, *given in jobs)
    )
    earlier = tmp_path / "earlier.json"
    earlier.write_text(
        json.dumps({"machine": {"cpu": "", "kernel": ""}, "rows": [row("cccs", 1, 0)], "starts": 1})
    )
    args = Args(seeds=(1, 2), runs=tmp_path, out=tmp_path / "found", earlier=earlier)
    start_states.run(args)
    assert made == [(arm, seed, 1.0) for seed in (1, 2) for arm in ("sparse", "uniform", "cccs")]
    made.clear()
    every = dataclasses.replace(args, arms=("all",), other_flaw_rates=(0.5, 1.4), earlier=None)
    start_states.run(every)
    main = [(arm, seed) for arm, seed, rate in made if rate == 1]
    assert main == [(arm, seed) for seed in (1, 2) for arm in list(ARMS)[3:]]
    others = [(arm, s, rate) for rate in (0.5, 1.4) for s in (1, 2) for arm in ("sparse", "cccs")]
    assert made[len(main) :] == others
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["other_rates"]["1.4"]["bases"] == {"1": {"typical": 14}, "2": {"typical": 14}}
    assert len(found["rows"]) == 20
    assert found["earlier"]["starts"] == 1
    made.clear()
    start_states.run(every)
    assert made == []
    start_states.run(dataclasses.replace(args, arms=("jsrl", "sparse"), seeds=(3,)))
    assert made == [("sparse", 3, 1.0), ("jsrl", 3, 1.0)]


def test_arms_are_named_by_themselves_or_in_groups() -> None:
    groups = {"core": ("a", "b"), "all": ("a", "b", "c d")}
    assert runs.arms_named(["c d", "core"], groups["all"], groups) == ("a", "b", "c d")
    assert runs.arms_named(["c d", "a"], groups["all"], groups) == ("a", "c d")
    with pytest.raises(UnknownNameError, match=r"arm 'b c'.*'all', 'b', 'c d', 'core'"):
        runs.arms_named(["b c"], groups["all"], groups)
    for args in (Args, fgo_learning.Args, prm.Args, methods.Args):
        with pytest.raises(UnknownNameError, match="arm 'ccs'"):
            args(arms=("ccs",))


def test_what_was_kept_goes_on_with_the_same_settings_only(tmp_path: Path) -> None:
    args = Args(out=tmp_path / "found", runs=tmp_path / "runs")
    now, nothing = kept_before(args, ("tokens",))
    assert (now["tokens"], now["runs"], nothing) == (args.tokens, "FOLDER", {})
    args.out.with_suffix(".json").write_text(json.dumps({"arguments": now, "rows": [1]}))
    other = dataclasses.replace(args, parallel=7)
    assert kept_before(other, ("tokens",))[1]["rows"] == [1]
    with pytest.raises(ConfigurationError, match="tokens differ"):
        kept_before(dataclasses.replace(args, tokens=5), ("tokens",))


def test_a_run_that_is_cut_off_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: dict[str, Any] = {"episodes": 8, "num_envs": 8, "minibatches": 1, "max_new_tokens": 16}
    whole = start_states._settings
    monkeypatch.setattr(
        start_states,
        "_settings",
        lambda *given: dataclasses.replace(whole(*given), **small),
    )

    def args(name: str) -> Args:
        found = Args(tokens=240, points=3, problems=8, test_problems=4, runs=tmp_path / name)
        settings = whole(found, "cccs", 5)
        policy = make_policy(
            dataclasses.replace(settings, model="tiny"),
            vocab_size=make_tokenizer(settings.tokenizer).vocab_size,
            seed=5,
        )
        policy.save_pretrained(found.runs / "sft-5")
        return found

    expected = start_states.reinforce(args("whole"), "cccs", 5)
    cut, measured = args("cut"), runs.measured
    calls = []

    def fails(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measured(*given, **named)

    monkeypatch.setattr(token_budget, "measured", fails)
    with pytest.raises(KeyboardInterrupt):
        start_states.reinforce(cut, "cccs", 5)
    found = start_states.reinforce(cut, "cccs", 5)
    assert len(calls) == 3 + 2
    assert {**found, "cpu_seconds": 0} == {**expected, "cpu_seconds": 0}
    assert [point["tokens"] >= 80 * n for n, point in enumerate(found["curve"])] == [True] * 4
    weights = [
        CausalLMPolicy.from_pretrained(p / "cccs-5" / "point-3").state_dict()
        for p in (tmp_path / "whole", cut.runs)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
