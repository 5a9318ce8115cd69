"""Device against server over real TLS, both judged by the checker in every message."""

import concurrent.futures
import json
import os
import random
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from .. import device, http_client, names, pki, syncml
from . import support

POLICY = "./Device/Vendor/MSFT/Policy/Config/"
POLL = "./Device/Vendor/MSFT/DMClient/Provider/PeerMDM/Poll/"


class Enrollment(support.PeerCase):
    """W 2 to 4."""

    def test_on_premise(self):
        self.serve()
        made = self.enrolled()
        (about,) = self.admin("GET", "/devices")
        self.assertEqual(about["device_id"], made.state["device_id"])
        self.assertEqual(about["context"]["RequestVersion"], "5.0")
        certificate, _ = made.identity()
        self.assertEqual(pki.common_name(certificate), made.state["device_id"])
        self.assertTrue(pki.issued_by(certificate, support.AUTHORITY.certificate))
        self.clean(made)

    def test_federated_token_is_single_use(self):
        self.serve("--policy", "Federated")
        made = self.enrolled("Federated")
        self.admin("POST", "/tokens", {"token": "minted", "upn": "other@example.test"})
        second = self.device()
        url = self.peer.base + "/EnrollmentServer/Discovery.svc"
        second.enroll(url, "other@example.test", "Federated", token="minted")
        with self.assertRaisesRegex(device.DeviceError, "Authentication"):
            self.device().enroll(url, "other@example.test", "Federated", token="minted")
        self.clean(made, second)

    def test_old_build_with_nul_in_printable_string(self):
        self.serve()
        self.clean(self.enrolled(old_request=True, version="4.0"))

    def test_device_store(self):
        self.serve()
        self.clean(self.enrolled(enrollment_type="Device"))

    def test_wrong_password_is_a_fault(self):
        self.serve()
        made = self.device()
        with self.assertRaisesRegex(device.DeviceError, "Authentication"):
            made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "u@example.test", "OnPremise", "wrong")
        self.clean(made)

    def test_policy_not_offered(self):
        self.serve("--policy", "Federated")
        made = self.device()
        with self.assertRaisesRegex(device.DeviceError, "NotSupported"):
            made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "u@example.test", "OnPremise", "secret")
        self.clean(made)

    def test_injected_fault(self):
        self.serve()
        self.admin("POST", "/faults", {"step": "rst", "subcode": "DeviceCapReached"})
        with self.assertRaisesRegex(device.DeviceError, "DeviceCapReached"):
            self.enrolled()
        self.clean(self.enrolled())

    def test_same_hardware_replaces_the_older_record(self):
        self.serve()
        first, second = self.enrolled(seed="x"), self.enrolled(seed="x")
        self.assertEqual(self.admin("GET", self.path(first))["state"], "replaced")
        with self.assertRaisesRegex(device.DeviceError, "401"):
            first.sync()
        second.sync()

    def test_renewal(self):
        self.serve()
        made = self.enrolled()
        before = made.identity()[0].serial_number
        made.renew()
        self.assertNotEqual(made.identity()[0].serial_number, before)
        made.sync()
        self.clean(made)

    def test_renewal_without_certificate_is_refused(self):
        self.serve()
        made = self.enrolled()
        made.context = lambda with_certificate=True: device.http_client.tls_context(made.ca_file)
        with self.assertRaisesRegex(device.DeviceError, "Authentication"):
            made.renew()

    def test_login_follows_redirects(self):
        self.serve("--policy", "Federated")
        made = self.device()
        plain, calls = made.send, []

        def send(method, url, headers, body=b"", certificate=False):
            calls.append(url)
            if method == "GET" and len(calls) == 1:
                return device.http_client.Answer(302, {"Location": self.peer.base + "/peer/login?login_hint=a@b"}, b"")
            return plain(method, url, headers, body, certificate)
        made.send = send
        self.assertTrue(made.log_in(self.peer.base + "/peer/login", "a@b"))
        self.assertEqual(len(calls), 2)


