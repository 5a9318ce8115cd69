//! An enrollment profile with an identity in it, written by hand from Apple's description of the payloads
//! (`com.apple.security.pkcs12`, `com.apple.mdm` in Apple's device-management schema), so that it owes nothing to our
//! own reader.

use crate::Error;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::path::Path;

/// What differs between servers. All else is fixed: every access right, signed messages.
pub struct EnrollmentProfile<'a> {
    /// The identity with its key, a PKCS#12 file.
    pub identity: &'a [u8],
    /// What the file is protected with.
    pub password: &'a str,
    /// `ServerURL`; check-ins go there too.
    pub server_url: &'a str,
    /// `Topic`, as in the subject of the push certificate.
    pub topic: &'a str,
}

impl EnrollmentProfile<'_> {
    /// The `.mobileconfig`, unsigned.
    pub fn xml(&self) -> String {
        let (identity, password) = (BASE64_STANDARD.encode(self.identity), escaped(self.password));
        let (server, topic) = (escaped(self.server_url), escaped(self.topic));
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadVersion</key><integer>1</integer>
	<key>PayloadIdentifier</key><string>example.droves.enrollment</string>
	<key>PayloadUUID</key><string>9B7A4D1E-0C35-4A52-8F0B-6E21D3C4A501</string>
	<key>PayloadDisplayName</key><string>Enrollment for the end-to-end tests</string>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadType</key><string>com.apple.security.pkcs12</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>example.droves.enrollment.identity</string>
			<key>PayloadUUID</key><string>9B7A4D1E-0C35-4A52-8F0B-6E21D3C4A502</string>
			<key>Password</key><string>{password}</string>
			<key>PayloadContent</key><data>{identity}</data>
		</dict>
		<dict>
			<key>PayloadType</key><string>com.apple.mdm</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>example.droves.enrollment.mdm</string>
			<key>PayloadUUID</key><string>9B7A4D1E-0C35-4A52-8F0B-6E21D3C4A503</string>
			<key>IdentityCertificateUUID</key><string>9B7A4D1E-0C35-4A52-8F0B-6E21D3C4A502</string>
			<key>ServerURL</key><string>{server}</string>
			<key>Topic</key><string>{topic}</string>
			<key>AccessRights</key><integer>8191</integer>
			<key>SignMessage</key><true/>
			<key>CheckOutWhenRemoved</key><true/>
			<key>ServerCapabilities</key>
			<array>
				<string>com.apple.mdm.per-user-connections</string>
				<string>com.apple.mdm.bootstraptoken</string>
			</array>
		</dict>
	</array>
</dict>
</plist>
"#
        )
    }

    /// Write it to a file.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.xml()).map_err(Error::at(path))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Apple's tool is not here; the plist crate is a stranger's reader too.
    #[test]
    fn another_reader_finds_what_was_written() {
        let profile =
            EnrollmentProfile { identity: b"file", password: "<&>", server_url: "http://b/mdm?x=1&y=2", topic: "T" };
        let value = plist::Value::from_reader_xml(profile.xml().as_bytes()).unwrap();
        let payloads = value.as_dictionary().unwrap()["PayloadContent"].as_array().unwrap();
        let (identity, mdm) = (payloads[0].as_dictionary().unwrap(), payloads[1].as_dictionary().unwrap());
        assert_eq!(identity["Password"].as_string(), Some("<&>"));
        assert_eq!(identity["PayloadContent"].as_data(), Some(&b"file"[..]));
        assert_eq!(mdm["IdentityCertificateUUID"], identity["PayloadUUID"]);
        assert_eq!(mdm["ServerURL"].as_string(), Some("http://b/mdm?x=1&y=2"));
        assert_eq!(mdm["SignMessage"].as_boolean(), Some(true));
    }
}
