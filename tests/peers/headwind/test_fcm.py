"""Shows that it wakes by FCM with Google's library as it is, led to a played Google by the environment alone."""

import datetime
import json
import os
import socket
import ssl
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from client import WAIT, Server
from push import FCM_AT_ONCE

HOST = "fcm.googleapis.com"
GONE = {"error": {"code": 404, "status": "NOT_FOUND", "message": "Requested entity was not found.", "details": [
    {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}]}}


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certificate():
    """(certificate, key) of a Google that trusts itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.timezone.utc)
    one = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
           .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
           .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
           .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
           .sign(key, hashes.SHA256()))
    return one.public_bytes(serialization.Encoding.PEM), pem(key)


class Google(BaseHTTPRequestHandler):
    """Both the endpoint for tokens and FCM."""

    protocol_version = "HTTP/1.1"
    sent, gone = [], set()
    together, seats = threading.Barrier(FCM_AT_ONCE, timeout=WAIT), threading.Semaphore(0)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = 200, {"access_token": "ya29.a", "expires_in": 3599, "token_type": "Bearer"}
        if self.path.endswith(":send"):
            message = json.loads(body)["message"]
            self.sent.append((self.path, self.headers["Authorization"], message))
            if self.seats.acquire(blocking=False):
                self.together.wait()
            status, said = (404, GONE) if message["token"] in self.gone else (200, {"name": "projects/p/messages/1"})
        said = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


class Door(BaseHTTPRequestHandler):
    """CONNECT leads to the played Google, whatever it asks for."""

    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.server.leads_to)) as google:
            back = threading.Thread(target=pump, args=(google, self.connection), daemon=True)
            back.start()
            pump(self.connection, google)

    def log_message(self, *_):
        pass


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass


class ByFcm(unittest.TestCase):
    def served(self, handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        return server

    def begin(self, server):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_port

    def setUp(self):
        Google.sent, Google.gone = [], set()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        one, key = certificate()
        path = {name: os.path.join(folder.name, name) for name in ("ca.pem", "key.pem", "account.json")}
        for name, content in (("ca.pem", one), ("key.pem", key)):
            with open(path[name], "wb") as file:
                file.write(content)
        google, door, tokens = self.served(Google), self.served(Door), self.served(Google)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path["ca.pem"], path["key.pem"])
        google.socket = context.wrap_socket(google.socket, server_side=True)
        door.leads_to = self.begin(google)
        account = {"type": "service_account", "project_id": "p", "private_key_id": "1", "client_id": "1",
                   "client_email": "a@p.iam.gserviceaccount.com", "token_uri": f"http://127.0.0.1:{self.begin(tokens)}/token",
                   "private_key": pem(rsa.generate_private_key(65537, 2048)).decode()}
        with open(path["account.json"], "w") as file:
            json.dump(account, file)
        environment = {**os.environ, "HTTPS_PROXY": f"http://127.0.0.1:{self.begin(door)}", "NO_PROXY": "",
                       "REQUESTS_CA_BUNDLE": path["ca.pem"], "SSL_CERT_FILE": path["ca.pem"]}
        self.server = Server("--password-was-set", "--fcm-key", path["account.json"], "--fcm-only", environment=environment)
        self.addCleanup(self.server.stop)

    def test_a_token_is_woken_until_it_is_gone(self):
        for number in ("d1", "d2"):
            self.server.enroll(number)
        self.server.report(custom1="t1")
        self.server.push(messageType="configUpdated", broadcast=True)
        self.server.push(messageType="runApp", payload="{}", deviceNumbers=["d1"], priority="normal")
        (path, bearer, first), (_, _, second) = Google.sent
        self.assertEqual((path, bearer), ("/v1/projects/p/messages:send", "Bearer ya29.a"))
        self.assertEqual(first, {"token": "t1", "data": {"messageType": "configUpdated"},
                                 "android": {"priority": "high", "ttl": "14400s"}})
        self.assertEqual((second["data"], second["android"]["priority"]), ({"messageType": "runApp"}, "normal"))
        Google.gone = {"t1"}
        for _ in range(2):
            self.server.private("PUT", "/configurations", {"id": 1, "name": "A", "password": "1", "applications": []})
        self.server.report(custom1="t2")
        self.server.push(messageType="configUpdated", broadcast=True)
        truth = self.server.truth()
        self.assertEqual([message["token"] for _, _, message in Google.sent], ["t1"] * 3 + ["t2"])
        self.assertEqual(truth["pushes"]["fcm"], {"sent": 3, "unregistered": 1})
        self.assertEqual(truth["pushes"]["row"], {})
        self.assertEqual(truth["devices"]["d1"]["forgotten_tokens"], ["t1"])

    def test_many_are_told_at_once(self):
        for number in range(200):
            self.server.enroll(f"d{number}")
            self.server.report(deviceId=f"d{number}", custom1=f"t{number}")
        # The first ones are answered when all that may be under way together are.
        Google.seats.release(FCM_AT_ONCE)
        self.server.private("PUT", "/configurations", {"id": 1, "name": "A", "password": "1", "applications": []})
        self.assertEqual(self.server.truth()["pushes"]["fcm"], {"sent": 200})
        self.assertEqual((Google.together.broken, Google.seats.acquire(blocking=False)), (False, False))


if __name__ == "__main__":
    unittest.main()
