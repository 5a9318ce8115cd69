"""Names fixed by the protocols: namespaces, SOAP actions, value types.

Sources: the notes sections 2, 3, 4, 5; MS-MDE2 3.1-3.4, MS-XCEP, MS-WSTEP, OMA DM 1.2.
"""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
ANONYMOUS = ADDRESSING + "/anonymous"
ENROLLMENT = "http://schemas.microsoft.com/windows/management/2012/01/enrollment"
XCEP = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
WSTEP = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
AUTHORIZATION = "http://schemas.xmlsoap.org/ws/2006/12/authorization"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
DIAGNOSTICS = "http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics"
SYNCML = "SYNCML:SYNCML1.2"
METINF = "syncml:metinf"

ACTIONS = {
    "discover": ENROLLMENT + "/IDiscoveryService/Discover",
    "discover-response": ENROLLMENT + "/IDiscoveryService/DiscoverResponse",
    "policies": XCEP + "/IPolicy/GetPolicies",
    "policies-response": XCEP + "/IPolicy/GetPoliciesResponse",
    "rst": WSTEP + "/RST/wstep",
    "rstr": WSTEP + "/RSTRC/wstep",
}
BODIES = {
    "discover": (ENROLLMENT, "Discover"),
    "discover-response": (ENROLLMENT, "DiscoverResponse"),
    "policies": (XCEP, "GetPolicies"),
    "policies-response": (XCEP, "GetPoliciesResponse"),
    "rst": (WST, "RequestSecurityToken"),
    "rstr": (WST, "RequestSecurityTokenResponseCollection"),
    "fault": (SOAP, "Fault"),
}

PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
BASE64_ENCODING = WSSE + "#base64binary"
USER_TOKEN = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken"
JWT_TOKEN = "urn:ietf:params:oauth:token-type:jwt"
ENROLLMENT_TOKEN = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken"
PROVISION_DOC = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc"
ISSUE = WST + "/Issue"
RENEW = WST + "/Renew"
PKCS10 = WSTEP + "#PKCS10"
# Microsoft's own renewal example puts #PKCS7 on the secext URI (W 4): both are accepted.
PKCS7_TYPES = (WSTEP + "#PKCS7", WSSE + "#PKCS7")

DM_XML = "application/vnd.syncml.dm+xml"
DM_WBXML = "application/vnd.syncml.dm+wbxml"
SOAP_TYPE = "application/soap+xml"

DISCOVERY_PATH = "/EnrollmentServer/Discovery.svc"
UNENROLL_ALERT = "com.microsoft:mdm.unenrollment.userrequest"
LOGIN_STATUS = "com.microsoft/MDM/LoginStatus"

# SOAP fault subcodes and the HRESULT the device shows (W 4, Faults).
FAULTS = {
    "MessageFormat": 0x80180001, "Authentication": 0x80180002, "Authorization": 0x80180003,
    "CertificateRequest": 0x80180004, "EnrollmentServer": 0x80180005, "InternalServiceFault": 0x80180006,
    "InvalidSecurity": 0x80180007, "DeviceCapReached": 0x80180013, "DeviceNotSupported": 0x80180014,
    "NotSupported": 0x80180015, "NotEligibleToRenew": 0x80180016, "InMaintenance": 0x80180017,
    "UserLicense": 0x80180018, "InvalidEnrollmentData": 0x80180019, "CustomServerError": 0x80180032,
}

OID_SHA1_RSA = "1.3.14.3.2.29"
OID_SHA1_WITH_RSA = "1.2.840.113549.1.1.5"
OID_SHA256_WITH_RSA = "1.2.840.113549.1.1.11"
OID_DEVICE_ID = "1.3.6.1.4.1.311.66.1.0"
