"""A small GPT on characters beside plain PyTorch, transformers, Keras: the cost of a step, how soon it knows, writing.

    python bench/gpt.py [--quick] [--turns 3] [--steps 200] [--work step|reach|decode]

`step`: milliseconds of a training step, of the same network (4 layers, 4 heads, width 128, windows of 64 characters,
batches of 12) with AdamW. `reach`: seconds of training until the loss on the last tenth of tiny shakespeare is below
1.88, of gipi by its recipe (`--recipe quick`) and of plain PyTorch by nanoGPT's. `decode`: milliseconds a token, one at
a time, the likeliest each time, with the same weights as transformers' generate.
The text is read below the folder that GIPI_DATA names.
"""

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

from plain_gpt import BATCH, HEADS, LAYERS, STEP_SIZE, WIDTH, WINDOW
from turns import Bench, Figure, Turn, arguments, hold, timed

WANTED = 1.88
SHAPE = {"layers": LAYERS, "heads": HEADS, "width": WIDTH}
ROOM = 256  # tokens that the networks which write can look at
WRITTEN = 200


def fitted(options: argparse.Namespace, **more: Any) -> Any:
    """A run of gipi on the same text, the same parts."""
    from plain_gpt import VALID, text

    import gipi

    with tempfile.TemporaryDirectory() as folder:
        from pathlib import Path

        (Path(folder) / "tiny_shakespeare.txt").write_text(text(), encoding="utf-8")
        return gipi.fit(
            f"{folder}/tiny_shakespeare.txt",
            task="write",
            tokenizer="characters",
            test_share=0.0,
            valid_share=VALID,
            verdict=False,
            doctor=False,
            threads=options.threads,
            device="cpu",
            quiet=True,
            run=f"{folder}/run",
            **more,
        ).history, folder


# --- a step ------------------------------------------------------------------------------------------------------


def batches(options: argparse.Namespace, vocabulary: int) -> tuple[Any, Any]:
    """The same windows for each contender, which costs nobody anything in the loop."""
    import torch

    draw = torch.Generator().manual_seed(0)
    rows = torch.randint(vocabulary, (BATCH, WINDOW + 1), generator=draw)
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def our_step(**how: Any) -> Callable[[argparse.Namespace], Turn]:
    def make(options: argparse.Namespace) -> Turn:
        import torch

        from gipi.data.schema import Sizes
        from gipi.systems import gpt
        from gipi.tasks.write import asked, loss
        from gipi.training import fit
        from gipi.training.prepare import Arithmetic, prepared

        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        config = gpt.Config(size="gpt2", **SHAPE, **how)
        net = gpt.Net(Sizes((WINDOW,), 0, vocabulary=65), config)
        made = gpt.players(net, config, loss, lambda lr: lambda step: lr)
        players = prepared(made, net, Arithmetic(threads=options.threads), 1.0, 1, True, lambda batch: asked(batch[1]))
        batch = batches(options, 65)

        def train(steps: int) -> float:
            found = [each["learner"] for _step, each in fit(players, iter(lambda: batch, None), steps)]
            return float(found[-1])

        train(5)
        return lambda: of_steps(lambda: train(options.steps), options)

    return make


def of_steps(work: Callable[[], Any], options: argparse.Namespace) -> dict[str, float]:
    seconds, _given = timed(work)
    return {"time": 1e3 * seconds / options.steps, "tokens a second": BATCH * WINDOW * options.steps / seconds}


def plain_step(options: argparse.Namespace) -> Turn:
    import torch
    from plain_gpt import BETAS, CLIP, GPT

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    net, batch = GPT(65, is_gpt2=True), batches(options, 65)
    optimizer = torch.optim.AdamW(net.parameters(), STEP_SIZE, BETAS, fused=True)

    def train(steps: int) -> None:
        for _step in range(steps):
            loss = net(*batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimizer.step()

    train(5)
    return lambda: of_steps(lambda: train(options.steps), options)


def theirs(vocabulary: int, room: int) -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    own = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "bos_token_id": 0, "eos_token_id": None}
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocabulary, n_positions=room, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **own)
    )


