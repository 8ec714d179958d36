"""Tokenizers that others have made, from the files they come in: of BERT, of GPT-2 and RoBERTa, and of our own runs.

    tokenizer.json            the `tokenizers` package's own file; only the parts that these three kinds use are read
    vocab.txt                 BERT's WordPiece, a token a line; tokenizer_config.json beside it says about upper case
    vocab.json + merges.txt   byte pair encoding of GPT-2 and RoBERTa
    model.gipi                what a run of gipi learned, in its folder or elsewhere

A text that spells a special token, as `[SEP]`, stays text. BERT's tokenizer leaves out blanks and accents, so its text
does not come back as it was.
"""

import json
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

from gipi.data.learned_tokens import NORMAL, Learned, checked
from gipi.data.own_tokens import FORMAT
from gipi.data.tokenizers import tokenizer_of
from gipi.data.tokens import Tokenizer
from gipi.errors import DataError, UsageError, reason_of
from gipi.messages import _

LARGEST = 1 << 25  # bytes of a file
BEGINS, ENDS, MASKS = ("[CLS]", "<s>", "<|endoftext|>"), ("[SEP]", "</s>", "<|endoftext|>"), ("[MASK]", "<mask>")
SPECIAL = {*BEGINS, *ENDS, *MASKS, "[PAD]", "[UNK]", "<pad>", "<unk>"}


def published(path: str | PathLike) -> Tokenizer:
    """What gipi.data.tokenizers.open_tokenizer gives."""
    path = Path(path).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise UsageError(_("There is no file or folder {path}.", path=path))
    if path.suffix == ".gipi":
        return _of_bundle(path)
    if path.name.endswith("merges.txt") or (path.name.endswith("vocab.json")):
        return _of_pair(path.parent)
    if path.suffix == ".txt":
        return _of_lines(path)
    return _of_json(path)


def _of_folder(path: Path) -> Tokenizer:
    if (path / "tokenizer.json").is_file():
        return _of_json(path / "tokenizer.json")
    if (path / "vocab.txt").is_file():
        return _of_lines(path / "vocab.txt")
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        return _of_pair(path)
    if (path / "model.gipi").is_file():
        return _of_bundle(path / "model.gipi")
    raise UsageError(
        _(
            "{path} has no tokenizer; expected tokenizer.json, vocab.txt, vocab.json with merges.txt, or a run that is "
            "finished.",
            path=path,
        )
    )


# --- runs --------------------------------------------------------------------------------------------------------


def _of_bundle(path: Path) -> Tokenizer:
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.getinfo("bundle.json")
            if part.file_size > LARGEST:
                raise _unreadable(path, _("it is too large"))
            said = json.loads(archive.read(part))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        raise _unreadable(path, _("it is not a kept model")) from error
    return _of_schema(said, path)


def _of_schema(said: Any, path: Path) -> Tokenizer:
    """The tokenizer of the first field that has one."""
    schema = said.get("schema") if isinstance(said, dict) else None
    fields = schema.get("inputs") if isinstance(schema, dict) else None
    for field in fields if isinstance(fields, list) else []:
        kept = field.get("tokenizer") if isinstance(field, dict) else None
        if kept and isinstance(kept, str):
            return tokenizer_of(kept)
    raise UsageError(_("{path} is a run or model without text, so it has no tokenizer.", path=path))


# --- files of BERT and GPT-2 -------------------------------------------------------------------------------------


def _of_lines(path: Path) -> Tokenizer:
    """BERT's vocab.txt: the number of the line is the id."""
    tokens = _text(path).split("\n")
    tokens = [token.rstrip("\r") for token in (tokens[:-1] if tokens[-1] == "" else tokens)]
    how = _beside(path.parent)
    lower = _flag(how.get("do_lower_case"), True)
    normal = {
        "clean": True,
        "chinese": _flag(how.get("tokenize_chinese_chars"), True),
        "accents": how.get("strip_accents"),
        "lower": lower,
    }
    if "[UNK]" not in tokens:
        raise _unreadable(path, _("it has no token [UNK], so it is not a vocabulary of BERT"))
    own = {"cut": "bert", "normal": normal, "prefix": "##", "unknown": tokens.index("[UNK]")}
    return _made("wordpiece", tokens, own, path)


def _of_pair(folder: Path) -> Tokenizer:
    """GPT-2's vocab.json and merges.txt."""
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).is_file():
            raise UsageError(_("{path} has no {name}, which belongs to it.", path=folder, name=name))
    lines = _text(folder / "merges.txt").split("\n")
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    tokens = _in_order(_json(folder / "vocab.json"), {}, folder / "vocab.json")
    own = {"cut": "bytes", "blank_first": _flag(_beside(folder).get("add_prefix_space"), False)}
    return _made("bpe", tokens, {**own, "merges": _numbers(merges, tokens, folder / "merges.txt")}, folder)


