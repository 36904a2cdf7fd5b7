"""A checkpoint is whole or not there, whatever ends its writing; damage and full disks are one sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from stack.training.small_training import PATIENCE, environment
from torch import Tensor

from evalharness.stack.errors import CheckpointError
from evalharness.stack.new_folder import new_folder
from evalharness.stack.training.checkpoints import COMPLETE, FILES, CheckpointStore, KeepOptions, check_model, step_of


def write_model(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as file:
        for _ in range(3):
            file.write(b"weights " * 100)
            file.flush()


def of(step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return {"moment": torch.full((5, 7), float(step))}, {"step": step}


def save(store: CheckpointStore, *steps: int) -> None:
    for step in steps:
        store.save(step, write_model, *of(step))


def readable(store: CheckpointStore) -> list[int]:
    """The steps of the whole checkpoints, once each has proved to hold what was saved."""
    steps = [step_of(path) for path in store.whole()]
    for path, step in zip(store.whole(), steps, strict=True):
        tensors, facts = store.read_state(path)
        assert torch.equal(tensors["moment"], of(step)[0]["moment"])
        assert facts == of(step)[1]
        assert (path / "model.safetensors").read_bytes() == b"weights " * 300
    return steps


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints", KeepOptions())


def test_what_is_saved_is_read(store: CheckpointStore) -> None:
    tensors = {
        "bf16": torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).bfloat16(),
        "scalar": torch.tensor(0.1),
        "bytes": torch.arange(200, dtype=torch.uint8),
        "empty": torch.empty(0, 4),
    }
    facts = {"cursor": {"place": [1, 2], "share": 0.1 + 0.2}, "none": None, "name": "Häuser"}
    path = store.save(200, write_model, tensors, facts)
    assert path == store.folder / "step-00000200" == store.newest() == store.at(200)
    assert names(path) == [COMPLETE, "config.json", "model.safetensors", "training"]
    read, known = store.read_state(path)
    assert known == facts
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert torch.equal(read[name], tensor)


def test_a_model_may_be_written_as_a_new_folder(store: CheckpointStore) -> None:
    def write(folder: Path) -> None:
        with new_folder(folder) as partial:
            write_model(partial)

    assert (store.save(1, write, *of(1)) / "config.json").is_file()
    assert names(store.folder) == ["step-00000001"]


def test_nothing_is_whole_where_nothing_is(store: CheckpointStore) -> None:
    assert store.newest() is None
    assert store.whole() == []
    with pytest.raises(CheckpointError, match=r"has no whole checkpoint of step 7; there are none"):
        store.at(7)


def test_only_what_is_complete_counts(store: CheckpointStore) -> None:
    save(store, 5, 20, 100)
    (store.folder / "step-00000100" / COMPLETE).unlink()
    shutil.copytree(store.folder / "step-00000020", store.folder / "step-00000200.partial")
    shutil.copytree(store.folder / "step-00000020", store.folder / "step-00000300.partial.partial")
    (store.folder / "step-00000400").write_text("a file")
    (store.folder / "steps.txt").write_text("kept")
    assert readable(store) == [5, 20]
    with pytest.raises(CheckpointError, match=r"no whole checkpoint of step 100; there are 5, 20\."):
        store.at(100)
    with pytest.raises(CheckpointError, match=r"step-00000100 is no whole checkpoint of a training \(it has no .comp"):
        store.read_state(store.folder / "step-00000100")
    save(store, 100)
    assert names(store.folder) == ["step-00000005", "step-00000020", "step-00000100", "step-00000400", "steps.txt"]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [({}, [8, 9, 10]), ({"last": 1}, [10]), ({"last": 2, "every": 4}, [4, 8, 9, 10]), ({"last": 20}, [*range(1, 11)])],
)
def test_the_policy_keeps_the_newest_and_multiples(tmp_path: Path, keep: dict[str, int], kept: list[int]) -> None:
    store = CheckpointStore(tmp_path, KeepOptions.model_validate(keep))
    save(store, *range(1, 11))
    assert readable(store) == kept
    assert names(tmp_path) == [f"step-{step:08d}" for step in kept]


@pytest.mark.parametrize("values", [{"last": 0}, {"every": 0}, {"lats": 2}])
def test_a_policy_that_cannot_be_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        KeepOptions.model_validate(values)


def test_a_training_that_goes_back_deletes_the_later_ones(store: CheckpointStore) -> None:
    save(store, 10, 20, 30)
    with pytest.raises(CheckpointError, match=r"step-00000020 is there already; a training that goes back"):
        save(store, 20)
    assert readable(store) == [10, 20, 30]
    store.drop_after(10)
    save(store, 20)
    assert readable(store) == [10, 20]


# --------------------------------------------------------------------------- damage


PARTS = ("model.safetensors", "config.json", "training/state.safetensors", "training/state.json")


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_file_is_told_with_what_to_do(store: CheckpointStore, part: str) -> None:
    save(store, 10, 20)
    path = store.folder / "step-00000020"
    whole = (path / part).read_bytes()
    (path / part).write_bytes(whole[:-1])
    told = rf"step-00000020 is damaged: {part} has [\d,]+ bytes and should have [\d,]+; resume from the one before it "
    with pytest.raises(CheckpointError, match=told + r"with --from 10, or by deleting this folder\.$"):
        store.read_state(path)
    (path / part).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(CheckpointError, match=rf"damaged: the bytes of {part} are not those that were written"):
        store.read_state(path)
    (path / part).unlink()
    with pytest.raises(CheckpointError, match=rf"damaged: {part} is missing; resume"):
        store.read_state(path)
    (path / part).write_bytes(whole)
    assert readable(store) == [10, 20]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing"),
        ("", "is no list of its files"),
        ("[]", "is no list of its files"),
        ('{"format": 1, "files": {"config.json": {}}}', "is no list of its files"),
        ('{"format": 9, "files": {}}', "is of format 9, and this version reads 1"),
    ],
)
def test_a_list_of_files_that_is_none(store: CheckpointStore, content: str | None, message: str) -> None:
    save(store, 10)
    path = store.folder / "step-00000010"
    (path / FILES).unlink()
    if content is not None:
        (path / FILES).write_text(content)
    told = f"damaged: {FILES} {message}; no checkpoint is before it, so delete this folder and train anew"
    with pytest.raises(CheckpointError, match=told):
        store.read_state(path)


MODEL = {"architecture": "llama", "vocab_size": 96, "windows": (None, 16), "scaling": {"factor": 2.0}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 128}, r"of another model: vocab_size is 96 there and 128 here; give the configuration"),
        (
            {"architecture": "gpt2", "windows": (16, None)},
            r'architecture is "llama" there and "gpt2" here, windows is \[null, 16\] there and \[16, null\] here;',
        ),
        ({"scaling": {"factor": 4.0}}, r"scaling.factor is 2.0 there and 4.0 here;"),
        (
            {"scaling": None},
            r"scaling.factor is 2.0 there and not given here, scaling is not given there and null here",
        ),
        ({f"new_{n}": n for n in range(7)}, r"new_4 is not given there and 4 here, and 2 more;"),
        ({"windows": [1024] * 40}, r"and \[1024, [\d, ]{50,}\.\.\. here;"),
    ],
)
def test_another_model_is_told_by_what_differs(
    store: CheckpointStore, changes: Mapping[str, Any], message: str
) -> None:
    path = store.save(1, write_model, {}, {"model": MODEL})
    facts = store.read_state(path)[1]
    check_model(path, facts, MODEL)
    with pytest.raises(CheckpointError, match=message):
        check_model(path, facts, {**MODEL, **changes})


# --------------------------------------------------------------------------- disks that refuse


def test_a_writer_that_fails_leaves_nothing(store: CheckpointStore) -> None:
    save(store, 1)

    def fail(folder: Path) -> None:
        write_model(folder)
        raise KeyError("a mistake of its own")

    with pytest.raises(KeyError, match="a mistake of its own"):
        store.save(2, fail, *of(2))

    def missing(folder: Path) -> None:
        shutil.copy(folder / "nowhere", folder / "tokenizer.json")

    with pytest.raises(CheckpointError, match=r"step 2 cannot be written \(No such file or directory: .*nowhere\); "
                       r"mend that and resume: the checkpoint before it, step-00000001, is whole\.$"):  # fmt: skip
        store.save(2, missing, *of(2))
    assert names(store.folder) == ["step-00000001"]
    assert readable(store) == [1]


ON_A_SMALL_DISK = """
import json, torch
from pathlib import Path
from evalharness.stack.errors import CheckpointError
from evalharness.stack.training.checkpoints import CheckpointStore, KeepOptions
from evalharness.stack.training.saving import Saver

