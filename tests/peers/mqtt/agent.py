"""The agent's side of the protocol over HTTP, written from notes on the real server and its agent."""

import hashlib
import http.client
import json
import threading

from server import SECRET, WAIT_S, Device, sha1, until


def case_sync(server):
    """First contact: enrolled on demand, configured, heard of."""
    device = Device(server, "d1")
    answer = device.enroll()
    config = answer.data()
    assert answer.signed() and 8_000 < len(answer.body) < 11_000, len(answer.body)
    assert (len(config["applications"]), config["pushOptions"], config["keepaliveTime"]) == (40, "mqttAlarm", 300)
    for application in config["applications"]:
        assert {"id", "name", "pkg", "version", "type", "system", "showIcon", "url", "remove"} <= set(application)
    assert config["newNumber"] is None and config["newServerUrl"] is None, "what is not set is null"
    assert device.sync().body == answer.body
    report = device.report(unknown={"fields": ["are", "ignored"]})
    assert report.body == b'{"status":"OK","message":null,"data":null}'
    believed = server.believes("d1")
    assert believed["acknowledged"] == believed["digest"] != None  # noqa: E711
    assert (believed["info"]["model"], believed["info"]["applications"]) == ("Pixel 8", 0)
    # Reporting creates as well.
    Device(server, "d2").report().data()
    assert server.believes("d2")["acknowledged"] is None
    truth = server.truth()["agents"]
    assert (truth["enrolled"], truth["configurations"], truth["reports"]) == (2, 2, 2), truth


def case_strangers(server):
    """Nobody is made on demand, but by naming a configuration."""
    stranger = Device(server, "d1")
    stranger.enroll().refused("error.notfound.device")
    stranger.sync().refused("error.notfound.device")
    stranger.report().refused("error.notfound.device")
    server.configure("kiosk", {"kioskMode": True, "mainApp": "com.example.kiosk"})
    stranger.enroll(configuration="nothing").refused("error.notfound.device")
    config = stranger.enroll(configuration="kiosk").data()
    assert (config["kioskMode"], config["mainApp"]) == (True, "com.example.kiosk")
    assert server.believes("d1")["configuration"] == "kiosk"
    answer = server.ask("POST", "/rest/public/sync/configuration/d1", "{no json")
    assert answer.status == 400 and answer.headers["Content-Type"].startswith("text/plain"), answer.body
    assert server.ask("GET", "/rest/public/nothing").status == 404


def case_secured(server):
    """Configurations and long polls are only for who knows the secret; reports and short polls are for everybody."""
    device = Device(server, "d1")
    device.sync("POST", {}, signature="guess").refused("error.permission.denied")
    device.sync("POST", {}, signature=sha1(SECRET + "d2")).refused("error.permission.denied")
    device.sync("POST", {}, signature=sha1(SECRET + "d1").lower()).data()
    device.report().data()
    device.poll_once().data()
    refused = device.poll(signature="guess")
    assert refused.status == 403 and b"<html" in refused.body
    server.push("reboot", "d1")
    assert device.poll().data() == [{"messageType": "reboot", "payload": None}]
    # The agent signs what it writes into the URL, the server what it reads from it.
    spaced = Device(server, "d 1")
    spaced.enroll().data()
    assert spaced.poll().status == 403


def case_project(server):
    """A server below a path: signed with and without the slash in front of it."""
    device = Device(server, "d1", project="hmdm")
    device.enroll().data()
    server.push("reboot", "d1")
    assert len(device.poll(signature=sha1(SECRET + "/hmdm/rest/notification/polling/d1")).data()) == 1
    server.push("reboot", "d1")
    assert len(device.poll(signature=sha1(SECRET + "hmdm/rest/notification/polling/d1")).data()) == 1
    assert Device(server, "d1").sync().status == 404


def held(device):
    """A poll in a thread of its own, which is there by now. One that nobody waits for ends with the program."""
    before = device.server.truth()["agents"].get("held", 0)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(device.poll()), daemon=True)
    thread.start()
    until(lambda: device.server.truth()["agents"].get("held", 0) > before)

    def wait():
        thread.join(WAIT_S)
        return answers.pop()

    return wait


