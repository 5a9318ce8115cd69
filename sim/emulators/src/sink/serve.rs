//! One process of a sink.

use super::{Message, Order, Tally, command};
use bytes::Bytes;
use droves_facts::{Dur, Limits};
use droves_net::files::OpenFiles;
use droves_net::listen::{Listener, Peer, Settings, read_body};
use droves_net::pipe::{self, PipeError};
use droves_net::tls::{self, Alpn, AskClient, ServerTls, ServerTlsSettings, Trust};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::cell::Cell;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How often it tells what it has counted.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// A device's head has under 1 KB; hyper asks for 8 at least.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Serves as the process at the other end of the pipes says, until it closes them. Whether it could.
pub fn serve(mut from: impl Read + Send + 'static, to: &mut impl Write) -> Result<bool, PipeError> {
    pipe::write(to, &Message::Version(pipe::VERSION.to_owned()))?;
    let Some(Message::Order(number, order)) = pipe::read(&mut from)? else { return Ok(false) };
    let listener = match listener(&order) {
        Ok(listener) => listener,
        Err(why) => {
            pipe::write(to, &Message::Refused(why.to_string()))?;
            return Ok(false);
        }
    };
    let (stop, stopped) = watch::channel(false);
    thread::Builder::new().name("sink-orders".to_owned()).spawn(move || {
        // There is no further order: whatever comes, or the end, is the end.
        drop(pipe::read::<Message>(&mut from));
        stop.send_replace(true);
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(number, order, listener, stopped, to))?;
    Ok(true)
}

fn listener(order: &Order) -> Result<(Listener, u64), Box<dyn std::error::Error>> {
    let room = OpenFiles::raise()?.connections_max();
    let trust = Trust::only(tls::certificates_of_pem(order.clients.as_bytes())?).load()?;
    let tls = ServerTls::new(
        tls::certificates_of_pem(order.identity.as_bytes())?,
        &tls::key_of_pem(order.identity.as_bytes())?,
        &ServerTlsSettings { ask: AskClient::IssuedBy(trust), alpn: Alpn::Http1, ..ServerTlsSettings::default() },
    )?;
    let settings = Settings {
        shared: true,
        connections_max: usize::try_from(room).unwrap_or(usize::MAX),
        head_wait_max: Dur::secs(3_600),
        head_bytes_max: HEAD_BYTES_MAX,
        ..Settings::default()
    };
    Ok((Listener::bind(order.listen, Some(tls), settings)?, room))
}

async fn run(
    number: u32,
    order: Order,
    (listener, room): (Listener, u64),
    mut stopped: watch::Receiver<bool>,
    to: &mut impl Write,
) -> Result<(), PipeError> {
    let counters = listener.counters();
    let house = Rc::new(House { number, order, limits: Limits::default(), counts: Counts::default() });
    let tally = {
        let house = Rc::clone(&house);
        move || {
            let Counts { requests, broken, held, commands } = &house.counts;
            Tally::of(counters.counts(), requests.get(), broken.get(), held.get(), commands.get())
        }
    };
    pipe::write(to, &Message::Listens(room))?;
    let telling = async {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            if let Err(error) = pipe::write(to, &Message::Tally(tally())) {
                return error;
            }
        }
    };
    // An error would say that the thread of the orders is gone, which is the end too.
    let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
    let serving = listener.serve(stop, move |peer: Arc<Peer>| {
        let (house, asked) = (Rc::clone(&house), Rc::new(Cell::new(0)));
        service_fn(move |request| answer(Rc::clone(&house), peer.number, Rc::clone(&asked), request))
    });
    tokio::select! {
        () = serving => {}
        error = telling => return Err(error),
    }
    pipe::write(to, &Message::Tally(tally()))
}

struct House {
    number: u32,
    order: Order,
    limits: Limits,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    requests: Cell<u64>,
    broken: Cell<u64>,
    held: Cell<u64>,
    commands: Cell<u64>,
}

fn add(count: &Cell<u64>) -> u64 {
    count.replace(count.get() + 1)
}

/// An answer that is held; one whose connection goes meanwhile is held no more.
struct Held(Rc<House>);

impl Drop for Held {
    fn drop(&mut self) {
        let held = &self.0.counts.held;
        held.set(held.get().saturating_sub(1));
    }
}

async fn answer(
    house: Rc<House>,
    connection: u64,
    asked: Rc<Cell<u32>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let read = read_body(request.into_body(), house.limits.body_bytes_max, house.limits.request_wait_max).await;
    if read.is_err() {
        add(&house.counts.broken);
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    add(&house.counts.requests);
    if house.order.hold > Dur::ZERO {
        add(&house.counts.held);
        let held = Held(Rc::clone(&house));
        tokio::time::sleep(house.order.hold.std()).await;
        drop(held);
    }
    let number = asked.replace(asked.get().saturating_add(1));
    if number >= house.order.commands {
        return Ok(Response::new(Full::default()));
    }
    add(&house.counts.commands);
    // A name that no other command has.
    let uuid = format!("sink-{}-{connection}-{number}", house.number);
    Ok(Response::new(Full::new(Bytes::from(command(&uuid)))))
}
