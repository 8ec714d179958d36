"""scikit-learn's own checks of an estimator, and what people do with one: pipelines, searches, pickles, clones."""

import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gipi
from gipi import systems
from gipi.jobs import memory
from gipi.sklearn import Classifier, Regressor

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


@parametrize_with_checks([Classifier(), Regressor()])
def test_contract(estimator, check):
    check(estimator)


def small(kind, **parameters):
    """An estimator that is fitted in a blink."""
    return kind(**{"hidden": (8,), "epochs": 2, **parameters})


# --- quality -----------------------------------------------------------------------------------------------------


def test_classifier_is_good():
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert cross_val_score(Classifier(), *IRIS, cv=folds, error_score="raise").mean() >= 0.92


def test_regressor_is_good():
    folds = KFold(5, shuffle=True, random_state=0)
    ours = cross_val_score(Regressor(), *DIABETES, cv=folds, error_score="raise").mean()
    assert ours >= 0.39


def test_linear_regressor_equals_the_closed_form():
    X, y = DIABETES
    ours = Regressor("linear", valid_share=0, precision="float64").fit(X, y).predict(X)
    np.testing.assert_allclose(ours, LinearRegression().fit(X, y).predict(X), rtol=1e-4)


def test_logistic_equals_that_of_scikit_learn():
    X, y = IRIS
    C = 1.0
    ours = Classifier("linear", l2=1 / (C * len(X)), valid_share=0, precision="float64", epochs=200)
    scaled = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(scaled, y)
    np.testing.assert_allclose(ours.fit(X, y).predict_proba(X), theirs.predict_proba(scaled), atol=1e-4)


def test_few_rows_are_enough_to_learn_what_is_plain():
    x = np.linspace(-2, 2, 28)[:, None]
    assert Regressor().fit(x, np.sin(2 * x[:, 0])).score(x, np.sin(2 * x[:, 0])) > 0.97


# --- in scikit-learn's tools -------------------------------------------------------------------------------------


def test_pipeline():
    model = make_pipeline(PolynomialFeatures(2), Classifier("linear", epochs=50))
    assert model.fit(*IRIS).score(*IRIS) > 0.95


def test_grid_search_over_systems_and_options():
    grid = [
        {"system": ["linear"], "epochs": [20]},
        {"hidden": [(4,), np.int64(16)], "lr": np.array([0.01]), "epochs": np.array([5])},
    ]
    search = GridSearchCV(Classifier(), grid, cv=2, error_score="raise").fit(*IRIS)
    assert len(search.cv_results_["params"]) == 3
    assert search.best_score_ > 0.8
    assert set(search.predict(IRIS[0])) <= {0, 1, 2}


