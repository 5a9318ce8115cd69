//! The methods of the Android Management API: one table, from which requests find their method and the discovery document
//! is written (Google, *Android Management API*, `androidmanagement` v1, revision 20261104).

use droves_wire::android::name;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    SignupUrlCreate,
    EnterpriseCreate,
    EnterpriseList,
    EnterpriseGet,
    EnterprisePatch,
    EnterpriseDelete,
    EnterpriseUpgradeUrl,
    ApplicationGet,
    DeviceList,
    DeviceGet,
    DevicePatch,
    DeviceDelete,
    CommandIssue,
    OperationList,
    OperationGet,
    OperationCancel,
    EnrollmentTokenCreate,
    EnrollmentTokenList,
    EnrollmentTokenGet,
    EnrollmentTokenDelete,
    MigrationTokenCreate,
    MigrationTokenList,
    MigrationTokenGet,
    PolicyList,
    PolicyGet,
    PolicyPatch,
    PolicyDelete,
    PolicyModifyApplications,
    PolicyRemoveApplications,
    WebAppCreate,
    WebAppList,
    WebAppGet,
    WebAppPatch,
    WebAppDelete,
    WebTokenCreate,
    ProvisioningInfoGet,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) call: Call,
    /// Without `androidmanagement.`.
    pub(crate) id: &'static str,
    pub(crate) verb: &'static str,
    /// `v1/{+parent}/devices`: what stands in braces has the shape.
    pub(crate) path: &'static str,
    /// Of the resource's name; empty where the path has none.
    pub(crate) shape: &'static str,
    /// Parameters of the query.
    pub(crate) query: &'static [&'static str],
    /// The type of the request's body.
    pub(crate) request: Option<&'static str>,
    /// The type of the answer.
    pub(crate) response: &'static str,
}

/// The method of a request, with the name that its path has; `path` without the slash that it begins with.
pub(crate) fn find<'p>(verb: &str, path: &'p str) -> Option<(&'static Method, &'p str)> {
    METHODS.iter().filter(|method| method.verb == verb).find_map(|method| Some((method, method.name_in(path)?)))
}

impl Method {
    fn name_in<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, braced)) = self.path.split_once('{') else { return (path == self.path).then_some("") };
        let (_, after) = braced.split_once('}')?;
        let name = path.strip_prefix(before)?.strip_suffix(after)?;
        // `devices/ab:issueCommand` is no device.
        let whole = after.starts_with(':') || !name.rsplit('/').next()?.contains(':');
        (whole && name::is_like(name, self.shape)).then_some(name)
    }
}

const PAGE: &[&str] = &["pageSize", "pageToken"];
const MASK: &[&str] = &["updateMask"];
const NAME: &str = "v1/{+name}";

const ENTERPRISE: &str = "enterprises/*";
const APPLICATION: &str = "enterprises/*/applications/*";
const DEVICE: &str = "enterprises/*/devices/*";
const OPERATION: &str = "enterprises/*/devices/*/operations/*";
const OPERATIONS: &str = "enterprises/*/devices/*/operations";
const ENROLLMENT_TOKEN: &str = "enterprises/*/enrollmentTokens/*";
const MIGRATION_TOKEN: &str = "enterprises/*/migrationTokens/*";
pub(super) const POLICY: &str = "enterprises/*/policies/*";
const WEB_APP: &str = "enterprises/*/webApps/*";

