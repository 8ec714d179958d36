"""Small models that write and chat, and one of texts: untrained, for what a server does with them is the same."""

import torch

from gipi import systems, tasks
from gipi.data.schema import Field, Schema, sizes
from gipi.data.tokenizers import train
from gipi.release.model import Model

TEXTS = ["the cat sat on the mat, and the dog sat by the door.", "a good film is a good film; a bad one is not."]
SMALL = {"bow": {"buckets": 512}, "gpt": {"size": "tiny"}, "bert": {"size": "tiny"}, "transformer": {"size": "mini"}}
OTHER = (Field("other", "text", (32,), tokenizer=train(TEXTS, "characters", 400).to_json()),)
TAGS = (Field("tags", "tags", values=("O", "B-PER", "I-PER")),)


def of_texts(
    task: str, system: str, targets: tuple[Field, ...] = (), names: tuple[str, ...] = ("text",), context: int = 32
) -> Model:
    """A model with a tokenizer of characters, or of words for two texts."""
    kind = "characters" if len(names) == 1 else "words"
    tokenizer = train(TEXTS, kind, 400).to_json()
    fields = tuple(Field(name, "text", (context,), tokenizer=tokenizer) for name in names)
    schema = Schema(fields, targets)
    of = systems.load(system)
    config = of.Config(**SMALL[system])
    torch.manual_seed(0)
    output = tasks.load(task).output(schema)
    sized = sizes(schema, output)
    net = of.Net(sized, config)
    with torch.no_grad():  # some heads begin at zero
        for held in net.parameters():
            held.add_(0.05 * torch.randn_like(held))
    return Model(task, system, schema, sized, vars(config) | {}, [net], {"metrics": {}})


SENTIMENT = (Field("sentiment", "class", values=("bad", "good")),)


def of_words() -> Model:
    """A model of four words."""
    schema = Schema((Field("word", "text", (1,), values=("cat", "dog", "mat", "door")),))
    of, sized = systems.load("word2vec"), sizes(schema, 0)
    config = of.Config(dimension=4)
    torch.manual_seed(0)
    return Model("relate", "word2vec", schema, sized, vars(config) | {}, [of.Net(sized, config)], {"metrics": {}})
