//! Lanes that are enrolled without having enrolled: made offline, for a server that takes enrollments over from another
//! one by the check-in messages that their devices sent there.

use super::record::{Record, Stage};
use super::shared::Shared;
use super::{Apple, enroll, messages};
use crate::{Ctx, Identity, Slept};
use bytes::Bytes;
use droves_facts::Limits;
use std::sync::Arc;

/// What all lanes have in common that are minted under one enrollment profile.
#[derive(Clone, Debug)]
pub struct Minting {
    device: Arc<Shared>,
    user: Arc<Shared>,
}

impl Minting {
    /// Reads the profile that the devices are to have enrolled with. The error says what is wrong with it.
    pub fn under(profile: &[u8], allow_http: bool, limits: &Limits) -> Result<Self, String> {
        let read = enroll::read(profile, allow_http, limits)?;
        let mdm = Some(Arc::new(read.settings));
        let user = Shared { mdm: mdm.clone(), ..Shared::default() };
        let device = Shared { mdm, profiles: vec![Arc::new(read.profile)], ..Shared::default() };
        Ok(Minting { device: Arc::new(device), user: Arc::new(user) })
    }

    /// Whether users of Macs have channels of their own.
    pub fn has_users(&self) -> bool {
        self.device.mdm.as_ref().is_some_and(|mdm| mdm.per_user_connections)
    }

    /// A lane in its first enrollment, at rest: a device's with this identity, or one of its users'.
    pub fn lane(&self, is_device: bool, identity: &Identity) -> Slept<Apple> {
        let record = Record {
            stage: Stage::Enrolled,
            generation: 1,
            token: 1,
            renew_at: enroll::renew_at(identity),
            ..Record::default()
        };
        Slept { record, shared: Arc::clone(if is_device { &self.device } else { &self.user }), own: None }
    }
}

/// What a server has to be told of an enrolled lane so that it knows the lane: Authenticate if it is a device, and
/// TokenUpdate. Nothing if it is not enrolled.
pub(super) fn check_ins(record: &Record, shared: &Shared, ctx: &Ctx<'_>) -> Vec<Bytes> {
    let Some(settings) = shared.mdm.as_ref().filter(|_| record.stage == Stage::Enrolled) else { return Vec::new() };
    let authenticate = (ctx.channel == 0).then(|| messages::authenticate(settings, ctx));
    let token_update = messages::token_update(settings, record.token, record.generation, ctx);
    authenticate.into_iter().chain([token_update]).collect()
}
