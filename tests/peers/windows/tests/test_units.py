"""Known answers and the small parts: credentials, schedule, tree, splitting, DER, provisioning, hostile answers."""

import os
import shutil
import subprocess
import tempfile
import unittest
from unittest import mock

from .. import device, http_client, pki, poll, provisioning, soap, syncml, tree, xmlutil
from . import support

IDENTITY = {"device_id": "D" * 32, "source": "D" * 32, "hwdev_id": "A" * 64, "locale": "en-US", "os_version": "10.0.1.2",
            "device_name": "DESKTOP-1", "mac": "00-11-22-33-44-55", "upn": "u@example.test"}


class Credentials(unittest.TestCase):
    """W 5.6, known answers for scheme 2."""

    def test_oma_s_own_answer(self):
        self.assertEqual(syncml.md5_digest("Bruce2", "OhBehave", b"Nonce"), "Zz6EivR3yeaaENcRN6lpAQ==")

    def test_second_answer(self):
        self.assertEqual(syncml.md5_digest("B5B954E81FBCB94EB79BD08BE625F4EE", "s3cret", b"nonce-0001"),
                         "yWqS123WIPR2povHT2Bekw==")

    def test_basic(self):
        self.assertEqual(syncml.basic_credential("Bruce2", "OhBehave"), "QnJ1Y2UyOk9oQmVoYXZl")


class Schedule(unittest.TestCase):
    """W 6."""

    def waits(self, schedule, count):
        return [poll.minutes_until(schedule, n) for n in range(count)]

    def test_document_example(self):
        self.assertEqual(self.waits(provisioning.DOCUMENT_POLL, 15), [15] * 8 + [3] * 5 + [1560] * 2)

    def test_zero_with_interval_is_for_ever(self):
        self.assertEqual(self.waits({"NumberOfFirstRetries": "0", "IntervalForFirstSetOfRetries": "1",
                                     "NumberOfSecondRetries": "5", "IntervalForSecondSetOfRetries": "3"}, 20), [1] * 20)

    def test_no_endless_set_is_a_day(self):
        self.assertEqual(self.waits({"NumberOfFirstRetries": 2, "IntervalForFirstSetOfRetries": 3}, 4), [3, 3, 1440, 1440])

    def test_interval_zero_is_off(self):
        self.assertEqual(self.waits({"NumberOfFirstRetries": 5, "IntervalForFirstSetOfRetries": 0,
                                     "NumberOfSecondRetries": 1, "IntervalForSecondSetOfRetries": 7}, 2), [7, 1440])

    def test_defaults(self):
        self.assertEqual(self.waits({}, 11), [15] * 10 + [1440])


