"""What the EMM believes of its fleet. Of devices it knows by notifications alone; what it asked Google for itself it is told by
whoever made the call. What one side owes the other is remembered with a time by which it has to have come."""

import heapq
import itertools
import json
import threading
from dataclasses import dataclass, field

import rules
from rules import SLACK, moment, number

ENABLED = ["ENROLLMENT", "STATUS_REPORT", "COMMAND", "USAGE_LOGS"]
SCHEMAS = {"ENROLLMENT": "Device", "STATUS_REPORT": "Device", "COMMAND": "Operation", "USAGE_LOGS": "BatchUsageLogEvents",
           "ENTERPRISE_UPGRADE": "EnterpriseUpgradeEvent"}
ENDING = ("WIPE", "RELINQUISH_OWNERSHIP")
IMAGES = {"0123456789ABCDEF", "unknown"}
SECTIONS_OF_LIST = ["appliedState", "appliedPolicyName", "appliedPolicyVersion", "policyCompliant", "nonComplianceDetails",
                    "hardwareInfo", "softwareInfo", "memoryInfo", "networkInfo", "applicationReports", "enrollmentTime",
                    "enrollmentTokenName", "enrollmentTokenData", "previousDeviceNames", "managementMode", "ownership"]


@dataclass
class Device:
    name: str
    resource: dict = field(default_factory=dict)   # of the newest notification
    reported: float = 0        # its lastStatusReportTime
    published: float = 0
    enrolled: int = 0          # ENROLLMENTs
    reports: int = 0
    gone: float = None         # when it was reported DELETED
    left_list: bool = False    # it is not in lists any more
    ended: float = None        # when we deleted it at Google
    wiped: bool = False        # a command that ends it was issued
    policy: tuple = None       # the policy that we gave it, and when that was answered
    set_state: tuple = None    # the state that we gave it, and when that was answered
    versions: dict = field(default_factory=dict)   # of each policy, the newest applied

    @property
    def hardware(self):
        return self.resource.get("hardwareInfo", {})

    @property
    def alive(self):
        return self.gone is None and self.ended is None and not self.left_list


@dataclass
class Operation:
    device: str
    command: dict
    answer: dict
    due: float
    end: dict = None


