"""What the administrator calls: to log in, devices, configurations, and pushes."""

import base64
import hashlib
import hmac
import json
import secrets
import time

from state import sha1
from web import Answer, Refused, error, ok, page, plain

DAY = 24 * 3600
DEVICE_IN_USE, NO_CONFIGURATION = "error.duplicate.device", "error.notfound.object"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest().upper()


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Admin:
    def __init__(self, app):
        self.world, self.pusher = app.world, app.pusher
        options = app.world.options
        self.stored = sha1(md5(options.password) + options.secret)
        self.must_reset = not options.password_was_set
        self.reset_token = secrets.token_hex(10) if self.must_reset else None
        self.auth_token = secrets.token_hex(10)
        self.key = secrets.token_bytes(64)
        self.sessions = set()
        self.failed_at = 0
        self.open = [
            ("POST", "/rest/public/auth/login", self.login),
            ("POST", "/rest/public/jwt/login", self.jwt_login),
            ("POST", "/rest/public/passwordReset/reset", self.reset_password),
        ]
        self.routes = [
            ("PUT", "/rest/private/devices", self.put_device),
            ("POST", "/rest/private/devices/search", self.search_devices),
            ("POST", "/rest/private/devices/deleteBulk", self.delete_devices),
            ("GET", "/rest/private/devices/number/{number}", self.get_device),
            ("DELETE", "/rest/private/devices/{id}", self.delete_device),
            ("GET", "/rest/private/configurations/search", self.search_configurations),
            ("GET", "/rest/private/configurations/{id}", self.get_configuration),
            ("PUT", "/rest/private/configurations", self.put_configuration),
            ("POST", "/rest/private/push", self.push),
        ]

    # Who calls

    def before(self, request):
        """Each private call: refused without a session or a token, and as long as the first password is in use."""
        bearer = request.headers.get("Authorization", "")
        cookies = request.headers.get("Cookie", "").replace(" ", "").split(";")
        known = any(cookie.removeprefix("JSESSIONID=") in self.sessions for cookie in cookies)
        if self.must_reset or not (known or self.holds(bearer.removeprefix("Bearer "))):
            raise Refused(page(403))

    def matches(self, body):
        """A failed login takes a second, and so does any other one within it: both fail."""
        right = (isinstance(body, dict) and body.get("login") == "admin" and isinstance(body.get("password"), str)
                 and hmac.compare_digest(sha1(body["password"] + self.world.options.secret), self.stored))
        if time.monotonic() - self.failed_at < 1 and self.failed_at:
            right = False
        elif not right:
            self.failed_at = time.monotonic()
        if not right:
            self.world.stopping.wait(1)
        return right

    def login(self, request):
        if not self.matches(request.json()):
            return error(None)
        session = secrets.token_hex(16).upper()
        self.sessions.add(session)
        return ok({"id": 1, "login": "admin", "email": None, "name": "Admin", "passwordReset": self.must_reset,
                   "passwordResetToken": self.reset_token, "authToken": self.auth_token, "singleCustomer": True},
                  headers={"Set-Cookie": f"JSESSIONID={session}; Path={self.world.options.project or '/'}; HttpOnly"})

    def reset_password(self, request):
        body = self.object(request)
        if self.reset_token is None or body.get("passwordResetToken") != self.reset_token:
            return error("error.user.not.found")
        self.stored = sha1(str(body.get("newPassword")) + self.world.options.secret)
        self.must_reset, self.reset_token = False, None
        return ok({"id": 1, "login": "admin", "passwordReset": False, "passwordResetToken": None})

    def jwt_login(self, request):
        body = self.object(request)
        if body.get("login") is None or body.get("password") is None:
            return Answer(status=400, content_type=None)
        if not self.matches(body):
            return Answer(status=401, content_type=None)
        claims = part(json.dumps({"sub": "admin", "exp": int(time.time()) + DAY}).encode())
        signed = f"{part(json.dumps({'alg': 'HS512'}).encode())}.{claims}"
        token = f"{signed}.{self.signature(signed)}"
        return Answer(json.dumps({"id_token": token}).encode(), headers={"Authorization": f"Bearer {token}"})

    def signature(self, signed):
        return part(hmac.digest(self.key, signed.encode(), "sha512"))

    def holds(self, token):
        known = self.world.options.id_token
        if known and hmac.compare_digest(known.encode(), token.encode()):
            return True
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self.signature(signed).encode(), signature.encode()):
            return False
        claims = signed.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"] > time.time()

    def object(self, request):
        body = request.json()
        if not isinstance(body, dict):
            raise Refused(plain(400, "Cannot deserialize: no object"), "admin_body", "it is no object")
        return body

    # Devices

    def put_device(self, request):
        """A new one, a change of one by its id, or another configuration for many by `ids`."""
        body = self.object(request)
        told = []
        with self.world.lock:
            configuration = body.get("configurationId")
            if configuration is not None and configuration not in self.world.configurations:
                return error(None)
            if isinstance(body.get("ids"), list):
                told = [device for device in map(self.world.by_id, body["ids"]) if device]
                for device in told:
                    device.configuration_id = configuration
            else:
                number, device = body.get("number"), self.world.by_id(body.get("id"))
                if not isinstance(number, str) or not number:
                    return error(None)
                if self.world.devices.get(number) not in (None, device):
                    return error(DEVICE_IN_USE)
                if device is None and body.get("id") is None:
                    device = self.world.add_device(number, configuration or 1, "admin")
                elif device:
                    told = self.change(device, number, configuration)
                if device:
                    for name in ("imei", "serial", "phone", "description", "groups"):
                        setattr(device, name, body.get(name, getattr(device, name)))
        self.pusher.send(told, "configUpdated")
        return ok()

    def change(self, device, number, configuration):
        moved = configuration is not None and configuration != device.configuration_id
        device.configuration_id = configuration or device.configuration_id
        if number == device.number:
            return [device] if moved else []
        self.world.rename(device, number)
        return [device]

    def search_devices(self, request):
        body = self.object(request)
        value, size = str(body.get("value") or "").lower(), int(body.get("pageSize") or 50)
        start = (max(1, int(body.get("pageNum") or 1)) - 1) * size
        with self.world.lock:
            found = [device for device in self.world.devices.values() if value in device.number.lower()]
            items = found[start:start + size]
            used = {device.configuration_id for device in items}
            # The configurations come with all their applications, once for the page.
            configurations = {number: {"id": number, **self.world.configurations[number].fields} for number in used}
            return ok({"configurations": configurations, "devices": {
                "items": [self.view(device) for device in items], "totalItemsCount": len(found)}})

    def view(self, device):
        return {"id": device.id, "configurationId": device.configuration_id, "number": device.number,
                "description": device.description, "lastUpdate": int((device.last_update or 0) * 1000),
                "imei": device.imei, "phone": device.phone, "publicIp": "127.0.0.1" if device.info else None,
                "custom1": device.custom1, "oldNumber": device.old_number, "groups": device.groups,
                "enrollTime": int(device.enrolled_at * 1000) if device.enrolled_at else None,
                "statusCode": "green" if device.info else "red", "info": device.info}

    def get_device(self, request):
        device = self.world.devices.get(request.number)
        return ok(self.view(device)) if device else error("error.notfound.device")

    def delete_device(self, request):
        self.delete([request.number])
        return ok()

    def delete_devices(self, request):
        self.delete(self.object(request).get("ids") or [])
        return ok()

    def delete(self, ids):
        with self.world.lock:
            for number in ids:
                device = self.world.by_id(int(number)) if str(number).isdigit() else None
                if device:
                    self.world.delete(device)

    # Configurations

    def search_configurations(self, request):
        with self.world.lock:
            return ok([one.fields for one in self.world.configurations.values()])

    def get_configuration(self, request):
        one = self.world.configurations.get(int(request.number)) if request.number.isdigit() else None
        return ok(one.fields) if one else error(NO_CONFIGURATION)

    def put_configuration(self, request):
        """Set whole. `newNumber` may be an object of numbers by the numbers they replace."""
        fields = self.object(request)
        with self.world.lock:
            number = fields.get("id")
            if any(one.fields.get("name") == fields.get("name") and one.fields["id"] != number
                   for one in self.world.configurations.values()):
                return error("error.duplicate.configuration")
            if number is None:
                return ok(self.world.add_configuration(fields).fields)
            configuration = self.world.configurations.get(number)
            if configuration is None:
                return error("error.permission.denied")
            renamed = fields.pop("newNumber") if isinstance(fields.get("newNumber"), dict) else {}
            configuration.fields = fields
            configuration.version += 1
            for old, new in renamed.items():
                if old in self.world.devices and new not in self.world.devices:
                    self.world.rename(self.world.devices[old], new)
            told = [device for device in self.world.devices.values() if device.configuration_id == number]
        # Everybody is told before the administrator gets an answer.
        self.pusher.send(told, "configUpdated")
        return ok(fields)

    # Pushes

    def push(self, request):
        body = self.object(request)
        message_type, payload = body.get("messageType"), body.get("payload")
        if not isinstance(message_type, str) or not isinstance(payload, (str, type(None))):
            raise Refused(plain(400, "Cannot deserialize an instance of PushRequest"), "admin_body",
                          "messageType and payload are texts")
        with self.world.lock:
            devices = list(self.world.devices.values())
            if not body.get("broadcast"):
                groups, numbers = set(body.get("groups") or []), body.get("deviceNumbers") or []
                named = [self.world.devices[number] for number in numbers if number in self.world.devices]
                devices = [device for device in devices if groups & {str(group) for group in device.groups}] + named
                self.pusher.ways["unknown"].update({"numbers": len(numbers) - len(named)})
        self.pusher.send(devices, message_type, payload, "normal" if body.get("priority") == "normal" else "high")
        return ok()