class Management(support.PeerCase):
    """W 5, 6, 8."""

    def test_idle_session_is_one_message(self):
        self.serve()
        made = self.enrolled()
        self.assertEqual(made.sync()["messages"], 1)
        self.clean(made)

    def test_commands_and_believed_tree(self):
        self.serve()
        made = self.enrolled()
        got = self.give(
            made,
            {"cmd": "Get", "uri": "./DevDetail/SwV"},
            {"cmd": "Get", "uri": "./Device/Vendor/MSFT/Nowhere"},
            {"cmd": "Add", "uri": POLICY + "Camera/AllowCamera", "data": "0", "format": "int"},
            {"cmd": "Add", "uri": POLICY + "Camera/AllowCamera", "data": "0", "format": "int"},
            {"cmd": "Replace", "uri": POLICY + "Camera/AllowCamera", "data": "1", "format": "int"},
            {"cmd": "Replace", "uri": POLICY + "Camera/AllowCamera", "data": "yes", "format": "chr"},
            {"cmd": "Replace", "uri": "./DevDetail/SwV", "data": "x"},
            {"cmd": "Get", "uri": POLICY + "Camera"},
            {"cmd": "Exec", "uri": "./Device/Vendor/MSFT/Defender/Scan"},
            {"cmd": "Exec", "uri": "./DevDetail/SwV"},
            {"cmd": "Replace", "uri": "./Device/Vendor/MSFT/WiFi/Profile/Home/WlanXml", "data": "<WLAN/>"},
            {"cmd": "Get", "uri": "./DevDetail/SwV?prop=ACL"},
        )
        self.assertEqual([g["status"] for g in got],
                         [[c] for c in (200, 404, 200, 418, 200, 415, 405, 200, 200, 405, 405, 406)])
        self.assertEqual(got[0]["results"][0]["data"], "10.0.22631.3447")
        self.assertEqual(got[7]["results"][0], {"uri": POLICY + "Camera", "format": "node", "data": "AllowCamera"})
        tree = self.admin("GET", self.path(made, "tree"))
        self.assertEqual(tree["vendor/msft/policy/config/camera/allowcamera"], {"format": "int", "data": "1"})
        gone = self.give(made, {"cmd": "Delete", "uri": POLICY + "Camera"},
                         {"cmd": "Get", "uri": POLICY + "Camera/AllowCamera"})
        self.assertEqual([g["status"] for g in gone], [[200], [404]])
        self.assertNotIn("vendor/msft/policy/config/camera/allowcamera", self.admin("GET", self.path(made, "tree")))
        self.clean(made)

    def test_atomic(self):
        self.serve()
        made = self.enrolled()
        good = {"cmd": "Replace", "uri": POLICY + "A/B", "data": "1", "format": "int"}
        bad = {"cmd": "Delete", "uri": POLICY + "A/Missing"}
        last = {"cmd": "Replace", "uri": POLICY + "A/C", "data": "1", "format": "int"}
        failed, after = self.give(made, {"cmd": "Atomic", "commands": [good, bad, last]},
                                  {"cmd": "Get", "uri": POLICY + "A/B"})
        self.assertEqual(failed["status"], [507])
        self.assertEqual([c["status"] for c in failed["commands"]], [[216], [404], [215]])
        self.assertEqual(after["status"], [404])
        (done,) = self.give(made, {"cmd": "Atomic", "commands": [good, last]})
        self.assertEqual([done["status"]] + [c["status"] for c in done["commands"]], [[200]] * 3)
        self.assertIn("vendor/msft/policy/config/a/c", self.admin("GET", self.path(made, "tree")))
        self.clean(made)

    def test_atomic_profile_of_the_thread(self):
        self.serve()
        made = self.enrolled(atomic="thread")
        good = {"cmd": "Replace", "uri": POLICY + "A/B", "data": "1", "format": "int"}
        (failed,) = self.give(made, {"cmd": "Atomic", "commands": [good, {"cmd": "Delete", "uri": POLICY + "A/X"}]})
        self.assertEqual([failed["status"]] + [c["status"] for c in failed["commands"]], [[500], [200], [404]])
        self.assertIsNone(made.tree.value(POLICY + "A/B"))
        self.clean(made)

    def test_atomic_misused_by_the_server_is_named(self):
        self.serve()
        made = self.enrolled()
        (failed,) = self.give(made, {"cmd": "Atomic", "commands": [{"cmd": "Get", "uri": "./DevDetail/SwV"}]})
        self.assertEqual([failed["status"], failed["commands"][0]["status"]], [[507], [500]])
        self.assertEqual([v.rule for v in made.violations], ["ATOM-GET"])

    def test_sequence(self):
        self.serve()
        made = self.enrolled()
        (done,) = self.give(made, {"cmd": "Sequence", "commands": [
            {"cmd": "Replace", "uri": POLICY + "A/B", "data": "x y <&> ä"}, {"cmd": "Get", "uri": POLICY + "A/B"}]})
        self.assertEqual([c["status"] for c in done["commands"]], [[200], [200]])
        self.assertEqual(done["commands"][1]["results"][0]["data"], "x y <&> ä")
        self.clean(made)

    def test_many_commands_in_batches(self):
        self.serve("--batch", "20")
        made = self.enrolled()
        got = self.give(made, *[{"cmd": "Replace", "uri": POLICY + "Area/P%03d" % n, "data": str(n), "format": "int"}
                                for n in range(90)])
        self.assertEqual({tuple(g["status"]) for g in got}, {(200,)})
        self.assertEqual(len(self.admin("GET", self.path(made, "sessions"))[-1]["messages"]), 6)
        self.clean(made)

    def test_user_scope_before_login(self):
        self.serve()
        made = self.enrolled(login="none")
        got = self.give(made, {"cmd": "Replace", "data": "true", "format": "bool", "uri":
                               "./User/Vendor/MSFT/DMClient/Provider/PeerMDM/FirstSyncStatus/IsSyncDone"},
                        {"cmd": "Replace", "uri": "./User/Vendor/MSFT/Policy/Config/A/B", "data": "1"})
        self.assertEqual([g["status"] for g in got], [[405], [500]])
        self.clean(made)

    def test_poll_schedule_changes_at_once(self):
        self.serve()
        made = self.enrolled()
        self.give(made, {"cmd": "Replace", "uri": POLL + "IntervalForFirstSetOfRetries", "data": "1", "format": "int"},
                  {"cmd": "Replace", "uri": POLL + "NumberOfFirstRetries", "data": "0", "format": "int"})
        self.assertEqual(device.poll.minutes_until(made.state["poll"], 99), 1)
        made.poll(2, 0)
        self.assertEqual(len(self.admin("GET", self.path(made, "sessions"))), 3)
        self.clean(made)

    def test_state_survives_a_restart(self):
        self.serve()
        made = self.enrolled()
        self.give(made, {"cmd": "Add", "uri": POLICY + "A/B", "data": "7", "format": "int"})
        again = device.Device(made.directory, made.ca_file)
        (got,) = self.give(again, {"cmd": "Get", "uri": POLICY + "A/B"})
        self.assertEqual(got["results"][0]["data"], "7")
        self.clean(made, again)

    def test_install_is_asynchronous(self):
        self.serve()
        made = self.enrolled()
        uri = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7Babc%7D/DownloadInstall"
        got = self.give(made, {"cmd": "Add", "uri": uri, "data": ""},
                        {"cmd": "Exec", "uri": uri, "format": "xml", "data": "<MsiInstallJob id='{abc}'/>"})
        self.assertEqual([g["status"] for g in got], [[200], [202]])
        made.sync()
        kinds = [a["type"] for a in self.admin("GET", self.path(made))["alerts"]]
        self.assertIn("Reversed-Domain-Name:com.microsoft.mdm.win32csp_install", kinds)
        self.clean(made)

    def test_wns_registration(self):
        self.serve("--pfn", "Peer.App_8wekyb3d8bbwe")
        made = self.enrolled()
        made.sync("1200")
        about = self.admin("GET", self.path(made))
        self.assertEqual(about["channel"], made.tree.value(
            "./Vendor/MSFT/DMClient/Provider/PeerMDM/Push/ChannelURI"))
        self.assertTrue(about["channel"].startswith("https://"))
        self.assertEqual(about["push_status"], "0")
        self.assertEqual(made.sync()["commands"], 2)
        self.clean(made)


