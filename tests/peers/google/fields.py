"""Every field of every schema of the discovery document, in each of its types and with each value of its enums: what is
sent is taken and comes back as it was; what only Google says is Google's."""

import json
import urllib.request

import schema
from client import PROJECT, SUBSCRIPTION, TOPIC, android, device, granted_topic
from management import sign_up
from messages import pulled

# What Google sets, or does not hear from others.
GOOGLES = {
    "Enterprise": {"name", "enterpriseType", "managedGoogleDomainType", "managedGooglePlayAccountsEnterpriseType"},
    "Policy": {"name", "version"},
    "EnrollmentToken": {"name", "value", "qrCode", "expirationTimestamp", "user"},
    "MigrationToken": {"name", "value", "createTime", "device", "ttl"},
    "WebApp": {"name", "versionCode"},
    "WebToken": {"name", "value"},
    "Command": {"createTime", "userName", "errorCode"}
    | {f"{of}Status" for of in ("clearAppsData", "startLostMode", "stopLostMode", "esim", "requestDeviceInfo")},
    "Device": {"name", "state", "appliedState", "policyName", "appliedPolicyName", "appliedPolicyVersion"}
    | {"managementMode", "ownership", "enrollmentTime", "enrollmentTokenName", "enrollmentTokenData"}
    | {"previousDeviceNames", "dpcMigrationInfo", "lastPolicySyncTime", "lastStatusReportTime"},
}

# Fields of answers that have no place here.
UNSAID = {
    # Deprecated: Google ignores it.
    ("EnrollmentToken", "user"),
    # A list that could not be made whole: here it always can.
    ("ListOperationsResponse", "unreachable"),
    # An error of an operation has none.
    ("Status", "details"),
    # Nobody's business.
    ("Command", "newPassword"),
    # Google's to say, which nobody signs in to here.
    ("GoogleAuthenticationSettings", "googleAuthenticationRequired"),
    # Only asked with.
    ("GenerateEnterpriseUpgradeUrlRequest", "adminEmail"),
    ("GenerateEnterpriseUpgradeUrlRequest", "allowedDomains"),
    ("MigrationToken", "ttl"),
    ("ModifyPolicyApplicationsRequest", "changes"),
    ("ApplicationPolicyChange", "application"),
    ("ApplicationPolicyChange", "updateMask"),
    ("RemovePolicyApplicationsRequest", "packageNames"),
}


def same(name, sent, came):
    """What was sent is what came, by value and by type; but for what is Google's to say."""
    schema.check(name, came)
    for field, value in sent.items():
        if field in GOOGLES.get(name, ()):
            assert json.dumps(came.get(field)) != json.dumps(value), f"{name}.{field} is Google's, and was taken"
        else:
            assert json.dumps(came.get(field)) == json.dumps(value), f"{name}.{field}: {value!r} became {came.get(field)!r}"


def case_fields(url, key):
    service = android(url, key)
    enterprises = service.enterprises()
    name = sign_up(service)
    _, subscriber = granted_topic(url, key)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    enterprises.patch(name=name, body={"pubsubTopic": TOPIC}).execute()
    assert pulled(subscriber, 1) == [("test", None)]
    for turn in range(schema.ROUNDS):
        enterprise(enterprises, name, turn)
        policies(enterprises.policies(), name, turn)
        tokens(enterprises, name, turn)
        apps(service, enterprises, name, turn)
        devices(enterprises.devices(), enterprises, name, subscriber, turn)
    lists(enterprises, name)
    urllib.request.urlopen(enterprises.generateEnterpriseUpgradeUrl(name=name, body={}).execute()["url"])
    schema.check("EnterpriseUpgradeEvent", pulled(subscriber, 1)[0][1])
    assert enterprises.get(name=name).execute()["managedGoogleDomainType"] == "TYPE_DOMAIN"

    schemas = schema.DOCUMENT["schemas"]
    every = {(of, field) for of, described in schemas.items() for field in described.get("properties", {})}
    assert len(schemas) == 188 and every - schema.met == UNSAID, sorted((every - schema.met) ^ UNSAID)


def enterprise(enterprises, name, turn):
    sent = schema.filled("Enterprise", turn)
    sent["pubsubTopic"] = TOPIC
    # Those that it wants to hear of stay, so that the rest of the turn can be heard.
    kinds = ["ENROLLMENT", "STATUS_REPORT", "COMMAND", "USAGE_LOGS"]
    sent["enabledNotificationTypes"] = [*kinds, *sent["enabledNotificationTypes"]]
    for own in GOOGLES["Enterprise"] - {"name"}:
        sent[own] = schema.DOCUMENT["schemas"]["Enterprise"]["properties"][own]["enum"][0]
    patched = enterprises.patch(name=name, body=sent).execute()
    # All that it has is Google's to say.
    sent["googleAuthenticationSettings"] = {}
    same("Enterprise", sent, patched)
    same("Enterprise", sent, enterprises.get(name=name).execute())


def policies(policies, name, turn):
    sent, policy = schema.filled("Policy", turn), f"{name}/policies/p"
    same("Policy", sent, policies.patch(name=policy, body=sent).execute())
    same("Policy", sent, policies.get(name=policy).execute())
    same("Policy", sent, policies.list(parent=name).execute()["policies"][0])
    change = schema.filled("ModifyPolicyApplicationsRequest", turn)["changes"][0]
    change["application"]["packageName"] = "com.example.other"
    whole = {"changes": [{**change, "updateMask": ""}]}
    modified = policies.modifyPolicyApplications(name=policy, body=whole).execute()["policy"]
    same("ApplicationPolicy", change["application"], modified["applications"][1])
    body = {"packageNames": ["com.example.other"]}
    emptied = policies.removePolicyApplications(name=policy, body=body).execute()["policy"]
    assert emptied["applications"] == sent["applications"]


