"""The Android Management API: every method, who is let in, and the quota."""

import json
import time
import urllib.request
from urllib.parse import parse_qs, urlparse

import google.auth.exceptions
import httplib2
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account
from googleapiclient.discovery import build

import schema
from client import PROJECT, SCOPE, Checked, android, called, device, refused


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def agreed(url):
    """The administrator's browser: where it is sent."""
    try:
        urllib.request.build_opener(NoRedirect).open(url)
    except urllib.error.HTTPError as redirect:
        assert redirect.code == 302, redirect.code
        return redirect.headers["Location"]
    raise AssertionError("no redirect")


def sign_up(service):
    signup = service.signupUrls().create(projectId=PROJECT, callbackUrl="https://emm.example/cb?a=b").execute()
    callback = urlparse(agreed(signup["url"]))
    token = parse_qs(callback.query)["enterpriseToken"][0]
    assert parse_qs(callback.query)["a"] == ["b"]
    body = {"enterpriseDisplayName": "Droves"}
    create = service.enterprises().create
    by = {"projectId": PROJECT, "signupUrlName": signup["name"], "body": body}
    refused(400, "INVALID_ARGUMENT", create(enterpriseToken="x", **by).execute)
    enterprise = create(enterpriseToken=token, **by).execute()
    assert len(enterprise["name"]) == len("enterprises/LC") + 8
    return enterprise["name"]


def case_management(url, key):
    """Every method of the discovery document, and what is refused."""
    service = android(url, key)
    enterprises = service.enterprises()
    name = sign_up(service)
    other = enterprises.create(projectId=PROJECT, agreementAccepted=True, body={}).execute()["name"]
    listed = enterprises.list(projectId=PROJECT, pageSize=1).execute()
    assert "nextPageToken" in listed and set(listed["enterprises"][0]) <= {"name", "enterpriseDisplayName"}
    enterprises.generateEnterpriseUpgradeUrl(name=name, body={}).execute()
    enterprises.delete(name=other).execute()
    refused(403, "PERMISSION_DENIED", enterprises.get(name=other).execute)
    refused(403, "PERMISSION_DENIED", enterprises.list(projectId="somebody-elses").execute)
    patched = enterprises.patch(name=name, updateMask="primaryColor", body={"primaryColor": 7, "logo": {}}).execute()
    assert patched["primaryColor"] == 7 and "logo" not in patched
    assert enterprises.get(name=name).execute() == patched

    policies(enterprises.policies(), name)
    tokens(enterprises, name)
    apps(service, enterprises, name)
    devices(enterprises.devices(), enterprises, name)
    missing = set(schema.METHODS) - called
    assert not missing, f"methods that were not called: {missing}"


def policies(policies, name):
    policy = f"{name}/policies/p"
    assert policies.patch(name=policy, body={"cameraDisabled": True}).execute()["version"] == "1"
    second = policies.patch(name=policy, updateMask="funDisabled", body={"funDisabled": True}).execute()
    assert (second["version"], second["cameraDisabled"], second["funDisabled"]) == ("2", True, True)
    change = {"application": {"packageName": "com.example.a", "installType": "BLOCKED"}, "updateMask": ""}
    modified = policies.modifyPolicyApplications(name=policy, body={"changes": [change]}).execute()["policy"]
    assert (modified["version"], len(modified["applications"])) == ("3", 1)
    body = {"packageNames": ["com.example.a"]}
    emptied = policies.removePolicyApplications(name=policy, body=body).execute()["policy"]
    assert emptied["version"] == "4" and "applications" not in emptied
    rules = {"policyEnforcementRules": [{"settingName": "x", "blockAction": {"blockAfterDays": 1}}]}
    refused(400, "INVALID_ARGUMENT", policies.patch(name=policy, body=rules).execute)
    assert policies.get(name=policy).execute()["version"] == "4"
    policies.patch(name=f"{name}/policies/q", body={}).execute()
    assert len(policies.list(parent=name).execute()["policies"]) == 2
    policies.delete(name=f"{name}/policies/q").execute()
    refused(404, "NOT_FOUND", policies.get(name=f"{name}/policies/q").execute)


