"""The checker: judges HTTP, SOAP, certificate requests, provisioning documents and SyncML sessions.

Every function returns a list of `Violation`; the rules and their sources are in rules.py.  The SyncML side is
in session_checker.py (`SessionChecker`), exported here as well.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa

from . import names, pki, provisioning, soap
from .rules import RULES, Report, Rule, Violation
from .session_checker import SessionChecker
from .xmlutil import XmlError, attribute, child, children, decode_base64, local, namespace, parse, path, text

__all__ = ["RULES", "Rule", "Violation", "SessionChecker", "Enrollment", "check_http_request", "check_http_response",
           "check_dm_request", "check_dm_response", "check_soap", "check_request", "check_renewal",
           "check_provisioning"]

POLICIES = ("OnPremise", "Federated", "Certificate")
DEVICE_TYPES = ("CIMClient_Windows", "WindowsPhone")
VERSION = re.compile(r"\d+\.\d+\.\d+\.\d+")
UPN = re.compile(r"[^@\s!]+@[^@\s!]+")
DEVICE_ID = re.compile(r"[0-9A-F]{32}")
GUID30 = re.compile(r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{6}")
CONTEXT_ITEMS = ("UXInitiated", "HWDevID", "Locale", "TargetedUserLoggedIn", "OSEdition", "DeviceName", "MAC",
                 "DeviceID", "EnrollmentType", "DeviceType", "OSVersion", "ApplicationVersion", "NotInOobe")


@dataclass
class Enrollment:
    """What is known of one enrollment when a message of it is judged; empty means not known, not judged."""

    url: str = ""                 # the URL the request was sent to
    relates_to: str = ""          # MessageID of the request that an answer answers
    version: str = ""             # RequestVersion of Discover
    offered: tuple = POLICIES     # AuthPolicies of Discover
    policy: str = ""              # AuthPolicy of DiscoverResponse
    renewal: bool = False
    key_length: int = 2048
    device_id: str = ""           # DeviceID of the context
    enrollment_type: str = ""
    spki: bytes = b""             # the key of the request
    certificate: object = None    # the current device certificate, in a renewal
    tls_certificate: bytes = b""  # DER of the TLS client certificate of this request


def _header(headers, name: str) -> str:
    for key, value in headers.items():
        if key.lower() == name.lower():
            return value
    return ""


def _media(headers) -> str:
    return _header(headers, "Content-Type").partition(";")[0].strip().lower()


# ---------------------------------------------------------------- HTTP

def check_http_request(method: str, headers, body: bytes) -> list:
    """An enrollment request (W 2)."""
    report = Report(body)
    if method == "GET":
        report.need(not body, "HTTP-GET-BODY", "%d bytes" % len(body))
    else:
        kind = _header(headers, "Content-Type")
        right = _media(headers) == names.SOAP_TYPE and re.search(r"charset\s*=\s*\"?utf-8", kind, re.I)
        report.need(right, "HTTP-TYPE", kind)
    report.need(_header(headers, "User-Agent") == "ENROLLClient", "HTTP-AGENT", _header(headers, "User-Agent"))
    report.need(not _header(headers, "SOAPAction"), "HTTP-ACTION", _header(headers, "SOAPAction"))
    return report.violations


def check_http_response(method: str, status: int, headers, body: bytes) -> list:
    """An enrollment answer (W 2)."""
    report = Report(body)
    chunked = "chunked" in _header(headers, "Transfer-Encoding").lower()
    report.need(_header(headers, "Content-Length").isdigit() and not chunked, "HTTP-RES-LENGTH",
                "Transfer-Encoding: " + _header(headers, "Transfer-Encoding"))
    if method == "GET":
        report.need(status == 200 and not body, "HTTP-RES-GET", "status %d, %d bytes" % (status, len(body)))
    else:
        report.need(_media(headers) == names.SOAP_TYPE, "HTTP-RES-TYPE", _header(headers, "Content-Type"))
    return report.violations


def check_dm_request(target: str, headers, body: bytes) -> list:
    """The HTTP side of a management request (W 5.1)."""
    report = Report(body)
    query = parse_qs(urlsplit(target).query)
    mode = query.get("mode", [""])[-1]
    report.need(mode in ("Maintenance", "Machine") and query.get("Platform", [""])[-1] == "WoA", "DM-QUERY", target)
    report.need(_media(headers) in (names.DM_XML, names.DM_WBXML), "DM-TYPE", _header(headers, "Content-Type"))
    report.need(_header(headers, "User-Agent").startswith("MSFT OMA DM Client/"), "DM-AGENT",
                _header(headers, "User-Agent"))
    report.need(names.DM_XML in _header(headers, "Accept"), "DM-ACCEPT", _header(headers, "Accept"))
    vector = _header(headers, "MS-CV")
    report.need(re.fullmatch(r"[A-Za-z0-9+/]{16}\.0\.0\.\d+", vector), "DM-CV", vector)
    return report.violations


def check_dm_response(status: int, headers, body: bytes) -> list:
    """The HTTP side of a management answer (W 5.1)."""
    report = Report(body)
    if not report.need(status == 200, "DM-STATUS", str(status)):
        return report.violations
    if not report.need(b"SyncML" in body or _media(headers) == names.DM_WBXML, "DM-EMPTY", "%d bytes" % len(body)):
        return report.violations
    report.need(_media(headers) in (names.DM_XML, names.DM_WBXML), "DM-RES-TYPE", _header(headers, "Content-Type"))
    return report.violations


# ---------------------------------------------------------------- SOAP

def check_soap(kind: str, body: bytes, known: Enrollment = None) -> list:
    """One envelope of a kind of names.BODIES, in the light of what is known of the enrollment."""
    known = known or Enrollment()
    report = Report(body)
    try:
        envelope = parse(body)
    except XmlError as error:
        report.add("SOAP-XML", str(error))
        return report.violations
    if kind == "fault":
        _fault(report, envelope)
        return report.violations
    content = _envelope(report, kind, envelope, known)
    if content is not None:
        _CONTENT[kind](report, envelope, content, known)
    return report.violations


def _envelope(report, kind, envelope, known):
    """The rules common to all envelopes; the body's child when it is the right one."""
    parts = [(namespace(e), local(e)) for e in envelope]
    right = (namespace(envelope), local(envelope)) == (names.SOAP, "Envelope")
    right = right and parts == [(names.SOAP, "Header"), (names.SOAP, "Body")] and len(envelope[1]) == 1
    if not report.need(right, "SOAP-ENVELOPE", str(parts)):
        return None
    header, content = envelope[0], envelope[1][0]
    action, to = child(header, "Action"), child(header, "To")
    report.need(text(header, "Action") == names.ACTIONS[kind], "SOAP-ACTION", str(text(header, "Action")))
    marked = [action] if kind.endswith("response") or kind == "rstr" else [action, to]
    missing = [e for e in marked if e is not None and attribute(e, "mustUnderstand") not in ("1", "true")]
    report.need(not missing, "SOAP-MUST", ", ".join(local(e) for e in missing))
    if kind in ("discover", "policies", "rst"):
        identity = text(header, "MessageID") or ""
        report.need(re.fullmatch(r"urn:uuid:\s*[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", identity),
                    "SOAP-MESSAGE-ID", identity)
        report.need(text(header, "ReplyTo", "Address") == names.ANONYMOUS, "SOAP-REPLY-TO",
                    str(text(header, "ReplyTo", "Address")))
        address = text(header, "To")
        report.need(address and (not known.url or _same_url(address, known.url)), "SOAP-TO",
                    "%s, called %s" % (address, known.url))
    else:
        related = text(header, "RelatesTo")
        report.need(related and (not known.relates_to or related == known.relates_to), "SOAP-RELATES",
                    "%s, asked %s" % (related, known.relates_to))
    space, name = names.BODIES[kind]
    # Microsoft's Discover example ends the namespace with a slash, the recording does not: both are read.
    found = namespace(content).rstrip("/") if kind == "discover" else namespace(content)
    if not report.need((found, local(content)) == (space, name), "SOAP-BODY", content.tag):
        return None
    return content


