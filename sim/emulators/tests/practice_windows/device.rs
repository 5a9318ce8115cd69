//! A Windows device that does what it is told, made of the same formats: it proves nothing about them, but can be led where
//! a real one can't.

use crate::stage::Stage;
use droves_emulators::practice::{Outgoing, Proof};
use droves_facts::{CommandKey, CommandStatus, Limits, What};
use droves_wire::keys::Key;
use droves_wire::windows::csr::{self, Spelling};
use droves_wire::windows::discovery::{self, AuthPolicy};
use droves_wire::windows::issue::{self, Token};
use droves_wire::windows::provisioning::{Document, Store};
use droves_wire::windows::soap::{Credential, RequestHeader};
use droves_wire::windows::syncml::{
    self, Body, Command, Credentials, Data, Header, Item, Location, MD5, Message, Meta, Status, Verb,
};
use std::collections::BTreeMap;

pub(crate) struct Device {
    pub(crate) lane: u32,
    pub(crate) id: String,
    pub(crate) document: Document,
    pub(crate) certificate: Vec<u8>,
    key: Key,
    enrollment_url: String,
    session: u32,
    /// Name and secret, where the server asks for those.
    pub(crate) account: Option<(String, String)>,
    /// What it answers to commands of these names; 200 to all others.
    pub(crate) answers: BTreeMap<String, u16>,
    /// Names of the commands that it was given, in order.
    pub(crate) given: Vec<String>,
    /// What its nodes hold, by the end of their URI.
    pub(crate) nodes: BTreeMap<&'static str, String>,
}

/// Why a session is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The server wanted nothing more.
    Quiet,
    /// The server is not one to speak to: the status, or what is wrong with the message.
    Broken(String),
    /// It was to break off after so many messages.
    Cut,
}

impl Device {
    pub(crate) fn enroll(stage: &mut Stage, lane: u32, hardware: u32) -> Device {
        Device::enroll_as(stage, lane, hardware, "secret").unwrap()
    }

    pub(crate) fn enroll_as(stage: &mut Stage, lane: u32, hardware: u32, password: &str) -> Result<Device, String> {
        let id = format!("{:032X}", 0xD000_0000_u32 + lane);
        let header = |to: &str, credential| RequestHeader {
            message_id: format!("urn:uuid:{lane}").into(),
            to: to.to_owned().into(),
            credential,
        };
        let url = stage.discovery();
        let discover = discovery::Request {
            header: header(&url, None),
            version: "5.0".into(),
            device_type: discovery::PC.into(),
            policies: vec![AuthPolicy::OnPremise],
            ..discovery::Request::default()
        };
        let mut body = Vec::new();
        discover.write(&mut body);
        let said = stage.ask("POST", &url, Proof::Nothing, "", &body);
        let limits = Limits::default();
        let found = discovery::Answer::read(&said.body, &limits).map_err(|error| error.to_string())?;
        let enrollment_url = found.enrollment_url.to_string();
        let key = Key::generate_p256().unwrap();
        let asked = csr::write("0F0E2D4C-6B8A-4978-9695-B4C3D2E1F001", &id, &key, Spelling::Utf8).unwrap();
        let credential = Credential::Password { user: "user".into(), password: password.to_owned().into() };
        let issue = issue::Request {
            header: header(&enrollment_url, Some(credential)),
            renews: false,
            token: Token::Pkcs10(asked),
            context: vec![
                ("DeviceID".into(), id.clone().into()),
                ("HWDevID".into(), format!("{hardware:064X}").into()),
                ("EnrollmentType".into(), "Full".into()),
            ],
        };
        let mut body = Vec::new();
        issue.write(&mut body);
        let said = stage.ask("POST", &enrollment_url, Proof::Nothing, "", &body);
        let answer = issue::Answer::read(&said.body, &limits).map_err(|error| error.to_string())?;
        let document = Document::read(&answer.document, &limits).unwrap();
        let certificate = own(&document);
        let auth = document.account.as_ref().unwrap().device_auth().unwrap();
        let account = Some((auth.name.clone().unwrap(), auth.secret.clone().unwrap()));
        Ok(Device {
            lane,
            id,
            document,
            certificate,
            key,
            enrollment_url,
            session: 0,
            account,
            answers: BTreeMap::new(),
            given: Vec::new(),
            nodes: BTreeMap::new(),
        })
    }

    /// A new certificate for the same key, whether its answer arrives or not.
    pub(crate) fn renew(&mut self, stage: &mut Stage, arrives: bool) -> Result<(), String> {
        let asked = csr::write("0F0E2D4C-6B8A-4978-9695-B4C3D2E1F001", &self.id, &self.key, Spelling::Utf8).unwrap();
        let renewal = issue::renewal(&asked, &self.key, &self.certificate).unwrap();
        let issue = issue::Request {
            header: RequestHeader::default(),
            renews: true,
            token: Token::Pkcs7(renewal),
            context: Vec::new(),
        };
        let mut body = Vec::new();
        issue.write(&mut body);
        let url = self.enrollment_url.clone();
        let said = stage.ask("POST", &url, Proof::Vouched(&self.certificate), "", &body);
        let answer = issue::Answer::read(&said.body, &Limits::default()).map_err(|error| error.to_string())?;
        if arrives {
            self.certificate = own(&Document::read(&answer.document, &Limits::default()).unwrap());
        }
        Ok(())
    }

    /// One session to its end.
    pub(crate) fn connect(&mut self, stage: &mut Stage) -> End {
        self.session_of(stage, usize::MAX, &[])
    }

