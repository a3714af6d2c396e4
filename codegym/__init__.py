"""codegym: Gymnasium environments in which a token is an action and a program is an episode.

Importing this package registers every ``CodeGen-...`` id with Gymnasium. It loads neither torch
nor transformers; the agents live beside the package, in ``agents/``.

The rooms stand in the order in which data flows, and a room imports only from rooms before it:

==================  =======================================================================
problems            what is asked?
tokenization        what is an action?
programs            what has been written?
start_states        where does it begin?
execution           what happened when it ran?
grading             is it right?
masks               what may be learned?
rewards             what is it worth?
envs                how is it stepped?
wrappers            how is it changed without being touched?
integrations        how do other people's trainers use it?
==================  =======================================================================
"""

from codegym import (
    envs,
    errors,
    execution,
    grading,
    integrations,
    masks,
    problems,
    programs,
    rewards,
    start_states,
    tokenization,
    wrappers,
)
from codegym.envs import CodeEnv, CodeVectorEnv
from codegym.errors import CodegymError
from codegym.execution import ExecutionLimits, LocalExecutor
from codegym.grading import Grade, Grader, Verdict
from codegym.problems import Problem, ProblemSet, load_problems
from codegym.registration import ENVIRONMENTS, register_environments

__all__ = [
    "ENVIRONMENTS",
    "CodeEnv",
    "CodeVectorEnv",
    "CodegymError",
    "ExecutionLimits",
    "Grade",
    "Grader",
    "LocalExecutor",
    "Problem",
    "ProblemSet",
    "Verdict",
    "__version__",
    "envs",
    "errors",
    "execution",
    "grading",
    "integrations",
    "load_problems",
    "masks",
    "problems",
    "programs",
    "register_environments",
    "rewards",
    "start_states",
    "tokenization",
    "wrappers",
]

__version__ = "0.1.0"

register_environments()
