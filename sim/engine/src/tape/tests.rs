#![expect(clippy::unwrap_used, reason = "tests")]
use super::replay::play;
use super::write::{page_of, write_page};
use super::*;
use bytes::Bytes;
use droves_device::Device;
use droves_device::tape::{Heard, Met, Said, Step};
use droves_device::{
    Clocks, Ctx, Enrolls, Event, Habits, Machine, Note, Order, Out, ProfileSource, Reasons, Response, Retry, Slept,
    Wake,
};
use droves_facts::{DeviceIx, Dice, Dur, LaneIx, Limits, Mono, Platform};
use droves_wire::apple::push::Tokens;
use http::HeaderMap;
use proptest::prelude::*;
use std::sync::OnceLock;

const SHARD: usize = 3;

fn header() -> Header {
    let character = Character {
        platform: Platform::Ios,
        model: "iPhone16,1".into(),
        os_version: "18.1".into(),
        enrolls: Enrolls::Profile(ProfileSource::Url("http://127.0.0.1/enroll".into())),
        allow_http: true,
        retry: Retry::AsPlatform,
        wake: (Dur::ms(500), 0.5),
        pace: 1.0,
        locked: (0.3, Dur::secs(10)),
        habits: Habits::default(),
        cloned: 0.0,
        users: 0,
        reenrolls_after_wipe: None,
    };
    Header {
        droves: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: "a test".to_owned(),
        plan_hash: "00".to_owned(),
        began: Wall::VIRTUAL_START,
        seed: 7,
        secret: [7; 32],
        characters: vec![character],
        shards: vec![SHARD],
    }
}

/// A device asks for its profile, and gets something else, time and again.
fn life(lane: u32, steps: u64) -> Vec<Record> {
    let (header, limits) = (header(), Limits::default());
    let (lane, device) = (LaneIx(lane), DeviceIx(lane));
    let (mut machine, slept) = (Device::open(Slept::default()), Slept::<Device>::default());
    let mut records = vec![
        Record::Met(Box::new(Met {
            lane,
            device,
            channel: 0,
            character: 0,
            record: Device::record_to_bytes(&slept.record),
            shared: Device::shared_to_bytes(&slept.shared),
            own: None,
            identity: None,
        })),
        Record::Opened(lane),
    ];
    for step in 0..steps {
        let now = Mono::ZERO + Dur::secs(step);
        let clocks = Clocks { now, wall: Wall::VIRTUAL_START + Dur(now.0) };
        let notes = [Note { order: Order::Enroll, cause: now }];
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, "text/plain".parse().unwrap())]);
        let event = if step % 2 == 0 {
            Event::Wake(Wake { reasons: Reasons::ORDER | Reasons::TIME, due: now, notes: &notes })
        } else {
            {
                let body = Bytes::from(format!("no {step}"));
                Event::Response(Response { status: 200, headers: &headers, body, digested: 0 })
            }
        };
        let heard = Heard::of(&event);
        let mut out = Out::default();
        let action = machine.on(
            event,
            &mut Ctx {
                clocks,
                dice: Dice::new(header.seed),
                limits: &limits,
                lane,
                device,
                channel: 0,
                character: &header.characters[0],
                identity: None,
                cause: now,
                tokens: &Tokens::new(header.secret),
                out: &mut out,
            },
        );
        let said = Said::of(&action, &out, &machine);
        records.push(Record::Step(Box::new(Step { lane, clocks, cause: now, heard, said })));
    }
    records
}

/// A tape of pages with these lines each.
fn tape(header: &Header, pages: &[Vec<Line>]) -> Vec<u8> {
    let mut bytes = FIRST_LINE.to_vec();
    write_page(&mut bytes, &page_of(header)).unwrap();
    for lines in pages {
        let lines: Vec<u8> = lines.iter().flat_map(page_of).collect();
        write_page(&mut bytes, &[page_of(&SHARD), lines].concat()).unwrap();
    }
    bytes
}

fn lines(records: Vec<Record>) -> Vec<Line> {
    records.into_iter().map(Line::Record).collect()
}

/// Two devices with four steps each, a page for each, and the end.
fn small() -> &'static [u8] {
    static TAPE: OnceLock<Vec<u8>> = OnceLock::new();
    TAPE.get_or_init(|| {
        let end = vec![Line::End(Taped { steps: 8, lost: 0 })];
        tape(&header(), &[lines(life(0, 4)), lines(life(1, 4)), end])
    })
}

fn replayed(bytes: &[u8]) -> Result<Replayed, ReplayError> {
    play(bytes, bytes.len() as u64, &Limits::default(), |_| ())
}

