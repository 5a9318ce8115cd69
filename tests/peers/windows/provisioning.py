"""The provisioning document: OMA client provisioning XML inside the WSTEP answer (W 4, MS-MDE2 2.2.9)."""

import base64
from dataclasses import dataclass, field
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from . import pki
from .xmlutil import local, parse, quoteattr

# The schedule of Microsoft's example ("document example" in W 6).
DOCUMENT_POLL = {
    "NumberOfFirstRetries": 8, "IntervalForFirstSetOfRetries": 15,
    "NumberOfSecondRetries": 5, "IntervalForSecondSetOfRetries": 3,
    "NumberOfRemainingScheduledRetries": 0, "IntervalForRemainingScheduledRetries": 1560,
}


def parm(name: str, value=None, datatype: str = "") -> str:
    """One <parm>; without a value its presence counts."""
    kind = " datatype=%s" % quoteattr(datatype) if datatype else ""
    worth = "" if value is None else " value=%s" % quoteattr(str(value))
    return "<parm name=%s%s%s/>" % (quoteattr(name), worth, kind)


def characteristic(kind: str, *inside: str) -> str:
    """One <characteristic>."""
    return "<characteristic type=%s>%s</characteristic>" % (quoteattr(kind), "".join(inside))


def _document(*parts: str) -> bytes:
    return ('<wap-provisioningdoc version="1.1">%s</wap-provisioningdoc>' % "".join(parts)).encode()


def _certificate(der: bytes) -> str:
    return characteristic(pki.thumbprint(der), parm("EncodedCertificate", base64.b64encode(der).decode()))


def _my_store(store: str, der: bytes, renew_days: int) -> str:
    renew = characteristic("WSTEP", characteristic(
        "Renew", parm("ROBOSupport", "true", "boolean"), parm("RenewPeriod", renew_days, "integer"),
        parm("RetryInterval", 4, "integer")))
    own = characteristic(store, _certificate(der), characteristic("PrivateKeyContainer"))
    return characteristic("CertificateStore", characteristic("My", own, renew))


def write(*, root: bytes, certificate: bytes, store: str, subject: str, provider: str, address: str,
          auth_type: str, user: str, secret: str, poll: dict, upn: str, device_name: str, renew_days: int = 60,
          signing: bool = False) -> bytes:
    """The full document of a first enrollment."""
    criteria = "Subject=%s&Stores=%s" % (quote("CN=" + subject, safe=""), quote("My\\" + store, safe=""))
    application = characteristic(
        "APPLICATION", parm("APPID", "w7"), parm("PROVIDER-ID", provider), parm("NAME", provider),
        parm("ADDR", address), parm("CONNRETRYFREQ", 6), parm("INITIALBACKOFFTIME", 30000),
        parm("MAXBACKOFFTIME", 120000), parm("BACKCOMPATRETRYDISABLED"),
        parm("DEFAULTENCODING", "application/vnd.syncml.dm+xml"),
        parm("SSLCLIENTCERTSEARCHCRITERIA", criteria), parm("ROLE", "4294967295"),
        characteristic("APPAUTH", parm("AAUTHLEVEL", "CLIENT"), parm("AAUTHTYPE", "DIGEST"),
                       parm("AAUTHSECRET", "dummy"), parm("AAUTHDATA", "bm9uY2U=")),
        characteristic("APPAUTH", parm("AAUTHLEVEL", "APPSRV"), parm("AAUTHTYPE", auth_type),
                       parm("AAUTHNAME", user), parm("AAUTHSECRET", secret), parm("AAUTHDATA", "bm9uY2U=")))
    schedule = [parm(name, value, "integer") for name, value in poll.items()]
    client = characteristic("DMClient", characteristic("Provider", characteristic(
        provider, parm("UPN", upn, "string"), parm("EntDeviceName", device_name, "string"),
        parm("RequireMessageSigning", "true" if signing else "false", "boolean"),
        characteristic("Poll", *schedule, parm("PollOnLogin", "false", "boolean")))))
    roots = characteristic("CertificateStore", characteristic("Root", characteristic("System", _certificate(root))))
    return _document(roots, _my_store(store, certificate, renew_days), application, client)


def write_renewal(*, certificate: bytes, store: str, provider: str) -> bytes:
    """The lean document of a renewal: the new certificate and PROVIDER-ID only (W 4, Renewal)."""
    own = characteristic(store, _certificate(certificate), characteristic("PrivateKeyContainer"))
    return _document(characteristic("CertificateStore", characteristic("My", own)),
                     characteristic("APPLICATION", parm("PROVIDER-ID", provider)))


@dataclass
class Document:
    """A provisioning document flattened: `parms` maps a lower-case path to values in document order."""

    parms: list = field(default_factory=list)      # (path tuple as written, name, value or None, datatype)
    nodes: list = field(default_factory=list)      # every characteristic path
    root_name: str = ""
    version: str = ""

    def first(self, *wanted: str):
        """The first value at a path compared without case; None when missing."""
        key = tuple(w.lower() for w in wanted)
        for where, name, value, _ in self.parms:
            if tuple(p.lower() for p in where) + (name.lower(),) == key:
                return value or ""
        return None

    def application(self, name: str):
        """A parm of the APPLICATION characteristic, compared with case (W 4)."""
        for where, found, value, _ in self.parms:
            if where == ("APPLICATION",) and found == name:
                return value or ""
        return None

    def certificates(self, *stores: str) -> list:
        """(store path, thumbprint as written, base64) for certificates below CertificateStore/<stores…>."""
        key = ("certificatestore",) + tuple(s.lower() for s in stores)
        return [(where[:-1], where[-1], value or "") for where, name, value, _ in self.parms
                if name == "EncodedCertificate" and tuple(p.lower() for p in where[:len(key)]) == key]

    def auth(self) -> list:
        """The APPAUTH blocks as dictionaries, in order."""
        blocks = {}
        for where, name, value, _ in self.parms:
            if len(where) == 2 and where[1].startswith("APPAUTH#"):
                blocks.setdefault(where, {})[name] = value or ""
        return list(blocks.values())

    def provider(self) -> dict:
        """DMClient/Provider/<PROVIDER-ID> as {relative path: value}."""
        identity = self.application("PROVIDER-ID") or ""
        base = ("dmclient", "provider", identity.lower())
        return {"/".join(where[3:] + (name,)): value or "" for where, name, value, _ in self.parms
                if tuple(p.lower() for p in where[:3]) == base}


def read(data: bytes) -> Document:
    """Flatten a provisioning document; XmlError when it is no XML."""
    root = parse(data)
    document = Document(root_name=local(root), version=root.get("version") or "")
    _flatten(root, (), document)
    return document


def _flatten(element, where, document):
    seen = 0
    for entry in element:
        if local(entry) == "parm":
            document.parms.append((where, entry.get("name") or "", entry.get("value"), entry.get("datatype") or ""))
        elif local(entry) == "characteristic":
            kind = entry.get("type") or ""
            if kind == "APPAUTH":  # two blocks of one name: number them so that they stay apart
                seen += 1
                kind = "APPAUTH#%d" % seen
            document.nodes.append(where + (kind,))
            _flatten(entry, where + (kind,), document)


def load_certificate(encoded: str):
    """A certificate from EncodedCertificate's base64; ValueError when it is none."""
    certificate = x509.load_der_x509_certificate(base64.b64decode("".join(encoded.split()), validate=True))
    try:
        certificate.public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    return certificate