store = CheckpointStore(Path("disk/checkpoints"), KeepOptions())
small, large = {"x": torch.ones(1000)}, {"x": torch.ones(1_000_000)}
write = lambda folder, weights: (folder / "model").write_bytes(weights["x"].numpy().tobytes())

def told(weights, tensors, beside):
    saver = Saver(store, beside=beside)
    try:
        saver.save(2, write, weights, tensors, {})
        saver.wait()
    except CheckpointError as error:
        store.read_state(store.newest())
        return [str(error), [path.name for path in store.folder.iterdir()]]

Saver(store, beside=False).save(1, write, small, small, {})
print(json.dumps([told(*sizes, beside) for sizes in [(small, large), (large, small)] for beside in (False, True)]))
assert told(small, small, False) is None
assert [path.name for path in store.whole()] == ["step-00000001", "step-00000002"]
"""


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A disk of 1 MiB, mounted in a user namespace of its own."""
    if not shutil.which("unshare") or _in_namespace(tmp_path, "true").returncode:
        pytest.skip("needs user namespaces to mount a small disk")
    (tmp_path / "disk").mkdir()
    (tmp_path / "script.py").write_text(ON_A_SMALL_DISK)
    ended = _in_namespace(tmp_path, f"mount -t tmpfs -o size=1m none disk && '{sys.executable}' script.py")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == 4 * [
        [
            "disk/checkpoints: the checkpoint of step 2 cannot be written (No space left on device); make room on that "
            "disk and resume: the checkpoint before it, step-00000001, is whole.",
            ["step-00000001"],
        ]
    ]


