"""Starting the relay without reading its code anew.

Importing everything takes two seconds of the processor, and these tests start the relay a hundred
times to see what it does with its database, its senders and its end.
So one process imports it and is forked for each start, which makes a process of its own all the
same: it can be killed, and holds nothing of any other.
`tests/system/test_promises.py` and `tests/integration/test_cli_serve.py` start the relay by its
command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["app.cli.main", "tests.system.forked_relay"])


class ForkedRelay:
    """`relay <arguments>`, with an environment of its own; what it prints goes to the log."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
        self._process = ForkServerProcess(target=_run, args=(arguments, environment, log))
        self._process.start()

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal; what has ended already gets none."""
        if self._process.pid is not None and self.is_running:
            os.kill(self._process.pid, how)

    def wait(self, seconds: float) -> int:
        """Wait for the end; answers the exit code."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, "the relay did not end"
        return code


def _run(arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    with log.open("ab") as written:
        for printed in (1, 2):
            os.dup2(written.fileno(), printed)
    sys.argv = ["relay", *arguments]
    from app.__main__ import main  # noqa: PLC0415  the tests themselves do not need the commands

    main()
