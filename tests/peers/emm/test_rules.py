"""What the rules, the document, and the calls' own arithmetic find and let pass."""

import copy
import unittest

import calls
import document
import rules
from faults import Faults

DOCUMENT = document.shipped()
DEVICE = {
    "name": "enterprises/e/devices/1", "managementMode": "PROFILE_OWNER", "ownership": "PERSONALLY_OWNED", "state": "ACTIVE",
    "appliedState": "ACTIVE", "apiLevel": 36, "policyName": "enterprises/e/policies/p", "appliedPolicyName": "enterprises/e/policies/p",
    "appliedPolicyVersion": "3", "policyCompliant": True, "enrollmentTime": "2026-11-30T12:00:00Z",
    "lastPolicySyncTime": "2026-11-30T12:01:00.5Z", "lastStatusReportTime": "2026-11-30T12:02:00.000001Z",
    "hardwareInfo": {"brand": "b", "model": "m", "manufacturer": "f", "serialNumber": "id", "enterpriseSpecificId": "id"},
    "softwareInfo": {"androidVersion": "16", "securityPatchLevel": "2026-10-05"},
}
POLICY = {"statusReportingSettings": {"softwareInfoEnabled": True}}
STARTED = {"name": "enterprises/e/devices/1/operations/5", "metadata": {"@type": "type.googleapis.com/google.android.devicemanagement.v1.Command",
           "type": "LOCK", "createTime": "2026-11-30T12:00:00Z", "duration": "600s"}}


def changed(original=DEVICE, **fields):
    value = copy.deepcopy(original)
    for field, inner in fields.items():
        value[field] = inner
    return {field: inner for field, inner in value.items() if inner is not ...}


class Said(unittest.TestCase):
    def test_what_says_nothing_is_left_out(self):
        told = {"a": False, "b": {"c": 0, "d": 1}, "e": [], "f": [{"g": ""}], "h": {}, "i": None}
        self.assertEqual(document.said(told), {"b": {"d": 1}, "f": [{}], "h": {}})


class OfDevices(unittest.TestCase):
    def found(self, device, policies=(POLICY,), kind="STATUS_REPORT"):
        return list(rules.of_device(kind, device, list(policies)))

    def finds(self, words, device, *policies):
        found = self.found(device, policies or (POLICY,))
        self.assertTrue(any(words in sentence for sentence in found), found)

    def test_good(self):
        self.assertEqual(self.found(DEVICE), [])

    def test_sections(self):
        self.finds("softwareInfo is missing", changed(softwareInfo=...))
        self.finds("no policy of the device asks", DEVICE, {})
        self.finds("company only", changed(displays=[{}]), {"statusReportingSettings": {"softwareInfoEnabled": True, "displayInfoEnabled": True}})
        self.finds("batteryShutdownTemperatures", changed(hardwareInfo={**DEVICE["hardwareInfo"], "batteryShutdownTemperatures": [60]}))
        self.assertEqual(self.found(changed(softwareInfo=...), (POLICY, {})), [], "either of two policies may be in force")
        self.assertEqual(self.found(changed(softwareInfo=...), kind="ENROLLMENT"), [])
        self.assertEqual(self.found(changed(softwareInfo=...), ()), [], "nothing is known of its policy")

    def test_identity(self):
        self.finds("no enterpriseSpecificId", changed(hardwareInfo={"brand": "b", "model": "m", "manufacturer": "f", "serialNumber": "id"}))
        self.finds("is not its enterpriseSpecificId", changed(hardwareInfo={**DEVICE["hardwareInfo"], "serialNumber": "s"}))
        self.finds("only people's own", changed(ownership="COMPANY_OWNED"))
        self.finds("LOST", changed(appliedState="LOST"))

    def test_times(self):
        self.finds("before enrollmentTime", changed(enrollmentTime="2026-11-30T13:00:00Z"))
        events = [{"createTime": "2026-11-30T12:00:02Z"}, {"createTime": "2026-11-30T12:00:01Z"}]
        self.finds("chronological", changed(memoryEvents=events))
        app = {"packageName": "a", "events": [{"createTime": "2026-11-28T12:00:02Z"}]}
        self.finds("older than 30 hours", changed(applicationReports=[app]))

    def test_compliance(self):
        detail = {"settingName": "applications", "nonComplianceReason": "APP_NOT_INSTALLED", "packageName": "a",
                  "installationFailureReason": "IN_PROGRESS"}
        policy = {**POLICY, "applications": [{"packageName": "a", "installType": "FORCE_INSTALLED"}]}
        policy["statusReportingSettings"] = {"softwareInfoEnabled": True, "applicationReportsEnabled": True}
        late = changed(policyCompliant=..., nonComplianceDetails=[detail])
        self.assertEqual(self.found(late, [policy]), [])
        self.finds("policyCompliant is true", changed(late, policyCompliant=True), policy)
        self.finds("neither reported nor", DEVICE, policy)
        self.finds("installationFailureReason", changed(late, nonComplianceDetails=[{**detail, "nonComplianceReason": "PENDING"}]), policy)
        self.finds("does not have", changed(late, nonComplianceDetails=[{**detail, "settingName": "cameraDisabled"}]), policy)
        self.assertEqual(self.found(changed(applicationReports=[{"packageName": "a", "state": "INSTALLED"}]), [policy]), [])

    def test_defaults(self):
        told = {"defaultApplicationType": "DEFAULT_BROWSER", "defaultApplicationSettingAttempts": [{"attemptOutcome": "SUCCESS"}]}
        policy = {"statusReportingSettings": {"softwareInfoEnabled": True, "defaultApplicationInfoReportingEnabled": True}}
        self.finds("is without", changed(defaultApplicationInfo=[told]), policy)
        self.finds("SettingAttempts", changed(defaultApplicationInfo=[told]), policy)