#[test]
fn what_a_shard_hands_in_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.tape");
    std::fs::write(&path, "of an earlier run, and readable by all").unwrap();
    let recorder = Recorder::start(&path, &header()).unwrap();
    let mut taper = recorder.taper(SHARD);
    for lane in 0..50 {
        life(lane, 40).into_iter().for_each(|record| taper.put(record));
        taper.hand_in();
    }
    assert_eq!(taper.finish(), Taped { steps: 2_000, lost: 0 });
    recorder.finish();
    let mut told = Vec::new();
    let Replayed { steps, lanes, missing, scenario, .. } =
        replay(&path, &Limits::default(), |progress| told.push(progress)).unwrap();
    assert_eq!((steps, lanes, scenario.as_str()), (2_000, 50, "a test"));
    assert!(missing.is_empty(), "{missing:?}");
    let last = told.last().unwrap();
    assert!(told.len() > 2 && last.read == last.of && last.steps == 2_000, "{told:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn an_event_that_was_changed_is_named_with_its_lane_and_step() {
    let mut records = life(9, 6);
    let Record::Step(step) = &mut records[2 + 3] else { panic!() };
    let Heard::Response { status, .. } = &mut step.heard else { panic!("{step:?}") };
    *status = 503;
    let error = replayed(&tape(&header(), &[lines(life(8, 6)), lines(records)])).unwrap_err();
    let said = error.to_string();
    for words in ["after 9 steps that are the same", "lane 9 (device 9, channel 0), step 4", "status 503", "differs: "]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_tape_that_was_cut_off_is_played_up_to_there() {
    let whole = replayed(small()).unwrap();
    assert_eq!((whole.steps, whole.missing), (8, Vec::new()));
    let first_page = FIRST_LINE.len() + 12 + page_of(&header()).len();
    let mut steps = Vec::new();
    for cut in 0..small().len() {
        match replayed(&small()[..cut]) {
            Ok(replayed) => {
                assert!(cut >= first_page && !replayed.missing.is_empty(), "{cut}: {replayed:?}");
                steps.push(replayed.steps);
            }
            Err(error) => assert!(cut < first_page && matches!(error, ReplayError::NoTape), "{cut}: {error}"),
        }
    }
    steps.dedup();
    assert_eq!(steps, [0, 4, 8]);
}

#[test]
fn a_bit_that_flipped_is_never_taken_for_what_was_written() {
    for at in 0..small().len() {
        let mut bytes = small().to_vec();
        bytes[at] ^= 1 << (at % 8);
        match replayed(&bytes) {
            // A length that is too long now ends the file early.
            Ok(replayed) => assert!(!replayed.missing.is_empty(), "{at}: {replayed:?}"),
            Err(ReplayError::Problem { problem, .. }) => panic!("{at}: {problem}"),
            Err(_) => {}
        }
    }
    let mut of_another_format = small().to_vec();
    of_another_format[FIRST_LINE.len() - 2] = b'9';
    assert!(matches!(replayed(&of_another_format), Err(ReplayError::OtherFormat)));
    assert!(matches!(replayed(b"PK\x03\x04 and so on, and so on"), Err(ReplayError::NoTape)));
}

#[test]
fn what_is_not_on_a_tape_is_said() {
    let lost = replayed(&tape(&header(), &[lines(life(0, 4)), vec![Line::End(Taped { steps: 4, lost: 30 })]])).unwrap();
    assert_eq!(lost.missing, ["the disk could not keep up: 30 steps are not on it"]);
    let open = replayed(&tape(&header(), &[lines(life(0, 4))])).unwrap();
    assert_eq!(open.missing, ["shard 3 did not come to its end"]);
    let fewer = replayed(&tape(&header(), &[lines(life(0, 4)), vec![Line::End(Taped { steps: 5, lost: 0 })]]));
    assert!(fewer.unwrap_err().to_string().contains("5 steps were written, 4 are there"));
}

/// A disk that does not keep up holds nobody up: the tape ends, and says how much is not on it.
#[test]
fn a_shard_does_not_wait_for_the_disk() {
    let (way, pages) = std::sync::mpsc::sync_channel(1);
    let mut taper = Taper::of(SHARD, way);
    let mut records = life(0, 40);
    for record in &mut records {
        if let Record::Step(step) = record
            && let Heard::Response { body, .. } = &mut step.heard
        {
            *body = vec![b' '; 1 << 20].into();
        }
    }
    for record in records {
        taper.put(record);
        taper.hand_in();
    }
    // Of twenty answers of a MB, the first is with the writer, fifteen fit into the page.
    let read = |page: Vec<u8>| page.len();
    assert!(read(pages.try_recv().unwrap()) < 2 << 20);
    let taped = taper.finish();
    let last = read(pages.try_recv().unwrap());
    assert!((15 << 20..=PAGE_BYTES_MAX).contains(&last), "{last}");
    assert!(taped.steps > 30 && taped.lost > 5, "{taped:?}");
    assert_eq!(taped.steps + taped.lost, 40);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Pages whose sums are right, and whose bytes are not: nothing panics.
    #[test]
    fn whatever_is_on_a_tape_nothing_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(), cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let records: Vec<u8> = lines(life(0, 6)).iter().flat_map(page_of).collect();
        let (mut first, mut second) = (page_of(&header()), [page_of(&SHARD), records].concat());
        let page = if in_header { &mut first } else { &mut second };
        for (at, byte) in changes {
            let at = at.index(page.len());
            page[at] = byte;
        }
        if let Some(cut) = cut {
            page.truncate(cut.index(page.len()));
        }
        let mut bytes = FIRST_LINE.to_vec();
        write_page(&mut bytes, &first).unwrap();
        write_page(&mut bytes, &second).unwrap();
        drop(replayed(&bytes));
    }

    /// Bytes that are no tape at all behind the first line.
    #[test]
    fn whatever_follows_the_first_line_nothing_panics(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(replayed(&[FIRST_LINE, &rest].concat()));
    }
}