def _same_url(one: str, other: str) -> bool:
    """Equal but for the case of scheme and host and an explicit default port (W 2)."""
    def key(url):
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
        return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.path, parts.query
    try:
        return key(one) == key(other)
    except ValueError:
        return False


def _discover(report, envelope, content, known):
    request = child(content, "request")
    report.need(text(request, "EmailAddress") is not None, "DISC-EMAIL", "missing")
    report.need(re.fullmatch(r"[1-9]\.0", text(request, "RequestVersion") or ""), "DISC-VERSION",
                str(text(request, "RequestVersion")))
    report.need(text(request, "DeviceType") in DEVICE_TYPES, "DISC-DEVICE", str(text(request, "DeviceType")))
    report.need(VERSION.fullmatch(text(request, "ApplicationVersion") or ""), "DISC-APP",
                str(text(request, "ApplicationVersion")))
    report.need((text(request, "OSEdition") or "").isdigit(), "DISC-EDITION", str(text(request, "OSEdition")))
    offered = [(e.text or "").strip() for e in children(child(request, "AuthPolicies"), "AuthPolicy")]
    report.need(offered and set(offered) <= set(POLICIES), "DISC-AUTH", str(offered))


def _discover_response(report, envelope, content, known):
    result = child(content, "DiscoverResult")
    policy = text(result, "AuthPolicy")
    report.need(policy in known.offered, "DRES-AUTH", "%s, offered %s" % (policy, known.offered))
    version = text(result, "EnrollmentVersion") or ""
    numeric = re.fullmatch(r"\d+\.\d+", version)
    report.need(numeric and (not known.version or float(version) <= float(known.version)), "DRES-VERSION",
                "%s, asked %s" % (version, known.version))
    enroll, policies = text(result, "EnrollmentServiceUrl") or "", text(result, "EnrollmentPolicyServiceUrl")
    urls = [enroll] + ([policies] if policies is not None else [])
    https = [u for u in urls if urlsplit(u).scheme.lower() == "https" and urlsplit(u).hostname]
    if report.need(len(https) == len(urls), "DRES-URL", str(urls)) and policies:
        hosts = {urlsplit(u).hostname.lower() for u in urls}
        report.need(len(hosts) == 1, "DRES-HOST", str(hosts))
    login = text(result, "AuthenticationServiceUrl")
    if policy == "Federated":
        report.need(urlsplit(login or "").scheme.lower() == "https", "DRES-LOGIN", str(login))
    else:
        report.need(login is None, "DRES-LOGIN", "%s with %s" % (login, policy))


