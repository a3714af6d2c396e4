from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.policy import CausalLMPolicy
from agents.prm import train as training
from agents.prm.model import ProcessRewardModel
from agents.prm.report import LineScores, ScoreReport, area_under_curve, breakdown, calibration
from agents.prm.selection import select, split_by_problem
from agents.prm.storage import LabelledResponse, LabelStore
from agents.prm.train import Args, Fit, line_loss, run, score_lines, train
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError, UnknownNameError
from tests.agents.prm.test_storage import MANIFEST, response

VOCAB, GOOD, BAD, NEWLINE = 12, 3, 4, 5


def programs(count: int, seed: int) -> list[LabelledResponse]:
    """Lines of a good or a bad token and a newline; all is lost from the first bad one on."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        lines = int(rng.integers(2, 7))
        good = int(rng.integers(1, lines))
        body = [token for m in range(lines) for token in (GOOD if m < good else BAD, NEWLINE)]
        prompt = [int(rng.integers(6, VOCAB))] * int(rng.integers(1, 4))
        ends = tuple(len(prompt) + 2 * m + 1 for m in range(lines))
        found.append(
            response(
                f"p{number}",
                input_ids=(*prompt, *body, 0),
                start_length=len(prompt),
                line_ends=ends,
                labels=tuple(1 if m < good else -1 for m in range(lines)),
                recoverable_lines=good,
            )
        )
    return found


def tiny() -> CausalLMPolicy:
    return CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=1, heads=2, seed=1)


def test_the_loss_is_the_papers() -> None:
    scores = torch.tensor([[1.0, 0.0, 9.0], [0.5, -0.5, 0.0]])
    labels = torch.tensor([[1.0, -1.0, 0.0], [1.0, -1.0, 0.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    # (0 + 1) / 2 and (.25 + .25 + 0) / 3
    assert line_loss(scores, labels, mask).tolist() == pytest.approx([0.5, 1 / 6])


def test_it_learns_which_token_loses_and_holds_out_problems(tmp_path: Path) -> None:
    data = programs(120, seed=0)
    model = ProcessRewardModel.from_policy(tiny(), vocabulary="v")
    learned, held = split_by_problem(data, every=4)
    assert not {one.problem_id for one in learned} & {one.problem_id for one in held}
    before = score_lines(model, held)
    assert all(score == 0.0 for scores in before.values() for score in scores)
    args = Args(epochs=6, learning_rate=1e-2, out=tmp_path)
    best = train(model, learned, held, args)
    assert 1 <= best <= 6
    report = breakdown(training._lines(model, held))["all"]
    assert report.sign_accuracy > 0.97
    assert report.auc > 0.97
    assert report.mse < 0.2 * report.mse_of_mean


def test_groups_change_nothing(tmp_path: Path) -> None:
    data = programs(20, seed=1)
    weights = []
    for max_tokens in (16, 100_000):
        model = ProcessRewardModel.from_policy(tiny(), vocabulary="v")
        train(model, data[:16], data[16:], Args(epochs=2, max_tokens=max_tokens, out=tmp_path))
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    one, other = weights
    assert torch.allclose(one, other, atol=1e-5)


def test_the_command_trains_saves_and_reports(tmp_path: Path) -> None:
    start = tiny()
    start.save_pretrained(tmp_path / "policy")
    manifest = {**MANIFEST, "vocabulary_sha256": "v", "policies": [{"folder": "gone"}]}
    store = LabelStore(tmp_path / "labels", manifest)
    store.append(0, programs(40, seed=2))
    args = Args(
        labels=tmp_path / "labels", policy=tmp_path / "policy", out=tmp_path / "prm", epochs=2
    )
    with RunLogger(tmp_path / "prm", quiet=True) as logger:
        trained = run(args, logger)
    assert trained.training + trained.validation == 40
    loaded = ProcessRewardModel.from_pretrained(tmp_path / "prm", vocabulary="v")
    ids = torch.arange(VOCAB)[None]
    assert torch.equal(loaded(ids), trained.model(ids))
    assert (tmp_path / "prm" / "calibration.png").stat().st_size > 1000
    assert '"sign_accuracy"' in (tmp_path / "prm" / "report.json").read_text()


def test_an_empty_label_file_is_an_error(tmp_path: Path) -> None:
    LabelStore(tmp_path / "labels", MANIFEST)
    args = Args(labels=tmp_path / "labels", out=tmp_path / "prm")
    with (
        RunLogger(tmp_path / "prm", quiet=True) as logger,
        pytest.raises(ConfigurationError, match="holds no labelled response"),
    ):
        run(args, logger)


def test_labels_of_a_larger_vocabulary_are_an_error(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path / "policy")
    store = LabelStore(tmp_path / "labels", {**MANIFEST, "vocabulary_sha256": "v"})
    strange = [dataclasses.replace(one, input_ids=(*one.input_ids, 99)) for one in programs(9, 0)]
    store.append(0, strange)
    args = Args(labels=tmp_path / "labels", policy=tmp_path / "policy", out=tmp_path / "prm")
    with (
        RunLogger(tmp_path / "prm", quiet=True) as logger,
        pytest.raises(ConfigurationError, match="token 99"),
    ):
        run(args, logger)


def test_selection() -> None:
    kinds = {
        "easy": ("correct", "correct"),
        "medium": ("correct", "wrong"),
        "hard": ("wrong", "revised"),
    }
    rows = [response(name, kind=kind) for name, pair in kinds.items() for kind in pair]

    def chosen(how: str) -> list[tuple[str, str]]:
        return [(row.problem_id, row.kind) for row in select(rows, how)]  # type: ignore[arg-type]

    assert len(chosen("full")) == 6
    assert {name for name, _ in chosen("remove_hard")} == {"easy", "medium"}
    assert {name for name, _ in chosen("medium")} == {"medium"}
    assert chosen("revised") == [("hard", "revised")]
    with pytest.raises(UnknownNameError):
        chosen("reviced")
    with pytest.raises(ConfigurationError, match="No response is left"):
        select(rows[:2], "revised")
    with pytest.raises(ConfigurationError, match="two problems"):
        split_by_problem(rows[:2], every=2)


def test_measures_by_hand() -> None:
    good = np.array([True, False, True, False])
    assert area_under_curve(np.array([0.9, 0.1, 0.8, 0.2]), good) == 1.0
    assert area_under_curve(np.array([0.5, 0.5, 0.5, 0.5]), good) == 0.5
    assert area_under_curve(np.array([0.9, 0.5, 0.5, 0.7]), good) == pytest.approx(2.5 / 4)
    assert np.isnan(area_under_curve(np.array([0.1]), np.array([True])))
    data = LineScores(
        np.array([1.0, -0.5, 0.5]), np.array([1, -1, -1]), np.array([0, 1, 2]), np.array([3, 3, 3])
    )
    report = ScoreReport.of(data)
    assert report.mse == pytest.approx((0 + 0.25 + 2.25) / 3)
    assert report.mse_of_mean == pytest.approx(8 / 9)
    assert report.sign_accuracy == pytest.approx(2 / 3)
    rows = breakdown(data)
    assert [rows[name].lines for name in ("first third", "second third", "last third")] == [1, 1, 1]
    assert rows["1-4 lines"].lines == 3
    assert rows["17 lines and more"].lines == 0
    bins = calibration(data)
    assert [observed for _, observed, _ in bins] == [0.0, 0.0, 1.0]
    assert [predicted for predicted, _, _ in bins] == pytest.approx([0.25, 0.75, 1.0])


def test_a_value_model_is_fitted_to_every_token_with_the_last_label() -> None:
    #            prompt 0-1; line ends 3, 5 (neutral), 7; end token 8
    one = response(
        "p", input_ids=tuple(range(9)), start_length=2, line_ends=(3, 5, 7), labels=(1, 0, -0.5)
    )
    columns, labels = training._targets(one, "tokens")
    assert list(columns) == [3, 4, 5, 6, 7, 8]
    assert list(labels) == [1, 1, 1, 1, -0.5, -0.5]
    assert training._targets(one, "line ends") == ((3, 5, 7), (1, 0, -0.5))


def test_a_value_model_knows_the_middle_of_lines(tmp_path: Path) -> None:
    learned, held = split_by_problem(programs(120, seed=0), every=4)
    errors = []
    fits: tuple[Fit, ...] = ("line ends", "tokens")
    for fit in fits:
        args = Args(epochs=6, learning_rate=1e-2, fit=fit, out=tmp_path)
        model = ProcessRewardModel.from_policy(tiny(), vocabulary="v")
        train(model, learned, held, args)
        everywhere = dataclasses.replace(args, fit="tokens")
        errors.append(training._mean_error(model, held, everywhere))
    assert errors[1] < 0.5 * errors[0]
