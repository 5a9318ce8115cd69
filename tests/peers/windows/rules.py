"""The rules of the checker: id, what it demands, where that is written, and how binding the source is.

`must`: documented as a requirement or read off every recorded exchange.  `should`: one recording, or a point
that the notes marks as uncertain; a breach is worth reading but may be legal.
"W" in a source is the notes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule of the checker."""

    id: str
    demand: str
    source: str
    level: str = "must"


_MUST = [
    # HTTP of the enrollment
    ("HTTP-TYPE", "a SOAP request has content type application/soap+xml; charset=utf-8", "W 2"),
    ("HTTP-GET-BODY", "the discovery GET has no body", "W 1, W 2; MS-MDE2 3.1.4"),
    ("HTTP-RES-LENGTH", "an enrollment answer has Content-Length and is not chunked",
     "W 2; MS on-premise enrollment page, NOTE"),
    ("HTTP-RES-GET", "the discovery GET is answered 200 with an empty body", "W 1, W 2"),
    ("HTTP-RES-TYPE", "a SOAP answer has media type application/soap+xml", "W 2; SOAP 1.2 part 2, 7.1.4"),
    # HTTP of the management session
    ("DM-TYPE", "a management request has an OMA-DM content type", "W 5.1; OMA DM RepPro 5"),
    ("DM-QUERY", "a management request's query has mode=Maintenance|Machine and Platform=WoA", "W 5.1"),
    ("DM-STATUS", "a management answer has HTTP status 200", "W 5.1"),
    ("DM-EMPTY", "a management answer is a SyncML message, not empty or something else", "W 5.1"),
    ("DM-RES-TYPE", "a management answer has an OMA-DM content type", "W 5.1; OMA DM RepPro 5"),
    # SOAP envelopes
    ("SOAP-XML", "an envelope is well-formed XML without a DTD", "SOAP 1.2 part 1, 5; W 3"),
    ("SOAP-ENVELOPE", "the root is a SOAP 1.2 Envelope of one Header and one Body with one child",
     "W 2; SOAP 1.2 part 1, 5"),
    ("SOAP-BODY", "the body's child is the one the message kind demands", "W 2, 3, 4; MS-MDE2 3.1.4-3.4.4"),
    ("SOAP-ACTION", "a:Action has the value of the message kind", "W 2, 3, 4"),
    ("SOAP-MUST", "a:Action and a request's a:To carry mustUnderstand=1", "W 2"),
    ("SOAP-MESSAGE-ID", "a request has a:MessageID of the form urn:uuid:…", "W 2"),
    ("SOAP-REPLY-TO", "a request's a:ReplyTo/a:Address is the anonymous address", "W 2"),
    ("SOAP-TO", "a request's a:To is the URL called", "W 2"),
    ("SOAP-RELATES", "an answer's a:RelatesTo is the request's MessageID", "W 2"),
    # Discover
    ("DISC-EMAIL", "Discover has EmailAddress, which may be empty", "W 2"),
    ("DISC-VERSION", "RequestVersion is 1.0 to 9.0", "W 2"),
    ("DISC-DEVICE", "DeviceType is CIMClient_Windows or WindowsPhone", "W 2"),
    ("DISC-APP", "ApplicationVersion is a four-part version", "W 2"),
    ("DISC-EDITION", "OSEdition is an integer", "W 2"),
    ("DISC-AUTH", "AuthPolicies offers OnPremise, Federated or Certificate, nothing else", "W 2"),
    # DiscoverResponse
    ("DRES-AUTH", "AuthPolicy is one that the client offered", "W 2; MS-MDE2 3.1.4.1.1.2"),
    ("DRES-VERSION", "EnrollmentVersion is at most the RequestVersion", "W 2"),
    ("DRES-URL", "EnrollmentServiceUrl is there, and the service URLs are https", "W 2"),
    ("DRES-HOST", "policy and enrollment endpoints share one host name", "W 2; MS on-premise enrollment page, NOTE"),
    ("DRES-LOGIN", "AuthenticationServiceUrl is there exactly when Federated, and is https",
     "W 2; MS federated enrollment page"),
    # credentials
    ("TOK-KIND", "the security header has the one token that the AuthPolicy demands", "W 2, table of AuthPolicy"),
    ("TOK-USER", "UsernameToken has u:Id, Username and a Password of type #PasswordText", "W 2"),
    ("TOK-TYPE", "the security BinarySecurityToken has a known ValueType", "W 2; MS federated enrollment page"),
    ("TOK-ENCODING", "the security BinarySecurityToken has the documented EncodingType and is base64", "W 2"),
    # policies
    ("POL-REQUEST", "GetPolicies has client/lastUpdate, client/preferredLanguage and requestFilter",
     "W 3; MS-XCEP 3.1.4.1.1.1"),
    ("PRES-POLICY", "GetPoliciesResponse has a policy with attributes", "W 3; MS-XCEP 3.1.4.1.1.2"),
    ("PRES-SCHEMA", "policySchema is 3", "W 3"),
    ("PRES-VALIDITY", "certificateValidity has a validity longer than its renewal period, both positive", "W 3"),
    ("PRES-ENROLL", "permission/enroll is true", "W 3"),
    ("PRES-KEY", "minimalKeyLength is an integer of at least 1024", "W 3"),
    ("PRES-HASH", "hashAlgorithmOIDReference refers to an oID of the answer", "W 3"),
    # RequestSecurityToken
    ("RST-TOKEN-TYPE", "TokenType is DeviceEnrollmentToken", "W 4"),
    ("RST-REQUEST-TYPE", "RequestType is Issue, or Renew for a renewal", "W 4"),
    ("RST-BINARY", "the request token has ValueType #PKCS10 (#PKCS7 for a renewal) and the documented EncodingType",
     "W 4"),
    ("RST-BASE64", "the request token is base64", "W 4"),
    ("RST-CONTEXT", "an Issue has every context item that a Windows client sends", "W 4, Context items"),
    ("RST-DEVICE-ID", "DeviceID is 32 upper-case hex digits", "W 4, Context items"),
    ("RST-HWDEVID", "HWDevID is 64 upper-case hex digits", "W 4, Context items"),
    ("RST-ENROLLMENT-TYPE", "EnrollmentType is Full or Device", "W 4, Context items"),
    ("RST-NAME", "DeviceName has 1 to 15 characters", "W 4, Context items"),
    ("RST-MAC", "MAC is six hex pairs joined by dashes", "W 4, Context items"),
    ("RST-BOOLEAN", "UXInitiated, TargetedUserLoggedIn and NotInOobe are true or false", "W 4, Context items"),
    ("RST-VERSION", "OSVersion and ApplicationVersion are four-part versions", "W 4, Context items"),
    ("RST-EDITION", "OSEdition is an integer", "W 4, Context items"),
    ("RST-DEVICE-TYPE", "DeviceType is CIMClient_Windows or WindowsPhone", "W 4, Context items"),
    ("RST-RENEW-CONTEXT", "a renewal's context has DeviceType and ApplicationVersion only", "W 4, Renewal"),
    # certificate request
    ("CSR-DER", "the request is one DER PKCS#10 without trailing bytes", "W 4, CSR; RFC 2986"),
    ("CSR-SIGNATURE", "the request is signed by its own key", "RFC 2986 4.2"),
    ("CSR-KEY", "the key is RSA of at least the policy's minimal length", "W 3; W 4, CSR"),
    ("CSR-HASH", "the signature algorithm is sha1RSA (1.3.14.3.2.29) or sha256WithRSA", "W 4, CSR"),
    ("CSR-SUBJECT", "the subject is one CN: 30 characters of an upper-case GUID, '!', DeviceID; or the DeviceID; or a UPN",
     "W 4, CSR"),
    ("CSR-STRING", "the CN is UTF8String without NUL, or PrintableString with one trailing NUL", "W 4, CSR"),
    ("CSR-DEVICE-ID", "the DeviceID in the subject is the one of the context", "W 4, CSR"),
    ("CSR-EXTENSION", "extension 1.3.6.1.4.1.311.66.1.0 holds DeviceID and NUL, 33 bytes", "W 4, CSR"),
    ("CSR-EKU", "an extended key usage asked for is clientAuth", "W 4, CSR"),
    # renewal
    ("REN-CMS", "a renewal is CMS SignedData around a PKCS#10", "W 4, Renewal; MS-MDE2 3.4"),
    ("REN-SIGNER", "the renewal is signed by the current device certificate", "W 4, Renewal"),
    ("REN-KEY", "the renewal asks for a new key pair", "W 4, Renewal"),
    ("REN-TLS", "the renewal comes over TLS with the current device certificate", "W 4, Renewal"),
    # answer
    ("RSTR-TOKEN-TYPE", "the answer's TokenType is the one asked for", "W 4, Answer"),
    ("RSTR-BINARY", "the answer's token has ValueType DeviceEnrollmentProvisionDoc and the documented EncodingType",
     "W 4, Answer"),
    ("RSTR-BASE64", "the answer's token is base64", "W 4, Answer"),
    ("RSTR-REQUEST-ID", "RequestID is 0", "W 4, Answer"),
    ("RSTR-DISPOSITION", "DispositionMessage is there", "W 4, Answer"),
    ("RSTR-TIMESTAMP", "the header has o:Security/u:Timestamp with Created and Expires", "W 4, Answer"),
    # provisioning document
    ("PROV-ROOT", "the document is wap-provisioningdoc version 1.1", "W 4, Answer"),
    ("PROV-CA", "CertificateStore/Root/System has an EncodedCertificate", "W 4, table of characteristics"),
    ("PROV-MY", "CertificateStore/My/User (Full) or /System (Device) has an EncodedCertificate",
     "W 4, table of characteristics"),
    ("PROV-CERT", "each EncodedCertificate is base64 of one DER certificate", "W 4, table of characteristics"),
    ("PROV-THUMB", "a certificate's characteristic is named by its SHA-1 in hex", "W 4, table of characteristics"),
    ("PROV-KEY", "the issued certificate is for the key of the request", "W 4; MS-WSTEP 3.1.4.2.1.1"),
    ("PROV-CHAIN", "the issued certificate is signed by a root of the document", "W 4; MS federated enrollment page"),
    ("PROV-CONTAINER", "a PrivateKeyContainer is there", "W 4; MS federated enrollment page, NOTE"),
    ("PROV-RENEW", "ROBOSupport, RenewPeriod and RetryInterval have their types and datatypes",
     "W 4, table of characteristics"),
    ("PROV-W7", "APPLICATION has APPID w7, PROVIDER-ID, NAME and ADDR", "W 4; MS federated enrollment page, NOTE"),
    ("PROV-ADDR", "ADDR is an https URL", "W 4; W 5.1"),
    ("PROV-CASE", "names in APPLICATION are upper case", "W 4; MS federated enrollment page, NOTE"),
    ("PROV-AUTH", "APPAUTH is there for CLIENT (DIGEST) and APPSRV (BASIC or DIGEST, with name and secret)",
     "W 4, table of characteristics"),
    ("PROV-PROVIDER", "DMClient/Provider/<id> has the id of PROVIDER-ID",
     "W 4; MS on-premise enrollment page, comment"),
    ("PROV-DATATYPE", "a parm with a datatype has a value of it", "W 4, table of characteristics"),
    ("PROV-POLL", "Poll has integers of at least 0 and one set with an interval", "W 6"),
    ("PROV-ENCODING", "DEFAULTENCODING is one of the two OMA-DM types", "W 4, table of characteristics"),
    ("PROV-LEAN", "a renewal's document has the new certificate and APPLICATION/PROVIDER-ID", "W 4, Renewal"),
    # faults
    ("FAULT-CODE", "a fault's code is s:Receiver", "W 4, Faults"),
    ("FAULT-SUBCODE", "a fault's subcode is one of the documented", "W 4, Faults"),
    ("FAULT-REASON", "a fault has a reason text", "W 4, Faults; SOAP 1.2 part 1, 5.4.2"),
    # SyncML, form
    ("SYN-XML", "a message is well-formed XML without a DTD", "W 5.3, W 10 row 2; MS-MDM 2.2"),
    ("SYN-SHAPE", "a message is SyncML of SyncHdr and SyncBody", "MS-MDM 2.2.4.1"),
    ("SYN-NAMESPACE", "the root's namespace is SYNCML:SYNCML1.2", "W 5.2; MS-MDM 2.2.4.1"),
    ("SYN-ORDER", "elements stand in the order of the DTD", "W 5.2; MS-MDM 2.2 (explicit order)"),
    ("SYN-UNKNOWN", "an element has only children of the DTD", "W 5.2; OMA SyncML RepPro DTD 1.2"),
    ("SYN-FIELDS", "a command has the children that the DTD requires", "OMA SyncML RepPro DTD 1.2"),
    ("SYN-VERDTD", "VerDTD is 1.2", "W 5.2; OMA DM Protocol 8.3"),
    ("SYN-VERPROTO", "VerProto is DM/1.2", "W 5.2; OMA DM Protocol 8.3"),
    ("SYN-SESSION", "SessionID is 1 to 4 hex digits", "W 5.2"),
    ("SYN-SESSION-SAME", "all messages of a session have one SessionID", "OMA DM Protocol 8.3"),
    ("SYN-MSGID", "MsgID is a decimal number from 1", "W 5.2; MS-MDM 2.2.3.6"),
    ("SYN-MSGID-NEXT", "each side's MsgID starts at 1 and grows by one", "W 5.2; MS OMA DM support page"),
    ("SYN-TARGET", "Target is the provisioned ADDR without the mode query (client), the device id (server)",
     "W 5.2; OMA DM Protocol 8.3, 8.4"),
    ("SYN-SOURCE", "Source is the enrolled DeviceID (client), not empty (server)",
     "W 4, W 5.2; OMA DM Protocol 8.3, 8.4"),
    ("SYN-CRED", "Cred has Type auth-md5 or auth-basic, Format b64, and base64 data of the right size",
     "W 5.6; OMA DM RepPro 6.1"),
    ("SYN-CRED-PLACE", "Cred stands only in SyncHdr", "OMA DM RepPro 6.1 Cred"),
    ("SYN-EMPTY", "SyncBody has at least one command", "MS-MDM 2.2.4.3"),
    ("SYN-COMMAND", "SyncBody, Atomic and Sequence have only commands of OMA DM", "W 5.3"),
    ("SYN-SIDE", "a client sends only Status, Results, Alert and Replace of DevInfo; a server sends no Results",
     "OMA DM Protocol 8"),
    ("SYN-FINAL-LAST", "Final is the last element of the body and stands once", "MS-MDM 2.2.3.4; DTD"),
    ("SYN-CMDID", "every command has a CmdID", "W 5.3; MS-MDM 2.2.3.2"),
    ("SYN-CMDID-ZERO", "CmdID is not 0", "MS-MDM 2.2.3.2"),
    ("SYN-CMDID-UNIQUE", "CmdIDs are unique in a message", "MS-MDM 2.2.3.2"),
    ("SYN-MAX-SIZE", "a message is not longer than the other side's MaxMsgSize",
     "W 5.4; MS-MDM 2.2.4.2; OMA SyncML Meta MaxMsgSize"),
    ("SYN-CDATA", "a client writes no CDATA", "W 5.3"),
    # SyncML, Meta and data
    ("META-NAMESPACE", "children of Meta are in syncml:metinf", "W 5.2"),
    ("META-FORMAT", "Format is one of the DM formats", "W 5.3; OMA DM TND"),
    ("META-TYPE", "Type in a command's or a result's Meta is a MIME type", "OMA SyncML Meta 5.3 Type; W 8 (NodeCache)"),
    ("META-VALUE", "int, bool and b64 data have their form", "W 5.3; OMA DM TND"),
    ("LOC-SLASH", "a LocURI does not begin with a slash", "W 5.3; MS OMA DM support page"),
    ("LOC-DOTS", "a LocURI has no .. segment", "W 10 row 7; OMA DM TND"),
    ("LOC-SPACE", "spaces in a LocURI are %20", "W 5.3, W 10 row 9"),
    ("LOC-TARGET", "a server's Add, Delete, Exec, Get and Replace name a Target in each Item",
     "MS-MDM 2.2.7; OMA DM Protocol 8.4"),
    # SyncML, answers to commands
    ("ST-HEADER", "a message that answers one has first a Status for its SyncHdr", "W 5.3; MS-MDM 2.2.6.1"),
    ("ST-MSGREF", "MsgRef is the MsgID of the message answered", "W 5.3; MS-MDM 2.2.3.7"),
    ("ST-CMDREF", "CmdRef refers to a command of that message", "W 5.3; MS-MDM 2.2.3.3"),
    ("ST-CMD", "Cmd is the name of the command answered", "W 5.3; MS-MDM 2.2.6.1"),
    ("ST-ONCE", "a command is answered once (once for each Item if codes differ)", "W 5.3; MS-MDM 2.2.6.1"),
    ("ST-ORDER", "Status elements stand in the order of the commands", "W 5.3; MS-MDM 2.2.6.1"),
    ("ST-MISSING", "every command is answered by a Status before the answering package ends",
     "W 5.3; MS-MDM 2.2.6.1; OMA DM Protocol 8.4, 8.5"),
    ("ST-RESULTS", "Results is not answered by a Status, except 213 for a part", "OMA DM Protocol 6.1 and 7"),
    ("ST-CODE", "a status code is one of SyncML", "W 5.3; OMA SyncML RepPro 10"),
    ("ST-212", "212 is given to SyncHdr only", "W 5.3"),
    ("ST-213", "213 is given only to a part with MoreData", "W 5.3; OMA DM Protocol 7"),
    ("ST-216", "216 is given only inside an Atomic", "W 5.3"),
    ("ST-507", "507 and 516 are given only to an Atomic", "W 5.3"),
    ("ST-418", "418 is given only to Add", "W 5.3"),
    ("ST-CHALLENGE", "401 and 407 for SyncHdr carry a Chal", "W 5.6; OMA DM Protocol 9.1"),
    ("ST-CHAL-FORM", "Chal has Type auth-md5 or auth-basic and Format b64; md5 has NextNonce in base64",
     "W 5.6; OMA DM RepPro 6.1 Chal"),
    ("RES-REF", "Results refers to a Get", "W 5.3; MS-MDM 2.2.7.8"),
    ("RES-MISSING", "a Get answered 200 has Results", "W 5.3; OMA DM Protocol 8.5"),
    ("RES-FAILED", "a Get that failed has no Results", "W 5.3"),
    ("RES-SOURCE", "an Item of Results has Source/LocURI", "W 5.3; OMA DM Protocol 8.5"),
    ("ATOM-CODE", "an Atomic with a failed child is not answered 200", "W 5.3"),
    ("ATOM-ROLLBACK", "under an Atomic answered 507 no child keeps 200", "W 5.3"),
    ("ATOM-NESTED", "a server nests no Atomic", "W 5.3; MS OMA DM support page"),
    ("ATOM-GET", "a server puts no Get into an Atomic", "W 5.3; MS OMA DM support page"),
    ("ATOM-ADD-REPLACE", "a server does not Add and then Replace one node in one Atomic",
     "W 5.3; MS OMA DM support page"),
    # SyncML, packages
    ("PKG-FINAL-1", "package 1 ends with Final", "W 5.2; OMA DM Protocol 8.3"),
    ("PKG-SESSION-ALERT", "package 1 has exactly one alert 1200 or 1201", "W 5.2; OMA DM Protocol 8.3"),
    ("PKG-LOGIN", "package 1 has alert 1224 LoginStatus with user, others or none", "W 5.2; MS OMA DM support page"),
    ("PKG-DEVINFO", "package 1 has a Replace with the five DevInfo nodes by Source", "W 5.2; OMA DM Protocol 8.3"),
    ("PKG-DEVID", "./DevInfo/DevId is the header's Source", "W 5.2; MS SyncHdr page"),
    ("PKG-FINAL-SERVER", "a server's message has Final unless it has MoreData or asks for the next message",
     "OMA DM Protocol 6.2"),
    ("PKG-FINAL-EARLY", "a client does not send Final before the server's package has ended",
     "OMA DM Protocol 6.2; W 5.5"),
    ("PKG-NEXT", "to a client's message without Final the server answers Status and alert 1222 or 1223, no Final, nothing new",
     "OMA DM Protocol 6.2; W 5.5"),
    ("PKG-NEEDLESS", "a client does not send a message that has only the Status for SyncHdr",
     "W 5.5; OMA DM Protocol 8"),
    ("PKG-CUT", "a session does not stop with commands unanswered", "W 5.5; OMA DM Protocol 8.5"),
    ("ALERT-CODE", "an alert code is one of 1200, 1201, 1222 to 1226", "W 5.2; MS-MDM 2.2.7.2"),
    ("ALERT-SESSION", "1200 and 1201 stand only in package 1 of a client", "OMA DM Protocol 8.3"),
    ("ALERT-ITEM", "alerts 1224 and 1226 have an Item with a Meta Type", "W 5.2; OMA DM Protocol 8.7"),
    ("ALERT-UNENROLL", "the unenrollment alert is 1226 with format int and data 1", "W 7"),
    ("ALERT-NEXT", "1222 is sent only when the other side's package has not ended", "OMA DM Protocol 6.1; W 5.5"),
    ("ALERT-ABORT", "a message with alert 1223 has Final", "OMA DM Protocol 8.1.2"),
    # SyncML, large objects
    ("CHUNK-SIZE", "the first part has Meta/Size", "W 5.4; OMA DM Protocol 7"),
    ("CHUNK-SIZE-ONCE", "only the first part has Meta/Size", "OMA DM Protocol 7"),
    ("CHUNK-TOTAL", "the parts together have the announced size", "OMA DM Protocol 7"),
    ("CHUNK-424", "an object of the wrong size is answered 424", "OMA DM Protocol 7"),
    ("CHUNK-NEXT", "nothing new stands between the parts of an object", "OMA DM Protocol 7"),
    ("CHUNK-LAST", "a part with MoreData is the last item of its message", "OMA DM Protocol 7"),
    ("CHUNK-FINAL", "a message with MoreData has no Final", "OMA DM Protocol 6.2, 7"),
    ("CHUNK-ATOMIC", "a command inside an Atomic is not split", "OMA DM Protocol 6.1"),
    ("CHUNK-ACK", "a part with MoreData is answered 213 or an error", "W 5.4; OMA DM Protocol 7"),
    ("CHUNK-ASK", "the answer to a part asks for the next with alert 1222", "W 5.4; OMA DM Protocol 7"),
    # SyncML, who am I
    ("AUTH-ONLY-STATUS", "a message that refuses credentials has only Status", "OMA DM Protocol 9.1"),
    ("AUTH-CRED", "after a challenge the client sends package 1 again with Cred", "W 5.6; OMA DM Protocol 9.1"),
    ("AUTH-KEEP", "credentials answered 200 are sent in every later message", "W 5.6; OMA DM Protocol 9.1"),
    ("AUTH-VALID", "the credentials, signature or certificate are right", "W 5.6"),
    # unenrollment, WNS
    ("UNENROLL-STATUS", "the Exec of Unenroll gets no Status", "W 7"),
    ("UNENROLL-ALERT", "the session after an Exec of Unenroll has the unenrollment alert", "W 7"),
    ("WNS-CHANNEL", "Push/ChannelURI is https and at most 1024 characters", "W 9"),
    ("WNS-STATUS", "Push/Status is 0 to 8", "W 9"),
]

