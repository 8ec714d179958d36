"""Several processes that train one model: the curve of one; who dies is named, and the run goes on with any number.

Each start of processes costs seconds, so a script (ranks.py) does all that needs nothing but two ranks at once.
"""

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ranks as script
import torch

import gipi
from gipi.errors import UsageError
from gipi.jobs.options import Fit
from gipi.launch import Place, meeting_point, place
from gipi.run import Run
from gipi.training.distributed import ALONE, Ranks
from gipi.training.parallel import of_all_ranks
from gipi.training.player import learner

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
RUN = {
    "system": "mlp",
    "hidden": (16,),
    "dropout": 0.0,
    "precision": "float64",
    "batch_size": 8,
    "patience": 0,
    "threads": 1,
    "verdict": False,
    "doctor": False,
}
QUICK = """
import json, os
from gipi.training import heartbeat, log
log.SHORTEST_PAUSE, log.SHARE = 0.05, 1.0
heartbeat.ROLL_CALL, heartbeat.SILENCE, heartbeat.GRACE = json.loads(os.environ.get("TEST_TIMES", "[2.5, 30, 10]"))
from gipi.cli.main import run
run()
"""


def flags(**options) -> list[str]:
    words = []
    for name, value in options.items():
        written = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{written}" if value else f"--no-{written}")
        else:
            words += [f"--{written}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return words


@pytest.fixture(scope="module")
def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RANK", "WORLD_"))}
    path = os.pathsep.join([str(Path(gipi.__file__).parent.parent), str(Path(__file__).parent)])
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def distance(one: dict, other: dict) -> float:
    """The largest difference between two curves and the weights at their ends."""
    assert one["weights"].keys() == other["weights"].keys() and len(one["losses"]) == len(other["losses"])
    pairs = [(one["losses"], other["losses"]), *((one["weights"][n], other["weights"][n]) for n in one["weights"])]
    held = [(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)) for a, b in pairs]
    return max(float((a - b).abs().max()) for a, b in held)


# --- two ranks and one


