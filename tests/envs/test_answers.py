"""Episodes in which a chat model answers as it likes, and the program is found in the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codegym.envs import (
    AnswerFormat,
    CodeEnv,
    CodeVectorEnv,
    ProgramInAnswer,
    Prompt,
    make_prompt_format,
)
from codegym.errors import ConfigurationError
from codegym.grading import Grader
from codegym.integrations import grade_completion, mask_for
from codegym.problems import CallTest, Problem, ProblemSet, StdinTest
from tests.envs.scorers import process_reward
from tests.envs.test_chat import TEMPLATES, byte_level, wrap

SETTINGS: dict[str, Any] = {"context_length": 4000, "max_new_tokens": 2000}
PROGRAM = "def f(x):\n    if x > 100:\n        return 0\n    return x\n"
THINKING = TEMPLATES["chatml"][0].replace("assistant\n", "assistant\n<think>\n")
ASKED = Problem(
    "p", "Return x.", "def f(x):\n    return x\n", (CallTest((1,), 1),), entry_point="f"
)
SILENT = Problem("q", "Print nothing.", "pass\n", (StdinTest("", ""),))

ANSWERS = {
    "prose and a fence": f"It is x itself.\n```python\n{PROGRAM}```\nThat is all.",
    "reasoning, with a draft": f"<think>\n```python\nx = 1\n```\n</think>\n```python\n{PROGRAM}```",
    "cut off": f"So:\n```python\n{PROGRAM}",
    "a program as a whole": PROGRAM,
    "reasoning that does not end": f"<think>\n```python\n{PROGRAM}```\n",
    "another language": "```bash\nls\n```\n",
    "nothing": "",
}


def template(text: str = TEMPLATES["chatml"][0]) -> Any:
    return wrap(byte_level(), text)


def arguments(grader: Grader, **more: Any) -> dict[str, Any]:
    return {
        "problems": ProblemSet.of([ASKED]), "tokenizer": template(), "prompt_format": "answer",
        "grader": grader, **SETTINGS, **more,
    }  # fmt: skip


def play(env: CodeEnv, answer: str) -> tuple[float, dict[str, Any], list[int]]:
    """Writes an answer and the end token after a reset; what the last step returned."""
    tokens = [*env.tokenizer.encode(answer), env.tokenizer.end_id]
    for token in tokens[:-1]:
        _, reward, terminated, truncated, _ = env.step(token)
        assert (reward, terminated, truncated) == (0.0, False, False)
    _, reward, terminated, _, info = env.step(tokens[-1])
    assert terminated
    return float(reward), info, tokens


@pytest.mark.parametrize("name", ANSWERS)
def test_grade_and_mask_are_those_of_a_trainer(name: str, grader: Grader) -> None:
    answer = ANSWERS[name]
    env = CodeEnv(**arguments(grader))
    _, start = env.reset(seed=0)
    reward, info, tokens = play(env, answer)
    grade = grade_completion(answer, ASKED, grader=grader)
    assert info["verdict"] == grade.verdict.value
    assert reward == (1.0 if grade.solved else -1.0)
    assert info["program"] == ("" if grade.program is None else grade.program.text)
    assert info["executed_lines"] == tuple(sorted(grade.executed_lines))
    first = start["start_length"]
    mask = info["loss_mask"]
    assert mask[first : first + len(tokens)].tolist() == mask_for(tokens, env.tokenizer, grade)
    assert not mask[:first].any()
    assert not mask[first + len(tokens) :].any()
    env.close()


def test_what_is_expected_of_some() -> None:
    """So that the test before does not compare two things that are wrong in the same way."""
    with Grader() as grader:
        env = CodeEnv(**arguments(grader))
        for name, verdict in {
            "prose and a fence": "accepted",
            "reasoning, with a draft": "accepted",
            "reasoning that does not end": "compile_error",
            "nothing": "compile_error",
        }.items():
            _, start = env.reset(seed=0)
            _, info, tokens = play(env, ANSWERS[name])
            assert info["verdict"] == verdict
            mask = info["loss_mask"][start["start_length"] :][: len(tokens)]
            spelled = [env.tokenizer.token_bytes(token) for token in tokens]
            left_out = b"".join(s for s, m in zip(spelled, mask, strict=True) if not m).decode()
            assert left_out.strip() == ("return 0" if verdict == "accepted" else "")
        env.close()


def test_tokens_around_the_program_can_be_left_out(grader: Grader) -> None:
    tokenizer = template()
    env = CodeEnv(**arguments(grader, prompt_format=AnswerFormat(tokenizer, outside=0)))
    env.reset(seed=0)
    answer = ANSWERS["prose and a fence"]
    _, info, tokens = play(env, answer)
    grade = grade_completion(answer, ASKED, grader=grader)
    first = info["start_length"]
    mask = info["loss_mask"][first : first + len(tokens)]
    assert mask.tolist() == mask_for(tokens, env.tokenizer, grade, outside=0)
    assert mask[0] == 0
    assert mask[-1] == 1
    env.close()


def test_reasoning_that_the_template_begins(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader, tokenizer=template(THINKING)))
    obs, start = env.reset(seed=0)
    shown = env.tokenizer.decode(obs["input_ids"][: start["prompt_length"]].tolist())
    assert shown.endswith("<think>\n")
    _, info, _ = play(env, f"Hm.\n```python\n{PROGRAM}```\n")
    assert (info["verdict"], info["program"]) == ("compile_error", "")
    env.reset(seed=0)
    _, info, _ = play(env, f"Hm.\n</think>\n{PROGRAM}")
    assert (info["verdict"], info["program"]) == ("accepted", "\n" + PROGRAM)
    env.close()


def test_no_program_is_never_accepted_where_printing_nothing_is_right(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader, problems=ProblemSet.of([SILENT])))
    env.reset(seed=0)
    reward, info, _ = play(env, "")
    assert (reward, info["verdict"], info["coverage"]) == (-1.0, "compile_error", 0.0)
    env.reset(seed=0)
    assert play(env, "```python\npass\n```")[1]["verdict"] == "accepted"
    env.close()


@pytest.mark.parametrize("judging", ["sync", "async"])
def test_a_vector_environment_says_the_same(judging: Any, grader: Grader) -> None:
    written = [ANSWERS[name] for name in ("prose and a fence", "nothing", "cut off")]
    envs = CodeVectorEnv(len(written), judging=judging, autoreset_mode="DISABLED",
                         **arguments(grader))  # fmt: skip
    envs.reset(seed=0)
    found: dict[int, Any] = {}
    for i, answer in enumerate(written):
        envs.submit(i, [*envs.tokenizer.encode(answer), envs.tokenizer.end_id])
    while len(found) < len(written):
        _, _, terminated, _, infos = envs.collect()
        for i in np.flatnonzero(terminated).tolist():
            found[i] = {key: infos[key][i] for key in ("program", "verdict", "loss_mask")}
    env = CodeEnv(**arguments(grader))
    for i, answer in enumerate(written):
        env.reset(seed=0)
        info = play(env, answer)[1]
        assert found[i]["program"] == info["program"]
        assert found[i]["verdict"] == info["verdict"]
        assert np.array_equal(found[i]["loss_mask"], info["loss_mask"])
    env.close()
    envs.close()


def test_a_literal_prefix_begins_the_answer(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader))
    begun = f"Look:\n```python\n{PROGRAM[:20]}"
    _, start = env.reset(options={"prefix": begun})
    _, info, tokens = play(env, PROGRAM[20:] + "```\n```python\nx = 1\n```\n")
    assert info["verdict"] == "accepted"  # the block that is open where the prefix ends counts
    mask = info["loss_mask"][start["start_length"] :][: len(tokens)]
    assert 0 < mask.sum() < len(tokens)
    env.close()


def test_bytes_that_are_no_text(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader, tokenizer=template()))
    env.reset(seed=0)
    by_bytes = {env.tokenizer.token_bytes(t): t for t in range(env.tokenizer.vocab_size)}
    for piece in (b"\xff", *(bytes([b]) for b in b"\n```python\nx = '"), b"\x80", b"'"):
        env.step(by_bytes[piece])
    *_, info = env.step(env.tokenizer.end_id)
    assert info["program"] == "x = '\udc80'"
    assert info["verdict"] != "accepted"
    env.close()


def test_what_an_answer_cannot_be_combined_with(grader: Grader) -> None:
    for start in ("cccs", "uniform", "lines"):
        with pytest.raises(ConfigurationError, match='start="empty"'):
            CodeEnv(**arguments(grader, start=start))
    with pytest.raises(ConfigurationError, match="process reward"):
        CodeEnv(**arguments(grader, reward=process_reward("outcome")))
    with pytest.raises(ConfigurationError, match="header nor stop"):
        Prompt("text", header="def f(x):\n", answer=ProgramInAnswer())
    for wrong in (2, True, None, "1"):
        with pytest.raises(ConfigurationError, match="outside"):
            ProgramInAnswer(outside=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="begun"):
        ProgramInAnswer(begun=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="chat template"):
        make_prompt_format("answer", "byte")


def test_it_is_shown(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader), render_mode="ansi")
    env.reset(seed=0)
    assert "the program in the answer" in str(env.render())
    play(env, ANSWERS["prose and a fence"])
    shown = str(env.render())
    assert "return x" in shown
    assert "That is all" not in shown
    env.close()


def test_snapshots_go_on_in_the_answer(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader))
    env.reset(seed=0)
    for token in env.tokenizer.encode(f"So:\n```python\n{PROGRAM}"):
        env.step(token)
    saved = env.save_state()
    first = play(env, "```\n")[1]
    env.restore_state(saved)
    again = play(env, "```\n")[1]
    assert first["program"] == again["program"] == PROGRAM
    env.close()


def test_tags_that_are_special_tokens_are_seen(grader: Grader) -> None:
    tokenizer = template()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    env = CodeEnv(**arguments(grader, tokenizer=tokenizer))
    env.reset(seed=0)
    begin, end = tokenizer.convert_tokens_to_ids(["[THINK]", "[/THINK]"])
    draft = env.tokenizer.encode(f"Try:\n```python\n{PROGRAM}```\nNo.")
    for token in [begin, *draft, end, *env.tokenizer.encode("I cannot solve it.")]:
        env.step(token)
    _, reward, _, _, info = env.step(env.tokenizer.end_id)
    assert (reward, info["program"]) == (-1.0, "I cannot solve it.")
    env.close()


def test_a_prefix_of_tokens_may_end_within_a_character(grader: Grader) -> None:
    env = CodeEnv(**arguments(grader))
    answer = "```python\ndef f(x):\n    s = 'é'\n    return x\n```"
    by_bytes = {env.tokenizer.token_bytes(t): t for t in range(env.tokenizer.vocab_size)}
    tokens = [by_bytes[bytes([byte])] for byte in answer.encode()]
    cut = answer.encode().index(b"\xc3") + 1
    env.reset(options={"prefix": tokens[:cut]})
    for token in tokens[cut:]:
        env.step(token)
    info = env.step(env.tokenizer.end_id)[4]
    assert info["verdict"] == "accepted"
    assert "'é'" in info["program"]
    env.close()
