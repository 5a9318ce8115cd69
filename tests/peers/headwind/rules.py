"""What a device has to keep to. Each check yields (rule, reason) for each rule that was broken."""

import re
from urllib.parse import quote, quote_plus, unquote

from state import sha1

ARCHITECTURES = {"arm64-v8a", "armeabi-v7a"}
LOGS_IN_A_REQUEST = 10
MILLISECONDS = range(10**12, 10**13)      # 2001 to 2286: seconds and microseconds are found out
TEXT, FLAG, WHOLE, NUMBER, LIST, OBJECT = "text", "flag", "whole", "number", "list", "object"

# name: (type, may be left out or null)
INFO = {
    "deviceId": (TEXT, False), "model": (TEXT, False), "permissions": (LIST, False), "applications": (LIST, False),
    "files": (LIST, False), "mdmMode": (FLAG, False), "kioskMode": (FLAG, False), "batteryLevel": (WHOLE, False),
    "batteryCharging": (TEXT, True), "androidVersion": (TEXT, False), "launcherType": (TEXT, False),
    "launcherPackage": (TEXT, False), "defaultLauncher": (FLAG, False), "cpu": (TEXT, False), "serial": (TEXT, True),
    "location": (OBJECT, True), "factoryReset": (FLAG, True),
    **{name: (TEXT, True) for name in "phone imei iccid imsi phone2 imei2 iccid2 imsi2 custom1 custom2 custom3".split()},
}
APPLICATION = {"pkg": (TEXT, False), "name": (TEXT, False), "version": (TEXT, False)}
FILE = {"path": (TEXT, False), "url": (TEXT, True), "lastUpdate": (WHOLE, True), "checksum": (TEXT, True),
        "remove": (FLAG, True), "varContent": (FLAG, True), "description": (TEXT, True)}
LOCATION = {"ts": (WHOLE, False), "lat": (NUMBER, False), "lon": (NUMBER, False)}
LOG = {"timestamp": (WHOLE, False), "logLevel": (WHOLE, False), "packageId": (TEXT, False), "message": (TEXT, False)}
SETTING = {"packageId": (TEXT, False), "name": (TEXT, False), "type": (WHOLE, False), "value": (TEXT, True),
           "readOnly": (FLAG, True), "readonly": (FLAG, True), "variable": (FLAG, True), "lastUpdate": (WHOLE, False)}
ENROLL = {"customer": (TEXT, True), "configuration": (TEXT, True), "groups": (LIST, True)}
DETAIL = {"ts": (WHOLE, False), "device": (OBJECT, True), "wifi": (OBJECT, True), "gps": (OBJECT, True),
          "mobile": (OBJECT, True), "mobile2": (OBJECT, True)}
MOBILE = {"rssi": WHOLE, "carrier": TEXT, "number": TEXT, "imsi": TEXT, "data": FLAG, "ip": TEXT, "state": TEXT,
          "simState": TEXT, "tx": WHOLE, "rx": WHOLE}
DETAIL_PARTS = {
    "device": {"batteryLevel": WHOLE, "batteryCharging": TEXT, "wifi": FLAG, "gps": FLAG, "ip": TEXT, "keyguard": FLAG,
               "ringVolume": WHOLE, "mobileData": FLAG, "bluetooth": FLAG, "usbStorage": FLAG, "memoryTotal": WHOLE,
               "memoryAvailable": WHOLE},
    "wifi": {"rssi": WHOLE, "ssid": TEXT, "security": TEXT, "state": TEXT, "ip": TEXT, "tx": WHOLE, "rx": WHOLE},
    "gps": {"state": TEXT, "provider": TEXT, "lat": NUMBER, "lon": NUMBER, "alt": NUMBER, "speed": NUMBER,
            "course": NUMBER},
    "mobile": MOBILE, "mobile2": MOBILE,
}


def is_a(kind, value):
    if kind in (WHOLE, NUMBER):
        return not isinstance(value, bool) and isinstance(value, int if kind == WHOLE else (int, float))
    return isinstance(value, {TEXT: str, FLAG: bool, LIST: list, OBJECT: dict}[kind])


def shape(rule, value, names, where=""):
    if not isinstance(value, dict):
        yield rule, f"{where or 'the body'} is no object"
        return
    for name, (kind, optional) in names.items():
        if value.get(name) is None:
            if not optional:
                yield rule, f"{where}{name} is left out or null"
        elif not is_a(kind, value[name]):
            yield rule, f"{where}{name} is no {kind}: {value[name]!r:.60}"


def each(rule, items, names):
    if not isinstance(items, list):
        yield rule, "the body is no list"
        return
    if not items:
        yield rule, "the list is empty"
    for n, item in enumerate(items):
        yield from shape(rule, item, names, f"[{n}].")


def moment(rule, value, where):
    if is_a(WHOLE, value) and value not in MILLISECONDS:
        yield rule, f"{where} is not in milliseconds since 1970: {value}"


def place(rule, value, where=""):
    """A location's values, once its shape is right."""
    if isinstance(value, dict):
        yield from moment(rule, value.get("ts"), f"{where}ts")
        for name, most in (("lat", 90), ("lon", 180)):
            if is_a(NUMBER, value.get(name)) and abs(value[name]) > most:
                yield rule, f"{where}{name} is off the globe: {value[name]}"


def enroll(body):
    yield from shape("enroll_shape", body, ENROLL)
    if isinstance(body, dict):
        for name in ENROLL.keys() - body.keys():
            yield "enroll_shape", f"{name} is left out, rather than null"
        for name in body.keys() - ENROLL.keys():
            yield "enroll_shape", f"{name} is not known"
        if any(not isinstance(group, str) for group in body.get("groups") or []):
            yield "enroll_shape", "groups are no texts"


