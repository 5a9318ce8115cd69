"""SOAP messages of the enrollment: writers for both sides and small readers.

Sources: W 2 (discovery), 3 (policies), 4 (RequestSecurityToken, answer, faults); MS-MDE2 3.1-3.4.
"""

import base64
import datetime
import uuid

from . import names
from .xmlutil import attribute, child, children, decode_base64, escape, path, quoteattr, text

_NAMESPACES = ' xmlns:a="%s" xmlns:s="%s"' % (names.ADDRESSING, names.SOAP)
_TOKEN_NAMESPACES = (' xmlns:u="%s" xmlns:wsse="%s" xmlns:wst="%s" xmlns:ac="%s"'
                     % (names.WSU, names.WSSE, names.WST, names.AUTHORIZATION))


def request(kind: str, url: str, body: str, security: str = ""):
    """A request envelope; returns its bytes and its MessageID (W 2, Envelope)."""
    message_id = "urn:uuid:" + str(uuid.uuid4())
    header = ('<a:Action s:mustUnderstand="1">%s</a:Action><a:MessageID>%s</a:MessageID>'
              "<a:ReplyTo><a:Address>%s</a:Address></a:ReplyTo>"
              '<a:To s:mustUnderstand="1">%s</a:To>%s'
              % (names.ACTIONS[kind], message_id, names.ANONYMOUS, escape(url), security))
    spaces = _NAMESPACES + (_TOKEN_NAMESPACES if kind != "discover" else "")
    return ("<s:Envelope%s><s:Header>%s</s:Header><s:Body>%s</s:Body></s:Envelope>"
            % (spaces, header, body)).encode(), message_id


def response(kind: str, relates_to: str, body: str, header: str = "") -> bytes:
    """A response envelope with RelatesTo and an ActivityId (W 2)."""
    activity = str(uuid.uuid4())
    head = ('<a:Action s:mustUnderstand="1">%s</a:Action>'
            '<ActivityId CorrelationId="%s" xmlns="%s">%s</ActivityId><a:RelatesTo>%s</a:RelatesTo>%s'
            % (names.ACTIONS[kind], activity, names.DIAGNOSTICS, activity, escape(relates_to), header))
    return ("<s:Envelope%s><s:Header>%s</s:Header><s:Body>%s</s:Body></s:Envelope>"
            % (_NAMESPACES, head, body)).encode()


def fault(relates_to: str, subcode: str, reason: str) -> bytes:
    """A SOAP fault with a DeviceEnrollmentServiceError (W 4, Faults)."""
    body = ('<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>s:%s</s:Value></s:Subcode></s:Code>'
            '<s:Reason><s:Text xml:lang="en-us">%s</s:Text></s:Reason><s:Detail>'
            '<DeviceEnrollmentServiceError xmlns="%s"><ErrorType>%s</ErrorType><Message>%s</Message>'
            "<TraceId>%s</TraceId></DeviceEnrollmentServiceError></s:Detail></s:Fault>"
            % (subcode, escape(reason), names.WSTEP, subcode, escape(reason), uuid.uuid4()))
    header = ('<a:Action s:mustUnderstand="1">%s</a:Action><a:RelatesTo>%s</a:RelatesTo>'
              % (names.ACTIONS["rstr"], escape(relates_to)))
    return ("<s:Envelope%s><s:Header>%s</s:Header><s:Body>%s</s:Body></s:Envelope>"
            % (_NAMESPACES, header, body)).encode()


def read_fault(envelope):
    """(subcode without prefix, reason) of a fault, or None.  Names are compared without case."""
    body = _lower_child(envelope, "body")
    found = _lower_child(body, "fault")
    if found is None:
        return None
    code = _lower_child(found, "code")
    subcode = _lower_child(_lower_child(code, "subcode"), "value")
    reason = _lower_child(_lower_child(found, "reason"), "text")
    value = "" if subcode is None else (subcode.text or "").strip()
    return value.rpartition(":")[2], "" if reason is None else (reason.text or "").strip()


def fault_code(envelope) -> str:
    """The value of a fault's code without its prefix."""
    found = _lower_child(_lower_child(envelope, "body"), "fault")
    value = _lower_child(_lower_child(found, "code"), "value")
    return "" if value is None else (value.text or "").strip().rpartition(":")[2]


def _lower_child(element, name):
    """The child whose local name is `name` without regard to case."""
    for entry in [] if element is None else element:
        if entry.tag.rpartition("}")[2].lower() == name:
            return entry
    return None


# ---------------------------------------------------------------- credentials

def username_token(user: str, password: str) -> str:
    """OnPremise credential (W 2, table of AuthPolicy)."""
    return ('<wsse:Security s:mustUnderstand="1"><wsse:UsernameToken u:Id="uuid-%s-1">'
            "<wsse:Username>%s</wsse:Username><wsse:Password wsse:Type=%s>%s</wsse:Password>"
            "</wsse:UsernameToken></wsse:Security>"
            % (uuid.uuid4(), escape(user), quoteattr(names.PASSWORD_TEXT), escape(password)))


