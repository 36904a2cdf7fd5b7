"""Disks, signals and other processes: what was measured is kept, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import PATIENCE, Process, Said, environment, lines_in, said
from e2e.rows import arc_easy

from evalharness.records.folder import Run, find_runs

SLOW = "seconds=0.01"


def the_run(folder: Path) -> Run:
    """The one run in a folder, its journal read to the end."""
    (run,) = find_runs(folder / "runs")
    assert all(line["id"] for line in run.lines())
    return run


def arguments(log: Path, *more: str) -> list[str]:
    return ["run", "--task", "arc_easy", "--model", f"fake:log={log}&{SLOW}", "--quiet", *more]


# --------------------------------------------------------------------------- signals


def test_a_terminated_run_says_what_is_kept_and_goes_on(here: Path, plugin: Path) -> None:
    log = here / "log"
    stopped = Process(here, *arguments(log), path=(plugin,)).when(lambda: lines_in(log) > 50, signal.SIGTERM)
    stopped.refused(143, "samples of arc_easy are done and kept in runs/", "run the same command again")
    run = the_run(here)
    kept = {line["id"] for line in run.lines()}
    assert 0 < len(kept) < 60
    assert run.record.state == "interrupted"
    before = log.read_text().splitlines()
    Process(here, *arguments(log), path=(plugin,)).wait().done()
    assert kept.isdisjoint(line.split()[0] for line in log.read_text().splitlines()[len(before) :])
    assert [line["id"] for line in the_run(here).lines()] == [row["id"] for row in arc_easy(60)]


def test_a_terminated_run_in_the_background_of_a_shell(here: Path, plugin: Path) -> None:
    """A shell makes what it starts in the background deaf to Ctrl-C; TERM ends it all the same."""
    log = here / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness", *arguments(log)],
        cwd=here,
        env=environment((plugin,)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    while lines_in(log) < 50 and process.poll() is None:
        pass
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert 0 < lines_in(the_run(here).journal) < 60


def test_a_terminated_dry_run(here: Path, plugin: Path) -> None:
    log = here / "log"
    slow = ["run", "--task", "arc_easy", "--model", f"fake:log={log}&seconds=0.5", "--dry-run"]
    Process(here, *slow, path=(plugin,)).when(lambda: lines_in(log) > 1, signal.SIGTERM).refused(143, "interrupted")


def test_a_terminated_command_that_runs_nothing(here: Path, plugin: Path) -> None:
    """While the data are read, say: a sentence, and no run."""
    process = Process(here, "tasks", "validate", path=(plugin,))
    ended = process.when(lambda: True, signal.SIGTERM)
    assert ended.code in (0, 143, -signal.SIGTERM)
    assert "Traceback" not in ended.err


# --------------------------------------------------------------------------- folders and other processes


def test_a_run_that_another_process_is_writing(here: Path, plugin: Path) -> None:
    log = here / "log"
    first = Process(here, *arguments(log, "--output", "mine"), path=(plugin,))
    while lines_in(log) < 10 and first.process.poll() is None:
        pass
    second = Process(here, *arguments(log, "--output", "mine"), path=(plugin,)).wait()
    second.refused(64, "mine/samples.jsonl", "another process is writing this run")
    first.wait().done()
    assert lines_in(here / "mine/samples.jsonl") == 60


def test_a_folder_that_is_removed_during_the_run(here: Path, plugin: Path) -> None:
    """Nothing can be kept, and that is said; the next run starts anew."""
    log = here / "log"
    process = Process(here, *arguments(log), path=(plugin,))
    while lines_in(log) < 20 and process.process.poll() is None:
        pass
    shutil.rmtree(here / "runs", ignore_errors=True)
    ended = process.wait()
    assert "Traceback" not in ended.err
    ended.refused(74, "runs/")
    Process(here, *arguments(log), path=(plugin,)).wait().done()
    assert lines_in(the_run(here).journal) == 60


def test_an_output_below_a_file(here: Path, fake: None) -> None:
    (here / "file").write_text("in the way")
    told = said("run", "--task", "arc_easy", "--model", "fake:", "--output", "file/run", "--quiet")
    told.refused(74, "file/run")


def test_an_output_that_is_a_file(here: Path, fake: None) -> None:
    (here / "file").write_text("in the way")
    told = said("run", "--task", "arc_easy", "--model", "fake:", "--output", "file", "--quiet")
    assert told.code in (64, 74)
    told.refused(told.code, "file")
    assert (here / "file").read_text() == "in the way"


def test_an_output_with_other_files(here: Path, fake: None) -> None:
    (here / "mine").mkdir()
    (here / "mine/notes.txt").write_text("keep me")
    told = said("run", "--task", "arc_easy", "--model", "fake:", "--output", "mine", "--quiet")
    told.refused(64, "--output mine", "holds other files")


def test_runs_in_a_folder_that_nobody_can_write(here: Path, fake: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc takes no folder, not even of root."""
    monkeypatch.setenv("EVALHARNESS_DATA", os.environ["EVALHARNESS_DATA"])
    monkeypatch.chdir("/proc")
    said("run", "--task", "arc_easy", "--model", "fake:", "--quiet").refused(74, "runs/")


def test_a_disk_that_is_full(here: Path, plugin: Path) -> None:
    """A disk of 64 KiB, mounted in a user namespace of its own."""
    if not shutil.which("unshare") or _in_namespace(here, "true").code != 0:
        pytest.skip("needs user namespaces to mount a small disk")
    log = here / "log"
    (here / "disk").mkdir()
    command = " ".join(f"'{part}'" for part in arguments(log, "--output", "disk/run"))
    script = (
        "mount -t tmpfs -o size=64k none disk && "
        f"{{ '{sys.executable}' -m evalharness {command}; code=$?; cp -r disk/run kept; exit $code; }}"
    )
    _in_namespace(here, script, plugin).refused(74, "disk/run", "cannot be written", "make room")
    run = Run(here / "kept")
    kept = {line["id"] for line in run.lines()}
    assert 0 < len(kept) < 60

    # With room on the disk the same run goes on where it was.
    before = lines_in(log)
    Process(here, *arguments(log, "--output", "kept"), path=(plugin,)).wait().done()
    assert kept.isdisjoint(line.split()[0] for line in log.read_text().splitlines()[before:])
    assert lines_in(here / "kept/samples.jsonl") == 60


def _in_namespace(folder: Path, script: str, plugin: Path | None = None) -> Said:
    ended = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=folder,
        env=environment((plugin,) if plugin else ()),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


def test_output_that_knows_ascii_only(here: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    Process(here, *arguments(here / "log"), path=(plugin,)).wait().done()
    told = Process(here, "inspect", the_run(here).path).wait().done()
    assert " ? " in told.out
    assert told.out.isascii()
