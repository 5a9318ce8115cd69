//! What `ProfileList` and `CertificateList` hold.

use super::each;
use crate::plist::{Node, Writer};

/// One profile of a `ProfileList`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct ProfileItem<'a> {
    pub identifier: &'a str,
    pub uuid: &'a str,
    pub version: i64,
    pub display_name: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub description: Option<&'a str>,
    pub removal_disallowed: bool,
    pub has_removal_passcode: bool,
    pub is_encrypted: bool,
    /// iOS only.
    pub is_managed: Option<bool>,
    /// DER.
    pub signer_certificates: &'a [&'a [u8]],
    pub payloads: &'a [PayloadItem<'a>],
}

impl ProfileItem<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.key("HasRemovalPasscode").bool(self.has_removal_passcode);
        w.key("IsEncrypted").bool(self.is_encrypted);
        w.maybe("IsManaged", self.is_managed.map(Node::Bool));
        each(w.key("PayloadContent"), self.payloads, PayloadItem::write);
        w.maybe("PayloadDescription", self.description.map(Node::String));
        w.maybe("PayloadDisplayName", self.display_name.map(Node::String));
        w.key("PayloadIdentifier").string(self.identifier);
        w.maybe("PayloadOrganization", self.organization.map(Node::String));
        w.key("PayloadRemovalDisallowed").bool(self.removal_disallowed);
        w.key("PayloadUUID").string(self.uuid);
        w.key("PayloadVersion").integer(self.version);
        if !self.signer_certificates.is_empty() {
            w.key("SignerCertificates").array(|w| self.signer_certificates.iter().for_each(|der| w.data(der)));
        }
    }
}

/// One payload of a listed profile.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct PayloadItem<'a> {
    pub kind: &'a str,
    pub version: i64,
    pub identifier: &'a str,
    pub uuid: &'a str,
    pub display_name: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub description: Option<&'a str>,
}

impl PayloadItem<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.maybe("PayloadDescription", self.description.map(Node::String));
        w.maybe("PayloadDisplayName", self.display_name.map(Node::String));
        w.key("PayloadIdentifier").string(self.identifier);
        w.maybe("PayloadOrganization", self.organization.map(Node::String));
        w.key("PayloadType").string(self.kind);
        w.key("PayloadUUID").string(self.uuid);
        w.key("PayloadVersion").integer(self.version);
    }
}

/// One certificate of a `CertificateList`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct CertificateItem<'a> {
    pub common_name: &'a str,
    pub is_identity: bool,
    /// DER.
    pub data: &'a [u8],
}

impl CertificateItem<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.key("CommonName").string(self.common_name);
        w.key("Data").data(self.data);
        w.key("IsIdentity").bool(self.is_identity);
    }
}