def binary_token(token: str) -> str:
    """Federated credential: the opaque token, base64 once more by the client (W 2)."""
    return ('<wsse:Security s:mustUnderstand="1"><wsse:BinarySecurityToken ValueType="%s" EncodingType="%s">%s'
            "</wsse:BinarySecurityToken></wsse:Security>"
            % (names.USER_TOKEN, names.BASE64_ENCODING, base64.b64encode(token.encode()).decode()))


def read_credential(envelope):
    """("password", user, password), ("token", decoded token) or None from the security header."""
    security = path(envelope, "Header", "Security")
    token = child(security, "UsernameToken")
    if token is not None:
        return "password", text(token, "Username") or "", text(token, "Password") or ""
    token = child(security, "BinarySecurityToken")
    if token is not None and (token.text or "").strip():
        try:
            return "token", decode_base64(token.text).decode()
        except ValueError:
            return None
    return None


# ---------------------------------------------------------------- discovery

def discover_body(email: str, version: str, device_type: str, application: str, edition: str, policies) -> str:
    """The Discover request (W 2)."""
    offered = "".join("<AuthPolicy>%s</AuthPolicy>" % p for p in policies)
    return ('<Discover xmlns="%s"><request xmlns:i="%s"><EmailAddress>%s</EmailAddress>'
            "<RequestVersion>%s</RequestVersion><DeviceType>%s</DeviceType>"
            "<ApplicationVersion>%s</ApplicationVersion><OSEdition>%s</OSEdition>"
            "<AuthPolicies>%s</AuthPolicies></request></Discover>"
            % (names.ENROLLMENT, names.XSI, escape(email), version, device_type, application, edition, offered))


def discover_request(envelope) -> dict:
    """What a Discover asks: email, version, policies offered."""
    asked = path(envelope, "Body", "Discover", "request")
    offered = [(e.text or "").strip() for e in children(child(asked, "AuthPolicies"), "AuthPolicy")]
    return {"email": text(asked, "EmailAddress") or "", "version": text(asked, "RequestVersion") or "",
            "policies": offered}


def discover_response_body(policy: str, version: str, policy_url: str, enroll_url: str, auth_url: str) -> str:
    """The DiscoverResponse; AuthenticationServiceUrl only when Federated (W 2)."""
    auth = "<AuthenticationServiceUrl>%s</AuthenticationServiceUrl>" % escape(auth_url) if auth_url else ""
    return ('<DiscoverResponse xmlns="%s"><DiscoverResult><AuthPolicy>%s</AuthPolicy>'
            "<EnrollmentVersion>%s</EnrollmentVersion><EnrollmentPolicyServiceUrl>%s</EnrollmentPolicyServiceUrl>"
            "<EnrollmentServiceUrl>%s</EnrollmentServiceUrl>%s</DiscoverResult></DiscoverResponse>"
            % (names.ENROLLMENT, policy, version, escape(policy_url), escape(enroll_url), auth))


# ---------------------------------------------------------------- policies

def policies_body() -> str:
    """The GetPolicies request (W 3)."""
    return ('<GetPolicies xmlns="%s" xmlns:xsi="%s"><client><lastUpdate xsi:nil="true"/>'
            '<preferredLanguage xsi:nil="true"/></client><requestFilter xsi:nil="true"/></GetPolicies>'
            % (names.XCEP, names.XSI))


def policies_response_body(key_length: int, validity: int, renewal: int, hash_oid: str) -> str:
    """One policy with the attributes a Windows client reads (W 3, MS-XCEP 3.1.4.1.1.2)."""
    def empty(*elements):
        return "".join('<%s xsi:nil="true"/>' % e for e in elements)
    attributes = (
        "<attributes><commonName>MDM device</commonName><policySchema>3</policySchema><certificateValidity>"
        "<validityPeriodSeconds>%d</validityPeriodSeconds><renewalPeriodSeconds>%d</renewalPeriodSeconds>"
        "</certificateValidity><permission><enroll>true</enroll><autoEnroll>false</autoEnroll></permission>"
        "<privateKeyAttributes><minimalKeyLength>%d</minimalKeyLength>%s</privateKeyAttributes>"
        "<revision><majorRevision>101</majorRevision><minorRevision>0</minorRevision></revision>%s"
        "<hashAlgorithmOIDReference>0</hashAlgorithmOIDReference>%s</attributes>"
        % (validity, renewal, key_length,
           empty("keySpec", "keyUsageProperty", "permissions", "algorithmOIDReference", "cryptoProviders"),
           empty("supersededPolicies", "privateKeyFlags", "subjectNameFlags", "enrollmentFlags", "generalFlags"),
           empty("rARequirements", "keyArchivalAttributes", "extensions")))
    return ('<GetPoliciesResponse xmlns="%s" xmlns:xsi="%s"><response><policyID/>%s<policies><policy>'
            "<policyOIDReference>1</policyOIDReference>%s%s</policy></policies></response>%s"
            "<oIDs><oID><value>%s</value><group>1</group><oIDReferenceID>0</oIDReferenceID>"
            "<defaultName>hash</defaultName></oID><oID><value>1.3.6.1.4.1.311.20.2</value><group>9</group>"
            "<oIDReferenceID>1</oIDReferenceID><defaultName>MDM device</defaultName></oID></oIDs>"
            "</GetPoliciesResponse>"
            % (names.XCEP, names.XSI, empty("policyFriendlyName", "nextUpdateHours", "policiesNotChanged"),
               empty("cAs"), attributes, empty("cAs"), hash_oid))