@pytest.fixture(scope="module")
def two(environment, tmp_path_factory):
    """What each of two ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [*TORCHRUN, script.__file__, str(folder)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_a_mean_of_unequal_shares_is_the_mean_of_all(two):
    """Rank 0 has the mean of one thing, rank 1 (ten larger) of three."""
    assert [found["mean"] for found in two] == [[7.5, [7.5, 8.5, 9.5, 10.5]]] * 2


@pytest.mark.parametrize(("name", "optimizer"), [("adam", "adam"), ("weighted", "momentum")])
def test_two_ranks_have_the_curve_of_one(two, name, optimizer):
    """With shares that differ in size, clipping and an average; rows that weigh differently."""
    alone = script.curve(ALONE, optimizer, is_weighted=name == "weighted")
    assert distance(two[0][name], alone) < 1e-12
    assert two[0][name]["losses"] == two[1][name]["losses"]  # what is decided by them is decided alike
    assert alone["losses"][-1] < 0.9 * alone["losses"][0]


def test_two_ranks_learn_from_loaded_weights_as_one_does(two):
    """With a trunk that takes smaller steps, and with one that takes none: that one stays to the bit."""
    paced, frozen = script.curve(ALONE, "adam", pace=0.1), script.curve(ALONE, "adam", net=script.frozen())
    assert distance(two[0]["paced"], paced) < 1e-12 < distance(paced, script.curve(ALONE, "adam"))
    assert distance(two[0]["frozen"], frozen) < 1e-12 and distance(two[0]["frozen shards"], frozen) < 1e-12
    begun = script.network().state_dict()
    for found in (frozen, two[0]["frozen"], two[0]["frozen shards"]):
        assert found["weights"]["0.weight"] == begun["0.weight"].tolist() != found["weights"]["2.weight"]


@pytest.mark.parametrize("optimizer", script.SHARDED)
def test_shards_have_the_curve_of_one(two, optimizer):
    """FSDP2: layers of 7 and 3 rows are cut into unequal parts; LARS and Muon look at whole matrices."""
    alone = script.curve(ALONE, optimizer)
    assert distance(two[0]["sharded"][optimizer], alone) < 1e-12
    assert two[1]["sharded"][optimizer]["weights"] == {}  # only the first rank puts them together


def test_a_rank_holds_about_half_of_a_sharded_network(two):
    (one, total), (other, _total) = (found["held"] for found in two)
    assert one + other == total == 3 * (5 * 7 + 7 + 7 * 7 + 7 + 7 * 3 + 3)
    assert max(one, other) < 0.6 * total


def test_shards_and_copies_see_the_same_of_batch_norm(two):
    """Statistics are of each rank's rows, so the curve is not one process's; the average takes them too."""
    assert two[0]["normed"] == pytest.approx(two[0]["copies normed"], abs=1e-12)


def test_copies_of_two_players_stay_alike_to_the_bit(two):
    """A GAN with batch norm; each rank draws noise of its own."""
    assert two[0]["replicas"] == two[1]["replicas"]


def test_ranks_agree_on_when_to_stop(two):
    """One of them is asked at step 10."""
    heard = two[0]["agreement"]
    assert heard == two[1]["agreement"] and heard["signal"] == 15 and 10 <= heard["step"] < 100


def test_batch_norm_is_said_to_look_at_parts(two):
    assert "2 processes train together" in two[0]["remarks"][0]
    assert "batch norm" in two[0]["remarks"][1]


@pytest.mark.parametrize("place", [0, 1], ids=["copies", "shards"])
def test_stopped_by_one_rank_it_goes_on_to_the_same_bits(two, place):
    """With dropout, which each rank draws by itself; and six runs in one process, one after the other."""
    for found in two:
        assert found["resumed"][place] == {"signal": 15, "status": "interrupted", "then": "done", "same": [True, True]}


# --- the command line


def wait_for(condition) -> None:
    for _attempt in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")


def same_curve(one: Run, other: Run, steps: int, tolerance: float) -> bool:
    pairs = zip(one.steps, other.steps, strict=True)
    return len(one.steps) == steps and all(
        math.isclose(a["learner"], b["learner"], rel_tol=tolerance, abs_tol=tolerance) for a, b in pairs
    )


def ranks_of(launcher: int) -> dict[int, int]:
    """Rank -> process number, of a launcher's children."""
    found = {}
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        for word in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if word.startswith(b"RANK="):
                found[int(word[5:])] = int(child)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="which process is which rank is asked of /proc")
@pytest.mark.parametrize("dead", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_rank_that_dies_is_named_and_one_process_goes_on(dead, environment, tmp_path):
    """kill -9 of one of two ranks; the run has the curve of one process that nobody killed."""
    steps, folder = 2000, tmp_path / "run"
    quick = tmp_path / "quick.py"
    quick.write_text(QUICK)
    line = ["fit", "iris", "--run", str(folder), *flags(**RUN, steps=steps, optimizer="sgd", lr=0.02)]
    command = [*TORCHRUN, "--", str(quick), *line]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: [*folder.glob("checkpoints/step-*.ckpt")] or process.poll() is not None)
    os.kill(ranks_of(process.pid)[dead], signal.SIGKILL)
    began = time.monotonic()
    said, _errors = process.communicate(timeout=60)
    assert process.returncode == 1 and time.monotonic() - began < 30
    sentence = f"gipi: process {dead + 1} of 2 (rank {dead}) died or does not answer any more; what was saved is kept"
    assert said.count(sentence) == 1, said
    assert f"Go on with: torchrun --nproc-per-node 2 -m gipi resume {folder}" in said
    cut = Run(folder)
    assert cut.status == ("failed" if dead else "interrupted") and len(cut.steps) < steps
    alone = gipi.resume(folder, quiet=True)
    whole = gipi.fit("iris", run=tmp_path / "alone", quiet=True, **RUN, steps=steps, optimizer="sgd", lr=0.02)
    assert same_curve(alone, whole, steps, 1e-9)
    assert alone.metrics == pytest.approx(whole.metrics, rel=1e-9)


