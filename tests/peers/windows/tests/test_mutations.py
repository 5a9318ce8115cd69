"""Broken bytes never break the checker: thousands of small mutations of good messages, from a fixed seed."""

import random
import unittest
import warnings
from unittest import mock

from cryptography.utils import CryptographyDeprecationWarning

from .. import checker, device, http_client, names, pki, provisioning, server, server_session, soap, xmlutil
from . import support
from . import test_rules_enrollment as enrollment
from . import test_rules_syncml as sessions


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Delete, double or replace a few bytes, or swap one tag's text."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            del data[place:place + chance.randint(1, 40)]
        elif kind == 1:
            data[place:place] = data[place:place + chance.randint(1, 40)]
        elif kind == 2:
            data[place] = chance.randrange(256)
        else:
            start = data.find(b">", place) + 1
            end = data.find(b"<", start)
            if 0 < start <= end:
                data[start:end] = chance.choice([b"", b"0", b"-1", b"x", b"9" * 12, "ä".encode(), b"a&amp;b"])
        if not data:
            data = bytearray(b"x")
    return bytes(data)


class DeviceMutations(support.PeerCase):
    """The device against a server whose answers are broken."""

    @staticmethod
    def breaking(send, chance, number):
        """`send` with the answer of one call mutated."""
        calls = []

        def broken(*arguments):
            answer = send(*arguments)
            calls.append(arguments)
            if len(calls) - 1 == number and answer.body:
                answer.body = mutate(chance, answer.body)
            return answer
        return broken

    def test_enrollment(self):
        chance = random.Random(7)
        self.serve()
        for _ in range(12):
            made = self.device()
            made.send = self.breaking(made.send, chance, chance.randrange(4))
            try:
                made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "u@example.test", "OnPremise", "secret")
            except (device.DeviceError, OSError, ValueError):
                pass

    def test_sessions(self):
        chance = random.Random(8)
        self.serve("--pfn", "Peer.App_1")
        made = self.enrolled()
        original = http_client.Connection.send

        def send(connection, *arguments):
            answer = original(connection, *arguments)
            answer.body = mutate(chance, answer.body)
            return answer
        with mock.patch.object(http_client.Connection, "send", send):
            for number in range(40):
                self.admin("POST", self.path(made, "commands"), {"cmd": "Get", "uri": "./DevDetail/SwV"})
                try:
                    made.sync()
                except device.DeviceError:
                    pass
                self.assertIsNotNone(made.tree, number)


class Mutations(unittest.TestCase):
    """Every function that takes bytes from the wire."""

    ROUNDS = 100

    def test_soap(self):
        chance = random.Random(1)
        for kind, body in enrollment.GOOD.items():
            for _ in range(self.ROUNDS):
                known = checker.Enrollment(**enrollment.KNOWN[kind])
                checker.check_soap(enrollment.KINDS.get(kind, kind), mutate(chance, body), known)

    def test_certificate_requests(self):
        warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)   # a mutated serial number
        chance = random.Random(2)
        known = checker.Enrollment(device_id=enrollment.DEVICE_ID, certificate=enrollment.CERTIFICATE)
        for _ in range(self.ROUNDS * 4):
            checker.check_request(mutate(chance, enrollment.REQUEST), known)
            checker.check_renewal(mutate(chance, enrollment.RENEWAL), known)

    def test_provisioning(self):
        chance = random.Random(3)
        good = enrollment.document()
        for _ in range(self.ROUNDS * 2):
            data = mutate(chance, good)
            checker.check_provisioning(data, checker.Enrollment(spki=b"x", enrollment_type="Full"))
            try:
                document = provisioning.read(data)
            except xmlutil.XmlError:
                continue
            document.auth()
            document.provider()

    def test_sessions(self):
        chance = random.Random(4)
        for session in sessions.SESSIONS.values():
            for _ in range(self.ROUNDS):
                judge = checker.SessionChecker(sessions.DEVICE, sessions.ADDR)
                broken = chance.randrange(len(session))
                for number, (side, text) in enumerate(session):
                    data = text.encode()
                    getattr(judge, side)(mutate(chance, data) if number == broken else data)
                judge.end()

    def test_the_server_s_handlers(self):
        """Mutated requests end in an answer or a Refusal, never in an exception."""
        chance = random.Random(6)
        peer = server.Server(server.arguments([]), support.AUTHORITY)
        peer.base = "https://mdm.example.test"
        tls = pki.der_certificate(enrollment.CERTIFICATE)
        headers = {"Content-Type": names.SOAP_TYPE + "; charset=utf-8", "User-Agent": "ENROLLClient"}
        for kind in ("discover", "policies", "rst", "renewal"):
            for _ in range(40):
                peer.records[sessions.DEVICE] = record = server_session.Record(
                    sessions.DEVICE, "", "u", {}, enrollment.CERTIFICATE, "u", "s")
                step = enrollment.KINDS.get(kind, kind)
                self.assertTrue(peer.enrollment(step, enrollment.URL, headers, mutate(chance, enrollment.GOOD[kind]), tls))
        for session in sessions.SESSIONS.values():
            for _ in range(20):
                peer.records[sessions.DEVICE] = record = server_session.Record(
                    sessions.DEVICE, "", "u", {}, enrollment.CERTIFICATE, "u", "s")
                record.add(server_session.make_command({"cmd": "Get", "uri": sessions.SWV}, peer.number()))
                for side, text in session:
                    if side == "client":
                        body = mutate(chance, text.encode()) if chance.random() < 0.7 else text.encode()
                        try:
                            peer.management("/peer/manage", headers, body, tls)
                        except server_session.Refusal as refusal:
                            self.assertIn(refusal.code, (400, 401))

    def test_reading_policies(self):
        chance = random.Random(5)
        for _ in range(self.ROUNDS):
            try:
                envelope = xmlutil.parse(mutate(chance, enrollment.GOOD["policies-response"]))
            except xmlutil.XmlError:
                continue
            soap.read_policies(envelope)
