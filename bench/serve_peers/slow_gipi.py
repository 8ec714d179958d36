"""`gipi serve` with a model that takes so many milliseconds for each batch.

    python slow_gipi.py MODEL PORT MILLISECONDS [BATCH]

For bench/serve_load.py alone. Everything is as `gipi serve` has it but the model; BATCH is its rows at once, if given.
"""

import sys
import time

import gipi
from gipi.server.engine import Engine
from gipi.server.limits import Limits

if __name__ == "__main__":
    path, port, milliseconds, *batch = sys.argv[1:]
    quick = Engine.run

    def slow(self: Engine, ready: list) -> list:
        time.sleep(float(milliseconds) / 1000)
        return quick(self, ready)

    Engine.run = slow
    gipi.serve(path, port=int(port), limits=Limits(batch=int(batch[0]) if batch else None))
