"""A run goes on from any folder: its record says where the data lies, not where somebody stood."""

import pytest

import gipi
from gipi.jobs.record import _source


def test_a_path_is_kept_from_its_root_and_a_name_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    assert _source("t.csv") == str(tmp_path / "t.csv")
    assert _source("digits") == "digits"
    assert _source([[1.0]]) is None


def test_a_cut_run_goes_on_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{n},{n % 5},{n * 2 + n % 5}\n" for n in range(80)))
    options = {"target": "y", "system": "mlp", "epochs": 3, "quiet": True, "verdict": False}
    expected = gipi.fit("t.csv", run="whole", **options).metrics

    def cut(*_anything):
        raise RuntimeError("cut")

    with monkeypatch.context() as patched:
        patched.setattr("gipi.jobs.carry._finish", cut)
        with pytest.raises(RuntimeError, match="cut"):
            gipi.fit("t.csv", run="cut", **options)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = gipi.resume(tmp_path / "cut", quiet=True)
    assert resumed.metrics == expected
