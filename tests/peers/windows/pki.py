"""Keys, certificates, certificate requests and signed CMS, with a small DER reader of our own.

The DER reader exists because Python `cryptography` refuses the genuine Windows request: it has "!" and
NUL in a PrintableString (W 4 and 10 row 23).  Subject strings are kept as raw bytes.
"""

import datetime
import hashlib
import ipaddress
import os
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import names

OID_CN = "2.5.4.3"
OID_EKU = "2.5.29.37"
OID_CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
OID_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
OID_SIGNED_DATA = "1.2.840.113549.1.7.2"
OID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
OID_SIGNING_TIME = "1.2.840.113549.1.9.5"
PRINTABLE, UTF8 = 0x13, 0x0C

SIGNATURE_HASHES = {
    names.OID_SHA1_RSA: hashes.SHA1,
    names.OID_SHA1_WITH_RSA: hashes.SHA1,
    names.OID_SHA256_WITH_RSA: hashes.SHA256,
    "1.2.840.113549.1.1.12": hashes.SHA384,
    "1.2.840.113549.1.1.13": hashes.SHA512,
}
DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


class DerError(ValueError):
    """Bytes that are not the DER structure we looked for."""


@dataclass
class Der:
    """One DER value: its tag byte, its body, and the whole encoding."""

    tag: int
    body: bytes
    raw: bytes

    def children(self) -> list:
        """The values inside a constructed value."""
        found, position = [], 0
        while position < len(self.body):
            value = _read(self.body, position)
            found.append(value)
            position += len(value.raw)
        return found

    def oid(self) -> str:
        """This value as a dotted object identifier."""
        if self.tag != 0x06 or not self.body:
            raise DerError("an OID was expected")
        numbers, value = [], 0
        for byte in self.body:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, [first, numbers[0] - 40 * first] + numbers[1:]))


def _read(data: bytes, position: int) -> Der:
    """Read one definite-length value; single-byte tags only, as PKIX structures need no others."""
    if position + 2 > len(data):
        raise DerError("cut short")
    tag, length, start = data[position], data[position + 1], position + 2
    if tag & 0x1F == 0x1F:
        raise DerError("multi-byte tag")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > len(data):
            raise DerError("bad length")
        length = int.from_bytes(data[start:start + count], "big")
        start += count
    if start + length > len(data):
        raise DerError("cut short")
    return Der(tag, data[start:start + length], data[position:start + length])


def read_der(data: bytes) -> Der:
    """Read exactly one value; trailing bytes are an error."""
    value = _read(data, 0)
    if len(value.raw) != len(data):
        raise DerError("%d bytes after the end" % (len(data) - len(value.raw)))
    return value


def write_der(tag: int, *parts: bytes) -> bytes:
    """Encode one value."""
    body = b"".join(parts)
    if len(body) < 0x80:
        head = bytes([len(body)])
    else:
        size = (len(body).bit_length() + 7) // 8
        head = bytes([0x80 | size]) + len(body).to_bytes(size, "big")
    return bytes([tag]) + head + body


def write_oid(dotted: str) -> bytes:
    """Encode an object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    body = bytearray()
    for number in [first * 40 + second] + rest:
        part = [number & 0x7F]
        while number := number >> 7:
            part.append(number & 0x7F | 0x80)
        body += bytes(reversed(part))
    return write_der(0x06, bytes(body))


# ---------------------------------------------------------------- certificate requests

@dataclass
class Request:
    """A PKCS#10 request as read: nothing judged yet except the shape."""

    subject: list = field(default_factory=list)      # (oid, string tag, raw bytes)
    spki: bytes = b""
    extensions: dict = field(default_factory=dict)   # oid -> extnValue bytes
    signature_oid: str = ""
    signature: bytes = b""
    signed: bytes = b""

    def public_key(self):
        """The key the request is for; ValueError when it is none that we know."""
        try:
            return serialization.load_der_public_key(self.spki)
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error

    def verify(self) -> bool:
        """Whether the request is signed by its own key (proof of possession)."""
        algorithm = SIGNATURE_HASHES.get(self.signature_oid)
        if algorithm is None:
            return False
        try:
            self.public_key().verify(self.signature, self.signed, padding.PKCS1v15(), algorithm())
        except (InvalidSignature, ValueError, TypeError, AttributeError):
            return False
        return True


