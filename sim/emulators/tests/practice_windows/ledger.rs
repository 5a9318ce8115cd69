//! The ledger's trial: for each fault that the server can commit it names that fault and no other.

use crate::device::{Device, End};
use crate::stage::Stage;
use droves_emulators::practice::windows::Settings;
use droves_facts::{Dur, Mono};
use droves_measure::{Fold, Folds, Verdicts};
use droves_scenario::plan::{Delay, ServerFault};
use droves_wire::windows::soap::FaultKind;

/// Two devices with channels; the first gets three commands while the server does wrong, and is pushed. A minute later both
/// connect by themselves, and all is well again.
fn trial(fault: Option<ServerFault>) -> (Verdicts, Option<End>) {
    let settings = Settings { pfn: Some("Droves_1".to_owned()), ..Settings::default() };
    let mut stage = Stage::with_fault(settings, fault);
    let mut devices = [Device::enroll(&mut stage, 1, 1), Device::enroll(&mut stage, 2, 2)];
    for device in &mut devices {
        device.nodes.insert("/ChannelURI", format!("https://wns.test/?token={}", device.lane));
        assert_eq!(device.connect(&mut stage), End::Quiet);
    }
    stage.faulty(true);
    let id = devices[0].id.clone();
    stage.command(1, &id, &["a", "b", "c"]);
    let pushed = !stage.push(&id).is_empty();
    let end = pushed.then(|| devices[0].connect(&mut stage));
    stage.wait(Dur::secs(60));
    devices.iter_mut().for_each(|device| drop(device.connect(&mut stage)));
    stage.faulty(false);
    devices.iter_mut().for_each(|device| assert_eq!(device.connect(&mut stage), End::Quiet));
    let mut folds = Folds::default();
    stage.facts.iter().for_each(|fact| folds.apply(fact));
    let (verdicts, _) = folds.ledger.settle(Mono(1_000_000_000));
    // What the server asks for by itself nobody has queued, and it is never the same command twice.
    assert!(verdicts.foreign >= 10, "{verdicts:?}");
    (Verdicts { foreign: 0, ..verdicts }, end)
}

fn check(fault: ServerFault, wanted: Verdicts) -> Option<End> {
    let (verdicts, end) = trial(Some(fault));
    assert_eq!(verdicts, wanted, "{fault:?}");
    end
}

#[test]
fn each_fault_has_its_name_and_no_other() {
    let clean = Verdicts::default();
    assert_eq!(trial(None), (clean, Some(End::Quiet)));
    check(ServerFault::LoseCommand, Verdicts { lost: 3, ..clean });
    check(ServerFault::RepeatCommand, Verdicts { duplicated: 3, ..clean });
    check(ServerFault::MisdeliverCommand, Verdicts { misdelivered: 3, ..clean });
    assert_eq!(check(ServerFault::ForgetPush, Verdicts { late: 3, ..clean }), None);
}

/// A command that no answer was heard to may come again; one that never came while the server was away is late.
#[test]
fn what_is_no_fault_of_the_queue_is_no_fault_of_the_ledger() {
    let clean = Verdicts::default();
    let late = Verdicts { late: 3, ..clean };
    let is_broken = |end: Option<End>| assert!(matches!(end, Some(End::Broken(_))), "{end:?}");
    is_broken(check(ServerFault::Answer(502), late));
    is_broken(check(ServerFault::Html, late));
    is_broken(check(ServerFault::IllFormed, late));
    is_broken(check(ServerFault::WrongReference, late));
    let slow = ServerFault::Slow(Delay::Fixed(Dur::secs(1)));
    assert_eq!(check(slow, clean), Some(End::Quiet));
    assert_eq!(check(ServerFault::Chunked, clean), Some(End::Quiet));
    assert_eq!(check(ServerFault::Refuse(FaultKind::InMaintenance), clean), Some(End::Quiet));
}
