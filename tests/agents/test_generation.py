"""Engines write what the policy would write, and episodes end where the environment says so."""

from __future__ import annotations

import dataclasses
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from rich.console import Console
from transformers import GenerationConfig

import codegym
from agents import dry_run, evaluate, ppo
from agents.checkpoint import saved_iteration
from agents.completions import Completions, Prefix
from agents.decoding import Decoder
from agents.engines import use_engine
from agents.environments import load_split, make_envs, make_grader, make_tokenizer
from agents.generation import IntArray, Request, Sampling
from agents.hf_generate import HFGenerate
from agents.methods import prorl
from agents.models import ModelSettings, make_policy
from agents.policy import CausalLMPolicy
from agents.prm import collect
from agents.rollout import play, write
from agents.running import train
from agents.sequences import Sequences, pad_tokens
from agents.telemetry import RunLogger
from agents.vllm_engine import VLLM
from codegym.envs import CodeVectorEnv, CompletionFormat
from codegym.errors import ConfigurationError, EpisodeError
from codegym.problems import Problem, ProblemSet, StdinTest
from tests.agents.fake_env import VOCAB, CopyEnv

from .checkpoints import CONFIGS, save_checkpoint
from .fake_vllm import fake_vllm

ACTIONS = 500  # of 512 tokens that the models have
GREEDY = Sampling(0.0)
PROMPTS: list[list[int]] = [[5, 6, 7], [9], [1, 2, 3, 4, 5, 6, 7, 8], [400, 3]]

TINY: Any = {
    "model_width": 16,
    "model_layers": 1,
    "problems": 4,
    "num_envs": 6,
    "episodes": 12,
    "max_new_tokens": 6,
    "warmup_updates": 0,
    "eval_every": 0,
    "anneal": False,
    "fgo": False,
    "workers": 1,
    "threads": 1,
}


@pytest.fixture(scope="module")
def grader() -> Iterator[codegym.Grader]:
    with make_grader(ppo.Args(workers=1)) as grader:
        yield grader


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake_vllm()
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")  # what this changes is put back
    return module


def _policy(kind: str, folder: Path, *, rank: int = 0) -> CausalLMPolicy:
    """Of random weights that would rather write a token that is no action."""
    base = save_checkpoint(kind, folder, initializer_range=0.3)
    settings = ModelSettings(model=str(base), lora_rank=rank)
    policy = make_policy(settings, vocab_size=ACTIONS, seed=0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        policy.trunk.get_output_embeddings().weight[ACTIONS:] *= 10.0  # type: ignore[no-untyped-call]
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    return policy


def _requests(new: Sequence[int]) -> list[Request]:
    return [Request(np.array(p), n) for p, n in zip(PROMPTS, new, strict=True)]


def _collect(engine: Any, new: Sequence[int], **how: Any) -> list[list[int]]:
    given = {"end_ids": [0], "sampling": GREEDY, "seed": 0, **how}
    return [tokens.tolist() for tokens in engine.collect(engine.submit(_requests(new), **given))]


def _by_hand(policy: CausalLMPolicy, new: Sequence[int], end_ids: Sequence[int]) -> Any:
    """Greedy tokens from the decoder."""
    ids, length = pad_tokens(PROMPTS, pad_id=0)
    decoder = Decoder(policy, ids, length, reserve=max(new))
    columns = []
    for _ in range(max(new)):
        columns.append(decoder.logits.argmax(1))
        decoder.append(columns[-1])
    rows = [row[:n] for row, n in zip(torch.stack(columns, 1).tolist(), new, strict=True)]
    ends = [next((k for k, t in enumerate(row) if t in end_ids), len(row)) for row in rows]
    return [row[: end + 1] for row, end in zip(rows, ends, strict=True)]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("rank", [0, 2])
def test_generate_writes_what_the_decoder_writes(kind: str, rank: int, tmp_path: Path) -> None:
    policy = _policy(kind, tmp_path, rank=rank)
    engine, new = HFGenerate(policy), (12, 3, 12, 9)
    whole = _by_hand(policy, new, ())
    assert _collect(engine, new, end_ids=[511]) == whole, "not one of them is written"
    assert [len(row) for row in whole] == list(new)
    assert max(map(max, whole)) < ACTIONS
    ends = [whole[0][4], whole[2][1]]
    short = _collect(engine, new, end_ids=ends)
    assert short == _by_hand(policy, new, ends)
    assert short != whole
    if rank:
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.data.zero_()
        assert _collect(engine, new, end_ids=[511]) != whole, "the adapter says something"


def test_generate_ends_when_each_row_has_ended_or_is_as_long_as_it_may_be(tmp_path: Path) -> None:
    policy = _policy("llama", tmp_path)
    first_token = _collect(HFGenerate(policy), (1, 1, 1, 1), end_ids=[511])[0]
    passes: list[int] = []
    policy.trunk.model.register_forward_hook(lambda *_: passes.append(1))
    written = _collect(HFGenerate(policy), (50, 2, 3, 4), end_ids=first_token)
    assert written[0] == first_token
    assert len(passes) == max(map(len, written)) <= 4


def test_a_checkpoints_generation_config_changes_nothing(tmp_path: Path) -> None:
    policy = _policy("qwen2", tmp_path)
    engine, new = HFGenerate(policy), (8, 8, 8, 8)
    before = [_collect(engine, new, sampling=s, seed=3) for s in (GREEDY, Sampling())]
    theirs = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=0.01,
        top_k=1,
        top_p=0.1,
        repetition_penalty=5.0,
        no_repeat_ngram_size=1,
        suppress_tokens=list(range(0, ACTIONS, 2)),
        min_new_tokens=8,
        eos_token_id=[before[0][0][0], before[1][0][0]],
        max_length=4,
        num_beams=2,
    )
    policy.trunk.generation_config = theirs
    after = [_collect(engine, new, sampling=s, seed=3) for s in (GREEDY, Sampling())]
    assert after == before
    assert policy.trunk.generation_config is theirs, "an export has it as it was"


