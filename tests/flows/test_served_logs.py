"""The log of `shelfwise serve` as a collector of logs gets it: real lines of a real process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

BODY = {
    "product_id": "CUP-01", "model": "base_level",
    "dates": [f"2026-11-{day:02}" for day in range(1, 15)],
    "quantities": [4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10],
}  # fmt: skip
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_each_request_is_told_of_in_json_lines_under_its_ids_and_without_what_was_typed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from shelfwise.cli.main import main; main()", "serve", "--port", "0"],
        cwd=tmp_path, env=os.environ | {"SHELFWISE_AUTHENTICATION": "none"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        address = re.search(r"http://[\d.]+:\d+", process.stderr.readline())
        assert address is not None
        request = urllib.request.Request(
            f"{address[0]}/predict?note=hunter2",
            json.dumps(BODY).encode(),
            {
                "Content-Type": "application/json", "X-Request-Id": "till-7",
                "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
            },
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=120) as answer:
            size = len(answer.read())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert "hunter2" not in err
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    ours = [line for line in lines if line.get("request_id") == "till-7"]
    assert [line["event"] for line in ours] == ["prediction_completed", "request_completed"]
    assert {line["trace_id"] for line in ours} == {TRACE}
    assert len({line["user"] for line in ours}) == 1
    made, told = ours
    assert (made["product"], made["model"], made["days_ahead"]) == ("CUP-01", "base_level", 7)
    assert 0 < made["seconds"] <= told["ms"] / 1000
    assert (told["method"], told["route"], told["status"], told["bytes"]) == ("POST", "/predict", 200, size)
