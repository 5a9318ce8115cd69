"""Every rule of the enrollment: a message that breaks it is named by that rule and no other; the good one passes.

A case is (rule, kind, old text, new text): the good message of that kind with one replacement.
"""

import base64

from .. import checker, names, pki, provisioning, soap
from . import support

DEVICE_ID = "B5B954E81FBCB94EB79BD08BE625F4EE"
GUID30 = "7BA748C8-703E-4DF2-A74A-929841"
URL = "https://mdm.example.test/EnrollmentServer/Discovery.svc"
KEY = pki.make_key()
CERTIFICATE = support.AUTHORITY.issue(DEVICE_ID, KEY.public_key())
REQUEST = pki.make_request(KEY, GUID30, DEVICE_ID)
CONTEXT = [
    ("UXInitiated", "true"), ("HWDevID", "A" * 64), ("Locale", "en-US"), ("TargetedUserLoggedIn", "true"),
    ("OSEdition", "72"), ("DeviceName", "DESKTOP-28FGAI6"), ("MAC", "00-0C-29-51-60-9D"), ("DeviceID", DEVICE_ID),
    ("EnrollmentType", "Full"), ("DeviceType", "CIMClient_Windows"), ("OSVersion", "10.0.22631.3447"),
    ("ApplicationVersion", "10.0.22631.3447"), ("NotInOobe", "false"), ("RequestVersion", "5.0"),
]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def document() -> bytes:
    return provisioning.write(
        root=pki.der_certificate(support.AUTHORITY.certificate), certificate=pki.der_certificate(CERTIFICATE),
        store="User", subject=DEVICE_ID, provider="PeerMDM", address="https://mdm.example.test/manage",
        auth_type="DIGEST", user="u", secret="s", poll=provisioning.DOCUMENT_POLL, upn="u@example.test",
        device_name="DESKTOP-28FGAI6")


def messages() -> dict:
    """One good message of each kind."""
    offered = ("OnPremise", "Federated")
    discover = soap.discover_body("u@example.test", "5.0", "CIMClient_Windows", "10.0.22631.3447", "72", offered)
    answer = soap.discover_response_body("Federated", "5.0", "https://mdm.example.test/p", "https://mdm.example.test/e",
                                         "https://login.example.test/l")
    user = soap.username_token("u@example.test", "secret")
    token = soap.binary_token("opaque")
    rst = soap.rst_body(names.ISSUE, names.PKCS10, b64(REQUEST), CONTEXT)
    renewal = soap.rst_body(names.RENEW, names.PKCS7_TYPES[0], b64(RENEWAL),
                            [("DeviceType", "CIMClient_Windows"), ("ApplicationVersion", "10.0.22631.3447")])
    policies = soap.policies_response_body(2048, 31536000, 15552000, names.OID_SHA256_WITH_RSA)
    return {
        "discover": soap.request("discover", URL, discover)[0],
        "discover-response": soap.response("discover-response", "urn:uuid:1", answer),
        "policies": soap.request("policies", URL, soap.policies_body(), user)[0],
        "policies-token": soap.request("policies", URL, soap.policies_body(), token)[0],
        "policies-response": soap.response("policies-response", "urn:uuid:1", policies),
        "rst": soap.request("rst", URL, rst, user)[0],
        "renewal": soap.request("rst", URL, renewal)[0],
        "rstr": soap.rstr("urn:uuid:1", document()),
        "fault": soap.fault("urn:uuid:1", "DeviceCapReached", "too many"),
    }