def test_a_seed_decides_all_tokens_and_no_global_generator_is_touched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine, new = HFGenerate(_policy("llama", tmp_path)), (20, 20, 20, 20)
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        state = torch.get_rng_state()
        first = _collect(engine, new, sampling=Sampling(), seed=5)
        torch.rand(3)
        assert _collect(engine, new, sampling=Sampling(), seed=5) == first
        assert _collect(engine, new, sampling=Sampling(), seed=6) != first
        torch.set_rng_state(state)
        _collect(engine, new, sampling=Sampling(), seed=7)
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.records == []
    greedy = _collect(engine, new)
    assert _collect(engine, new, sampling=Sampling(top_p=1e-6), seed=5) == greedy
    assert _collect(engine, new, sampling=Sampling(0.001), seed=5) == greedy
    with pytest.raises(ConfigurationError, match="temperature >= 0"):
        _collect(engine, new, sampling=Sampling(-1.0))


def test_waves_are_collected_once_and_in_any_order(tmp_path: Path) -> None:
    engine = HFGenerate(_policy("llama", tmp_path))
    how: Any = {"end_ids": [0], "sampling": Sampling()}
    tickets = [engine.submit(_requests((5, 5, 5, 5)), seed=seed, **how) for seed in (1, 2)]
    second, first = engine.collect(tickets[1]), engine.collect(tickets[0])
    assert [t.tolist() for t in first] == _collect(engine, (5, 5, 5, 5), seed=1, **how)
    assert [t.tolist() for t in second] == _collect(engine, (5, 5, 5, 5), seed=2, **how)
    with pytest.raises(EpisodeError, match="collected already"):
        engine.collect(tickets[0])


class Scripted:
    """Writes what it is told, and notes what it is asked."""

    def __init__(self, continuations: Sequence[Sequence[int]]) -> None:
        self._continuations = [np.array(tokens) for tokens in continuations]
        self.asked: list[dict[str, Any]] = []

    def submit(self, requests: Sequence[Request], **how: Any) -> int:
        self.asked.append({"requests": list(requests), **how})
        return len(self.asked)

    def collect(self, ticket: int) -> list[IntArray]:
        assert ticket == len(self.asked)
        return self._continuations


