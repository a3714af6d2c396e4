"""Code Less, Align More: clusters that were made, what is kept of each, and the control."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codegym
from agents.environments import load_split, make_tokenizer
from agents.examples import encode_example
from agents.methods import code_less
from agents.methods.clustering import (
    FloatArray,
    PruningSettings,
    _diverse,
    _log_density,
    _quotas,
    _rare,
    prune,
)
from agents.methods.code_less import CodeLess
from agents.methods.pruning import embed, pruned
from agents.models import make_policy
from codegym.envs import make_prompt_format
from codegym.errors import ConfigurationError
from codegym.problems import ProblemSet
from tests.agents.methods.conftest import TINY, run_and_resume
from tests.python import PYTHON

ROOT = Path(__file__).parents[3]
SIZES = (30, 20, 11)
SMALL: dict[str, Any] = {**TINY, "problems": 12, "clusters": 3, "dimensions": 2}
METRICS = ("density", "diversity", "random")
CLUSTERINGS: tuple[dict[str, Any], ...] = (
    {"clustering": "kmeans", "clusters": 3},
    {"clustering": "agglomerative", "clusters": 3},
    {"clustering": "hdbscan", "least_members": 5},
)


def _blobs() -> FloatArray:
    """(61, 12): three clusters, one after the other, each with its own centre."""
    rng = np.random.default_rng(0)
    centres = 10.0 * np.eye(12)[:3]
    return np.concatenate(
        [c + rng.normal(size=(n, 12)) for c, n in zip(centres, SIZES, strict=True)]
    )


def _settings(**changes: Any) -> PruningSettings:
    return PruningSettings(**{"dimensions": 4, "clusters": 3, **changes})


@pytest.mark.parametrize("how", CLUSTERINGS)
def test_clusters_that_were_made_are_found(how: dict[str, Any]) -> None:
    """A third of each is kept: 9.84, 6.56 and 3.61 are 20, with two of them rounded up."""
    found = prune(_blobs(), 61, PruningSettings(dimensions=4, share=1 / 3, **how), seed=0)
    parts = np.split(found.labels, [30, 50])
    most = [int(np.bincount(part).argmax()) for part in parts]
    assert len(set(most)) == 3
    of_it = [float((part == label).mean()) for part, label in zip(parts, most, strict=True)]
    if how["clustering"] == "hdbscan":
        assert min(of_it) > 0.7, "some belong to no cluster"
    else:
        assert of_it == [1.0] * 3
        kept = np.diff([0, *np.searchsorted(found.kept, [30, 50, 61])])
        assert kept.tolist() == [10, 6, 4]


def test_the_largest_remainders_are_rounded_up() -> None:
    """10 of 61 times 30, 20 and 11: 4.92, 3.28 and 1.80."""
    assert _quotas(np.array(SIZES), 10).tolist() == [5, 3, 2]
    assert _quotas(np.array(SIZES), 61).tolist() == list(SIZES)
    assert _quotas(np.array(SIZES), 1).tolist() == [1, 0, 0]
    assert _quotas(np.array([1, 1, 1]), 2).tolist() == [1, 1, 0]


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.5, 0.99, 1.0])
def test_the_share_is_kept_exactly_and_the_control_keeps_as_many(share: float) -> None:
    expected = {0.001: 1, 0.1: 6, 0.25: 15, 0.5: 31, 0.99: 60, 1.0: 61}[share]
    for metric in METRICS:
        for how in CLUSTERINGS:
            settings = PruningSettings(dimensions=4, share=share, metric=metric, **how)  # type: ignore[arg-type]
            points = None if metric == "random" else _blobs()
            kept = prune(points, 61, settings, seed=3).kept
            assert len(kept) == len(set(kept.tolist())) == expected
            assert kept.tolist() == sorted(kept.tolist())
            assert 0 <= kept[0] <= kept[-1] < 61


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_kept_depends_on_the_seed_alone(metric: Any) -> None:
    points = None if metric == "random" else _blobs()
    first, again, other = (
        prune(points, 61, _settings(metric=metric), seed=seed).kept.tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert (first == other) == (metric == "diversity"), "only diversity draws nothing"


def test_the_next_is_the_farthest_from_those_kept() -> None:
    """0, 1, 2 and 10, whose mean is 3.25: first 2, then 10, then 0, which is 2 away, then 1."""
    points = np.array([[0.0], [1.0], [2.0], [10.0]])
    assert _diverse(points, 4).tolist() == [2, 3, 0, 1]
    # From 0 the farthest is -22.5, then 10; 9.5 is near that one, 3 is near none that is kept.
    points = np.array([[0.0], [10.0], [9.5], [3.0], [-22.5]])
    assert _diverse(points, 5).tolist() == [0, 4, 1, 3, 2]
    assert _diverse(points, 1).tolist() == [0]
    assert _diverse(points, 0).tolist() == []
    assert sorted(_diverse(np.zeros((3, 2)), 3).tolist()) == [0, 1, 2], "each of the same once"


def test_the_density_is_as_counted_by_hand() -> None:
    """0, 0 and 3: variance 2, so h^2 = 2 * 3^(-2/5), and a kernel of exp(-9 / 2h^2) between."""
    points = np.array([[0.0], [0.0], [3.0]])
    kernel = np.exp(-9.0 / (2.0 * 2.0 * 3.0 ** (-2 / 5)))
    density = np.array([(2 + kernel) / 3, (2 + kernel) / 3, (1 + 2 * kernel) / 3])
    assert np.exp(_log_density(points)) == pytest.approx(density)
    assert _log_density(np.ones((4, 2))).tolist() == [0.0] * 4
    # In two dimensions the variance is the mean of both, and the exponent -1/6.
    square = np.array([[0.0, 0.0], [2.0, 0.0]])
    kernel = np.exp(-4.0 / (2.0 * 0.5 * 2.0 ** (-1 / 3)))
    assert np.exp(_log_density(square)) == pytest.approx([(1 + kernel) / 2] * 2)


def test_the_rare_are_likelier_to_be_kept() -> None:
    """One of 0, 0 and 3 is kept: with a chance in proportion to 1 / p."""
    points, rng = np.array([[0.0], [0.0], [3.0]]), np.random.default_rng(0)
    weights = np.exp(-_log_density(points))
    drawn = np.bincount([_rare(points, 1, rng)[0] for _ in range(4000)], minlength=3) / 4000
    assert drawn.tolist() == pytest.approx((weights / weights.sum()).tolist(), abs=0.03)
    assert drawn[2] > 0.4
    assert sorted(_rare(points, 3, rng).tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": 62}, "at least clusters=62 problems that differ, got 61"),
        ({"clustering": "hdbscan", "least_members": 62, "clusters": 16}, "least_members=62"),
        ({"dimensions": 13}, r"at most the number of problems \(61\) and the width of the model"),
    ],
)
def test_too_few_problems_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        prune(_blobs(), 61, _settings(**change), seed=0)


def test_problems_that_are_all_the_same_are_no_clusters() -> None:
    with pytest.raises(ConfigurationError, match="clusters=3 problems that differ, got 1"):
        prune(np.ones((10, 12)), 10, _settings(), seed=0)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigurationError, match=r"scikit-learn: pip install -e '.\[methods\]'"):
        prune(_blobs(), 61, _settings(), seed=0)
    assert len(prune(None, 61, _settings(metric="random"), seed=0).kept) == 31


def _problems() -> tuple[code_less.Args, ProblemSet, Any]:
    args = code_less.Args(**SMALL)
    problems = load_split(args, split="train", size=12, seed=0)
    return args, problems, make_policy(args, vocab_size=make_tokenizer("mini").vocab_size, seed=0)


def test_an_embedding_is_the_mean_of_the_hidden_states() -> None:
    args, problems, policy = _problems()
    tokenizer = make_tokenizer("mini")
    prompt_format = make_prompt_format("auto", tokenizer)
    found = {text: embed(policy, problems, args, text) for text in ("pair", "problem", "solution")}
    small = embed(policy, problems, args, "pair", microbatch_tokens=1)
    assert small == pytest.approx(found["pair"], abs=1e-5), "whatever is padded"
    for i in (0, 7):
        example = encode_example(
            problems[i],
            problems[i].canonical_solution,
            tokenizer=tokenizer,
            prompt_format=prompt_format,
            context_length=args.context_length,
        )
        with torch.no_grad():
            ids = torch.tensor([example.tokens])
            hidden = policy.trunk.base_model(input_ids=ids)[0][0].double().numpy()
        start = example.start_length
        for text, part in {
            "pair": hidden,
            "problem": hidden[:start],
            "solution": hidden[start:],
        }.items():
            mean = part.mean(0)
            assert found[text][i] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_solution_that_is_not_there_is_not_embedded() -> None:
    args, problems, policy = _problems()
    without = ProblemSet.of([dataclasses.replace(problems[0], canonical_solution="")])
    with pytest.raises(ConfigurationError, match=r"has none\. Embed the problems"):
        embed(policy, without, args, "pair")
    assert embed(policy, without, args, "problem").shape == (1, 16)


def test_a_set_is_pruned_in_its_order() -> None:
    args, problems, policy = _problems()
    kept, found = pruned(policy, problems, args, args, seed=0)
    assert len(kept) == 6
    assert kept.ids == tuple(problems.ids[i] for i in found.kept)
    assert len(set(found.labels.tolist())) == 3
    control = dataclasses.replace(
        args, metric="random", clusters=PruningSettings.clusters, dimensions=10
    )
    assert len(pruned(policy, problems, control, args, seed=0)[0]) == 6


def test_a_tiny_run_goes_on_where_it_stood(grader: codegym.Grader, tmp_path: Path) -> None:
    args = code_less.Args(**SMALL, critic="none", warmup_updates=0)
    trainer, _ = run_and_resume(CodeLess, args, grader, tmp_path)
    assert len(trainer.problems) == 6
    assert "6 of 12 problems are kept." in (tmp_path / "whole" / "log.txt").read_text()
    state = trainer.method_state()
    assert state == {"kept": list(trainer.problems.ids)}
    with pytest.raises(ConfigurationError, match="kept 1 problems"):
        trainer.load_method_state({"kept": ["another"]})


def test_the_command_writes_down_what_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "new" / "kept.json"
    words = (
        f"--model-width 16 --model-layers 1 --problems 9 --clusters 2 --dimensions 2 --out {out}"
    )
    done = subprocess.run(
        [*PYTHON, "-m", "agents.methods.pruning", *words.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 of 9 problems are kept, of 2 clusters; 0 did not fit the context." in done.stdout
    written = json.loads(out.read_text())
    assert len(set(written["kept"])) == 5
    assert sum(cluster["size"] for cluster in written["clusters"]) == 9
    assert sum(cluster["kept"] for cluster in written["clusters"]) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0.0}, "share must be finite and above 0 and at most 1"),
        ({"clusters": 0}, "clusters must be finite and at least 1"),
        ({"least_members": 1}, "least_members must be finite and at least 2"),
        ({"metric": "random"}, "clusters=3 has no effect here"),
        ({"clustering": "hdbscan"}, "clusters=3 has no effect here"),
        ({"least_members": 4}, "least_members=4 has no effect here"),
    ],
)
def test_what_has_no_meaning_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        code_less.Args(**{**SMALL, **change})