def _credential(report, envelope, known):
    """The security header of GetPolicies and RequestSecurityToken (W 2, table of AuthPolicy)."""
    security = path(envelope, "Header", "Security")
    tokens = [] if security is None else [e for e in security if local(e) in ("UsernameToken", "BinarySecurityToken")]
    if known.renewal or known.policy == "Certificate":
        empty = all(local(t) == "UsernameToken" and not text(t, "Password") for t in tokens)
        report.need(empty, "TOK-KIND", "a token with %s" % ("a renewal" if known.renewal else known.policy))
        return
    kinds = [local(t) for t in tokens]
    wanted = ("UsernameToken", "BinarySecurityToken") if known.policy != "Federated" else ("BinarySecurityToken",)
    if not report.need(len(kinds) == 1 and kinds[0] in wanted, "TOK-KIND", "%s with %s" % (kinds, known.policy)):
        return
    token = tokens[0]
    if kinds[0] == "UsernameToken":
        kind = attribute(child(token, "Password"), "Type") if child(token, "Password") is not None else None
        report.need(attribute(token, "Id") and text(token, "Username") and kind == names.PASSWORD_TEXT, "TOK-USER",
                    "Id %s, Type %s" % (attribute(token, "Id"), kind))
        return
    report.need(attribute(token, "ValueType") in (names.USER_TOKEN, names.JWT_TOKEN), "TOK-TYPE",
                str(attribute(token, "ValueType")))
    encoded = _is_base64(token.text or "")
    report.need(attribute(token, "EncodingType") == names.BASE64_ENCODING and encoded, "TOK-ENCODING",
                str(attribute(token, "EncodingType")))


def _is_base64(value: str) -> bool:
    try:
        decode_base64(value)
    except ValueError:
        return False
    return True


