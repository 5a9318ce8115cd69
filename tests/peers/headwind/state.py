"""What the server knows: devices, configurations, what was counted, and which rules were broken."""

import hashlib
import re
import threading
import time
from collections import Counter, deque
from urllib.parse import quote

KEPT_BROKEN = 300
KEPT_LOGS = 20

# What a device is handed, in the order of the real server. What is unset is null, unless it is one of LEFT_OUT and
# the server was started with `--unset mixed`.
FIELDS = """backgroundColor textColor backgroundImageUrl iconSize requestUpdates disableLocation appPermissions pushOptions
keepaliveTime autoBrightness brightness manageTimeout timeout lockVolume manageVolume volume passwordMode orientation
displayStatus runDefaultLauncher disableScreenshots autostartForeground timeZone allowedClasses newServerUrl
lockSafeSettings permissive kioskExit showWifi password imei phone title applications gps bluetooth wifi mobileData
usbStorage kioskMode kioskHome kioskRecents kioskNotifications kioskSystemInfo kioskKeyguard kioskLockButtons
lockStatusBar kioskScreenOn mainApp systemUpdateType systemUpdateFrom systemUpdateTo scheduleAppUpdate appUpdateFrom
appUpdateTo downloadUpdates applicationSettings files newNumber restrictions custom1 custom2 custom3 appName vendor
description factoryReset reboot lock lockMessage passwordReset""".split()
LEFT_OUT = set("""autoBrightness brightness manageTimeout timeout lockVolume manageVolume volume gps bluetooth wifi
mobileData usbStorage kioskHome kioskRecents kioskNotifications kioskSystemInfo kioskKeyguard kioskLockButtons
kioskScreenOn mainApp systemUpdateFrom systemUpdateTo scheduleAppUpdate appUpdateFrom appUpdateTo downloadUpdates
applicationSettings files newNumber restrictions custom1 custom2 custom3 appName vendor description factoryReset reboot
lock lockMessage passwordReset""".split())
APPLICATION = """icon name pkg version code url id showIcon useKiosk remove system runAfterInstall runAtBoot skipVersion
iconText type screenOrder keyCode bottom longTap intent""".split()
FILE = "description checksum remove lastUpdate path url varContent".split()
SETTING = "packageId name type value readonly lastUpdate variable".split()
# Of a configuration, but not for its devices.
INWARD = {"id", "name", "customerId", "qrCodeKey", "baseUrl", "defaultFilePath"}
# Orders that a device confirms; until the configuration is set again, it is not told of them any more.
ORDERS = {"factory": "factoryReset", "reboot": "reboot", "password": "passwordReset"}
STANDARD = {"pushOptions": "mqttAlarm", "keepaliveTime": 300, "kioskMode": False, "lockStatusBar": False,
            "systemUpdateType": 0, "password": "12345678", "files": [], "applicationSettings": []}


def sha1(text):
    return hashlib.sha1(text.encode()).hexdigest().upper()


def stock_applications(count):
    launcher = {"id": 1, "name": "Headwind MDM", "pkg": "com.hmdm.launcher", "version": "6.36", "type": "app"}
    system = [{"id": n, "name": f"Stock {n}", "pkg": f"com.android.stock{n}", "version": "0", "type": "app",
               "system": True, "showIcon": True} for n in range(2, count + 1)]
    return [launcher, *system][:count]


class Device:
    def __init__(self, number_id, number, configuration_id, made_by):
        self.id = number_id
        self.number = number
        self.old_number = None            # as long as the device has not called by its new one
        self.configuration_id = configuration_id
        self.made_by = made_by
        self.groups = []
        self.imei = self.serial = self.phone = self.description = None
        self.enrolled_at = self.last_update = None
        self.counts = Counter()
        self.pushes = Counter()
        self.info = self.custom1 = None
        self.custom1_before = []
        self.forgotten = set()            # FCM tokens that were answered UNREGISTERED
        self.settings = []
        self.logs, self.log_count = deque(maxlen=KEPT_LOGS), 0
        self.details = self.locations = 0
        self.last_location = self.last_detail = None
        self.resets = Counter()
        self.files = {}                   # path -> ranges, as asked for
        self.rows = []                    # (time, message) that wait in the database
        self.was_handed = set()           # what its configurations ever asked for
        self.log_rules = []               # all rules that it was ever handed
        self.sends_details = False        # as it was last told
        self.confirmed = {}               # order -> version of the configuration it was confirmed for
        self.poll_ended = None
        self.shortest_pause = None        # between the end of a long poll and the next one

    def truth(self):
        return {
            "id": self.id, "number": self.number, "old_number": self.old_number,
            "configuration": self.configuration_id, "made_by": self.made_by, "enrolled_at": self.enrolled_at,
            "last_update": self.last_update, "counts": dict(self.counts), "info": self.info, "custom1": self.custom1,
            "custom1_before": self.custom1_before, "forgotten_tokens": sorted(self.forgotten),
            "settings": self.settings, "logs": self.log_count, "last_logs": list(self.logs), "details": self.details,
            "last_detail": self.last_detail, "locations": self.locations, "last_location": self.last_location,
            "resets": dict(self.resets), "files": self.files, "pushes": dict(self.pushes), "rows": len(self.rows),
            "shortest_pause": self.shortest_pause,
        }


class Configuration:
    def __init__(self, fields):
        self.fields = fields
        self.version = 1
        self.gets = 0


