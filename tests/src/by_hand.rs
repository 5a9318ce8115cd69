//! A device made of text and the `openssl` command line. It proves that a stage works before Droves plays on it, and
//! says what a server answers to messages that are not ours.

use crate::{Answer, Call, Error, Identity};

/// One device with its identity, speaking to one server. Check-in and command messages as Apple's schema has them.
pub struct HandDevice {
    udid: String,
    topic: String,
    identity: Identity,
    port: u16,
}

impl HandDevice {
    /// A device with this identity, for the server at a port of 127.0.0.1, path `/mdm`.
    pub fn new(identity: Identity, udid: &str, topic: &str, port: u16) -> HandDevice {
        HandDevice { udid: udid.to_owned(), topic: topic.to_owned(), identity, port }
    }

    /// `Authenticate`, then `TokenUpdate`; each must be answered by 200.
    pub fn enroll(&self) -> Result<(), Error> {
        let named = "<key>Model</key><string>iPhone15,2</string><key>DeviceName</key><string>by hand</string>";
        self.check_in("Authenticate", named)?;
        // 32 bytes, as Apple's tokens have.
        let token = "<key>Token</key><data>3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=</data>";
        let magic = "<key>PushMagic</key><string>5F2A1C7E-93A4-4E0B-A2D1-0C9B8E7F6A55</string>";
        self.check_in("TokenUpdate", &format!("{token}{magic}"))
    }

    /// Report a status (`Idle`, or a result with its command); the answer is the next command, or empty.
    pub fn report(&self, status: &str, command: Option<&str>) -> Result<Answer, Error> {
        let command = command.map(|uuid| format!("<key>CommandUUID</key><string>{uuid}</string>")).unwrap_or_default();
        let fields = format!("<key>Status</key><string>{status}</string>{command}");
        self.send("application/x-apple-aspen-mdm", &fields)
    }

    fn check_in(&self, message: &str, fields: &str) -> Result<(), Error> {
        let topic = &self.topic;
        let fields =
            format!("<key>MessageType</key><string>{message}</string><key>Topic</key><string>{topic}</string>{fields}");
        let answer = self.send("application/x-apple-aspen-mdm-checkin", &fields)?;
        match answer.status {
            200 => Ok(()),
            status => Err(Error::Answer(format!("{message}: {status} {}", answer.text()))),
        }
    }

    fn send(&self, content_type: &str, fields: &str) -> Result<Answer, Error> {
        let body = plist(&format!("<key>UDID</key><string>{}</string>{fields}", self.udid));
        let signature = self.identity.mdm_signature(body.as_bytes())?;
        let headers = [("Content-Type", content_type), ("Mdm-Signature", &signature)];
        Call { method: "PUT", path: "/mdm", headers: &headers, body: body.as_bytes() }.send(self.port)
    }
}

fn plist(fields: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\"><dict>{fields}</dict></plist>\n"
    )
}

/// The plist of a command that needs no arguments, such as `ProfileList`.
pub fn bare_command(request_type: &str, uuid: &str) -> String {
    plist(&format!(
        "<key>CommandUUID</key><string>{uuid}</string><key>Command</key><dict><key>RequestType</key>\
         <string>{request_type}</string></dict>"
    ))
}
