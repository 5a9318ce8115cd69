"""What Google's reference says of a Device and an Operation beyond their types. All of it is pure: sentences come out."""

import datetime
import re

# The flag of statusReportingSettings, the section of Device, and for whom the reference has it.
SECTIONS = [
    ("applicationReportsEnabled", "applicationReports", "all"),
    ("softwareInfoEnabled", "softwareInfo", "all"),
    ("networkInfoEnabled", "networkInfo", "all"),
    ("memoryInfoEnabled", "memoryInfo", "all"),
    ("memoryInfoEnabled", "memoryEvents", "all"),
    ("deviceSettingsEnabled", "deviceSettings", "all"),
    ("systemPropertiesEnabled", "systemProperties", "all"),
    ("displayInfoEnabled", "displays", "company"),
    ("hardwareStatusEnabled", "hardwareStatusSamples", "company"),
    ("powerManagementEventsEnabled", "powerManagementEvents", "company"),
    ("commonCriteriaModeEnabled", "commonCriteriaModeInfo", "company"),
    ("defaultApplicationInfoReportingEnabled", "defaultApplicationInfo", "android 16"),
]
FLAGS = sorted({flag for flag, _, _ in SECTIONS})
# Lists that may well be empty, and then are absent.
OFTEN_EMPTY = {"applicationReports", "memoryEvents", "hardwareStatusSamples", "powerManagementEvents"}
TEMPERATURES = [f"{part}{kind}Temperatures" for part in ("battery", "cpu", "gpu", "skin") for kind in ("Shutdown", "Throttling")]
CHRONOLOGICAL = ["hardwareStatusSamples", "powerManagementEvents", "memoryEvents"]
ANDROIDS = {26: "8", 27: "8", 28: "9", 29: "10", 30: "11", 31: "12", 32: "12", 33: "13", 34: "14", 35: "15", 36: "16"}
EVENTS_KEPT = 30 * 3600
SLACK = 2                      # seconds between two clocks, or two moments of one call

PROFILE_DEFAULTS = {f"DEFAULT_{what}" for what in ("BROWSER", "CALL_REDIRECTION", "CALL_SCREENING", "DIALER")}
ALL_DEFAULTS = PROFILE_DEFAULTS | {f"DEFAULT_{what}" for what in ("ASSISTANT", "HOME", "SMS", "WALLET")}

MODES = {
    "fully_managed": ("DEVICE_OWNER", "COMPANY_OWNED"),
    "dedicated": ("DEVICE_OWNER", "COMPANY_OWNED"),
    "work_profile": ("PROFILE_OWNER", "PERSONALLY_OWNED"),
    "company_work_profile": ("PROFILE_OWNER", "COMPANY_OWNED"),
}
PERSONAL_USE = {
    "fully_managed": "PERSONAL_USAGE_DISALLOWED",
    "dedicated": "PERSONAL_USAGE_DISALLOWED_USERLESS",
    "work_profile": "PERSONAL_USAGE_ALLOWED",
    "company_work_profile": "PERSONAL_USAGE_ALLOWED",
}
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def moment(text):
    """Seconds since 1970 of a timestamp, or nothing: what is no timestamp has been judged by the document."""
    found = TIME.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    whole = datetime.datetime.fromisoformat(found[1]).replace(tzinfo=datetime.timezone.utc).timestamp()
    return whole + float(found[2] or 0)


def number(text):
    return int(text) if isinstance(text, str) and text.isdigit() else 0


def of_device(kind, device, policies):
    """`policies`: settings of each that the report may go by, the applied one and the one to be applied. May be none."""
    if device.get("appliedState") == "DELETED":
        return
    yield from identity(device)
    yield from times(device)
    yield from sections(kind, device, [policy.get("statusReportingSettings", {}) for policy in policies])
    yield from contents(device)
    yield from defaults(device, policies)
    yield from energy(device)
    yield from compliance(device, policies)