def _policies(report, envelope, content, known):
    _credential(report, envelope, known)
    client = child(content, "client")
    asked = client is not None and child(client, "lastUpdate") is not None
    asked = asked and child(client, "preferredLanguage") is not None and child(content, "requestFilter") is not None
    report.need(asked, "POL-REQUEST")


def _policies_response(report, envelope, content, known):
    attributes = path(content, "response", "policies", "policy", "attributes")
    if not report.need(attributes is not None, "PRES-POLICY"):
        return
    report.need(text(attributes, "policySchema") == "3", "PRES-SCHEMA", str(text(attributes, "policySchema")))
    validity = text(attributes, "certificateValidity", "validityPeriodSeconds") or ""
    renewal = text(attributes, "certificateValidity", "renewalPeriodSeconds") or ""
    both = validity.isdigit() and renewal.isdigit()
    report.need(both and 0 < int(renewal) < int(validity), "PRES-VALIDITY", "%s, %s" % (validity, renewal))
    report.need(text(attributes, "permission", "enroll") == "true", "PRES-ENROLL",
                str(text(attributes, "permission", "enroll")))
    length = text(attributes, "privateKeyAttributes", "minimalKeyLength") or ""
    report.need(length.isdigit() and int(length) >= 1024, "PRES-KEY", length)
    reference = text(attributes, "hashAlgorithmOIDReference")
    if reference:
        known_ids = [text(o, "oIDReferenceID") for o in children(child(content, "oIDs"), "oID")]
        report.need(reference in known_ids, "PRES-HASH", "%s of %s" % (reference, known_ids))


def _rst(report, envelope, content, known):
    _credential(report, envelope, known)
    report.need(text(content, "TokenType") == names.ENROLLMENT_TOKEN, "RST-TOKEN-TYPE", str(text(content, "TokenType")))
    wanted = names.RENEW if known.renewal else names.ISSUE
    report.need(text(content, "RequestType") == wanted, "RST-REQUEST-TYPE", str(text(content, "RequestType")))
    token = child(content, "BinarySecurityToken")
    types = names.PKCS7_TYPES if known.renewal else (names.PKCS10,)
    if report.need(token is not None and attribute(token, "ValueType") in types
                   and attribute(token, "EncodingType") == names.BASE64_ENCODING, "RST-BINARY",
                   "missing" if token is None else str(attribute(token, "ValueType"))):
        try:
            der = decode_base64(token.text or "")
        except ValueError as error:
            report.add("RST-BASE64", str(error))
        else:
            _token(report, der, content, known)
    _context(report, content, known)


def _token(report, der, content, known):
    if known.renewal:
        report.violations += check_renewal(der, known)
    else:
        context = dict(soap.rst_context(content))
        inner = Enrollment(key_length=known.key_length, device_id=context.get("DeviceID", ""))
        report.violations += check_request(der, inner)


def _context(report, content, known):
    context = soap.rst_context(content)
    values = dict(context)
    if known.renewal:
        report.need(set(values) == {"DeviceType", "ApplicationVersion"}, "RST-RENEW-CONTEXT", str(sorted(values)))
        return
    missing = [name for name in CONTEXT_ITEMS if name not in values]
    report.need(not missing, "RST-CONTEXT", "missing: " + ", ".join(missing))

    def judge(name, rule, right):
        for found, value in context:
            if found == name and not right(value):
                report.add(rule, "%s=%s" % (name, value))
    judge("DeviceID", "RST-DEVICE-ID", DEVICE_ID.fullmatch)
    judge("HWDevID", "RST-HWDEVID", re.compile(r"[0-9A-F]{64}").fullmatch)
    judge("EnrollmentType", "RST-ENROLLMENT-TYPE", ("Full", "Device").__contains__)
    judge("DeviceName", "RST-NAME", lambda v: 1 <= len(v) <= 15)
    judge("MAC", "RST-MAC", re.compile(r"[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5}").fullmatch)
    for name in ("UXInitiated", "TargetedUserLoggedIn", "NotInOobe"):
        judge(name, "RST-BOOLEAN", lambda v: v.lower() in ("true", "false"))
    for name in ("OSVersion", "ApplicationVersion"):
        judge(name, "RST-VERSION", VERSION.fullmatch)
    judge("OSEdition", "RST-EDITION", str.isdigit)
    judge("DeviceType", "RST-DEVICE-TYPE", DEVICE_TYPES.__contains__)
    if known.version:
        expected = known.version if float(known.version) >= 5 else None
        report.need(values.get("RequestVersion") == expected, "RST-REQUEST-VERSION",
                    "%s, Discover said %s" % (values.get("RequestVersion"), known.version))


