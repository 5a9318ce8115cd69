//! `droves plan`: what a scenario will offer, before a server is touched.

use crate::cli::{PlanArgs, dur};
use crate::{calibrate, check, say, stop};
use anyhow::Context;
use droves_engine::forecast::{Costs, Foresee, ForeseeError, Foreseen, Need, Progress, foresee};
use droves_facts::{Dur, Fact, Limits, Mono};
use droves_measure::Calibrated;
use droves_scenario::Given;
use droves_shard::forecast::{Model, Network, Server, Service};
use droves_views::Outlook;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const INTERRUPTED: u8 = 105;
/// How often somebody who waits is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn plan(args: &PlanArgs) -> anyhow::Result<u8> {
    let given = Given { calls_nobody: true, ..args.scenario.given() };
    let (loaded, _) = match check::load_given(&args.scenario, &given) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let plan = Arc::new(loaded.plan);
    let costs = costs(args)?;
    let (_stop, stopped) = stop::on_signal()?;
    let mut facts = args.facts.as_deref().map(Facts::open).transpose()?;
    let mut teller = Teller::new();
    let what = Foresee { plan: Arc::clone(&plan), limits: Limits::default(), model: model(args) };
    let foreseen = foresee(
        what,
        |fact| facts.iter_mut().for_each(|facts| facts.write(fact)),
        |progress| teller.tell(progress),
        || *stopped.borrow(),
    );
    teller.clear();
    let foreseen = match foreseen {
        Ok(foreseen) => foreseen,
        Err(error @ (ForeseeError::NoAdmin { .. } | ForeseeError::Profile(_))) => {
            say(&format!("error: {error}"));
            return Ok(check::INVALID);
        }
        Err(error) => return Err(error.into()),
    };
    let is_on_stdout = args.facts.as_deref() == Some(Path::new("-"));
    if let Some(facts) = facts {
        facts.finish()?;
    }
    let need = Need::of(foreseen.load.seconds(), costs);
    let outlook = Outlook::of(&plan, &foreseen, need, in_words(args));
    if let Some(out) = &args.out {
        leave(out, &outlook).with_context(|| format!("results {}", out.display()))?;
    }
    if !is_on_stdout {
        let mut stdout = io::stdout().lock();
        if args.json {
            writeln!(stdout, "{}", outlook.json())?;
        } else {
            write!(stdout, "{}", outlook.text())?;
        }
    }
    teller.took(&foreseen);
    Ok(if foreseen.interrupted { INTERRUPTED } else { 0 })
}

/// What work costs: as this machine was calibrated, else as it says in the docs.
fn costs(args: &PlanArgs) -> anyhow::Result<Costs> {
    let mut costs = match calibrate::known(args.calibration.as_deref())? {
        Calibrated::Yes(calibration) => Costs::calibrated(&calibration),
        Calibrated::No(why) => {
            let costs = Costs::default_of(droves_engine::calibrate::here().cores);
            Costs { source: format!("{}: {why}", costs.source), ..costs }
        }
    };
    if let Some(cores) = args.cores {
        costs.cores = cores;
    }
    Ok(costs)
}

fn model(args: &PlanArgs) -> Model {
    let outage = args.outage.map(|(from, length)| Mono(from.0)..Mono(from.0) + length);
    Model {
        server: Server {
            service: args.service,
            workers: args.workers,
            queue: args.queue,
            failures: args.failures,
            outage,
        },
        network: Network {
            round_trip: dur(args.round_trip),
            bytes_per_s: args.bandwidth,
            loss: args.loss,
            push: dur(args.push_delay),
        },
    }
}

/// The other side, for the head of the output.
fn in_words(args: &PlanArgs) -> String {
    let service = match args.service {
        Service::Fixed(takes) => format!("{takes} a request"),
        Service::Exponential(mean) => format!("about {mean} a request (exponential)"),
    };
    let workers = args.workers.map_or_else(|| "as many workers as it takes".to_owned(), |n| format!("{n} workers"));
    let queue = args.queue.map_or_else(String::new, |n| format!(", room for {n} that wait"));
    let share =
        |what: &str, share: f64| if share > 0.0 { format!(", {:.2} % {what}", share * 100.0) } else { String::new() };
    let outage = args.outage.map_or_else(String::new, |(from, length)| format!(", away for {length} after {from}"));
    let bandwidth = args.bandwidth.map_or_else(String::new, |rate| format!(", {rate} bytes/s"));
    format!(
        "a server with {workers}, {service}{queue}{}{outage}; round trip {}{bandwidth}{}, a push arrives after {}",
        share("of the requests fail", args.failures),
        dur(args.round_trip),
        share("of the connects are lost", args.loss),
        dur(args.push_delay),
    )
}

fn leave(out: &Path, outlook: &Outlook<'_>) -> io::Result<()> {
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("plan.txt"), outlook.text())?;
    std::fs::write(out.join("plan.json"), outlook.json().to_string())
}

/// The stream of facts: one JSON object a line.
struct Facts {
    to: BufWriter<Box<dyn Write>>,
    /// What went wrong first; nothing is written after it.
    error: Option<io::Error>,
}

impl Facts {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let to: Box<dyn Write> = if path == Path::new("-") {
            Box::new(io::stdout().lock())
        } else {
            Box::new(File::create(path).with_context(|| format!("facts {}", path.display()))?)
        };
        Ok(Facts { to: BufWriter::with_capacity(1 << 16, to), error: None })
    }

    fn write(&mut self, fact: &Fact) {
        if self.error.is_none() {
            let line = serde_json::to_writer(&mut self.to, fact).map_err(io::Error::from);
            self.error = line.and_then(|()| self.to.write_all(b"\n")).err();
        }
    }

    fn finish(mut self) -> io::Result<()> {
        match self.error {
            Some(error) => Err(error),
            None => self.to.flush(),
        }
    }
}

/// Tells on stderr how far it is, and at the end what it took.
struct Teller {
    began: Instant,
    next: Instant,
    is_terminal: bool,
    cpu_before: Dur,
}

impl Teller {
    fn new() -> Self {
        let now = Instant::now();
        let is_terminal = io::stderr().is_terminal();
        Teller { began: now, next: now + PROGRESS_EVERY, is_terminal, cpu_before: droves_net::cpu::of_process() }
    }

    fn tell(&mut self, progress: Progress) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + if self.is_terminal { PROGRESS_EVERY } else { 10 * PROGRESS_EVERY };
        let Progress { now, length_max, sessions } = progress;
        let share = now.0 as f64 / length_max.0.max(1) as f64 * 100.0;
        let line = format!("{} of at most {length_max} ({share:.0} %), {sessions} sessions", Dur(now.0));
        if self.is_terminal {
            write_stderr(&format!("\r{line}\x1b[K"));
        } else {
            say(&line);
        }
    }

    fn clear(&self) {
        if self.is_terminal {
            write_stderr("\r\x1b[K");
        }
    }

    /// The last line.
    fn took(&self, foreseen: &Foreseen) {
        let cpu = droves_net::cpu::of_process() - self.cpu_before;
        let sessions = foreseen.folds.counts.sessions_started;
        let each = cpu.as_secs_f64() * 1e6 / sessions.max(1) as f64;
        let took = self.began.elapsed().as_secs_f64();
        say(&format!("foreseen in {took:.1} s, {:.1} s of one core: {each:.1} us a session", cpu.as_secs_f64()));
    }
}

fn write_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    // Nobody may be there to read it.
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}
