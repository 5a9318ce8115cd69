"""HTTPS for the device: loopback only, bounded answers, an optional client certificate."""

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_ANSWER = 4 * 1024 * 1024
TIMEOUT = 30


class TransportError(OSError):
    """No answer: refused, cut, too long, or not on this machine."""


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict
    body: bytes


def tls_context(ca_file: str, certificate: str = "", key: str = "") -> ssl.SSLContext:
    """Trust only `ca_file`; present the certificate when given."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class Connection:
    """A kept-alive connection to one host; one for each session (W 5.1)."""

    def __init__(self, url: str, context: ssl.SSLContext):
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise TransportError("only https is spoken: %s" % url)
        port = parts.port or 443
        require_loopback(parts.hostname, port)
        self.connection = http.client.HTTPSConnection(parts.hostname, port, timeout=TIMEOUT, context=context)

    def send(self, method: str, url: str, headers: dict, body: bytes = b"") -> Answer:
        """One request; TransportError when there is no whole answer within the bounds."""
        parts = urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        try:
            self.connection.request(method, target, body if method != "GET" else None, headers)
            response = self.connection.getresponse()
            data = response.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise TransportError("%s %s: %s" % (method, url, error)) from error
        if len(data) > MAX_ANSWER:
            raise TransportError("answer longer than %d bytes" % MAX_ANSWER)
        return Answer(response.status, dict(response.getheaders()), data)

    def close(self):
        """Close the socket."""
        self.connection.close()


def send_once(method: str, url: str, context: ssl.SSLContext, headers: dict, body: bytes = b"") -> Answer:
    """One request on its own connection."""
    connection = Connection(url, context)
    try:
        return connection.send(method, url, headers, body)
    finally:
        connection.close()


def require_loopback(host: str, port: int):
    """This peer never leaves the machine."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise TransportError("%s: %s" % (host, error)) from error
    if not all(ipaddress.ip_address(a.partition("%")[0]).is_loopback for a in addresses):
        raise TransportError("%s is not a loopback address" % host)