def trainer_step(options: argparse.Namespace) -> Turn:
    import accelerate  # noqa: F401  # Trainer needs it
    import torch
    from transformers import Trainer, TrainingArguments

    torch.set_num_threads(options.threads)
    x, y = batches(options, 65)
    rows = torch.cat([x, y[:, -1:]], 1)[:, :WINDOW]
    held = [{"input_ids": row, "labels": row} for row in rows]

    def train(steps: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            how = TrainingArguments(
                folder,
                per_device_train_batch_size=BATCH,
                max_steps=steps,
                learning_rate=STEP_SIZE,
                optim="adamw_torch_fused",
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            )
            Trainer(model=theirs(65, WINDOW), args=how, train_dataset=held).train()

    train(5)
    return lambda: of_steps(lambda: train(options.steps), options)


def keras_step(options: argparse.Namespace) -> Turn:
    import keras
    import numpy as np
    from keras import layers, ops

    x, y = (part.numpy() for part in batches(options, 65))

    def network() -> Any:
        inputs = keras.Input((WINDOW,), dtype="int32")
        places = ops.cumsum(ops.ones_like(inputs), axis=1) - 1  # of the graph, or the table would not be learned
        h = layers.Embedding(65, WIDTH)(inputs) + layers.Embedding(WINDOW, WIDTH)(places)
        for _layer in range(LAYERS):
            n = layers.LayerNormalization()(h)
            h = h + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(n, n, use_causal_mask=True)
            n = layers.LayerNormalization()(h)
            h = h + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(n))
        net = keras.Model(inputs, layers.Dense(65)(layers.LayerNormalization()(h)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        net.compile(optimizer=keras.optimizers.AdamW(STEP_SIZE, clipnorm=1.0), loss=loss)
        return net

    net = network()

    def train(steps: int) -> None:
        net.fit(np.tile(x, (steps, 1)), np.tile(y, (steps, 1)), batch_size=BATCH, epochs=1, verbose=0)

    train(5)
    return lambda: of_steps(lambda: train(options.steps), options)


# --- how soon ----------------------------------------------------------------------------------------------------


def our_reach(options: argparse.Namespace) -> Turn:
    import gipi  # noqa: F401  # imported before the clock runs

    def turn() -> dict[str, float]:
        from gipi.systems import recipe

        _system, how = recipe("quick", "gpt")
        if options.quick:
            how["steps"] = 20
        history, _folder = fitted(options, system="gpt", **how)
        return {"time": history[-1]["seconds"], "loss": history[-1]["valid"]["loss"]}

    return turn


def plain_reach(options: argparse.Namespace) -> Turn:
    import torch
    from plain_gpt import loss_of, parts, train

    torch.set_num_threads(options.threads)
    _train, valid, _vocabulary = parts()

    def turn() -> dict[str, float]:
        seconds, net = timed(lambda: train(20 if options.quick else 2000))
        return {"time": seconds, "loss": loss_of(net, torch.from_numpy(valid))}

    return turn


# --- writing -----------------------------------------------------------------------------------------------------


def our_decode(options: argparse.Namespace) -> Turn:
    import torch

    from gipi.data.schema import Sizes
    from gipi.models.decoding import generate
    from gipi.release.weight_files import Weights
    from gipi.release.weights import take
    from gipi.systems import gpt

    torch.set_num_threads(options.threads)
    net = gpt.Net(Sizes((ROOM,), 0, vocabulary=65), gpt.Config(size="gpt2", **SHAPE)).eval()
    take(net, Weights("transformers", dict(theirs(65, ROOM).state_dict())))

    def turn() -> dict[str, float]:
        seconds, tokens = timed(lambda: [*generate(net, [1, 2, 3], ROOM, temperature=0, most=WRITTEN)])
        return {"time": 1e3 * seconds / WRITTEN, "sum of tokens": float(sum(tokens))}

    turn()
    return turn


def their_decode(options: argparse.Namespace) -> Turn:
    import torch

    torch.set_num_threads(options.threads)
    model = theirs(65, ROOM).eval()
    prompt = torch.tensor([[1, 2, 3]])
    how = {"max_new_tokens": WRITTEN, "do_sample": False, "pad_token_id": 0}

    def turn() -> dict[str, float]:
        seconds, tokens = timed(lambda: model.generate(prompt, attention_mask=torch.ones_like(prompt), **how))
        return {"time": 1e3 * seconds / WRITTEN, "sum of tokens": float(tokens[0, 3:].sum())}

    turn()
    return turn


STEP = Bench(
    "gpt",
    {
        "plain PyTorch": plain_step,
        "gipi": our_step(optimizer="adamw", lr=STEP_SIZE),
        "gipi, as it comes": our_step(positions="rotary", activation="relu2", optimizer="muon"),
        "transformers Trainer": trainer_step,
        "keras torch": keras_step,
        "keras jax": keras_step,
    },
    [
        Figure("plain PyTorch", "gipi", least=1.0),
        Figure("transformers Trainer", "gipi", least=1.5),
        Figure("keras torch", "gipi", least=1.5),
        Figure("keras jax", "gipi", least=1.5),
    ],
    "ms a step",
)
REACH = Bench(
    "gpt-reach",
    {"plain PyTorch, nanoGPT's recipe": plain_reach, "gipi, --recipe quick": our_reach},
    [
        Figure("gipi, --recipe quick", most=45.0),
        Figure("gipi, --recipe quick", most=WANTED, name="loss"),
        Figure("plain PyTorch, nanoGPT's recipe", "gipi, --recipe quick", least=4.0),
    ],
    "s",
)
DECODE = Bench(
    "gpt-decode",
    {"transformers generate": their_decode, "gipi generate": our_decode},
    [Figure("transformers generate", "gipi generate", least=3.0)],
    "ms a token",
)


if __name__ == "__main__":
    import sys

    works = {"step": STEP, "reach": REACH, "decode": DECODE}
    chosen = [*works]
    if "--work" in sys.argv:
        place = sys.argv.index("--work")
        chosen = [sys.argv[place + 1]]
        del sys.argv[place : place + 2]
    given = sys.argv[1:]
    for name in chosen:
        sys.argv[1:] = given
        options = arguments(__doc__, 3, 2, {"steps": (200, 5)})
        sys.argv[1:] = [*given, "--work", name]  # a worker is this line again
        hold(works[name], options)