/// All of them.
#[rustfmt::skip]
pub(crate) static METHODS: &[Method] = &[
    row(Call::SignupUrlCreate, "signupUrls.create", "POST", "v1/signupUrls", "", &["adminEmail", "allowedDomains", "callbackUrl", "projectId"], None, "SignupUrl"),
    row(Call::EnterpriseCreate, "enterprises.create", "POST", "v1/enterprises", "", &["agreementAccepted", "enterpriseToken", "projectId", "signupUrlName"], Some("Enterprise"), "Enterprise"),
    row(Call::EnterpriseList, "enterprises.list", "GET", "v1/enterprises", "", &["pageSize", "pageToken", "projectId", "view"], None, "ListEnterprisesResponse"),
    row(Call::EnterpriseGet, "enterprises.get", "GET", NAME, ENTERPRISE, &[], None, "Enterprise"),
    row(Call::EnterprisePatch, "enterprises.patch", "PATCH", NAME, ENTERPRISE, MASK, Some("Enterprise"), "Enterprise"),
    row(Call::EnterpriseDelete, "enterprises.delete", "DELETE", NAME, ENTERPRISE, &[], None, "Empty"),
    row(Call::EnterpriseUpgradeUrl, "enterprises.generateEnterpriseUpgradeUrl", "POST", "v1/{+name}:generateEnterpriseUpgradeUrl", ENTERPRISE, &[], Some("GenerateEnterpriseUpgradeUrlRequest"), "GenerateEnterpriseUpgradeUrlResponse"),
    row(Call::ApplicationGet, "enterprises.applications.get", "GET", NAME, APPLICATION, &["languageCode"], None, "Application"),
    row(Call::DeviceList, "enterprises.devices.list", "GET", "v1/{+parent}/devices", ENTERPRISE, PAGE, None, "ListDevicesResponse"),
    row(Call::DeviceGet, "enterprises.devices.get", "GET", NAME, DEVICE, &[], None, "Device"),
    row(Call::DevicePatch, "enterprises.devices.patch", "PATCH", NAME, DEVICE, MASK, Some("Device"), "Device"),
    row(Call::DeviceDelete, "enterprises.devices.delete", "DELETE", NAME, DEVICE, &["wipeDataFlags", "wipeReasonMessage"], None, "Empty"),
    row(Call::CommandIssue, "enterprises.devices.issueCommand", "POST", "v1/{+name}:issueCommand", DEVICE, &[], Some("Command"), "Operation"),
    row(Call::OperationList, "enterprises.devices.operations.list", "GET", NAME, OPERATIONS, &["filter", "pageSize", "pageToken", "returnPartialSuccess"], None, "ListOperationsResponse"),
    row(Call::OperationGet, "enterprises.devices.operations.get", "GET", NAME, OPERATION, &[], None, "Operation"),
    row(Call::OperationCancel, "enterprises.devices.operations.cancel", "POST", "v1/{+name}:cancel", OPERATION, &[], None, "Empty"),
    row(Call::EnrollmentTokenCreate, "enterprises.enrollmentTokens.create", "POST", "v1/{+parent}/enrollmentTokens", ENTERPRISE, &[], Some("EnrollmentToken"), "EnrollmentToken"),
    row(Call::EnrollmentTokenList, "enterprises.enrollmentTokens.list", "GET", "v1/{+parent}/enrollmentTokens", ENTERPRISE, PAGE, None, "ListEnrollmentTokensResponse"),
    row(Call::EnrollmentTokenGet, "enterprises.enrollmentTokens.get", "GET", NAME, ENROLLMENT_TOKEN, &[], None, "EnrollmentToken"),
    row(Call::EnrollmentTokenDelete, "enterprises.enrollmentTokens.delete", "DELETE", NAME, ENROLLMENT_TOKEN, &[], None, "Empty"),
    row(Call::MigrationTokenCreate, "enterprises.migrationTokens.create", "POST", "v1/{+parent}/migrationTokens", ENTERPRISE, &[], Some("MigrationToken"), "MigrationToken"),
    row(Call::MigrationTokenList, "enterprises.migrationTokens.list", "GET", "v1/{+parent}/migrationTokens", ENTERPRISE, PAGE, None, "ListMigrationTokensResponse"),
    row(Call::MigrationTokenGet, "enterprises.migrationTokens.get", "GET", NAME, MIGRATION_TOKEN, &[], None, "MigrationToken"),
    row(Call::PolicyList, "enterprises.policies.list", "GET", "v1/{+parent}/policies", ENTERPRISE, PAGE, None, "ListPoliciesResponse"),
    row(Call::PolicyGet, "enterprises.policies.get", "GET", NAME, POLICY, &[], None, "Policy"),
    row(Call::PolicyPatch, "enterprises.policies.patch", "PATCH", NAME, POLICY, MASK, Some("Policy"), "Policy"),
    row(Call::PolicyDelete, "enterprises.policies.delete", "DELETE", NAME, POLICY, &[], None, "Empty"),
    row(Call::PolicyModifyApplications, "enterprises.policies.modifyPolicyApplications", "POST", "v1/{+name}:modifyPolicyApplications", POLICY, &[], Some("ModifyPolicyApplicationsRequest"), "ModifyPolicyApplicationsResponse"),
    row(Call::PolicyRemoveApplications, "enterprises.policies.removePolicyApplications", "POST", "v1/{+name}:removePolicyApplications", POLICY, &[], Some("RemovePolicyApplicationsRequest"), "RemovePolicyApplicationsResponse"),
    row(Call::WebAppCreate, "enterprises.webApps.create", "POST", "v1/{+parent}/webApps", ENTERPRISE, &[], Some("WebApp"), "WebApp"),
    row(Call::WebAppList, "enterprises.webApps.list", "GET", "v1/{+parent}/webApps", ENTERPRISE, PAGE, None, "ListWebAppsResponse"),
    row(Call::WebAppGet, "enterprises.webApps.get", "GET", NAME, WEB_APP, &[], None, "WebApp"),
    row(Call::WebAppPatch, "enterprises.webApps.patch", "PATCH", NAME, WEB_APP, MASK, Some("WebApp"), "WebApp"),
    row(Call::WebAppDelete, "enterprises.webApps.delete", "DELETE", NAME, WEB_APP, &[], None, "Empty"),
    row(Call::WebTokenCreate, "enterprises.webTokens.create", "POST", "v1/{+parent}/webTokens", ENTERPRISE, &[], Some("WebToken"), "WebToken"),
    row(Call::ProvisioningInfoGet, "provisioningInfo.get", "GET", NAME, "provisioningInfo/*", &[], None, "ProvisioningInfo"),
];

