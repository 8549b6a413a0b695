"""The rewriter in a process of its own: requests and answers of rewrite_tool.c."""

import json
import os
import pathlib
import subprocess
import time


def tool():
    segue = os.environ.get("SEGUE_BINARY")
    root = pathlib.Path(__file__).resolve().parents[2]
    build_directory = pathlib.Path(segue).parent if segue else root / "build" / "dev"
    return build_directory / "tests" / "rewrite_tool"


class RewriterFailed(Exception):
    pass


class Rewriter:
    def __init__(self):
        self.process = subprocess.Popen(
            [tool()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def ask(self, *fields):
        request = b"".join(str(field).encode("utf-8", "surrogateescape") + b"\0" for field in fields)
        self.process.stdin.write(request)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RewriterFailed("rewrite_tool ended: " + self.process.stderr.read().decode())
        answer = json.loads(line)
        if "error" in answer:
            raise RewriterFailed(answer["error"])
        return answer

    def cpu_seconds(self):
        """What the process has used of the CPU so far, of which other processes take nothing."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # clock_getcpuclockid(3)

    def describe(self, server, path):
        """What a world is built from, per transition of the file."""
        return self.ask("describe", server, path)

    def open(self, server, applied, path, phases, stages):
        """The number of a database in a state; `applied` is the database as it was at APPLY."""
        return self.ask("open", server, applied, path, ",".join(phases), ",".join(stages))["world"]

    def rewrite(self, world, shape, sql, escapes="on", schemas=(), temporaries=()):
        return self.ask(
            "rewrite", world, shape, escapes, ",".join(schemas), ",".join(temporaries), sql
        )

    def position(self, sent):
        """Where a position in the text last rewritten lies in the client's; 0: nowhere."""
        return self.ask("position", sent)["position"]

    def close(self):
        """Fails when the process did not end well: a sanitizer may have found something."""
        self.process.stdin.close()
        status = self.process.wait(60)
        report = self.process.stderr.read().decode()
        assert status == 0 and not report, report