@pytest.mark.slow  # each process imports torch
def test_searches_may_run_in_processes():
    grid = {"hidden": [(4,), (8,)]}
    one, two = (GridSearchCV(small(Regressor), grid, cv=2, n_jobs=jobs).fit(*DIABETES) for jobs in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_clone_keeps_parameters_and_forgets_what_was_learned():
    def flat(sizes):
        return torch.nn.Linear(sizes.input[0], sizes.output)

    first = small(Classifier, model=flat, hidden=None, class_weight={0: 2.0, 1: 1.0, 2: 1.0}).fit(*IRIS)
    copied = clone(first)
    assert copied.get_params() == first.get_params()
    assert not hasattr(copied, "model_")


@pytest.mark.parametrize("estimator", [small(Classifier, norm="batch", activation="maxout"), small(Regressor)])
def test_pickle_gives_the_same_predictions(estimator):
    X, y = IRIS if isinstance(estimator, Classifier) else DIABETES
    estimator.fit(X, y)
    back = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(back.predict(X), estimator.predict(X))
    assert back.get_params() == estimator.get_params()


# --- random states -----------------------------------------------------------------------------------------------


def test_same_seed_same_model_other_seed_other_model():
    X, y = DIABETES
    first, again, other = (small(Regressor, random_state=seed).fit(X, y).predict(X) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_random_state_as_everywhere_in_scikit_learn():
    X, y = DIABETES

    def predict(state):
        return small(Regressor, random_state=state).fit(X, y).predict(X)

    np.testing.assert_array_equal(predict(np.random.RandomState(5)), predict(np.random.RandomState(5)))
    np.testing.assert_array_equal(predict(np.int64(5)), predict(5))
    state = np.random.RandomState(5)
    assert np.abs(predict(state) - predict(state)).max() > 1e-3  # a generator goes on
    assert np.abs(predict(None) - predict(None)).max() > 1e-3


def test_the_random_state_of_the_program_is_left_alone():
    torch.manual_seed(7)
    np.random.seed(7)
    before, numpy_before, count = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    small(Classifier, random_state=0).fit(*IRIS)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.get_num_threads() == count


def test_fits_in_threads_do_not_disturb_each_other():
    X, y = DIABETES

    def predict(seed):
        return small(Regressor, dropout=0.5, random_state=seed).fit(X, y).predict(X)

    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(predict, range(4)))
    for seed, found in enumerate(beside):
        np.testing.assert_array_equal(found, predict(seed))


# --- data --------------------------------------------------------------------------------------------------------


def test_frames_keep_their_names_and_the_model_speaks_of_classes():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    fitted = Classifier("linear", epochs=30).fit(X, names)
    assert list(fitted.feature_names_in_) == list(X.columns)
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    answer = fitted.model_.predict(X.iloc[:1].to_dict("records"))[0]
    assert answer["label"] == "setosa" == fitted.predict(X)[0]
    np.testing.assert_allclose(list(answer["probabilities"].values()), fitted.predict_proba(X)[0])


def test_awkward_column_names():
    X = pd.DataFrame(DIABETES[0][:, :3], columns=["y", "y_", "y1"])  # type: ignore[arg-type]
    assert small(Regressor).fit(X, DIABETES[1]).predict(X).shape == (442,)
    _data, names = memory._dataset(X.to_numpy(), DIABETES[1], ["a", "a", "b"])  # scikit-learn before 1.9 lets them in
    assert names == ["x1", "x2", "x3"]


def test_saved_as_a_bundle(tmp_path):
    X, y = IRIS
    fitted = small(Classifier).fit(X, y)
    loaded = gipi.load(fitted.model_.save(tmp_path / "iris.gipi"))
    assert [row["label"] for row in loaded.predict(X)] == fitted.predict(X).tolist()


def test_a_row_is_answered_alike_whatever_stands_beside_it():
    X, y = DIABETES
    fitted = small(Regressor).fit(X, y)
    alone = np.concatenate([fitted.predict(row[None]) for row in X[:20]])
    np.testing.assert_allclose(alone, fitted.predict(X)[:20], rtol=1e-12)


def test_several_labels():
    X, Y = make_multilabel_classification(200, 6, n_classes=3, random_state=0)
    fitted = Classifier(hidden=(32,)).fit(X, Y)
    assert fitted.predict(X).shape == Y.shape == fitted.predict_proba(X).shape
    assert (fitted.predict(X) == Y).mean() > 0.8
    assert fitted.score(X, Y) > 0.5


def test_several_targets_each_in_its_own_shape():
    X, y = DIABETES
    Y = np.stack([y, -2 * y + 5, X[:, 0] * 1e6], 1)
    fitted = Regressor(hidden=(32,)).fit(X, Y)
    assert fitted.predict(X).shape == Y.shape
    assert fitted.score(X, Y) > 0.5
    assert small(Regressor).fit(X, y[:, None]).predict(X).shape == (442, 1)


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_a_class_with_one_row_is_learned_from_not_set_aside():
    X, y = IRIS
    y = np.where(np.arange(150) == 149, 7, y)
    fitted = small(Classifier).fit(X, y)
    assert fitted.classes_.tolist() == [0, 1, 2, 7]
    lonely = small(Classifier).fit(X[::3], np.arange(50))  # each class has one row: nothing is set aside
    assert lonely.predict_proba(X).shape == (150, 50)


def test_class_weights():
    X, y = IRIS[0][50:], IRIS[1][50:]
    counts = [
        (small(Classifier, epochs=20, lr=0.02, class_weight=weights).fit(X, y).predict(X) == 1).sum()
        for weights in ({1: 1000, 2: 0.001}, {1: 0.001, 2: 1000})
    ]
    assert counts[0] > 90 and counts[1] < 10
    balanced = small(Classifier, class_weight="balanced", random_state=0).fit(X[:60], y[:60])
    plain = small(Classifier, random_state=0).fit(X[:60], y[:60])
    assert balanced.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean()


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_every_option_of_a_system_for_tables_is_a_parameter(kind):
    task = {Classifier: "classify", Regressor: "regress"}[kind]
    fitting = [system for system in map(systems.describe, systems.names()) if "table" in system.kinds]
    options = {option.name for system in fitting if task in system.tasks for option in system.options}
    assert options and options <= set(kind().get_params())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"system": "linear", "hidden": (8,)}, "hidden"),
        ({"system": "multilayer"}, "multilayer"),
        ({"system": "convnet"}, "convnet"),
        ({"activation": "rleu"}, "relu"),
        ({"optimizer": "adamm"}, "adam"),
        ({"valid_share": 1.0}, "valid.share"),
        ({"ensemble": 0}, "ensemble"),
        ({"random_state": -1}, "seed"),
    ],
)
def test_wrong_parameters_are_refused_by_fit_with_a_reason(parameters, said):
    with pytest.raises(ValueError, match=said):
        Classifier(**parameters).fit(*IRIS)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class only, 3"):
        Classifier().fit(IRIS[0], np.full(150, 3))


def test_ensemble_schedule_averaging_and_own_parts():
    def absolute(output, y):
        return (output - y).abs().mean()

    def flat(sizes):
        return torch.nn.Linear(sizes.input[0], sizes.output)

    X, y = DIABETES
    fitted = small(Regressor, ensemble=2, schedule="cosine", averaging="ema", clip=1.0, lr=0.01, epochs=20).fit(X, y)
    assert len(fitted.model_.members) == 2 and fitted.n_iter_ <= 20
    assert fitted.score(X, y) > 0.3
    own = Regressor(model=flat, loss=absolute, optimizer=lambda p: torch.optim.SGD(p, 0.05)).fit(X, y)
    assert own.score(X, y) > 0.4


def test_step_size_by_itself():
    X, y = IRIS
    fitted = small(Classifier, lr="auto", epochs=10).fit(X, y)
    assert isinstance(fitted.model_.config["lr"], float)
    assert fitted.score(X, y) > 0.8
    assert fitted.lr == "auto"


def test_ctrl_c_ends_a_search_at_once():
    def interrupting(output, y):
        os.kill(os.getpid(), signal.SIGINT)
        return (output - y).square().mean()

    with pytest.raises(KeyboardInterrupt):
        cross_val_score(small(Regressor, loss=interrupting), *DIABETES, cv=2)