ECHO = Problem(
    id="echo",
    description="Print the line that is read.",
    canonical_solution="print(input())\n",
    tests=(StdinTest("a\n", "a\n"),),
)
TEXTS = (
    "print(input())$zzz",  # ends with the end token
    "print(input())\n#" + "z" * 20,  # with a stop sequence
    "x = 1\n" + "z" * 30,  # with the budget
    "$" + "z" * 30,
    "abcdefghijklmnopqrst$",  # with the end token on the last token of the budget
    "print(input())\nx#" + "z" * 20,  # no stop sequence, so with the budget
)


def _byte_envs(grader: codegym.Grader, *, context: int, judging: Any) -> CodeVectorEnv:
    return CodeVectorEnv(
        len(TEXTS),
        problems=ProblemSet.of([ECHO]),
        grader=grader,
        tokenizer="byte",
        context_length=context,
        max_new_tokens=21,
        prompt_format=CompletionFormat(("\n#",)),
        autoreset_mode=AutoresetMode.DISABLED,
        judging=judging,
        copy=False,
    )


@pytest.mark.parametrize("context", [200, 45])
@pytest.mark.parametrize("judging", ["sync", "async"])
def test_episodes_end_as_if_their_tokens_came_one_by_one(
    grader: codegym.Grader, context: int, judging: str
) -> None:
    envs = _byte_envs(grader, context=context, judging=judging)
    end = envs.tokenizer.end_id
    continuations = [[end if c == "$" else ord(c) for c in text] for text in TEXTS]
    policy = CausalLMPolicy.from_config_tiny(envs.tokenizer.vocab_size, d=16, layers=1)
    policy.engine = engine = Scripted(continuations)
    sequences = play(policy, envs, episodes=len(TEXTS), seed=4, sampling=Sampling(0.5)).sequences

    obs, infos = envs.reset(seed=0)
    start = int(infos["start_length"][0])
    room = min(21, context - start)
    assert room == 21 if context == 200 else room < 21
    (asked,) = engine.asked
    assert asked["end_ids"] == sorted(codegym.tokenization.end_ids(envs.tokenizer))
    assert asked["sampling"] == Sampling(0.5)
    for request in asked["requests"]:
        assert request.max_new_tokens == room
        assert request.prompt.tolist() == obs["input_ids"][0, :start].tolist()
    ended = np.zeros(len(TEXTS), dtype=bool)
    truncated = np.zeros(len(TEXTS), dtype=bool)
    for step in range(60):
        column = [row[step] if step < len(row) else 0 for row in continuations]
        obs, _, terminated, cut, infos = envs.step(np.array(column))
        truncated |= cut
        for i in np.flatnonzero(terminated | cut).tolist():
            ended[i] = True
            length = int(obs["attention_mask"][i].sum())
            assert int(sequences.length[i]) == length
            assert sequences.input_ids[i, :length].tolist() == obs["input_ids"][i, :length].tolist()
            assert sequences.verdict[i] == infos["verdict"][i]
            assert sequences.program[i] == infos["program"][i]
        if ended.all():
            break
    assert sequences.truncated.tolist() == truncated.tolist()
    if context == 200:
        assert sequences.truncated.tolist() == [False, False, True, False, False, True]
        assert sequences.solved.tolist() == [True, True, False, False, False, False]
    envs.close()


def test_an_engine_that_stops_before_the_episode_ends_is_an_error(grader: codegym.Grader) -> None:
    envs = _byte_envs(grader, context=200, judging="async")
    policy = CausalLMPolicy.from_config_tiny(envs.tokenizer.vocab_size, d=16, layers=1)
    policy.engine = Scripted([[envs.tokenizer.end_id]] * 4 + [[65, 66, 67], [65, 66]])
    with pytest.raises(EpisodeError, match=r"after 2 tokens in the sub-envs \[5\]"):
        play(policy, envs, episodes=6, seed=0)
    envs.close()


