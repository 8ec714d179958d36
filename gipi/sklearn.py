"""scikit-learn's estimators: every system for tables as a `Classifier` and a `Regressor`.

They keep scikit-learn's contract to the letter (`check_estimator` finds nothing), so they stand in pipelines, grid
searches and cross-validation like any other. Fitting is the same training as `gipi fit`, in memory: no folder, no
verdict, nothing said. `model_` is the kept model of gipi, which `model_.save("x.gipi")` writes to a file.

There is no `sample_weight` in `fit`: mini-batches see a row of weight two once with double force and two equal rows at
different times, which is not the same, and scikit-learn demands that it be. `class_weight` is there.

N rows, d features, K classes, labels or targets
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from gipi.errors import DataError, UsageError
from gipi.jobs import memory
from gipi.jobs.request import Request
from gipi.messages import _
from gipi.verbs.fit import sort_options

__all__ = ["Classifier", "Regressor"]


class Classifier(ClassifierMixin, BaseEstimator):
    """A deep classifier: one class of two or many for each row, or several labels.

    Use it wherever scikit-learn wants a classifier. Features must be numbers without gaps (in a pipeline, encode and
    impute first; `gipi.fit` takes tables as they are); they need no scaling, that is done inside.

    Args:
        system: mlp, tabm, linear or perceptron. An option that is None is the system's own; one that the system does
            not have is refused by `fit`.
        hidden: Width of each hidden layer, or of the only one.
        activation: Of hidden layers: relu, gelu, tanh, maxout ...
        dropout: Share of hidden units that is switched off at each step.
        norm: none, batch or layer: normalisation after each hidden layer's sums.
        members: Networks in one, of `tabm`.
        bins: At most so many for each column, of `tabm`; 0: numbers as they are.
        embedding: Features that each number becomes, of `tabm`.
        l2: Penalty on the squared weights, of `linear`.
        optimizer: adamw, sgd, nag, muon, lbfgs ...; or a function of parameters that makes one of torch's.
        lr: Step size, or "auto": found on the training rows.
        momentum: Of sgd's relatives.
        weight_decay: Shrinks the weights at each step.
        loss: cross_entropy, focal, hinge or bce; or a function of output and target.
        model: A torch module of one's own, or a function of `gipi.data.schema.Sizes` that makes one, in place of the
            system's network.
        epochs: Times that each training row is seen, at most. None: the system's, and at least 300 steps.
        batch_size: Rows in a step; 0: all.
        patience: Epochs without improvement on validation rows until it stops; 0: never, keep the last weights.
        valid_share: Of the rows, set aside for early stopping and the best weights; of fewer than 30 none are.
        schedule: How the step size changes: constant, cosine, inverse-sqrt, linear, one-cycle, step, warm-up.
        warmup: Part of training, 0 to 1, over which the step size rises first.
        clip: Largest norm of the gradient.
        averaging: none, ema or swa: keep an average of the weights along the way.
        label_smoothing: Share of certainty that is given to the other classes.
        class_weight: None, "balanced", or a weight for each class as a dict.
        ensemble: So many members from different seeds, whose probabilities are averaged.
        precision: Of training: float32, float64 or bf16. Answers are always given in float64, so that a row's answer
            does not depend on the rows beside it.
        device: auto, cpu, cuda, mps: where training runs. The fitted model is on the CPU.
        threads: For the arithmetic; None: by the size of the model.
        random_state: Decides validation rows, first weights, order, dropout. The same number gives the same model;
            None: another one each time, from NumPy's global state.

    Attributes:
        classes_: `(K,)` the classes, sorted; for several labels their numbers.
        n_features_in_: d.
        feature_names_in_: `(d,)` the columns of the frame given to `fit`, if it was one.
        n_iter_: Epochs trained, of the longest-trained member.
        model_: The fitted `gipi.release.model.Model`.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = Classifier(hidden=(32,), random_state=0).fit(X, y)
        >>> classifier.score(X, y) > 0.9
        True
        >>> classifier.predict_proba(X).shape
        (150, 3)
    """

    def __init__(
        self,
        system: str = "mlp",
        *,
        hidden: int | Sequence[int] | None = None,
        activation: str | None = None,
        dropout: float | None = None,
        norm: str | None = None,
        members: int | None = None,
        bins: int | None = None,
        embedding: int | None = None,
        l2: float | None = None,
        optimizer: Any = None,
        lr: float | str | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        loss: Any = None,
        model: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        valid_share: float = 0.2,
        schedule: str | None = None,
        warmup: float = 0.0,
        clip: float | None = None,
        averaging: str | None = None,
        label_smoothing: float | None = None,
        class_weight: Any = None,
        ensemble: int = 1,
        precision: str = "float32",
        device: str = "auto",
        threads: int | None = None,
        random_state: Any = 0,
    ):
        self.system = system
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.norm = norm
        self.members = members
        self.bins = bins
        self.embedding = embedding
        self.l2 = l2
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.loss = loss
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.valid_share = valid_share
        self.schedule = schedule
        self.warmup = warmup
        self.clip = clip
        self.averaging = averaging
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.ensemble = ensemble
        self.precision = precision
        self.device = device
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "Classifier":
        """Learn from X `(N, d)` and the classes y `(N,)`, or labels `(N, K)` of zeros and ones.

        Raises:
            ValueError: The data or a parameter cannot be used; says which, and what to do.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, ensure_min_samples=2)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            text = _("y of shape {shape} came: expected one class for each row, or zeros and ones", shape=y.shape)
            raise DataError(text)
        weights = classes = None
        if kind == "multilabel-indicator":
            if self.class_weight is not None:
                raise UsageError(_("class_weight is for one class of several, not for several labels"))
            codes = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
            self.classes_ = np.arange(codes.shape[1])
        else:
            y = column_or_1d(y, warn=True)
            self.classes_, codes = np.unique(y, return_inverse=True)
            classes = self.classes_.tolist()
            if len(classes) < 2:
                raise DataError(_("y has one class only, {value}: there is nothing to tell apart", value=classes[0]))
            if self.class_weight is not None:
                weights = compute_sample_weight(self.class_weight, y)
        names = getattr(self, "feature_names_in_", None)
        self.model_, self.n_iter_ = memory.fit_arrays(X, codes, _request(self, "classify"), names, classes, weights)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class or label, `(N, K)`."""
        return _answers(self, X)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row `(N,)`, or zeros and ones for several labels `(N, K)`."""
        probabilities = self.predict_proba(X)
        if self.model_.schema.targets[0].kind == "labels":
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        assert tags.classifier_tags is not None
        tags.classifier_tags.multi_label = True
        return tags