class Sizes(support.PeerCase):
    """W 5.4, OMA DM Protocol 6 and 7."""

    def test_large_object_down(self):
        self.serve("--send-limit", "6000")
        made = self.enrolled()
        data = "<&>ä " * 5000
        put, got = self.give(made, {"cmd": "Replace", "uri": POLICY + "Big/Data", "data": data},
                             {"cmd": "Get", "uri": POLICY + "Big/Data"})
        self.assertEqual([put["status"], got["status"]], [[200], [200]])
        self.assertEqual(got["results"][0]["data"], data)
        sizes = [m["out"] for m in self.admin("GET", self.path(made, "sessions"))[-1]["messages"]]
        self.assertLessEqual(max(sizes), 6000)
        self.assertGreater(len(sizes), 15)
        self.clean(made)

    def test_device_announces_its_limit(self):
        self.serve()
        made = self.enrolled(limit=4000, announce_limit=True)
        data = "x" * 20000
        _, got = self.give(made, {"cmd": "Add", "uri": POLICY + "Big/Data", "data": data},
                             {"cmd": "Get", "uri": POLICY + "Big/Data"})
        self.assertEqual(got["results"][0]["data"], data)
        messages = self.admin("GET", self.path(made, "sessions"))[-1]["messages"]
        self.assertLessEqual(max(m["out"] for m in messages), 4000)
        self.assertLessEqual(max(m["in"] for m in messages), 4000)
        self.clean(made)

    def test_large_results_up(self):
        self.serve("--max-msg-size", "5000")
        made = self.enrolled()
        uris = ["./Device/Vendor/MSFT/DeviceManageability/Capabilities/CSPVersions", "./DevDetail/SwV",
                "./DevDetail/Ext/DeviceHardwareData", "./DevInfo/Mod"]
        got = self.give(made, *[{"cmd": "Get", "uri": u} for u in uris])
        self.assertEqual([g["results"][0]["data"] for g in got], [made.tree.value(u) for u in uris])
        self.assertLessEqual(max(m["in"] for m in self.admin("GET", self.path(made, "sessions"))[-1]["messages"][1:]), 5000)
        self.clean(made)

    def test_statuses_over_several_messages(self):
        self.serve("--max-msg-size", "4000")
        made = self.enrolled()
        got = self.give(made, *[{"cmd": "Replace", "uri": POLICY + "A/P%d" % n, "data": "1"} for n in range(45)],
                        {"cmd": "Get", "uri": POLICY + "A"})
        self.assertEqual({tuple(g["status"]) for g in got}, {(200,)})
        self.assertEqual(len(got[-1]["results"][0]["data"].split("/")), 45)
        self.clean(made)


