"""The RELAX NG schemas by xmllint: good and bad messages of each kind, and every message of a whole life."""

import os
import shutil
import tempfile
import unittest

from .. import check_recorded, device
from . import support
from . import test_rules_enrollment as enrollment
from . import test_rules_syncml as sessions

XMLLINT = unittest.skipUnless(check_recorded.have_xmllint(), "left out: xmllint is not installed")
WBXML = unittest.skipUnless(check_recorded.have_wbxml(), "left out: xml2wbxml and wbxml2xml are not installed")

# (kind, old, new): one replacement that each schema must refuse
BAD = [
    ("discover", "<RequestVersion>5.0<", "<RequestVersion>five<"), ("discover", "<OSEdition>72</OSEdition>", ""),
    ("discover", "2003/05/soap-envelope", "2001/12/soap-envelope"), ("discover", "anonymous", "none"),
    ("discover-response", "<AuthPolicy>Federated<", "<AuthPolicy>OnPremise<"),
    ("discover-response", "<EnrollmentServiceUrl>https", "<EnrollmentServiceUrl>ftp"),
    ("policies", "<preferredLanguage", "<favouriteLanguage"), ("policies", "#PasswordText", "#PasswordDigest"),
    ("policies-response", "<policySchema>3<", "<policySchema>1<"),
    ("policies-response", "<minimalKeyLength>2048</minimalKeyLength>", ""),
    ("policies-response", '<algorithmOIDReference xsi:nil="true"/>', '<algorithmOIDReferencexsi:nil="true"/>'),
    ("rst", "200512/Issue", "200512/Cancel"), ("rst", "#PKCS10", "#PKCS7"), ("rst", "ac:Value>", "ac:Content>"),
    ("renewal", "#PKCS7", "#PKCS10"),
    ("rstr", ">0</RequestID>", ">1</RequestID>"), ("rstr", "u:Created>", "u:Born>"),
    ("fault", "s:DeviceCapReached", "s:Tuesday"), ("fault", "s:Reason>", "s:Why>"),
]
BAD_PROVISIONING = [('version="1.1"', 'version="1.0"'), ('name="APPID"', 'name="AppId"'),
                    ('value="8" datatype="integer"', 'value="many" datatype="integer"'),
                    ('name="AAUTHLEVEL" value="APPSRV"', 'name="AAUTHLEVEL" value="SERVER"')]
BAD_SYNCML = [("client", 0, "<VerDTD>1.2<", "<VerDTD>1.1<"), ("client", 0, "SYNCML:SYNCML1.2", "SYNCML:SYNCML1.1"),
              ("client", 2, "<Cmd>Exec</Cmd><Data>202</Data>", "<Data>202</Data><Cmd>Exec</Cmd>"),
              ("client", 2, "<Final/>", "<Get><CmdID>9</CmdID><Item/></Get><Final/>"),
              ("client", 0, ' xmlns="syncml:metinf"', ""), ("server", 1, "<CmdID>40</CmdID>", ""),
              ("server", 1, "<CmdID>40<", "<CmdID>0<"), ("server", 1, ">int<", ">integer<"),
              ("server", 1, "<Final/>", "<Final/><Final/>"), ("server", 1, "<Get>", "<Fetch/><Get>")]


class Schemas(unittest.TestCase):
    """Good and bad messages."""

    def complaint(self, kind: str, body: bytes) -> str:
        """xmllint's complaint about a message."""
        with tempfile.NamedTemporaryFile(suffix=".xml") as stream:
            stream.write(body)
            stream.flush()
            return check_recorded.validate(kind, stream.name)

    @XMLLINT
    def test_enrollment(self):
        kinds = {"policies-token": "policies", "renewal": "rst"}
        for kind, body in enrollment.GOOD.items():
            with self.subTest(kind):
                self.assertEqual(self.complaint(kinds.get(kind, kind), body), "")
        for kind, old, new in BAD:
            with self.subTest(kind=kind, new=new):
                body = enrollment.GOOD[kind].decode()
                self.assertIn(old, body)
                self.assertNotEqual(self.complaint(kinds.get(kind, kind), body.replace(old, new).encode()), "")

    @XMLLINT
    def test_small_letters_in_a_fault(self):
        body = enrollment.GOOD["fault"].decode()
        for name in ("Envelope", "Header", "Body", "Fault", "Code", "Value", "Subcode", "Reason", "Text", "Detail", "Receiver"):
            body = body.replace("s:" + name, "s:" + name.lower())
        self.assertEqual(self.complaint("fault", body.encode()), "")

    @XMLLINT
    def test_provisioning(self):
        good = enrollment.document().decode()
        self.assertEqual(self.complaint("provisioning", good.encode()), "")
        for old, new in BAD_PROVISIONING:
            with self.subTest(new):
                self.assertIn(old, good)
                self.assertNotEqual(self.complaint("provisioning", good.replace(old, new).encode()), "")

    @XMLLINT
    def test_syncml(self):
        for side, number, old, new in BAD_SYNCML:
            good = sessions.COMMANDS[number][1]
            kind = "syncml-" + side
            with self.subTest(new):
                self.assertEqual(sessions.COMMANDS[number][0], side)
                self.assertEqual(self.complaint(kind, good.encode()), "")
                self.assertIn(old, good)
                self.assertNotEqual(self.complaint(kind, good.replace(old, new).encode()), "")
        for name, session in sessions.SESSIONS.items():
            for side, text in session:
                self.assertEqual(self.complaint("syncml-" + side, text.encode()), "", name)