def read_request(data: bytes) -> Request:
    """Read a PKCS#10 request leniently in its strings, strictly in its structure."""
    try:
        info, algorithm, signature = read_der(data).children()
        parts = info.children()
        request = Request(spki=parts[2].raw, signed=info.raw, signature_oid=algorithm.children()[0].oid(),
                          signature=signature.body[1:])
        for relative in parts[1].children():
            for pair in relative.children():
                kind, value = pair.children()
                request.subject.append((kind.oid(), value.tag, value.body))
        for attributes in parts[3:]:
            for entry in attributes.children():
                kind, values = entry.children()
                if kind.oid() != OID_EXTENSION_REQUEST:
                    continue
                for extension in values.children()[0].children():
                    fields = extension.children()
                    request.extensions[fields[0].oid()] = fields[-1].body
        return request
    except (IndexError, ValueError) as error:
        raise DerError("no PKCS#10 request: %s" % error) from error


def make_request(key, guid30: str, device_id: str, old: bool = False) -> bytes:
    """The Windows request (W 4, CSR).

    old=False: UTF8String without NUL, SHA-256, EKU clientAuth; old=True: PrintableString with a trailing
    NUL, SHA-1 under OID 1.3.14.3.2.29 and no EKU.
    """
    name = ("%s!%s" % (guid30, device_id)).encode()
    string = write_der(PRINTABLE, name + b"\0") if old else write_der(UTF8, name)
    subject = write_der(0x30, write_der(0x31, write_der(0x30, write_oid(OID_CN), string)))
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    extensions = write_der(0x30, write_oid(names.OID_DEVICE_ID), write_der(0x04, device_id.encode() + b"\0"))
    if not old:
        usages = write_der(0x30, write_oid(OID_CLIENT_AUTH))
        extensions += write_der(0x30, write_oid(OID_EKU), write_der(0x04, usages))
    attribute = write_der(0x30, write_oid(OID_EXTENSION_REQUEST), write_der(0x31, write_der(0x30, extensions)))
    info = write_der(0x30, write_der(0x02, b"\0"), subject, spki, write_der(0xA0, attribute))
    return sign_request(info, key, names.OID_SHA1_RSA if old else names.OID_SHA256_WITH_RSA)


def sign_request(info: bytes, key, algorithm_oid: str) -> bytes:
    """Close a CertificationRequestInfo with a signature under the given algorithm OID."""
    signature = key.sign(info, padding.PKCS1v15(), SIGNATURE_HASHES[algorithm_oid]())
    algorithm = write_der(0x30, write_oid(algorithm_oid), write_der(0x05))
    return write_der(0x30, info, algorithm, write_der(0x03, b"\0" + signature))


# ---------------------------------------------------------------- CMS

@dataclass
class SignedData:
    """A CMS SignedData with one signer, as read."""

    content: bytes
    certificates: list
    serial: int
    digest: str
    attributes: dict          # oid -> first value's Der
    signed_attributes: bytes  # what the signature covers
    signature: bytes

    def verify(self, certificate: x509.Certificate, content: bytes) -> bool:
        """Whether `certificate` signed `content`: serial, message digest and signature all agree."""
        digest = self.attributes.get(OID_MESSAGE_DIGEST)
        if digest is None or self.serial != certificate.serial_number:
            return False
        if digest.body != hashlib.new(self.digest, content).digest():
            return False
        algorithm = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384,
                     "sha512": hashes.SHA512}[self.digest]
        try:
            certificate.public_key().verify(self.signature, self.signed_attributes, padding.PKCS1v15(), algorithm())
        except InvalidSignature:
            return False
        return True


