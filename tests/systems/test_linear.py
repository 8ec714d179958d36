"""Linear, logistic and softmax regression end where scikit-learn ends; the course's first table is solved exactly."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import gipi
from gipi.data.sources import open_data
from gipi.systems.linear import coefficients


def fitted(tmp_path, data, **options):
    return gipi.fit(
        data, system="linear", run=tmp_path / "run", quiet=True, verdict=False, precision="float64", **options
    )


def training_rows(run, name, x):
    """The rows that a run learned from: its parts are a function of the seed."""
    from gipi.jobs.material import gather
    from gipi.jobs.options import Fit

    return gather(name, Fit.from_json(run.record["options"])).parts["train"]


def test_grades_are_ten_times_the_hours(tmp_path):
    run = gipi.fit("grades", system="linear", run=tmp_path / "run", quiet=True)
    names, weights, biases = coefficients(run.model.members[0], run.model.schema)
    assert names == ["study"]
    assert weights.item() == pytest.approx(10, abs=1e-3)
    assert biases.item() == pytest.approx(0, abs=1e-3)
    assert run.verdict is None
    assert run.predict({"study": 7})[0]["value"] == pytest.approx(70, abs=1e-2)
    assert any("score = 10 study" in note for note in run.notes)


def test_regression_equals_scikit_learn_on_diabetes(tmp_path):
    run = fitted(tmp_path, "diabetes")
    data = open_data("diabetes").frame
    x, y = data.drop("progression").to_numpy().astype(float), data["progression"].to_numpy().astype(float)
    rows = training_rows(run, "diabetes", x)
    ours_names, weights, biases = coefficients(run.model.members[0], run.model.schema)
    theirs = LinearRegression().fit(x[rows], y[rows])
    assert ours_names == [name for name in data.columns if name != "progression"]
    np.testing.assert_allclose(weights[0], theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(biases[0], theirs.intercept_, rtol=1e-4)


@pytest.mark.parametrize(("name", "l2"), [("breast-cancer", 0.01), ("iris", 0.01), ("wine", 0.1)])
def test_logistic_and_softmax_equal_scikit_learn_with_the_same_penalty(tmp_path, name, l2):
    run = fitted(tmp_path, name, l2=l2)
    model = run.model
    data = open_data(name)
    from gipi.release.rows import as_rows

    x, y = (t.numpy() for t in model.encode(as_rows(model.schema, data), with_targets=True))
    rows = training_rows(run, name, x)
    theirs = LogisticRegression(C=1 / (l2 * len(rows)), tol=1e-10, max_iter=10_000).fit(x[rows], y[rows])
    weights = model.members[0].line.weight.detach().numpy()
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(weights / scale, theirs.coef_ / scale, atol=1e-4)


def test_several_inputs_and_outputs(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 4))
    y = x @ random.normal(size=(4, 3)) + random.normal(size=3) + 0.1 * random.normal(size=(300, 3))
    run = fitted(tmp_path, (x, y))
    _names, weights, biases = coefficients(run.model.members[0], run.model.schema)
    assert weights.shape == (3, 4)
    rows = run.record["rows"]["train"]
    assert rows < 300
    answers = run.predict(x[:5])
    assert [set(one) for one in answers] == [{"y1", "y2", "y3"}] * 5
    line = weights.numpy() @ x[0] + biases.numpy()
    np.testing.assert_allclose(line, [one["value"] for one in answers[0].values()], rtol=1e-6)


def test_two_targets_are_two_lines_not_one(tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=(200, 3))
    y = x @ random.normal(size=(3, 2)) + 0.1 * random.normal(size=(200, 2))
    run = fitted(tmp_path, (x, y))
    rows = training_rows(run, (x, y), x)
    _names, weights, biases = coefficients(run.model.members[0], run.model.schema)
    theirs = LinearRegression().fit(x[rows], y[rows])
    np.testing.assert_allclose(weights, theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(biases, theirs.intercept_, rtol=1e-3)


def test_gradient_descent_comes_to_the_same_line(tmp_path):
    run = fitted(tmp_path, "grades", optimizer="momentum", lr=0.05, epochs=500)
    _names, weights, _biases = coefficients(run.model.members[0], run.model.schema)
    assert weights.item() == pytest.approx(10, abs=1e-2)
