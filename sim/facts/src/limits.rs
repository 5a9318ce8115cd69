//! Every bound on what a server, a network or a queue may do to the fleet, in one place, each with its reason.

use crate::Dur;

/// The bounds. Sizes in bytes, depths and counts in things, times as [`Dur`].
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// An answer's body that is kept. Profiles with certificates are tens of KB, an inline `.mobileconfig` with fonts
    /// a few MB; more than this is a broken server.
    pub body_bytes_max: usize,
    /// Response headers in all: hyper's own default, said here.
    pub header_bytes_max: usize,
    /// Nesting of a plist. Apple's own profiles stay under 12.
    pub plist_depth_max: usize,
    /// Values in one plist. A list of 1,000 apps has 15,000.
    pub plist_values_max: usize,
    /// Nesting of a SOAP or SyncML message. Windows' own stay under 12.
    pub xml_depth_max: usize,
    /// Elements of one. A first sync of 250 commands has 2,000; declared results of a large inventory ten times that.
    pub xml_elements_max: usize,
    /// Attributes of one element, each of which is compared with all others. An envelope has six.
    pub xml_attributes_max: usize,
    /// What a device puts together of an object that comes in parts. An ADMX file is 10 to 200 KB.
    pub object_bytes_max: usize,
    /// Nodes that servers may write into the tree of one Windows device. A hundred profiles have 600; ten times a large
    /// fleet's.
    pub tree_nodes_max: usize,
    /// What they take in all. A few ADMX files of 200 KB and a thousand settings stay under a MB.
    pub tree_bytes_max: usize,
    /// Commands taken in one session before the device hangs up and says so: a server that hands out the same command
    /// for ever (micromdm#225) would hold the device for ever.
    pub session_commands_max: u32,
    /// Messages that a Windows device sends in one session before it hangs up and says so. A first sync has 3 to 12.
    pub session_messages_max: u32,
    /// Nodes that the server's commands of one such session are about. A hundred profiles of six nodes each are 600.
    pub session_nodes_max: u32,
    /// What a Windows device sends in one message to a server that does not say what it takes, in bytes.
    pub message_bytes_max: usize,
    /// Tries of a Windows enrollment that the server puts off (a fault that passes) before the user gives up.
    pub enrollment_tries_max: u8,
    /// Redirects followed for one request, as CFNetwork does.
    pub redirects_max: u8,
    /// Certificates in an answer of a SCEP server.
    pub certificates_max: usize,
    /// Nesting of an ASN.1 message. A signed and enveloped certificate chain stays under 16.
    pub asn1_depth_max: usize,
    /// Values in one ASN.1 message. Sixteen certificates of the largest kind have about 3,000; a streamed profile of
    /// 8 MB in pieces of 1 KB has 8,192.
    pub asn1_values_max: usize,
    /// Notes (orders with content) latched for one lane that can't hear them yet.
    pub notes_max: usize,
    /// Of these, what its server has pushed over a link: no server takes the room away from what the device's lanes and the
    /// plan have to say.
    pub pushed_max: usize,
    /// Profiles that a device holds; an install beyond it is answered with an error.
    pub profiles_max: usize,
    /// Apps that a device holds as managed; likewise.
    pub apps_max: usize,
    /// Declarations of one channel, and configurations that one activation names.
    pub declarations_max: usize,
    /// Syncs of declarations in a row, for a server whose token is another one after each (fleetdm/fleet#43050).
    pub declarative_rounds_max: u8,
    /// A request from first byte out to last byte in. CFNetwork's default is 60 s.
    pub request_wait_max: Dur,
    /// A TCP connect.
    pub connect_wait_max: Dur,
    /// A TLS handshake.
    pub tls_wait_max: Dur,
    /// Polls of a pending SCEP request when the payload sets none.
    pub scep_polls_max: u32,
    /// Polls of an ACME order that does not get ready: two minutes, if the server names no other delay.
    pub acme_polls_max: u32,
    /// Nonces of an ACME server that it refuses in a row: one is usual where it forgets them, many are a fault.
    pub acme_nonces_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes_max: 8 << 20,
            header_bytes_max: 64 << 10,
            plist_depth_max: 64,
            plist_values_max: 200_000,
            xml_depth_max: 32,
            xml_elements_max: 200_000,
            xml_attributes_max: 32,
            object_bytes_max: 4 << 20,
            tree_nodes_max: 10_000,
            tree_bytes_max: 8 << 20,
            session_commands_max: 1_000,
            session_messages_max: 200,
            session_nodes_max: 20_000,
            message_bytes_max: 524_288,
            enrollment_tries_max: 5,
            redirects_max: 10,
            certificates_max: 16,
            asn1_depth_max: 32,
            asn1_values_max: 20_000,
            notes_max: 64,
            pushed_max: 48,
            profiles_max: 512,
            apps_max: 1_024,
            declarations_max: 1_024,
            declarative_rounds_max: 8,
            request_wait_max: Dur::secs(60),
            connect_wait_max: Dur::secs(20),
            tls_wait_max: Dur::secs(20),
            scep_polls_max: 100,
            acme_polls_max: 60,
            acme_nonces_max: 5,
        }
    }
}
