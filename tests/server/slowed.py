"""`gipi serve` with a model that is slowed down: each batch takes so many seconds longer.

python slowed.py SECONDS MODEL [OPTIONS of gipi serve]
"""

import sys
import time

from gipi.cli.main import main
from gipi.server.engine import Engine

seconds = float(sys.argv[1])
quick = Engine.run


def run(self, ready):
    time.sleep(seconds)
    return quick(self, ready)


Engine.run = run
sys.exit(main(["serve", *sys.argv[2:]]))