class Credentials(support.PeerCase):
    """W 5.6."""

    def run_scheme(self, *arguments, messages):
        self.serve(*arguments)
        made = self.enrolled()
        (got,) = self.give(made, {"cmd": "Get", "uri": "./DevInfo/Mod"})
        self.assertEqual(got["status"], [200])
        self.assertEqual(len(self.admin("GET", self.path(made, "sessions"))[-1]["messages"]), messages)
        made.sync()
        self.clean(made)
        return made

    def test_md5(self):
        made = self.run_scheme("--auth", "md5", messages=3)
        made.state["auth_secret"] = "wrong"
        with self.assertRaisesRegex(device.DeviceError, "refused"):
            made.sync()
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["AUTH-VALID"])

    def test_md5_once(self):
        self.run_scheme("--auth", "md5", "--auth-once", messages=3)

    def test_basic(self):
        self.run_scheme("--auth", "basic", messages=3)

    def test_signed(self):
        made = self.run_scheme("--auth", "signed", messages=2)
        made.settings.signature_header = "X-None"
        with self.assertRaisesRegex(device.DeviceError, "401"):
            made.sync()
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["AUTH-VALID"])

    def test_rekey(self):
        self.serve("--auth", "md5")
        made = self.enrolled()
        base = "./SyncML/DMAcc/PeerMDM/AppAuth/CLCRED/"
        got = self.give(made, {"cmd": "Replace", "uri": base + "AAuthSecret", "data": "new secret"})
        self.assertEqual(got[0]["status"], [200])
        self.assertEqual(made.state["auth_secret"], "new secret")
        made.sync()
        self.clean(made)

    def test_no_certificate_is_http_401(self):
        self.serve()
        made = self.enrolled()
        made.context = lambda with_certificate=True: device.http_client.tls_context(made.ca_file)
        with self.assertRaisesRegex(device.DeviceError, "401"):
            made.sync()
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["AUTH-VALID"])

    def test_certificate_of_another_authority_is_refused_by_tls(self):
        self.serve()
        made = self.enrolled()
        other, key = pki.Authority.make("other"), pki.make_key()
        pki.write_private(made.file("device.key"), pki.pem_key(key))
        pki.write_private(made.file("device.pem"), pki.pem_certificate(other.issue("x", key.public_key())))
        with self.assertRaises(device.DeviceError):
            made.sync()

    def test_another_device_s_certificate_with_my_source(self):
        self.serve()
        first, second = self.enrolled(), self.enrolled()
        first.state["source"] = second.state["source"]
        first.sync()
        self.assertEqual({v["rule"] for v in self.admin("GET", "/violations")}, {"SYN-SOURCE", "PKG-DEVID"})


