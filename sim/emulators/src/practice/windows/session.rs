//! A management session: each message of the device is answered by one of the server's, until that asks for nothing more.
//!
//! A command stays in the queue until it is answered: what a session that broke off has delivered comes again in the next.

use super::commands::{self, executes, parsed};
use super::own::{self, Own, Purpose};
use super::{Auth, Device, Settings, Windows, proof};
use crate::practice::device::{Enrollment, Queued};
use crate::practice::exchange::{Incoming, Outgoing, Proof};
use crate::practice::house::{House, status_word};
use droves_facts::{CommandStatus, Mono};
use droves_scenario::plan::ServerFault;
use droves_wire::digest;
use droves_wire::windows::syncml::{
    Assembly, Body, Challenge, Command, Composer, Data, Header, Item, Location, Message, Progress, Status,
};
use droves_wire::windows::wns;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// What a message to a device that says nothing has at most, and at least where it says less.
const MESSAGE_BYTES: (usize, usize) = (524_288, 1_024);
/// The alert by which a device says that it leaves.
const LEAVES: &str = "com.microsoft:mdm.unenrollment.userrequest";

/// A session as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// `SessionID`.
    id: String,
    /// `MsgID` of the server's last message.
    message: u64,
    /// Bytes that the device takes in a message.
    takes: Option<usize>,
    is_challenged: bool,
    is_accepted: bool,
    has_begun: bool,
    /// The device takes no more commands.
    is_over: bool,
    own: VecDeque<Own>,
    /// What the device has, by `MsgID` and `CmdID`.
    sent: HashMap<(u64, String), Sent>,
    /// Commands of the queue that the device has not answered yet.
    unanswered: HashSet<String>,
    /// The command whose object goes out in parts, and how many bytes of it have.
    object: Option<(Arc<Queued>, usize)>,
    results: Assembly,
}

#[derive(Debug)]
struct Sent {
    what: Of,
    is_answered: bool,
}

/// Whose command it is.
#[derive(Clone, Debug)]
enum Of {
    Server(Purpose),
    Queue(Arc<Queued>),
    /// Inside of one of the queue's: its name, and that of its element.
    Inside(String, String),
}

impl Windows {
    /// Answers a message, or refuses to hear it.
    pub(super) fn manage(
        &mut self,
        house: &mut House,
        now: Mono,
        request: &Incoming<'_>,
        fault: Option<ServerFault>,
    ) -> Result<Vec<u8>, Outgoing> {
        let message =
            Message::read(request.body, &house.limits).map_err(|error| Outgoing::text(400, error.to_string()))?;
        let id = message.header.source.uri.to_string();
        let stranger = || Outgoing::text(401, "not enrolled here");
        let device = self.devices.get_mut(&id).ok_or_else(stranger)?;
        let enrollment = house.enrollments.get(&id).filter(|enrollment| enrollment.enrolled).ok_or_else(stranger)?;
        let shown = proof::shown(request, house).map(|certificate| digest::sha256(&certificate));
        let is_own = shown.is_some_and(|shown| device.account.has_shown(shown, enrollment.certificate));
        let is_signed = matches!(request.proof, Proof::Signature(_));
        let is_proved = match self.settings.auth {
            Auth::Certificate => is_own,
            Auth::Signed => is_own && is_signed,
            // By what stands in the message.
            Auth::Md5 | Auth::Basic => true,
        };
        if !is_proved {
            return Err(Outgoing::text(401, "nothing proves that this is the device"));
        }
        let mut session = device.session.take().unwrap_or_default();
        if session.id != message.header.session || message.header.message == "1" && !session.is_challenged {
            session = Session { id: message.header.session.to_string(), ..Session::default() };
        }
        let has_been_told = session.message > 0;
        if has_been_told && self.settings.message_bytes_max.is_some_and(|max| request.body.len() as u64 > max) {
            device.session = Some(session);
            return Err(Outgoing::text(413, "longer than the MaxMsgSize of this server"));
        }
        let mut turn =
            Turn { settings: &self.settings, house, now, id: &id, device, session: &mut session, left: false };
        let answer = turn.answer(&message, fault);
        let left = turn.left;
        device.session = Some(session);
        if left {
            self.leave(house, &id);
        }
        Ok(answer)
    }
}