def test_an_engine_needs_an_environment_of_codegym() -> None:
    policy = CausalLMPolicy.from_config_tiny(VOCAB, d=16, layers=1)
    policy.engine = HFGenerate(policy)
    with pytest.raises(ConfigurationError, match="Expected a vector env of codegym, got CopyEnv"):
        play(policy, CopyEnv(2), episodes=2, seed=0)


def _mini(grader: codegym.Grader, engine: Any, **changes: Any) -> tuple[CausalLMPolicy, Any]:
    args = ppo.Args(**{**TINY, **changes}, engine=engine)
    policy = make_policy(args, vocab_size=512, seed=1)
    use_engine(policy, args)
    problems = load_split(args, split="train", size=4, seed=0)
    tokenizer = make_tokenizer("mini")
    return policy, make_envs(args, problems, start="cccs", grader=grader, tokenizer=tokenizer)


def _same(a: Sequences, b: Sequences) -> bool:
    fields: Any = zip(a, b, strict=True)
    return all(np.array_equal(x, y) for x, y in fields)


def test_greedy_rollouts_are_the_same_in_both_ways(grader: codegym.Grader) -> None:
    played = {}
    for engine in ("tokens", "generate"):
        policy, envs = _mini(grader, engine)
        played[engine] = play(policy, envs, episodes=9, seed=2, sampling=GREEDY)
        envs.close()
    assert _same(played["tokens"].sequences, played["generate"].sequences)
    assert played["tokens"].cost.tokens == played["generate"].cost.tokens


