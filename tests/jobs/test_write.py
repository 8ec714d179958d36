"""Write and chat from text to a kept model: learned, judged, resumed to the bit, released, asked again."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import gipi
from gipi.cli.main import main
from gipi.errors import DataError, UsageError
from gipi.tasks import chat, write

SONG = "".join(f"{n} green bottles hanging on the wall.\n" for n in range(300))
SMALL = {"size": "mini", "layers": 1, "width": 16, "heads": 2, "context": 16, "batch_size": 8, "quiet": True}
SMALL |= {"tokenizer": "characters", "device": "cpu", "threads": 1}
OF_LSTM = {name: value for name, value in SMALL.items() if name not in ("size", "heads")}


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.txt").write_text(SONG)
    return tmp_path / "song.txt"


@pytest.fixture(scope="module")
def sung(tmp_path_factory):
    """A run that learned the song a little."""
    folder = tmp_path_factory.mktemp("sung")
    (folder / "song.txt").write_text(SONG)
    return gipi.fit(folder / "song.txt", task="write", steps=150, run=folder / "run", **SMALL)


def test_it_learns_and_is_judged(sung):
    assert float(sung.metrics["bits_per_byte"]) < 1.0
    found = sung.metrics
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    assert found["bits_per_byte"] == pytest.approx(found["loss"] / np.log(2), rel=1e-6)  # letters of one byte each
    assert found["bits_per_byte"].low < found["bits_per_byte"] < found["bits_per_byte"].high
    names = [row["name"] for row in sung.record["verdict"]["models"]]
    assert names == ["gpt", "unigram", "ngram"]
    assert sung.record["metrics_of"].startswith("test part")


def test_the_parts_are_stretches(sung):
    """Validation is behind training and the test part behind both: the last song's numbers."""
    rows = sung.record["rows"]
    assert rows["test"] == round(0.2 * len(SONG)) - 0 and sum(rows.values()) == len(SONG)


def test_a_text_goes_on(sung):
    text = gipi.generate(sung, prompt="12 green bott", tokens=30, temperature=0)
    assert text.startswith("les hanging on the wall.\n")
    assert gipi.generate(sung, prompt="7", seed=1) == gipi.generate(sung, prompt="7", seed=1)
    assert gipi.generate(sung, prompt="7", seed=1) != gipi.generate(sung, prompt="7", seed=2)
    pieces = [*gipi.generate(sung, prompt="7 green", tokens=9, seed=3, stream=True)]
    assert len(pieces) > 1 and "".join(pieces) == gipi.generate(sung, prompt="7 green", tokens=9, seed=3)
    assert gipi.generate(sung, tokens=0) == ""
    assert isinstance(gipi.generate(sung, tokens=5), str)


@pytest.mark.parametrize("prompt", ["", "a", "\0\0", "\x1b[31m", "\ud800", "가나다", "\r\n", "🙂" * 3])
def test_any_prompt_goes_on(sung, prompt):
    assert isinstance(gipi.generate(sung, prompt=prompt, tokens=4), str)


def test_long_prompt_is_cut_and_said(sung):
    prompt = "0123456789 green bottles"
    with pytest.warns(UserWarning, match="24 tokens, and the model looks at 16: the first 8"):
        cut = gipi.generate(sung, prompt=prompt, temperature=0, tokens=5)
    assert cut == gipi.generate(sung, prompt=prompt[8:], temperature=0, tokens=5)


def test_predict_evaluate_and_the_bundle(sung, tmp_path):
    rows = [{"text": "3 gr", "tokens": 8, "temperature": 0.0}, {"text": "", "tokens": 2}]
    said = sung.predict(rows)
    assert said[0]["text"] == "een bott" and len(said) == 2
    kept = gipi.load(sung.save(tmp_path / "song.gipi"))
    assert kept.predict(rows) == said
    (tmp_path / "more.txt").write_text(SONG[-2000:])
    found = gipi.evaluate(sung, tmp_path / "more.txt")
    assert float(found["bits_per_byte"]) < 1.0
    with pytest.raises(UsageError):
        sung.predict([{"text": 3}])
    with pytest.raises(UsageError):
        sung.predict([{"text": "a", "tokens": "many"}])


