"""Shows that the server answers as the notes say, with clients of its own: `python -m unittest` in this folder."""

import contextlib
import hashlib
import http.client
import json
import os
import queue
import re
import socket
import threading
import time
import unittest

import paho.mqtt.client as mqtt

from client import INFO, MOSQUITTO, NOTHING, SECRET, WAIT, Broker, Server, sha1


class Case(unittest.TestCase):
    flags = ("--password-was-set",)

    def setUp(self):
        self.server = Server(*self.flags)
        self.addCleanup(self.server.stop)


class DeviceSide(Case):
    flags = ("--password-was-set", "--project", "/hmdm", "--polling-timeout", "0.5")

    def test_enroll_report_and_be_known(self):
        status, headers, body = self.server.enroll()
        self.assertEqual(status, 200)
        data = body.decode().split('"data":', 1)[1][:-1]
        self.assertEqual(headers["X-Response-Signature"], sha1(SECRET + re.sub(r"\s", "", data)))
        self.assertEqual(headers["X-IP-Address"], "127.0.0.1")
        data = json.loads(data)
        self.assertEqual((data["pushOptions"], data["keepaliveTime"], data["newNumber"]), ("mqttAlarm", 300, None))
        self.assertEqual(self.server.enroll(method="GET")[2], body)
        self.assertEqual(self.server.report(custom1="t1")[2], NOTHING)
        self.server.report(custom1="t2")
        device = self.server.truth()["devices"]["d1"]
        self.assertEqual(device["counts"], {"enroll": 1, "config": 1, "info": 2})
        self.assertEqual((device["custom1"], device["custom1_before"]), ("t2", ["t1"]))
        self.assertEqual(self.server.broken(), {})

    def test_unknown_numbers(self):
        for number, configuration in (("d1", None), ("d2", "99"), ("d3", "one")):
            said = json.loads(self.server.enroll(number, configuration)[2])
            self.assertEqual(said, {"status": "ERROR", "message": "error.notfound.device", "data": None})
        self.assertEqual(self.server.broken(), {})
        self.server.report()
        self.assertEqual(self.server.poll()[0], 404)
        self.assertEqual(self.server.broken(), {"unknown_number": 2})
        self.assertIn(b"<!doctype html>", self.server.call("GET", "/rest/elsewhere")[2])

    def test_found_by_its_serial(self):
        self.server.enroll()
        self.server.report()
        self.assertEqual(json.loads(self.server.enroll("S1")[2])["data"]["newNumber"], "d1")

    def test_new_number(self):
        self.server.enroll()
        self.server.play("number", number="d1", new="d9")
        self.assertEqual(json.loads(self.server.enroll("d1", method="GET")[2])["data"]["newNumber"], "d9")
        self.assertIsNone(json.loads(self.server.enroll("d9", method="GET")[2])["data"]["newNumber"])
        self.assertEqual(self.server.broken(), {})
        self.server.report()
        self.assertEqual(self.server.broken(), {"old_number": 1})

    def test_polls(self):
        self.server.enroll()
        status, headers, body = self.server.poll()
        self.assertEqual((status, headers["Connection"], b"<html" in body), (500, "close", True))
        once = "/rest/notifications/device/"
        self.assertEqual(self.server.poll(path=once)[2], b'{"status":"OK","message":null,"data":[]}')
        self.server.push(messageType="runApp", payload='{"pkg":"a"}', deviceNumbers=["d1"])
        messages = [{"messageType": "runApp", "payload": '{"pkg":"a"}'}]
        self.assertEqual(json.loads(self.server.poll()[2])["data"], messages)
        self.assertEqual(json.loads(self.server.poll(path=once)[2])["data"], [])
        self.assertEqual(self.server.broken(), {})

    def test_push_ends_a_held_poll(self):
        self.server.enroll()
        self.server.play("polls", timeout=600)
        said = queue.Queue()
        threading.Thread(target=lambda: said.put(self.server.poll()), daemon=True).start()
        end = time.monotonic() + WAIT
        while not self.server.truth()["pushes"]["polls_held"]:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        self.server.push(messageType="reboot", broadcast=True)
        self.assertEqual(json.loads(said.get(timeout=WAIT)[2])["data"], [{"messageType": "reboot", "payload": None}])
        self.assertEqual(self.server.truth()["devices"]["d1"]["rows"], 0)

    def test_what_is_uploaded(self):
        self.server.enroll()
        rules = self.server.call("GET", "/rest/plugins/devicelog/log/rules/d1")[2]
        self.assertEqual(len(rules), 86)
        now = int(time.time() * 1000)
        log = {"timestamp": now, "logLevel": 3, "packageId": "com.hmdm.launcher", "message": "m"}
        path = "/rest/plugins/deviceinfo/deviceinfo"
        self.assertEqual(self.server.call("POST", "/rest/plugins/devicelog/log/list/d1", [log] * 10)[2], NOTHING)
        self.server.play("details", sendData=True)
        self.assertTrue(self.server.data("GET", f"{path}-plugin-settings/device/d1")["sendData"])
        self.server.call("PUT", f"{path}/public/d1", [{"ts": now, "device": {"batteryLevel": 1}, "wifi": {"rssi": -50}}])
        setting = {"packageId": "a", "name": "n", "type": 1, "value": "v", "readOnly": False, "lastUpdate": now}
        self.server.call("POST", "/rest/public/sync/applicationSettings/d1", [setting])
        self.server.private("PUT", "/configurations", {"id": 1, "name": "A", "requestUpdates": "gps", "reboot": True,
                                                       "password": "1", "applications": []})
        self.assertTrue(json.loads(self.server.enroll(method="GET")[2])["data"]["reboot"])
        self.server.call("PUT", "/rest/plugins/devicelocations/public/update/d1", [{"ts": now, "lat": 1.5, "lon": 2}])
        self.server.call("POST", "/rest/plugins/devicereset/public/reboot/d1", INFO)
        self.assertIsNone(json.loads(self.server.enroll(method="GET")[2])["data"]["reboot"])
        device = self.server.truth()["devices"]["d1"]
        self.assertEqual((device["logs"], device["details"], device["locations"], device["resets"]), (10, 1, 1, {"reboot": 1}))
        self.assertEqual(device["settings"], [setting])
        self.assertEqual(self.server.broken(), {})

    def test_files(self):
        made = self.server.play("file", path="a b.apk", size=1000)
        path, signed = "/files/a%20b.apk", {"X-Request-Signature": sha1(SECRET + "a b.apk")}
        status, headers, whole = self.server.call("GET", path, headers=signed)
        self.assertEqual((status, hashlib.md5(whole).hexdigest()), (200, made["checksum"]))
        self.assertEqual(headers["Content-Type"], "application/vnd.android.package-archive")
        for asked, part in (("bytes=990-", (990, 999)), ("bytes=0-9", (0, 9)), ("bytes=-5", (995, 999))):
            status, headers, body = self.server.call("GET", path, headers={**signed, "Range": asked})
            self.assertEqual((status, body), (206, whole[part[0]:part[1] + 1]))
            self.assertEqual(headers["Content-Range"], f"bytes {part[0]}-{part[1]}/1000")
        status, headers, _ = self.server.call("GET", path, headers={**signed, "Range": "bytes=1000-"})
        self.assertEqual((status, headers["Content-Range"]), (416, "bytes */1000"))
        self.assertEqual(self.server.broken(), {})
        self.assertEqual(self.server.call("GET", path, headers={**signed, "Range": "bytes=5-2"})[2], whole)
        self.server.play("file_wrong", path="a b.apk")
        self.assertNotEqual(self.server.call("GET", path, headers=signed)[2], whole)
        self.assertEqual(self.server.broken(), {"range_form": 1})

    def test_a_file_of_a_configuration(self):
        made = self.server.play("file", path="wall.png", text="png")
        self.server.private("PUT", "/configurations", {"id": 1, "name": "A", "password": "1", "applications": [], "files": [
            {"path": "/Download/wall.png", "url": made["url_by_device"], "lastUpdate": 1}]})
        file = json.loads(self.server.enroll("d/1")[2])["data"]["files"][0]
        self.assertEqual(file["checksum"], made["checksum"])
        path = file["url"].removeprefix(self.server.ready["bases"][0])
        self.assertEqual(path, "/files/of/d%2F1/wall.png")
        signed = {"X-Request-Signature": sha1(SECRET + path.removeprefix("/files/"))}
        self.assertEqual(self.server.call("GET", path, headers=signed)[2], b"png")
        self.assertEqual(self.server.truth()["devices"]["d/1"]["files"], {"wall.png": {"count": 1, "ranges": [None]}})


