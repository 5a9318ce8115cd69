//! One adapter a server: what every MDM server under test is asked for, and who knows what came of it.

use crate::{Error, PushCertificate};
use std::collections::BTreeMap;

/// Enrollment ids that a call was refused for, with the reason as the server gave it.
pub type Refusals = BTreeMap<String, String>;

/// The statuses of the results that a server has, by (enrollment id, command), in the order in which it learnt them.
pub type Results = BTreeMap<(String, String), Vec<String>>;

/// A running MDM server.
pub trait Server {
    /// `ServerURL` of its enrollment profile; check-ins go there too.
    fn mdm_url(&self) -> String;

    /// Hand it the certificate that it is to push with.
    fn upload_push_certificate(&self, certificate: &PushCertificate) -> Result<(), Error>;

    /// Queue a command (a plist) for enrollments, without a push.
    fn queue(&self, ids: &[&str], command: &str) -> Result<Refusals, Error>;

    /// Ask it to push to enrollments.
    fn push(&self, ids: &[&str]) -> Result<Refusals, Error>;

    /// Who knows what it got; nobody, if it was started without.
    fn witness(&self) -> Option<&dyn Witness>;
}

/// Who knows what a server got from the devices, by a way that is not ours.
pub trait Witness: Send + Sync {
    /// Enrollments that are there and not checked out, user channels included.
    fn enrolled(&self) -> Result<u64, Error>;

    /// All results of commands.
    fn results(&self) -> Result<Results, Error>;

    /// Results beyond the first final one (anything but `NotNow`) for one command, summed over all; nothing if this
    /// witness can't tell.
    fn duplicates(&self) -> Result<Option<u64>, Error>;
}
