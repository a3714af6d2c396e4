"""A block of iterations in processes of its own: each begins with nothing learned, cached or warm.

    python -m benchmarks.training_peers.block FOLDER

FOLDER has what :func:`run` put there. Each process writes what it did beside it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from agents.environments import make_grader
from agents.parallel import ALONE, joined
from benchmarks.training_peers import ours
from benchmarks.training_peers.job import Arm, Iteration, Job, Share, together

__all__ = ["run"]

_LAUNCH = (
    *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"),
    *("--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"),
)


def run(job: Job, arm: Arm, seed: int) -> list[Iteration]:
    """A block of iterations.

    Args:
        job: What is to be done.
        arm: By whom.
        seed: Of the block.

    Returns:
        One for each iteration after the first.

    Raises:
        RuntimeError: If a process fails; with what it wrote.
    """
    launch = (*_LAUNCH, "--num_processes", str(arm.processes)) if arm.processes > 1 else ()
    threads = max(1, (job.args.threads or 1) // arm.processes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.pickle").write_bytes(pickle.dumps((job, arm, seed, threads)))
        done = subprocess.run(
            [sys.executable, *launch, "-m", __name__, name],
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arm} ended with {done.returncode}:\n{done.stdout}")
        shares = [
            [Share(**share) for share in json.loads((folder / f"{k}.json").read_text())]
            for k in range(arm.processes)
        ]
    return list(together(shares, job.args.episodes))


def _main(folder: Path) -> None:
    # Only this benchmark wrote it.
    job, arm, seed, threads = pickle.loads((folder / "job.pickle").read_bytes())
    torch.set_num_threads(threads)
    settings = dataclasses.replace(
        job.args, workers=max(1, len(os.sched_getaffinity(0)) // arm.processes)
    )
    with make_grader(settings) as grader:
        if arm.trainer == "trl":
            # Not an import statement: it needs TRL. TRL joins the processes itself.
            grpo = importlib.import_module("benchmarks.training_peers.grpo")
            index, shares = int(os.environ.get("RANK", "0")), grpo.run(job, arm, grader, seed)
        elif arm.processes > 1:
            with joined() as processes:
                index = processes.index
                shares = ours.run(job, arm, grader, seed, processes)
        else:
            index, shares = 0, ours.run(job, arm, grader, seed, ALONE)
    rows = [dataclasses.asdict(share) for share in shares]
    (folder / f"{index}.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
