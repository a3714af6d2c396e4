"""A run from beginning to end: what every command that trains has around its method."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TypeVar

import codegym
from agents import checkpoint
from agents.command import command_line, resumed_folder, set_up_torch
from agents.dry_run import show
from agents.environments import make_grader, make_tokenizer
from agents.folders import recover
from agents.memory import watched_memory
from agents.parallel import ALONE, Processes
from agents.run_settings import RunSettings
from agents.telemetry import RunLogger
from agents.tracking import Tracker
from agents.trainer import Trainer

__all__ = ["command", "train"]

Settings = TypeVar("Settings", bound=RunSettings)
Trained = TypeVar("Trained", bound=Trainer)


def train(
    make: Callable[..., Trained],
    args: RunSettings,
    logger: RunLogger,
    *,
    screen: RunLogger | None = None,
    grader: codegym.Grader | None = None,
    processes: Processes = ALONE,
) -> Trained:
    """A whole run.

    Args:
        make: Makes the trainer from ``args``, with ``grader``, ``logger`` and ``screen``: the
            method's :meth:`Trainer.make`.
        args: The settings.
        logger: Keeps the scalars.
        screen: Shows progress and notes, if not `logger` does.
        grader: Judges; by default one of its own.
        processes: Those that train together, if the method is made for several.

    Returns:
        The trainer at its end, its environments closed.
    """
    set_up_torch(args.threads, args.device)
    with contextlib.ExitStack() as stack:
        sizes = ("microbatch_tokens", "num_envs")
        stack.enter_context(watched_memory(args, *sizes, good=args.out / "good"))
        if args.track is not None and processes.is_first:
            settings = dataclasses.asdict(args)
            logger.tracker = stack.enter_context(
                Tracker(args.track, out=args.out, settings=settings)
            )
            stack.callback(setattr, logger, "tracker", None)
        here = dataclasses.replace(args, workers=processes.workers(args.workers))
        judge = grader or stack.enter_context(make_grader(here))
        trainer = make(args, grader=judge, logger=logger, screen=screen, processes=processes)
        stack.callback(trainer.close)
        if args.advice:
            (screen or logger).note(args.advice)
        trainer.train()
        if logger.tracker is not None:
            logger.tracker.scalars(trainer.iteration, trainer.totals())
    (screen or logger).note(trainer.summary())
    return trainer


def command(
    settings: type[Settings],
    run: Callable[[Settings, RunLogger], object],
    processes: Processes = ALONE,
) -> None:
    """Reads the command line and runs; a run that is resumed takes its settings from before.

    Args:
        settings: The method's settings.
        run: The method's run.
        processes: All that were launched with this command line.
    """
    begun = None
    if (folder := resumed_folder()) is not None:
        if processes.is_first:
            recover(folder)
        processes.wait()
        begun = checkpoint.saved_settings(folder, settings)
    # What the command line does not say is as it was.
    args = command_line(settings, default=begun)
    if args.dry_run and processes.is_first:
        tokenizer = make_tokenizer(args.tokenizer, args.prompt_format)
        show(args, vocab_size=tokenizer.vocab_size, processes=processes)
    if args.dry_run:
        return
    resume_at = None
    if args.resume is None:
        if processes.is_first:  # which may have begun to write when another one comes here
            checkpoint.refuse_to_replace(args.out)
    else:
        done = checkpoint.saved_iteration(args.resume)
        resume_at = done + 1 if done else 0  # before the first iteration, success is measured again
    if processes.device is not None:
        args = dataclasses.replace(args, device=processes.device)
    with RunLogger(args.out, resume_at=resume_at, silent=not processes.is_first) as logger:
        run(args, logger)
