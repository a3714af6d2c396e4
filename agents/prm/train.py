"""Trains a process reward model on collected labels.

``L(phi) = E[ (1/T) sum_m (R_phi(x, y^(<=m)) - l_m)^2 ]`` over the T lines of a response (arXiv
2410.17621, section 3.2). What is not told there: the model begins with the policy's weights, and
the weights of the epoch with the lowest validation error are kept.

    python -m agents.prm.train --labels runs/prm/labels --policy runs/sft --out runs/prm/model
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from agents.command import command_line, main, set_up_torch
from agents.policy import CausalLMPolicy
from agents.prm.model import ProcessRewardModel
from agents.prm.report import (
    LineScores,
    ScoreReport,
    breakdown,
    calibration,
    gather,
    plot_calibration,
    report_table,
)
from agents.prm.selection import Selection, select, split_by_problem
from agents.prm.storage import LabelledResponse, read_labels
from agents.sequences import length_buckets, pad_tokens
from agents.telemetry import RunLogger
from codegym.errors import ConfigurationError

__all__ = ["Args", "Trained", "run", "score_lines", "train"]


Fit = Literal["line ends", "tokens"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """Process reward model."""

    labels: Path = Path("runs/prm/labels")
    """folder of collected labels"""
    policy: Path | None = None
    """saved policy whose weights the model begins with; None: the first of the labels' policies"""
    selection: Selection = "revised"
    """which responses are learned from"""
    fit: Fit = "line ends"
    """"line ends": a reward model, which is asked there only; "tokens": a value model for every
    token from the first line end on, each with the label of the last line that has ended"""
    validation_every: int = 8
    """one problem of so many is for validation"""
    epochs: int = 8
    """passes over the training responses"""
    batch_size: int = 16
    """responses a step"""
    learning_rate: float = 1e-3
    """peak; falls linearly to a tenth"""
    weight_decay: float = 0.01
    """of AdamW"""
    max_tokens: int = 4096
    """rows x columns of one forward pass; changes memory and speed only"""
    seed: int = 0
    """of the order of the responses"""
    threads: int = 1
    """of torch, for each model that is computed"""
    device: str = "cpu"
    """of the model"""
    out: Path = Path("runs/prm/model")
    """gets the model, report.json, calibration.png and the logs"""


@dataclasses.dataclass(frozen=True, slots=True)
class Trained:
    """A model and what it is worth on problems that it was not trained on.

    Attributes:
        model: With the weights of the best epoch.
        rows: Reports on validation lines, by name.
        best_epoch: From 1.
        training: Responses trained on.
        validation: Responses held out.
    """

    model: ProcessRewardModel
    rows: dict[str, ScoreReport]
    best_epoch: int
    training: int
    validation: int


@torch.inference_mode()
def score_lines(
    model: ProcessRewardModel, responses: Sequence[LabelledResponse], *, max_tokens: int = 8192
) -> dict[int, list[float]]:
    """Scores of all lines.

    Args:
        model: In evaluation mode.
        responses: Whose lines are scored.
        max_tokens: Rows x columns of a forward pass.

    Returns:
        Index of the response -> (T,) scores.
    """
    found: dict[int, list[float]] = {}
    if not responses:
        return found
    for rows, ids, ends, mask, _ in _groups(
        responses, range(len(responses)), max_tokens, "line ends"
    ):
        scores = model(ids.to(model.device)).gather(1, ends.to(model.device)).cpu()
        for i, row, keep in zip(rows, scores, mask, strict=True):
            found[i] = row[keep].tolist()
    return found


def train(
    model: ProcessRewardModel,
    training: Sequence[LabelledResponse],
    validation: Sequence[LabelledResponse],
    args: Args,
    logger: RunLogger | None = None,
) -> int:
    """Fits the model in place and leaves it with the weights of its best epoch.

    Args:
        model: Changed.
        training: Learned from.
        validation: Chooses the epoch.
        args: Epochs, batch size, learning rate.
        logger: Told of the errors after each epoch.

    Returns:
        The best epoch, from 1.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.learning_rate, weight_decay=args.weight_decay
    )
    rng = np.random.default_rng(args.seed)
    steps = args.epochs * -(-len(training) // args.batch_size)
    done = 0
    best: tuple[float, int, dict[str, Tensor]] | None = None
    for epoch in range(1, args.epochs + 1):
        model.train()
        losses = []
        for batch in np.array_split(
            rng.permutation(len(training)), -(-len(training) // args.batch_size)
        ):
            for group in optimizer.param_groups:
                group["lr"] = args.learning_rate * (1.0 - 0.9 * done / steps)
            losses.append(_step(model, optimizer, training, batch.tolist(), args))
            done += 1
        model.eval()
        error = _mean_error(model, validation, args)
        if logger is not None:
            scalars = {"prm/loss": float(np.mean(losses)), "prm/validation_loss": error}
            logger.scalars(epoch, scalars)
            logger.progress(epoch / args.epochs, f"reward model, epoch {epoch} error {error:.3f}")
        if best is None or error < best[0]:
            best = error, epoch, copy.deepcopy(model.state_dict())
    assert best is not None
    model.load_state_dict(best[2])
    return best[1]


def _step(
    model: ProcessRewardModel,
    optimizer: torch.optim.Optimizer,
    responses: Sequence[LabelledResponse],
    batch: Sequence[int],
    args: Args,
) -> float:
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for _, ids, ends, mask, labels in _groups(responses, batch, args.max_tokens, args.fit):
        scores = model(ids.to(model.device)).gather(1, ends.to(model.device))
        loss = line_loss(scores, labels.to(model.device), mask.to(model.device)).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return total


def line_loss(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the lines of each response, or over what else is scored.

    Args:
        scores: (B, T).
        labels: (B, T).
        mask: (B, T) bool: where there is a line.

    Returns:
        (B,).
    """
    error = torch.where(mask, (scores - labels) ** 2, torch.zeros_like(scores))
    return error.sum(1) / mask.sum(1)


