//! Woken by FCM.

use super::*;
use crate::Habits;
use droves_wire::android::fcm;

impl Rig {
    fn woken_by_fcm() -> Self {
        let mut character = agent();
        if let Enrolls::Agent(agent) = &mut character.enrolls {
            Arc::make_mut(agent).fcm = Some("p1".into());
        }
        let mut rig = Rig::new(character);
        rig.config.push_options = None;
        rig.order(Order::Enroll);
        rig
    }

    /// A message comes; whether the device hears it.
    fn message(&mut self, is_urgent: bool) -> bool {
        let hear = self.lanes[0].hear;
        let reasons = if is_urgent { Reasons::PUSH | Reasons::URGENT } else { Reasons::PUSH };
        let hears = !hear.and(reasons).is_empty();
        if hears {
            self.wake(0, reasons);
            self.settle();
        }
        hears
    }

    /// The tokens that were reported, each once.
    fn tokens(&self) -> Vec<Option<String>> {
        let infos = self.asked.iter().filter(|asked| asked.operation == Operation::AndroidReport);
        let mut tokens: Vec<_> = infos.map(|asked| DeviceInfo::read(&asked.body).unwrap().custom1).collect();
        tokens.dedup();
        tokens
    }

    fn token(&mut self, generation: u32) -> String {
        self.world.channel = 0;
        let ctx = self.world.ctx();
        fcm::token(&ctx.tokens.token(ctx.lane, generation))
    }

    /// Has a habit from now on, or at latest when it next looks at what it does.
    fn becomes(&mut self, habits: Habits) {
        self.world.character.habits = habits;
        self.wait(Dur::secs(16 * 60));
    }

    fn until(&mut self, is_so: impl Fn(&Ctx<'_>) -> bool) {
        while !is_so(&self.world.ctx()) {
            self.wait(Dur::secs(10));
        }
    }
}

#[test]
fn a_token_is_on_disk_before_the_server_hears_of_it() {
    let mut rig = Rig::woken_by_fcm();
    let registers = rig.asked.iter().position(|asked| asked.operation == Operation::AndroidPushRegister).unwrap();
    let reports = rig.asked.iter().position(|asked| asked.operation == Operation::AndroidReport).unwrap();
    assert!(registers < reports);
    assert_eq!(rig.asked[registers].url, "p1");
    assert_eq!(rig.saves, 2, "enrolled, and registered");
    let token = rig.token(1);
    assert_eq!(rig.tokens(), [Some(token)]);
    let slept = rig.lanes[0].machine.snapshot();
    assert_eq!(Agent::registration(&slept.record, &slept.shared), Some((1, "p1".into())));
    assert_eq!(Agent::magic(&slept.record, &rig.world.ctx()).as_deref(), Some(""));
}

#[test]
fn a_message_has_the_configuration_fetched() {
    let mut rig = Rig::woken_by_fcm();
    rig.forget();
    rig.config.description = Some("new".into());
    assert!(rig.message(false));
    assert_eq!((rig.count(Operation::AndroidConfig), rig.hops()), (1, vec!["delivered", "answered", "accepted"]));
}

#[test]
fn who_enrolls_again_has_another_token() {
    let mut rig = Rig::woken_by_fcm();
    rig.order(Order::Unenroll);
    let slept = rig.lanes[0].machine.snapshot();
    assert_eq!(Agent::registration(&slept.record, &slept.shared), None);
    assert_eq!(Agent::magic(&slept.record, &rig.world.ctx()), None);
    rig.forget();
    rig.order(Order::Enroll);
    let token = rig.token(2);
    assert_eq!(rig.tokens(), [Some(token)]);
}

#[test]
fn a_token_that_is_not_to_be_had_is_asked_for_again() {
    let mut rig = Rig::new(Rig::woken_by_fcm().world.character);
    rig.script.push_back((Operation::AndroidPushRegister, Ok((503, Vec::new()))));
    rig.script.push_back((Operation::AndroidPushRegister, Err("timeout")));
    rig.order(Order::Enroll);
    assert_eq!(rig.tokens(), [None], "it reports nevertheless");
    let troubles = |rig: &Rig| rig.facts.iter().filter(|fact| matches!(fact, Fact::Complaint { .. })).count();
    assert_eq!(troubles(&rig), 1);
    rig.wait(Dur::secs(20 * 60));
    assert_eq!((troubles(&rig), rig.tokens()), (2, vec![None]));
    rig.wait(Dur::secs(15 * 60));
    let token = rig.token(1);
    assert_eq!(rig.tokens(), [None, Some(token)]);
}

#[test]
fn a_message_is_not_lost_behind_one_over_the_link() {
    let mut rig = Rig::woken_by_fcm();
    rig.forget();
    rig.lanes[0].notes.push(Note { order: Order::Pushed(0), cause: rig.world.clocks.now });
    assert!(rig.message(false));
    assert_eq!(rig.count(Operation::AndroidConfig), 1);
}

#[test]
fn a_token_is_for_one_project() {
    let mut rig = Rig::woken_by_fcm();
    let mut becomes = |project: Option<&str>| {
        if let Enrolls::Agent(agent) = &mut rig.world.character.enrolls {
            Arc::make_mut(agent).fcm = project.map(Into::into);
        }
        rig.forget();
        rig.order(Order::CheckIn);
        let registered = rig.asked.iter().filter(|asked| asked.operation == Operation::AndroidPushRegister);
        (registered.map(|asked| asked.url.clone()).collect::<Vec<_>>(), rig.tokens().last().unwrap().is_some())
    };
    assert_eq!(becomes(None), (vec![], false));
    assert_eq!(becomes(Some("p1")), (vec![], true));
    assert_eq!(becomes(Some("p2")), (vec!["p2".to_owned()], true));
}

#[test]
fn an_urgent_message_wakes_who_dozes_for_some_seconds() {
    let mut rig = Rig::woken_by_fcm();
    rig.becomes(Habits { dozes_after: Some(Dur::secs(2_700)), ..Habits::default() });
    rig.until(|ctx| ctx.lacks_until(Need::Attention).is_some_and(|until| until > ctx.clocks.wall + Dur::secs(600)));
    rig.forget();
    assert!(!rig.message(false), "that waits for the window");
    assert!(rig.message(true));
    assert_eq!(rig.count(Operation::AndroidConfig), 1);
    // What takes longer than the device is awake goes on in the window.
    rig.forget();
    rig.world.character.pace = 40.0;
    rig.config.description = Some("new".into());
    assert!(rig.message(true));
    rig.wait(Dur::secs(300));
    assert_eq!(rig.hops(), ["delivered", "answered"]);
    assert!(rig.world.ctx().lacks_until(Need::Attention).is_some(), "it dozes still");
    rig.until(|ctx| ctx.lacks_until(Need::Attention).is_none());
    rig.wait(Dur::secs(1));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn who_has_paused_the_profile_hears_no_urgent_message_either() {
    let mut rig = Rig::woken_by_fcm();
    rig.becomes(Habits { paused: (0.5, Dur::secs(4 * 3_600)), ..Habits::default() });
    rig.until(|ctx| ctx.lacks_until(Need::UrgentPush).is_some());
    rig.forget();
    assert!(!rig.message(true));
    rig.until(|ctx| ctx.lacks_until(Need::UrgentPush).is_none());
    assert!(rig.message(false));
}