def tokens(enterprises, name, turn):
    tokens, sent = enterprises.enrollmentTokens(), schema.filled("EnrollmentToken", turn)
    sent.update(policyName=f"{name}/policies/p", duration="3600s")
    same("EnrollmentToken", sent, tokens.create(parent=name, body=sent).execute())
    migrations, sent = enterprises.migrationTokens(), schema.filled("MigrationToken", turn)
    del sent["expireTime"]
    sent.update(policy=f"{name}/policies/p", ttl="60s")
    token = migrations.create(parent=name, body=sent).execute()
    same("MigrationToken", sent, token)
    migrated = device("migrate", token=token["value"], serial=f"m{turn}")["name"]
    assert migrations.get(name=token["name"]).execute()["device"] == migrated
    seen = enterprises.devices().get(name=migrated).execute()
    assert seen["dpcMigrationInfo"]["additionalData"] == sent["additionalData"]
    enterprises.devices().delete(name=migrated).execute()
    sent = schema.filled("WebToken", turn)
    same("WebToken", sent, enterprises.webTokens().create(parent=name, body=sent).execute())


def apps(service, enterprises, name, turn):
    apps, sent = enterprises.webApps(), schema.filled("WebApp", turn)
    made = apps.create(parent=name, body=sent).execute()
    same("WebApp", sent, made)
    same("WebApp", sent, apps.get(name=made["name"]).execute())
    enterprises.applications().get(name=f"{name}/applications/com.example.app").execute()
    sent = schema.filled("ProvisioningInfo", turn)
    info = device("provision", info=sent)["name"]
    came = service.provisioningInfo().get(name=info).execute()
    same("ProvisioningInfo", {**sent, "name": info}, came)


def devices(devices, enterprises, name, subscriber, turn):
    body = {"policyName": "p", "additionalData": "x"}
    token = enterprises.enrollmentTokens().create(parent=name, body=body).execute()["value"]
    # Every other turn it is the device of the turn before.
    one = device("enroll", token=token, serial=f"s{turn // 2}")["name"]
    version = int(enterprises.policies().get(name=f"{name}/policies/p").execute()["version"])
    sent = {field: value for field, value in schema.filled("Device", turn).items() if field not in GOOGLES["Device"]}
    sent["userName"] = f"{name}/users/1"
    device("report", device=one, applied=version, report=sent)
    same("Device", sent, devices.get(name=one).execute())
    batch = schema.filled("BatchUsageLogEvents", turn)
    device("log", device=one, events=batch["usageLogEvents"])

    command = {**schema.filled("Command", turn), "duration": "60s"}
    issued = devices.issueCommand(name=one, body=command).execute()
    del command["newPassword"]
    same("Command", command, metadata(issued))
    told = {field: value for field, value in command.items() if field.endswith("Status")}
    if turn % 2:
        device("done", operation=issued["name"], status=told)
    else:
        told = {"errorCode": command["errorCode"]}
        device("done", operation=issued["name"], failed=told["errorCode"])

    heard = dict(pulled(subscriber, 5))
    schema.check("Device", heard["ENROLLMENT"])
    same("Device", sent, heard["STATUS_REPORT"])
    schema.check("BatchUsageLogEvents", heard["USAGE_LOGS"])
    assert heard["USAGE_LOGS"]["usageLogEvents"] == batch["usageLogEvents"]
    schema.check("Operation", heard["COMMAND"])
    ended = metadata(heard["COMMAND"])
    schema.check("Command", ended)
    assert {field: ended[field] for field in told} == told and heard["COMMAND"]["name"] == issued["name"]
    if turn % 2 == 0:
        reason = schema.filled("Device", turn)["disabledReason"]
        patch = {"state": "DISABLED", "disabledReason": reason}
        same("Device", {"disabledReason": reason}, devices.patch(name=one, body=patch).execute())


def metadata(operation):
    """What an operation says of its command."""
    fields = dict(operation["metadata"])
    assert fields.pop("@type") == "type.googleapis.com/google.android.devicemanagement.v1.Command"
    assert "newPassword" not in fields
    return fields


def lists(enterprises, name):
    """Every list, on more pages than one."""
    enterprises.create(projectId=PROJECT, agreementAccepted=True, body={}).execute()
    enterprises.policies().patch(name=f"{name}/policies/q", body={}).execute()
    devices = enterprises.devices()
    one = devices.list(parent=name, pageSize=1).execute()["devices"][0]["name"]
    for _ in range(2):
        devices.issueCommand(name=one, body={"type": "LOCK"}).execute()
    pages = [devices.operations().list(name=f"{one}/operations", pageSize=1)]
    pages += [enterprises.list(projectId=PROJECT, pageSize=1)]
    for of in (devices, enterprises.policies(), enterprises.enrollmentTokens(), enterprises.migrationTokens(), enterprises.webApps()):
        pages.append(of.list(parent=name, pageSize=1))
    for page in pages:
        assert "nextPageToken" in page.execute()