_SHOULD = [
    ("HTTP-AGENT", "an enrollment request has User-Agent ENROLLClient", "W 2 (recorded)"),
    ("HTTP-ACTION", "an enrollment request has no SOAPAction header", "W 2 (recorded)"),
    ("DM-AGENT", "a management request has User-Agent MSFT OMA DM Client/…", "W 5.1 (recorded)"),
    ("DM-ACCEPT", "a management request accepts application/vnd.syncml.dm+xml", "W 5.1 (recorded)"),
    ("DM-CV", "MS-CV is 16 base64 characters and .0.0.<n>", "W 5.1 (recorded)"),
    ("RST-REQUEST-VERSION", "the context's RequestVersion is absent at 4.0 and equals Discover's from 5.0 on",
     "W 4 (recorded at 4.0)"),
    ("PROV-CRITERIA", "SSLCLIENTCERTSEARCHCRITERIA is Subject=…&Stores=My%5C…", "W 4 (example)"),
    ("SYN-DECLARATION", "a client's message has no BOM and no XML declaration", "W 5.1 (recorded)"),
    ("ST-202", "202 is given only to Exec", "W 5.3 (the table names Exec only)"),
    ("RES-META", "an Item of Results has Meta/Format", "W 5.3 (the defaults of OMA Meta may be left out)"),
    ("RES-URI", "Source of Results is the URI as the server wrote it", "W 5.3 (uncertain)"),
    ("PKG-ORDER", "package 1 is session alert, other alerts, Replace", "W 5.2 (recorded)"),
    ("ATOM-SCOPE", "an Atomic does not mix ./User and device nodes", "W 8 (second-hand)"),
]

RULES = {entry[0]: Rule(*entry) for entry in _MUST}
RULES.update({entry[0]: Rule(*entry, level="should") for entry in _SHOULD})


@dataclass(frozen=True)
class Violation:
    """One breach: the rule, what was seen, and the beginning of the message."""

    rule: str
    detail: str
    message: str

    def as_dict(self) -> dict:
        """For JSON, with the rule's demand, source and level."""
        rule = RULES[self.rule]
        return {"rule": self.rule, "level": rule.level, "demand": rule.demand, "source": rule.source,
                "detail": self.detail, "message": self.message}


class Report:
    """Collects the breaches of one message."""

    EXCERPT = 4000

    def __init__(self, message: bytes = b""):
        self.message = message[:self.EXCERPT].decode("utf-8", "replace")
        self.violations = []

    def add(self, rule: str, detail: str = ""):
        """Record a breach; an unknown rule id is a bug of ours."""
        assert rule in RULES, rule
        self.violations.append(Violation(rule, detail[:400], self.message))

    def need(self, condition, rule: str, detail: str = ""):
        """Record a breach unless the condition holds; returns the condition as a bool."""
        if not condition:
            self.add(rule, detail)
        return bool(condition)