NEW_KEY = pki.make_key()
RENEWAL = pki.sign_cms(pki.make_request(NEW_KEY, GUID30, DEVICE_ID), CERTIFICATE, KEY, False)
GOOD = messages()
KNOWN = {
    "discover": {"url": URL},
    "discover-response": {"relates_to": "urn:uuid:1", "version": "5.0", "offered": ("OnPremise", "Federated")},
    "policies": {"url": URL, "policy": "OnPremise"},
    "policies-token": {"url": URL, "policy": "Federated"},
    "policies-response": {"relates_to": "urn:uuid:1"},
    "rst": {"url": URL, "policy": "OnPremise", "version": "5.0"},
    "renewal": {"url": URL, "renewal": True, "certificate": CERTIFICATE,
                "tls_certificate": pki.der_certificate(CERTIFICATE)},
    "rstr": {"relates_to": "urn:uuid:1", "enrollment_type": "Full", "spki": pki.spki_of(CERTIFICATE)},
    "fault": {},
}
KINDS = {"policies-token": "policies", "renewal": "rst"}
ITEM = '<ac:ContextItem Name="%s"><ac:Value>%s</ac:Value></ac:ContextItem>'

SOAP_CASES = [
    ("SOAP-XML", "discover", "</s:Envelope>", ""),
    ("SOAP-XML", "discover", "<s:Envelope", '<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope'),
    ("SOAP-ENVELOPE", "discover", names.SOAP, "http://schemas.xmlsoap.org/soap/envelope/"),
    ("SOAP-ENVELOPE", "fault-as-two", "", ""),
    ("SOAP-BODY", "discover", "<Discover xmlns", "<Explore xmlns", ("</Discover>", "</Explore>")),
    ("SOAP-ACTION", "policies", "IPolicy/GetPolicies<", "IPolicy/GetPolicy<"),
    ("SOAP-MUST", "discover", '<a:To s:mustUnderstand="1">', "<a:To>"),
    ("SOAP-MUST", "rstr", '<a:Action s:mustUnderstand="1">', "<a:Action>"),
    ("SOAP-MESSAGE-ID", "discover", "<a:MessageID>urn:uuid:", "<a:MessageID>uuid-"),
    ("SOAP-REPLY-TO", "discover", "addressing/anonymous", "addressing/none"),
    ("SOAP-TO", "discover", "https://mdm.example.test/", "https://other.example.test/"),
    ("SOAP-RELATES", "rstr", "<a:RelatesTo>urn:uuid:1<", "<a:RelatesTo>urn:uuid:2<"),
    ("DISC-EMAIL", "discover", "<EmailAddress>u@example.test</EmailAddress>", ""),
    ("DISC-VERSION", "discover", "<RequestVersion>5.0<", "<RequestVersion>five<"),
    ("DISC-DEVICE", "discover", "CIMClient_Windows", "Toaster"),
    ("DISC-APP", "discover", "10.0.22631.3447", "10.0"),
    ("DISC-EDITION", "discover", "<OSEdition>72<", "<OSEdition>Pro<"),
    ("DISC-AUTH", "discover", "<AuthPolicy>Federated<", "<AuthPolicy>Magic<"),
    ("DRES-AUTH", "discover-response", "<AuthPolicy>Federated</AuthPolicy>", "<AuthPolicy>Certificate</AuthPolicy>",
     ("<AuthenticationServiceUrl>https://login.example.test/l</AuthenticationServiceUrl>", "")),
    ("DRES-VERSION", "discover-response", "<EnrollmentVersion>5.0<", "<EnrollmentVersion>6.0<"),
    ("DRES-URL", "discover-response", "<EnrollmentServiceUrl>https:", "<EnrollmentServiceUrl>http:"),
    ("DRES-HOST", "discover-response", "https://mdm.example.test/p", "https://policy.example.test/p"),
    ("DRES-LOGIN", "discover-response", "<AuthenticationServiceUrl>https:", "<AuthenticationServiceUrl>http:"),
    ("DRES-LOGIN", "discover-response", "<AuthPolicy>Federated<", "<AuthPolicy>OnPremise<"),
    ("TOK-KIND", "policies", "wsse:UsernameToken", "wsse:OtherToken"),
    ("TOK-USER", "policies", "#PasswordText", "#PasswordDigest"),
    ("TOK-USER", "rst", "u:Id=", "u:Name="),
    ("TOK-TYPE", "policies-token", "DeviceEnrollmentUserToken", "SomeToken"),
    ("TOK-ENCODING", "policies-token", "#base64binary", "#hexBinary"),
    ("TOK-ENCODING", "policies-token", "b3BhcXVl", "b3BhcXV*"),
    ("POL-REQUEST", "policies", '<requestFilter xsi:nil="true"/>', ""),
    ("PRES-POLICY", "policies-response", "attributes>", "features>"),
    ("PRES-SCHEMA", "policies-response", "<policySchema>3<", "<policySchema>2<"),
    ("PRES-VALIDITY", "policies-response", "<renewalPeriodSeconds>15552000<", "<renewalPeriodSeconds>99999999<"),
    ("PRES-ENROLL", "policies-response", "<enroll>true<", "<enroll>false<"),
    ("PRES-KEY", "policies-response", "<minimalKeyLength>2048<", "<minimalKeyLength>512<"),
    ("PRES-HASH", "policies-response", "<hashAlgorithmOIDReference>0<", "<hashAlgorithmOIDReference>7<"),
    ("RST-TOKEN-TYPE", "rst", "Enrollment/DeviceEnrollmentToken", "Enrollment/Token"),
    ("RST-REQUEST-TYPE", "rst", "200512/Issue", "200512/Validate"),
    ("RST-BINARY", "rst", "enrollment#PKCS10", "enrollment#PKCS7"),
    ("RST-BASE64", "rst", b64(REQUEST), "!" + b64(REQUEST)),
    ("RST-CONTEXT", "rst", ITEM % ("Locale", "en-US"), ""),
    ("RST-HWDEVID", "rst", "A" * 64, "A" * 32),
    ("RST-ENROLLMENT-TYPE", "rst", ITEM % ("EnrollmentType", "Full"), ITEM % ("EnrollmentType", "Half")),
    ("RST-NAME", "rst", "DESKTOP-28FGAI6", "DESKTOP-28FGAI67"),
    ("RST-MAC", "rst", "00-0C-29-51-60-9D", "00:0C:29:51:60:9D"),
    ("RST-BOOLEAN", "rst", ITEM % ("NotInOobe", "false"), ITEM % ("NotInOobe", "0")),
    ("RST-VERSION", "rst", ITEM % ("OSVersion", "10.0.22631.3447"), ITEM % ("OSVersion", "11")),
    ("RST-EDITION", "rst", ITEM % ("OSEdition", "72"), ITEM % ("OSEdition", "Pro")),
    ("RST-DEVICE-TYPE", "rst", ITEM % ("DeviceType", "CIMClient_Windows"), ITEM % ("DeviceType", "Mac")),
    ("RST-REQUEST-VERSION", "rst", ITEM % ("RequestVersion", "5.0"), ""),
    ("RST-RENEW-CONTEXT", "renewal", "</ac:AdditionalContext>", (ITEM % ("Locale", "x")) + "</ac:AdditionalContext>"),
    ("RSTR-TOKEN-TYPE", "rstr", "Enrollment/DeviceEnrollmentToken", "Enrollment/Token"),
    ("RSTR-BINARY", "rstr", "DeviceEnrollmentProvisionDoc", "Document"),
    ("RSTR-BASE64", "rstr", '#base64binary">', '#base64binary">*'),
    ("RSTR-REQUEST-ID", "rstr", ">0</RequestID>", ">7</RequestID>"),
    ("RSTR-DISPOSITION", "rstr", "DispositionMessage", "Disposition"),
    ("RSTR-TIMESTAMP", "rstr", "<u:Created>", "<u:Created>yesterday "),
    ("FAULT-CODE", "fault", "s:Receiver", "s:Sender"),
    ("FAULT-SUBCODE", "fault", "s:DeviceCapReached", "s:Tuesday"),
    ("FAULT-REASON", "fault", ">too many</s:Text>", "></s:Text>"),
]