def case_polls(server):
    device = Device(server, "d1")
    device.enroll()
    assert device.poll_once().body == b'{"status":"OK","message":null,"data":[]}'
    # What waits is said at once, and only once. A payload is JSON in a string.
    server.push("runApp", "d1", payload={"pkg": "com.x"})
    server.push("configUpdated", "d1")
    said = device.poll().data()
    assert [(one["messageType"], one["payload"]) for one in said] == [("runApp", '{"pkg":"com.x"}'), ("configUpdated", None)]
    server.push("reboot", "d1")
    assert [one["messageType"] for one in device.poll_once().data()] == ["reboot"]
    assert device.poll_once().data() == []
    # Who is held hears at once, and finds nothing of it later.
    wait = held(device)
    server.push("exitKiosk", "d1")
    assert [one["messageType"] for one in wait().data()] == ["exitKiosk"]
    assert device.poll_once().data() == []
    # Who is cut off while it is held misses nothing.
    path = device.path("notification/polling")
    connection = http.client.HTTPConnection(server.url.netloc, timeout=WAIT_S)
    before = server.truth()["agents"]["held"]
    connection.request("GET", path, headers={"X-Request-Signature": sha1(SECRET + path)})
    until(lambda: server.truth()["agents"]["held"] > before)
    connection.close()
    until(lambda: server.truth()["agents"].get("abandoned", 0) == 1)
    server.push("adminPanel", "d1")
    assert [one["messageType"] for one in device.poll_once().data()] == ["adminPanel"]
    # The later one has the word.
    _first, second = held(device), held(device)
    server.push("reboot", "d1")
    assert [one["messageType"] for one in second().data()] == ["reboot"]


def case_idle(server):
    """Nothing to say for long enough: an error by its status, and none by its meaning."""
    device = Device(server, "d1")
    device.enroll()
    idle = device.poll()
    assert idle.status == 500 and 600 <= len(idle.body) <= 700 and idle.headers["Content-Type"].startswith("text/html")
    assert server.truth()["agents"]["idle"] == 1


def case_both_ways(server):
    """MQTT and the next poll bring the same message, unless a poll is held."""
    device = Device(server, "d1")
    device.enroll()
    line = device.mqtt()
    server.push("reboot", "d1")
    assert line.hear() == ("d1", '{messageType: "reboot"}')
    assert [one["messageType"] for one in device.poll_once().data()] == ["reboot"]
    wait = held(device)
    server.push("exitKiosk", "d1")
    assert line.hear() == ("d1", '{messageType: "exitKiosk"}')
    assert [one["messageType"] for one in wait().data()] == ["exitKiosk"]
    assert device.poll_once().data() == []


def case_configurations(server):
    """A configuration that changes: pushed, fetched, and known to have arrived by the next report."""
    devices = [Device(server, number) for number in ("a", "b", "c")]
    for device in devices:
        device.enroll().data()
        device.report().data()
    lines = [device.mqtt() for device in devices]
    before = server.believes("a")["digest"]
    change = server.configure("default", {"kioskMode": True})
    assert change["devices"] == 3 and change["digest"] != before
    for line in lines:
        assert line.hear() == (line.number, '{messageType: "configUpdated"}')
        assert server.believes(line.number)["acknowledged"] == before
    a = devices[0]
    config = a.sync()
    assert config.data()["kioskMode"] is True and hashlib.sha256(data_of(config)).hexdigest() == change["digest"]
    assert server.believes("a")["acknowledged"] == before, "fetched is not applied"
    a.report()
    assert server.believes("a")["acknowledged"] == change["digest"]
    devices[2].report()
    assert server.believes("c")["acknowledged"] == before, "a report says nothing of what was not fetched"
    # A group is whoever is given another configuration.
    moved = server.configure("bigger", {"custom1": "x" * 10}, "b", "nobody")
    assert (moved["devices"], moved["failed"]) == (1, {"nobody": "not enrolled"})
    assert lines[1].hear() == ("b", '{messageType: "configUpdated"}')
    assert devices[1].sync().data()["custom1"] == "x" * 10 and devices[1].sync().data()["kioskMode"] is None
    assert server.believes("c")["configuration"] == "default" and lines[2].heard.empty()
    # Also by its IMEI, and told by which number it is known.
    a.report(imei="350000000000001")
    assert a.sync(number="350000000000001", signature="").data()["newNumber"] == "a"