@torch.inference_mode()
def _mean_error(
    model: ProcessRewardModel, responses: Sequence[LabelledResponse], args: Args
) -> float:
    total, every = 0.0, range(len(responses))
    for _, ids, places, mask, labels in _groups(responses, every, args.max_tokens, args.fit):
        scores = model(ids.to(model.device)).gather(1, places.to(model.device)).cpu()
        total += float(line_loss(scores, labels, mask).sum())
    return total / len(responses)


def _targets(response: LabelledResponse, fit: Fit) -> tuple[Sequence[int], Sequence[float]]:
    """Columns whose scores are fitted, and to which labels."""
    if fit == "line ends":
        return response.line_ends, response.labels
    columns = range(response.line_ends[0], len(response.input_ids))
    after = dict(zip(response.line_ends, response.labels, strict=True))
    labels, last = [], 0.0
    for column in columns:
        last = after.get(column, 0.0) or last  # a neutral line changes nothing
        labels.append(last)
    return columns, labels


def _groups(
    responses: Sequence[LabelledResponse],
    chosen: Sequence[int] | range,
    max_tokens: int,
    fit: Fit,
) -> Iterator[tuple[list[int], Tensor, Tensor, Tensor, Tensor]]:
    """Groups of similar length: rows, ids (B, T), columns, mask and labels (B, columns)."""
    length = torch.tensor([len(response.input_ids) for response in responses])
    for index in length_buckets(length, torch.tensor(list(chosen)), max_tokens=max_tokens):
        rows = index.tolist()
        group = [responses[i] for i in rows]
        ids, _ = pad_tokens([response.input_ids for response in group], pad_id=0)
        columns, wanted = zip(*(_targets(response, fit) for response in group), strict=True)
        places, count = pad_tokens(columns, pad_id=0)
        mask = torch.arange(places.shape[1]) < count[:, None]
        labels = torch.zeros(mask.shape)
        labels[mask] = torch.tensor([float(label) for row in wanted for label in row])
        yield rows, ids, places, mask, labels


def run(args: Args, logger: RunLogger) -> Trained:
    """The command.

    Args:
        args: The command line.
        logger: Where to report.

    Returns:
        The model, which is saved in ``out`` as well, and its report.

    Raises:
        ConfigurationError: If there is no label to train on.
        DataError: If the folder holds no labels.
    """
    set_up_torch(args.threads, args.device)
    found = read_labels(args.labels)
    for line in found.skipped:
        logger.note(f"{args.labels}: {line}; left out.")
    if not found.responses:
        raise ConfigurationError(
            f"{args.labels} holds no labelled response. Collect some with "
            "`python -m agents.prm.collect`."
        )
    # All of the validation problems: what is left out of training is met in use all the same.
    training, validation = split_by_problem(found.responses, every=args.validation_every)
    training = select(training, args.selection)
    start = args.policy or Path(found.manifest["policies"][0]["folder"])
    policy = CausalLMPolicy.from_pretrained(start)
    vocabulary = found.manifest["vocabulary_sha256"]
    model = ProcessRewardModel.from_policy(policy, vocabulary=vocabulary).to(args.device)
    _check_tokens(model, found.responses, args.labels)
    best_epoch = train(model, training, validation, args, logger)
    logger.end_progress()
    data = _lines(model, validation)
    rows = breakdown(data)
    model.save_pretrained(args.out)
    plot_calibration(data, args.out / "calibration.png")
    _write(args, rows, data, best_epoch, (len(training), len(validation)))
    logger.show(report_table("process reward model on validation problems", rows))
    logger.note(
        f"PRM: {len(training)} responses ({args.selection}), best epoch {best_epoch} of "
        f"{args.epochs}; saved in {args.out}"
    )
    return Trained(model, rows, best_epoch, len(training), len(validation))


def _lines(model: ProcessRewardModel, responses: Sequence[LabelledResponse]) -> LineScores:
    scores = score_lines(model, responses)
    places = {id(response): i for i, response in enumerate(responses)}
    return gather(responses, lambda response: scores[places[id(response)]])


def _check_tokens(
    model: ProcessRewardModel, responses: Sequence[LabelledResponse], folder: Path
) -> None:
    largest = max(max(response.input_ids) for response in responses)
    if largest >= model.vocab_size:
        raise ConfigurationError(
            f"The labels in {folder} hold the token {largest}, but the model has "
            f"{model.vocab_size} tokens. Start from a policy with the labels' tokenizer."
        )


def _write(
    args: Args,
    rows: dict[str, ScoreReport],
    data: LineScores,
    best_epoch: int,
    sizes: tuple[int, int],
) -> None:
    report = {
        "arguments": dataclasses.asdict(args),
        "best_epoch": best_epoch,
        "training_responses": sizes[0],
        "validation_responses": sizes[1],
        "validation": {name: dataclasses.asdict(row) for name, row in rows.items()},
        "calibration": calibration(data),
    }
    (args.out / "report.json").write_text(json.dumps(report, indent=1, default=str) + "\n")


def _main() -> None:
    args = command_line(Args)
    with RunLogger(args.out) as logger:
        run(args, logger)


if __name__ == "__main__":
    main(_main)