class Regressor(RegressorMixin, BaseEstimator):
    """A deep regressor: one number or several for each row.

    Use it wherever scikit-learn wants a regressor. Features must be numbers without gaps; neither they nor the targets
    need scaling, that is done inside.

    Args:
        system: mlp, tabm or linear; for all else see `Classifier`.
        loss: mse, mae or huber; or a function of output and target.

    Attributes:
        n_features_in_: d.
        feature_names_in_: `(d,)` the columns of the frame given to `fit`, if it was one.
        n_iter_: Epochs trained, of the longest-trained member.
        model_: The fitted `gipi.release.model.Model`.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> Regressor("linear").fit(X, y).score(X, y) > 0.5
        True
    """

    def __init__(
        self,
        system: str = "mlp",
        *,
        hidden: int | Sequence[int] | None = None,
        activation: str | None = None,
        dropout: float | None = None,
        norm: str | None = None,
        members: int | None = None,
        bins: int | None = None,
        embedding: int | None = None,
        l2: float | None = None,
        optimizer: Any = None,
        lr: float | str | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        loss: Any = None,
        model: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        valid_share: float = 0.2,
        schedule: str | None = None,
        warmup: float = 0.0,
        clip: float | None = None,
        averaging: str | None = None,
        ensemble: int = 1,
        precision: str = "float32",
        device: str = "auto",
        threads: int | None = None,
        random_state: Any = 0,
    ):
        self.system = system
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.norm = norm
        self.members = members
        self.bins = bins
        self.embedding = embedding
        self.l2 = l2
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.loss = loss
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.valid_share = valid_share
        self.schedule = schedule
        self.warmup = warmup
        self.clip = clip
        self.averaging = averaging
        self.ensemble = ensemble
        self.precision = precision
        self.device = device
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "Regressor":
        """Learn from X `(N, d)` and the numbers y `(N,)` or `(N, K)`.

        Raises:
            ValueError: The data or a parameter cannot be used; says which, and what to do.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2)
        names = getattr(self, "feature_names_in_", None)
        numbers = np.asarray(y, np.float64)
        self.model_, self.n_iter_ = memory.fit_arrays(X, numbers, _request(self, "regress"), names)
        self._is_flat = y.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each row, of the shape of `fit`'s y: `(N,)` or `(N, K)`."""
        points = _answers(self, X)[..., 0]  # a point is the one number that describes a target
        return points[:, 0] if self._is_flat else points

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


# --- what both do ------------------------------------------------------------------------------------------------


def _request(estimator: Any, task: str) -> Request:
    """What the estimator's parameters ask for."""
    given = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if value is not None and name not in ("class_weight", "random_state")
    }
    if "model" in given:  # it stands in the system's place, which has a default here
        del given["system"]
    seed = _seed(estimator.random_state)
    options, system_options, own, _system = sort_options({**given, "task": task, "seed": seed})
    return Request(None, options, system_options, own)


def _seed(random_state: Any) -> int:
    """A number as it is; from a generator, or from NumPy's global one if there is none, the next."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _answers(estimator: Any, X: Any) -> np.ndarray:
    """What the fitted model says of these rows: probabilities, or numbers in the targets' own units."""
    check_is_fitted(estimator)
    X = validate_data(estimator, X, dtype=np.float64, reset=False)
    return memory.answers(estimator.model_, X).numpy()