PROVISIONING_CASES = [
    ("PROV-ROOT", 'version="1.1"', 'version="2.0"'),
    ("PROV-CA", 'type="Root"', 'type="Branch"'),
    ("PROV-MY", 'type="User"', 'type="Elsewhere"'),
    ("PROV-CERT", pki.thumbprint(pki.der_certificate(CERTIFICATE)) + '"><parm name="EncodedCertificate" value="',
     pki.thumbprint(pki.der_certificate(CERTIFICATE)) + '"><parm name="EncodedCertificate" value="AAAA'),
    ("PROV-THUMB", pki.thumbprint(pki.der_certificate(CERTIFICATE)), "0" * 40),
    ("PROV-CONTAINER", '<characteristic type="PrivateKeyContainer"></characteristic>', ""),
    ("PROV-RENEW", '<parm name="ROBOSupport" value="true" datatype="boolean"/>', '<parm name="ROBOSupport" value="true"/>'),
    ("PROV-W7", 'value="w7"', 'value="w4"'),
    ("PROV-ADDR", "https://mdm.example.test/manage", "http://mdm.example.test/manage"),
    ("PROV-CASE", '"CONNRETRYFREQ"', '"ConnRetryFreq"'),
    ("PROV-AUTH", 'name="AAUTHNAME" value="u"', 'name="AAUTHNAME" value=""'),
    ("PROV-PROVIDER", '<characteristic type="PeerMDM">', '<characteristic type="Other">'),
    ("PROV-DATATYPE", '<parm name="PollOnLogin" value="false"', '<parm name="PollOnLogin" value="maybe"'),
    ("PROV-POLL", 'name="NumberOfFirstRetries" value="8"', 'name="NumberOfFirstRetries" value="-1"'),
    ("PROV-ENCODING", "application/vnd.syncml.dm+xml", "text/xml"),
    ("PROV-CRITERIA", "Stores=My%5CUser", "Stores=Mine"),
]


