//! What the practice server knows of one enrollment, and its queue of commands.

use super::exchange::Wake;
use bytes::Bytes;
use droves_facts::CommandStatus;
use std::collections::VecDeque;
use std::sync::Arc;

/// A command as it was queued.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its name: `CommandUUID`, `CmdID`.
    pub uuid: String,
    /// Its `RequestType`, or the name of its element.
    pub request: String,
    /// The commands inside of it, which are answered one by one: names and elements.
    pub inside: Vec<(String, String)>,
    /// Its bytes: a property list, or a message of SyncML around it.
    pub body: Bytes,
    /// Whether it is a second copy, put in on order.
    pub is_copy: bool,
}

/// One enrollment: a device channel, or a user channel of Apple's; a Windows device.
#[derive(Debug, Default)]
pub struct Enrollment {
    /// Whether it is enrolled now.
    pub enrolled: bool,
    pub(super) token: Vec<u8>,
    pub(super) magic: String,
    /// Where Windows is pushed.
    pub(super) channel: Option<String>,
    /// SHA-256 of the identity that the device enrolled with; none for a user channel, which has the device's.
    pub(super) certificate: Option<[u8; 32]>,
    /// What a Mac left with `SetBootstrapToken`.
    pub(super) bootstrap: Option<Vec<u8>>,
    queue: VecDeque<Arc<Queued>>,
    /// Refused with NotNow since the device connected.
    put_off: VecDeque<Arc<Queued>>,
}

impl Enrollment {
    /// Commands that wait.
    pub fn pending(&self) -> usize {
        self.queue.len() + self.put_off.len()
    }

    /// Puts a command at the end of the queue.
    pub fn push(&mut self, command: Arc<Queued>) {
        self.queue.push_back(command);
    }

    /// Whether a command of this name waits.
    pub(super) fn has(&self, uuid: &str) -> bool {
        self.queue.iter().chain(&self.put_off).any(|queued| queued.uuid == uuid)
    }

    /// How it is pushed, if it has told that.
    pub(super) fn wake(&self) -> Option<Wake> {
        match &self.channel {
            Some(channel) => Some(Wake::Windows { channel: channel.clone() }),
            None if self.token.is_empty() => None,
            None => Some(Wake::Apple { token: hex::encode(&self.token), magic: self.magic.clone() }),
        }
    }

    /// It is gone, and so is what it was known by.
    pub(super) fn leave(&mut self) {
        self.enrolled = false;
        self.certificate = None;
        self.channel = None;
        self.clear();
    }

    /// Begins anew: what was queued for the old enrollment is void.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.put_off.clear();
    }

    /// The device has connected: what it put off is offered again, after the rest.
    pub fn connected(&mut self) {
        let mut again = std::mem::take(&mut self.put_off);
        self.queue.append(&mut again);
    }

    /// Takes an answer; gives the command that it was for, if that was queued.
    pub fn answered(&mut self, uuid: &str, status: CommandStatus) -> Option<Arc<Queued>> {
        let at = self.queue.iter().position(|queued| queued.uuid == uuid)?;
        let command = self.queue.remove(at)?;
        if status == CommandStatus::NotNow {
            self.put_off.push_back(Arc::clone(&command));
        }
        Some(command)
    }

    /// What waits, in order, but for what was put off.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Arc<Queued>> {
        self.queue.iter()
    }

    /// The command that comes next.
    pub fn next(&self) -> Option<&Arc<Queued>> {
        self.queue.front()
    }
}
