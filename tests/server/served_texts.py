"""A server with small models of texts, for the tests of its page: `python -m tests.server.served_texts FOLDER KEY`."""

import sys
from pathlib import Path

from gipi.data.schema import Field
from gipi.release.keep import write_bundle
from gipi.verbs.serve import serve
from tests.server.writers import OTHER, SENTIMENT, TAGS, of_texts, of_words

STARS = (Field("stars", "normal", center=3.0, scale=1.5),)


def main(folder: Path, key: str) -> None:
    made = {
        "review": of_texts("classify", "bow", SENTIMENT),
        "stars": of_texts("regress", "bow", STARS),
        "pair": of_texts("classify", "bow", SENTIMENT, ("one", "two")),
        "writer": of_texts("write", "gpt"),
        "german": of_texts("translate", "transformer", OTHER),
        "gaps": of_texts("fill", "bert"),
        "names": of_texts("tag", "bert", TAGS),
        "words": of_words(),
        "talker": of_texts("chat", "gpt", names=("question",)),
    }
    sources = [f"{name}={write_bundle(model, folder / name)}" for name, model in made.items()]
    keys = folder / "keys"
    keys.write_text(f"{key}\n", encoding="utf-8")
    serve(*sources, port=0, threads=1, runtime="torch", keys=keys, begun=lambda where: print(where, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
