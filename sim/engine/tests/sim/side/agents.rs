//! The other side of agents on Android: the same brain as their server, its broker, and the network on which links stand.

use super::*;
use droves_engine::admin::Says;
use droves_scenario::server::Queueing;
use droves_wire::android::fcm;
use droves_wire::android::headwind::DeviceInfo;
use serde_json::Value;

/// The Firebase project of the servers that wake agents by FCM.
pub(crate) const PROJECT: &str = "sim";
/// Devices in one page of the server's list of them, and more than a configuration has.
const PAGE: &str = "/admin/v1/devices?limit=1000";

/// What a device is to look like by a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    pub(crate) applications: u64,
    pub(crate) kiosk: bool,
    /// Whether it has a link; else it polls.
    pub(crate) links: bool,
}

impl Look {
    /// By the configuration that is the server's own where nobody has set another.
    pub(crate) const STOCK: Look = Look { applications: 40, kiosk: false, links: true };

    fn of(json: &str) -> Look {
        let set: Value = serde_json::from_str(json).unwrap_or_default();
        Look {
            applications: set["applications"].as_array().map_or(Look::STOCK.applications, |all| all.len() as u64),
            kiosk: set["kioskMode"].as_bool().unwrap_or_default(),
            links: set["pushOptions"].as_str().is_none_or(|options| options.starts_with("mqtt")),
        }
    }
}

impl Practice {
    /// What the server says to an agent, and after how long.
    pub(super) fn answer_agent(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Outgoing) {
        self.disk.settle(clocks.now);
        if request.operation == Operation::AndroidReport
            && let Ok(info) = DeviceInfo::read(bytes_of(&request.body))
            && let Some(token) = info.custom1
        {
            self.tells(clocks, lane, &fcm::token_secret(&token).unwrap_or_default());
        }
        if self.plant.is_some_and(|plant| plant.swallows(request.operation, self.answers)) {
            return (Dur::ZERO, Outgoing::new(200, "application/json", r#"{"status":"OK"}"#));
        }
        let is_met = self.agents.number(lane).is_some();
        let answer = self.agents.answer(&mut self.brain, clocks, lane, request);
        if !is_met && let Some(number) = self.agents.number(lane).map(str::to_owned) {
            self.introduce(lane, number);
        }
        answer
    }

    /// What the broker answers to what a lane sends, unless the link is cut off just then.
    pub(super) fn send(&mut self, clocks: Clocks, lane: LaneIx, bytes: &Bytes) -> Vec<Bytes> {
        self.sends += 1;
        let is_cut = self.strikes(self.other.links_cut, CUT, self.sends);
        if is_cut && self.sends.is_multiple_of(2) {
            // Nobody hears it.
            self.agents.cut(&mut self.brain, lane);
            return Vec::new();
        }
        let said = self.agents.sent(&mut self.brain, clocks, lane, bytes);
        if !is_cut {
            return said;
        }
        self.agents.cut(&mut self.brain, lane);
        Vec::new()
    }

    /// Queues what agents are asked; none of what is not theirs.
    pub(super) fn queue_for_agents(
        &mut self,
        clocks: Clocks,
        lanes: &[LaneIx],
        command: &Command,
    ) -> Option<Vec<LaneIx>> {
        let Taken { lanes, woken } = self.agents.queue(&mut self.brain, clocks, lanes, command)?;
        if let Says::Json { queueing: Queueing::Configuration, json, .. } = &command.says
            && let Some(digest) = self.agents.take_returned()
        {
            self.looks.insert(digest.clone(), Look::of(json));
            self.returned = Some(digest);
        }
        for token in woken {
            self.pushes += 1;
            if !self.troubles.loses_push(token.0, clocks.now) {
                let notifications = self.notifies(token, PROJECT, String::new());
                self.woken.extend(notifications.into_iter().map(Happened::Push));
            }
        }
        Some(lanes)
    }

    /// What the server tells of its agents, by their numbers.
    pub(crate) fn rows(&mut self, clocks: Clocks) -> BTreeMap<String, Value> {
        let (answer, _) = self.ask(clocks, "GET", PAGE, Proof::Nothing, &[]);
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let rows = said["devices"].as_array().cloned().unwrap_or_default();
        rows.into_iter().map(|row| (row["number"].as_str().unwrap_or_default().to_owned(), row)).collect()
    }

    /// The token of this generation of a lane, as FCM shows it.
    pub(crate) fn registration_token(&self, lane: LaneIx, generation: u32) -> String {
        fcm::token(&self.tokens.token(lane, generation))
    }

    /// Whether the push register takes it for the lane's own.
    pub(crate) fn is_registered(&self, lane: LaneIx, generation: u32) -> bool {
        self.push_service.is_current(lane, generation, PROJECT)
    }
}
