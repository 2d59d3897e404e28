//! The accept loop, with limits that `axum::serve` 0.8 does not set: a deadline for headers and a
//! bound on connections.
//!
//! Accepting never waits: when every seat is taken, the connection that has waited longest without
//! complete headers gives up its own, and when all are at work the newcomer is turned away. So it
//! is when the process has no file descriptor left.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Connections that are open at once, where file descriptors suffice.
const SEATS: usize = 512;
/// How long accepting pauses when it fails, so that whoever was sent away is gone.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is said that connections cannot be accepted.
const SAID: Duration = Duration::from_secs(60);

/// What one client may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connections: usize,
    /// From the first moment of a connection, or from the last answer, to complete headers.
    pub headers: Duration,
    /// How long requests may go on once psiren stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: SEATS.min(half_of_the_descriptors()),
            headers: Duration::from_secs(5),
            drain: Duration::from_secs(2),
        }
    }
}

/// State, CSV and brokers need file descriptors, too.
fn half_of_the_descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let half = limit.current.map(|most| usize::try_from(most / 2));
    half.and_then(Result::ok).unwrap_or(SEATS).max(1)
}

/// Serves `router` until `shutdown`, then lets running requests finish.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    serve_within(listener, router, shutdown, Limits::default()).await;
}

/// As [`serve`], with limits of one's own.
pub async fn serve_within(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    limits: Limits,
) {
    let seats = Arc::new(Seats::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut said: Option<Instant> = None;
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                // Answers are small and whole; nothing is gained by holding them back.
                let _ = stream.set_nodelay(true);
                if let Some(seat) = seats.take() {
                    let router = router.clone();
                    connections.spawn(connection(stream, router, seat, limits, shutdown.clone()));
                }
            }
            Err(error) => {
                // Without file descriptors accept fails at once, again and again.
                seats.make_room();
                if said.is_none_or(|at| at.elapsed() > SAID) {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    said = Some(Instant::now());
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Whoever has not finished by then is cut off with the set.
    let _ = tokio::time::timeout(limits.drain, drained).await;
}

/// Serves one client that came another way than through a listener, until it or `shutdown` ends it.
pub async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    shutdown: CancellationToken,
) {
    let limits = Limits::default();
    if let Some(seat) = Arc::new(Seats::new(1)).take() {
        connection(stream, router, seat, limits, shutdown).await;
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    seat: Seat,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let leave = seat.leave.clone();
    let service = TowerToHyperService::new(AtWork {
        inner: router,
        connection: Connection {
            stopping: shutdown.clone(),
            work: Arc::clone(&seat.work),
        },
    });
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Errors are the client's: it went away, sent no HTTP or was too slow.
    let closed = tokio::select! {
        _ = served.as_mut() => true,
        () = leave.cancelled() => true,
        () = shutdown.cancelled() => false,
    };
    if !closed {
        served.as_mut().graceful_shutdown();
        let _ = served.await;
    }
}

/// What a handler may know of the connection it answers: an extension of its requests.
#[derive(Clone)]
pub(super) struct Connection {
    /// psiren stops; an answer without an end has to end now.
    pub(super) stopping: CancellationToken,
    work: Arc<AtomicUsize>,
}

impl Connection {
    /// Keeps the connection's seat until the guard is dropped, for answers that outlive the call.
    pub(super) fn occupy(&self) -> Occupied {
        self.work.fetch_add(1, Ordering::Relaxed);
        Occupied(Arc::clone(&self.work))
    }
}

/// A piece of work that is not done yet.
pub(super) struct Occupied(Arc<AtomicUsize>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How to send each connection away, and how much it is at; in order of arrival.
type Taken = BTreeMap<u64, (CancellationToken, Arc<AtomicUsize>)>;

/// Who is connected.
struct Seats {
    most: usize,
    next: AtomicU64,
    taken: Mutex<Taken>,
}

/// One connection's place; given back when dropped.
struct Seat {
    number: u64,
    leave: CancellationToken,
    /// Answers that are being made; none while the connection waits for a request.
    work: Arc<AtomicUsize>,
    seats: Arc<Seats>,
}

impl Seats {
    fn new(most: usize) -> Self {
        Self {
            most,
            next: AtomicU64::new(0),
            taken: Mutex::default(),
        }
    }

    /// `None` when every seat is taken by a request at work.
    fn take(self: &Arc<Self>) -> Option<Seat> {
        let mut taken = self.lock();
        if taken.len() >= self.most && !send_the_oldest_away(&mut taken) {
            return None;
        }
        let seat = Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            leave: CancellationToken::new(),
            work: Arc::default(),
            seats: Arc::clone(self),
        };
        let handle = (seat.leave.clone(), Arc::clone(&seat.work));
        taken.insert(seat.number, handle);
        Some(seat)
    }

    fn make_room(&self) {
        send_the_oldest_away(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// False when every connection is at work.
fn send_the_oldest_away(taken: &mut Taken) -> bool {
    let oldest = taken
        .iter()
        .find(|(_, (_, work))| work.load(Ordering::Relaxed) == 0);
    let oldest = oldest.map(|(number, _)| *number);
    match oldest.and_then(|number| taken.remove(&number)) {
        Some((leave, _)) => {
            leave.cancel();
            true
        }
        None => false,
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.number);
    }
}

/// A service that says when it is answering, and tells handlers whom.
#[derive(Clone)]
struct AtWork<S> {
    inner: S,
    connection: Connection,
}

impl<S, B> Service<Request<B>> for AtWork<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let occupied = self.connection.occupy();
        request.extensions_mut().insert(self.connection.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(occupied);
            answer
        })
    }
}