class Sessions(support.PeerCase):
    """Session bookkeeping of the server."""

    def say(self, made, text: bytes):
        """One raw management message with the device's certificate."""
        headers = {"Content-Type": names.DM_XML, "Accept": names.DM_XML, "User-Agent": "MSFT OMA DM Client/1.2.0.1",
                   "MS-CV": "A" * 16 + ".0.0.1"}
        url = made.state["address"] + "?mode=Maintenance&Platform=WoA"
        return http_client.send_once("POST", url, made.context(), headers, text)

    def test_acknowledging_the_acknowledgement_is_named(self):
        self.serve()
        made = self.enrolled()
        made.sync()
        body = [syncml.status(1, 1, 0, "SyncHdr", 200)]
        message = syncml.message("1", 2, made.state["address"], made.state["device_id"], body, True)
        self.assertEqual(self.say(made, message).status, 200)
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["PKG-NEEDLESS"])

    def test_commands_left_unanswered_are_named(self):
        self.serve()
        made = self.enrolled()
        self.admin("POST", self.path(made, "commands"), {"cmd": "Get", "uri": "./DevDetail/SwV"})
        session = device.device_session.Session(made, "1201")
        message = syncml.message("9", 1, made.state["address"], made.state["device_id"], session.package_1(), True)
        self.say(made, message)
        made.sync()
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["PKG-CUT"])

    def test_garbage_with_a_certificate(self):
        self.serve()
        made = self.enrolled()
        self.assertEqual(self.say(made, b"garbage").status, 400)
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["SYN-XML"])
        made.sync()


