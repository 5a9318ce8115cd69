"""Shared by the tests: one set of keys for the run, servers in this process, devices in temporary folders."""

import atexit
import itertools
import json
import os
import shutil
import tempfile
import unittest
import urllib.error
import urllib.request
from unittest import mock

from .. import device, pki, server

ROOT = tempfile.mkdtemp(prefix="winpeer-test-")
atexit.register(shutil.rmtree, ROOT, True)
FILES = pki.make_test_files(os.path.join(ROOT, "keys"))
AUTHORITY = pki.Authority.load(FILES["ca.pem"], FILES["ca.key"])


_KEYS = itertools.cycle([pki.make_key() for _ in range(6)])


class PeerCase(unittest.TestCase):
    """A test with a server and devices; every message of the run must be without breach unless the test says so."""

    def setUp(self):
        """Devices of the tests share six keys: making them is most of the time (the program test makes real ones)."""
        patch = mock.patch.object(pki, "make_key", lambda bits=2048: next(_KEYS))
        patch.start()
        self.addCleanup(patch.stop)

    def serve(self, *arguments):
        """Start a server; self.admin() speaks to it."""
        options = server.arguments(["--directory", ROOT] + list(arguments))
        self.peer, public, private = server.start(options, AUTHORITY, FILES["server.pem"], FILES["server.key"],
                                                  FILES["ca.pem"])
        self.base = "http://127.0.0.1:%d" % private.server_address[1]
        for listener in (public, private):
            self.addCleanup(listener.server_close)
            self.addCleanup(listener.shutdown)
        return self.peer

    def admin(self, method: str, path: str, body=None, status: int = 200):
        """One call of the admin API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                code, value = response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                code, value = error.code, json.load(error)
        self.assertEqual(code, status, value)
        return value

    def device(self, **settings):
        """A device that is not enrolled."""
        folder = tempfile.mkdtemp(dir=ROOT)
        return device.Device(folder, FILES["ca.pem"], device.Settings(**settings))

    def enrolled(self, policy: str = "OnPremise", **settings):
        """A device enrolled with self.peer."""
        made = self.device(**settings)
        made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "user@example.test", policy, "secret")
        return made

    def path(self, made, *more) -> str:
        """The admin path of a device."""
        return "/".join(("/devices/" + made.state["device_id"],) + more)

    def answers(self, made) -> dict:
        """{command id: answer} of a device."""
        return {a["id"]: a for a in self.admin("GET", self.path(made, "answers"))}

    def give(self, made, *commands) -> list:
        """Queue commands, run one session, return their answers in order."""
        ids = self.admin("POST", self.path(made, "commands"), list(commands))
        made.sync()
        found = self.answers(made)
        return [found[i] for i in ids]

    def clean(self, *devices):
        """No breach on any side."""
        self.assertEqual([v["rule"] + ": " + v["detail"] for v in self.admin("GET", "/violations")], [])
        self.assertEqual([v["rule"] + ": " + v["detail"] for v in self.admin("GET", "/own-violations")], [])
        for made in devices:
            self.assertEqual([v.rule + ": " + v.detail for v in made.violations + made.own_violations], [])


COVERED = set()     # the rules that a test has shown


class RuleCase(unittest.TestCase):
    """A test of rules."""

    def expect(self, rule, violations):
        """Exactly this rule was named, once."""
        COVERED.add(rule)
        self.assertEqual([v.rule for v in violations], [rule], [v.detail for v in violations])
        self.assertTrue(violations[0].as_dict()["source"])
