//! The identity of a topic: the random UUID that Kafka gives to each topic it creates (KIP-516).
//!
//! A topic that is deleted and made again has its old name and another id, so the id is what tells
//! one log from the next. librdkafka does not: it reads on where it was when the new log is long
//! enough (a FIXME in its `rdkafka_topic.c`, as of 2.12). The Rust client has no call for the id,
//! so this one asks librdkafka's C interface (`rd_kafka_DescribeTopics`).

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

use super::{NONE, Owned, text};

/// The ids of `topics`, in librdkafka's base64, asked of the brokers now. One that does not exist, or
/// whose broker knows no ids (before Kafka 2.8), is left out.
///
/// # Errors
/// When no broker answers within `patience` or the answer is an error for all.
pub(in crate::source) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    patience: Duration,
) -> Result<BTreeMap<String, String>> {
    let names: Vec<CString> = topics
        .iter()
        .map(|topic| CString::new(*topic))
        .collect::<Result<_, _>>()
        .context("a topic's name holds a zero byte")?;
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let patience_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    let rk = client.native_ptr();
    // SAFETY: `rk` is valid while `client` is borrowed. `names` are `names.len()` pointers to
    // zero-terminated text that outlives the call, which copies it.
    let collection = Owned::new(
        unsafe { c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()) },
        c::rd_kafka_TopicCollection_destroy,
    )?;
    // SAFETY: as above for `rk`; both are destroyed before this function, and so the borrow, ends.
    let queue = Owned::new(
        unsafe { c::rd_kafka_queue_new(rk) },
        c::rd_kafka_queue_destroy,
    )?;
    let for_api = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let options = Owned::new(
        unsafe { c::rd_kafka_AdminOptions_new(rk, for_api) },
        c::rd_kafka_AdminOptions_destroy,
    )?;
    // SAFETY: `options` is valid; no text of an error is asked for. A time that is refused leaves
    // the default, and the poll below is bounded all the same.
    unsafe {
        c::rd_kafka_AdminOptions_set_request_timeout(
            options.object,
            patience_ms,
            std::ptr::null_mut(),
            0,
        );
    }
    // SAFETY: all four are valid; librdkafka copies what it needs, and holds a reference of its own
    // to the queue until it has answered.
    unsafe {
        c::rd_kafka_DescribeTopics(rk, collection.object, options.object, queue.object);
    }
    // SAFETY: the queue is valid, and the event is ours.
    let event = unsafe { c::rd_kafka_queue_poll(queue.object, patience_ms) };
    ensure!(
        !event.is_null(),
        "no answer within {} ms",
        patience.as_millis()
    );
    let event = Owned::new(event, c::rd_kafka_event_destroy)?;
    described(&event)
}

fn described(event: &Owned<c::rd_kafka_event_t>) -> Result<BTreeMap<String, String>> {
    // SAFETY: the event is valid, and what it holds stays so until the event is destroyed, after
    // this function. Text is zero-terminated and copied before that. `rd_kafka_Uuid_base64str`
    // keeps its text in the id, which the description owns.
    unsafe {
        let code = c::rd_kafka_event_error(event.object);
        if code != NONE {
            bail!("{}", RDKafkaErrorCode::from(code));
        }
        let result = c::rd_kafka_event_DescribeTopics_result(event.object);
        ensure!(!result.is_null(), "the answer is to another question");
        let mut count = 0;
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let mut ids = BTreeMap::new();
        for i in 0..count {
            let topic = *topics.add(i);
            let error = c::rd_kafka_TopicDescription_error(topic);
            if !error.is_null() && c::rd_kafka_error_code(error) != NONE {
                continue;
            }
            let id = c::rd_kafka_TopicDescription_topic_id(topic);
            let known = !id.is_null()
                && (c::rd_kafka_Uuid_most_significant_bits(id) != 0
                    || c::rd_kafka_Uuid_least_significant_bits(id) != 0);
            if known {
                let name = text(c::rd_kafka_TopicDescription_name(topic))?.to_owned();
                ids.insert(name, text(c::rd_kafka_Uuid_base64str(id))?.to_owned());
            }
        }
        Ok(ids)
    }
}