def by_hand(arguments: list[list[str]], environment: dict, folders: list[Path], first: str = "") -> list:
    """Two processes as SLURM's srun starts them; `first`: what they do before."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NODELIST": "localhost"}
    said |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = []
    for rank, (words, folder) in enumerate(zip(arguments, folders, strict=True)):
        own = {**environment, **said, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        command = [sys.executable, "-c", first + QUICK, *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=own, cwd=folder, **pipes))
    return started


@pytest.mark.parametrize(
    ("other", "code", "sentence"),
    [
        ("", 2, "process 2 of 2: There is no file or folder some.csv."),
        pytest.param("a,b\n" + "1,2\n2,1\n" * 20, 1, "process 2 of 2 sees other data", marks=pytest.mark.slow),
    ],
)
def test_what_goes_wrong_on_one_rank_is_said_once_and_ends_all(other, code, sentence, environment, tmp_path):
    """The second process runs in another folder, without the data, or with other data."""
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "some.csv").write_text("a,b\n" + "".join(f"{n},{n % 2}\n" for n in range(40)))
    if other:
        (folders[1] / "some.csv").write_text(other)
    both = by_hand([["fit", "some.csv", "--target", "b"]] * 2, environment, folders)
    (out, said), (silent_out, silent) = (process.communicate(timeout=60) for process in both)
    assert [process.returncode for process in both] == [code, code], (said, silent)
    assert said.startswith(f"gipi: {sentence}") and said.count("\n") == 1
    assert (out, silent_out, silent) == ("", "", "")
    assert not (folders[0] / "runs").exists()


def test_a_signal_that_finds_the_first_before_its_training_ends_all_soon(environment, tmp_path):
    """The first dies of it, the other waits in its first exchange: it does not wait for a dead one's good-bye."""
    slow = "import gipi.jobs.carry as carry, time; carry.examined_before = lambda *a: (print('now'), time.sleep(60))"
    line = ["fit", "iris", "--run", str(tmp_path / "run"), *flags(**{**RUN, "doctor": True}, steps=100)]
    both = by_hand([line] * 2, {**environment, "TEST_TIMES": "[1.5, 60, 60]"}, [tmp_path] * 2, slow)
    while "now" not in (said := both[0].stdout.readline()):
        assert said, both[0].communicate()
    for process in both:
        process.terminate()
    began = time.monotonic()
    codes = [process.wait(timeout=40) for process in both]
    assert time.monotonic() - began < 20, codes
    assert 0 not in codes
    for process in both:
        process.communicate()


@pytest.mark.slow
def test_a_shard_that_hangs_is_missed_and_the_run_goes_on_whole(environment, tmp_path):
    """A stopped process keeps its connections: only its missing signs of life tell. Then one process goes on."""
    steps, folder = 1500, tmp_path / "run"
    options = {**RUN, "steps": steps, "optimizer": "sgd", "lr": 0.02, "averaging": "ema"}
    line = ["fit", "iris", "--run", str(folder), "--shard", *flags(**options)]
    both = by_hand([line] * 2, {**environment, "TEST_TIMES": "[2, 3, 1]"}, [tmp_path] * 2)
    wait_for(lambda: [*folder.glob("checkpoints/step-*.ckpt")] or both[0].poll() is not None)
    both[1].send_signal(signal.SIGSTOP)
    try:
        _out, said = both[0].communicate(timeout=40)
    finally:
        both[1].kill()
        both[1].communicate()
    assert both[0].returncode == 1, said
    assert said.count("gipi: process 2 of 2 (rank 1) died or does not answer any more; what was saved") == 1, said
    assert Run(folder).status == "interrupted"  # the process was ended from beside: it waited inside an exchange
    alone = gipi.resume(folder, quiet=True)
    whole = gipi.fit("iris", run=tmp_path / "alone", quiet=True, **options)
    assert same_curve(alone, whole, steps, 1e-9)


# --- without starting anything


