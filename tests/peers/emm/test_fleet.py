"""What the fleet makes of notifications, and what it misses."""

import json
import unittest

import document
from faults import Faults
from fleet import Fleet
from rules import moment
from test_rules import DEVICE, STARTED, changed

DOCUMENT = document.shipped()
NAME = DEVICE["name"]
START = moment("2026-11-30T12:02:00Z")
GOOD = changed(lastPolicySyncTime="2026-11-30T12:01:00Z", enrollmentTokenName="enterprises/e/enrollmentTokens/t",
               lastStatusReportTime="2026-11-30T12:02:00Z")


class Fleets(unittest.TestCase):
    def setUp(self):
        self.faults = Faults()
        self.fleet = Fleet(DOCUMENT, self.faults, report_within=100, notify_within=10)
        self.fleet.enterprise = "enterprises/e"
        asked = {"policyName": "enterprises/e/policies/p", "oneTimeOnly": True}
        self.fleet.token_made({"name": GOOD["enrollmentTokenName"]}, "l", "work_profile", asked)
        self.ids = 0

    def tell(self, kind, resource, at=0.0, message=None):
        self.ids += 1
        return self.fleet.take(kind, json.dumps(resource).encode(), message or f"m{self.ids}", START + at, START + at)

    def enroll(self, **fields):
        self.tell("ENROLLMENT", changed(GOOD, lastStatusReportTime=..., softwareInfo=..., appliedPolicyVersion=..., appliedPolicyName=...,
                                        appliedState="PROVISIONING", **fields))

    def rules(self, at=0.0):
        self.fleet.overdue(START + at)
        return self.faults.report()["by_rule"]

    def test_good(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.assertEqual(self.rules(1000), {})
        self.assertEqual(self.fleet.find("id"), NAME)
        self.assertEqual(self.fleet.believes()[0]["applied_version"], 3)

    def test_again(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1, "same")
        self.assertTrue(self.tell("STATUS_REPORT", GOOD, 1, "same"))
        self.assertEqual(self.rules(), {})
        self.tell("STATUS_REPORT", changed(GOOD, apiLevel=35), 1, "same")
        self.assertEqual(self.rules(), {"message_changed": 1})

    def test_silence(self):
        self.tell("STATUS_REPORT", GOOD)
        self.assertEqual(self.rules(9), {})
        self.assertEqual(self.rules(11), {"enrollment_missing": 1})

    def test_no_report(self):
        self.enroll()
        self.assertEqual(self.rules(101), {"report_missing": 1})

    def test_tokens(self):
        self.enroll()
        self.enroll(name="enterprises/e/devices/2", previousDeviceNames=[NAME], enrollmentTime="2026-11-30T12:00:30Z")
        self.assertEqual(self.rules(), {"enrollment_token": 1})

    def test_backwards(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.tell("STATUS_REPORT", changed(GOOD, appliedPolicyVersion="2", lastStatusReportTime="2026-11-30T12:02:02Z"), 2)
        self.assertEqual(self.rules(), {"version_backwards": 1})
        self.tell("STATUS_REPORT", changed(GOOD, lastStatusReportTime="2026-11-30T12:01:30Z"), 3)
        self.assertEqual(self.rules(), {"version_backwards": 1, "stale_report": 1})

    def test_overtaken(self):
        self.enroll()
        self.tell("STATUS_REPORT", changed(GOOD, appliedPolicyVersion="4", lastStatusReportTime="2026-11-30T12:02:02Z"), 3)
        self.tell("STATUS_REPORT", GOOD, 1)
        self.assertEqual(self.rules(), {}, "what was published before may come after")
        self.assertEqual(self.fleet.believes()[0]["applied_version"], 4)

    def test_made_by_nobody(self):
        self.fleet.policy_set("enterprises/e/policies/p", {"version": "1"}, {"statusReportingSettings": {"softwareInfoEnabled": True}})
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.assertEqual(self.rules(50), {"version_unknown": 1})

    def test_state(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.fleet.state_set(NAME, "DISABLED", {"state": "DISABLED"}, START + 2)
        self.assertEqual(self.rules(101), {})
        self.assertEqual(self.rules(103), {"state_not_reported": 1})

    def test_deleted(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.fleet.deleted(NAME, START + 2)
        self.assertEqual(self.rules(103), {"deleted_not_reported": 1})
        gone = {"name": NAME, "appliedState": "DELETED", "lastStatusReportTime": "2026-11-30T12:03:50Z"}
        self.tell("STATUS_REPORT", gone, 110)
        self.tell("STATUS_REPORT", changed(GOOD, lastStatusReportTime="2026-11-30T12:03:52Z"), 112)
        self.assertEqual(self.rules(), {"deleted_not_reported": 1, "after_deleted": 1})
        self.tell("STATUS_REPORT", gone, 120)
        self.assertEqual(self.rules()["deleted_twice"], 1)

    def test_previous(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.fleet.tokens[GOOD["enrollmentTokenName"]]["asked"]["oneTimeOnly"] = False
        self.enroll(name="enterprises/e/devices/2", enrollmentTime="2026-11-30T12:00:30Z")
        self.assertEqual(self.rules(50), {"previous_names": 1})

    def test_commands(self):
        ended = changed(STARTED, done=True, response={"@type": "x"})
        self.fleet.issuing(NAME, 1)
        self.assertFalse(self.tell("COMMAND", ended), "it overtook the answer, and is to come again")
        self.fleet.issued(NAME, {"type": "LOCK"}, STARTED, START)
        self.fleet.issuing(NAME, -1)
        self.assertTrue(self.tell("COMMAND", ended))
        self.assertTrue(self.tell("COMMAND", ended))
        self.assertEqual(self.rules(1000), {})
        self.tell("COMMAND", changed(STARTED, done=True, error={"code": 4, "message": "x"}))
        self.assertEqual(self.rules(), {"ended_twice": 1})

    def test_strange_commands(self):
        stranger = changed(STARTED, name="enterprises/e/devices/1/operations/6", done=True, response={})
        self.assertFalse(self.tell("COMMAND", stranger))
        self.assertTrue(self.tell("COMMAND", stranger, 11))
        self.assertEqual(self.rules(), {"unknown_operation": 1})

    def test_command_without_end(self):
        self.fleet.issued(NAME, {"type": "LOCK"}, STARTED, START)
        self.assertEqual(self.rules(605), {})
        self.assertEqual(self.rules(611), {"command_without_end": 1})

    def test_wiped(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        wipe = changed(STARTED, metadata={**STARTED["metadata"], "type": "WIPE"})
        self.fleet.issued(NAME, {"type": "WIPE"}, wipe, START)
        self.tell("COMMAND", changed(wipe, done=True, response={}), 2)
        self.assertEqual(self.rules(103), {"deleted_not_reported": 1})

    def test_deleted_by_nobody(self):
        self.enroll()
        self.tell("STATUS_REPORT", {"name": NAME, "appliedState": "DELETED", "lastStatusReportTime": "2026-11-30T12:02:01Z"}, 1)
        self.assertEqual(self.rules(5), {}, "the answer to the call may be on its way")
        self.assertEqual(self.rules(12), {"deleted_unasked": 1})

    def test_lists(self):
        self.enroll()
        self.tell("STATUS_REPORT", GOOD, 1)
        self.fleet.listed({NAME: GOOD}, self.fleet.believed(), START + 2)
        self.assertEqual(self.rules(50), {})
        self.fleet.listed({NAME: changed(GOOD, policyCompliant=...)}, self.fleet.believed(), START + 2)
        self.assertEqual(self.rules(50), {"list_differs": 1})
        self.fleet.listed({NAME: GOOD, "enterprises/e/devices/9": GOOD}, self.fleet.believed(), START + 2)
        self.assertEqual(self.rules(50), {"list_differs": 1, "list": 1})
        self.fleet.listed({}, self.fleet.believed(), START + 60)
        self.rules(100)
        self.assertFalse(self.fleet.believes()[0]["enrolled"], "it left without a word, which is no fault")

    def test_types(self):
        self.assertTrue(self.tell("test", None))
        self.tell("COMPLIANCE_REPORT", GOOD)
        self.fleet.take("ENROLLMENT", b"{", "x", START, START)
        self.tell("STATUS_REPORT", changed(GOOD, name="enterprises/other/devices/1"))
        self.assertEqual(self.rules(), {"notification_type": 1, "notification_data": 1, "unknown_device": 1})


if __name__ == "__main__":
    unittest.main()