def data_of(answer):
    return answer.body[answer.body.index(b'"data":') + len(b'"data":') : -1]


def case_files(server):
    """A file has the same bytes however it is fetched."""
    device = Device(server, "d1")
    application = device.enroll().data()["applications"][0]
    path = application["url"].split(server.url.netloc, 1)[1]
    whole = server.ask("GET", path)
    assert whole.status == 200 and len(whole.body) == int(whole.headers["Content-Length"]) > 1_000_000
    pieces, at = hashlib.sha256(), 0
    while at < len(whole.body):
        piece = server.ask("GET", path, headers={"Range": f"bytes={at}-{at + 299_999}"})
        last = min(at + 300_000, len(whole.body)) - 1
        assert piece.status == 206
        assert piece.headers["Content-Range"] == f"bytes {at}-{last}/{len(whole.body)}"
        pieces.update(piece.body)
        at += len(piece.body)
    assert pieces.digest() == hashlib.sha256(whole.body).digest()
    tail = server.ask("GET", path, headers={"Range": f"bytes={len(whole.body) - 5}-"})
    assert (tail.status, tail.body) == (206, whole.body[-5:])
    beyond = server.ask("GET", path, headers={"Range": f"bytes={len(whole.body)}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole.body)}")
    assert server.ask("GET", "/files/other.apk?bytes=10").body != server.ask("GET", "/files/another.apk?bytes=10").body


def case_plugins(server):
    device = Device(server, "d1")
    device.enroll()
    rules = server.ask("GET", device.path("plugins/devicelog/log/rules")).data()
    assert isinstance(rules, list)
    row = {"timestamp": 1_700_000_000_000, "logLevel": 3, "packageId": "com.x", "message": "m"}
    assert server.ask("POST", device.path("plugins/devicelog/log/list"), [row] * 10).body == b'{"status":"OK","message":null,"data":null}'
    settings = server.ask("GET", device.path("plugins/deviceinfo/deviceinfo-plugin-settings/device")).data()
    assert settings == {"intervalMins": 15, "sendData": False}
    server.ask("PUT", device.path("plugins/deviceinfo/deviceinfo/public"), [{"device": {"batteryLevel": 1}}]).data()
    made = {"packageId": "com.x", "name": "theme", "type": 1, "value": "dark", "readonly": False, "lastUpdate": 5}
    server.ask("POST", device.path("public/sync/applicationSettings"), [made]).data()
    server.ask("PUT", device.path("plugins/devicelocations/public/update"), [{"ts": 1, "lat": 1.0, "lon": 2.0}]).data()
    server.ask("POST", device.path("plugins/devicereset/public"), {}).data()
    assert server.truth()["agents"]["log_lines"] == 10
    assert server.truth()["agents"]["settings"] == 1


def case_failing(server):
    """What goes wrong on order, a kind for each device; the truth names it."""
    devices = {number: Device(server, number) for number in ("sign", "lose", "forget", "repeat", "wrong", "right", "error")}
    told = {number: device.enroll() for number, device in devices.items() if number != "error"}
    assert [number for number, answer in told.items() if not answer.signed()] == ["sign"]
    assert devices["error"].enroll().status == 500
    server.configure("marked", {"custom1": "theirs"}, "wrong")
    assert devices["wrong"].sync().data()["custom1"] is None, "another's"
    for number in ("lose", "forget", "repeat"):
        server.push("reboot", number)
    heard = {number: [one["messageType"] for one in devices[number].poll_once().data()] for number in ("lose", "forget", "repeat")}
    assert heard == {"lose": [], "forget": [], "repeat": ["reboot", "reboot"]}, heard
    kinds = server.truth()["faults"]
    expected = {"wrong_signature", "answer", "misdeliver_command", "lose_command", "forget_push", "repeat_command"}
    assert expected <= set(kinds), json.dumps(kinds)


def case_rename(server):
    device = Device(server, "old")
    device.enroll().data()
    line = device.mqtt()
    server.admin("PUT", "devices/old?number=new")
    assert line.hear() == ("old", '{messageType: "configUpdated"}')
    assert device.sync().data()["newNumber"] == "new"
    moved = Device(server, "new")
    assert moved.sync().data()["newNumber"] is None
    moved.report()
    assert server.believes("old") is None and server.believes("new")["acknowledged"] is not None