def test_the_place_is_read_from_torchrun_and_from_slurm():
    assert place({}) == place({"RANK": "3", "WORLD_SIZE": "4"}) == Place(0, 1, 0, 1)  # and nowhere to meet
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "a"}
    assert place(torchrun) == Place(5, 8, 1, 4)
    srun = {
        "SLURM_PROCID": "5",
        "SLURM_STEP_NUM_TASKS": "7",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),3",
    }
    assert place(srun) == Place(5, 7, 1, 3)
    assert place({**srun, **torchrun}) == Place(5, 8, 1, 4)  # torchrun inside srun
    assert place({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}).size == 1  # a batch script is no step


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu7", "gpu7"), ("gpu[07-12,20]", "gpu07"), ("a,b", "a"), ("a-1,b[2-3]", "a-1"), ("10.0.0.1", "10.0.0.1")],
)
def test_slurm_steps_meet_at_their_first_machine(nodes, first):
    said = {"SLURM_STEP_NODELIST": nodes, "SLURM_JOB_ID": "123", "SLURM_STEP_ID": "4"}
    host, port = meeting_point(said)
    assert host == first and 20_000 <= port < 30_000
    assert meeting_point({**said, "SLURM_STEP_ID": "5"})[1] != port
    assert meeting_point({**said, "MASTER_ADDR": "here", "MASTER_PORT": "29500"}) == ("here", 29500)


def test_parts_of_a_batch_make_the_batch():
    """In the same order, whatever the number of parts; augmentation draws go with their rows."""
    from gipi.data.stream import Stream

    rows = torch.arange(23)

    def prepare(batch, draws):
        return (*batch, draws)

    whole = Stream((rows,), 8, seed=1, prepare=prepare, draws=2)
    parts = [Stream((rows,), 8, seed=1, prepare=prepare, draws=2, part=(number, 3)) for number in range(3)]
    for _batch in range(7):
        expected, pieces = next(whole), [next(part) for part in parts]
        for column, tensor in enumerate(expected):
            assert torch.equal(torch.cat([piece[column] for piece in pieces]), tensor)


def test_alone_nothing_changes():
    net = torch.nn.Linear(2, 1)
    players = learner(net, torch.nn.functional.mse_loss, lambda params: None)
    assert of_all_ranks(players, net, ALONE, False) is players


def test_what_is_not_learned_by_gradients_is_refused():
    class Counting:
        every = 1

    with pytest.raises(UsageError, match="learner does not learn by gradients"):
        of_all_ranks({"learner": Counting()}, torch.nn.Linear(1, 1), Ranks(0, 2), False)  # type: ignore[dict-item]


def test_each_process_has_a_device_of_its_own():
    assert Ranks().device_name("cuda:3") == "cuda:3"
    assert Ranks(1, 2, 1, 2).device_name("cpu") == "cpu"
    for wanted, expected in (("mps", "each of the 2 processes has a device"), ("cuda", "and 0 GPUs")):
        if wanted != "cuda" or not torch.cuda.is_available():
            with pytest.raises(UsageError, match=expected):
                Ranks(1, 2, 1, 2).device_name(wanted)


def test_shards_need_several_processes(tmp_path):
    with pytest.raises(UsageError, match="--shard is for several processes; begin them with: torchrun"):
        gipi.fit("iris", shard=True, quiet=True, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ray_is_asked_for_by_name_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=re.escape("--ray needs Ray: pip install 'gipi[cluster]'")):
        gipi.fit("iris", ray="local", quiet=True, run=tmp_path / "run")
    assert Fit().ray is None


@pytest.mark.slow
def test_on_a_local_ray_cluster_it_has_the_curve_of_one_process(tmp_path):
    """And what is wrong with the data is said as anywhere."""
    ray = pytest.importorskip("ray", reason="Ray, of the cluster extra, is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    try:
        options = {**RUN, "steps": 60, "quiet": True}
        several = gipi.fit("iris", run=tmp_path / "ray", ray="local", ray_workers=2, **options)
        assert several.record["hardware"]["processes"] == 2
        assert same_curve(several, gipi.fit("iris", run=tmp_path / "one", **options), 60, 1e-9)
        with pytest.raises(UsageError, match="no column 'none'"):
            gipi.fit("iris", target="none", run=tmp_path / "none", ray="local", ray_workers=2, quiet=True)
    finally:
        ray.shutdown()
