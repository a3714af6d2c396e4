"""One episode from reset to verdict: a token is an action, a program an episode.

    python examples/first_episode.py

The agent is perfect: it knows the canonical solution. The episode begins in the middle of that
solution, where the curriculum over start states places it, and the agent writes the rest.
"""

from __future__ import annotations

import gymnasium

import codegym


def main() -> None:
    """Plays one episode and prints what each part of it looks like."""
    env = gymnasium.make(
        "CodeGen-Mini-v0", render_mode="ansi", difficulty="interview", start="cccs"
    )
    obs, info = env.reset(seed=1)
    code_env = env.unwrapped
    assert isinstance(code_env, codegym.CodeEnv)
    tokenizer = code_env.tokenizer

    begun = tokenizer.decode(obs["input_ids"][: info["start_length"]])
    print(f"problem {info['problem_id']}, stage {info['stage']} of {info['num_stages']}")
    print("--- what the agent sees: the prompt, and the code that is given ---")
    print(begun)

    # In Mini the prompt begins the program, so what is left to write is what follows it.
    solution = code_env.problems.by_id(info["problem_id"]).canonical_solution
    rest = tokenizer.encode(solution[len(begun) :])
    print(f"--- the agent writes {len(rest)} tokens and the end token ---")
    for token in [*rest, tokenizer.end_id]:
        assert not info.get("verdict"), "the episode has ended before"
        obs, reward, terminated, truncated, info = env.step(token)
    print(env.render())

    print("--- what it is worth, and what may be learned ---")
    print(f"terminated {terminated}, truncated {truncated}, reward {reward}: {info['verdict']}")
    print(f"terms of the reward: {info['reward_terms']}")
    generated = len(rest) + 1
    print(f"{info['loss_mask'].sum()} of {generated} generated tokens were executed")
    env.close()


if __name__ == "__main__":
    main()