def tokens(enterprises, name):
    tokens = enterprises.enrollmentTokens()
    refused(400, "INVALID_ARGUMENT", tokens.create(parent=name, body={"additionalData": "x" * 1025}).execute)
    refused(400, "INVALID_ARGUMENT", tokens.create(parent=name, body={"duration": "59s"}).execute)
    token = tokens.create(parent=name, body={"policyName": "p", "duration": "315576000000s"}).execute()
    assert token["policyName"] == f"{name}/policies/p" and token["expirationTimestamp"].startswith("9999-")
    extras = json.loads(token["qrCode"])["android.app.extra.PROVISIONING_ADMIN_EXTRAS_BUNDLE"]
    assert token["value"] in extras.values() and len(token["value"]) == 20
    shown = tokens.get(name=token["name"]).execute()
    assert "policyName" not in shown and shown["value"] == token["value"]
    assert tokens.list(parent=name, pageSize=1000).execute()["enrollmentTokens"] == [shown]
    tokens.delete(name=token["name"]).execute()
    refused(404, "NOT_FOUND", tokens.get(name=token["name"]).execute)

    migrations = enterprises.migrationTokens()
    body = {"deviceId": "d", "userId": "u", "policy": "p", "managementMode": "FULLY_MANAGED", "ttl": "60s"}
    token = migrations.create(parent=name, body=body).execute()
    assert migrations.get(name=token["name"]).execute() == token
    assert migrations.list(parent=name).execute()["migrationTokens"] == [token]
    refused(400, "INVALID_ARGUMENT", migrations.create(parent=name, body={**body, "ttl": "604801s"}).execute)
    web = enterprises.webTokens().create(parent=name, body={"parentFrameUrl": "https://emm.example"}).execute()
    assert web["value"]


def apps(service, enterprises, name):
    apps = enterprises.webApps()
    app = apps.create(parent=name, body={"title": "t", "startUrl": "https://a.example"}).execute()
    again = apps.patch(name=app["name"], updateMask="title", body={"title": "u"}).execute()
    assert (app["versionCode"], again["versionCode"], again["title"]) == ("1", "2", "u")
    assert apps.get(name=app["name"]).execute() == again
    assert apps.list(parent=name).execute()["webApps"] == [again]
    apps.delete(name=app["name"]).execute()
    assert apps.list(parent=name).execute() == {}
    store = enterprises.applications()
    assert store.get(name=f"{name}/applications/com.example.app").execute()["permissions"]
    refused(404, "NOT_FOUND", store.get(name=f"{name}/applications/nothing").execute)
    info = device("provision", info={"brand": "Droves", "apiLevel": 34, "serialNumber": "s"})["name"]
    assert service.provisioningInfo().get(name=info).execute()["brand"] == "Droves"


def devices(devices, enterprises, name):
    token = enterprises.enrollmentTokens().create(parent=name, body={"policyName": "p"}).execute()["value"]
    names = [device("enroll", token=token, serial=f"s{n}")["name"] for n in range(25)]
    first = devices.list(parent=name).execute()
    assert len(first["devices"]) == 10
    listed, request = [], devices.list(parent=name, pageSize=7, fields="devices/name,nextPageToken")
    while request is not None:
        answer = request.execute()
        assert all(set(of) == {"name"} for of in answer["devices"])
        listed += [of["name"] for of in answer["devices"]]
        request = devices.list_next(request, answer)
    assert sorted(listed) == sorted(names)
    one = names[0]
    assert devices.get(name=one).execute()["state"] == "ACTIVE"
    disabled = devices.patch(name=one, updateMask="state", body={"state": "DISABLED"}).execute()
    assert (disabled["state"], disabled["appliedState"]) == ("DISABLED", "PROVISIONING")
    refused(400, "INVALID_ARGUMENT", devices.patch(name=one, updateMask="apiLevel", body={"apiLevel": 1}).execute)
    refused(400, "INVALID_ARGUMENT", devices.patch(name=one, updateMask="state", body={"state": "LOST"}).execute)
    refused(400, "FAILED_PRECONDITION", enterprises.policies().delete(name=f"{name}/policies/p").execute)
    report(devices, one)
    commands(devices, one)
    long = devices.list(parent=name, pageSize=1, fields="devices(" + ",".join(["name"] * 600) + ")")
    assert len(long.uri) > 2048 and len(long.execute()["devices"]) == 1, "a URL too long becomes a POST"
    devices.delete(name=one, wipeDataFlags=["WIPE_EXTERNAL_STORAGE"], wipeReasonMessage="gone").execute()
    refused(404, "NOT_FOUND", devices.get(name=one).execute)
    refused(404, "NOT_FOUND", devices.issueCommand(name=one, body={"type": "LOCK"}).execute)
    assert device("order", device=one) == {"wipe": True}


def report(devices, one):
    section = {"softwareInfo": {"androidVersion": "15"}, "memoryInfo": {"totalRam": "8000000000"}}
    device("report", device=one, applied=4, report={"policyCompliant": True, **section})
    seen = devices.get(name=one).execute()
    assert (seen["appliedPolicyVersion"], seen["policyCompliant"]) == ("4", True)
    assert "softwareInfo" not in seen, "no policy asked for it"