class OfOperations(unittest.TestCase):
    def test_start(self):
        self.assertEqual(list(rules.of_start(STARTED, "enterprises/e/devices/1", {"type": "LOCK"})), [])
        self.assertEqual(len(list(rules.of_start(STARTED, "enterprises/e/devices/2", {"type": "WIPE", "duration": "5s"}))), 3)

    def test_end(self):
        good = changed(STARTED, done=True, response={})
        self.assertEqual(list(rules.of_operation(good, STARTED)), [])
        self.assertTrue(list(rules.of_operation(changed(good, error={"code": 4}), STARTED)))
        self.assertTrue(list(rules.of_operation(changed(good, done=...), STARTED)))

    def test_statuses(self):
        command = {"clearAppsDataParams": {"packageNames": ["a", "b"]}}
        told = {"metadata": {"clearAppsDataStatus": {"results": {"a": {}}}}}
        self.assertEqual(rules.kind_of(command), "CLEAR_APP_DATA")
        self.assertEqual(len(list(rules.of_status(told, command))), 1)
        self.assertEqual(len(list(rules.of_status({"metadata": {}}, command))), 1)
        self.assertEqual(len(list(rules.of_status(told, {"type": "LOCK"}))), 1)


class OfTheDocument(unittest.TestCase):
    def test_good(self):
        self.assertEqual(DOCUMENT.wrong("Device", changed(lastPolicySyncTime="2026-11-30T12:01:00.500Z")), [])

    def test_bad(self):
        for words, fields in {
            "no int64 as string: 3": {"appliedPolicyVersion": 3}, "no int64: '03'": {"appliedPolicyVersion": "03"},
            "no google-datetime": {"enrollmentTime": "2026-11-30T12:00:00+00:00"}, "none of its enum": {"state": "GONE"},
            "no field": {"color": "red"}, "is null": {"user": None}, "empty list": {"previousDeviceNames": []},
            "no boolean": {"policyCompliant": "true"}, "no int32 as integer": {"apiLevel": True}, "beyond int32": {"apiLevel": 2**31},
            "to be absent": {"ownership": "OWNERSHIP_UNSPECIFIED"}, "no object": {"hardwareInfo": "x"},
        }.items():
            found = DOCUMENT.wrong("Device", changed(lastPolicySyncTime=..., **fields))
            self.assertTrue(len(found) == 1 and words in found[0], (words, found))

    def test_any(self):
        self.assertEqual(DOCUMENT.wrong_any("Command", STARTED["metadata"]), [])
        self.assertEqual(len(DOCUMENT.wrong_any("Command", {"type": "LOCK"})), 1)


class OfCalls(unittest.TestCase):
    def test_paging(self):
        seen = set()
        self.assertEqual(list(calls.paging([{"name": "a"}], {}, None, "t", seen)), [])
        self.assertEqual(len(list(calls.paging([{"name": "a"}], {"a": 1}, 7, "t", seen))), 2, "twice the device, twice the token")
        self.assertEqual(len(list(calls.paging([{"name": str(n)} for n in range(11)], {}, None, None, seen))), 1)
        self.assertEqual(len(list(calls.paging([], {}, 7, "u", seen))), 1)

    def test_again(self):
        self.assertTrue(calls.out_of_quota(429, "RESOURCE_EXHAUSTED", ""))
        self.assertTrue(calls.out_of_quota(500, "INTERNAL", "Quota exceeded for quota metric"))
        self.assertFalse(calls.out_of_quota(500, "INTERNAL", "Internal error encountered."))
        self.assertEqual([calls.backoff(n, 0) for n in range(7)], [1, 2, 4, 8, 16, 32, 32])


class OfFaults(unittest.TestCase):
    def test_alike(self):
        faults = Faults()
        for name in ("a1", "b2", "b2"):
            faults.add("r", f"enterprises/e/devices/{name} is late by {len(name)} s")
        self.assertEqual(faults.report()["faults"], ["r: enterprises/e/devices/a1 is late by 2 s (3 like it)"])
        self.assertEqual(faults.report()["by_rule"], {"r": 3})


class OfMoments(unittest.TestCase):
    def test_moment(self):
        self.assertEqual(rules.moment("1970-01-01T00:00:01.500Z"), 1.5)
        self.assertIsNone(rules.moment("yesterday"))
        self.assertIsNone(rules.moment(None))


if __name__ == "__main__":
    unittest.main()