def _in_namespace(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


# --------------------------------------------------------------------------- kill -9


def ended_by(child: Callable[[], None], delay: float | None = None) -> int:
    """The signal that ended a forked process, 0 where it ended by itself; it is killed after `delay` seconds."""
    process = os.fork()
    if process == 0:
        try:
            child()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _die_at(last: int, folder: Path) -> None:
    """In a child: kill -9 before the `last`-th time that a file or folder is opened, made, renamed or deleted."""
    changes, count = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}, 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in changes or (event == "open" and str(folder) in str(arguments[0])):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_any_change_on_the_disk_the_newest_is_whole(tmp_path: Path, stride: int) -> None:
    """Two checkpoints are there; while two more are written the first ones are deleted."""
    save(CheckpointStore(tmp_path / "before", KeepOptions()), 1, 2)
    newest, killed = [], signal.SIGKILL
    for last in range(1, 1000, stride):
        folder = tmp_path / str(last)
        shutil.copytree(tmp_path / "before", folder)
        store = CheckpointStore(folder, KeepOptions(last=2))

        def child(store: CheckpointStore = store, last: int = last) -> None:
            _die_at(last, store.folder)
            save(store, 3, 4)

        killed = ended_by(child)
        steps = readable(store)
        newest.append(steps[-1])
        assert len(steps) >= 2
        # The next save clears away what is left of the last one.
        save(store, 5)
        assert readable(store) == [steps[-1], 5]
        assert len(names(folder)) == 2
        if not killed:
            break
    assert not killed
    assert newest == sorted(newest)
    assert set(newest) == {2, 3, 4}
    assert len(newest) >= 60 // stride


@pytest.mark.parametrize("delay", [0.01, 0.04, 0.09, 0.16, 0.3])
def test_killed_at_any_moment_the_newest_is_readable(store: CheckpointStore, delay: float) -> None:
    """Megabytes, so that many moments are inside a write."""
    large = torch.arange(2_000_000)
    store.save(1, write_model, {"moment": large + 1}, {"step": 1})

    def child() -> None:
        for step in range(2, 1000):
            store.save(step, write_model, {"moment": large + step}, {"step": step})

    assert ended_by(child, delay) == signal.SIGKILL
    newest = store.newest()
    assert newest is not None
    tensors, facts = store.read_state(newest)
    assert facts == {"step": step_of(newest)}
    assert torch.equal(tensors["moment"], large + step_of(newest))
    assert len(store.whole()) <= 4