class Nodes(unittest.TestCase):
    """W 5.3: the tree's answers."""

    def setUp(self):
        self.tree = tree.windows_tree(IDENTITY, "My DM", provisioning.DOCUMENT_POLL)

    def refused(self, code, method, *arguments):
        with self.assertRaises(tree.Refused) as caught:
            getattr(self.tree, method)(*arguments)
        self.assertEqual(caught.exception.code, code)

    def test_spellings_of_one_address(self):
        for uri in ("./Device/Vendor/MSFT/BitLocker/RequireDeviceEncryption", "Vendor/MSFT/BitLocker/RequireDeviceEncryption",
                    "./vendor/msft/bitlocker/requiredeviceencryption"):
            self.assertEqual(self.tree.get(uri), ("int", "0"))

    def test_spaces_and_braces(self):
        self.assertEqual(self.tree.get("./Vendor/MSFT/DMClient/Provider/My%20DM/EntDMID")[1], "D" * 32)
        self.assertEqual(self.tree.get("./Vendor/MSFT/DMClient/Provider"), ("node", "My%20DM"))
        base = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI"
        self.tree.add(base + "/%7BA-1%7D/DownloadInstall", "", "chr")
        self.assertEqual(self.tree.get(base), ("node", "%7BA-1%7D"))

    def test_refusals(self):
        self.refused(400, "get", "/Device/Vendor")
        self.refused(400, "get", "./Vendor/../DevInfo")
        self.refused(404, "get", "./Vendor/MSFT/Nothing")
        self.refused(405, "replace", "./DevInfo/Man", "x", "chr")
        self.refused(404, "replace", "./DevInfo/Missing", "x", "chr")
        self.refused(405, "replace", "./Vendor/MSFT/WiFi/Profile/A/WlanXml", "x", "chr")
        self.refused(415, "replace", "./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "on", "int")
        self.refused(404, "add", "./DevInfo/New", "x", "chr")
        self.refused(418, "add", "./DevInfo/Man", "x", "chr")
        self.refused(405, "delete", "./DevInfo/Man")
        self.refused(404, "delete", "./Vendor/MSFT/Policy/Config/X")
        self.refused(405, "execute", "./DevInfo/Man")
        self.refused(406, "get", "./DevInfo/Man?prop=Format")

    def test_added_parents_can_be_deleted_and_the_area_cannot(self):
        self.tree.add("./Vendor/MSFT/WiFi/Profile/A/WlanXml", "<x/>", "chr")
        self.refused(405, "delete", "./Vendor/MSFT/WiFi/Profile")
        self.tree.delete("./Vendor/MSFT/WiFi/Profile/A")
        self.assertEqual(self.tree.get("./Vendor/MSFT/WiFi/Profile"), ("node", ""))


class Small(unittest.TestCase):
    """Readers and writers."""

    def test_split_counts_escaped_bytes(self):
        value, parts = "ä<&>x" * 100, []
        rest = value
        while rest:
            part, rest = syncml.split_text(rest, 50)
            self.assertLessEqual(len(xmlutil.escape(part).encode()), 50)
            parts.append(part)
        self.assertEqual("".join(parts), value)

    def test_reader_refuses(self):
        for data in (b"", b"<a>", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', b"<a>" * 100 + b"</a>" * 100,
                     b'<?xml version="1.0" encoding="nonsense"?><a/>', b"<a>\xff</a>"):
            with self.assertRaises(xmlutil.XmlError):
                xmlutil.parse(data)

    def test_base64(self):
        self.assertEqual(xmlutil.decode_base64(" YWJj\n ZA==\n"), b"abcd")
        self.assertEqual(xmlutil.decode_base64("_-8"), b"\xff\xef")
        for bad in ("", "a", "????"):
            with self.assertRaises(ValueError):
                xmlutil.decode_base64(bad)

    def test_der_refuses(self):
        for data in (b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x05\x02\x01", b"\x1f\x81\x01\x00", b"\x30\x00\x00"):
            with self.assertRaises(pki.DerError):
                pki.read_der(data)

    def test_oids(self):
        for oid in ("1.2.840.113549.1.1.11", "2.5.4.3", "1.3.6.1.4.1.311.66.1.0", "2.16.840.1.101.3.4.2.1"):
            self.assertEqual(pki.read_der(pki.write_oid(oid)).oid(), oid)

    def test_genuine_size_of_the_old_request(self):
        """W 4: the recorded request is 722 bytes of DER."""
        request = pki.make_request(pki.make_key(), "7BA748C8-703E-4DF2-A74A-929841", "B" * 32, old=True)
        self.assertEqual(len(request), 722)

    @unittest.skipUnless(shutil.which("openssl"), "left out: openssl is not installed")
    def test_openssl_takes_our_requests(self):
        for old in (False, True):
            request = pki.make_request(pki.make_key(), "7BA748C8-703E-4DF2-A74A-929841", "B" * 32, old=old)
            done = subprocess.run(["openssl", "req", "-inform", "der", "-verify", "-noout"], input=request,
                                  capture_output=True, timeout=30, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless(shutil.which("openssl"), "left out: openssl is not installed")
    def test_openssl_takes_our_signature(self):
        key = pki.make_key()
        certificate = support.AUTHORITY.issue("x", key.public_key())
        with tempfile.TemporaryDirectory() as folder:
            files = {"content": b"hello\n", "cms": pki.sign_cms(b"hello\n", certificate, key, detached=True)}
            for name, data in files.items():
                with open(os.path.join(folder, name), "wb") as stream:
                    stream.write(data)
            done = subprocess.run(["openssl", "cms", "-verify", "-binary", "-inform", "der", "-in", "cms", "-content",
                                   "content", "-CAfile", support.FILES["ca.pem"], "-purpose", "any"],
                                  cwd=folder, capture_output=True, timeout=30, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, b"hello\n"), done.stderr)

    def test_certificate_stores_in_any_case(self):
        data = (b'<wap-provisioningdoc version="1.1"><characteristic type="CertificateStore"><characteristic type="MY">'
                b'<characteristic type="User"><characteristic type="AB"><parm name="EncodedCertificate" value="QQ=="/>'
                b"</characteristic></characteristic></characteristic></characteristic></wap-provisioningdoc>")
        self.assertEqual(provisioning.read(data).certificates("My"), [(("CertificateStore", "MY", "User"), "AB", "QQ==")])

    def test_fault_in_small_letters(self):
        body = soap.fault("urn:uuid:1", "devicecapreached", "no").decode()
        for name in ("Body", "Fault", "Code", "Value", "Subcode", "Reason", "Text", "Receiver"):
            body = body.replace("s:" + name, "s:" + name.lower())
        self.assertEqual(soap.read_fault(xmlutil.parse(body.encode())), ("devicecapreached", "no"))


class HostileServer(support.PeerCase):
    """The device against answers that are not what they should be (W 13, practice server's faults)."""

    def answering(self, made, change) -> set:
        """The rules named when `change` alters every answer of the management server."""
        original = http_client.Connection.send
        made.violations.clear()

        def send(connection, *arguments):
            return change(original(connection, *arguments))
        with mock.patch.object(http_client.Connection, "send", send):
            with self.assertRaises(device.DeviceError):
                made.sync()
        return {v.rule for v in made.violations}

    def test_answers(self):
        self.serve()
        made = self.enrolled()

        def change(answer, **about):
            return http_client.Answer(**{**vars(answer), **about})
        html = b"<html><body>502</body></html>"
        cases = [
            ({"DM-EMPTY", "SYN-XML"}, lambda a: change(a, body=b"")),
            ({"DM-EMPTY", "SYN-SHAPE"}, lambda a: change(a, body=html, headers={"Content-Type": "text/html"})),
            ({"DM-STATUS"}, lambda a: change(a, status=502, body=html)),
            ({"SYN-XML"}, lambda a: change(a, body=a.body.replace(b"<Final/>", b"<?xml version='1.0'?><Final/>"))),
        ]
        for expected, alter in cases:
            with self.subTest(expected):
                self.assertEqual(self.answering(made, alter), expected)
        made.violations.clear()
        made.sync()
        self.assertEqual(made.violations, [])

    def test_unknown_elements_and_missing_ids_are_answered_400(self):
        self.serve()
        made = self.enrolled()
        extra = (b"<Fetch><CmdID>77</CmdID></Fetch><Get><Item><Target><LocURI>./DevInfo/Man</LocURI></Target></Item></Get>"
                 b"<Atomic><CmdID>78</CmdID><Move><CmdID>79</CmdID></Move></Atomic><Final/>")
        original, calls = http_client.Connection.send, []

        def send(connection, *arguments):
            answer = original(connection, *arguments)
            calls.append(answer)
            if len(calls) == 1:
                answer.body = answer.body.replace(b"<Final/>", extra)
            return answer
        with mock.patch.object(http_client.Connection, "send", send):
            summary = made.sync()
        self.assertEqual(summary["codes"], {"400": 3, "507": 1})
        self.assertEqual([(v.rule, v.detail) for v in made.own_violations], [])
        self.assertEqual({v.rule for v in made.violations}, {"SYN-COMMAND", "SYN-CMDID"})

    def test_hardware_id_as_source(self):
        self.serve()
        made = self.enrolled()
        (document,) = [m["body"] for m in self.admin("GET", "/messages") if m["kind"] == "provisioning"]
        made.adopt(provisioning.read(document.replace('<parm name="APPID"', '<parm name="USEHWDEVID"/><parm name="APPID"').encode()))
        self.assertEqual(made.tree.value("./DevInfo/DevId"), made.state["hwdev_id"])
        self.assertEqual(made.state["source"], made.state["hwdev_id"])

    def test_policies_that_are_not_xml_fall_back(self):
        self.serve()
        made = self.device()
        plain = made.send

        def send(method, url, headers, body=b"", certificate=False):
            answer = plain(method, url, headers, body, certificate)
            answer.body = answer.body.replace(b"<algorithmOIDReference ", b"<algorithmOIDReference")
            return answer
        made.send = send
        made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "u@example.test", "OnPremise", "secret")
        self.assertEqual([v.rule for v in made.violations], ["SOAP-XML"])
        made.sync()