def test_command_line_streams_and_cannot_steer_the_terminal(sung, capsys):
    assert main(["generate", str(sung.path), "--prompt", "9 green bott", "--tokens", "12", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "9 green bottles hanging \n"
    assert main(["generate", str(sung.path), "--prompt", "\x1b[2J" + "x" * 20, "--tokens", "3"]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out and "the first 8 were left out" in said.err
    assert main(["generate", str(sung.path), "--json", "--tokens", "3", "--seed", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == gipi.generate(sung, tokens=3, seed=4)
    for wrong in (["--top-p", "2"], ["--temperature", "-1"], ["--top-k", "-3"], ["--tokens", "-1"]):
        assert main(["generate", str(sung.path), *wrong]) == 2
    assert main(["chat", str(sung.path)]) == 2
    assert "--task chat" in capsys.readouterr().err


def test_same_seed_same_run(song, tmp_path):
    runs = [gipi.fit(song, task="write", steps=8, run=tmp_path / str(n), verdict=False, **SMALL) for n in range(2)]
    assert runs[0].metrics == runs[1].metrics


@pytest.mark.parametrize("system", ["gpt", "lstm"])
def test_a_killed_run_goes_on_to_the_bit(song, tmp_path, system):
    options = (SMALL if system == "gpt" else OF_LSTM) | {"verdict": False, "system": system, "task": "write"}
    whole = gipi.fit(song, steps=40, run=tmp_path / "whole", **options)
    code = f"""
import os, gipi
from gipi.training import train
usual = train._look_at_all
def look(group, display, log):
    usual(group, display, log)
    if group.step == 20:
        group.note(0.0); log.save(group); os._exit(9)
train._look_at_all = look
gipi.fit({str(song)!r}, steps=40, run={str(tmp_path / "cut")!r}, **{options!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 9, done.stderr
    cut = gipi.resume(tmp_path / "cut", quiet=True)
    assert cut.metrics == whole.metrics
    pairs = zip(*(gipi.load(run).members[0].state_dict().values() for run in (whole, cut)), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_an_lstm_writes_too(song, tmp_path):
    run = gipi.fit(song, system="lstm", steps=200, lr=0.02, run=tmp_path / "run", verdict=False, **OF_LSTM)
    assert float(run.metrics["loss"]) < 2.5
    text = gipi.generate(run, prompt=SONG[:200], tokens=50)  # its memory has no end
    assert len(text) == 50


def test_documents_end(tmp_path):
    names = [f"{a}{b}{c}" for a in "bdk" for b in "aeiou" for c in ("na", "ro", "li")] * 10
    run = gipi.fit(names, task="write", steps=120, run=tmp_path / "run", **SMALL)
    said = [one["text"] for one in run.predict(20)]
    assert max(map(len, said)) < 40 and len({*said}) > 5  # an end was learned


@pytest.mark.parametrize("text", ["", " \n", "a"])
def test_too_little_text_is_said(tmp_path, text):
    (tmp_path / "short.txt").write_text(text)
    with pytest.raises((DataError, UsageError)):
        gipi.fit(tmp_path / "short.txt", task="write", steps=2, run=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text", ["ab", "a" * 3000, "a b\x07 said he, and nobody said a word to \ufffd that.\n" * 50, "가나다라" * 400]
)
def test_odd_texts_are_learned(tmp_path, text):
    """Two tokens; a vocabulary of one symbol; control characters; letters of three bytes."""
    (tmp_path / "odd.txt").write_text(text, encoding="utf-8")
    run = gipi.fit(tmp_path / "odd.txt", task="write", steps=3, run=tmp_path / "run", **SMALL)
    assert np.isfinite(float(run.metrics["bits_per_byte"]))
    assert isinstance(gipi.generate(run, prompt="a", tokens=5), str)


# --- chat --------------------------------------------------------------------------------------------------------

ANIMALS = {"cat": "meow", "dog": "woof", "cow": "moo", "owl": "hoo", "duck": "quack"}
TALK = "Q,A\n" + "".join(
    f"what says the {name}{'?' * n},{sound}\n" for n in range(24) for name, sound in ANIMALS.items()
)
OF_TALK = SMALL | {"context": 64, "task": "chat", "text": ("Q",), "target": ("A",), "width": 32}


@pytest.fixture(scope="module")
def talked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talked")
    (folder / "talk.csv").write_text(TALK)
    return gipi.fit(folder / "talk.csv", steps=250, run=folder / "run", **OF_TALK)


def test_it_answers(talked):
    assert float(talked.metrics["accuracy"]) > 0.9
    said = talked.predict([{"Q": f"what says the {name}?", "temperature": 0.0} for name in ANIMALS])
    assert sum(one["text"] == sound for one, sound in zip(said, ANIMALS.values(), strict=True)) >= 4
    assert (
        gipi.generate(talked, prompt="what says the cow?", temperature=0)
        == talked.predict({"Q": "what says the cow?", "temperature": 0.0})[0]["text"]
    )


def test_a_talk_has_turns_and_forgets_its_beginning(talked):
    talk = gipi.chat(talked, temperature=0)
    answers = [talk.say(f"what says the {name}?") for name in ANIMALS]
    assert sum(one == sound for one, sound in zip(answers, ANIMALS.values(), strict=True)) >= 3
    assert talk.cut and "forgotten" in talk.cut_said()
    for _number in range(20):
        talk.say("what says the dog?")
    assert len(talk.turns) <= 4  # what nobody looks at is not kept


def test_question_and_answer_are_tokens_of_which_answers_are_asked(talked):
    model = gipi.load(talked)
    tokenizer = write.tokenizer_in(model.schema)
    (pair,) = chat.turns(tokenizer, ["hi?"], ["yes"])
    assert pair[0] == ~tokenizer.begin and pair[4] == ~tokenizer.end and pair[-1] == tokenizer.end
    assert tokenizer.decode(pair[pair >= 0]) == "yes"
    x, y = chat.rows_of([pair, pair[-3:]], 64)
    assert (y[0] >= 0).sum() == 4 and x[1, 2:].tolist() == [-1] * (x.shape[1] - 2)


def test_neighbours_of_a_pair_say_nothing(talked):
    model = gipi.load(talked)
    tokenizer = write.tokenizer_in(model.schema)
    pairs = chat.turns(tokenizer, ["what says the cow?", "hm"], ["moo", "what a very long answer to that is"])
    alone = chat.guessed(model.members[0], pairs[:1], 64, "cpu")
    together = chat.guessed(model.members[0], pairs, 64, "cpu")
    np.testing.assert_allclose(together.losses[:4], alone.losses, atol=1e-5)


def test_chat_on_the_command_line(talked, capsys, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("what says the cow?\n\nwhat says the cat?\n"))
    assert main(["chat", str(talked.path), "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "moo\nmeow\n"

    class Stopped:
        def isatty(self):
            return True

        def readline(self):
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Stopped())
    assert main(["chat", str(talked.path)]) == 0


def test_chat_begins_with_what_writing_learned(sung, tmp_path):
    """The tokenizer and the context of the weights are kept, and all of them fit."""
    (tmp_path / "talk.csv").write_text(TALK)
    options = {
        name: value for name, value in OF_TALK.items() if name in ("task", "text", "target", "batch_size", "quiet")
    }
    run = gipi.fit(
        tmp_path / "talk.csv", weights=str(sung.path), steps=2, run=tmp_path / "run", verdict=False, **options
    )
    one, other = (gipi.load(which) for which in (sung, run))
    assert one.schema.inputs[0].tokenizer == other.schema.inputs[0].tokenizer
    assert one.schema.inputs[0].shape == other.schema.inputs[0].shape


def test_chat_needs_questions_and_answers(tmp_path):
    (tmp_path / "talk.csv").write_text(TALK)
    with pytest.raises((DataError, UsageError)):
        gipi.fit(tmp_path / "talk.csv", steps=2, run=tmp_path / "run", **(OF_TALK | {"target": ("B",)}))


@pytest.mark.slow
def test_korean_chat(shared_data, tmp_path):
    source = shared_data / "korean_chatbot" / "ChatbotData.csv"
    run = gipi.fit(
        source, task="chat", text=("Q",), target=("A",), steps=60, size="mini", run=tmp_path / "run", quiet=True
    )
    assert gipi.chat(run).say("안녕하세요")