def commands(devices, one):
    operation = devices.issueCommand(name=one, body={"type": "RESET_PASSWORD", "newPassword": "secret"}).execute()
    assert "done" not in operation and "newPassword" not in operation["metadata"]
    implied = devices.issueCommand(name=one, body={"startLostModeParams": {}}).execute()
    assert implied["metadata"]["type"] == "START_LOST_MODE"
    refused(400, "INVALID_ARGUMENT", devices.issueCommand(name=one, body={"type": "EXPLODE"}).execute)
    order = device("order", device=one)
    assert (order["operation"], order["command"]["newPassword"]) == (operation["name"], "secret")
    assert device("done", operation=operation["name"]) == {"ended": True}
    operations = devices.operations()
    done = operations.get(name=operation["name"]).execute()
    assert done["done"] and "response" in done and "error" not in done
    operations.cancel(name=implied["name"]).execute()
    assert operations.get(name=implied["name"]).execute()["error"]["code"] == 1
    assert device("done", operation=implied["name"]) == {"ended": False}
    assert len(operations.list(name=f"{one}/operations").execute()["operations"]) == 2


def case_discovery(url, key):
    """Clients made from the document that is served; batches go where it says."""
    served = f"{url}/$discovery/rest?version={{apiVersion}}"
    service = android(url, key, discoveryServiceUrl=served, static_discovery=False, client_options={})
    name = sign_up(service)
    answers = {}
    batch = service.new_batch_http_request(callback=lambda id, answer, error: answers.update({id: error or answer}))
    batch.add(service.enterprises().get(name=name), request_id="good")
    batch.add(service.enterprises().get(name="enterprises/LC00000000"), request_id="bad")
    policy = f"{name}/policies/p"
    batch.add(service.enterprises().policies().patch(name=policy, body={"cameraDisabled": True}), request_id="policy")
    batch.execute()
    assert answers["good"]["name"] == name and answers["policy"]["version"] == "1", answers
    assert answers["bad"].resp.status == 403, answers["bad"]
    with urllib.request.urlopen(f"{url}/$discovery/rest?version=v1") as answer:
        served = json.load(answer)["schemas"]
    assert served == {name: schema.bare(of) for name, of in schema.DOCUMENT["schemas"].items()}, "Google's types"
    with urllib.request.urlopen(f"{url}/$discovery/rest?version=v1") as answer:
        ours = dict(schema.methods(json.load(answer)))
    assert set(ours) == set(schema.METHODS)
    for id, theirs in schema.METHODS.items():
        mine = ours[id]
        for part in ("httpMethod", "path", "parameterOrder", "request", "response"):
            assert mine.get(part) == theirs.get(part), (id, part, mine.get(part), theirs.get(part))
        parameters = theirs["parameters"]
        assert set(mine["parameters"]) == set(parameters), (id, set(mine["parameters"]) ^ set(parameters))
        for parameter, described in parameters.items():
            for part in ("type", "location", "pattern", "repeated", "format", "required"):
                has = mine["parameters"][parameter].get(part)
                assert has == described.get(part), (id, parameter, part, has)


def case_accounts(url, key):
    """Who is let in: the account by its key, by a token of its own making, and nobody else."""
    service = android(url, key)
    assert service.enterprises().list(projectId=PROJECT).execute() == {}
    account = json.load(open(key))
    own = service_account.Credentials.from_service_account_file(key, always_use_jwt_access=True, scopes=[SCOPE])
    own._create_self_signed_jwt("https://androidmanagement.googleapis.com/")
    options = {"client_options": {"api_endpoint": url}, "requestBuilder": Checked}
    service = build("androidmanagement", "v1", credentials=own, **options)
    assert service.enterprises().list(projectId=PROJECT).execute() == {}
    stranger = service_account.Credentials.from_service_account_info(
        {**account, "client_email": "nobody@p1.iam.gserviceaccount.com"}, scopes=[SCOPE]
    )
    service = build("androidmanagement", "v1", credentials=stranger, **options)
    try:
        service.enterprises().list(projectId=PROJECT).execute()
    except google.auth.exceptions.RefreshError as error:
        assert "invalid_grant" in str(error), error
    else:
        raise AssertionError("a stranger was given a token")
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    claims = {"iss": account["client_email"], "iat": now, "exp": now + 600, "scope": SCOPE}
    forged = jwt.encode(claims, forger, "RS256", headers={"kid": account["private_key_id"]})
    for bearer in ({}, {"Authorization": "Bearer ya29.made-up"}, {"Authorization": f"Bearer {forged}"}):
        service = build("androidmanagement", "v1", http=httplib2.Http(), **options)
        request = service.enterprises().list(projectId=PROJECT)
        request.headers.update(bearer)
        refused(401, "UNAUTHENTICATED", request.execute)


def case_quota(url, key):
    """A window of five calls refuses the sixth, in Google's words."""
    enterprises = android(url, key).enterprises()
    for _ in range(5):
        enterprises.list(projectId=PROJECT).execute()
    error = refused(429, "RESOURCE_EXHAUSTED", enterprises.list(projectId=PROJECT).execute)
    detail = json.loads(error.content)["error"]["details"][0]
    assert detail["reason"] == "RATE_LIMIT_EXCEEDED" and detail["metadata"]["consumer"] == f"projects/{PROJECT}"