def _rstr(report, envelope, content, known):
    security = path(envelope, "Header", "Security", "Timestamp")
    stamps = [text(security, "Created"), text(security, "Expires")]
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    report.need(all(s and moment.fullmatch(s) for s in stamps), "RSTR-TIMESTAMP", str(stamps))
    response = child(content, "RequestSecurityTokenResponse")
    report.need(text(response, "TokenType") == names.ENROLLMENT_TOKEN, "RSTR-TOKEN-TYPE",
                str(text(response, "TokenType")))
    report.need(response is not None and child(response, "DispositionMessage") is not None, "RSTR-DISPOSITION")
    report.need(text(response, "RequestID") == "0", "RSTR-REQUEST-ID", str(text(response, "RequestID")))
    token = path(response, "RequestedSecurityToken", "BinarySecurityToken")
    if not report.need(token is not None and attribute(token, "ValueType") == names.PROVISION_DOC
                       and attribute(token, "EncodingType") == names.BASE64_ENCODING, "RSTR-BINARY",
                       "missing" if token is None else str(attribute(token, "ValueType"))):
        return
    try:
        document = decode_base64(token.text or "")
    except ValueError as error:
        report.add("RSTR-BASE64", str(error))
        return
    report.violations += check_provisioning(document, known)


def _fault(report, envelope):
    """A fault, compared without case: servers write s:fault and s:Fault (W 4)."""
    found = soap.read_fault(envelope)
    if not report.need(found is not None, "SOAP-BODY", "no fault"):
        return
    code = soap.fault_code(envelope)
    report.need(code.lower() == "receiver", "FAULT-CODE", code)
    known = {name.lower() for name in names.FAULTS}
    report.need(found[0].lower() in known, "FAULT-SUBCODE", found[0])
    report.need(found[1], "FAULT-REASON")


_CONTENT = {"discover": _discover, "discover-response": _discover_response, "policies": _policies,
            "policies-response": _policies_response, "rst": _rst, "rstr": _rstr}


# ---------------------------------------------------------------- certificate requests

def check_request(der: bytes, known: Enrollment = None) -> list:
    """A PKCS#10 of a first enrollment: the genuine Windows shape (W 4, CSR)."""
    known = known or Enrollment()
    report = Report(der.hex().encode())
    try:
        request = pki.read_request(der)
    except pki.DerError as error:
        report.add("CSR-DER", str(error))
        return report.violations
    _key(report, request, known)
    hashes = (names.OID_SHA1_RSA, names.OID_SHA1_WITH_RSA, names.OID_SHA256_WITH_RSA)
    if report.need(request.signature_oid in hashes, "CSR-HASH", request.signature_oid):
        report.need(request.verify(), "CSR-SIGNATURE")
    device_id = _subject(report, request, known)
    wanted = (known.device_id or device_id).encode()
    held = request.extensions.get(names.OID_DEVICE_ID)
    report.need(held is not None and len(held) == 33 and held[32:] == b"\0"
                and (not wanted or held[:32] == wanted), "CSR-EXTENSION", repr(held))
    usages = request.extensions.get(pki.OID_EKU)
    if usages is not None:
        report.need(_usages(usages) == [pki.OID_CLIENT_AUTH], "CSR-EKU", str(_usages(usages)))
    return report.violations


def _usages(value: bytes) -> list:
    try:
        return [entry.oid() for entry in pki.read_der(value).children()]
    except pki.DerError:
        return []


def _key(report, request, known):
    try:
        key = request.public_key()
    except ValueError as error:
        report.add("CSR-KEY", str(error))
        return
    right = isinstance(key, rsa.RSAPublicKey) and key.key_size >= known.key_length
    report.need(right, "CSR-KEY", "%s %s" % (type(key).__name__, getattr(key, "key_size", "")))