#[expect(clippy::too_many_arguments, reason = "a row of a table, in the order of its columns")]
const fn row(
    call: Call,
    id: &'static str,
    verb: &'static str,
    path: &'static str,
    shape: &'static str,
    query: &'static [&'static str],
    request: Option<&'static str>,
    response: &'static str,
) -> Method {
    Method { call, id, verb, path, shape, query, request, response }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: &str, path: &str, expected: Option<(Call, &str)>) {
        assert_eq!(find(verb, path).map(|(method, name)| (method.call, name)), expected, "{verb} {path}");
    }

    #[test]
    fn a_request_finds_its_method() {
        let device = "enterprises/LC1/devices/ab";
        check("GET", "v1/enterprises", Some((Call::EnterpriseList, "")));
        check("GET", "v1/enterprises/LC1", Some((Call::EnterpriseGet, "enterprises/LC1")));
        check("GET", "v1/enterprises/LC1/devices", Some((Call::DeviceList, "enterprises/LC1")));
        check("GET", "v1/enterprises/LC1/devices/ab", Some((Call::DeviceGet, device)));
        check("POST", "v1/enterprises/LC1/devices/ab:issueCommand", Some((Call::CommandIssue, device)));
        check(
            "GET",
            "v1/enterprises/LC1/devices/ab/operations",
            Some((Call::OperationList, "enterprises/LC1/devices/ab/operations")),
        );
        check("GET", "v1/enterprises/LC1/devices/ab:issueCommand", None);
        check("GET", "v1/enterprises/LC1/devices/", None);
        check("GET", "v1/nothing", None);
        check("PUT", "v1/enterprises/LC1", None);
    }

    #[test]
    fn each_method_is_found_by_its_own_path() {
        for method in METHODS {
            let name = method.shape.replace('*', "x");
            let path = method.path.replace("{+name}", &name).replace("{+parent}", &name);
            check(method.verb, &path, Some((method.call, &name)));
        }
        assert_eq!(METHODS.len(), 36);
    }
}