def read_signed_data(data: bytes) -> SignedData:
    """Read a DER CMS SignedData with exactly one signer and signed attributes."""
    try:
        kind, wrapped = read_der(data).children()
        if kind.oid() != OID_SIGNED_DATA:
            raise DerError("not SignedData")
        fields = wrapped.children()[0].children()
        inner = fields[2].children()
        content = inner[1].children()[0].body if len(inner) > 1 else b""
        certificates = []
        for entry in fields[3:-1]:
            if entry.tag == 0xA0:
                certificates = [x509.load_der_x509_certificate(c.raw) for c in entry.children()]
        (signer,) = fields[-1].children()
        parts = signer.children()
        serial = int.from_bytes(parts[1].children()[1].body, "big", signed=True)
        digest = DIGESTS[parts[2].children()[0].oid()]
        if parts[3].tag != 0xA0:
            raise DerError("no signed attributes")
        attributes = {}
        for entry in parts[3].children():
            oid, values = entry.children()
            attributes[oid.oid()] = values.children()[0]
        return SignedData(content, certificates, serial, digest, attributes,
                          b"\x31" + parts[3].raw[1:], parts[5].body)
    except (IndexError, KeyError, ValueError) as error:
        raise DerError("no CMS SignedData: %s" % error) from error


def sign_cms(content: bytes, certificate: x509.Certificate, key, detached: bool) -> bytes:
    """CMS SignedData with SHA-256, signing time and certificate (W 4 Renewal, 5.6 scheme 3)."""
    options = [pkcs7.PKCS7Options.Binary]
    if detached:
        options.append(pkcs7.PKCS7Options.DetachedSignature)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, options)


# ---------------------------------------------------------------- keys, CA, files

def make_key(bits: int = 2048):
    """A fresh RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem_key(key) -> bytes:
    """A private key as PEM."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def pem_certificate(certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def der_certificate(certificate) -> bytes:
    """A certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def thumbprint(der: bytes) -> str:
    """SHA-1 of a certificate in upper-case hex: its name in the certificate store (W 4)."""
    return hashlib.sha1(der).hexdigest().upper()


def spki_of(certificate) -> bytes:
    """The certificate's SubjectPublicKeyInfo."""
    return certificate.public_key().public_bytes(serialization.Encoding.DER,
                                                 serialization.PublicFormat.SubjectPublicKeyInfo)


def common_name(certificate) -> str:
    """The first CN of the subject, or the empty string."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return found[0].value if found else ""


def issued_by(certificate, issuer) -> bool:
    """Whether `issuer` signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _builder(subject: str, issuer, public_key, days: int):
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (x509.CertificateBuilder().subject_name(name).issuer_name(issuer or name).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=days)))


class Authority:
    """A certificate authority: it signs device and server certificates."""

    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key

    @classmethod
    def make(cls, name: str = "Windows peer test CA"):
        """A new self-signed CA."""
        key = make_key()
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (_builder(name, None, key.public_key(), 3650)
                       .add_extension(x509.BasicConstraints(True, None), critical=True)
                       .add_extension(usage, critical=True)
                       .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                       .sign(key, hashes.SHA256()))
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate_path: str, key_path: str):
        """A CA from PEM files."""
        with open(certificate_path, "rb") as stream:
            certificate = x509.load_pem_x509_certificate(stream.read())
        with open(key_path, "rb") as stream:
            key = serialization.load_pem_private_key(stream.read(), None)
        return cls(certificate, key)

    def issue(self, subject: str, public_key, days: int = 365, hosts: tuple = ()):
        """Issue a client certificate, or a server certificate when `hosts` are given."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (_builder(subject, self.certificate.subject, public_key, days)
                   .add_extension(x509.BasicConstraints(False, None), critical=True)
                   .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                   .add_extension(authority_key, critical=False))
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _host(name: str):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_private(path: str, data: bytes):
    """Write a file that only its owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)


def make_test_files(directory: str):
    """Write ca.pem, ca.key, server.pem, server.key for localhost into a folder, once."""
    os.makedirs(directory, exist_ok=True)
    paths = {name: os.path.join(directory, name) for name in ("ca.pem", "ca.key", "server.pem", "server.key")}
    if not all(os.path.exists(p) for p in paths.values()):
        authority, key = Authority.make(), make_key()
        server = authority.issue("localhost", key.public_key(), hosts=("localhost", "127.0.0.1"))
        write_private(paths["ca.key"], pem_key(authority.key))
        write_private(paths["server.key"], pem_key(key))
        write_private(paths["ca.pem"], pem_certificate(authority.certificate))
        write_private(paths["server.pem"], pem_certificate(server))
    return paths
