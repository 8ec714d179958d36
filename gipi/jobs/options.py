"""Everything that `gipi fit` can be told, beside the data and the system's own options.

The same fields are the command line's options and Python's keyword arguments; run.json keeps them, so that a run can be
resumed and repeated. None, or an empty value, stands for what the system or the data suggests.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Fit:
    target: tuple[str, ...] = ()  # column or columns to be predicted
    task: str | None = None  # classify, regress, segment ... (gipi systems lists all); by the target if not given
    system: str | None = None  # see gipi systems; from the data if not given
    model: str | None = None  # timm:NAME or hf:NAME, a network of these libraries in place of a system
    recipe: str | None = None  # a named set of options, see the system's page: speed; what is typed beside it wins
    seed: int = 0  # decides parts, order, weights, everything that is drawn
    # --- how long, and by what
    epochs: int | None = None  # times that each training row is seen, at most
    steps: int | None = None  # steps, in place of epochs
    minutes: float | None = None  # that training may take: as many steps as fit
    batch_size: int | None = None  # rows in a step; 0: all
    loss: str | None = None  # cross_entropy focal hinge bce; mse mae huber; nll; quantile; dice both
    distribution: Literal["point", "normal", "quantiles"] = "point"  # a number, or how sure it is too
    schedule: str | None = None  # constant cosine inverse-sqrt linear one-cycle step warm-up: how the step size changes
    warmup: float = 0.0  # part of the run, 0 to 1, over which the step size rises first
    clip: float | None = None  # largest norm of the gradient
    parts: int = 1  # that a batch is worked through in, to save memory; the gradient is the same
    averaging: str | None = None  # none, ema or swa: keep an average of the weights along the way
    patience: int | None = None  # epochs without improvement until it stops; 0: never, keep the last weights
    label_smoothing: float | None = None  # share of certainty that is given to the other classes
    mixup: float = 0.0  # alpha of the mixing of rows; 0: none
    cutmix: float = 0.0  # alpha of the patches that pictures take from each other; 0: none
    augment: tuple[str, ...] | None = None  # flip crop affine colour ... (docs/augmentation.md), or none
    # --- the data and its parts
    test: str | None = None  # a file or folder of test rows, in place of a share
    valid: str | None = None  # a file or folder of validation rows, in place of a share
    test_share: float = 0.2  # of all rows, set aside for the end
    valid_share: float = 0.2  # of the rest, for early stopping and the best weights
    group: str | None = None  # column whose equal values stay in one part
    time: str | None = None  # column to split by: the latest rows are the test part
    weight: str | None = None  # column with the weight of each row
    class_weight: Literal["none", "balanced"] = "none"  # balanced: rare classes count as much as frequent ones
    positive: str | None = None  # one class against all others
    drop: tuple[str, ...] = ()  # columns that nothing is learned from
    no_target: bool = False  # nothing is to be predicted: look for clusters
    noise: float = 0.3  # denoise: standard deviation of the noise that is to be taken out, white being 1
    clusters: int | None = None  # how many; from the data if not given
    ignore: tuple[str, ...] = ()  # classes of masks that are not counted, neither in the loss nor in the figures
    scale: Literal["standard", "none"] = "standard"  # none: numbers reach the model as they are
    picture_size: int | None = None  # height and width that pictures are brought to
    text: tuple[str, ...] = ()  # column whose texts are learned from, two for pairs of texts
    tokenizer: str | None = None  # characters words bpe wordpiece unigram, or a tokenizer's file or run to take it from
    vocabulary: int | None = None  # tokens that a tokenizer learns, at most
    context: int | None = None  # tokens of a text that are looked at together, at most
    separator: str | None = None  # between the cells of a text table; found if not given
    # --- several models
    folds: int = 0  # k-fold validation: so many models, each validated on its own part, kept together
    ensemble: int = 1  # so many models from different seeds, kept together
    # --- weights to begin with
    weights: str | None = None  # to begin with: a run, bundle or file, an address, or a published name; also --from
    freeze: bool = False  # what was loaded stays as it is; only the rest learns, or the last layer
    trunk_lr: float | None = None  # factor of the step size for what was loaded, the last layer apart
    # --- where it runs, and what it leaves
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    workers: int | None = None  # threads that fetch rows of data larger than memory; by rule if not given, 0: none
    threads: int | None = None  # for the arithmetic; by the size of the model if not given
    precision: Literal["auto", "float32", "float64", "bf16"] = "auto"  # of the arithmetic; auto: bf16 where it pays
    compile: Literal["auto", "on", "off"] = "auto"  # the network (torch.compile); auto: before long runs, where it pays
    shard: bool = False  # cut the model among the processes (FSDP2), if it is larger than a device
    ray: str | None = None  # train on the Ray cluster at this address; local: one of its own on this machine
    ray_workers: int | None = None  # processes on Ray; one for each of its GPUs if not given
    run: str | None = None  # the run's folder; runs/DATA-SYSTEM-N if not given
    verdict: bool = True  # compare with classical models
    verdict_seconds: float = 10.0  # that the classical models may take
    doctor: bool = True  # look for what is wrong with the data and the training
    # --- what is said
    lang: str | None = None  # en or ko; from the locale if not given
    json: bool = False  # the last line of standard output is the result as JSON
    quiet: bool = False  # say nothing
    profile: bool = False  # a table of where the time went

    @staticmethod
    def from_json(held: dict[str, Any]) -> "Fit":
        """What run.json keeps; `weights` was once called `warm_start`."""
        held = {("weights" if name == "warm_start" else name): value for name, value in held.items()}
        known = {one.name for one in fields(Fit)}
        typed: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}
        return Fit(**{name: value for name, value in typed.items() if name in known})
