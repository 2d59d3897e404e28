//! A webhook on loopback that answers as it is told and remembers what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// One answer of the webhook.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// 429 with `Retry-After`, in seconds.
    Later(u32),
    /// Closes the connection without a word.
    HangUp,
    /// Takes this and every later connection and never answers.
    Silence,
    /// 200, after a while: the message is delivered before its sender knows.
    After(Duration),
}

/// Answers in this order, then 200 for ever. It ends with the test process.
pub(crate) struct Webhook {
    pub(crate) url: String,
    delivered: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    pub(crate) fn start<A>(answers: A) -> Self
    where
        A: IntoIterator<Item = Answer, IntoIter: Send + 'static>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&delivered);
        let mut answers = answers.into_iter();
        thread::spawn(move || {
            let mut silenced = Vec::new();
            for connection in listener.incoming().flatten() {
                if !silenced.is_empty() {
                    silenced.push(connection);
                    continue;
                }
                let answer = answers.next().unwrap_or(Answer::Status(200));
                if matches!(answer, Answer::Silence) {
                    silenced.push(connection);
                    continue;
                }
                // A client that goes away in the middle is its own affair.
                let _ = serve(connection, &answer, &taken);
            }
        });
        Self { url, delivered }
    }

    /// The messages that were answered with 200, or would have been, in order.
    pub(crate) fn delivered(&self) -> Vec<Value> {
        self.delivered.lock().expect("no panic before").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.delivered.lock().expect("no panic before").len()
    }
}

fn serve(
    connection: TcpStream,
    answer: &Answer,
    delivered: &Mutex<Vec<Value>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, extra) = match answer {
        Answer::Status(status) => (*status, String::new()),
        Answer::Later(seconds) => (429, format!("Retry-After: {seconds}\r\n")),
        Answer::HangUp | Answer::Silence => return Ok(()),
        Answer::After(_) => (200, String::new()),
    };
    if status == 200 {
        let message = serde_json::from_slice(&body).expect("a message is JSON");
        delivered.lock().expect("no panic before").push(message);
    }
    if let Answer::After(pause) = answer {
        thread::sleep(*pause);
    }
    let mut connection = reader.into_inner();
    write!(
        connection,
        "HTTP/1.1 {status} said\r\n{extra}Content-Length: 2\r\nConnection: close\r\n\r\nok"
    )
}
