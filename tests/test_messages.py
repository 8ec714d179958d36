"""What gipi says, in Korean: the sentences of the code and of gipi.po agree, and who chooses Korean reads Korean.

tools/messages.py gathers the sentences and writes the files; its --check says the same as the first tests here.
"""

import gettext
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gipi
from gipi import messages
from gipi.cli.main import main
from gipi.report.tables import plain_lines
from gipi.report.text import NAMES, spoken, width, wrapped
from gipi.tasks import metrics

ROOT = Path(gipi.__file__).parent.parent
HANGUL = re.compile("[가-힣]")
ALIKE = {  # nothing in them is a word of English
    "auto, cpu, cuda, cuda:1, mps",
    "cross_entropy focal hinge bce; mse mae huber; nll; quantile",
    "BLEU",
    "F1",
    "chrF",
    "mini, small, medium, base or big",
    "psnr",
    "ssim",
    "{count} MB",
    "{low} to {high}",
    "{what}: {share} %",
    "{count} {part}",
    "{status}; {path}",
    "auc",
    "CC BY-SA 3.0 (LeCun, Cortes and Burges)",
}


@pytest.fixture(scope="module")
def tool():
    """tools/messages.py."""
    pytest.importorskip("babel", reason="babel, of the dev extra, is not installed")
    path = ROOT / "tools" / "messages.py"
    if not path.exists():
        pytest.skip("tools/ is not here: this is not a clone")
    spec = importlib.util.spec_from_file_location("gather_messages", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def korean(tool):
    return tool.translated()


# --- the files -----------------------------------------------------------------------------------------------------


def test_every_sentence_of_the_code_has_its_korean(tool, korean):
    wanted = tool.literal() | tool.indirect()
    assert not [text for text in sorted(wanted) if not korean.get(text)], "run tools/messages.py and translate"


def test_no_sentence_is_stale(tool, korean):
    assert sorted(set(korean) - tool.literal() - tool.indirect()) == [], "run tools/messages.py"


def test_nothing_reaches_the_translation_unseen(tool):
    assert tool.unknown_places() == []


def test_placeholders_are_the_same(tool, korean):
    assert {en: ko for en, ko in korean.items() if tool.placeholders(en) != tool.placeholders(ko)} == {}


def test_korean_is_korean(korean):
    assert [text for text, said in korean.items() if not HANGUL.search(said) and text not in ALIKE] == []


def test_spaces_at_the_ends_are_kept(korean):
    """A sentence that is put behind another begins with its space."""

    def ends(text):
        return len(text) - len(text.lstrip()), len(text) - len(text.rstrip())

    assert {en: ko for en, ko in korean.items() if ends(en) != ends(ko)} == {}


def test_a_placeholder_has_particles_for_any_word(korean):
    """`{name}을(를)`: whether the word ends in a consonant is not known."""
    one = re.compile(r"\}'?(을|를|이|가|은|는|와|과|로|으로)(?=[\s.,:;]|$)")
    assert {text: said for text, said in korean.items() if one.search(said)} == {}


def test_words_that_scikit_learn_looks_for_stay(korean):
    """check_estimator reads messages, and passes in Korean too."""
    for word in ("Reshape your data", "0 samples", "Complex data not supported", "argument must be a string"):
        texts = [text for text in korean if word in text]
        assert len(texts) == 1 and word in korean[texts[0]], word
    assert "class" in korean["y has one class only, {value}: there is nothing to tell apart"]


def test_files_are_as_the_tool_writes_them(tool, korean):
    assert tool.PO.read_bytes() == tool.as_po(korean)
    assert tool.MO.read_bytes() == tool.as_mo(korean)
    assert tool.problems() == []


def test_the_compiled_file_holds_the_same(tool, korean):
    with tool.MO.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    assert {text: compiled.gettext(text) for text in korean} == korean


def test_files_name_no_place_and_no_day(tool):
    text = tool.PO.read_text(encoding="utf-8")
    assert "#:" not in text and "Date" not in text and "/work" not in text


def test_check_tells_what_is_wrong(tool, tmp_path, monkeypatch, korean, capsys):
    """A file that lacks one sentence, keeps an old one, and has lost a placeholder."""
    wrong = {**korean, "an old sentence": "옛 문장", "{rows} rows: {parts}": "{rows}행"}
    del wrong["layer"]
    (tmp_path / "gipi.po").write_bytes(tool.as_po(wrong))
    monkeypatch.setattr(tool, "PO", tmp_path / "gipi.po")
    assert tool.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "no Korean: 'layer'" in said
    assert "no longer said: 'an old sentence'" in said
    assert "placeholders differ: '{rows} rows: {parts}'" in said
    assert "not compiled" in said


# --- choosing a language -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8"}, "ko"),
        ({}, "en"),
    ],
)
def test_the_locale_chooses(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert messages.language() == expected


def test_a_locale_in_korean_speaks_korean():
    outside = {**os.environ, "LANG": "ko_KR.UTF-8", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "gipi", "--help"]
    done = subprocess.run(command, env=outside, capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert HANGUL.search(done.stdout)
    done = subprocess.run([*command, "--lang", "en"], env=outside, capture_output=True, encoding="utf-8", timeout=60)
    assert "usage: gipi VERB" in done.stdout


def test_an_empty_text_is_empty_in_korean():
    """In a catalog "" names its head."""
    messages.use("ko")
    assert messages._("") == ""


# --- what a person reads -------------------------------------------------------------------------------------------


def heard(capsys, *words, code=0):
    """What `gipi WORDS --lang ko` prints, on either stream."""
    assert main([*words, "--lang", "ko"]) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_help_is_korean(capsys):
    lines = heard(capsys, "--help").splitlines()
    assert "  fit DATA [OPTIONS]      데이터로 모델을 훈련하고" in "\n".join(lines)
    lines = heard(capsys, "fit", "--help").splitlines()
    said = [line.split(None, 1)[1] for line in lines if line.startswith("  --")]
    names_only = {"auto, cpu,", "cross_entr"}
    assert [remark for remark in said if not HANGUL.search(remark) and remark[:10] not in names_only] == []
    for verb in ("evaluate", "predict", "resume", "runs", "show", "compare", "save", "systems", "data"):
        assert HANGUL.search(heard(capsys, verb, "--help")), verb


def test_help_fits_the_terminal_in_korean(capsys, monkeypatch):
    """Korean letters take two columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(width, heard(capsys, "fit", "--help").splitlines())) <= 80


def test_lists_are_korean(capsys):
    for verb, head in (("systems", "시스템"), ("data", "이름")):
        first, *rest = heard(capsys, verb).splitlines()
        assert first.startswith(head), verb
        assert rest
    assert all(HANGUL.search(line) for line in heard(capsys, "data").splitlines())
    assert "옵션:" in heard(capsys, "systems", "mlp")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("fti", "iris"), 2),
        (("systems", "mpl"), 2),
        (("data", "irsi"), 2),
        (("fit", "iris", "--system", "mpl"), 2),
        (("fit", "iris", "--target", "spices"), 2),
        (("fit", "iris", "--lr", "-1"), 2),
        (("fit", "iris", "--epochs", "many"), 2),
        (("fit", "iris", "--no-such-option"), 2),
        (("fit", "no-such-file.csv"), 2),
        (("fit",), 2),
        (("show", "no-such-run"), 1),
    ],
)
def test_errors_are_korean(capsys, tmp_path, monkeypatch, words, code):
    monkeypatch.chdir(tmp_path)
    said = heard(capsys, *words, code=code)
    assert said.startswith("gipi: ") and HANGUL.search(said), said
    assert not re.search(r"\b(the|there|is|expected|must)\b", said), said


def test_names_of_metrics_are_korean():
    messages.use("ko")
    y = np.array([0, 1, 2, 0, 1, 2])
    chances = np.full((6, 3), 1 / 3)
    found = [*metrics.classification(chances, y), *metrics.labels(chances, chances > 0), *metrics.regression(y, y)]
    assert [name for name in found if not HANGUL.search(spoken(name)) and name != "auc"] == []
    assert spoken("a_column") == "a column"  # not ours
    assert len(set(NAMES)) == len(NAMES)


def test_a_run_speaks_korean(tmp_path, capsys):
    """Facts, epochs, the table of numbers, the verdict, the page; and only while it runs."""
    draw = np.random.default_rng(0)
    hours = draw.uniform(0, 10, 120)
    table = {"hours": hours, "grade": np.where(hours + draw.normal(size=120) > 5, "good", "poor")}
    folder = tmp_path / "run"
    gipi.fit(table, target="grade", lang="ko", epochs=3, run=str(folder), threads=1, verdict_seconds=2.0, profile=True)
    said = capsys.readouterr().out
    for words in (
        "120행: 훈련 77, 검증 19, 테스트 24",
        "매개변수",
        "손실: cross_entropy",
        "학습률",
        "3 에폭  손실 훈련",
    ):
        assert words in said
    for words in ("정확도", "95 % 신뢰구간", "판정: ", "시간을 쓴 곳", "평가와 비교 모델", "저장했습니다"):
        assert words in said
    english = re.compile(r"\b(rows|training|step size|loss|accuracy|verdict|the|epoch|seconds|kept)\b")
    assert [line for line in said.splitlines() if english.search(line)] == []
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<html lang="ko">' in page
    seen = re.sub(r"<style>.*?</style>|<details.*?</details>|<[^>]+>", "\n", page, flags=re.DOTALL)
    for words in ("판정", "학습 과정", "결과", "더 단순한 방법과 비교", "만든 방법", "정확도", "균형 정확도", "에폭"):
        assert words in seen
    assert [line for line in seen.splitlines() if english.search(line)] == []
    assert HANGUL.search(json.loads((folder / "run.json").read_text(encoding="utf-8"))["verdict"]["sentence"])


# --- how wide it is ------------------------------------------------------------------------------------------------


def test_tables_are_aligned_in_korean():
    lines = plain_lines("", ["이름", "값"], [["정확도", "97.2 %"], ["rmse", "1.5"], ["F1 (클래스 평균)", "0.9"]])
    starts = {width(line[: line.index(value)]) for line, value in zip(lines, ["값", "97", "1.5", "0.9"], strict=True)}
    assert starts == {width("F1 (클래스 평균)") + 2}


def test_wrapping_counts_columns():
    lines = wrapped("  --lr               학습률, 또는 auto. 최적화 함수를 바꾸면 그 기본값을 씁니다", 50, 21)
    assert len(lines) == 3 and max(map(width, lines)) <= 50
    assert lines[0].startswith("  --lr               학습률") and lines[1].startswith(" " * 21 + "함수를")
    assert wrapped("", 50) == [""]
    assert wrapped("word " * 3, 4) == ["word", "word", "word"]
    assert wrapped("unbreakable", 4) == ["unbreakable"]


def test_a_terminal_without_korean_letters_gets_marks(monkeypatch):
    """Question marks, not a traceback."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["--help", "--lang", "ko"]) == 0
    stream.flush()
    assert b"gipi fit digits" in stream.buffer.getvalue()
