//! Messages to devices, on both their ways.

use super::polls::Row;
use super::{Agents, Stir};
use crate::mqtt::Acknowledged;
use crate::practice::exchange::Wake;
use crate::practice::house::House;
use droves_facts::Mono;
use droves_scenario::plan::ServerFault;
use droves_wire::android::headwind::{Kind, Push};

/// Messages on their way to the broker; one more is lost, as it is with a queue in memory.
const DELAYED_MAX: usize = 1_000_000;
/// Messages whose kind is known when their acknowledgement comes.
const KINDS_MAX: usize = 100_000;

/// A message for the broker.
#[derive(Debug)]
pub(super) struct Sent {
    number: String,
    payload: Vec<u8>,
    name: u64,
}

/// As a message is called in what the server tells of it.
pub(super) fn name_of(kind: &str, name: u64) -> String {
    format!("{kind}-{name}")
}

impl Agents {
    /// A name for a message, which may go to many.
    pub(super) fn named(&mut self, kind: &Kind) -> u64 {
        self.messages += 1;
        if self.kinds.len() >= KINDS_MAX {
            self.kinds.pop_front();
        }
        self.kinds.push_back((self.messages, kind.name().to_owned()));
        self.messages
    }

    /// Sends a message to a device.
    pub(super) fn push(&mut self, house: &mut House, now: Mono, number: &str, name: u64, push: &Push) {
        let text = name_of(push.kind.name(), name);
        house.truth.command(number, &text, push.kind.name(), "queued");
        let is_update = push.kind == Kind::ConfigUpdated;
        let wanted = |fault: &ServerFault| match fault {
            ServerFault::ForgetPush => true,
            // Of a configuration that goes wrong, it is the configuration itself.
            ServerFault::LoseCommand | ServerFault::MisdeliverCommand | ServerFault::RepeatCommand => !is_update,
            _ => false,
        };
        let (to, copies) = match house.strike(now, Some(number), Some(&text), wanted) {
            Some(ServerFault::RepeatCommand) => (number.to_owned(), 2),
            Some(ServerFault::MisdeliverCommand) => (self.somebody_else(house, number), 1),
            Some(_) => return,
            None => (number.to_owned(), 1),
        };
        let token = self.devices.get(&to).and_then(|device| device.info.as_ref()?.push_token.clone());
        for _ in 0..copies {
            self.wakes.extend(token.clone().map(|token| Wake::Android { token }));
            self.delay(now, Sent { number: to.clone(), payload: push.write(), name });
            self.post(&to, Row { at: now, name, push: push.clone() });
        }
    }

    fn somebody_else(&self, house: &mut House, number: &str) -> String {
        let others: Vec<&String> = self.devices.keys().filter(|other| *other != number).collect();
        let choice = house.faults.number().checked_rem(others.len() as u64);
        choice.and_then(|n| others.get(n as usize)).map_or_else(|| number.to_owned(), |other| (*other).clone())
    }

    /// One queue for the whole fleet.
    fn delay(&mut self, now: Mono, sent: Sent) {
        if self.settings.message_delay.std().is_zero() {
            self.broker.publish(&sent.number, &sent.payload, sent.name);
        } else if self.delayed.len() < DELAYED_MAX {
            if self.delayed.is_empty() {
                self.next_message = self.next_message.max(now + self.settings.message_delay);
                self.stirred.insert(Stir::Clock);
            }
            self.delayed.push_back(sent);
        }
    }

    /// When the next message goes to the broker.
    pub(super) fn due(&self) -> Option<Mono> {
        (!self.delayed.is_empty()).then_some(self.next_message)
    }

    /// Sends what is due.
    pub(super) fn tick(&mut self, now: Mono) {
        while self.due().is_some_and(|due| due <= now) {
            let Some(sent) = self.delayed.pop_front() else { return };
            self.broker.publish(&sent.number, &sent.payload, sent.name);
            self.next_message += self.settings.message_delay;
        }
    }

    /// What devices have acknowledged over MQTT.
    pub(super) fn settle(&mut self, house: &mut House) {
        for Acknowledged { client, name } in self.broker.acknowledged() {
            let known = self.kinds.binary_search_by_key(&name, |(name, _)| *name).ok();
            if let Some((_, kind)) = known.and_then(|at| self.kinds.get(at)) {
                house.truth.command(&client, &name_of(kind, name), kind, "delivered");
            }
        }
    }
}