    /// One session of at most so many messages, whose first has these alerts too.
    pub(crate) fn session_of(&mut self, stage: &mut Stage, messages_max: usize, alerts: &[&'static str]) -> End {
        self.session += 1;
        let session = self.session.to_string();
        let mut commands = vec![alert(1201, None)];
        commands.extend(alerts.iter().map(|kind| alert(1226, Some(kind))));
        let first = commands.clone();
        let (mut credentials, mut unaccepted) = (None, Vec::new());
        for number in 1.. {
            let header = Header {
                session: session.clone().into(),
                message: number.to_string().into(),
                target: Location::at(self.document.account.as_ref().unwrap().address.clone()),
                source: Location::at(self.id.clone()),
                credentials: credentials.take(),
                ..Header::default()
            };
            let said = self.send(stage, header, commands);
            let limits = Limits::default();
            let answer = match Message::read(&said.body, &limits) {
                Ok(answer) if said.status == 200 => answer,
                Ok(_) => return End::Broken(said.status.to_string()),
                Err(error) => return End::Broken(format!("{} {error}", said.status)),
            };
            let header = answer.commands.iter().find_map(|command| match &command.body {
                Body::Status(status) if status.name == "SyncHdr" => Some(status),
                _ => None,
            });
            let Some(header) = header.filter(|status| status.message == number.to_string()) else {
                return End::Broken("no status for the header".to_owned());
            };
            if let Some(challenge) = &header.challenge {
                let Some((name, secret)) = &self.account else { return End::Broken("challenged".to_owned()) };
                if number > 1 {
                    return End::Broken(header.code.to_string());
                }
                let nonce = droves_nonce(challenge.next_nonce.as_deref().unwrap_or_default());
                let data = syncml::md5(name, secret, &nonce).into();
                credentials = Some(Credentials { kind: MD5.into(), data });
                commands = first.clone();
                continue;
            }
            for (command, status) in unaccepted.drain(..) {
                stage.say(self.lane, What::Accepted { command, status });
            }
            commands = vec![status(&answer, "0", "SyncHdr", 200)];
            let work = answer.commands.iter().filter(|command| !matches!(command.body, Body::Status(_)));
            for command in work {
                self.carry_out(stage, &answer, command, &mut commands, &mut unaccepted);
            }
            if commands.len() == 1 {
                return End::Quiet;
            }
            if number as usize >= messages_max {
                return End::Cut;
            }
        }
        End::Cut
    }

    fn send(&self, stage: &mut Stage, header: Header<'_>, mut commands: Vec<Command<'static>>) -> Outgoing {
        for (n, command) in commands.iter_mut().enumerate() {
            command.id = (n + 1).to_string().into();
        }
        let mut body = Vec::new();
        Message { header, commands, last: true }.write(&mut body);
        let url = self.document.account.as_ref().unwrap().address.clone();
        stage.ask("POST", &url, Proof::Vouched(&self.certificate), syncml::CONTENT_TYPE, &body)
    }

    fn carry_out(
        &mut self,
        stage: &mut Stage,
        answer: &Message<'_>,
        command: &Command<'_>,
        commands: &mut Vec<Command<'static>>,
        unaccepted: &mut Vec<(CommandKey, CommandStatus)>,
    ) {
        let key = CommandKey::of(command.id.as_bytes());
        stage.say(self.lane, What::Delivered { command: key, named: true });
        self.given.push(command.id.to_string());
        let code = self.answers.get(&*command.id).copied().unwrap_or(200);
        let fate = if code < 300 { CommandStatus::Acknowledged } else { CommandStatus::Error };
        stage.say(self.lane, What::Answered { command: key, status: fate });
        unaccepted.push((key, fate));
        commands.push(status(answer, &command.id, command.body.name(), code));
        if let Body::Nodes { verb, items, .. } = &command.body {
            let uri = items.first().and_then(|item| item.target.as_deref()).unwrap_or_default();
            let data = items.first().and_then(|item| item.data.as_ref()).map_or("", Data::as_str);
            match (verb, &mut self.account) {
                (Verb::Replace, Some((name, _))) if uri.ends_with("/AAuthName") => data.clone_into(name),
                (Verb::Replace, Some((_, secret))) if uri.ends_with("/AAuthSecret") => data.clone_into(secret),
                (Verb::Get, _) if code == 200 => {
                    let held = self.nodes.iter().find(|(end, _)| uri.ends_with(**end)).map_or("", |(_, held)| held);
                    commands.push(results(answer, &command.id, uri, held));
                }
                _ => {}
            }
        }
    }
}

fn droves_nonce(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn own(document: &Document) -> Vec<u8> {
    document.certificates.iter().find(|stored| stored.store == Store::My).unwrap().der.clone()
}

fn alert(code: u16, kind: Option<&'static str>) -> Command<'static> {
    let item = |kind: &'static str| Item {
        meta: Meta { kind: Some(kind.into()), format: Some("int".into()), ..Meta::default() },
        data: Some(Data::Text("1".into())),
        ..Item::default()
    };
    Command { id: "".into(), body: Body::Alert { code, items: kind.map(item).into_iter().collect() } }
}

fn status(answer: &Message<'_>, command: &str, name: &str, code: u16) -> Command<'static> {
    let (message, command, name) = (answer.header.message.to_string(), command.to_owned(), name.to_owned());
    let status =
        Status { message: message.into(), command: command.into(), name: name.into(), code, ..Status::default() };
    Command { id: "".into(), body: Body::Status(status) }
}

fn results(answer: &Message<'_>, command: &str, uri: &str, data: &str) -> Command<'static> {
    let (message, command) = (answer.header.message.to_string().into(), command.to_owned().into());
    let data = Some(Data::Text(data.to_owned().into()));
    let items = vec![Item { source: Some(uri.to_owned().into()), data, ..Item::default() }];
    Command { id: "".into(), body: Body::Results { message, command, meta: Meta::default(), items } }
}