def _beside(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, where there is one."""
    path = folder / "tokenizer_config.json"
    said = _json(path) if path.is_file() else {}
    return said if isinstance(said, dict) else {}


def _flag(value: Any, otherwise: bool) -> bool:
    return value if isinstance(value, bool) else otherwise


# --- tokenizer.json ----------------------------------------------------------------------------------------------


def _of_json(path: Path) -> Tokenizer:
    said = _json(path)
    if isinstance(said, dict) and said.get("gipi tokenizer"):
        return tokenizer_of(_text(path))
    model = said.get("model") if isinstance(said, dict) else None
    if not isinstance(model, dict):
        raise _unreadable(path, _("it is not a tokenizer.json"))
    normal, before = _part(said, "normalizer"), _part(said, "pre_tokenizer")
    kind = (model.get("type"), normal.get("type"), before.get("type"))
    if kind == ("WordPiece", "BertNormalizer", "BertPreTokenizer"):
        tokens = _in_order(model.get("vocab"), said, path)
        names = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
        how = {own: normal.get(theirs) for own, theirs in zip(NORMAL, names, strict=True)}
        if model.get("unk_token") not in tokens:
            raise _unreadable(path, _("it has no token [UNK], so it is not a vocabulary of BERT"))
        own = {"prefix": model.get("continuing_subword_prefix"), "unknown": tokens.index(model["unk_token"])}
        return _made("wordpiece", tokens, {"cut": "bert", "normal": how, **own}, path)
    if kind != ("BPE", None, "ByteLevel"):
        raise _not_read(path, "model, normalizer, pre_tokenizer", ", ".join(map(str, kind)))
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(name):
            raise _not_read(path, name, model[name])
    if before.get("use_regex") is False:
        raise _not_read(path, "use_regex", False)
    tokens, merges = _in_order(model.get("vocab"), said, path), model.get("merges")
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in merges or []]
    own = {"cut": "bytes", "blank_first": _flag(before.get("add_prefix_space"), False)}
    return _made("bpe", tokens, {**own, "merges": _numbers(pairs, tokens, path)}, path)


def _part(said: dict[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _in_order(vocabulary: Any, said: dict[str, Any], path: Path) -> list[str]:
    """The tokens in the order of their ids, which must be 0, 1, 2 and so on."""
    added = said.get("added_tokens") or []
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        raise _unreadable(path, _("its vocabulary is not a number for each token"))
    if not all(isinstance(token, dict) for token in added):
        raise _unreadable(path, _("its vocabulary is not a number for each token"))
    if other := [token.get("content") for token in added if not token.get("special")]:
        raise _not_read(path, "added_tokens", other[0])
    number = {**vocabulary, **{token.get("content"): token.get("id") for token in added}}
    if not all(type(id) is int and isinstance(token, str) for token, id in number.items()):
        raise _unreadable(path, _("its vocabulary is not a number for each token"))
    tokens = sorted(number, key=lambda token: (number[token], token))
    if [number[token] for token in tokens] != [*range(len(tokens))]:
        raise _unreadable(path, _("its ids are not 0, 1, 2 and so on"))
    return tokens


def _numbers(merges: list[Any], tokens: list[str], path: Path) -> list[int]:
    """The ids of the tokens that are joined, two after two."""
    number = {token: id for id, token in enumerate(tokens)}
    try:
        return [number[token] for one, other in merges for token in (one, other)]
    except (KeyError, ValueError, TypeError) as error:
        raise _unreadable(path, _("its merges are not pairs of its tokens")) from error


def _made(kind: str, tokens: list[str], own: dict[str, Any], path: Path) -> Tokenizer:
    def first(names: tuple[str, ...]) -> int:
        found = [tokens.index(name) for name in names if name in tokens]
        if not found:
            raise _unreadable(path, _("it has none of the tokens {names}", names=", ".join(names)))
        return found[0]

    begin, end = first(BEGINS), first(ENDS)
    said = {"gipi tokenizer": FORMAT, "kind": kind, "tokens": tokens, "blank_first": False, "begin": begin, "end": end}
    said["mask"] = first((*MASKS, tokens[end]))  # GPT-2 has none, and none is asked of it
    said["special"] = [id for id, token in enumerate(tokens) if token in SPECIAL]
    try:
        return Learned(checked({**said, **own}))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


# --- reading -----------------------------------------------------------------------------------------------------


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, _("it is not JSON")) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise _unreadable(path, _("it is too large"))
        return content.decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, reason_of(error)) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, _("it is not text in UTF-8")) from error


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(_("{path} cannot be read as a tokenizer: {reason}.", path=path, reason=reason))


def _not_read(path: Path, name: str, value: Any) -> DataError:
    return DataError(
        _(
            "{path} is a tokenizer of a kind that is not read ({name}: {value}); expected one of BERT, GPT-2 or "
            "RoBERTa.",
            path=path,
            name=name,
            value=str(value)[:80],
        )
    )