def _subject(report, request, known) -> str:
    """The DeviceID of the subject, or "" when the subject does not hold one."""
    if not report.need(len(request.subject) == 1 and request.subject[0][0] == pki.OID_CN, "CSR-SUBJECT",
                       "%d attributes" % len(request.subject)):
        return ""
    _, tag, raw = request.subject[0]
    form = (tag == pki.UTF8 and b"\0" not in raw) or (tag == pki.PRINTABLE and raw.count(b"\0") == 1
                                                      and raw.endswith(b"\0"))
    name = raw.replace(b"\0", b"").decode("utf-8", "replace")
    guid, mark, device_id = name.partition("!")
    if mark:
        report.need(form, "CSR-STRING", "tag 0x%02x, %r" % (tag, raw))
        right = GUID30.fullmatch(guid) and DEVICE_ID.fullmatch(device_id)
    else:
        right, device_id = DEVICE_ID.fullmatch(name) or UPN.fullmatch(name), name if DEVICE_ID.fullmatch(name) else ""
    if not report.need(right, "CSR-SUBJECT", name):
        return ""
    if known.device_id and device_id:
        report.need(device_id == known.device_id, "CSR-DEVICE-ID", "%s, context %s" % (device_id, known.device_id))
        return known.device_id
    return device_id


def check_renewal(data: bytes, known: Enrollment) -> list:
    """A renewal's CMS around a PKCS#10 (W 4, Renewal)."""
    report = Report(data.hex().encode())
    try:
        signed = pki.read_signed_data(data)
        request = pki.read_request(signed.content)
    except pki.DerError as error:
        report.add("REN-CMS", str(error))
        return report.violations
    _key(report, request, known)
    report.need(request.verify(), "CSR-SIGNATURE")
    if known.certificate is not None:
        report.need(signed.verify(known.certificate, signed.content), "REN-SIGNER")
        report.need(request.spki != pki.spki_of(known.certificate), "REN-KEY")
        report.need(known.tls_certificate == pki.der_certificate(known.certificate), "REN-TLS")
    return report.violations


# ---------------------------------------------------------------- provisioning document

_APPLICATION_NAMES = re.compile(r"[A-Z0-9-]+|ServerList")


def check_provisioning(data: bytes, known: Enrollment = None) -> list:
    """The document of a first enrollment, or of a renewal (W 4)."""
    known = known or Enrollment()
    report = Report(data)
    try:
        document = provisioning.read(data)
    except XmlError as error:
        report.add("PROV-ROOT", str(error))
        return report.violations
    if not report.need(document.root_name == "wap-provisioningdoc" and document.version == "1.1", "PROV-ROOT",
                       "%s %s" % (document.root_name, document.version)):
        return report.violations
    for _, name, value, datatype in document.parms:
        report.need(_datatype(value or "", datatype), "PROV-DATATYPE", "%s=%s (%s)" % (name, value, datatype))
    own = _certificates(report, document, known)
    if known.renewal:
        report.need(own and document.application("PROVIDER-ID"), "PROV-LEAN")
        return report.violations
    _application(report, document)
    _dm_client(report, document)
    return report.violations


def _datatype(value: str, datatype: str) -> bool:
    if datatype == "integer":
        return re.fullmatch(r"-?\d+", value) is not None
    if datatype == "boolean":
        return value.lower() in ("true", "false")
    return datatype in ("", "string")


