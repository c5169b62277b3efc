"""The scripts in examples/ call what they say, with stand-ins for Slurm and torchrun that write down how they were called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.sh"))

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are bash scripts")

STAND_IN = """#!/bin/bash
echo "$(basename "$0") $*" >> calls
if [ "$(basename "$0")" = srun ]; then echo "sharing ${TORCH_DISABLE_SHARE_RDZV_TCP_STORE:-}" >> calls; fi
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which stand-ins write how they were called."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("torchrun", "srun", "trapmeter"):
        add(commands, name, STAND_IN)
    add(commands, "nvidia-smi", "#!/bin/bash\nexit 9\n")
    hostnames = 'case "$2" in hostnames) printf "gpu7\\ngpu8\\n";; esac\n'
    add(commands, "scontrol", STAND_IN + hostnames)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "calls"


def add(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", EXAMPLES / script, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_it(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_two_hosts_meet_at_the_one_named(calls: Path) -> None:
    assert run("torchrun-two-hosts.sh", "gpu1", "--labels", "a b.csv", HOSTS="1:2").returncode == 0
    (line,) = calls.read_text().splitlines()
    assert line.startswith("torchrun --nnodes 1:2 --nproc-per-node 1 --max-restarts 3")
    assert "--rdzv-endpoint gpu1:29400" in line
    assert line.endswith("-m trapmeter.cli train --labels a b.csv")
    add(calls.parent / "commands", "nvidia-smi", "#!/bin/bash\nprintf 'GPU 0\\nGPU 1\\n'\n")
    run("torchrun-two-hosts.sh", "gpu1")
    assert "--nnodes 2 --nproc-per-node 2 " in calls.read_text().splitlines()[1]
    assert "the host to meet at" in run("torchrun-two-hosts.sh").stderr


SLURM = {"SLURM_JOB_ID": "4005", "SLURM_JOB_NODELIST": "gpu[7-8]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "4"}


def test_a_slurm_job_meets_on_its_first_node(calls: Path) -> None:
    done = run("slurm-train.sh", "--out", "training/", **SLURM)
    assert done.returncode == 0, done.stderr
    asked, started, sharing = calls.read_text().splitlines()
    assert asked == "scontrol show hostnames gpu[7-8]"
    assert started.startswith("srun --kill-on-bad-exit=1 torchrun --nnodes 2 --nproc-per-node 4 ")
    assert "--rdzv-endpoint gpu7:30505 --rdzv-id 4005-0 " in started
    assert started.endswith("-m trapmeter.cli train --out training/")
    assert sharing == "sharing 1"


def test_a_slurm_job_ends_as_its_training_does(calls: Path) -> None:
    add(calls.parent / "commands", "srun", "#!/bin/bash\nexit 2\n")
    assert run("slurm-train.sh", **SLURM).returncode == 2


def test_a_slurm_job_whose_time_is_up_goes_into_the_queue_again(calls: Path) -> None:
    # The training itself tells the script that its time is up, and ends some time after.
    add(
        calls.parent / "commands",
        "srun",
        "#!/bin/bash\nkill -USR1 $PPID\nuntil grep -q requeue calls; do :; done\nexit 5\n",
    )
    assert run("slurm-train.sh", **SLURM).returncode == 5
    assert calls.read_text().splitlines()[-1] == "scontrol requeue 4005"


def test_shards_and_their_merge_under_slurm(calls: Path) -> None:
    array = {"SLURM_CPUS_PER_TASK": "8", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16"}
    assert run("slurm-predict.sh", "SURVEY", "RESULTS", **array).returncode == 0
    (calls.parent / "RESULTS").mkdir()
    for number in (1, 2):
        (calls.parent / f"RESULTS/shard-{number}-of-2").mkdir()
    assert run("slurm-predict.sh", "SURVEY", "RESULTS", "merge", "2", **array).returncode == 0
    assert calls.read_text().splitlines() == [
        "trapmeter predict SURVEY --out RESULTS --site folder:1 --jobs 8 --shard 3/16",
        "trapmeter merge RESULTS/shard-1-of-2 RESULTS/shard-2-of-2 --out RESULTS",
    ]