/// One message and its answer.
struct Turn<'a> {
    settings: &'a Settings,
    house: &'a mut House,
    now: Mono,
    id: &'a str,
    device: &'a mut Device,
    session: &'a mut Session,
    /// The device is gone.
    left: bool,
}

/// A `Status` for `SyncHdr`: its code, and what is asked for if that is no good one.
type Verdict = (u16, Option<Challenge<'static>>);

impl Turn<'_> {
    fn answer(&mut self, message: &Message<'_>, fault: Option<ServerFault>) -> Vec<u8> {
        self.session.message += 1;
        self.house.truth.windows("messages");
        let said = message.header.message_bytes_max.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        self.session.takes = said.or(self.session.takes);
        let verdict = self.credentials(message);
        self.session.is_challenged = verdict.1.is_some();
        let mut replies = replies(message, &verdict);
        if fault == Some(ServerFault::WrongReference) {
            for status in &mut replies {
                status.message = format!("{}9", status.message).into();
            }
        }
        let had_object = self.session.object.is_some();
        if !self.session.is_challenged {
            self.take_in(message);
        }
        // A device whose package goes on, though not because the server's does, is asked for the rest.
        let is_asked = !self.session.is_challenged && !message.last && !had_object;
        let works = !self.session.is_challenged && !self.session.is_over && !self.left && !is_asked;
        self.compose(message, replies, is_asked, works)
    }

    /// Who the device says that it is, where messages say that.
    fn credentials(&mut self, message: &Message<'_>) -> Verdict {
        let auth = self.settings.auth;
        if matches!(auth, Auth::Certificate | Auth::Signed) || self.session.is_accepted {
            return (200, None);
        }
        let shown = message.header.credentials.as_ref();
        if shown.is_some_and(|shown| self.device.account.accepts(auth, shown)) {
            self.session.is_accepted = self.settings.once;
            return (if self.settings.once { 212 } else { 200 }, None);
        }
        let challenge = self.device.account.challenge(auth, self.house);
        (if shown.is_some() { 401 } else { 407 }, Some(challenge))
    }

    fn take_in(&mut self, message: &Message<'_>) {
        if !self.session.has_begun {
            self.session.has_begun = true;
            self.house.truth.windows("sessions");
            self.session.own.extend(own::commands(self.settings, self.device, self.house));
        }
        for command in &message.commands {
            match &command.body {
                Body::Status(status) => self.status(status),
                Body::Results { message, command, items, .. } => self.results(message, command, items),
                Body::Alert { code: 1222, .. } => {}
                Body::Alert { code: 1223, .. } => self.session.is_over = true,
                // What the device has of an object is no use: the command comes again in the next session.
                Body::Alert { code: 1225, .. } => self.session.object = None,
                Body::Alert { code, items } => items.iter().for_each(|item| self.alert(*code, item)),
                _ => {}
            }
        }
    }

    fn status(&mut self, status: &Status<'_>) {
        let key = (status.message.parse().unwrap_or(0), status.command.to_string());
        let Some(sent) = self.session.sent.get_mut(&key).filter(|sent| !sent.is_answered) else { return };
        *self.house.truth.codes.entry(status.code).or_default() += 1;
        // A part is not the whole.
        if status.code == 213 {
            return;
        }
        sent.is_answered = true;
        self.session.is_over |= status.code == 214;
        match sent.what.clone() {
            Of::Server(Purpose::Pfn(pfn)) if status.code == 200 => self.device.pfn = Some(pfn),
            Of::Server(_) => {}
            Of::Inside(uuid, request) => {
                let word = status_word(fate(status.code));
                self.house.truth.command(self.id, &uuid, &request, word);
            }
            Of::Queue(queued) => self.answered(&queued, status.code),
        }
    }

    /// The device has answered a command of the queue.
    fn answered(&mut self, queued: &Arc<Queued>, code: u16) {
        self.session.unanswered.remove(&queued.uuid);
        if self.session.object.as_ref().is_some_and(|(object, _)| Arc::ptr_eq(object, queued)) {
            self.session.object = None;
        }
        let status = fate(code);
        self.house.truth.command(self.id, &queued.uuid, &queued.request, status_word(status));
        let waited = self.house.enrollments.get_mut(self.id).and_then(|of| of.answered(&queued.uuid, status));
        if let Some(waited) = waited {
            self.house.answered(self.now, self.id, &waited, status);
        }
        let Some(command) = parsed(queued, &self.house.limits) else { return };
        if status == CommandStatus::Acknowledged && executes(&command, |uri| uri.contains("/remotewipe/dowipe")) {
            self.left = true;
        } else if code == 418 {
            self.session.own.extend(own::instead(command, self.house));
        }
    }

    fn results(&mut self, message: &str, command: &str, items: &[Item<'_>]) {
        let key = (message.parse().unwrap_or(0), command.to_owned());
        let is_channel = matches!(self.session.sent.get(&key), Some(Sent { what: Of::Server(Purpose::Channel), .. }));
        for item in items {
            let data = match self.session.results.take(item, &self.house.limits) {
                Ok(Progress::Whole { data, .. }) => data,
                Ok(Progress::Single) => item.data.as_ref().map_or("", Data::as_str).to_owned(),
                // The rest comes, or nothing does.
                Ok(Progress::Part) | Err(_) => continue,
            };
            self.house.truth.windows("results");
            let is_url = data.starts_with("https://") && data.len() <= wns::CHANNEL_BYTES_MAX;
            if is_channel
                && is_url
                && let Some(enrollment) = self.house.enrollments.get_mut(self.id)
            {
                enrollment.channel = Some(data);
            }
        }
    }

    fn alert(&mut self, code: u16, item: &Item<'_>) {
        let kind = item.meta.kind.as_deref().unwrap_or("none");
        self.house.truth.alert(kind);
        if code == 1226 && kind == LEAVES {
            self.house.truth.windows("left");
            self.left = true;
        }
    }

    fn compose(&mut self, message: &Message<'_>, replies: Vec<Status<'_>>, is_asked: bool, works: bool) -> Vec<u8> {
        let header = Header {
            session: message.header.session.clone(),
            message: self.session.message.to_string().into(),
            target: Location::at(self.id),
            source: Location::at(message.header.target.uri.clone()),
            message_bytes_max: self.settings.message_bytes_max,
            ..Header::default()
        };
        let mut out = Vec::new();
        let (unsaid, least) = MESSAGE_BYTES;
        let mut composer = Composer::new(&mut out, &header, self.session.takes.unwrap_or(unsaid).max(least));
        let queued: Vec<Arc<Queued>> = if works { self.waiting() } else { Vec::new() };
        // Names are the administrator's: what the server adds has others.
        let taken: HashSet<&str> = queued
            .iter()
            .flat_map(|queued| queued.inside.iter().map(|(id, _)| id).chain([&queued.uuid]))
            .map(String::as_str)
            .collect();
        let mut numbers = (1_u64..).map(|number| number.to_string()).filter(|number| !taken.contains(number.as_str()));
        let mut push = |composer: &mut Composer<'_>, body: Body<'_>| {
            let id = numbers.next().unwrap_or_default().into();
            composer.push(&Command { id, body })
        };
        for status in replies {
            push(&mut composer, Body::Status(status));
        }
        if is_asked {
            push(&mut composer, Body::Alert { code: 1222, items: Vec::new() });
        }
        let is_whole = !works || self.work(&mut composer, &queued);
        composer.end(is_whole && !is_asked);
        out
    }

    /// Commands of the queue that the device does not have, as many as a message may carry.
    fn waiting(&self) -> Vec<Arc<Queued>> {
        let waiting = self.house.enrollments.get(self.id).into_iter().flat_map(Enrollment::waiting);
        let is_new = |queued: &&Arc<Queued>| !self.session.unanswered.contains(&queued.uuid);
        waiting.filter(is_new).take(self.settings.batch).cloned().collect()
    }

    /// Appends what the device is to do; whether the package ends with it.
    fn work(&mut self, composer: &mut Composer<'_>, queued: &[Arc<Queued>]) -> bool {
        if let Some((object, done)) = self.session.object.take() {
            let part =
                parsed(&object, &self.house.limits).and_then(|command| commands::push_part(composer, command, done));
            return part.is_none_or(|(done, is_all)| self.is_parted(&object, done, is_all));
        }
        let mut count = 0;
        while count < self.settings.batch
            && let Some(own) = self.session.own.pop_front()
        {
            if !composer.push(&own.command) {
                self.session.own.push_front(own);
                return true;
            }
            self.is_sent(&own.command.id, Of::Server(own.purpose));
            count += 1;
        }
        for queued in queued.iter().take(self.settings.batch.saturating_sub(count)) {
            let Some(command) = parsed(queued, &self.house.limits) else { continue };
            // A device that is sent away answers nothing more.
            let parts = executes(&command, |uri| uri.ends_with("/unenroll"));
            let is_twice = self.session.unanswered.contains(&queued.uuid);
            if count > 0 && parts || is_twice {
                break;
            }
            if composer.push(&command) {
                self.is_delivered(queued);
            } else if count > 0 {
                break;
            } else if let Some((done, is_all)) = commands::push_part(composer, command, 0) {
                self.is_delivered(queued);
                return self.is_parted(queued, done, is_all);
            } else {
                self.house.truth.command(self.id, &queued.uuid, &queued.request, "too_large");
                if let Some(enrollment) = self.house.enrollments.get_mut(self.id) {
                    enrollment.answered(&queued.uuid, CommandStatus::Error);
                }
                continue;
            }
            count += 1;
            if parts {
                break;
            }
        }
        true
    }

    /// A part of an object is in the message; whether it is the last one.
    fn is_parted(&mut self, object: &Arc<Queued>, done: usize, is_all: bool) -> bool {
        self.is_sent(&object.uuid, Of::Queue(Arc::clone(object)));
        if !is_all {
            self.session.object = Some((Arc::clone(object), done));
        }
        is_all
    }

    fn is_delivered(&mut self, queued: &Arc<Queued>) {
        self.session.unanswered.insert(queued.uuid.clone());
        self.house.truth.command(self.id, &queued.uuid, &queued.request, "delivered");
        self.is_sent(&queued.uuid, Of::Queue(Arc::clone(queued)));
        for (uuid, request) in &queued.inside {
            self.house.truth.command(self.id, uuid, request, "delivered");
            self.is_sent(uuid, Of::Inside(uuid.clone(), request.clone()));
        }
    }

    fn is_sent(&mut self, id: &str, what: Of) {
        self.session.sent.insert((self.session.message, id.to_owned()), Sent { what, is_answered: false });
    }
}

/// A `Status` for the header and for each command that wants one.
fn replies<'a>(message: &Message<'a>, (code, challenge): &Verdict) -> Vec<Status<'a>> {
    let status = |command: Cow<'a, str>, name: &str, code| Status {
        message: message.header.message.clone(),
        command,
        name: name.to_owned().into(),
        code,
        ..Status::default()
    };
    let mut all = vec![Status {
        targets: vec![message.header.target.uri.clone()],
        sources: vec![message.header.source.uri.clone()],
        challenge: challenge.clone(),
        ..status("0".into(), "SyncHdr", *code)
    }];
    for command in &message.commands {
        let code = match &command.body {
            Body::Status(_) => continue,
            // Only a part of a result is acknowledged (OMA-TS-DM-Protocol 1.2, 7).
            Body::Results { items, .. } if items.iter().any(|item| item.more) && challenge.is_none() => 213,
            Body::Results { .. } => continue,
            _ if challenge.is_some() => *code,
            _ => 200,
        };
        all.push(status(command.id.clone(), command.body.name(), code));
    }
    all
}

/// What a code says of a command: 214 to 216 are those that were not done.
fn fate(code: u16) -> CommandStatus {
    match code {
        200..=213 => CommandStatus::Acknowledged,
        _ => CommandStatus::Error,
    }
}
