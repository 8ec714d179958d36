"""What a person sees while a run goes on, in a terminal, a pipe, a notebook; and that it costs next to nothing."""

import io
import os
import pty
import re
import subprocess
import sys
import time
import types

import pytest
from rich.console import Console

from gipi.report import display as shown
from gipi.report.display import Display, Pace, Plain, Progress, Silent, choose, epoch_line
from gipi.report.notebook import Curves
from gipi.report.tables import plain_lines, print_table
from gipi.report.terminal import Terminal, bar, epoch_table, sparkline
from gipi.report.text import width

EVIL = "[red]column[/red]\x1b[2J"


class Loss:
    """Stands for a tensor on a device: counts how often somebody waits for its value."""

    ndim = 0

    def __init__(self, value: float):
        self.value = value
        self.reads = 0

    def __float__(self) -> float:
        self.reads += 1
        return self.value


def record(epoch: int, best: bool = False) -> dict:
    valid = {"loss": 1.5 / epoch, "accuracy": 0.9}
    return {
        "epoch": epoch,
        "step": epoch * 10,
        "train": {"learner": 1 / epoch},
        "valid": valid,
        "is_best": best,
        "seconds": 0.5,
    }


def journey(display: Display, epochs: int = 12, label: str = "") -> None:
    display.data("digits", ["1,797 rows", EVIL])
    display.model("convnet", [("Conv2d", (16, 8, 8), 160), ("Linear", (10,), 5130)], 5290)
    display.plan([("loss", "cross-entropy"), "batches of 32"])
    display.begin(epochs * 10, label)
    for epoch in range(1, epochs + 1):
        for step in range(10):
            display.step((epoch - 1) * 10 + step, {"learner": Loss(1.0)})
        display.epoch(record(epoch, best=epoch <= 3))
        if epoch == 2:
            display.note("a remark")
    display.end("early")
    display.verdict(["Take the neighbours.", "They are as good."])
    display.table("ways", ["way", "accuracy"], [["convnet", 0.99], [EVIL, None]])
    display.close()
    display.close()


def console(columns: int = 60) -> Console:
    return Console(width=columns, height=60, file=io.StringIO(), force_terminal=True, highlight=False)


def screen_of(console: Console) -> list[str]:
    """The lines that a terminal shows in the end: it obeys line ends, cursor up and erase line, and nothing else."""
    written = console.file.getvalue()  # type: ignore[attr-defined]
    lines, row, column = [""], 0, 0
    for code, sign in re.findall(r"\x1b\[([?\d;]*[A-Za-z])|([^\x1b])", written):
        if sign == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif sign == "\r":
            column = 0
        elif sign:
            lines[row] = lines[row][:column].ljust(column) + sign + lines[row][column + 1 :]
            column += 1
        elif code == "2K":
            lines[row] = ""
        elif code.endswith("A"):
            row -= int(code[:-1] or 1)
            assert row >= 0
        else:
            assert code.endswith("m") or code in ("?25l", "?25h"), code
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_terminal_shows_it_all_within_its_width(columns):
    screen = console(columns)
    journey(Terminal(console=screen))
    lines = screen_of(screen)
    said = "\n".join(lines)
    for part in ("1,797 rows", "5,290 parameters", "cross-entropy", "a remark", "120 steps", "Take the neighbours."):
        assert part in said
    assert "[red]column[/red]" in said  # neither markup nor an escape
    assert "\x1b[2J" not in screen.file.getvalue()  # type: ignore[attr-defined]
    assert all(width(line) <= columns for line in lines)
    assert said.count("a remark") == said.count("★") == 1 and "steps/s" not in said  # what was drawn before is gone


def test_terminal_puts_train_and_validation_side_by_side_and_keeps_the_best_in_view():
    lines = [line.plain for line in epoch_table([record(e, e <= 3) for e in range(1, 20)], 60)]
    assert lines[0].split() == ["loss", "accuracy"]
    assert lines[1].split() == ["epoch", "train", "valid", "valid"]
    assert lines[2].split() == ["★", "3", "0.3333", "0.5000", "90.0", "%"]
    assert [line.split()[0] for line in lines[3:]] == ["15", "16", "17", "18", "19"]
    ends = [[match.end() for match in re.finditer(r"\S+( %)?", line)][-3:] for line in lines[1:]]
    assert all(found == ends[0] for found in ends)


