//! The administrator's API: the same calls for every device, whatever protocol it speaks.

use super::brain::Brain;
use super::device::{Enrollment, Queued};
use super::emm;
use super::exchange::{Incoming, Outgoing, Wake, parameter, percent_decoded};
use super::windows;
use bytes::Bytes;
use droves_facts::{Family, Mono};
use droves_scenario::plan::ServerFault;
use droves_wire::apple::command;
use droves_wire::digest;
use droves_wire::windows::syncml;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const ANDROID: &str = "/admin/v1/android";
const ENROLLMENTS: &str = "/admin/v1/enrollments/";
/// Commands that wait for one enrollment.
const QUEUE_MAX: usize = 10_000;

impl Brain {
    /// Answers a call below `/admin/v1/`; pushes that it leads to are put into `wakes`.
    pub(super) fn admin(&mut self, now: Mono, request: &Incoming<'_>, wakes: &mut Vec<Wake>) -> Outgoing {
        let bearer = request.authorization.and_then(|value| value.strip_prefix(b"Bearer "));
        // Compared by digest, so that the time says nothing.
        if bearer.map(digest::sha256) != Some(digest::sha256(self.house.token.as_bytes())) {
            return Outgoing::text(401, "the token is not the one that the server printed");
        }
        let ids: Vec<String> = parameter(request.query, "ids")
            .map(|ids| ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default();
        match (request.method, request.path) {
            ("PUT", "/admin/v1/commands") => self.queue(now, &ids, request),
            ("POST", "/admin/v1/push") => self.wake(now, &ids, wakes),
            (_, path) if path.starts_with(ANDROID) => match &mut self.emm {
                Some(emm) => emm.admin(&mut self.house, path.trim_start_matches(ANDROID), request, &ids),
                None => Outgoing::text(404, "no Android devices are managed here"),
            },
            ("GET", path) if path.starts_with(ENROLLMENTS) => {
                let id = percent_decoded(path.strip_prefix(ENROLLMENTS).unwrap_or_default());
                let known = self.house.enrollments.get(self.known(&id));
                let enrolled = known.is_some_and(|enrollment| enrollment.enrolled);
                let pending = known.map_or(0, Enrollment::pending) + self.agents.pending(&id);
                Outgoing::json(200, &json!({ "enrolled": enrolled, "pending": pending }))
            }
            (method, _) => {
                let answer = self.agents.admin(&mut self.house, now, &ids, request);
                answer.unwrap_or_else(|| match method {
                    "GET" => Outgoing::text(404, "no such place"),
                    _ => Outgoing::text(405, "not so"),
                })
            }
        }
    }

    /// One property list is one command, and so is one object of JSON; a fragment of SyncML may be many.
    fn queue(&mut self, now: Mono, ids: &[String], request: &Incoming<'_>) -> Outgoing {
        let is = |kind: &str| request.content_type.is_some_and(|of| of.starts_with(kind.as_bytes()));
        let limits = &self.house.limits;
        let (family, offered) = if is(syncml::CONTENT_TYPE) {
            (Family::Windows, windows::offered(request.body, limits))
        } else if is("application/json") {
            let uuid = hex::encode(&self.house.fresh()[..16]);
            (Family::Android, emm::offered(request.body, uuid))
        } else {
            (Family::Apple, offered(request.body, limits))
        };
        let commands = match offered {
            Ok(commands) => commands,
            Err(why) => return Outgoing::text(400, why),
        };
        let mut failed = BTreeMap::new();
        for id in ids {
            let known = self.known(id).to_owned();
            if !self.house.is_enrolled(&known) {
                failed.insert(id.clone(), "not enrolled");
            } else if self.family(&known) != Some(family) {
                failed.insert(id.clone(), "speaks another protocol");
            } else if !commands.iter().all(|command| self.queue_one(now, &known, ids, command)) {
                failed.insert(id.clone(), "queue is full");
            }
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        let uuids: Vec<&str> = commands.iter().map(|command| command.uuid.as_str()).collect();
        Outgoing::json(status, &json!({ "command_uuid": uuids.first(), "command_uuids": uuids, "failed": failed }))
    }

    /// Whether there was room for it.
    fn queue_one(&mut self, now: Mono, id: &str, ids: &[String], command: &Arc<Queued>) -> bool {
        self.house.truth.command(id, &command.uuid, &command.request, "queued");
        for (uuid, request) in &command.inside {
            self.house.truth.command(id, uuid, request, "queued");
        }
        let wanted = |fault: &ServerFault| matches!(fault, ServerFault::LoseCommand | ServerFault::MisdeliverCommand);
        let target = match self.house.strike(now, Some(id), Some(&command.uuid), wanted) {
            Some(ServerFault::LoseCommand) => return true,
            Some(_) => self.somebody_else(id, ids, &command.uuid).unwrap_or_else(|| id.to_owned()),
            None => id.to_owned(),
        };
        match self.house.enrollments.get_mut(&target) {
            Some(enrollment) if enrollment.pending() < QUEUE_MAX => {
                enrollment.push(Arc::clone(command));
            }
            _ => return false,
        }
        if let Some(emm) = self.emm.as_mut().filter(|emm| emm.knows(&target)) {
            emm.issue(&target, command);
        }
        true
    }

    /// An enrolled channel that speaks the same protocol, is not among these, and has no copy yet.
    fn somebody_else(&mut self, id: &str, ids: &[String], uuid: &str) -> Option<String> {
        let given: Vec<&str> = ids.iter().map(|id| self.known(id)).collect();
        let family = self.family(id);
        let is_other = |(other, e): &(&String, &Enrollment)| {
            e.enrolled && !e.has(uuid) && !given.contains(&other.as_str()) && self.family(other) == family
        };
        let mut others: Vec<String> =
            self.house.enrollments.iter().filter(is_other).map(|(id, _)| id.clone()).collect();
        others.sort_unstable();
        let number = self.house.faults.number();
        (!others.is_empty()).then(|| others.swap_remove((number % others.len() as u64) as usize))
    }

    fn wake(&mut self, now: Mono, ids: &[String], wakes: &mut Vec<Wake>) -> Outgoing {
        let mut failed = BTreeMap::new();
        for id in ids {
            let known = self.known(id).to_owned();
            if self.agents.knows(&known) {
                self.agents.wake(&mut self.house, now, &known);
                continue;
            }
            let enrollment = self.house.enrollments.get(&known).filter(|enrollment| enrollment.enrolled);
            let Some(enrollment) = enrollment else {
                failed.insert(id.clone(), "not enrolled");
                continue;
            };
            let Some(wake) = enrollment.wake() else {
                failed.insert(id.clone(), "has told no way to be pushed");
                continue;
            };
            self.house.truth.push("asked");
            let fault = self.house.strike(now, Some(&known), None, |fault| matches!(fault, ServerFault::ForgetPush));
            if fault.is_none() {
                wakes.push(wake);
            }
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        Outgoing::json(status, &json!({ "failed": failed }))
    }
}

/// The command for Apple's devices in a body.
fn offered(body: &[u8], limits: &droves_facts::Limits) -> Result<Vec<Arc<Queued>>, String> {
    let offered = command::parse(body, limits).map_err(|error| error.why.to_string())?.ok_or("no command")?;
    Ok(vec![Arc::new(Queued {
        uuid: offered.uuid.to_string(),
        request: offered.request_type.to_string(),
        inside: Vec::new(),
        body: Bytes::copy_from_slice(body),
        is_copy: false,
    })])
}
