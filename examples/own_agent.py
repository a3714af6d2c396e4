"""An agent of your own: an n-gram table that reinforces what was executed.

    python examples/own_agent.py

It resets into the middle of a solution, ever earlier, samples the rest one token at a time, and
moves the logits of the tokens that the loss mask names by the reward. NumPy is all it needs.
"""

from __future__ import annotations

import collections

import gymnasium
import numpy as np
import numpy.typing as npt

import codegym

CONTEXT = 4  # tokens that the agent looks back
STEP_SIZE = 3.0
STREAK = 2  # successes in a row before the episodes begin one token earlier


class NGramAgent:
    """A table of logits, with one row for each context of the last tokens.

    Args:
        alphabet: Token ids that it can choose from, (A,) int64.
        seed: Of its random choices.
    """

    def __init__(self, alphabet: npt.NDArray[np.int64], seed: int) -> None:
        self.alphabet, self.rng = alphabet, np.random.default_rng(seed)
        self.logits: dict[tuple[int, ...], npt.NDArray[np.float64]] = collections.defaultdict(
            lambda: np.zeros(len(alphabet))
        )

    def act(self, tokens: npt.NDArray[np.int64]) -> int:
        """Samples the token that follows these."""
        weights = np.exp(self.logits[tuple(tokens[-CONTEXT:].tolist())])
        return int(self.rng.choice(self.alphabet, p=weights / weights.sum()))

    def learn(
        self, tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int8], reward: float
    ) -> None:
        """Reinforces the tokens with mask 1; `tokens` and `mask` have one length."""
        for t in np.flatnonzero(mask):
            context = tuple(tokens[max(0, t - CONTEXT) : t].tolist())
            self.logits[context][self.alphabet == tokens[t]] += STEP_SIZE * reward


def main() -> None:
    """Learns one program from its end to its beginning."""
    env = gymnasium.make("CodeGen-Mini-v0", difficulty="introductory", size=1, reward="binary")
    code_env = env.unwrapped
    assert isinstance(code_env, codegym.CodeEnv)
    solution = code_env.tokenizer.encode(code_env.task.reference(code_env.problems[0]).rest)
    agent = NGramAgent(np.unique([*solution, code_env.tokenizer.end_id]), seed=0)

    given, streak, episodes = len(solution) - 1, 0, 0
    while given >= 0:
        obs, info = env.reset(seed=episodes, options={"prefix": solution[:given]})
        length, done = info["start_length"], False
        while not done:
            action = agent.act(obs["input_ids"][:length])
            obs, reward, terminated, truncated, info = env.step(action)
            length, done = length + 1, terminated or truncated
        agent.learn(obs["input_ids"][:length], info["loss_mask"][:length], float(reward))
        episodes, streak = episodes + 1, streak + 1 if reward else 0
        if streak == STREAK:
            if given % 5 == 0:
                print(f"{given:3d} of {len(solution)} tokens given: solved after {episodes:4d}")
            given, streak = given - 1, 0
    print(f"The agent writes the whole program:\n{info['program']}")
    env.close()


if __name__ == "__main__":
    main()