def test_terminal_drops_measures_that_do_not_fit():
    many = {"epoch": 1, "valid": {f"measure_{k}": 0.5 for k in range(9)}}
    lines = epoch_table([many], 45)
    assert "measure 0" in lines[0].plain and all(width(line.plain) <= 45 for line in lines)
    assert epoch_table([], 60) == []


def test_a_fold_leaves_one_line():
    screen = console(100)
    journey(Terminal(console=screen), label="fold 2 of 5")
    ends = [line for line in screen_of(screen) if "fold 2 of 5" in line]
    assert len(ends) == 1 and "loss 0.5" in ends[0] and "stopped early" in ends[0]


def test_the_bar_at_every_width_and_moment():
    progress = Progress(1000, "fold 2 of 5")
    for columns in range(20, 120, 7):
        progress.done, progress.rate, progress.drawn = 500, 1234.5, [(1, 2.0), (2, 1.0), (3, float("nan"))]
        first = bar(progress, columns).plain.splitlines()[0]
        assert "50 %" in first and "0:01 left" in first
        if columns >= 62:
            assert width(first) <= columns and "━" in first
    assert "step 500" in bar(_without_end(progress), 60).plain
    assert "#" in bar(progress, 90, plain=True).plain and bar(progress, 90, plain=True).plain.isascii()


def _without_end(progress: Progress) -> Progress:
    endless = Progress(None, "")
    endless.done = progress.done
    return endless


def test_sparkline():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, float("nan"), float("inf"), 1], 20) == "▁▁"
    assert sparkline([1], 20) == ""
    assert len(sparkline(list(range(100)), 20)) == 20