def identity(device):
    hardware, personal = device.get("hardwareInfo"), device.get("ownership") == "PERSONALLY_OWNED"
    for field in ("state", "appliedState", "ownership", "managementMode", "apiLevel", "policyName", "enrollmentTime"):
        if field not in device:
            yield f"{field} is missing"
    if personal and device.get("managementMode") == "DEVICE_OWNER":
        yield "it is fully managed and somebody's own"
    if "LOST" in (device.get("state"), device.get("appliedState")) and personal:
        yield "it is LOST, which only company-owned devices can be"
    if hardware is None:
        yield "hardwareInfo is missing"
        return
    for field in ("brand", "model", "manufacturer", "serialNumber"):
        if field not in hardware:
            yield f"hardwareInfo.{field} is missing"
    own = hardware.get("enterpriseSpecificId")
    if personal and device.get("apiLevel", 0) >= 31:
        if own is None:
            yield "somebody's own device of Android 12 or later has no enterpriseSpecificId"
        elif hardware.get("serialNumber") != own:
            yield "the serial number of somebody's own device of Android 12 or later is not its enterpriseSpecificId"
    elif own is not None:
        yield "it has an enterpriseSpecificId, which only people's own devices of Android 12 and later have"


def times(device):
    enrolled, synced, reported = (moment(device.get(f)) for f in ("enrollmentTime", "lastPolicySyncTime", "lastStatusReportTime"))
    if enrolled and reported and reported < enrolled - SLACK:
        yield "lastStatusReportTime is before enrollmentTime"
    if enrolled and synced and synced < enrolled - SLACK:
        yield "lastPolicySyncTime is before enrollmentTime"
    if number(device.get("appliedPolicyVersion")) and not synced:
        yield "a policy is applied, and there is no lastPolicySyncTime"
    if device.get("appliedState") == "PROVISIONING" and number(device.get("appliedPolicyVersion")):
        yield "it is PROVISIONING though a policy is applied"
    for section in CHRONOLOGICAL:
        moments = [moment(of.get("createTime")) or 0 for of in device.get(section, [])]
        if moments != sorted(moments):
            yield f"{section} is not in chronological order"
    for app in device.get("applicationReports", []):
        old = [event for event in app.get("events", []) if (moment(event.get("createTime")) or 0) < (reported or 0) - EVENTS_KEPT - 60]
        if reported and old:
            yield f"applicationReports has an event of {app.get('packageName')} that is older than 30 hours"


def expected(section, whom, device):
    if whom == "company":
        return device.get("ownership") == "COMPANY_OWNED"
    return whom == "all" or device.get("apiLevel", 0) >= 36


def sections(kind, device, wanted):
    if not wanted:
        return
    for flag, section, whom in SECTIONS:
        asked = [bool(settings.get(flag)) for settings in wanted]
        if section in device and not any(asked):
            yield f"{section} is there though no policy of the device asks for it by {flag}"
        elif section in device and not expected(section, whom, device):
            yield f"{section} is there, which the reference has for {whom} only"
        elif section not in device and all(asked) and kind == "STATUS_REPORT" and expected(section, whom, device) and section not in OFTEN_EMPTY:
            yield f"{section} is missing though the policy asks for it by {flag}"
    removed = any(app.get("state") == "REMOVED" for app in device.get("applicationReports", []))
    if removed and not any(settings.get("applicationReportingSettings", {}).get("includeRemovedApps") for settings in wanted):
        yield "applicationReports has removed apps though no policy of the device has includeRemovedApps"
    hardware = device.get("hardwareInfo", {})
    if not any(settings.get("hardwareStatusEnabled") for settings in wanted):
        for field in TEMPERATURES:
            if field in hardware:
                yield f"hardwareInfo.{field} is there though no policy of the device has hardwareStatusEnabled"


def defaults(device, wanted):
    """The apps that are the default for something."""
    there = [of.get("defaultApplicationType") for of in device.get("defaultApplicationInfo", [])]
    if there:
        missing = sorted((ALL_DEFAULTS if device.get("managementMode") == "DEVICE_OWNER" else PROFILE_DEFAULTS) - set(there))
        if missing:
            yield f"defaultApplicationInfo of a {device.get('managementMode')} is without {missing}"
        tried = any(of.get("defaultApplicationSettingAttempts") for of in device["defaultApplicationInfo"])
        if tried and wanted and not any(policy.get("defaultApplicationSettings") for policy in wanted):
            yield "defaultApplicationInfo has defaultApplicationSettingAttempts though no policy of the device has defaultApplicationSettings"


