"""Requests that are spelled otherwise than Google spells its answers, and those that it refuses: what Google's own
libraries send of a program that passes them what is at hand, sent here as it is."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import google.auth.transport.requests
from google.oauth2 import service_account

import schema
from client import SCOPE, TOPIC, android, granted_topic, refused
from management import sign_up

TABLE = Path(__file__).parents[3] / "sim/emulators/src/google/management/schemas.txt"
# A policy as it may come, and as it is answered.
SPELLED = {
    "maximumTimeToLock": 60000,
    "minimum_api_level": "28",
    "cameraDisabled": "true",
    "funDisabled": False,
    "shortSupportMessage": None,
    "stayOnPluggedModes": "USB",
    "defaultPermissionPolicy": 2,
    "appAutoUpdatePolicy": "wifi-only",
    "locationMode": "LOCATION_MODE_UNSPECIFIED",
    "permittedInputMethods": {},
    "permissionGrants": [],
    "passwordRequirements": {"password_minimum_length": 8.0, "passwordExpirationTimeout": "86400.5s", "passwordHistoryLength": 0},
    "applications": [
        {"package_name": "com.example.a", "installType": "1", "minimumVersionCode": "7", "disabled": False,
         "managedConfiguration": {"snake_case": False, "none": None, "list": []}},
    ],
    "longSupportMessage": {"defaultMessage": "", "localized_messages": {"en_US": ""}},
}
CANONICAL = {
    "maximumTimeToLock": "60000",
    "minimumApiLevel": 28,
    "cameraDisabled": True,
    "stayOnPluggedModes": ["USB"],
    "defaultPermissionPolicy": "GRANT",
    "appAutoUpdatePolicy": "WIFI_ONLY",
    "permittedInputMethods": {},
    "passwordRequirements": {"passwordMinimumLength": 8, "passwordExpirationTimeout": "86400.500s"},
    "applications": [
        {"packageName": "com.example.a", "installType": "PREINSTALLED", "minimumVersionCode": 7,
         "managedConfiguration": {"snake_case": False, "none": None, "list": []}},
    ],
    "longSupportMessage": {"localizedMessages": {"en_US": ""}},
}
# What is refused, where, and how it is said.
REFUSED = [
    ({"cameraDisabeld": True}, "policy", "Unknown name \"cameraDisabeld\" at 'policy': Cannot find field."),
    ({"systemUpdate": {"kind": 1}}, "policy.system_update", "Unknown name \"kind\" at 'policy.system_update': Cannot find field."),
    ({"applications": [{"packageName": "a.b", "x": 1}]}, "policy.applications[0]", "at 'policy.applications[0]'"),
    ({"cameraDisabled": 1}, "policy.camera_disabled", "Invalid value at 'policy.camera_disabled' (TYPE_BOOL), 1"),
    ({"maximumTimeToLock": "1.5"}, "policy.maximum_time_to_lock", "(TYPE_INT64), \"1.5\""),
    ({"maximumTimeToLock": 2**63}, "policy.maximum_time_to_lock", "(TYPE_INT64), 9223372036854775808"),
    ({"minimumApiLevel": 2**31}, "policy.minimum_api_level", "(TYPE_INT32), 2147483648"),
    ({"locationMode": "SOMEWHERE"}, "policy.location_mode", "(TYPE_ENUM), \"SOMEWHERE\""),
    ({"locationMode": 99}, "policy.location_mode", "(TYPE_ENUM), 99"),
    ({"accountTypesWithManagementDisabled": [1]}, "policy.account_types_with_management_disabled[0]", "(TYPE_STRING), 1"),
    ({"accountTypesWithManagementDisabled": [None]}, "policy.account_types_with_management_disabled[0]", "null"),
    ({"systemUpdate": "AUTOMATIC"}, "policy.system_update", "(type.googleapis.com/google.android.devicemanagement.v1.SystemUpdate)"),
    ({"cameraDisabled": [True]}, "policy", "Proto field is not repeating, cannot start list."),
    ({"cameraDisabled": {}}, "policy.camera_disabled", "Starting an object on a scalar field"),
    ({"passwordRequirements": {"passwordExpirationTimeout": "1 day"}}, "policy.password_requirements.password_expiration_timeout", "1 day"),
    ({"openNetworkConfiguration": "{}"}, "policy.open_network_configuration", "Struct"),
]


def case_canonical(url, key):
    assert TABLE.read_text().splitlines() == list(schema.table()), "schemas.txt: run schema.py again"
    service = android(url, key)
    enterprises = service.enterprises()
    name = sign_up(service)
    policies, policy = enterprises.policies(), f"{name}/policies/p"
    own = {"name": policy, "version": "1"}
    assert policies.patch(name=policy, body=SPELLED).execute() == CANONICAL | own
    assert policies.get(name=policy).execute() == CANONICAL | own
    assert policies.patch(name=policy, body=CANONICAL).execute() == CANONICAL | own | {"version": "2"}
    refusals(policies, policy)
    masks(policies, policy)
    others(enterprises, name, url, key)
    raw(url, key, policy)


def refusals(policies, policy):
    for body, field, said in REFUSED:
        error = refused(400, "INVALID_ARGUMENT", policies.patch(name=policy, body=body).execute)
        error = json.loads(error.content)["error"]
        [violation] = error["details"][0]["fieldViolations"]
        assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        assert violation["field"] == field and said in violation["description"], (body, violation)
        assert error["message"] == violation["description"]
    both = refused(400, "INVALID_ARGUMENT", policies.patch(name=policy, body={"x": 1, "funDisabled": "?"}).execute)
    error = json.loads(both.content)["error"]
    assert len(error["details"][0]["fieldViolations"]) == 2 and error["message"].count("\n") == 1
    assert policies.get(name=policy).execute()["version"] == "2", "what is refused changes nothing"


def masks(policies, policy):
    for mask in ("cameraDisabeld", "systemUpdate.kind", "cameraDisabled.x", "applications.packageName", "*,x"):
        refused(400, "INVALID_ARGUMENT", policies.patch(name=policy, updateMask=mask, body={}).execute)
    mask = "camera_disabled,password_requirements.password_history_length,long_support_message.localized_messages"
    body = {"camera_disabled": False, "passwordRequirements": {"passwordHistoryLength": 3}}
    patched = policies.patch(name=policy, updateMask=mask, body=body).execute()
    assert "cameraDisabled" not in patched and patched["passwordRequirements"]["passwordHistoryLength"] == 3
    change = {"application": {"packageName": "com.example.a", "install_type": "BLOCKED"}, "update_mask": "install_type"}
    changed = policies.modifyPolicyApplications(name=policy, body={"changes": change}).execute()["policy"]
    assert changed["applications"][0]["installType"] == "BLOCKED" and changed["applications"][0]["minimumVersionCode"] == 7
    change["update_mask"] = "nothing"
    refused(400, "INVALID_ARGUMENT", policies.modifyPolicyApplications(name=policy, body={"changes": [change]}).execute)
    error = refused(400, "INVALID_ARGUMENT", policies.removePolicyApplications(name=policy, body={"x": 1}).execute)
    [violation] = json.loads(error.content)["error"]["details"][0]["fieldViolations"]
    assert violation == {"description": "Invalid JSON payload received. Unknown name \"x\": Cannot find field."}


def others(enterprises, name, url, key):
    """All other methods that have a body."""
    granted_topic(url, key)
    kinds = ["ENROLLMENT", 4]
    sent = {"pubsub_topic": TOPIC, "enabledNotificationTypes": kinds, "enterpriseType": "MANAGED_GOOGLE_DOMAIN"}
    patched = enterprises.patch(name=name, body=sent).execute()
    assert (patched["pubsubTopic"], patched["enabledNotificationTypes"]) == (TOPIC, ["ENROLLMENT", "COMMAND"])
    assert patched["enterpriseType"] != "MANAGED_GOOGLE_DOMAIN", "only Google says that"
    nowhere = {"pubsub_topic": "projects/p1/topics/nowhere"}
    refused(400, "INVALID_ARGUMENT", enterprises.patch(name=name, body=nowhere).execute)
    refused(400, "INVALID_ARGUMENT", enterprises.patch(name=name, body={"enabledNotificationTypes": ["x"]}).execute)
    tokens = enterprises.enrollmentTokens()
    sent = {"policy_name": "p", "allow_personal_usage": 1, "duration": "60.0s", "oneTimeOnly": False}
    token = tokens.create(parent=name, body=sent).execute()
    assert (token["allowPersonalUsage"], token["duration"]) == ("PERSONAL_USAGE_ALLOWED", "60s")
    assert token["policyName"] == f"{name}/policies/p" and "oneTimeOnly" not in token
    refused(400, "INVALID_ARGUMENT", tokens.create(parent=name, body={"allowPersonalUsage": "x"}).execute)
    body = {"device_id": "d", "userId": "u", "policy": "p", "managementMode": 3, "expire_time": "2999-01-05T09:00:00+01:00"}
    refused(400, "INVALID_ARGUMENT", enterprises.migrationTokens().create(parent=name, body=body).execute)
    token = enterprises.migrationTokens().create(parent=name, body={**body, "expire_time": None}).execute()
    assert token["managementMode"] == "FULLY_MANAGED"
    app = enterprises.webApps().create(parent=name, body={"title": "t", "start_url": "https://a.example"}).execute()
    assert app["startUrl"] and app["versionCode"] == "1"
    web = {"parent_frame_url": "https://emm.example", "permissions": "APPROVE_APPS"}
    assert enterprises.webTokens().create(parent=name, body=web).execute()["permissions"] == ["APPROVE_APPS"]
    refused(400, "INVALID_ARGUMENT", enterprises.generateEnterpriseUpgradeUrl(name=name, body={"x": 1}).execute)
    device = f"{name}/devices/x"
    for body in ({"type": "EXPLODE"}, {"type": "LOCK", "x": 1}):
        refused(400, "INVALID_ARGUMENT", enterprises.devices().issueCommand(name=device, body=body).execute)
    refused(400, "INVALID_ARGUMENT", enterprises.devices().patch(name=device, body={"policy": "p"}).execute)


def raw(url, key, policy):
    """Bodies that no library sends."""
    credentials = service_account.Credentials.from_service_account_file(key, scopes=[SCOPE])
    credentials.refresh(google.auth.transport.requests.Request())
    for body in (b"[]", b"5", b'"x"', b"null", b"{", b"\xff"):
        request = urllib.request.Request(f"{url}/v1/{policy}", body, method="PATCH")
        request.add_header("Authorization", f"Bearer {credentials.token}")
        request.add_header("Content-Type", "application/json")
        try:
            urllib.request.urlopen(request)
            raise AssertionError(f"{body} was taken")
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read())["error"]
            assert (error.code, answer["status"]) == (400, "INVALID_ARGUMENT"), answer
            assert answer["message"].startswith("Invalid JSON payload received. "), answer
