"""Published tokenizers, read from their files, give the ids that `transformers` gives."""

import contextlib
import json
import random
import warnings
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gipi.data.tokenizers import open_tokenizer, tokenizer_of, train
from gipi.errors import DataError, UsageError

transformers = pytest.importorskip("transformers", reason="compares with transformers")

TEXTS = [
    "The quick brown fox doesn't jump over 13 lazy dogs.",
    "Naïve café, ÀÉÎ; über — “quoted” … 1,234.5%",
    "한국어 형태소를 자르는 일은 쉽지 않다. 東京 は 大きい",
    "  leading and   many   blanks\n\nand lines\t\ttabs \u00a0nbsp\u3000wide\u2028line",
    "a\x00b\x1cc\x85d \ufffd e\u0301 😀👍🏽 \u200b zero",
    "",
    " ",
    "x" * 300,
]
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    words = [*"the quick brown fox does jump over lazy dogs aeiou naive cafe 한국".split(" "), *"',.%()123東京"]  # noqa: SIM905
    letters = sorted({*"abcdefghijklmnopqrstuvwxyzABCDEFT0123456789éàîü"})
    pieces = [*words, *letters, *("##" + letter for letter in letters), "##어", "##소", "##s", "##ing", "##n"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(pieces)]
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in tokens), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """Merges learned on a little text, in GPT-2's two files."""
    folder = tmp_path_factory.mktemp("gpt2")
    said = json.loads(train(TEXTS * 3, "bpe", 500).to_json())
    tokens = [*said["tokens"][3:], "<|endoftext|>"]
    names = said["tokens"]
    pairs = [(names[a], names[b]) for a, b in zip(said["merges"][::2], said["merges"][1::2], strict=True)]
    (folder / "vocab.json").write_text(json.dumps({token: id for id, token in enumerate(tokens)}), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def theirs(kind, folder, **own):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.from_pretrained(str(folder), **own)


def test_bert_as_transformers_reads_it(bert):
    ours, other = open_tokenizer(bert), theirs(transformers.BertTokenizer, bert)
    for text in TEXTS:
        assert ours.encode(text) == other.encode(text, add_special_tokens=False), text
    assert (ours.begin, ours.end, ours.mask) == (other.cls_token_id, other.sep_token_id, other.mask_token_id)
    assert ours.size == len(other) == other.vocab_size
    both = other.encode("the fox", "lazy dogs")
    assert both == [ours.begin, *ours.encode("the fox"), ours.end, *ours.encode("lazy dogs"), ours.end]
    ids = ours.encode("the quick fox jumpsing")
    assert ours.decode([ours.begin, *ids, ours.end]) == other.decode(ids) == "the quick fox jumpsing"


def test_bert_with_upper_case(bert, tmp_path):
    (tmp_path / "vocab.txt").write_bytes((bert / "vocab.txt").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false, "tokenize_chinese_chars": false}')
    ours, other = open_tokenizer(tmp_path / "vocab.txt"), theirs(transformers.BertTokenizer, tmp_path)
    for text in TEXTS:
        assert ours.encode(text) == other.encode(text, add_special_tokens=False), text
    assert ours.encode("The") != open_tokenizer(bert).encode("The")
    assert ours.decode(ours.encode("한국어 fox")) == "한국어 fox"  # without upper case goes Hangul's being in parts


@pytest.mark.parametrize("name", ["gpt2", "roberta"])
@pytest.mark.parametrize("blank_first", [False, True])
def test_gpt2_and_roberta_as_transformers_read_them(name, blank_first, gpt2, tmp_path):
    number = json.loads((gpt2 / "vocab.json").read_text(encoding="utf-8"))
    kind = transformers.GPT2Tokenizer
    if name == "roberta":
        kind = transformers.RobertaTokenizer
        del number["<|endoftext|>"]
        first = ["<s>", "<pad>", "</s>", "<unk>"]
        number = {token: id for id, token in enumerate([*first, *number, "<mask>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(number), encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes((gpt2 / "merges.txt").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": blank_first}))
    ours, other = open_tokenizer(tmp_path), theirs(kind, tmp_path, add_prefix_space=blank_first)
    for text in TEXTS:
        assert ours.encode(text) == other.encode(text, add_special_tokens=False), text
        assert ours.decode(ours.encode(text)) == (text if not blank_first or text[:1] in ("", " ") else " " + text)
    assert ours.size == len(other)
    assert (ours.begin, ours.end) == (other.bos_token_id, other.eos_token_id)
    assert ours.mask == (other.mask_token_id if name == "roberta" else ours.end)
    assert ours.pieces("fox")[0][1] == 0


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_tokenizer_json_says_the_same(kind, bert, gpt2, tmp_path):
    folder, named = (bert, transformers.BertTokenizer) if kind == "bert" else (gpt2, transformers.GPT2Tokenizer)
    theirs(named, folder).save_pretrained(str(tmp_path))
    assert (tmp_path / "tokenizer.json").is_file()
    whole, parts = open_tokenizer(tmp_path / "tokenizer.json"), open_tokenizer(folder)
    assert whole.to_json() == parts.to_json()
    again = tokenizer_of(whole.to_json())
    for text in TEXTS:
        assert again.encode(text) == parts.encode(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=any_text)
def test_any_text_as_transformers_cuts_it(text, bert, gpt2, once):
    ours, other = once("bert", lambda: (open_tokenizer(bert), theirs(transformers.BertTokenizer, bert)))
    assert ours.encode(text) == other.encode(text, add_special_tokens=False)
    ours, other = once("gpt2", lambda: (open_tokenizer(gpt2), theirs(transformers.GPT2Tokenizer, gpt2)))
    assert ours.encode(text) == other.encode(text, add_special_tokens=False)
    assert ours.decode(ours.encode(text)) == text


@pytest.fixture(scope="module")
def once():
    made = {}

    def get(name, make):
        if name not in made:
            made[name] = make()
        return made[name]

    return get


def test_text_that_spells_a_special_token_stays_text(bert, gpt2):
    ours = open_tokenizer(gpt2)
    assert ours.end not in ours.encode("a<|endoftext|>b")
    assert ours.decode(ours.encode("a<|endoftext|>b")) == "a<|endoftext|>b"
    assert not {0, 2, 3, 4} & {*open_tokenizer(bert).encode("[CLS] a [SEP] [MASK]")}


def test_tokenizer_of_a_run_and_of_a_file_of_ours(tmp_path):
    kept = train(["a b c"], "words", 300)
    (tmp_path / "own.json").write_text(kept.to_json(), encoding="utf-8")
    assert open_tokenizer(tmp_path / "own.json").to_json() == kept.to_json()
    run = tmp_path / "run"
    run.mkdir()
    fields = [{"name": "n", "kind": "number"}, {"name": "text", "kind": "text", "tokenizer": kept.to_json()}]
    for kept_fields, is_text in ((fields, True), (fields[:1], False)):
        with zipfile.ZipFile(run / "model.gipi", "w") as archive:
            archive.writestr("bundle.json", json.dumps({"schema": {"inputs": kept_fields}}))
        if is_text:
            assert open_tokenizer(run).to_json() == open_tokenizer(run / "model.gipi").to_json() == kept.to_json()
        else:
            with pytest.raises(UsageError, match="without text"):
                open_tokenizer(run)


# --- what cannot be read -----------------------------------------------------------------------------------------


@pytest.fixture
def published(bert, tmp_path):
    """A tokenizer.json to break."""
    theirs(transformers.BertTokenizer, bert).save_pretrained(str(tmp_path))
    path = tmp_path / "tokenizer.json"
    return path, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "own",
    [
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}] * 10}},
        {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10**6}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
        {"normalizer": None},
        {"added_tokens": [{"id": 5, "content": "often", "special": False}]},
        {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}},
        {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.5}},
    ],
)
def test_other_parts_are_not_read(own, published):
    path, said = published
    path.write_text(json.dumps({**said, **own}), encoding="utf-8")
    with pytest.raises(DataError, match="not read"):
        open_tokenizer(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["model"]["vocab"].update({"huge": 4_000_000_000}),
        lambda said: said["model"]["vocab"].update({"the": 3}),
        lambda said: said["model"]["vocab"].update({"the": "3"}),
        lambda said: said["model"].update({"unk_token": "nobody"}),
        lambda said: said["model"].update({"continuing_subword_prefix": "#" * 99}),
        lambda said: said["normalizer"].update({"lowercase": "yes"}),
        lambda said: said.update({"model": None}),
        lambda said: said.update({"added_tokens": [1]}),
        lambda said: said["model"].update({"vocab": ["a"]}),
    ],
)
def test_damage_is_said(change, published):
    path, said = published
    change(said)
    path.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(DataError, match="tokenizer"):
        open_tokenizer(path)


def test_every_byte_changed_at_random_is_read_or_refused(gpt2, published):
    path, _said = published
    content, draw = bytearray(path.read_bytes()), random.Random(3)
    for _ in range(60):
        broken = bytearray(content)
        for _once in range(draw.randint(1, 4)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(DataError):
            open_tokenizer(path).encode("the fox")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1, 2]", b"{" * 100_000, b"\x80\x04K\x01."])
def test_what_is_no_tokenizer(content, tmp_path):
    for name in ("tokenizer.json", "vocab.txt", "model.gipi"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            open_tokenizer(tmp_path / name)


def test_what_is_missing(gpt2, tmp_path):
    with pytest.raises(UsageError, match="no file"):
        open_tokenizer(tmp_path / "nothing.json")
    with pytest.raises(UsageError, match="no tokenizer"):
        open_tokenizer(tmp_path)
    (tmp_path / "vocab.json").write_bytes((gpt2 / "vocab.json").read_bytes())
    with pytest.raises(UsageError, match=r"merges\.txt"):
        open_tokenizer(tmp_path / "vocab.json")
    (tmp_path / "merges.txt").write_text("a b c\n")
    with pytest.raises(DataError, match="merges"):
        open_tokenizer(tmp_path)
