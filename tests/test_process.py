"""What gipi asks of its process: nothing that lasts longer than it is wanted, and each is of use."""

import subprocess
import sys

import pytest

ASKED = """
import gc, sys
from gipi.process import large_imports
{before}
with large_imports():
    assert gc.isenabled() is {during}
    import torch
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


@pytest.mark.parametrize(
    ("before", "during", "expected"),
    [
        ("", False, "True True"),
        ("import torch", True, "True False"),  # a person's program has it already, and all that it made beside it
        ("gc.disable()", False, "False False"),
    ],
)
def test_the_collector_neither_looks_nor_is_lost(before, during, expected):
    code = ASKED.format(before=before, during=during)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == expected


TRIED = """
import gc, sys
import gipi
from gipi.cli.main import main
try:
    {what}
except ValueError:  # all of gipi's errors are
    pass
print(gc.get_freeze_count() > 100_000, "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    "what",
    [
        "gipi.fit('nowhere.csv')",
        "gipi.load('nowhere')",
        "gipi.predict('nowhere', {'x': 1})",
        "gipi.resume('nowhere')",
        "main(['fit', 'nowhere.csv'])",
        "main(['predict', 'nowhere', '{}'])",
        "main(['evaluate', 'nowhere'])",
        "main(['show', 'nowhere'])",
    ],
)
def test_by_whatever_door_torch_comes_it_is_so_imported(what, tmp_path):
    code = TRIED.replace("{what}", what)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    frozen, has_torch = done.stdout.split()[-2:]
    assert frozen == has_torch == "True"


TAKEN = """
import resource, sys, torch
from contextlib import nullcontext
from gipi.process import freed_memory_kept

def taken(where):
    with where:
        for each in range(12):
            if each == 2:
                begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            some = [torch.ones(10 << 20) for _number in range(3)]
            del some
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin

usual = taken(nullcontext())
with freed_memory_kept():
    kept, inner, after = taken(nullcontext()), taken(freed_memory_kept()), taken(nullcontext())
own = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")]
print(usual, kept, inner, after, own[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator, counted by the kernel")
def test_memory_that_was_freed_is_taken_again_without_asking_for_pages():
    done = subprocess.run([sys.executable, "-c", TAKEN], capture_output=True, text=True, check=True)
    usual, kept, inner, after, own = map(int, done.stdout.split())
    assert usual > 100_000, "pages of 4 kB: each time the system was asked for 120 MB"
    assert max(kept, inner, after) < 0.5 * usual
    assert own < 400_000, "in kB: at the end it is given back"
