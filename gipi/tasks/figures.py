"""How figures are said to a person: per cent or digits, points apart, chance, seconds, and what things are called."""

import math

from gipi.messages import _
from gipi.tasks.intervals import Metric


def metric_title(metric: str) -> str:
    """What a person calls a metric."""
    titles = {
        "accuracy": _("accuracy"),
        "balanced_accuracy": _("balanced accuracy"),
        "f1_macro": _("F1 (mean of the classes)"),
        "f1_micro": _("F1 (all labels together)"),
        "f1": _("F1 of whole stretches"),
        "precision": _("precision"),
        "recall": _("recall"),
        "token_accuracy": _("accuracy of single tokens"),
        "perplexity": _("perplexity"),
        "auc": _("area under the ROC curve"),
        "log_loss": _("log loss"),
        "brier": _("Brier score"),
        "calibration_error": _("calibration error"),
        "subset_accuracy": _("rows with all labels right"),
        "hamming_loss": _("share of wrong labels"),
        "rmse": _("root mean squared error"),
        "mae": _("mean absolute error"),
        "r2": _("R²"),
        "coverage": _("interval coverage"),
        "interval_width": _("interval width"),
        "nll": _("negative log likelihood"),
        "pinball": _("pinball loss"),
        "mean_iou": _("mean IoU"),
        "mse": _("mean squared error"),
        "psnr": _("PSNR in dB"),
        "ssim": _("structural similarity"),
        "bits_per_byte": _("bits per byte"),
        "nearer": _("neighbours nearer than words from elsewhere"),
        "bleu": _("BLEU"),
        "chrf": _("chrF"),
    }
    return titles.get(metric, metric)


SHARES = (  # said in per cent
    *("accuracy", "balanced_accuracy", "f1_macro", "f1_micro", "subset_accuracy", "coverage"),
    *("f1", "precision", "recall", "token_accuracy", "nearer"),
)


def figure(metric: str, value: Metric | float, with_interval: bool = False) -> str:
    """A figure as it is said: `97.2 %` or `54.1`, with `[96.1, 98.0]` if asked for and known."""
    if math.isnan(value):
        return "-"
    share = metric in SHARES
    low, high = getattr(value, "low", None), getattr(value, "high", None)
    said = f"{100 * value:.1f} %" if share else _digits(value)
    if with_interval and low is not None and high is not None:
        said += f" [{100 * low:.1f}, {100 * high:.1f}]" if share else f" [{_digits(low)}, {_digits(high)}]"
    return said


def _digits(value: float) -> str:
    """Three significant digits, all digits of large whole numbers: 0.0123, 54.1, 1235."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def distance(metric: str, difference: Metric) -> str:
    """`2.5 points apart [0.9, 4.1]`; always positive, the winner has been named."""
    assert difference.low is not None and difference.high is not None
    size, low, high = float(difference), difference.low, difference.high
    if size < 0:
        size, low, high = -size, -high, -low
    if metric in SHARES:
        interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
        return _("{size} points apart {interval}", size=f"{100 * size:.1f}", interval=interval)
    return _("{size} apart {interval}", size=_digits(size), interval=f"[{_digits(low)}, {_digits(high)}]")


def chance(p_value: float) -> str:
    """`p = 0.03`, `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}" if p_value < 0.1 else f"p = {p_value:.2f}"


def duration(seconds: float) -> str:
    """`0.02 s`, `3.1 s`, `4 min 10 s`."""
    if seconds < 0.995:
        return _("{seconds} s", seconds=f"{max(seconds, 0.01):.2f}")
    if seconds < 99.95:
        return _("{seconds} s", seconds=f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    return _("{minutes} min {seconds} s", minutes=minutes, seconds=rest)


def in_a_sentence(name: str, title: str) -> str:
    """A baseline's name with its article; its title where it needs none."""
    articles = {"majority": _("the majority class"), "mean": _("the mean"), "linear": _("the linear model")}
    return articles.get(name, title)
