"""What the administrator asked for, on its way to Google: of one device one after the other, in the order that it was asked."""

import json
import queue
import sys
import threading
import time
import traceback
import zlib

import document
import rules
import signup
from calls import Refused

SETTLE = 1                     # seconds between two looks for a device that was not told of yet


class Work:
    def __init__(self, calls, fleet, faults, known_within=30, workers=4):
        self.calls, self.fleet, self.faults, self.known_within = calls, fleet, faults, known_within
        self.tokens, self.refused = {}, []
        self.own = {}          # device: its own policy
        self.waiting, self.lock = {}, threading.Lock()
        self.queues = [queue.Queue() for _ in range(workers)]
        for ours in self.queues:
            threading.Thread(target=self.work, args=(ours,), daemon=True).start()

    def ask(self, id, what, *how):
        with self.lock:
            self.waiting[id] = self.waiting.get(id, 0) + 1
        self.queues[zlib.crc32(id.encode()) % len(self.queues)].put((id, what, how))

    def pending(self, id=None):
        with self.lock:
            return sum(self.waiting.values()) if id is None else self.waiting.get(id, 0)

    def work(self, ours):
        while True:
            id, what, how = ours.get()
            try:
                what(id, *how)
            except Refused as error:
                self.refusal(f"{what.__name__} for {id}: {error}")
            except Exception:
                traceback.print_exc(file=sys.stderr)
                self.refusal(f"{what.__name__} for {id} failed: {traceback.format_exc(limit=-1)}")
            with self.lock:
                self.waiting[id] -= 1

    def refusal(self, what):
        with self.lock:
            self.refused.append(what)

    def device(self, id):
        """The name of the administrator's device. It may be known there before its ENROLLMENT came here."""
        until = time.monotonic() + self.known_within
        while (name := self.fleet.find(id)) is None:
            if time.monotonic() > until:
                self.faults.add("never_told", f"the administrator names {id}, of which no notification came in {self.known_within} s")
                raise Refused(0, "UNKNOWN", "no notification has told of it")
            time.sleep(SETTLE)
        return name

    def at_google(self, name, request):
        """A call for one device. Who was never reported as gone can't be unknown to Google."""
        try:
            return self.calls.call(request)
        except Refused as error:
            if error.status == 404:
                def unknown():
                    device = self.fleet.device(name)
                    if device.gone is None and device.ended is None:
                        yield f"{request.methodId} says that there is no {name}, and no report that it was deleted has come"
                self.fleet.owe("unknown_to_google", self.fleet.notify_within, time.time(), unknown)
            raise

    # What can be asked for

    def token(self, label, mode, one_time):
        policy = f"{self.calls.enterprise}/policies/{mode}"
        asked = {"policyName": policy, "duration": "86400s", "allowPersonalUsage": rules.PERSONAL_USE[mode],
                 "additionalData": json.dumps({"label": label, "mode": mode, "x": '\u00e4"'}), "oneTimeOnly": one_time}
        body = {**asked, "policyName": mode} if one_time else asked
        token = self.calls.call(self.calls.enterprises.enrollmentTokens().create(parent=self.calls.enterprise, body=body))
        self.fleet.token_made(token, label, mode, asked)
        if not token.get("value") or (rules.moment(token.get("expirationTimestamp")) or 0) < time.time() + 86000:
            self.faults.add("enrollment_token", f"{token.get('name')} has no value, or expires at {token.get('expirationTimestamp')}")
        try:
            json.loads(token["qrCode"])["android.app.extra.PROVISIONING_DEVICE_ADMIN_COMPONENT_NAME"]
        except (KeyError, ValueError, TypeError) as error:
            self.faults.add("enrollment_token", f"the qrCode of {token.get('name')} can't be read: {error!r}")
        self.tokens[label] = token["value"]

    def modes(self):
        """Each mode has a policy, by which all sections are reported."""
        for mode in rules.MODES:
            self.set_policy(f"{self.calls.enterprise}/policies/{mode}", signup.ALL_REPORTS)

    def set_policy(self, policy, settings):
        answer = self.calls.call(self.calls.enterprises.policies().patch(name=policy, body=settings))
        if answer is None:     # not modified
            return None
        ours = {field: value for field, value in answer.items() if field not in ("name", "version")}
        if answer.get("name") != policy or ours != document.said(settings):
            self.faults.add("patched_policy", f"{policy} was set to {settings!r:.200} and is {answer!r:.200}")
        self.fleet.policy_set(policy, answer, settings)
        return rules.number(answer.get("version"))

    def policy(self, id, settings):
        name = self.device(id)
        policy = self.own.get(name)
        if policy is None:
            policy = f"{self.calls.enterprise}/policies/own-{name.rpartition('/')[2]}"
            version = self.set_policy(policy, settings)
            patch = self.calls.enterprises.devices().patch(name=name, updateMask="policyName", body={"policyName": policy})
            self.fleet.policy_given(name, policy, self.at_google(name, patch) or {"policyName": policy}, time.time())
            self.own[name] = policy
        else:
            version = self.set_policy(policy, settings)
        if version is not None:
            self.fleet.policy_changed(name, version, time.time())

    def command(self, id, command):
        name = self.device(id)
        self.fleet.issuing(name, 1)
        try:
            answer = self.at_google(name, self.calls.enterprises.devices().issueCommand(name=name, body=command))
            if answer is not None:
                self.fleet.issued(name, command, answer, time.time())
        finally:
            self.fleet.issuing(name, -1)

    def state(self, id, state):
        name = self.device(id)
        patch = self.calls.enterprises.devices().patch(name=name, updateMask="state", body={"state": state})
        self.fleet.state_set(name, state, self.at_google(name, patch) or {"state": state}, time.time())

    def delete(self, id):
        name = self.device(id)
        self.at_google(name, self.calls.enterprises.devices().delete(name=name))
        self.fleet.deleted(name, time.time())
        try:
            self.calls.call(self.calls.enterprises.devices().get(name=name))
            self.faults.add("get_deleted", f"{name} was deleted, and is there for devices.get")
        except Refused as error:
            if error.status != 404:
                self.faults.add("get_deleted", f"devices.get of {name}, which was deleted, says {error}")