class Fleet:
    def __init__(self, document, faults, report_within=120, notify_within=30):
        self.document, self.faults = document, faults
        self.report_within, self.notify_within = report_within, notify_within
        self.lock = threading.RLock()
        self.enterprise = None
        self.devices, self.operations, self.tokens, self.policies = {}, {}, {}, {}
        self.messages, self.strangers = {}, {}
        self.calling = {}      # device: calls of issueCommand that have no answer yet
        self.owed, self.turn = [], itertools.count()

    # What the EMM did at Google

    def token_made(self, token, label, mode, asked):
        with self.lock:
            self.tokens[token["name"]] = {"label": label, "mode": mode, "asked": asked, "used_by": []}

    def policy_set(self, name, answer, settings):
        with self.lock:
            versions, version = self.policies.setdefault(name, {}), number(answer.get("version"))
            if versions and version <= max(versions):
                self.faults.add("policy_version", f"a change of {name} made version {version} of {max(versions)}")
            versions[version] = settings

    def policy_given(self, name, policy, answer, now):
        with self.lock:
            device = self.device(name)
            if answer.get("policyName") != policy:
                self.faults.add("patched_device", f"{name} was given {policy}, and the answer has {answer.get('policyName')}")
            device.policy = (policy, now)

    def policy_changed(self, name, version, now):
        """This device's own policy has this version now: some time the device has to report that."""
        def late():
            device = self.device(name)
            has = number(device.resource.get("appliedPolicyVersion"))
            if device.alive and not device.wiped and (device.resource.get("appliedPolicyName") != device.policy[0] or has < version):
                yield f"{name} has not reported version {version} of {device.policy[0]} within {self.report_within} s"
        self.owe("policy_not_reported", self.report_within, now, late)

    def state_set(self, name, state, answer, now):
        with self.lock:
            device = self.device(name)
            if answer.get("state") != state:
                self.faults.add("patched_device", f"{name} was made {state}, and the answer has {answer.get('state')}")
            device.set_state = ours = (state, now)

        def late():
            if device.alive and device.set_state == ours and device.resource.get("appliedState") != state:
                yield (f"{name} was made {state} {self.report_within} s ago, and its newest report has appliedState"
                       f" {device.resource.get('appliedState')}")
        self.owe("state_not_reported", self.report_within, now, late)

    def deleted(self, name, now):
        with self.lock:
            self.device(name).ended = now
        self.owe_deleted(name, "devices.delete", now)

    def issuing(self, name, step):
        with self.lock:
            self.calling[name] = self.calling.get(name, 0) + step

    def issued(self, name, command, answer, now):
        self.faults.all("started_operation", rules.of_start(answer, name, command), f"{command.get('type')} for {name}")
        with self.lock:
            operation = answer.get("name")
            if operation in self.operations:
                self.faults.add("started_operation", f"{operation} is the name of two commands")
            lasts = rules.seconds(answer.get("metadata", {}).get("duration", "600s")) or 600
            self.operations[operation] = ours = Operation(name, command, answer, now + lasts)
            if answer.get("metadata", {}).get("type") in ENDING:
                self.device(name).wiped = True

        def late():
            if ours.end is None:
                yield f"{operation} ({command.get('type')}) was good for {lasts:g} s, and no COMMAND has said how it ended"
        self.owe("command_without_end", lasts + self.notify_within, now, late)

    # What notifications say

    def take(self, kind, data, message, published, now):
        """Whether the notification can be acknowledged; else it is to come again."""
        with self.lock:
            before = self.messages.get(message)
            if before:
                if before != (kind, hash(data), published):
                    self.faults.add("message_changed", f"message {message} came again with another content or time")
                return True
            taken = self.new(kind, data, published, now)
            if taken:
                self.messages[message] = (kind, hash(data), published)
            return taken

    def new(self, kind, data, published, now):
        if published > now + SLACK:
            self.faults.add("publish_time", f"a {kind} of {published - now:.1f} s in the future")
        if kind == "test":
            self.faults.saw(kind)
            return True
        if kind not in ENABLED + ["ENTERPRISE_UPGRADE"]:
            self.faults.add("notification_type", f"a notification of type {kind!r}, which is not enabled")
            return True
        try:
            resource = json.loads(data)
        except ValueError as error:
            self.faults.add("notification_data", f"a {kind} is no JSON: {error}")
            return True
        if kind == "COMMAND" and not self.known_operation(resource, now):
            return False
        self.faults.saw(kind)
        wrong = self.document.wrong(SCHEMAS[kind], resource)
        self.faults.all("schema", wrong, kind)
        if not isinstance(resource, dict):
            return True
        if kind == "COMMAND":
            self.take_operation(resource, published, now)
        elif SCHEMAS[kind] == "Device":
            self.take_device(kind, resource, published, now)
        elif kind == "USAGE_LOGS" and resource.get("device") not in self.devices:
            self.faults.add("unknown_device", f"USAGE_LOGS of {resource.get('device')}, of which nothing has been told")
        return True

    def take_device(self, kind, resource, published, now):
        name = resource.get("name", "")
        if not name.startswith(f"{self.enterprise}/devices/"):
            self.faults.add("unknown_device", f"{kind} of {name!r}, which is none of {self.enterprise}")
            return
        self.faults.all(kind.lower(), rules.of_device(kind, resource, self.in_force(resource)), name)
        fresh = name not in self.devices
        device = self.device(name)
        if kind == "ENROLLMENT":
            self.enrolled(device, resource, now)
        else:
            device.reports += 1
        if fresh:
            self.met(device, resource, now)
        self.compared(device, kind, resource, published)
        if resource.get("appliedState") == "DELETED" and device.gone is None:
            device.gone = published
            # It may be faster than the answer to the call that ended it.
            self.owe("deleted_unasked", self.notify_within, now, lambda: self.unasked(device))
        reported = moment(resource.get("lastStatusReportTime")) or 0
        if (reported, published) >= (device.reported, device.published):
            device.resource, device.reported, device.published = resource, reported, published

    def unasked(self, device):
        if not device.wiped and not device.ended:
            yield (f"{device.name} is reported DELETED, and nobody has deleted or wiped it; of users that remove it the"
                   " reference says that the server does not hear")

    def in_force(self, resource):
        """The policies that a report may go by, as far as they are known: one, if no other is on its way."""
        known = []
        for name, version in ((resource.get("appliedPolicyName"), number(resource.get("appliedPolicyVersion"))),
                              (resource.get("policyName"), None)):
            versions = self.policies.get(name)
            if not versions:
                continue
            settings = versions.get(max(versions) if version is None else version)
            if settings is not None and settings not in known:
                known.append(settings)
        return known

    def enrolled(self, device, resource, now):
        device.enrolled += 1
        name = device.name
        if device.enrolled > 1:
            self.faults.add("enrolled_twice", f"{name}: ENROLLMENT in two messages")
        if "lastStatusReportTime" not in resource and resource.get("appliedState") != "PROVISIONING":
            self.faults.add("enrollment", f"{name}: a new device without a report has appliedState {resource.get('appliedState')}")
        if device.ended or device.gone:
            self.faults.add("after_deleted", f"{name}: ENROLLMENT after it was deleted")
        by = resource.get("enrollmentTokenName")
        token = self.tokens.get(by)
        if token is None:
            # A device can't be faster than the call that made its token: it was handed out after the answer.
            self.faults.add("enrollment_token", f"{name}: enrolled by {by}, which is no token of this server")
            return
        token["used_by"].append(name)
        asked = token["asked"]
        if asked.get("oneTimeOnly") and len(set(token["used_by"])) > 1:
            self.faults.add("enrollment_token", f"{by}: good for one, and used by {sorted(set(token['used_by']))}")
        if resource.get("enrollmentTokenData") != asked.get("additionalData"):
            self.faults.add("enrollment_token", f"{name}: enrollmentTokenData is {resource.get('enrollmentTokenData')!r}")
        mode = (resource.get("managementMode"), resource.get("ownership"))
        if mode != rules.MODES[token["mode"]]:
            self.faults.add("enrollment_token", f"{name}: a token for {token['mode']} made it {mode}")
        if device.policy is None and resource.get("policyName") != asked.get("policyName"):
            self.faults.add("enrollment_token", f"{name}: its token has {asked.get('policyName')}, it {resource.get('policyName')}")

    def met(self, device, resource, now):
        """The first that is heard of a device, by whatever type of notification: their order is not promised."""
        def no_enrollment():
            if not device.enrolled:
                yield f"{device.name} reports, and no ENROLLMENT has come of it"

        def no_report():
            if not device.reports and device.alive:
                yield f"{device.name} has enrolled, and not reported within {self.report_within} s"

        def previous():
            yield from self.previous(device)
        if not device.enrolled:
            self.owe("enrollment_missing", self.notify_within, now, no_enrollment)
        self.owe("report_missing", self.report_within, now, no_report)
        self.owe("previous_names", self.notify_within, now, previous)

    def previous(self, device):
        serial, since = device.hardware.get("serialNumber"), moment(device.resource.get("enrollmentTime"))
        if serial is None or since is None or device.resource.get("appliedState") == "DELETED":
            return
        others = [(moment(of.resource.get("enrollmentTime")), of.name) for of in self.devices.values()
                  if of is not device and of.hardware.get("serialNumber") == serial]
        before = [name for when, name in sorted(others) if when and when < since]
        told = device.resource.get("previousDeviceNames", [])
        missing = [name for name in before if name not in told]
        if missing:
            yield f"{device.name} ({serial}) had the names {before} before, and previousDeviceNames is {told}"
        for name in told:
            if name not in self.devices:
                yield f"{device.name} has the previous name {name}, of which nothing was told"
        if not missing and [name for name in told if name in before] != before:
            yield f"previousDeviceNames of {device.name} is {told}, and in chronological order {before}"

    def compared(self, device, kind, resource, published):
        """A notification against the one before it."""
        old, name = device.resource, device.name
        state = resource.get("appliedState")
        ended = device.ended
        if device.gone is not None and published > device.gone and state != "DELETED":
            self.faults.add("after_deleted", f"{name}: a {kind} with {state}, published after it was reported DELETED")
        elif device.gone is not None and state == "DELETED":
            self.faults.add("deleted_twice", f"{name}: reported DELETED in two messages")
        elif ended and published > ended + SLACK and state != "DELETED":
            self.faults.add("after_deleted", f"{name}: a {kind} with {state}, published after devices.delete was answered")
        if not old:
            return
        reported = moment(resource.get("lastStatusReportTime")) or 0
        if published > device.published and reported < device.reported:
            self.faults.add("stale_report", f"{name}: published later than a report, and lastStatusReportTime is older than there")
        for what in ("enrollmentTime", "enrollmentTokenName", "enrollmentTokenData", "managementMode", "ownership", "apiLevel"):
            if state != "DELETED" and what in old and what in resource and old[what] != resource[what]:
                self.faults.add("changed", f"{name}: {what} was {old[what]!r} and is {resource[what]!r}")
        serials = {of["hardwareInfo"].get("serialNumber") for of in (old, resource) if "hardwareInfo" in of}
        if len(serials) > 1:
            self.faults.add("changed", f"{name}: its serial number is another")
        self.versions(device, resource, published, reported)
        if device.policy and published > device.policy[1] + SLACK and resource.get("policyName") != device.policy[0]:
            self.faults.add("policy_name", f"{name}: it was given {device.policy[0]}, and later its policyName is {resource.get('policyName')}")
        if device.set_state and published > device.set_state[1] + SLACK and resource.get("state") not in (device.set_state[0], "DELETED", "LOST"):
            self.faults.add("state", f"{name}: it was made {device.set_state[0]}, and later its state is {resource.get('state')}")

    def versions(self, device, resource, published, reported):
        policy, version = resource.get("appliedPolicyName"), number(resource.get("appliedPolicyVersion"))
        newest, when, said = device.versions.get(policy, (0, 0, 0))
        if version < newest and reported >= when and published >= said:
            self.faults.add("version_backwards", f"{device.name}: version {version} of {policy} is applied after version {newest}")
        if version >= newest:
            device.versions[policy] = (version, reported, published)
        known = self.policies.get(policy)
        if known and version > max(known):
            # The answer to the change may still be on its way to us.
            def beyond():
                if version > max(self.policies[policy]):
                    yield f"{device.name}: version {version} of {policy} is applied, which nobody has made"
            self.owe("version_unknown", self.notify_within, max(published, reported), beyond)

    def known_operation(self, resource, now):
        """A COMMAND may be faster than the answer to its call: that is refused, so that it comes again."""
        name = resource.get("name") if isinstance(resource, dict) else None
        if name in self.operations:
            return True
        since = self.strangers.setdefault(name, now)
        waits = self.calling.get(str(name).partition("/operations/")[0], 0)
        if now - since < self.notify_within or waits and now - since < 4 * self.notify_within:
            return False
        self.faults.add("unknown_operation", f"a COMMAND of {name}, which this server never started")
        self.operations[name] = Operation(str(name).partition("/operations/")[0], {}, resource, now)
        return True

    def take_operation(self, resource, published, now):
        ours = self.operations[resource["name"]]
        about = f"{resource['name']} ({resource.get('metadata', {}).get('type')})"
        self.faults.all("schema", self.document.wrong_any("Command", resource.get("metadata")), "COMMAND")
        if "error" in resource and not resource["error"].get("code"):
            self.faults.add("command", f"{about}: its error has no code")
        if ours.end is not None:
            if ours.end != resource:
                self.faults.add("ended_twice", f"{about}: ended as {end_of(ours.end)}, and then as {end_of(resource)}")
            return
        ours.end = resource
        self.faults.all("command", rules.of_operation(resource, ours.answer), about)
        self.faults.all("command", rules.of_status(resource, ours.command), about)
        kind = resource.get("metadata", {}).get("type")
        if kind in ("START_LOST_MODE", "STOP_LOST_MODE") and "error" not in resource:
            self.owe_lost(ours.device, kind == "START_LOST_MODE", now)
        if kind in ENDING:
            if "error" in resource:
                self.device(ours.device).wiped = False
            else:
                self.owe_deleted(ours.device, kind, now)

    # What is owed

    def owe_deleted(self, name, why, now):
        def late():
            if self.device(name).gone is None:
                yield f"{name} ended by {why}, and no STATUS_REPORT has said DELETED within {self.report_within} s"
        self.owe("deleted_not_reported", self.report_within, now, late)

    def owe_lost(self, name, lost, now):
        def late():
            device = self.device(name)
            if device.alive and lost != (device.resource.get("appliedState") == "LOST"):
                said = "started" if lost else "ended"
                yield f"{name}: lost mode was {said}, and its newest report has appliedState {device.resource.get('appliedState')}"
        self.owe("lost_not_reported", self.report_within, now, late)

    def owe(self, rule, within, now, late):
        """`late` says by then what has not come. Without a bound nothing is owed."""
        if within is not None:
            with self.lock:
                heapq.heappush(self.owed, (now + within, next(self.turn), rule, late))

    def overdue(self, now):
        with self.lock:
            while self.owed and self.owed[0][0] <= now:
                _, _, rule, late = heapq.heappop(self.owed)
                self.faults.saw(f"owed: {rule}")
                for sentence in late():
                    self.faults.add(rule, sentence)

    # Lists against notifications

    def believed(self):
        """What a list can be held against: whom we believe alive, with what was heard last."""
        with self.lock:
            return {name: device.published for name, device in self.devices.items() if device.alive and device.resource}

    def listed(self, found, before, now):
        """`found`: the list's devices by name; `before`: what was believed as the list began."""
        with self.lock:
            for name, resource in found.items():
                self.faults.saw("listed")
                device = self.devices.get(name)
                if resource.get("appliedState") == "DELETED" or resource.get("state") == "DELETED":
                    self.faults.add("list", f"{name} is listed as DELETED")
                if device is not None and (device.ended and device.ended < now - SLACK or device.gone and name not in before):
                    self.faults.add("list", f"{name} is listed though it was deleted")
                elif device is None:
                    self.owe("list", self.notify_within, now, lambda name=name: self.untold(name))
                elif device.resource.get("lastStatusReportTime") == resource.get("lastStatusReportTime") and device.alive:
                    differ = [part for part in SECTIONS_OF_LIST if device.resource.get(part) != resource.get(part)]
                    if differ and device.policy is None:
                        self.faults.add("list_differs", f"{name}: {differ} of the list and of the report of the same time differ")
            for name in before:
                if name not in found:
                    self.owe("list", self.notify_within, now, lambda name=name: self.vanished(name))

    def untold(self, name):
        if name not in self.devices:
            yield f"{name} is listed, and no notification has told of it"

    def vanished(self, name):
        device = self.devices[name]
        if device.gone is None:
            device.left_list = True
            if not device.ended and not device.wiped:
                self.faults.saw("left without a word")
        return ()              # of those that nobody ended the reference says that the server does not hear

    # What is believed

    def device(self, name):
        return self.devices.setdefault(name, Device(name))

    def id_of(self, device):
        hardware = device.hardware
        serial = hardware.get("serialNumber")
        return hardware.get("enterpriseSpecificId") or (serial if serial and serial not in IMAGES else device.name.rpartition("/")[2])

    def find(self, id):
        """The newest name of the device that the administrator means."""
        with self.lock:
            named = [of for of in self.devices.values() if of.resource and id in (self.id_of(of), of.name.rpartition("/")[2])]
            newest = max(named, key=lambda of: (of.alive, moment(of.resource.get("enrollmentTime")) or 0), default=None)
            return newest and newest.name

    def believes(self):
        with self.lock:
            return [self.belief(device) for device in self.devices.values() if device.resource]

    def belief(self, device):
        of = device.resource
        return {"id": self.id_of(device), "name": device.name, "enrolled": device.gone is None and not device.left_list,
                "state": of.get("state"), "applied_state": of.get("appliedState"), "policy": of.get("policyName"),
                "applied_policy": of.get("appliedPolicyName"), "applied_version": number(of.get("appliedPolicyVersion")),
                "compliant": of.get("policyCompliant", False), "reports": device.reports,
                "last_report": of.get("lastStatusReportTime"), "previous": of.get("previousDeviceNames", []),
                "applications": len(of.get("applicationReports", []))}

    def commands(self):
        with self.lock:
            return [{"operation": name, "device": of.device, "type": of.answer.get("metadata", {}).get("type"),
                     "end": of.end and end_of(of.end), "told": of.end}
                    for name, of in self.operations.items()]


def end_of(operation):
    error = operation.get("error")
    return f"error {error.get('code')}: {error.get('message')}" if error else "done"
