//! The accept loop, with limits that `axum::serve` 0.8 does not set: a deadline for headers and a
//! bound on connections.
//!
//! Accepting never waits: when every seat is taken, the connection that has waited longest without
//! complete headers gives up its own, and when all are at work the newcomer is turned away.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;

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
            connections: 512,
            headers: Duration::from_secs(5),
            drain: Duration::from_secs(2),
        }
    }
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
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
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
        waiting: Arc::clone(&seat.waiting),
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

/// Who is connected, in order of arrival.
struct Seats {
    most: usize,
    next: AtomicU64,
    taken: Mutex<BTreeMap<u64, (CancellationToken, Arc<AtomicBool>)>>,
}

/// One connection's place; given back when dropped.
struct Seat {
    number: u64,
    leave: CancellationToken,
    /// No request is being answered.
    waiting: Arc<AtomicBool>,
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
        if taken.len() >= self.most {
            let idle = |(_, (_, waiting)): &(&u64, &(CancellationToken, Arc<AtomicBool>))| {
                waiting.load(Ordering::Relaxed)
            };
            let oldest = *taken.iter().find(idle)?.0;
            if let Some((leave, _)) = taken.remove(&oldest) {
                leave.cancel();
            }
        }
        let seat = Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            leave: CancellationToken::new(),
            waiting: Arc::new(AtomicBool::new(true)),
            seats: Arc::clone(self),
        };
        let handle = (seat.leave.clone(), Arc::clone(&seat.waiting));
        taken.insert(seat.number, handle);
        Some(seat)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (CancellationToken, Arc<AtomicBool>)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.number);
    }
}

/// A service that says when it is answering.
#[derive(Clone)]
struct AtWork<S> {
    inner: S,
    waiting: Arc<AtomicBool>,
}

impl<S, R> Service<R> for AtWork<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.waiting.store(false, Ordering::Relaxed);
        let waiting = Arc::clone(&self.waiting);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            waiting.store(true, Ordering::Relaxed);
            answer
        })
    }
}
