//! An enrollment profile with a SCEP identity, written by hand from Apple's description of the payloads
//! (`com.apple.security.scep`, `com.apple.mdm` in Apple's device-management schema), so that it owes nothing to our
//! own reader.

use crate::Error;
use std::path::Path;

/// What differs between servers. All else is fixed: RSA 2048, every access right, signed messages.
pub struct EnrollmentProfile<'a> {
    /// `URL` of the SCEP payload.
    pub scep_url: &'a str,
    /// `Challenge` of the SCEP payload.
    pub challenge: &'a str,
    /// `ServerURL`; check-ins go there too.
    pub server_url: &'a str,
    /// `Topic`, as in the subject of the push certificate.
    pub topic: &'a str,
}

impl EnrollmentProfile<'_> {
    /// The `.mobileconfig`, unsigned.
    pub fn xml(&self) -> String {
        let (scep, challenge) = (escaped(self.scep_url), escaped(self.challenge));
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
			<key>PayloadType</key><string>com.apple.security.scep</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>example.droves.enrollment.scep</string>
			<key>PayloadUUID</key><string>9B7A4D1E-0C35-4A52-8F0B-6E21D3C4A502</string>
			<key>PayloadContent</key>
			<dict>
				<key>URL</key><string>{scep}</string>
				<key>Challenge</key><string>{challenge}</string>
				<key>Key Type</key><string>RSA</string>
				<key>Keysize</key><integer>2048</integer>
				<key>Key Usage</key><integer>5</integer>
				<key>Subject</key><array><array><array><string>O</string><string>Droves</string></array></array><array><array><string>CN</string><string>%SerialNumber%</string></array></array></array>
			</dict>
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
        let profile = EnrollmentProfile {
            scep_url: "http://a/scep?x=1&y=2",
            challenge: "<s>",
            server_url: "http://b/mdm",
            topic: "T",
        };
        let value = plist::Value::from_reader_xml(profile.xml().as_bytes()).unwrap();
        let payloads = value.as_dictionary().unwrap()["PayloadContent"].as_array().unwrap();
        let scep = payloads[0].as_dictionary().unwrap()["PayloadContent"].as_dictionary().unwrap();
        assert_eq!(scep["URL"].as_string(), Some("http://a/scep?x=1&y=2"));
        assert_eq!(scep["Challenge"].as_string(), Some("<s>"));
        let (scep, mdm) = (payloads[0].as_dictionary().unwrap(), payloads[1].as_dictionary().unwrap());
        assert_eq!(mdm["IdentityCertificateUUID"], scep["PayloadUUID"]);
        assert_eq!(mdm["SignMessage"].as_boolean(), Some(true));
    }
}