class Leaving(support.PeerCase):
    """W 7."""

    def test_by_the_user(self):
        self.serve()
        made = self.enrolled()
        identity = made.state["device_id"]
        made.unenroll()
        self.assertEqual(self.admin("GET", "/devices/" + identity)["state"], "unenrolled")
        with self.assertRaisesRegex(device.DeviceError, "not enrolled"):
            made.sync()
        self.clean(made)

    def test_by_the_server(self):
        self.serve()
        made = self.enrolled()
        identity = made.state["device_id"]
        self.admin("POST", self.path(made, "unenroll"))
        made.sync()
        self.assertEqual(self.admin("GET", "/devices/" + identity)["state"], "unenrolled")
        self.assertEqual(made.state, {"seed": made.state["seed"]})
        self.clean(made)

    def test_wipe_and_enroll_again(self):
        self.serve()
        made = self.enrolled()
        hardware, first = made.state["hwdev_id"], made.state["device_id"]
        self.admin("POST", self.path(made, "commands"), {"cmd": "Exec", "uri": "./Device/Vendor/MSFT/RemoteWipe/doWipe"})
        made.sync()
        self.assertEqual(self.admin("GET", "/devices/%s/answers" % first)[0]["status"], [200])
        made.enroll(self.peer.base + "/EnrollmentServer/Discovery.svc", "user@example.test", "OnPremise", "secret")
        self.assertEqual(made.state["hwdev_id"], hardware)
        self.assertNotEqual(made.state["device_id"], first)
        self.clean(made)

    def test_reboot_ends_the_session(self):
        self.serve()
        made = self.enrolled()
        self.admin("POST", self.path(made, "commands"), {"cmd": "Exec", "uri": "./Device/Vendor/MSFT/Reboot/RebootNow"})
        self.assertEqual(made.sync()["end"], "reboot")
        made.sync()
        self.clean(made)


class AnyList(support.PeerCase):
    """W 11 (f): any list of commands, any limits: one Status each, references resolve, the session ends."""

    def command(self, chance, depth=0):
        """A random command."""
        uri = POLICY + "%s/%s" % (chance.choice("AB"), chance.choice("XYZ"))
        name = chance.choice(("Add", "Replace", "Delete", "Get", "Exec", "Atomic", "Sequence"))
        if name in ("Atomic", "Sequence"):
            if depth:
                name = "Replace"
            else:
                inner = [self.command(chance, 1) for _ in range(chance.randint(1, 4))]
                if name == "Atomic":     # without what a server may not do there (rules ATOM-…)
                    inner = [{**c, "cmd": "Replace" if c["cmd"] in ("Get", "Add") else c["cmd"], "data": "1"} for c in inner]
                return {"cmd": name, "commands": inner}
        if name == "Get":
            return {"cmd": "Get", "uri": chance.choice((uri, POLICY + "A", "./DevInfo", "./DevDetail/SwV", "./No"))}
        if name == "Exec":
            return {"cmd": "Exec", "uri": chance.choice(("./Vendor/MSFT/Defender/Scan", "./DevInfo/Man"))}
        data = "" if name == "Delete" else "ü<&" * chance.choice((0, 1, 1500))
        return {"cmd": name, "uri": uri, "data": data}

    def test_any_list(self):
        for seed in range(4):
            with self.subTest(seed):
                chance = random.Random(seed)
                limit = str(chance.choice((4000, 9000, 100000)))
                self.serve("--auth", chance.choice(("mtls", "md5")), "--batch", str(chance.randint(1, 60)),
                           "--max-msg-size", limit, "--send-limit", limit)
                made = self.enrolled()
                got = self.give(made, *[self.command(chance) for _ in range(50)])
                flat = [g for top in got for g in [top] + top.get("commands", [])]
                about = [(g["cmd"], g["uri"], g["status"], len(g["results"])) for g in flat]
                self.assertEqual([a for a in about if len(a[2]) != 1], [])
                self.assertEqual([a for a in about if a[3] != (a[0] == "Get" and a[2] == [200])], [])
                believed = self.admin("GET", self.path(made, "tree"))
                for key, node in made.tree.nodes.items():
                    if key.startswith("vendor/msft/policy/config/") and node.value is not None:
                        self.assertTrue(believed[key]["data"] == node.value, key)
                self.clean(made)

    def test_many_devices_at_once(self):
        self.serve("--pfn", "Peer.App_1")

        def live(_):
            made = self.enrolled()
            for _ in range(3):
                made.sync()
            return made
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            devices = list(pool.map(live, range(8)))
        self.assertEqual(len(self.admin("GET", "/devices")), 8)
        self.clean(*devices)


