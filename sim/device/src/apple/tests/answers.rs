//! What results look like and how large they are. The sizes are those of results with the keys and values of real
//! devices; a fleet whose answers were a tenth of that would flatter any server.

use super::*;

/// Size of the answer to a command, and its status.
fn answer(rig: &mut Rig, request: &Wanted<'_>) -> (usize, String) {
    rig.pushed([command("1", request)]);
    (rig.asked[1].body.len(), rig.status(1))
}

fn of(request_type: &str) -> Wanted<'_> {
    Wanted::Other { request_type, pairs: &[] }
}

#[test]
fn an_idle_iphone_says_291_bytes() {
    let mut rig = Rig::enrolled(ios());
    rig.pushed([]);
    assert_eq!(rig.asked[0].body.len(), 291);
}

#[test]
fn answers_are_as_large_as_real_ones() {
    type Sizes = std::ops::Range<usize>;
    let six: &[&str] = &["DeviceName", "OSVersion", "BuildVersion", "ModelName", "SerialNumber", "UDID"];
    let cases: [(Character, Wanted<'_>, &str, Sizes); 13] = [
        (ios(), Wanted::DeviceInformation { queries: six, attestation_nonce: None }, "Acknowledged", 650..850),
        (ios(), of("SecurityInfo"), "Acknowledged", 800..1_100),
        (mac(), of("SecurityInfo"), "Acknowledged", 2_400..4_000),
        (ios(), of("InstalledApplicationList"), "Acknowledged", 30_000..160_000),
        (mac(), of("InstalledApplicationList"), "Acknowledged", 50_000..240_000),
        (ios(), of("ManagedApplicationList"), "Acknowledged", 370..450),
        (ios(), of("ProfileList"), "Acknowledged", 1_000..4_000),
        (ios(), of("CertificateList"), "Acknowledged", 1_200..3_000),
        (mac(), of("UserList"), "Acknowledged", 600..1_500),
        (ios(), of("UserList"), "Error", 650..800),
        (ios(), of("AvailableOSUpdates"), "Error", 600..1_400),
        (mac(), of("AvailableOSUpdates"), "Acknowledged", 370..1_400),
        (ios(), of("NoSuchCommand"), "Error", 650..800),
    ];
    for (character, request, status, sizes) in cases {
        let platform = character.platform;
        let (size, said) = answer(&mut Rig::enrolled(character), &request);
        assert_eq!(said, status, "{platform:?} {request:?}");
        assert!(sizes.contains(&size), "{platform:?} {request:?}: {size} B, not {sizes:?}");
    }
}

#[test]
fn what_is_not_known_is_left_out_and_not_an_error() {
    let mut rig = Rig::enrolled(ios());
    let queries = &["OSVersion", "NoSuchKey"];
    assert_eq!(answer(&mut rig, &Wanted::DeviceInformation { queries, attestation_nonce: None }).1, "Acknowledged");
    let message = rig.message(1);
    let answers = message.get("QueryResponses").and_then(plist::Value::as_dict).unwrap();
    assert_eq!(answers.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["OSVersion"]);
}
