"""A real OctoPrint with its virtual printer, for the tests of the profile that connects it."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from robotctl.environment import ROOT
from robotctl.tests.fixtures import until

PROGRAM = Path(os.environ.get("OCTOPRINT_VENV") or ROOT / ".octoprint") / "bin" / "octoprint"
MISSING = "OctoPrint is not installed: .ci/run puts it into .octoprint; OCTOPRINT_VENV names another venv."
KEY = "an-api-key-of-an-operator-in-octoprint"
UP_WITHIN_S = 90.0
CONFIG = """
server: {firstRun: false, onlineCheck: {enabled: false}, pluginBlacklist: {enabled: false}}
serial: {port: VIRTUAL, baudrate: 115200, log: true}
plugins:
  virtual_printer: {enabled: true}
  _disabled: [health_check, softwareupdate, announcements, tracking, discovery, errortracking]
"""
USERS = f"""
_version: 2
robotctl: {{active: true, apikey: {KEY}, groups: [users], password: "!", permissions: [], settings: {{}}}}
"""


class OctoPrint:
    """A running OctoPrint and its virtual printer; `post` is somebody at OctoPrint's own page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "users.yaml").write_text(USERS)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        address = ["--host", "127.0.0.1", "--port", str(port)]
        arguments = [str(PROGRAM), "serve", "--basedir", str(folder), *address, "--iknowwhatimdoing"]
        self.output = (folder / "output").open("wb")
        self.process = subprocess.Popen(arguments, stdout=self.output, stderr=self.output, start_new_session=True)

    def wait(self) -> None:
        """Until it answers."""
        until(self._is_up, timeout_s=UP_WITHIN_S, every_s=0.25)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "output").read_text()[-2000:]
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/api/version", headers={"X-Api-Key": KEY}, timeout=5).ok
        return False

    def post(self, path: str, **body: Any) -> None:
        assert requests.post(self.url + path, headers={"X-Api-Key": KEY}, json=body, timeout=30).status_code == 204

    def says(self) -> str:
        """Its own word for the printer's state."""
        reply = requests.get(f"{self.url}/api/job", headers={"X-Api-Key": KEY}, timeout=5).json()
        return str(reply["state"])

    def connect(self) -> None:
        self.post("/api/connection", command="connect")
        until(lambda: self.says() == "Operational")

    def disconnect(self) -> None:
        self.post("/api/connection", command="disconnect")
        until(lambda: self.says() in ("Offline", "Offline after error"))

    def sent(self, gcode: str) -> int:
        """How often the printer was sent `gcode`."""
        log = self.folder / "logs" / "serial.log"
        return sum("Send:" in line and gcode in line for line in log.read_text().splitlines()) if log.exists() else 0

    def end(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # whatever it may have started itself
        self.process.wait(5)
        self.output.close()