def energy(device):
    for event in device.get("powerManagementEvents", []):
        if "batteryLevel" in event and event.get("eventType") != "BATTERY_LEVEL_COLLECTED":
            yield f"a powerManagementEvent of type {event.get('eventType')} has a batteryLevel"
            return


def contents(device):
    network, software = device.get("networkInfo", {}), device.get("softwareInfo", {})
    if device.get("ownership") == "PERSONALLY_OWNED":
        for field in ("imei", "meid"):
            if field in network:
                yield f"networkInfo.{field} is told of somebody's own device"
    if device.get("managementMode") == "PROFILE_OWNER" and any("activationState" not in of for of in network.get("telephonyInfos", [])):
        yield "networkInfo.telephonyInfos is there, which only fully managed devices have"
    for sim in network.get("telephonyInfos", []):
        told = [field for field in ("activationState", "configMode") if field in sim]
        if told and device.get("apiLevel", 0) < 35:
            yield f"networkInfo.telephonyInfos has {told} below Android 15"
        elif len(told) == 1:
            yield f"networkInfo.telephonyInfos has an eSIM's {told[0]}, and not the other of activationState and configMode"
    mode = device.get("commonCriteriaModeInfo")
    if mode is not None and "policySignatureVerificationStatus" not in mode:
        yield "commonCriteriaModeInfo has no policySignatureVerificationStatus, which is unset only if it is not asked for"
    update = software.get("systemUpdateInfo", {})
    if ("updateReceivedTime" in update) != (update.get("updateStatus", "UPDATE_STATUS_UNKNOWN") not in ("UPDATE_STATUS_UNKNOWN", "UP_TO_DATE")):
        yield f"systemUpdateInfo has updateStatus {update.get('updateStatus')} and updateReceivedTime {update.get('updateReceivedTime')}"
    android, level = str(software.get("androidVersion", "")), device.get("apiLevel")
    if android and level in ANDROIDS and android.split(".")[0] != ANDROIDS[level]:
        yield f"softwareInfo.androidVersion is {android} with API level {level}"
    if "securityPatchLevel" in software and not re.fullmatch(r"\d{4}-\d\d-\d\d", software["securityPatchLevel"]):
        yield f"softwareInfo.securityPatchLevel is no date: {software['securityPatchLevel']}"
    seen = set()
    for app in device.get("applicationReports", []):
        name = app.get("packageName")
        if name is None or name in seen:
            yield f"applicationReports has {name} twice, or an app without a name"
        seen.add(name)
        if not re.fullmatch(r"[0-9a-fA-F]{64}", app.get("packageSha256Hash", "0" * 64)):
            yield f"packageSha256Hash of {name} is no SHA-256 in hexadecimal digits"
        if not all(re.fullmatch(r"[0-9a-fA-F]{40}", of) for of in app.get("signingKeyCertFingerprints", [])):
            yield f"signingKeyCertFingerprints of {name} are no SHA-1 in hexadecimal digits"


def compliance(device, policies):
    details = device.get("nonComplianceDetails", [])
    if device.get("policyCompliant") and details:
        yield f"policyCompliant is true with nonComplianceDetails: {details[0]!r:.160}"
    if len(policies) == 1 and policies[0] is not None:
        yield from applied(device, details, policies[0])
    for detail in details:
        reason, why = detail.get("nonComplianceReason"), detail.get("installationFailureReason")
        if "settingName" not in detail or reason is None:
            yield f"a nonComplianceDetail has no setting or no reason: {detail!r:.160}"
        if why and (reason not in ("APP_NOT_INSTALLED", "APP_NOT_UPDATED") or "packageName" not in detail):
            yield f"installationFailureReason {why} stands beside {reason}, where only APP_NOT_INSTALLED and APP_NOT_UPDATED have one"