class Referee(Case):
    def broken_by(self, call):
        self.server.play("broken_clear")
        call()
        return sorted(self.server.broken())

    def test_what_is_not_right_is_named(self):
        self.server.enroll()
        call, report = self.server.call, self.server.report
        config = "/rest/public/sync/configuration/d1"
        right = {"X-Request-Signature": sha1(SECRET + "d1"), "X-CPU-Arch": "arm64-v8a"}
        enroll = {"customer": None, "configuration": None, "groups": None}
        now = int(time.time() * 1000)
        cases = {
            ("cpu_arch_missing", "signature_missing"): lambda: call("GET", config),
            ("signature_wrong",): lambda: call("GET", config, headers={**right, "X-Request-Signature": "0" * 40}),
            ("signature_case",): lambda: call("GET", config, headers={**right, "X-Request-Signature": sha1(
                SECRET + "d1").lower()}),
            ("cpu_arch_unknown",): lambda: call("GET", config, headers={**right, "X-CPU-Arch": "mips"}),
            ("query",): lambda: call("GET", config + "?a=1", headers=right),
            ("content_type",): lambda: call("POST", config, b"{}", {**right, "Content-Type": "text/plain"}),
            ("json",): lambda: call("POST", config, b"{", right),
            ("enroll_shape",): lambda: call("POST", config, {**enroll, "configuration": 1}, right),
            ("info_permissions",): lambda: report(permissions=[1, 1, 1]),
            ("info_shape",): lambda: report(batteryLevel="80"),
            ("info_battery",): lambda: report(batteryLevel=101),
            ("info_unknown_field",): lambda: report(batery=1),
            ("info_applications",): lambda: report(applications=[{"pkg": "a", "name": "A"}]),
            ("info_duplicate_app",): lambda: report(applications=[{"pkg": "a", "name": "A", "version": "1"}] * 2),
            ("info_location",): lambda: report(location={"ts": now // 1000, "lat": 1, "lon": 1}),
            ("unknown_number",): lambda: report(deviceId="d77"),
            ("log_batch", "log_unasked"): lambda: call("POST", "/rest/plugins/devicelog/log/list/d1", [
                {"timestamp": now, "logLevel": 3, "packageId": "com.hmdm.launcher", "message": "m"}] * 11),
            ("detail_unasked",): lambda: call("PUT", "/rest/plugins/deviceinfo/deviceinfo/public/d1", [{"ts": now}]),
            ("locations_shape", "locations_unasked"): lambda: call(
                "PUT", "/rest/plugins/devicelocations/public/update/d1", [{"ts": now, "lat": 91, "lon": 0}]),
            ("settings_shape",): lambda: call("POST", "/rest/public/sync/applicationSettings/d1", [{"name": 1}]),
            ("reset_number", "reset_unasked"): lambda: call(
                "POST", "/rest/plugins/devicereset/public/d1", {**INFO, "deviceId": "d2"}),
            ("path_form", "unknown_number"): lambda: call("GET", "/rest/plugins/devicelog/log/rules/d%zz"),
            ("method",): lambda: call("DELETE", config),
            ("unknown_path",): lambda: call("GET", "//rest/public/sync/info"),
            ("signature_missing",): lambda: call("GET", "/rest/notifications/device/d1"),
            ("body",): lambda: call("POST", "/rest/public/sync/info", b"x" * (9 << 20)),
        }
        for rules, bad in cases.items():
            with self.subTest(rules), contextlib.suppress(ConnectionError):
                self.assertEqual(self.broken_by(bad), sorted(rules))

    def test_what_is_not_http(self):
        with socket.create_connection(("127.0.0.1", self.server.port)) as one:
            one.sendall(b"NOT HTTP AT ALL\r\n\r\n")
            self.assertIn(b" 400 ", one.recv(200))
        self.assertEqual(self.server.broken(), {"http": 1})

    def test_chunks_are_read(self):
        self.server.enroll()
        body = json.dumps(INFO).encode()
        with socket.create_connection(("127.0.0.1", self.server.port)) as one:
            one.sendall(b"POST /rest/public/sync/info HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            self.assertIn(NOTHING, one.recv(4096))
        self.assertEqual(self.server.broken(), {})


class Strict(Case):
    flags = ("--password-was-set", "--strict-signatures", "--polling-timeout", "0.2", "--poll-signature", "either",
             "--project", "/hmdm")

    def test_wrong_signatures_are_refused_where_the_real_server_does(self):
        config = "/rest/public/sync/configuration/d1"
        self.server.enroll()
        said = json.loads(self.server.call("GET", config, headers={"X-CPU-Arch": "arm64-v8a"})[2])
        self.assertEqual(said["message"], "error.permission.denied")
        self.assertEqual(self.server.report()[2], NOTHING)
        self.assertEqual(self.server.call("GET", "/rest/notifications/device/d1")[0], 200)
        # The agent leaves out the slash before its project, so it is refused for ever.
        self.assertEqual(self.server.poll()[0], 403)
        path = "/rest/notification/polling/d1"
        right = {"X-Request-Signature": sha1(f"{SECRET}/hmdm{path}").lower()}
        self.assertEqual(self.server.call("GET", path, headers=right)[0], 500)


class AdminSide(Case):
    flags = ()

    def test_the_first_password_has_to_go(self):
        status, headers, body = self.server.call("POST", "/rest/public/auth/login", self.server.ready["login"])
        data, cookie = json.loads(body)["data"], {"Cookie": headers["Set-Cookie"].split(";")[0]}
        self.assertTrue(data["passwordReset"])
        search = ("GET", "/rest/private/configurations/search")
        self.assertEqual(self.server.call(*search, headers=cookie)[0], 403)
        self.server.data("POST", "/rest/public/passwordReset/reset",
                         {"passwordResetToken": data["passwordResetToken"], "newPassword": "A" * 32})
        self.assertEqual(self.server.call(*search)[0], 403)
        self.assertEqual([one["id"] for one in self.server.data(*search, headers=cookie)], [1, 2])
        began = time.monotonic()
        self.assertEqual(self.server.call("POST", "/rest/public/jwt/login", self.server.ready["login"])[0], 401)
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_devices(self):
        login = self.server.data("POST", "/rest/public/auth/login", self.server.ready["login"])
        self.server.data("POST", "/rest/public/passwordReset/reset", {
            "passwordResetToken": login["passwordResetToken"], "newPassword": self.server.ready["login"]["password"]})
        new = {"number": "d1", "configurationId": 1, "groups": []}
        self.assertIsNone(self.server.private("PUT", "/devices", new))
        with self.assertRaisesRegex(AssertionError, "error.duplicate.device"):
            self.server.private("PUT", "/devices", new)
        found = self.server.private("POST", "/devices/search", {"pageNum": 1, "pageSize": 50, "value": ""})
        self.assertEqual(found["devices"]["totalItemsCount"], 1)
        self.assertTrue(found["configurations"]["1"]["applications"])
        self.server.private("DELETE", f"/devices/{found['devices']['items'][0]['id']}")
        self.server.report()
        self.assertEqual(self.server.truth()["deleted"], ["d1"])
        self.assertEqual(self.server.broken(), {})


class Broken(Case):
    flags = ("--password-was-set", "--also-port", "0")

    def test_levers(self):
        self.server.enroll()
        right = self.server.enroll(method="GET")[1]["X-Response-Signature"]
        self.server.play("signature", mode="wrong", numbers=["d1"])
        self.assertNotEqual(self.server.enroll(method="GET")[1]["X-Response-Signature"], right)
        self.server.play("signature", mode="missing")
        self.assertIsNone(self.server.enroll(method="GET")[1]["X-Response-Signature"])
        info = "/rest/public/sync/info"
        self.server.play("fault", path=info, kind="503", times=2)
        self.assertEqual([self.server.report()[0] for _ in range(3)], [503, 503, 200])
        self.server.play("fault", path=info, kind="html")
        self.assertIn(b"<html", self.server.report()[2])
        self.server.play("fault", path=info, kind="oversized", bytes=100_000, chunked=True)
        self.assertEqual(len(self.server.report()[2]), 100_000)
        for fault in ({"kind": "close"}, {"kind": "cut", "after": 10}, {"kind": "hang", "seconds": 0.1}):
            self.server.play("fault", path=info, **fault)
            with self.assertRaises((http.client.HTTPException, ConnectionError)):
                self.server.report()
        self.assertIn("error", self.server.play("fault", path=info, kind="no such"))

    def test_the_second_port(self):
        also = self.server.ready["ports"][1]
        self.server.play("refuse", port="first", how="503")
        self.assertEqual(self.server.enroll()[0], 503)
        self.server.play("refuse", port="first", how="close")
        with self.assertRaises((http.client.HTTPException, ConnectionError)):
            self.server.enroll()
        self.assertEqual(self.server.enroll(port=also)[0], 200)
        self.assertEqual(self.server.truth()["ports"]["also"], 1)


@unittest.skipUnless(os.path.exists(MOSQUITTO), "mosquitto is not here")
class ByMqtt(unittest.TestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.stop)
        self.server = Server("--password-was-set", "--mqtt", f"127.0.0.1:{self.broker.port}", "--polling-timeout", "0.5")
        self.addCleanup(self.server.stop)
        self.came = queue.Queue()

    def device(self, number):
        subscribed = threading.Event()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=number, clean_session=False)
        client.username_pw_set("hmdm", sha1("hmdm" + SECRET))
        client.on_connect = lambda *_: client.subscribe(number, 2)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _c, _u, message: self.came.put((message.topic, message.payload.decode(), message.qos))
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        self.assertTrue(subscribed.wait(WAIT))
        return client

    def test_both_ways(self):
        self.assertTrue(self.server.ready["mqtt"])
        self.server.enroll()
        client = self.device("d1")
        self.server.private("PUT", "/configurations", {"id": 1, "name": "A", "password": "1", "applications": []})
        # It was told before the call was answered, or is just about to hear.
        self.assertEqual(self.came.get(timeout=WAIT), ("d1", '{messageType: "configUpdated"}', 2))
        self.server.push(messageType="runApp", payload='{"pkg":"com.x"}', deviceNumbers=["d1", "nobody"])
        self.assertEqual(self.came.get(timeout=WAIT)[1], '{messageType: "runApp", payload: {"pkg":"com.x"}}')
        again = json.loads(self.server.poll()[2])["data"]
        self.assertEqual([one["messageType"] for one in again], ["configUpdated", "runApp"])
        client.disconnect()
        client.loop_stop()
        self.server.push(messageType="reboot", broadcast=True)
        client = self.device("d1")
        self.assertEqual(self.came.get(timeout=WAIT)[1], '{messageType: "reboot"}')
        client.disconnect()
        client.loop_stop()
        pushes = self.server.truth()["pushes"]
        self.assertEqual((pushes["mqtt"], pushes["row"]["kept"], pushes["unknown"]), ({"sent": 3}, 3, {"numbers": 1}))


if __name__ == "__main__":
    unittest.main()