class World:
    """All state, behind one lock."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.started_at = time.time()
        self.devices = {}                 # number -> Device
        self.deleted = set()              # numbers that the administrator took away
        self.retired = set()              # numbers that a device has given up for a new one
        self.configurations = {}
        self.next_device = self.next_configuration = 1
        self.requests = {}                # template -> Counter of outcomes
        self.ports = Counter()
        self.poll_signatures = Counter()  # whose form a right one had
        self.files_fetched = {}           # path -> ranges
        self.broken, self.broken_by_rule = deque(maxlen=KEPT_BROKEN), Counter()
        self.log_rules = [{"packageId": "com.hmdm.launcher", "logLevel": 3}]
        self.detail_settings = {"sendData": False, "intervalMins": 15}
        self.polling_timeout = options.polling_timeout
        for number in range(1, options.configurations + 1):
            applications = stock_applications(options.stock_apps)
            self.add_configuration({"name": f"Configuration {number}", "applications": applications})

    # Devices

    def add_device(self, number, configuration_id, made_by):
        device = Device(self.next_device, number, configuration_id, made_by)
        self.next_device += 1
        self.devices[number] = device
        self.deleted.discard(number)
        self.retired.discard(number)
        return device

    def by_id(self, number_id):
        return next((device for device in self.devices.values() if device.id == number_id), None)

    def by_old_number(self, number):
        return next((device for device in self.devices.values() if device.old_number == number), None)

    def by_imei_or_serial(self, number):
        for device in self.devices.values():
            info = device.info if isinstance(device.info, dict) else {}
            if number in (device.imei, device.serial, info.get("imei"), info.get("serial")):
                return device
        return None

    def delete(self, device):
        self.devices.pop(device.number, None)
        self.deleted.add(device.number)

    def rename(self, device, number):
        """The administrator's wish: until the device has called by the new number, it is known by both."""
        self.devices.pop(device.number)
        device.old_number, device.number = device.old_number or device.number, number
        self.devices[number] = device

    def came_by_new_number(self, device):
        if device.old_number is not None:
            self.retired.add(device.old_number)
            device.old_number = None

    # Configurations

    def add_configuration(self, fields):
        number = self.next_configuration
        self.next_configuration += 1
        self.configurations[number] = Configuration({**STANDARD, **fields, "id": number})
        return self.configurations[number]

    def handed(self, device, base, new_number=None):
        """The data that a device gets, with absolute addresses for `base`; what it was asked to do is remembered."""
        configuration = self.configurations[device.configuration_id]
        configuration.gets += 1
        data = dict.fromkeys(FIELDS)
        data.update({name: value for name, value in configuration.fields.items() if name not in INWARD})
        data["password"] = hashlib.md5(str(data["password"]).encode()).hexdigest().upper()
        data["newNumber"] = new_number or data["newNumber"]
        for name in ("imei", "phone", "description"):
            data[name] = getattr(device, name) or data[name]
        data["applications"] = self.listed(data["applications"], APPLICATION, device, base)
        data["files"] = self.listed(data["files"], FILE, device, base)
        data["applicationSettings"] = self.listed(data["applicationSettings"], SETTING, device, base)
        for order, name in ORDERS.items():
            if device.confirmed.get(order) == configuration.version:
                data[name] = None
            elif data[name]:
                device.was_handed.add(order)
        if data["requestUpdates"]:
            device.was_handed.add("locations")
        if self.options.unset == "mixed":
            data = {name: value for name, value in data.items() if value is not None or name not in LEFT_OUT}
        return data

    def listed(self, items, names, device, base):
        return [{**dict.fromkeys(names), **item, **self.addressed(item, names, device, base)} for item in items or []]

    def addressed(self, item, names, device, base):
        """An own file's address starts with /files/. In /files/of/{number}/ it says who fetches it."""
        url = item.get("url")
        if "url" not in names or not isinstance(url, str) or not url.startswith("/files/"):
            return {}
        found = {"url": base + url.replace("{number}", quote(device.number, safe=""))}
        if "checksum" in names and not item.get("checksum"):
            found["checksum"] = self.files.checksum(own_file(url)[1])
        return found

    # What is counted and judged

    def count(self, template, outcome, port):
        with self.lock:
            self.requests.setdefault(template, Counter())[outcome] += 1
            self.ports[port] += 1

    def break_rule(self, rule, request, reason):
        with self.lock:
            self.broken_by_rule[rule] += 1
            self.broken.append({"rule": rule, "at": time.time(), "request": request.said(), "reason": reason})

    def judge(self, request, found):
        for rule, reason in found:
            self.break_rule(rule, request, reason)

    def truth(self, pushes, brief=False):
        left_out = {"info", "last_logs", "last_detail", "settings"} if brief else set()
        with self.lock:
            return {
                "started_at": self.started_at, "now": time.time(),
                "devices": {number: {name: value for name, value in device.truth().items() if name not in left_out}
                            for number, device in self.devices.items()},
                "deleted": sorted(self.deleted), "retired_numbers": sorted(self.retired),
                "configurations": {number: {"version": one.version, "gets": one.gets, "fields": one.fields}
                                   for number, one in self.configurations.items()},
                "requests": {template: dict(counts) for template, counts in sorted(self.requests.items())},
                "ports": dict(self.ports), "poll_signatures": dict(self.poll_signatures),
                "files": self.files_fetched, "pushes": pushes,
                "broken": {"total": sum(self.broken_by_rule.values()), "by_rule": dict(self.broken_by_rule),
                           "list": list(self.broken)},
            }


def own_file(path):
    """(number, path) of what comes after /files/, which may be `of/NUMBER/PATH`."""
    path = path.removeprefix("/files/")
    found = re.fullmatch(r"of/([^/]+)/(.+)", path)
    return (found[1], found[2]) if found else (None, path)