class Recorded(support.PeerCase):
    """Every message of a life with all kinds of commands, by the independent tools."""

    recorded = ""

    def life(self) -> str:
        """A folder with a life, recorded once for the tests of this class."""
        if Recorded.recorded:
            return Recorded.recorded
        folder = tempfile.mkdtemp(dir=support.ROOT)
        self.serve("--record", folder, "--auth", "md5", "--pfn", "Peer.App_1", "--send-limit", "6000",
                   "--max-msg-size", "6000")
        made = self.enrolled()
        base = "./Device/Vendor/MSFT/"
        self.give(made, {"cmd": "Add", "uri": base + "Policy/Config/A/B", "data": "<enabled/> & ä", "format": "chr"},
                  {"cmd": "Replace", "uri": base + "Policy/Config/A/Big", "data": "x<&>" * 3000},
                  {"cmd": "Get", "uri": base + "DeviceManageability/Capabilities/CSPVersions"},
                  {"cmd": "Get", "uri": "./DevDetail"}, {"cmd": "Get", "uri": "./Nowhere"},
                  {"cmd": "Atomic", "commands": [{"cmd": "Delete", "uri": base + "Policy/Config/A/B"},
                                                 {"cmd": "Delete", "uri": base + "Policy/Config/A/None"}]},
                  {"cmd": "Exec", "uri": base + "Defender/Scan"})
        made.renew()
        self.admin("POST", self.path(made, "unenroll"))
        made.sync()
        with self.assertRaises(device.DeviceError):
            made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "u@example.test", "OnPremise", "wrong")
        self.clean(made)
        Recorded.recorded = folder
        return folder

    @XMLLINT
    def test_schemas(self):
        folder = self.life()
        names = os.listdir(folder)
        self.assertEqual({check_recorded.kind_of(n) for n in names}, set(check_recorded.KINDS))
        for name in names:
            self.assertEqual(check_recorded.validate(check_recorded.kind_of(name), os.path.join(folder, name)), "", name)

    def test_rules(self):
        folder = tempfile.mkdtemp(dir=support.ROOT)
        shutil.copytree(self.life(), folder, dirs_exist_ok=True)
        names = sorted(os.listdir(folder))
        self.assertEqual([(n, v.rule, v.detail) for n, v in check_recorded.judge(folder, names)], [])
        name = next(n for n in names if n.startswith("syncml-client-"))
        with open(os.path.join(folder, name), "r+b") as stream:
            body = stream.read().replace(b"DM/1.2", b"DM/1.1")
            stream.seek(0)
            stream.write(body)
        self.assertEqual([(n, v.rule) for n, v in check_recorded.judge(folder, names)], [(name, "SYN-VERPROTO")])

    @WBXML
    def test_wbxml(self):
        folder = self.life()
        names = [n for n in os.listdir(folder) if n.startswith("syncml-")]
        self.assertGreater(len(names), 10)
        for name in names:
            self.assertEqual(check_recorded.round_trip(os.path.join(folder, name)), "", name)

    @WBXML
    def test_wbxml_refuses_a_wrong_namespace(self):
        with tempfile.NamedTemporaryFile(suffix=".xml") as stream:
            stream.write(sessions.COMMANDS[0][1].replace("SYNCML:SYNCML1.2", "urn:other").encode())
            stream.flush()
            self.assertIn("wbxml", check_recorded.round_trip(stream.name))
