"""Writes the measured figures into docs/performance.md and docs/ko/performance.md: `python bench/table.py`.

It reads every file of bench/results but the quick ones, a machine each, and writes between the two markers of a page;
what stands outside of them is written by hand. Each figure has what was asked, what was reached, and its command; what
falls short is named first.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from turns import RESULTS, ROOT, is_reached

BEGIN, END = "<!-- figures: written by bench/table.py -->", "<!-- end of figures -->"
PAGES = {"en": ROOT / "docs" / "performance.md", "ko": ROOT / "docs" / "ko" / "performance.md"}
WORDS = {
    "en": {
        "figure": "ratio",
        "asked": "asked",
        "reached": "reached (lowest to highest turn)",
        "is it": "",
        "yes": "yes",
        "no": "**no**",
        "contender": "contender",
        "time": "time, {unit}",
        "memory": "memory, MB",
        "score": "score",
        "training": "of it training",
        "loss": "loss",
        "short": "Short of what was asked: {what}.",
        "all": "All that was asked is reached.",
        "none": "Nothing has been measured yet.",
        "machine": "{processor}, {cores} cores, {system}",
        "facts": "`{command}`, {date}: {sizes}. Versions: {versions}.",
        "peak memory": "{name}, peak memory",
        "turns": "turns",
        "threads": "threads",
        "step": "A step of a small network",
        "predict": "One answer of a kept model",
        "batch": "A file of rows, from file to file with answers",
        "resnet": "ResNet-18, a step",
        "pictures section": "Fashion-MNIST, one epoch, from files to test scores",
        "tables": "Tables from CSV, 20 epochs, from file to test scores",
        "recipe": "The speed recipe on CIFAR-10, training",
        "saving": "What saving costs a training",
        "serve": "A served model: time for each request, over 32 connections",
        "serve_load": "A server that is asked for 20 times what it can answer",
        "serve_memory": "The memory of a server, over 110,000 requests",
        "requests a second": "requests a second",
        "p50": "p50, ms",
        "p99": "p99, ms",
        "p50 alone": "p50 over one connection, ms",
        "start": "from start to healthy, s",
        "times": "load, in capacities",
        "kept": "share of the capacity that is kept",
        "recovery": "as quick as before after, s",
        "before": "memory before, MB",
        "growth": "growth, MB",
        "loading": "Pictures from files to batches, an epoch after the first",
        "tokens a second": "tokens a second",
        "sum of tokens": "sum of tokens",
        "gpt": "A small GPT, a step",
        "gpt-reach": "A small GPT, seconds until it knows",
        "gpt-decode": "A small GPT writes, token by token",
        "word2vec": "Word vectors, a word of the text",
        "wordsim": "WordSim-353",
        "analogies": "analogies",
        "wordsim lacking": "WordSim-353, lacking of 100",
        "analogies wrong": "analogies, wrong of 100",
        "share": "saving, % of the training",
        "saves": "saves",
        "state": "state, MB",
        "pictures per second": "pictures a second",
        "accuracy": "accuracy",
        "whole": "whole, {unit}",
    },
    "ko": {
        "figure": "비율",
        "asked": "목표",
        "reached": "측정값(가장 낮은–가장 높은 차례)",
        "is it": "",
        "yes": "도달",
        "no": "**미달**",
        "contender": "대상",
        "time": "시간, {unit}",
        "memory": "메모리, MB",
        "score": "점수",
        "training": "그중 훈련",
        "loss": "손실",
        "short": "목표에 미치지 못한 것: {what}.",
        "all": "목표에 모두 도달했습니다.",
        "none": "아직 잰 것이 없습니다.",
        "machine": "{processor}, 코어 {cores}개, {system}",
        "facts": "`{command}`, {date}: {sizes}. 버전: {versions}.",
        "peak memory": "{name}, 최대 메모리",
        "turns": "차례",
        "threads": "스레드",
        "step": "작은 신경망의 한 스텝",
        "predict": "보관한 모델의 답 하나",
        "batch": "행의 파일, 파일에서 답이 붙은 파일까지",
        "resnet": "ResNet-18의 한 스텝",
        "pictures section": "Fashion-MNIST 한 에포크, 파일에서 테스트 점수까지",
        "tables": "CSV 표 20에포크, 파일에서 테스트 점수까지",
        "recipe": "CIFAR-10 속도 레시피, 훈련",
        "saving": "저장이 훈련에서 차지하는 비용",
        "serve": "서비스되는 모델: 연결 32개로 물을 때 요청 하나의 시간",
        "serve_load": "답할 수 있는 양의 20배를 요청받는 서버",
        "serve_memory": "요청 110,000개 동안 서버의 메모리",
        "requests a second": "초당 요청 수",
        "p50": "p50, ms",
        "p99": "p99, ms",
        "p50 alone": "연결 하나로 물을 때 p50, ms",
        "start": "시작부터 준비까지, s",
        "times": "부하, 처리 능력의 배수",
        "kept": "유지된 처리 능력의 비율",
        "recovery": "다시 전처럼 빨라지기까지, s",
        "before": "처음 메모리, MB",
        "growth": "늘어난 메모리, MB",
        "loading": "파일에서 배치까지의 그림, 첫 에포크 뒤의 한 에포크",
        "tokens a second": "초당 토큰",
        "sum of tokens": "토큰 번호의 합",
        "gpt": "작은 GPT의 한 스텝",
        "gpt-reach": "작은 GPT가 알게 될 때까지의 초",
        "gpt-decode": "작은 GPT가 토큰 하나씩 쓰기",
        "word2vec": "단어 벡터, 글의 단어 하나",
        "wordsim": "WordSim-353",
        "analogies": "유추",
        "wordsim lacking": "WordSim-353, 100에서 모자란 점수",
        "analogies wrong": "유추, 틀린 것 100 가운데",
        "share": "저장, 훈련의 %",
        "saves": "저장 횟수",
        "state": "상태, MB",
        "pictures per second": "초당 그림 수",
        "accuracy": "정확도",
        "whole": "전체, {unit}",
    },
}
ORDER = ("step", "predict", "batch", "resnet", "pictures", "loading", "recipe", "tables", "saving")
ORDER += ("gpt", "gpt-reach", "gpt-decode", "word2vec")
ORDER += ("serve", "serve_load", "serve_memory")


def page_part(results: list[dict[str, Any]], language: str) -> str:
    """What stands between the markers: a chapter for each machine."""
    words = WORDS[language]
    if not results:
        return words["none"]
    lines: list[str] = []
    for held in results:
        lines += [f"## {words['machine'].format(**held['machine'])}", "", _missed(held, words), ""]
        for name in sorted(held["sections"], key=ORDER.index):
            lines += _section(name, held["sections"][name], words)
    return "\n".join(lines).rstrip()


def _missed(held: dict[str, Any], words: dict[str, str]) -> str:
    missed = [
        f"{_name_of(figure, words)} {number(figure['reached']['median'])} ({_asked(figure)})"
        for name in sorted(held["sections"], key=ORDER.index)
        for figure in held["sections"][name]["figures"]
        if not is_reached(figure)
    ]
    return words["short"].format(what="; ".join(missed)) if missed else words["all"]


def _section(name: str, section: dict[str, Any], words: dict[str, str]) -> list[str]:
    sizes = ", ".join(
        f"{size if size in ORDER else words.get(size, size)} {value}" for size, value in section["sizes"].items()
    )
    versions = ", ".join(f"{package} {version}" for package, version in section["versions"].items())
    facts = {"command": section["command"], "date": section["date"], "sizes": sizes, "versions": versions}
    lines = [f"### {words['pictures section' if name == 'pictures' else name]}", "", words["facts"].format(**facts), ""]
    figures = [
        [
            _name_of(figure, words),
            _asked(figure) or "–",
            _spread(figure["reached"]),
            (words["yes"] if is_reached(figure) else words["no"]) if _asked(figure) else "",
        ]
        for figure in section["figures"]
    ]
    if figures:
        lines += [*_table([words["figure"], words["asked"], words["reached"], words["is it"]], figures), ""]
    kinds = list(dict.fromkeys(kind for numbers in section["contenders"].values() for kind in numbers))
    heads = [words["contender"], *(words[kind].format(unit=section["unit"]) for kind in kinds)]
    rows = [
        [name, *((_spread if kind == "time" else _middle)(numbers.get(kind)) for kind in kinds)]
        for name, numbers in section["contenders"].items()
    ]
    return [*lines, *_table(heads, rows), ""]


def _name_of(figure: dict[str, Any], words: dict[str, str]) -> str:
    name = " ÷ ".join(filter(None, (figure["of"], figure["beside"])))
    if figure["name"] == "time":
        return name
    return words["peak memory"].format(name=name) if figure["name"] == "memory" else f"{name}, {words[figure['name']]}"


def _asked(figure: dict[str, Any]) -> str:
    if figure["most"] is not None:
        return f"≤ {figure['most']:g}"
    return f"≥ {figure['least']:g}" if figure["least"] is not None else ""


def _spread(held: dict[str, float] | None) -> str:
    return f"{_middle(held)} ({number(held['low'])} … {number(held['high'])})" if held else ""


def _middle(held: dict[str, float] | None) -> str:
    return number(held["median"]) if held else ""


def number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def with_part(page: str, part: str) -> str:
    """The page with this between its markers."""
    before, found, rest = page.partition(BEGIN)
    _old, ended, after = rest.partition(END)
    assert found and ended, "the page has lost its markers"
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="*", type=Path, help="files of bench/results; all but the quick ones if none")
    paths = parser.parse_args().results or [
        path for path in sorted(RESULTS.glob("*.json")) if not path.name.startswith("quick-")
    ]
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    for language, path in PAGES.items():
        path.write_text(with_part(path.read_text(encoding="utf-8"), page_part(results, language)), encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
