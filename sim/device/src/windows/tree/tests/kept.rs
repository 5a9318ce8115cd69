//! What sleeps: shared where it can be, small where it is one's own, and the same when it wakes.

use super::*;
use droves_facts::DeviceIx;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A hundred profiles of six nodes.
fn profiles(bench: &mut Bench) {
    for n in 0..600 {
        let uri = format!("./Vendor/MSFT/Policy/Config/Camera/Setting{n}");
        assert_eq!(bench.code(replace(&uri, "int", "1")), 200);
    }
}

#[test]
fn devices_that_were_given_the_same_have_the_same() {
    let folded = |device| {
        let mut bench = Bench::new();
        bench.world.device = DeviceIx(device);
        profiles(&mut bench);
        bench.code(get("./DevDetail/Ext/Microsoft/LocalTime"));
        bench.tree.fold()
    };
    let hash = |base: &super::super::Base| {
        let mut hasher = DefaultHasher::new();
        base.hash(&mut hasher);
        hasher.finish()
    };
    let ((one, own), (other, _)) = (folded(1), folded(2));
    assert_eq!((&one, hash(&one)), (&other, hash(&other)));
    assert_eq!(own, Overlay::default());
    assert_ne!(hash(&one), hash(&super::super::Base::default()));
    // Nothing is copied, and nothing changes, where nothing is written or the same again.
    let mut bench = Bench::new();
    bench.tree = Tree::open(&one, own);
    profiles(&mut bench);
    assert!(Arc::ptr_eq(&bench.tree.fold().0, &one));
}

#[test]
fn an_own_part_is_small() {
    let mut bench = Bench::new();
    let client = "./Vendor/MSFT/DMClient/Provider/Example%20MDM";
    assert_eq!(bench.code(replace(&format!("{client}/EntDMID"), "chr", "0f0d9c5e")), 200);
    assert_eq!(bench.code(replace("./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "int", "1")), 200);
    let (base, own) = bench.tree.fold();
    let bytes = postcard::to_allocvec(&own).expect("bytes").len();
    assert!(bytes <= 128, "{bytes}");
    // Nobody shares it.
    assert_eq!(Vec::from((*base).clone()).len(), 1);
}

#[test]
fn what_slept_is_the_same() {
    let mut bench = Bench::new();
    profiles(&mut bench);
    let name = "./Device/Vendor/MSFT/DMClient/Provider/Example%20MDM/EntDeviceName";
    assert_eq!(bench.code(replace(name, "chr", "Front desk")), 200);
    let before = bench.tree.clone().fold();
    bench.sleep();
    assert_eq!(bench.value(name).as_deref(), Some("Front desk"));
    assert_eq!(bench.tree.fold(), before);
}
