//! What both halves of the practice server have in common: who is enrolled and what waits for them, the faults on order,
//! the CA, and what is known of the run.

use super::device::{Enrollment, Queued};
use super::exchange::Outgoing;
use super::faults::{self, Faults};
use super::truth::{Struck, Truth};
use droves_facts::{CommandStatus, Limits, Mono, Wall};
use droves_scenario::plan::ServerFault;
use droves_wire::ca::Authority;
use droves_wire::digest;
use std::collections::HashMap;
use std::sync::Arc;

/// Enrollments that fit.
const ENROLLMENTS_MAX: usize = 2_000_000;

#[derive(Debug)]
pub(super) struct House {
    pub(super) authority: Arc<Authority>,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    pub(super) enrollments: HashMap<String, Enrollment>,
    pub(super) truth: Truth,
    /// The administrator's token; what nobody else is to guess comes from it.
    pub(super) token: String,
    numbers: u64,
}

impl House {
    pub(super) fn new(authority: Arc<Authority>, token: String, limits: Limits, faults: Faults) -> Self {
        let (enrollments, truth) = (HashMap::new(), Truth::default());
        House { authority, limits, faults, enrollments, truth, token, numbers: 0 }
    }

    /// Bytes that never come again and that nobody can guess: for nonces, tokens, secrets and names.
    pub(super) fn fresh(&mut self) -> [u8; 32] {
        self.numbers += 1;
        digest::sha256(&[self.token.as_bytes(), &self.numbers.to_be_bytes()].concat())
    }

    /// The fault that strikes, if one does; it is written down.
    pub(super) fn strike(
        &mut self,
        now: Mono,
        enrollment: Option<&str>,
        command: Option<&str>,
        wanted: impl Fn(&ServerFault) -> bool,
    ) -> Option<ServerFault> {
        let fault = self.faults.strike(now, enrollment, wanted)?;
        let (enrollment, command) = (enrollment.map(str::to_owned), command.map(str::to_owned));
        self.truth.struck(Struck { kind: faults::name(&fault), at: now, enrollment, command });
        Some(fault)
    }

    /// Certifies a key that its owner has shown to have.
    pub(super) fn certify(&mut self, name: &str, spki: &[u8], wall: Wall) -> Result<Vec<u8>, String> {
        let ordinal = self.truth.issued + 1;
        let certificate =
            self.authority.issue_identity(name, spki, ordinal, wall).map_err(|error| error.to_string())?;
        self.truth.issued = ordinal;
        Ok(certificate)
    }

    /// The enrollment with this id, made if it was never heard of.
    pub(super) fn enrollment(&mut self, id: &str) -> Result<&mut Enrollment, Outgoing> {
        if self.enrollments.len() >= ENROLLMENTS_MAX && !self.enrollments.contains_key(id) {
            return Err(Outgoing::text(503, "the practice server is full"));
        }
        Ok(self.enrollments.entry(id.to_owned()).or_default())
    }

    pub(super) fn is_enrolled(&self, id: &str) -> bool {
        self.enrollments.get(id).is_some_and(|enrollment| enrollment.enrolled)
    }

    /// A device has answered a command for good: it may get it once more, on order.
    pub(super) fn answered(&mut self, now: Mono, id: &str, command: &Arc<Queued>, status: CommandStatus) {
        if status == CommandStatus::NotNow {
            return;
        }
        let is_copy = command.is_copy;
        let wanted = |fault: &ServerFault| !is_copy && matches!(fault, ServerFault::RepeatCommand);
        let repeat = self.strike(now, Some(id), Some(&command.uuid), wanted);
        if repeat.is_some()
            && let Some(enrollment) = self.enrollments.get_mut(id)
        {
            enrollment.push(Arc::new(Queued { is_copy: true, ..Queued::clone(command) }));
        }
    }
}

pub(super) fn status_word(status: CommandStatus) -> &'static str {
    match status {
        CommandStatus::Acknowledged => "acknowledged",
        CommandStatus::Error => "error",
        CommandStatus::FormatError => "format_error",
        CommandStatus::NotNow => "not_now",
    }
}