class Programs(support.PeerCase):
    """The two programs as they are run."""

    def test_a_life(self):
        folder = tempfile.mkdtemp(dir=support.ROOT)
        package = device.__package__
        top = os.path.abspath(os.path.join(os.path.dirname(device.__file__), *[".."] * (package.count(".") + 1)))
        ready = os.path.join(folder, "ready.json")
        files = support.FILES
        server = subprocess.Popen(
            [sys.executable, "-m", package + ".server", "--port", "0", "--ready-file", ready, "--policy", "Federated",
             "--cert", files["server.pem"], "--key", files["server.key"], "--ca", files["ca.pem"], "--ca-key",
             files["ca.key"], "--record", os.path.join(folder, "record")], cwd=top, stdout=subprocess.DEVNULL)
        self.addCleanup(server.wait, 120)
        self.addCleanup(server.kill)
        for _ in range(2400):
            if os.path.exists(ready):
                break
            time.sleep(0.05)
        with open(ready, encoding="utf-8") as stream:
            about = json.load(stream)
        self.base = about["admin"]
        done = subprocess.run(
            [sys.executable, "-m", package + ".device", "--state", os.path.join(folder, "device"), "--ca", about["ca"],
             "life", "--url", about["url"], "--auth", "Federated", "--sessions", "2"],
            cwd=top, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        self.assertEqual([e for e in events if e in ("logged-in", "enrolled", "session-end", "unenrolled", "done")],
                         ["logged-in", "enrolled", "session-end", "session-end", "session-end", "unenrolled", "done"])
        self.assertEqual(self.admin("GET", "/devices")[0]["state"], "unenrolled")
        self.clean()
        self.admin("POST", "/stop")
        self.assertEqual(server.wait(120), 0)


class Wire(support.PeerCase):
    """Odd bytes on the sockets."""

    def post(self, path: str, body: bytes, headers=None):
        context = ssl.create_default_context(cafile=support.FILES["ca.pem"])
        request = urllib.request.Request(self.peer.base + path, body, headers or {}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def test_garbage_is_a_fault_and_named(self):
        self.serve()
        status, body = self.post("/EnrollmentServer/Discovery.svc", b"<broken", {
            "Content-Type": "application/soap+xml; charset=utf-8", "User-Agent": "ENROLLClient"})
        self.assertEqual(status, 200)
        self.assertIn(b"MessageFormat", body)
        self.assertEqual([v["rule"] for v in self.admin("GET", "/violations")], ["SOAP-XML"])

    def test_management_garbage(self):
        self.serve()
        self.assertEqual(self.post("/peer/manage", b"garbage")[0], 401)

    def test_length_is_bounded(self):
        self.serve()
        self.assertEqual(self.post("/peer/manage", b"x", {"Content-Length": "99999999"})[0], 413)

    def test_unknown_paths(self):
        self.serve()
        self.assertEqual(self.post("/elsewhere", b"x")[0], 404)
        self.admin("GET", "/nothing", status=404)
        self.admin("GET", "/devices/none", status=404)

    def test_admin_refuses_nonsense(self):
        self.serve()
        made = self.enrolled()
        for body in ({"cmd": "Fly"}, {"cmd": "Get"}, {"cmd": "Atomic"}, "text", 7):
            self.admin("POST", self.path(made, "commands"), body, status=400)

    def test_admin_lists(self):
        self.serve()
        made = self.enrolled()
        made.sync()
        messages = self.admin("GET", "/messages")
        kinds = [m["kind"] for m in messages]
        for kind in ("discover", "discover-response", "policies", "policies-response", "rst", "provisioning", "rstr",
                     "syncml-client", "syncml-server"):
            self.assertIn(kind, kinds)
        self.assertEqual(self.admin("GET", "/messages?after=%d" % messages[-1]["number"]), [])
        self.assertEqual(len(self.admin("GET", "/rules")), len(device.checker.RULES))
        self.admin("DELETE", "/violations")

    def test_device_stays_on_this_machine(self):
        made = self.device()
        with self.assertRaisesRegex(OSError, "loopback"):
            made.enroll("https://192.0.2.1/EnrollmentServer/Discovery.svc", "u@example.test", "OnPremise")
