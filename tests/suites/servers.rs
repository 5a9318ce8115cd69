//! The stage itself: each real server starts, answers, and is believed; a device made by hand goes through them. What
//! fails here is not Droves.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{
    API_KEY, Authority, Call, Error, Ground, HandDevice, Identity, NanoHub, Nanomdm, NanomdmTables, Postgres,
    PushCertificate, Recorder, ScepServer, Server, Storage, Surroundings, Witness, bare_command, case, wait_until,
};
use std::sync::Arc;
use std::time::Duration;

const UDID: &str = "00008110-000A1B2C3D4E801E";
const COMMAND: &str = "0E1B7E4C-5C55-4F0D-8C9E-8C3B5C1F0A11";
const TOPIC_UUID: &str = "3B8F2E90-6C1D-4B7A-9E55-1D2C3B4A5F60";
const WAIT_MAX: Duration = Duration::from_secs(60);

#[test]
fn scepserver_says_what_it_can() {
    case("scepserver_says_what_it_can", |ground| {
        let scep = ScepServer::start(ground.path(), "secret")?;
        let answer =
            Call { method: "GET", path: "/scep?operation=GetCACaps", headers: &[], body: &[] }.send(scep.port())?;
        assert!(answer.text().contains("POSTPKIOperation"), "{}", answer.text());
        assert!(std::fs::read_to_string(scep.authority()).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
        Ok(())
    });
}

#[test]
fn a_device_certified_over_scep_is_known_to_nanomdm() {
    case("a_device_certified_over_scep_is_known_to_nanomdm", |ground| {
        let scep = ScepServer::start(ground.path(), "secret")?;
        let server = Nanomdm::start(ground.path(), &scep.authority(), Storage::InMemory, Surroundings::default())?;
        let device = enroll(ground, &server, scep.certify(ground.path(), UDID)?, server.port())?;
        assert!(device.report("Idle", None)?.body.is_empty());
        Ok(())
    });
}

#[test]
fn postgres_holds_the_tables_of_nanomdm() {
    case("postgres_holds_the_tables_of_nanomdm", |ground| {
        let tables = NanomdmTables::create(Arc::new(Postgres::start(ground.path())?), "nanomdm")?;
        let rows = tables.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' \
             ORDER BY 1",
        )?;
        let names: Vec<&str> = rows.iter().flatten().map(String::as_str).collect();
        let expected =
            "cert_auth_associations command_results commands devices enrollment_queue enrollments push_certs users";
        assert_eq!(names.join(" "), expected);
        assert_eq!(tables.enrolled()?, 0);
        Ok(())
    });
}

#[test]
fn nanomdm_on_postgres_and_its_webhook_tell_the_same_story() {
    case("nanomdm_on_postgres_and_its_webhook_tell_the_same_story", |ground| {
        let tables = Arc::new(NanomdmTables::create(Arc::new(Postgres::start(ground.path())?), "nanomdm")?);
        let recorder = Recorder::start()?;
        let authority = Authority::new(ground.path())?;
        let around = Surroundings {
            webhook_url: Some(recorder.url()),
            witness: Some(Arc::<NanomdmTables>::clone(&tables)),
            ..Surroundings::default()
        };
        let mut server = Nanomdm::start(ground.path(), authority.certificate(), Storage::Pgsql(tables.dsn()), around)?;
        let device = enroll(ground, &server, authority.certify(UDID)?, server.port())?;

        assert!(server.queue(&[UDID], &bare_command("ProfileList", COMMAND))?.is_empty());
        assert!(device.report("Idle", None)?.text().contains(COMMAND));
        assert_eq!(device.report("NotNow", Some(COMMAND))?.status, 200);

        // A crash between two messages: what it knew, it knows. The webhook is told in the background: let it be.
        assert!(wait_until(WAIT_MAX, || recorder.events().len() == 4), "{:?}", recorder.events());
        server.stop();
        server.start_again()?;
        assert!(device.report("Idle", None)?.text().contains(COMMAND));
        assert!(device.report("Acknowledged", Some(COMMAND))?.body.is_empty());
        assert!(device.report("Idle", None)?.body.is_empty());

        let witness = server.witness().unwrap();
        assert_eq!(witness.enrolled()?, 1);
        assert!(wait_until(WAIT_MAX, || recorder.events().len() == 7), "{:?}", recorder.events());
        assert_eq!(recorder.enrolled()?, 1);
        for who in [witness, &recorder] {
            let mut results = who.results()?;
            let mut statuses = results.remove(&(UDID.to_owned(), COMMAND.to_owned())).unwrap();
            // The webhook's events come in any order.
            statuses.sort();
            assert_eq!(statuses, ["Acknowledged", "NotNow"]);
            assert!(results.is_empty());
        }
        assert_eq!((witness.duplicates()?, recorder.duplicates()?), (None, Some(0)));
        Ok(())
    });
}

