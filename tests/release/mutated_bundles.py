"""Bundles with a few bytes changed at random: each must be refused, or answer as before; nothing may crash.

    python -m tests.release.mutated_bundles --mutations 20000 [--seed 0]

Bytes and bits are changed, pieces cut out, doubled and moved, and numbers put where lengths may stand; in programs also
operators, settings, names and constants are exchanged, and the whole written as it should be. More than half of the
files have their checksums made right again, as a sender would. They are opened in this process, so that a crash of the
runtime would be seen: the process would be gone. Only exchanged programs run in a trial's child, as gipi runs them.
"""

import argparse
import collections
import random
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from gipi.release import graph, stored
from gipi.release.operators import LIMITS, OPERATORS
from gipi.release.refused import Refused

try:
    from tests.release.hostile import good_parts, joined, open_bundle, peak, sealed
except ImportError:  # found beside this file, as pytest does
    from hostile import good_parts, joined, open_bundle, peak, sealed

EXCHANGED = "program.onnx, its things exchanged"
TELLING = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    1 << 31,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
]


def mutated(content: bytes, draws: random.Random) -> bytes:
    """Content with one to four changes."""
    changed = bytearray(content)
    for _change in range(draws.choice((1, 1, 1, 2, 4))):
        place = draws.randrange(len(changed)) if changed else 0
        stop = min(len(changed), place + draws.choice((1, 2, 4, 8, 64)))
        match draws.randrange(8):
            case 0:
                changed[place:stop] = draws.randbytes(stop - place)
            case 1 if changed:
                changed[place] ^= 1 << draws.randrange(8)
            case 2:
                del changed[place:stop]
            case 3:
                changed[place:place] = changed[place:stop]
            case 4:
                size = draws.choice((1, 2, 4, 8))
                changed[place : place + size] = (draws.choice(TELLING) % (1 << 8 * size)).to_bytes(size, "little")
            case 5:
                other = draws.randrange(len(changed) + 1)
                changed[other:other] = changed[place:stop]
            case 6:
                changed[place:stop] = bytes(stop - place)
            case 7 if changed:
                changed[place] = (changed[place] + draws.choice((-1, 1))) % 256
    return bytes(changed)


def mutation(parts: dict[str, bytes], draws: random.Random) -> tuple[str, bytes]:
    """What was changed, and the file: in the whole of it, or in one part with all checksums right."""
    match draws.randrange(20):
        case 0 | 1 | 2 | 3:
            return "the file", mutated(joined(parts), draws)
        case 4 | 5 | 6 | 7:
            return "the file, its checksum right", sealed(mutated(joined(parts)[:-64], draws))
        case 8:
            return EXCHANGED, joined(parts | {"program.onnx": exchanged(parts["program.onnx"], draws)})
        case _:
            name = draws.choice(stored.NAMES)
            return name, joined(parts | {name: mutated(parts[name], draws)})


def exchanged(content: bytes, draws: random.Random) -> bytes:
    """A program with one to three of its things exchanged for others, written as gipi writes."""
    said = graph.read(content)
    nodes, tensors = list(said.nodes), list(said.tensors)
    names = ["x", "", "y", *(name for node in nodes for name in node.outputs), *(tensor.name for tensor in tensors)]
    for _change in range(draws.choice((1, 1, 2, 3))):
        place = draws.randrange(len(nodes))
        node = nodes[place]
        match draws.randrange(5):
            case 0:
                nodes[place] = replace(node, operator=draws.choice(sorted(OPERATORS)))
            case 1:
                inputs = list(node.inputs)
                inputs[draws.randrange(len(inputs))] = draws.choice(names)
                nodes[place] = replace(node, inputs=tuple(inputs[: draws.randrange(1, len(inputs) + 1)]))
            case 2:
                value = draws.choice((-(2**63), -1, 0, 1, 2, 7, 1 << 20, 2**63 - 1))
                setting = graph.Attribute(draws.choice(sorted(LIMITS)), graph.INT, value)
                nodes[place] = replace(node, attributes=(*node.attributes, setting))
            case 3:
                new = replace(node, outputs=(f"n{draws.randrange(9)}",), operator=draws.choice(sorted(OPERATORS)))
                nodes.insert(place, new)
            case 4:
                numbers = np.array([draws.choice((-1, 0, 1, 4, 1 << 31)) for _ in range(draws.randrange(4))], np.int64)
                name = f"c{draws.randrange(99)}"
                tensors.append(graph.Tensor(name, 7, numbers.shape, numbers.tobytes()))
                nodes[place] = replace(node, inputs=(*node.inputs[:1], name))
    return graph.write(replace(said, nodes=tuple(nodes), tensors=tuple(tensors)))


def outcome(path: Path, expected: dict[str, np.ndarray], in_child: bool) -> str:
    """`refused: why`, `the same answers`; anything else is a finding."""
    try:
        found = open_bundle(path, in_child)
    except Refused as error:
        return f"refused: {re.sub('[0-9]+', 'N', str(error))}"
    except Exception as error:
        return f"CRASH: {type(error).__name__}: {error}"
    same = all(np.allclose(found[name], expected[name], rtol=2e-4, atol=2e-5) for name in expected)
    return "the same answers" if found.keys() == expected.keys() and same else "OTHER ANSWERS"


def mutate(folder: Path, count: int, seed: int) -> list[tuple[str, str, float, int]]:
    """(what was changed, what came of it, seconds, bytes of memory more) for so many files."""
    draws, parts, path = random.Random(seed), good_parts(), folder / "mutated.gipi"
    path.write_bytes(joined(parts))
    expected = open_bundle(path, in_child=False)
    rows = []
    for _number in range(count):
        what, content = mutation(parts, draws)
        path.write_bytes(content)
        before, begin = peak(), time.perf_counter()
        said = outcome(path, expected, what == EXCHANGED)
        rows.append((what, said, time.perf_counter() - begin, peak() - before))
        path.unlink()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = mutate(Path(folder), asked.mutations, asked.seed)
    for what in sorted({row[0] for row in rows}):
        said = collections.Counter(row[1].split(":")[0] for row in rows if row[0] == what)
        print(f"{what}: {dict(said)}")
    for said, times in collections.Counter(row[1][:60] for row in rows).most_common(20):
        print(f"{times:7} {said}")
    seconds = sorted(row[2] for row in rows)
    print(
        f"{len(rows)} mutations; median {1e3 * seconds[len(seconds) // 2]:.2f} ms, slowest {1e3 * seconds[-1]:.0f} ms"
    )
    print(f"most memory {max(row[3] for row in rows) / 2**20:.1f} MB")
    print("findings:", [row for row in rows if row[1].startswith(("CRASH", "OTHER"))][:5])


if __name__ == "__main__":
    main()