class EnrollmentRules(support.RuleCase):
    """SOAP, certificate request, provisioning document, HTTP."""

    def test_good_messages(self):
        for kind, body in GOOD.items():
            with self.subTest(kind):
                found = checker.check_soap(KINDS.get(kind, kind), body, checker.Enrollment(**KNOWN[kind]))
                self.assertEqual([(v.rule, v.detail) for v in found], [])

    def test_soap_rules(self):
        for rule, kind, old, new, *more in SOAP_CASES:
            with self.subTest(rule=rule, kind=kind, new=new[:40]):
                body = GOOD.get(kind, GOOD["discover"]).decode()
                if kind == "fault-as-two":
                    body, kind = body.replace("</s:Body>", "</s:Body><s:Body/>"), "discover"
                else:
                    self.assertIn(old, body)
                    body = body.replace(old, new)
                for pair in more:
                    body = body.replace(*pair)
                self.expect(rule, checker.check_soap(KINDS.get(kind, kind), body.encode(), checker.Enrollment(**KNOWN[kind])))

    def test_device_id_of_the_context(self):
        wrong = "b5b954e81fbcb94eb79bd08be625f4ee"
        request = b64(_request(wrong, name=b"user@example.test"))
        context = [(n, wrong if n == "DeviceID" else v) for n, v in CONTEXT]
        body, _ = soap.request("rst", URL, soap.rst_body(names.ISSUE, names.PKCS10, request, context),
                               soap.username_token("u", "p"))
        self.expect("RST-DEVICE-ID", checker.check_soap("rst", body, checker.Enrollment(**KNOWN["rst"])))

    def test_offered_policy_only(self):
        body = GOOD["policies-token"]
        self.expect("TOK-KIND", checker.check_soap("policies", body, checker.Enrollment(url=URL, policy="Certificate")))

    def test_provisioning_rules(self):
        good = document().decode()
        known = checker.Enrollment(enrollment_type="Full", spki=pki.spki_of(CERTIFICATE))
        self.assertEqual(checker.check_provisioning(good.encode(), known), [])
        for rule, old, new in PROVISIONING_CASES:
            with self.subTest(rule):
                self.assertIn(old, good)
                found = checker.check_provisioning(good.replace(old, new).encode(), known)
                self.expect(rule, found)

    def test_provisioning_for_another_key(self):
        known = checker.Enrollment(enrollment_type="Full", spki=pki.spki_of(support.AUTHORITY.certificate))
        self.expect("PROV-KEY", checker.check_provisioning(document(), known))

    def test_provisioning_chain(self):
        other = pki.Authority.make("other")
        data = document().decode()
        old, new = (pki.der_certificate(a.certificate) for a in (support.AUTHORITY, other))
        data = data.replace(b64(old), b64(new)).replace(pki.thumbprint(old), pki.thumbprint(new))
        self.expect("PROV-CHAIN", checker.check_provisioning(data.encode(), checker.Enrollment()))

    def test_lean_renewal(self):
        known = checker.Enrollment(renewal=True, spki=pki.spki_of(CERTIFICATE))
        good = provisioning.write_renewal(certificate=pki.der_certificate(CERTIFICATE), store="User", provider="PeerMDM")
        self.assertEqual(checker.check_provisioning(good, known), [])
        self.expect("PROV-LEAN", checker.check_provisioning(good.replace(b"PROVIDER-ID", b"NAME"), known))