def test_grades_come_while_nothing_waits_for_them(grader: codegym.Grader) -> None:
    played = {}
    for judging in ("sync", "async"):
        policy, envs = _mini(grader, "generate", judging=judging)
        written = write(policy, envs, episodes=12, seed=2, group_size=3)
        tokens = written.tokens
        played[judging] = sequences = written.finish().sequences
        assert all(torch.equal(a, b) for a, b in zip(tokens, sequences[:3], strict=True))
        envs.close()
    assert _same(played["sync"], played["async"])
    sequences = played["sync"]
    assert sequences.group.tolist() == [k // 3 for k in range(12)]
    for k in range(0, 12, 3):
        assert len(set(sequences.problem_id[k : k + 3])) == 1
        assert len(set(sequences.start_length[k : k + 3].tolist())) == 1
    assert len({tuple(row) for row in sequences.input_ids.tolist()}) > 4, "members differ"


class Paid(ppo.PPO):
    """Is paid for every even token: programs of six random tokens all fail alike."""

    def __init__(self, *args: Any, **parts: Any) -> None:
        super().__init__(*args, **parts)
        self.rewards = {
            **self.rewards,
            "even": lambda known: known.generated * (known.sequences.input_ids % 2 == 0).float(),
        }


def _train(folder: Path, *, resume: Path | None = None, **changes: Any) -> ppo.PPO:
    args = ppo.Args(**{**TINY, "iterations": 2, **changes}, out=folder, resume=resume)
    resume_at = None if resume is None else saved_iteration(resume) + 1
    with RunLogger(folder, quiet=True, resume_at=resume_at) as logger:
        return train(Paid.make, args, logger)


def test_ppo_through_generate_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = _train(tmp_path / "a", engine="generate", checkpoint_every=1)
    assert isinstance(whole.policy.engine, HFGenerate)
    assert whole.reference.engine is None
    half = tmp_path / "a" / "checkpoints" / "000001"
    torch.manual_seed(7)  # a resumed process has another global generator
    resumed = _train(tmp_path / "b", engine="generate", resume=half)
    assert resumed.iteration == whole.iteration == 2
    for name, weight in whole.policy.state_dict().items():
        assert torch.equal(weight, resumed.policy.state_dict()[name]), name
    with pytest.raises(ConfigurationError, match="engine was 'generate' and is 'tokens'"):
        _train(tmp_path / "c", resume=half)


class Counting(HFGenerate):
    """Notes the waves that it writes."""

    def __init__(self, policy: CausalLMPolicy) -> None:
        super().__init__(policy)
        self.waves: list[Sampling] = []

    def submit(self, requests: Sequence[Request], **how: Any) -> int:
        self.waves.append(how["sampling"])
        return super().submit(requests, **how)


def test_rollouts_evaluations_and_completions_use_the_policys_engine(
    grader: codegym.Grader, tmp_path: Path
) -> None:
    settings = {**TINY, "iterations": 1, "eval_every": 1, "eval_per_level": 2}
    del settings["warmup_updates"]
    args = prorl.Args(**settings, group=2, out=tmp_path)
    with RunLogger(tmp_path, quiet=True) as logger:
        trainer = prorl.ProRL.make(args, grader=grader, logger=logger)
        trainer.policy.engine = engine = Counting(trainer.policy)
        trainer.iterate()
        assert engine.waves
        assert set(engine.waves) == {Sampling(args.temperature)}
        engine.waves.clear()
        trainer._evaluate()
        assert sorted(sampling.temperature for sampling in engine.waves) == [0.0, 1.0]
        engine.waves.clear()
        problem = trainer.problems.ids[0]
        source = Completions(trainer.policy, trainer.envs, sampling=Sampling(0.7), seed=0)
        assert source.judge([Prefix(problem, ())], 2)[0].tried == 2
        assert engine.waves == [Sampling(0.7)]
        assert trainer.policy.engine is engine, "settings do not replace an engine of one's own"
        trainer.close()


def test_the_evaluation_command_uses_the_engine_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CausalLMPolicy.from_config_tiny(512, d=16, layers=1).save_pretrained(tmp_path / "policy")
    made: list[CausalLMPolicy] = []
    monkeypatch.setattr(HFGenerate, "__init__", _noting(HFGenerate.__init__, made))
    results = {}
    for engine in ("tokens", "generate"):
        args = evaluate.Args(
            model=str(tmp_path / "policy"),
            per_level=2,
            max_new_tokens=5,
            workers=1,
            engine=engine,
            out=tmp_path / engine,
        )
        with RunLogger(args.out, quiet=True) as logger:
            results[engine] = evaluate.run(args, logger)
        assert len(made) == (engine == "generate")
    assert results["tokens"]["greedy"].levels == results["generate"]["greedy"].levels


def _noting(init: Any, made: list[CausalLMPolicy]) -> Any:
    def noted(self: HFGenerate, policy: CausalLMPolicy) -> None:
        made.append(policy)
        init(self, policy)

    return noted


@pytest.mark.parametrize("kind", ["qwen2", "llama", "gemma2"])
@pytest.mark.parametrize("rank", [0, 2])
def test_vllm_gets_prompts_parameters_and_each_change_of_the_weights(
    vllm: Any, kind: str, rank: int, tmp_path: Path
) -> None:
    policy = _policy(kind, tmp_path / "base", rank=rank)
    policy.save_pretrained(tmp_path / "saved")
    engine = VLLM(policy, context_length=64, memory_share=0.4)
    assert vllm.made == [], "loaded with the first wave"
    new, ends = (6, 3, 6, 5), [0, 511]
    first = _collect(engine, new, end_ids=ends, seed=9)
    assert first == _by_hand(policy, new, ends), "nothing but actions, and the adapter is in it"
    (llm,) = vllm.made
    assert llm.settings == ("float32", 64, 0.4, None)
    ((prompts, params),) = llm.waves
    assert [prompt["prompt_token_ids"] for prompt in prompts] == PROMPTS
    assert [one.max_tokens for one in params] == list(new)
    assert len({one.seed for one in params}) == len(PROMPTS)
    assert dataclasses.replace(params[0], seed=None) == vllm.SamplingParams(
        temperature=0.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        repetition_penalty=1.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        stop_token_ids=ends,
        ignore_eos=True,
        max_tokens=6,
        detokenize=False,
        logit_bias=dict.fromkeys(range(ACTIONS, 512), -100.0),
    )
    updated = ["reload_weights", "reset_prefix_cache", "generate"]
    assert llm.calls == updated
    llm.calls.clear()
    _collect(engine, new, end_ids=ends, seed=9, sampling=Sampling(0.5, 0.9))
    assert llm.calls == ["generate"], "the weights have not changed"
    assert [one.seed for one in llm.waves[1][1]] == [one.seed for one in params]
    assert {(one.temperature, one.top_p) for one in llm.waves[1][1]} == {(0.5, 0.9)}

    for change in ("step", "fused step", "load"):
        llm.calls.clear()
        if change != "load":
            learned = [p for p in policy.parameters() if p.requires_grad]
            ids = torch.arange(30).view(3, 10)
            start, length = torch.full((3,), 2), torch.full((3,), 10)
            policy.score(ids, start, length).sum().backward()  # type: ignore[no-untyped-call]
            torch.optim.AdamW(learned, lr=0.3, fused=change == "fused step").step()
        else:
            policy.load(tmp_path / "saved")
        again = _collect(engine, new, end_ids=ends, seed=9)
        assert llm.calls == updated, change
        assert again == _by_hand(policy, new, ends), change
        assert (again == first) == (change == "load")


def test_ppo_writes_with_vllm(vllm: Any, tmp_path: Path) -> None:
    trainer = _train(tmp_path, engine="vllm", vllm_memory=0.2, model="random-qwen2")
    assert isinstance(trainer.policy.engine, VLLM)
    (llm,) = vllm.made
    assert llm.settings == ("float32", trainer.args.context_length, 0.2, None)
    wave = ["reload_weights", "reset_prefix_cache", "generate", "generate"]
    assert llm.calls == wave * 2, "two iterations of two waves each"


def test_vllm_is_not_on_another_gpu_than_the_policy(
    vllm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = VLLM(_policy("llama", tmp_path), context_length=64, memory_share=0.4)
    monkeypatch.setattr(CausalLMPolicy, "device", torch.device("cuda:1"))
    with pytest.raises(ConfigurationError, match=r"on cuda:1.*CUDA_VISIBLE_DEVICES=1"):
        _collect(engine, (4, 4, 4, 4))
    assert vllm.made == []


def test_a_dry_run_says_that_vllms_share_is_not_counted(vllm: Any) -> None:
    for engine in ("tokens", "vllm"):
        console = Console(width=200, record=True, file=io.StringIO())
        console.print(dry_run.report(ppo.Args(engine=engine), vocab_size=512))
        told = " ".join(console.export_text().split())  # lines are broken anywhere
        assert ("share of 30% that vLLM takes" in told) == (engine == "vllm")


def test_labels_are_written_with_the_engine_that_is_told(tmp_path: Path) -> None:
    CausalLMPolicy.from_config_tiny(512, d=16, layers=1).save_pretrained(tmp_path)
    args = collect.Args(engine="generate")
    policy = collect._load(args, tmp_path, make_tokenizer("mini"))
    assert isinstance(policy.engine, HFGenerate)


def test_a_model_that_vllm_does_not_know_is_an_error_that_says_what_to_do(
    vllm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = _policy("llama", tmp_path)

    def refuse(**settings: Any) -> None:
        raise ValueError("Model architectures ['LlamaForCausalLM'] are not supported.")

    monkeypatch.setattr(vllm, "LLM", refuse)
    engine = VLLM(policy, context_length=64, memory_share=0.4)
    with pytest.raises(ConfigurationError, match=r"for LlamaForCausalLM .*not supported.*generate"):
        _collect(engine, (4, 4, 4, 4))


def test_an_engine_that_is_not_there_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigurationError, match=r"not installed.*pip install vllm"):
        ppo.Args(engine="vllm")
    policy = _policy("llama", tmp_path)
    with pytest.raises(ConfigurationError, match=r"not installed.*pip install vllm"):
        VLLM(policy, context_length=64, memory_share=0.4)
    with pytest.raises(ConfigurationError, match=r"vllm_memory=0.5 has no effect here"):
        ppo.Args(vllm_memory=0.5)
    monkeypatch.setattr(type(policy.trunk), "can_generate", staticmethod(lambda: False))
    with pytest.raises(ConfigurationError, match="LlamaForCausalLM has none"):
        HFGenerate(policy)


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_vllms_share_of_the_memory_is_a_share(vllm: Any, share: float) -> None:
    with pytest.raises(ConfigurationError, match="vllm_memory must be"):
        ppo.Args(engine="vllm", vllm_memory=share)
