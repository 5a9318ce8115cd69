"""The tests' own clients: a server and a broker that are started, and what a device and an administrator send."""

import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from urllib.parse import quote, quote_plus

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = "changeme-C3z9vi54"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
WAIT = 60                      # seconds for what comes at once on a machine that nobody else uses
NOTHING = b'{"status":"OK","message":null,"data":null}'
INFO = {
    "deviceId": "d1", "model": "Pixel", "permissions": [1, 1, 0, 0], "files": [], "mdmMode": True, "kioskMode": False,
    "applications": [{"pkg": "com.hmdm.launcher", "name": "Headwind MDM", "version": "6.36"}], "batteryLevel": 80,
    "batteryCharging": "usb", "androidVersion": "14", "launcherType": "master", "launcherPackage": "com.hmdm.launcher",
    "defaultLauncher": True, "cpu": "arm64-v8a", "serial": "S1",
}


def sha1(text):
    return hashlib.sha1(text.encode()).hexdigest().upper()


def free_port():
    """One below those that the system gives away by itself: it can't be taken before it is used."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return one.getsockname()[1]


class Broker:
    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.port = free_port()
        users, settings = os.path.join(self.folder, "users"), os.path.join(self.folder, "settings")
        open(users, "w").close()
        subprocess.run(["mosquitto_passwd", "-b", users, "hmdm", sha1("hmdm" + SECRET)], check=True,
                       env={"PATH": os.environ["PATH"] + ":/usr/sbin"}, capture_output=True)
        with open(settings, "w") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n")
        os.chmod(self.folder, 0o755)
        os.chmod(users, 0o644)
        self.process = subprocess.Popen([MOSQUITTO, "-c", settings], stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Server:
    def __init__(self, *flags, environment=None):
        command = [sys.executable, os.path.join(HERE, "server.py"), "--port", "0", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.ready = json.loads(self.process.stdout.readline())
        self.port, self.project = self.ready["ports"][0], flags[flags.index("--project") + 1] if "--project" in flags else ""
        self.token = None

    def call(self, method, path, body=None, headers=None, port=None):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=2 * WAIT)
        with contextlib.closing(connection):
            headers = dict(headers or {})
            if body is not None:
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path if path.startswith("/_") else self.project + path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def data(self, *arguments, **more):
        status, _, body = self.call(*arguments, **more)
        assert status == 200, (status, body)
        said = json.loads(body)
        assert said["status"] == "OK", said
        return said["data"]

    def play(self, name, **order):
        return json.loads(self.call("POST", f"/_play/{name}", order)[2])

    def truth(self):
        return json.loads(self.call("GET", "/_truth")[2])

    def broken(self):
        return self.truth()["broken"]["by_rule"]

    def enroll(self, number="d1", configuration="1", method="POST", **more):
        headers = {"X-Request-Signature": sha1(SECRET + number), "X-CPU-Arch": "arm64-v8a"}
        body = {"customer": None, "configuration": configuration, "groups": None} if method == "POST" else None
        return self.call(method, f"/rest/public/sync/configuration/{quote(number, safe='')}", body, headers, **more)

    def report(self, **more):
        return self.call("POST", "/rest/public/sync/info", {**INFO, **more})

    def poll(self, number="d1", path="/rest/notification/polling/"):
        signed = self.project.removeprefix("/") + path + quote_plus(number)
        return self.call("GET", path + quote(number, safe=""), headers={"X-Request-Signature": sha1(SECRET + signed)})

    def private(self, method, path, body=None):
        if self.token is None:
            status, _, said = self.call("POST", "/rest/public/jwt/login", self.ready["login"])
            assert status == 200, said
            self.token = json.loads(said)["id_token"]
        return self.data(method, "/rest/private" + path, body, {"Authorization": f"Bearer {self.token}"})

    def push(self, **body):
        return self.private("POST", "/push", body)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(WAIT) == 0
        self.process.stdout.close()