def _certificates(report, document, known):
    """Judge the certificate stores; returns the own certificates."""
    loaded = {}
    for where, thumb, encoded in document.certificates():
        try:
            certificate = provisioning.load_certificate(encoded)
        except ValueError as error:
            report.add("PROV-CERT", "%s: %s" % (thumb, error))
            loaded.setdefault(tuple(p.lower() for p in where[1:]), [])
            continue
        report.need(pki.thumbprint(pki.der_certificate(certificate)) == thumb.upper(), "PROV-THUMB", thumb)
        loaded.setdefault(tuple(p.lower() for p in where[1:]), []).append(certificate)
    store = {"Full": ("user",), "Device": ("system",)}.get(known.enrollment_type, ("user", "system"))
    mine = [("my", s) for s in store if ("my", s) in loaded]
    report.need(mine, "PROV-MY", str(sorted(loaded)))
    if not known.renewal:
        report.need(("root", "system") in loaded, "PROV-CA", str(sorted(loaded)))
    own = [c for key in mine for c in loaded[key]]
    if own and known.spki:
        report.need(known.spki in [pki.spki_of(c) for c in own], "PROV-KEY")
    roots = loaded.get(("root", "system"), [])
    if own and roots:
        signed = [c for c in own if any(pki.issued_by(c, r) for r in roots + own if r is not c)]
        report.need(signed, "PROV-CHAIN")
    containers = [n for n in document.nodes if n[-1].lower() == "privatekeycontainer"]
    report.need(containers, "PROV-CONTAINER")
    _renew(report, document)
    return own


def _renew(report, document):
    wanted = {"robosupport": ("boolean", r"(?i)true|false"), "renewperiod": ("integer", r"\d+"),
              "retryinterval": ("integer", r"\d+")}
    for where, name, value, datatype in document.parms:
        if [p.lower() for p in where[-2:]] == ["wstep", "renew"] and name.lower() in wanted:
            kind, form = wanted[name.lower()]
            report.need(datatype == kind and re.fullmatch(form, value or ""), "PROV-RENEW",
                        "%s=%s (%s)" % (name, value, datatype))


def _application(report, document):
    own = [(name, value) for where, name, value, _ in document.parms if where[:1] == ("APPLICATION",)]
    wrong = [name for name, _ in own if not _APPLICATION_NAMES.fullmatch(name)]
    report.need(not wrong, "PROV-CASE", ", ".join(wrong))
    values = {name.upper(): value or "" for name, value in own}
    address = values.get("ADDR", "")
    report.need(values.get("APPID") == "w7" and values.get("PROVIDER-ID") and values.get("NAME") and address,
                "PROV-W7", str({k: values.get(k) for k in ("APPID", "PROVIDER-ID", "NAME", "ADDR")}))
    if address:
        parts = urlsplit(address)
        report.need(parts.scheme.lower() == "https" and parts.hostname, "PROV-ADDR", address)
    encoding = values.get("DEFAULTENCODING")
    if encoding is not None:
        report.need(encoding in (names.DM_XML, names.DM_WBXML), "PROV-ENCODING", encoding)
    criteria = values.get("SSLCLIENTCERTSEARCHCRITERIA")
    if criteria is not None:
        report.need(re.fullmatch(r"Subject=[^&]+(&amp;|&)Stores=M[Yy]%5C(User|System)", criteria), "PROV-CRITERIA", criteria)
    levels = {block.get("AAUTHLEVEL"): block for block in document.auth()}
    client, server = levels.get("CLIENT"), levels.get("APPSRV")
    report.need(client and server and client.get("AAUTHTYPE", "DIGEST") == "DIGEST"
                and server.get("AAUTHTYPE") in ("BASIC", "DIGEST") and server.get("AAUTHNAME")
                and server.get("AAUTHSECRET"), "PROV-AUTH", str(sorted(str(k) for k in levels)))


def _dm_client(report, document):
    providers = {n[2] for n in document.nodes if len(n) >= 3 and [p.lower() for p in n[:2]] == ["dmclient", "provider"]}
    if not providers:
        return
    identity = document.application("PROVIDER-ID") or ""
    if not report.need(not identity or providers == {identity}, "PROV-PROVIDER", "%s, PROVIDER-ID %s" % (providers, identity)):
        return
    poll = {name: value or "" for where, name, value, _ in document.parms if where[-1:] == ("Poll",)}
    numbers = {name: value for name, value in poll.items() if name.startswith(("NumberOf", "IntervalFor"))}
    if poll:
        whole = all(re.fullmatch(r"\d+", value) for value in numbers.values())
        intervals = [v for k, v in numbers.items() if k.startswith("IntervalFor")]
        report.need(whole and any(int(v) for v in intervals), "PROV-POLL", str(numbers))