def test_a_loss_is_read_only_when_it_is_drawn_and_draws_are_few(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(shown.time, "perf_counter", lambda: clock[0])
    terminal = Terminal(console=console())
    terminal.begin(10_000)
    loss = Loss(1.0)
    for step in range(10_000):
        clock[0] += 0.001
        terminal.step(step, {"learner": loss})
    assert 50 <= loss.reads <= 100  # ten seconds, at most ten a second
    assert terminal.progress.rate == pytest.approx(1000, rel=0.02)
    terminal.close()


def test_slow_steps_are_drawn_each(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(shown.time, "perf_counter", lambda: clock[0])
    terminal = Terminal(console=console())
    terminal.begin(100)
    loss = Loss(1.0)
    for step in range(20):
        clock[0] += 2.0
        terminal.step(step, {"learner": loss})
    assert loss.reads >= 12
    assert terminal.progress.left() == pytest.approx(160, rel=0.1)
    terminal.close()


def test_drawing_takes_its_share_of_the_time_and_no_more(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(shown.time, "perf_counter", lambda: clock[0])
    pace, drawn = Pace(0.1, share=0.02), 0
    while clock[0] < 100:
        clock[0] += 0.01
        if pace.due():
            began = clock[0]
            clock[0] += 0.05  # a slow terminal
            drawn += 1
            pace.drew(began)
    assert 0.01 <= drawn * 0.05 / 100 <= 0.0205


def test_a_step_costs_next_to_nothing():
    for display in (Terminal(console=console()), Plain(io.StringIO()), Silent()):
        display.begin(None)
        losses = {"learner": 1.0}
        best = 1.0
        for _attempt in range(5):
            began = time.perf_counter()
            for step in range(2000):
                display.step(step, losses)
            best = min(best, (time.perf_counter() - began) / 2000)
        display.close()
        assert best < 5e-6, display  # 0.2 µs on a quiet machine


def test_plain_is_a_few_lines_without_any_escape():
    stream = io.StringIO()
    journey(Plain(stream))
    said = stream.getvalue()
    assert "\x1b" not in said and "[red]column[/red]" in said
    epochs = [line for line in said.splitlines() if line.startswith("epoch")]
    assert epochs == [epoch_line(record(1, True)), epoch_line(record(12))]
    assert epochs[0] == "epoch 1  loss train 1 valid 1.5  accuracy valid 90.0 %  500 ms"
    assert "verdict: Take the neighbours." in said


def test_plain_outlives_its_reader_and_a_poor_alphabet():
    read, write = os.pipe()
    os.close(read)
    with (
        pytest.raises(BrokenPipeError),
        os.fdopen(write, "w") as closed,
    ):  # our words are dropped; python's own last flush fails
        closed.write("x")
        journey(Plain(closed))
        closed.flush()
    poor = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Plain(poor).note("깊이 is depth")
    poor.flush()
    assert poor.buffer.getvalue() == b"?? is depth\n"  # type: ignore[attr-defined]


def test_choose(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(choose(quiet=True), Silent)
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(choose(), Terminal)
    aside = choose(json=True)
    assert isinstance(aside, Plain) and aside.stream.stream is sys.stderr
    monkeypatch.setattr(sys, "stdout", None)  # pythonw
    assert isinstance(choose(), Silent)


@pytest.fixture
def notebook(monkeypatch):
    """A kernel as far as we see it: what is displayed, and how often."""
    cells: list[list[str]] = []

    class Handle:
        def __init__(self, number: int):
            self.number = number

        def update(self, content: str) -> None:
            cells[self.number].append(content)

    def display(content: str, display_id: bool = False) -> Handle:
        cells.append([content])
        return Handle(len(cells) - 1)

    ipython, inner = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    inner.HTML, inner.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    return cells


def test_notebook_draws_curves_in_one_cell(notebook):
    display = choose()
    assert type(display).__name__ == "Notebook"
    journey(display)
    everything = "".join(text for cell in notebook for text in cell)
    assert "<script" not in everything and "\x1b" not in everything and "[red]column[/red]" in everything
    live = [cell for cell in notebook if len(cell) > 1]
    assert len(live) == 1 and len(live[0]) <= 4  # twelve epochs pass in far less than a second
    assert "<svg" in live[0][-1] and "120 steps" in live[0][-1] and "validation" in live[0][-1]
    assert "best so far: epoch 3" in live[0][-1]


def test_curves_of_a_finished_run(tmp_path):
    curves = Curves([record(e, e <= 3) for e in range(1, 9)])
    assert curves._repr_html_().count("<svg") == 2 and "kept: epoch 3" in curves._repr_html_()
    assert "<svg" in curves.save(tmp_path / "curves.html").read_text("utf-8")
    assert "epoch 8" in repr(curves) and "<svg" not in Curves([])._repr_html_()


def test_ipython_in_a_terminal_is_no_notebook(notebook, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace(), raising=False)
    assert not shown.in_notebook()


def test_every_display_can_be_told_everything():
    for kind in Display.__subclasses__():
        assert not kind.__abstractmethods__, kind
        assert not [one for one in kind.__subclasses__() if one.__module__.startswith("gipi")]  # final


def test_ctrl_c_gives_the_terminal_back():
    code = """
import time
from gipi.report.display import choose
with choose() as display:
    display.begin(1000, "fold 1 of 2")
    for step in range(1000):
        display.step(step, {"learner": 1.0})
        time.sleep(0.01)
        if step == 40:
            raise KeyboardInterrupt
"""
    main, side = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stdin=side, stdout=side, stderr=subprocess.PIPE)
    os.close(side)
    said = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        said += piece
    process.communicate()
    os.close(main)
    assert process.returncode != 0
    assert said.count(b"\x1b[?25l") == said.count(b"\x1b[?25h") == 1  # cursor hidden, cursor shown
    assert b"fold 1 of 2" in said


def test_tables_align_also_in_korean():
    lines = plain_lines("자료", ["이름", "rows"], [["숫자", 1797], ["iris", 150], [EVIL, None]])
    assert lines[0] == "자료" and len({width(line[: line.rindex(" ")]) for line in lines[1:2]}) == 1
    assert [width(line) for line in lines[1:]] == [width(lines[1])] * 4
    stream = io.StringIO()
    print_table("", ["a"], [[EVIL]], stream)
    assert "\x1b" not in stream.getvalue()


def test_tables_in_a_terminal():
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    print_table("runs", ["run", "accuracy"], [[EVIL, 0.98254], ["b", None]], screen)
    assert "0.9825" in screen.getvalue() and "[red]column[/red]" in screen.getvalue()
