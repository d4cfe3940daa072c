"""Programs of their own that all want the same thing at the same moment."""

import os
import subprocess
import sys
from collections.abc import Sequence

from django.db import connection


def at_once(workers: int, *program: str, arguments: Sequence[str]) -> list[str]:
    """Let so many workers go at once, when all are ready; return what each printed.

    A worker gets the name of the database and then its arguments, prints "ready", and
    begins when it reads a line.
    """
    name = str(connection.settings_dict["NAME"])
    started = [
        subprocess.Popen(
            [sys.executable, *program, name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
        for _ in range(workers)
    ]
    for worker in started:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in started:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    printed = [worker.communicate(timeout=60)[0] for worker in started]
    assert [worker.returncode for worker in started] == [0] * workers
    return printed