def read_policies(envelope):
    """(minimal key length, hash OID) from a GetPoliciesResponse; the documented defaults where silent.

    W 3: no policy at all means a 2048-bit key and SHA-1.
    """
    answer = path(envelope, "Body", "GetPoliciesResponse")
    attributes = path(answer, "response", "policies", "policy", "attributes")
    length = text(attributes, "privateKeyAttributes", "minimalKeyLength") or ""
    reference = text(attributes, "hashAlgorithmOIDReference")
    oid = names.OID_SHA1_RSA
    for entry in children(child(answer, "oIDs"), "oID"):
        if reference is not None and text(entry, "oIDReferenceID") == reference:
            oid = text(entry, "value") or oid
    return int(length) if length.isdigit() else 2048, oid


# ---------------------------------------------------------------- WSTEP

def rst_body(kind: str, value_type: str, token: str, context) -> str:
    """RequestSecurityToken; `kind` is names.ISSUE or names.RENEW, `context` a list of (name, value)."""
    items = "".join('<ac:ContextItem Name=%s><ac:Value>%s</ac:Value></ac:ContextItem>'
                    % (quoteattr(name), escape(value)) for name, value in context)
    return ("<wst:RequestSecurityToken><wst:TokenType>%s</wst:TokenType><wst:RequestType>%s</wst:RequestType>"
            '<wsse:BinarySecurityToken ValueType="%s" EncodingType="%s">%s</wsse:BinarySecurityToken>'
            '<ac:AdditionalContext xmlns="%s">%s</ac:AdditionalContext></wst:RequestSecurityToken>'
            % (names.ENROLLMENT_TOKEN, kind, value_type, names.BASE64_ENCODING, token, names.AUTHORIZATION, items))


def read_rst(envelope):
    """(request type, token text, [(context name, value)]) of a RequestSecurityToken."""
    rst = path(envelope, "Body", "RequestSecurityToken")
    token = text(rst, "BinarySecurityToken") or ""
    return text(rst, "RequestType") or "", token, rst_context(rst)


def rst_context(rst) -> list:
    """[(name, value)] of the context items of a RequestSecurityToken."""
    return [(attribute(item, "Name") or "", text(item, "Value") or "")
            for item in children(child(rst, "AdditionalContext"), "ContextItem")]


def rstr(relates_to: str, document: bytes) -> bytes:
    """The whole answer around a provisioning document (W 4, Answer)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = "%Y-%m-%dT%H:%M:%S.000Z"
    header = ('<o:Security s:mustUnderstand="1" xmlns:o="%s"><u:Timestamp u:Id="_0" xmlns:u="%s">'
              "<u:Created>%s</u:Created><u:Expires>%s</u:Expires></u:Timestamp></o:Security>"
              % (names.WSSE, names.WSU, now.strftime(stamp), (now + datetime.timedelta(minutes=5)).strftime(stamp)))
    body = ('<RequestSecurityTokenResponseCollection xmlns="%s"><RequestSecurityTokenResponse>'
            '<TokenType>%s</TokenType><DispositionMessage xmlns="%s"/><RequestedSecurityToken>'
            '<BinarySecurityToken xmlns="%s" ValueType="%s" EncodingType="%s">%s</BinarySecurityToken>'
            '</RequestedSecurityToken><RequestID xmlns="%s">0</RequestID></RequestSecurityTokenResponse>'
            "</RequestSecurityTokenResponseCollection>"
            % (names.WST, names.ENROLLMENT_TOKEN, names.WSTEP, names.WSSE, names.PROVISION_DOC,
               names.BASE64_ENCODING, base64.b64encode(document).decode(), names.WSTEP))
    return response("rstr", relates_to, body, header)


def read_rstr(envelope) -> bytes:
    """The provisioning document inside an answer; ValueError when there is none."""
    token = text(envelope, "Body", "RequestSecurityTokenResponseCollection", "RequestSecurityTokenResponse",
                 "RequestedSecurityToken", "BinarySecurityToken")
    if not token:
        raise ValueError("no BinarySecurityToken in the answer")
    return decode_base64(token)