def _request(device_id=DEVICE_ID, name=None, tag=pki.UTF8, extension=None, usage=pki.OID_CLIENT_AUTH, key=KEY,
             oid=names.OID_SHA256_WITH_RSA) -> bytes:
    """A certificate request with one thing off."""
    name = ("%s!%s" % (GUID30, device_id)).encode() if name is None else name
    attribute = pki.write_der(0x30, pki.write_oid(pki.OID_CN), pki.write_der(tag, name))
    subject = pki.write_der(0x30, pki.write_der(0x31, attribute))
    held = device_id.encode() + b"\0" if extension is None else extension
    extensions = pki.write_der(0x30, pki.write_oid(names.OID_DEVICE_ID), pki.write_der(0x04, held))
    usages = pki.write_der(0x30, pki.write_oid(usage))
    extensions += pki.write_der(0x30, pki.write_oid(pki.OID_EKU), pki.write_der(0x04, usages))
    request = pki.write_der(0x30, pki.write_oid(pki.OID_EXTENSION_REQUEST),
                            pki.write_der(0x31, pki.write_der(0x30, extensions)))
    spki = support.AUTHORITY.issue("x", key.public_key())
    info = pki.write_der(0x30, pki.write_der(0x02, b"\0"), subject, pki.spki_of(spki), pki.write_der(0xA0, request))
    return pki.sign_request(info, key, oid)


class RequestRules(support.RuleCase):
    """The certificate request and the renewal."""

    def test_good_requests(self):
        for request in (REQUEST, pki.make_request(KEY, GUID30, DEVICE_ID, old=True), _request(),
                        _request(name=DEVICE_ID.encode()), _request(name=b"user@example.test")):
            found = checker.check_request(request, checker.Enrollment(device_id=DEVICE_ID))
            self.assertEqual([(v.rule, v.detail) for v in found], [])

    def test_rules(self):
        broken = bytearray(REQUEST)
        broken[-1] ^= 1
        old = ("%s!%s" % (GUID30, DEVICE_ID)).encode()
        cases = [
            ("CSR-DER", REQUEST + b"\0"), ("CSR-DER", b"no der"), ("CSR-SIGNATURE", bytes(broken)),
            ("CSR-KEY", _request(key=pki.make_key(1024))),
            ("CSR-HASH", _request(oid="1.2.840.113549.1.1.13")),
            ("CSR-SUBJECT", _request(name=b"Windows!" + DEVICE_ID.encode())),
            ("CSR-STRING", _request(name=old, tag=pki.PRINTABLE)),
            ("CSR-STRING", _request(name=old + b"\0")),
            ("CSR-DEVICE-ID", _request(name=GUID30.encode() + b"!" + b"F" * 32)),
            ("CSR-EXTENSION", _request(extension=DEVICE_ID.encode())),
            ("CSR-EXTENSION", _request(extension=b"F" * 32 + b"\0")),
            ("CSR-EKU", _request(usage="1.3.6.1.5.5.7.3.1")),
        ]
        for rule, request in cases:
            with self.subTest(rule):
                self.expect(rule, checker.check_request(request, checker.Enrollment(device_id=DEVICE_ID)))

    def test_renewal_rules(self):
        known = checker.Enrollment(renewal=True, certificate=CERTIFICATE,
                                   tls_certificate=pki.der_certificate(CERTIFICATE))
        self.assertEqual(checker.check_renewal(RENEWAL, known), [])
        self.expect("REN-CMS", checker.check_renewal(REQUEST, known))
        other = support.AUTHORITY.issue("other", NEW_KEY.public_key())
        inner = pki.make_request(NEW_KEY, GUID30, DEVICE_ID)
        self.expect("REN-SIGNER", checker.check_renewal(pki.sign_cms(inner, other, NEW_KEY, False), known))
        self.expect("REN-KEY", checker.check_renewal(pki.sign_cms(REQUEST, CERTIFICATE, KEY, False), known))
        known.tls_certificate = b""
        self.expect("REN-TLS", checker.check_renewal(RENEWAL, known))


