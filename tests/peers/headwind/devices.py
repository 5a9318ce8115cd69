"""What devices call."""

import re
import time
from urllib.parse import quote, unquote

import files as served
import rules
from state import own_file, sha1
from web import Answer, Refused, enveloped, error, ok, page, plain, text_of

DENIED, UNKNOWN, TWICE = "error.permission.denied", "error.notfound.device", "error.duplicate.device"
POLLING, ONCE = "/rest/notification/polling/", "/rest/notifications/device/"
LATEST_CUSTOM, KEPT_RANGES = 50, 100


class Devices:
    def __init__(self, app):
        self.world, self.pusher, self.files, self.play = app.world, app.pusher, app.files, app.play
        self.options = app.world.options
        self.routes = [
            ("POST", "/rest/public/sync/configuration/{number}", self.enroll),
            ("GET", "/rest/public/sync/configuration/{number}", self.configuration),
            ("POST", "/rest/public/sync/info", self.info),
            ("GET", ONCE + "{number}", self.poll_once),
            ("GET", POLLING + "{number}", self.poll),
            ("GET", "/rest/plugins/devicelog/log/rules/{number}", self.log_rules),
            ("POST", "/rest/plugins/devicelog/log/list/{number}", self.log),
            ("GET", "/rest/plugins/deviceinfo/deviceinfo-plugin-settings/device/{number}", self.detail_settings),
            ("PUT", "/rest/plugins/deviceinfo/deviceinfo/public/{number}", self.detail),
            ("POST", "/rest/public/sync/applicationSettings/{number}", self.settings),
            ("PUT", "/rest/plugins/devicelocations/public/update/{number}", self.locations),
            ("POST", "/rest/plugins/devicereset/public/{number}", lambda request: self.reset(request, "factory")),
            ("POST", "/rest/plugins/devicereset/public/reboot/{number}", lambda request: self.reset(request, "reboot")),
            ("POST", "/rest/plugins/devicereset/public/password/{number}",
             lambda request: self.reset(request, "password")),
            ("GET", "/files/{path}", self.file),
        ]

    def before(self, request):
        """What holds for every call of a device."""
        found = []
        if request.query:
            found.append(("query", "the agent's addresses have no query"))
        if request.method == "GET" and request.body:
            found.append(("body_on_get", f"{len(request.body)} bytes"))
        if request.version != "HTTP/1.1":
            found.append(("http_version", request.version))
        if not request.headers.get("Host"):
            found.append(("host", "there is no Host"))
        for part in request.parts:
            found += rules.segment(part)
        found += rules.architecture(request.headers.get("X-CPU-Arch"), "/sync/configuration/" in request.path)
        self.world.judge(request, found)

    # Configuration

    def enroll(self, request):
        if not self.signed_by_number(request, request.number):
            return error(DENIED)
        body = request.json()
        self.world.judge(request, rules.enroll(body))
        if not isinstance(body, dict):
            return plain(400, "Cannot deserialize an instance of DeviceCreateOptions")
        with self.world.lock:
            device, by_other = self.looked_up(request.number)
            if device is None:
                device = self.created(request.number, body)
            if device is None:
                return error(UNKNOWN)
            if self.options.prevent_duplicate_enrollment and device.last_update:
                return error(TWICE)
            device.enrolled_at = device.enrolled_at or time.time()
            return self.handed(request, device, by_other, "enroll")

    def configuration(self, request):
        if not self.signed_by_number(request, request.number):
            return error(DENIED)
        with self.world.lock:
            device, by_other = self.looked_up(request.number)
            if device is None and request.number in self.world.retired:
                self.not_known(request, request.number)
            if device is None and self.options.create_on_demand:
                device = self.world.add_device(request.number, 1, "on_demand")
            if device is None:
                return error(UNKNOWN)
            if device.enrolled_at is None:
                self.world.break_rule("config_before_enroll", request, "at its first start, the agent posts")
            return self.handed(request, device, by_other, "config")

    def signed_by_number(self, request, number, needed=True):
        return self.signed(request, {"agent": number}, needed)

    def signed(self, request, rights, needed=True):
        """Judges the signature; false only if the server was told to insist on it."""
        value = request.headers.get("X-Request-Signature")
        self.world.judge(request, rules.signature(value, self.options.secret, rights, needed))
        wanted = rights.get("server", rights["agent"])
        return not self.options.strict_signatures or (value or "").upper() == sha1(self.options.secret + wanted)

    def looked_up(self, number):
        """(device, whether it was found by an old number, an IMEI or a serial)"""
        device = self.world.devices.get(number)
        if device:
            self.world.came_by_new_number(device)
            return device, False
        device = self.world.by_old_number(number) or self.world.by_imei_or_serial(number)
        return device, device is not None

    def created(self, number, body):
        wanted = body.get("configuration")
        if wanted is None:
            return self.world.add_device(number, 1, "on_demand") if self.options.create_on_demand else None
        if not re.fullmatch(r"\d{1,9}", str(wanted)) or int(wanted) not in self.world.configurations:
            return None
        device = self.world.add_device(number, int(wanted), "post")
        device.groups = [group for group in body.get("groups") or [] if isinstance(group, str)]
        return device

    def handed(self, request, device, by_other, name):
        self.note(request, device, name)
        data = text_of(self.world.handed(device, request.base, device.number if by_other else None))
        headers = {"X-IP-Address": request.ip}
        mode = self.play.signature_for(device.number)
        if mode != "missing":
            # White space within texts is left out, too: this is what the agent checks.
            signature = sha1(self.options.secret + re.sub(r"[ \t\n\v\f\r]", "", data))
            headers["X-Response-Signature"] = signature if mode == "right" else sha1(signature)
        return Answer(enveloped(data), headers=headers)

    # Reports

    def info(self, request):
        body = request.json()
        self.world.judge(request, rules.info(body))
        number = body.get("deviceId") if isinstance(body, dict) else None
        if not isinstance(number, str):
            return plain(400, "Cannot deserialize an instance of DeviceInfo")
        self.signed_by_number(request, number, needed=False)
        with self.world.lock:
            device = self.world.devices.get(number)
            if device:
                self.world.came_by_new_number(device)
            device = device or self.world.by_old_number(number)
            if device is None:
                self.not_known(request, number)
                if not self.options.create_on_demand:
                    return error(UNKNOWN)
                device = self.world.add_device(number, 1, "on_demand")
            if not device.counts["enroll"] + device.counts["config"]:
                self.world.break_rule("info_before_config", request, "it reports before it has a configuration")
            self.note(request, device, "info")
            device.info, device.last_update = body, time.time()
            self.custom(device, body.get("custom1"))
        return ok(headers={"X-IP-Address": request.ip})

    def custom(self, device, value):
        value = value if isinstance(value, str) and value else None
        if value != device.custom1:
            if device.custom1 is not None:
                device.custom1_before = [*device.custom1_before, device.custom1][-LATEST_CUSTOM:]
            device.custom1 = value

    def settings(self, request):
        body = request.json()
        self.world.judge(request, rules.settings(body))
        device = self.known(request, "app_settings")
        device.settings = self.list_of(body)
        return ok()

    def locations(self, request):
        body = request.json()
        self.world.judge(request, rules.locations(body))
        device = self.known(request, "locations")
        if "locations" not in device.was_handed:
            self.world.break_rule("locations_unasked", request, "no configuration of it had requestUpdates")
        with self.world.lock:
            device.locations += len(self.list_of(body))
            device.last_location = body[-1] if body else device.last_location
        return ok()

    def log_rules(self, request):
        device = self.known(request, "log_rules")
        with self.world.lock:
            device.log_rules += [rule for rule in self.world.log_rules if rule not in device.log_rules]
            return ok(self.world.log_rules)

    def log(self, request):
        body = request.json()
        device = self.known(request, "log")
        self.world.judge(request, rules.logs(body, device.log_rules))
        with self.world.lock:
            device.logs.extend(self.list_of(body)[:100])
            device.log_count += len(body)
        return ok()

    def detail_settings(self, request):
        device = self.known(request, "detail_settings")
        device.sends_details = self.world.detail_settings["sendData"]
        return ok(self.world.detail_settings)

    def detail(self, request):
        body = request.json()
        self.world.judge(request, rules.details(body))
        device = self.known(request, "detail")
        if not device.sends_details:
            self.world.break_rule("detail_unasked", request, "its settings don't say sendData")
        with self.world.lock:
            device.details += len(self.list_of(body))
            device.last_detail = body[-1] if body else device.last_detail
        return ok()

    def reset(self, request, order):
        body = request.json()
        self.world.judge(request, rules.info(body))
        device = self.known(request, f"reset_{order}")
        if isinstance(body, dict) and body.get("deviceId") != request.number:
            self.world.break_rule("reset_number", request, f"deviceId is {body.get('deviceId')!r:.60}")
        if order not in device.was_handed:
            self.world.break_rule("reset_unasked", request, f"no configuration of it asked for {order}")
        with self.world.lock:
            device.resets[order] += 1
            device.confirmed[order] = self.world.configurations[device.configuration_id].version
        return ok()

    # Pushes that are fetched

    def poll_once(self, request):
        self.signed_poll(request, ONCE)           # judged, yet never refused
        device = self.world.devices.get(request.number) or self.world.by_old_number(request.number)
        if device is None:
            self.not_known(request, request.number)
            return error(UNKNOWN)
        self.note(request, device, "poll_once")
        return ok(self.pusher.waiting(device))

    def poll(self, request):
        if not self.signed_poll(request, POLLING):
            return page(403)
        device = self.world.devices.get(request.number)
        if device is None:
            if not self.world.by_old_number(request.number):
                self.not_known(request, request.number)
            return page(404)
        self.note(request, device, "poll")
        poll = self.pusher.hold(device)
        poll.done.wait(self.world.polling_timeout)
        messages = self.pusher.release(device, poll)
        if not messages:
            return page(500, outcome="500 idle")
        return Answer(enveloped(text_of(messages)), lost=lambda: self.pusher.give_back(device, messages))

    def signed_poll(self, request, path):
        rights = rules.poll_rights(self.options.project, path, request.parts[0])
        value = (request.headers.get("X-Request-Signature") or "").upper()
        for who, signed in rights.items():
            if value == sha1(self.options.secret + signed):
                self.world.poll_signatures[who] += 1
        if self.options.poll_signature == "either":
            return self.signed(request, rights)
        judged = {self.options.poll_signature: rights[self.options.poll_signature]}
        self.world.judge(request, rules.signature(request.headers.get("X-Request-Signature"), self.options.secret, judged))
        return not self.options.strict_signatures or path == ONCE or value == sha1(self.options.secret + rights["server"])

    # Files

    def file(self, request):
        raw = request.parts[0]
        if not self.signed(request, rules.file_rights(raw)):
            return page(403)
        number, path = own_file(raw)
        number, path = unquote(number or ""), unquote(path)
        if ".." in path.split("/"):
            self.world.break_rule("file_path", request, "it leads out of the folder")
            return page(404)
        content = self.files.served(path)
        asked = request.headers.get("Range")
        self.fetched(request, path, number or request.connection.get("number"), asked)
        if content is None:
            return page(404)
        kind = "application/vnd.android.package-archive" if path.endswith(".apk") else None
        if asked is not None:
            try:
                wanted = rules.byte_range(asked)
            except ValueError as reason:
                self.world.break_rule("range_form", request, f"{asked!r:.60}: {reason}")
            else:
                return self.part(content, wanted, kind)
        name = path.rsplit("/", 1)[-1].replace('"', "")
        named = {"Content-Disposition": f'attachment; filename="{quote(name)}"'}
        return Answer(content, content_type=kind, headers=named)

    def part(self, content, wanted, kind):
        found = served.part(wanted, len(content), self.options.ranges == "headwind")
        if found is None:
            return page(416, headers={"Content-Range": f"bytes */{len(content)}"})
        first, end, said = found
        return Answer(content[first:end], 206, kind, {"Content-Range": said})

    def fetched(self, request, path, number, asked):
        with self.world.lock:
            device = self.world.devices.get(number)
            for table in [self.world.files_fetched] + ([device.files] if device else []):
                said = table.setdefault(path, {"count": 0, "ranges": []})
                said["count"] += 1
                said["ranges"] = [*said["ranges"], asked][-KEPT_RANGES:]
            if device:
                device.counts["file"] += 1

    # Who it is

    def known(self, request, name):
        device = self.world.devices.get(request.number)
        if device is None:
            self.not_known(request, request.number)
            raise Refused(error(UNKNOWN))
        self.note(request, device, name)
        return device

    def note(self, request, device, name):
        with self.world.lock:
            device.counts[name] += 1
            request.connection["number"] = device.number

    def not_known(self, request, number):
        """A number that the administrator took away is nobody's fault."""
        if number in self.world.retired:
            self.world.break_rule("old_number", request, f"{number} was given up for a new one")
        elif number not in self.world.deleted and not self.world.by_old_number(number):
            self.world.break_rule("unknown_number", request, f"{number} was never a device's")

    def list_of(self, body):
        if not isinstance(body, list):
            raise Refused(plain(400, "Cannot deserialize an instance of ArrayList"))
        return body