def info(body):
    yield from shape("info_shape", body, INFO)
    if not isinstance(body, dict):
        return
    for name in body.keys() - INFO.keys():
        yield "info_unknown_field", f"{name} is not known"
    permissions = body.get("permissions")
    if isinstance(permissions, list) and (len(permissions) != 4 or any(type(one) is not int or one not in (0, 1)
                                                                         for one in permissions)):
        yield "info_permissions", f"not four of 0 or 1: {permissions!r:.60}"
    if is_a(WHOLE, body.get("batteryLevel")) and not 0 <= body["batteryLevel"] <= 100:
        yield "info_battery", f"batteryLevel is {body['batteryLevel']}"
    if isinstance(body.get("batteryCharging"), str) and body["batteryCharging"] not in ("", "usb", "ac"):
        yield "info_battery", f"batteryCharging is {body['batteryCharging']!r:.60}"
    seen = set()
    for n, one in enumerate(body["applications"] if isinstance(body.get("applications"), list) else []):
        yield from shape("info_applications", one, APPLICATION, f"applications[{n}].")
        package = str(one.get("pkg")).lower() if isinstance(one, dict) else None
        if package in seen:
            yield "info_duplicate_app", f"applications[{n}] is there twice: {package}"
        seen.add(package)
    for n, one in enumerate(body["files"] if isinstance(body.get("files"), list) else []):
        yield from shape("info_files", one, FILE, f"files[{n}].")
    if isinstance(body.get("location"), dict):
        yield from shape("info_location", body["location"], LOCATION, "location.")
        yield from place("info_location", body["location"], "location.")


def locations(body):
    yield from each("locations_shape", body, LOCATION)
    for n, one in enumerate(body if isinstance(body, list) else []):
        yield from place("locations_shape", one, f"[{n}].")


def logs(body, handed):
    yield from each("log_shape", body, LOG)
    items = body if isinstance(body, list) else []
    if len(items) > LOGS_IN_A_REQUEST:
        yield "log_batch", f"{len(items)} in one request"
    for n, one in enumerate(items):
        if any(shape("log_shape", one, LOG)):
            continue
        yield from moment("log_shape", one["timestamp"], f"[{n}].timestamp")
        if not 1 <= one["logLevel"] <= 5:
            yield "log_shape", f"[{n}].logLevel is {one['logLevel']}"
        if not any(asks_for(rule, one) for rule in handed):
            yield "log_unasked", f"[{n}]: no rule that it was handed asks for {one['packageId']} at {one['logLevel']}"


def asks_for(rule, item):
    return (rule["packageId"] == item["packageId"] and item["logLevel"] <= rule["logLevel"]
            and (rule.get("filter") or "").lower() in item["message"].lower())


def details(body):
    yield from each("detail_shape", body, DETAIL)
    for n, one in enumerate(body if isinstance(body, list) else []):
        if not isinstance(one, dict):
            continue
        yield from moment("detail_shape", one.get("ts"), f"[{n}].ts")
        for name in one.keys() - DETAIL.keys():
            yield "detail_shape", f"[{n}].{name} is not known"
        for part, names in DETAIL_PARTS.items():
            there = one[part] if isinstance(one.get(part), dict) else {}
            for name, value in there.items():
                if name not in names:
                    yield "detail_shape", f"[{n}].{part}.{name} is not known"
                elif value is not None and not is_a(names[name], value):
                    yield "detail_shape", f"[{n}].{part}.{name} is no {names[name]}: {value!r:.60}"


def settings(body):
    if body != []:
        yield from each("settings_shape", body, SETTING)


def architecture(value, needed):
    if value is None:
        if needed:
            yield "cpu_arch_missing", "X-CPU-Arch is not there"
    elif value not in ARCHITECTURES:
        yield "cpu_arch_unknown", f"X-CPU-Arch is {value!r:.60}"


def signature(value, secret, rights, needed=True):
    """`rights` is what may have been signed, by the name of who signs so."""
    if value is None:
        if needed:
            yield "signature_missing", "X-Request-Signature is not there"
        return
    if value.upper() not in {sha1(secret + signed) for signed in rights.values()}:
        yield "signature_wrong", f"{value:.60} is of none of {sorted(set(rights.values()))}"
    elif value != value.upper():
        yield "signature_case", "the agent writes its hexadecimal digits large"


def poll_rights(project, path, raw_number):
    """The agent signs its project without a slash and the number as a form would encode it; the server, what it decoded."""
    number = quote_plus(unquote(raw_number), safe="*").replace("~", "%7E")
    return {"agent": f"{project.removeprefix('/')}{path}{number}", "server": f"{project}{path}{unquote(raw_number)}"}


def file_rights(raw_path):
    """Both sign what comes after /files/: the agent as it is in the address, the server decoded."""
    return {"agent": raw_path, "server": unquote(raw_path)}


def segment(raw):
    """A number or a path as it is in an address."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        yield "path_form", "a percent sign is not followed by two digits"
        return
    try:
        text = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        yield "path_form", "what is encoded is no UTF-8"
        return
    if any(ord(c) <= 32 or ord(c) >= 127 or c in '"<>\\^`{|}' for c in raw):
        yield "path_form", f"{quote(text, safe='')} is not encoded"


def byte_range(value):
    """(start, end) as asked for, either of them may be None; ValueError if it is not one well-formed range."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", value)
    if not found or found[0] == "bytes=-":
        raise ValueError("not one range of bytes")
    start, end = (int(part) if part else None for part in found.groups())
    if start is not None and end is not None and end < start:
        raise ValueError("it ends before it starts")
    return start, end
