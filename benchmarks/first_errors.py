"""How a policy's programs for Mini problems go wrong first: by a typical mistake, or by copying."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agents.environments import TaskSettings, make_envs, make_grader, make_tokenizer
from agents.policy import CausalLMPolicy
from agents.rollout import Sampling, play
from benchmarks.process_reward.tree import Script
from codegym.envs import make_prompt_format
from codegym.problems import Problem, ProblemSet, flawed_solution

__all__ = ["first_error", "first_errors"]


def first_error(problem: Problem, program: str) -> str:
    """Where a wrong program leaves the canonical one.

    Args:
        problem: A Mini problem.
        program: The whole program.

    Returns:
        ``"typical"`` if the first difference is one that the weak coder would make, else
        ``"copying"``.
    """

    def written(wrong: Sequence[bool]) -> str:
        return flawed_solution(problem, Script(wrong), rate=1.0)  # type: ignore[arg-type]  # random()

    probe = Script(())
    flawed_solution(problem, probe, rate=1.0)  # type: ignore[arg-type]  # random()
    wrong: list[bool] = []
    for _ in range(probe.asked):  # clause by clause, what agrees with the program longer
        agrees = [_common(written([*wrong, choice]), program) for choice in (False, True)]
        wrong.append(agrees[1] > agrees[0])
    coder = written(wrong)
    return "typical" if _common(coder, written(())) < _common(coder, program) else "copying"


def first_errors(
    policy: CausalLMPolicy, settings: TaskSettings, problems: ProblemSet
) -> dict[str, int]:
    """How often the greedy programs of a policy fail, and by which error first.

    Args:
        policy: Writes them.
        settings: Say what the environment is.
        problems: Mini problems, each tried once from the empty prefix.

    Returns:
        Number of programs by ``"solved"``, ``"typical"`` and ``"copying"``.
    """
    tokenizer = make_tokenizer(settings.tokenizer)
    prompt_format = make_prompt_format(settings.prompt_format, tokenizer)
    size = len(problems)
    with make_grader(settings) as grader:
        envs = make_envs(
            settings, problems, start="empty", grader=grader, tokenizer=tokenizer, num_envs=size
        )
        try:
            sequences = play(
                policy,
                envs,
                episodes=size,
                seed=0,
                sampling=Sampling(0.0),
                options=[{"problem_id": list(problems.ids)}],
            ).sequences
        finally:
            envs.close()
    found: Counter[str] = Counter()
    for row, problem in enumerate(problems):
        written = sequences.input_ids[row, sequences.start_length[row] : sequences.length[row]]
        header = prompt_format.render(problem).header
        program = header + tokenizer.decode(written[written != tokenizer.end_id].tolist())
        found["solved" if sequences.solved[row] else first_error(problem, program)] += 1
    return dict(found)


def _common(a: str, b: str) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