def applied(device, details, policy):
    """Of a report by a policy of which no later version was on its way."""
    for detail in details:
        if detail.get("settingName") not in policy and detail.get("settingName") is not None:
            yield f"nonComplianceDetails names {detail['settingName']}, which the applied policy does not have"
    if not policy.get("statusReportingSettings", {}).get("applicationReportsEnabled"):
        return
    there = {app.get("packageName") for app in device.get("applicationReports", []) if app.get("state") != "REMOVED"}
    excused = {detail.get("packageName") for detail in details}
    for app in policy.get("applications", []):
        name = app.get("packageName")
        if app.get("installType") == "FORCE_INSTALLED" and name not in there | excused:
            yield f"{name} is FORCE_INSTALLED by the applied policy, and neither reported nor in nonComplianceDetails"
        if app.get("installType") == "BLOCKED" and name in there - excused:
            yield f"{name} is BLOCKED by the applied policy, and reported as installed"


def of_operation(operation, started):
    """`started` is the operation as issueCommand answered it."""
    if operation.get("done") is not True:
        yield "a COMMAND is told of that is not done"
    if ("error" in operation) == ("response" in operation):
        yield "it has both an error and a response, or neither"
    if operation.get("error", {}).get("code") == 0:
        yield "its error has code 0"
    metadata, before = operation.get("metadata", {}), started.get("metadata", {})
    for field in ("type", "createTime", "duration", "userName"):
        if metadata.get(field) != before.get(field):
            yield f"its {field} is {metadata.get(field)!r}, and was {before.get(field)!r} when it was issued"
    if "errorCode" in metadata and "error" not in operation:
        yield f"errorCode is {metadata['errorCode']} though it did not fail"


# Beside the type of a command: what it is asked by, and what says how it ended.
STATUSES = {"CLEAR_APP_DATA": ("clearAppsDataParams", "clearAppsDataStatus"), "START_LOST_MODE": ("startLostModeParams", "startLostModeStatus"),
            "STOP_LOST_MODE": ("stopLostModeParams", "stopLostModeStatus"), "ADD_ESIM": ("addEsimParams", "esimStatus"),
            "REMOVE_ESIM": ("removeEsimParams", "esimStatus"), "REQUEST_DEVICE_INFO": ("requestDeviceInfoParams", "requestDeviceInfoStatus"),
            "WIPE": ("wipeParams", None)}


def kind_of(command):
    """Google fills in the type where only the parameters were given."""
    return command.get("type") or next((kind for kind, (params, _) in STATUSES.items() if params in command), None)


def of_status(operation, command):
    metadata = operation.get("metadata", {})
    params, status = STATUSES.get(kind_of(command), (None, None))
    others = {other for _, other in STATUSES.values()} - {status, None}
    for other in sorted(others & set(metadata)):
        yield f"{other} is in it, which is another command's"
    if status and status not in metadata and "error" not in operation:
        yield f"it was done, and {status} is missing"
    if status == "clearAppsDataStatus" and status in metadata:
        asked, told = set(command.get(params, {}).get("packageNames", [])), set(metadata[status].get("results", {}))
        if asked != told:
            yield f"the data of {sorted(asked)} was to be cleared, and there are results for {sorted(told)}"
    if "newPassword" in metadata:
        yield "it tells the new password"


def of_start(operation, device, command):
    """What issueCommand answers."""
    found = re.fullmatch(r"(enterprises/[^/]+/devices/[^/]+)/operations/[^/]+", operation.get("name", ""))
    if not found or found[1] != device:
        yield f"the operation's name is {operation.get('name')!r}"
    if operation.get("done"):
        yield "it is done as it is issued"
    metadata = operation.get("metadata", {})
    if metadata.get("type") != kind_of(command):
        yield f"its type is {metadata.get('type')!r}, and {kind_of(command)!r} was asked for"
    if "createTime" not in metadata:
        yield "it has no createTime"
    asked = command.get("duration", "600s")
    if seconds(metadata.get("duration", "600s")) != seconds(asked):
        yield f"its duration is {metadata.get('duration')!r}, and {asked!r} was asked for"


def seconds(duration):
    return float(duration.removesuffix("s")) if re.fullmatch(r"[\d.]+s", str(duration)) else None
