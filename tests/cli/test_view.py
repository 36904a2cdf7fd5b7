"""`evalharness view` as a user types it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from e2e.command import environment, said
from runs_for_tests import write_run


def test_it_says_its_address_shows_the_run_and_leaves_on_ctrl_c(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "one", [1.0, 0.0])
    with subprocess.Popen(
        [sys.executable, "-m", "evalharness", "view", "one", "--no-browser"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A process that was started in the background of a shell inherits a deaf ear for Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(line.split()[0]) as response:
            assert b"model-a" in response.read()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    said("view", tmp_path / "nowhere", "--no-browser").refused(64, "nowhere: no such folder")


def test_a_folder_without_runs_is_named(tmp_path: Path) -> None:
    said("view", tmp_path, "--no-browser").refused(64, "no run here", "evalharness run --task NAME")


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    write_run(tmp_path / "one", [1.0])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said("view", tmp_path, "--no-browser", "--port", port).refused(64, f"--port {port}", "another port")


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    assert said("view", tmp_path, "--port", 70000).code == 64


def test_nothing_is_written_into_the_folder(tmp_path: Path) -> None:
    from evalharness.viewer.routes import Viewer

    write_run(tmp_path / "one", [1.0])
    before = sorted(os.listdir(tmp_path / "one"))
    Viewer(tmp_path).answer("/run?run=one")
    assert sorted(os.listdir(tmp_path / "one")) == before