#[test]
fn nanomdm_in_files_and_in_memory_take_a_device() {
    case("nanomdm_in_files_and_in_memory_take_a_device", |ground| {
        let authority = Authority::new(ground.path())?;
        for (name, storage) in [("files", Storage::FileKv), ("memory", Storage::InMemory)] {
            let dir = ground.dir(name)?;
            let server = Nanomdm::start(&dir, authority.certificate(), storage, Surroundings::default())?;
            let device = enroll(ground, &server, authority.certify(UDID)?, server.port())?;
            assert!(device.report("Idle", None)?.body.is_empty());
        }
        Ok(())
    });
}

#[test]
fn nanohub_takes_a_device_and_tells_its_webhook() {
    case("nanohub_takes_a_device_and_tells_its_webhook", |ground| {
        let recorder = Arc::new(Recorder::start()?);
        let authority = Authority::new(ground.path())?;
        let around = Surroundings {
            webhook_url: Some(recorder.url()),
            witness: Some(Arc::<Recorder>::clone(&recorder)),
            ..Surroundings::default()
        };
        let server = NanoHub::start(ground.path(), authority.certificate(), around)?;
        let device = enroll(ground, &server, authority.certify(UDID)?, server.port())?;
        assert!(server.queue(&[UDID], &bare_command("ProfileList", COMMAND))?.is_empty());
        assert!(device.report("Idle", None)?.text().contains(COMMAND));
        assert!(device.report("Acknowledged", Some(COMMAND))?.body.is_empty());
        assert!(wait_until(WAIT_MAX, || recorder.results().is_ok_and(|results| results.len() == 1)));
        assert_eq!(server.witness().unwrap().enrolled()?, 1);
        Ok(())
    });
}

#[test]
fn no_push_of_a_test_leaves_the_machine() {
    case("no_push_of_a_test_leaves_the_machine", |ground| {
        let authority = Authority::new(ground.path())?;
        let server =
            Nanomdm::start(ground.path(), authority.certificate(), Storage::InMemory, Surroundings::default())?;
        enroll(ground, &server, authority.certify(UDID)?, server.port())?;
        let refusals = server.push(&[UDID])?;
        assert!(refusals[UDID].contains("proxyconnect tcp: dial tcp 127.0.0.1:1"), "{refusals:?}");
        Ok(())
    });
}

#[test]
fn the_api_wants_its_key() {
    case("the_api_wants_its_key", |ground| {
        let authority = Authority::new(ground.path())?;
        let server =
            Nanomdm::start(ground.path(), authority.certificate(), Storage::InMemory, Surroundings::default())?;
        let call = Call { method: "GET", path: "/v1/push/x", headers: &[("Authorization", API_KEY)], body: &[] };
        assert_eq!(call.send(server.port())?.status, 401);
        Ok(())
    });
}

/// Hand the server its push certificate and enroll one device.
fn enroll(ground: &Ground, server: &dyn Server, identity: Identity, port: u16) -> Result<HandDevice, Error> {
    let certificate = PushCertificate::new(ground.path(), TOPIC_UUID)?;
    server.upload_push_certificate(&certificate)?;
    let device = HandDevice::new(identity, UDID, certificate.topic(), port);
    device.enroll()?;
    Ok(device)
}