class HttpRules(support.RuleCase):
    """HTTP of enrollment and management."""

    def test_enrollment_requests(self):
        good = {"Content-Type": "application/soap+xml; charset=utf-8", "User-Agent": "ENROLLClient"}
        self.assertEqual(checker.check_http_request("POST", good, b"x"), [])
        self.assertEqual(checker.check_http_request("GET", good, b""), [])
        self.expect("HTTP-GET-BODY", checker.check_http_request("GET", good, b"x"))
        self.expect("HTTP-TYPE", checker.check_http_request("POST", {**good, "Content-Type": "text/xml"}, b"x"))
        self.expect("HTTP-AGENT", checker.check_http_request("POST", {**good, "User-Agent": "curl"}, b"x"))
        self.expect("HTTP-ACTION", checker.check_http_request("POST", {**good, "SOAPAction": "x"}, b"x"))

    def test_enrollment_answers(self):
        good = {"Content-Type": 'application/soap+xml; charset=utf-8; action="x"', "Content-Length": "1"}
        self.assertEqual(checker.check_http_response("POST", 200, good, b"x"), [])
        self.assertEqual(checker.check_http_response("GET", 200, {"Content-Length": "0"}, b""), [])
        self.expect("HTTP-RES-LENGTH", checker.check_http_response(
            "POST", 200, {"Content-Type": names.SOAP_TYPE, "Transfer-Encoding": "chunked"}, b"x"))
        self.expect("HTTP-RES-GET", checker.check_http_response("GET", 404, good, b""))
        self.expect("HTTP-RES-TYPE", checker.check_http_response("POST", 200, {**good, "Content-Type": "text/html"}, b"x"))

    def test_management(self):
        good = {"Content-Type": names.DM_XML, "User-Agent": "MSFT OMA DM Client/1.2.0.1", "Accept": names.DM_XML,
                "MS-CV": "lhGZ5bnLPkOA1y8W.0.0.3"}
        target = "/manage?mode=Maintenance&Platform=WoA"
        self.assertEqual(checker.check_dm_request(target, good, b"<SyncML/>"), [])
        self.expect("DM-QUERY", checker.check_dm_request("/manage?mode=Machine", good, b"x"))
        for rule, name in (("DM-TYPE", "Content-Type"), ("DM-AGENT", "User-Agent"), ("DM-ACCEPT", "Accept"), ("DM-CV", "MS-CV")):
            self.expect(rule, checker.check_dm_request(target, {**good, name: "x"}, b"x"))
        answer = {"Content-Type": names.DM_XML + "; charset=utf-8"}
        self.assertEqual(checker.check_dm_response(200, answer, b"<SyncML/>"), [])
        self.expect("DM-STATUS", checker.check_dm_response(500, answer, b""))
        self.expect("DM-EMPTY", checker.check_dm_response(200, answer, b""))
        self.expect("DM-RES-TYPE", checker.check_dm_response(200, {"Content-Type": "text/xml"}, b"<SyncML/>"))
