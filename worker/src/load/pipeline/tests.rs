//! What must hold of a reading before any database is involved.

use std::sync::atomic::{AtomicBool, Ordering};

use outbound_core::row::CharacterSet;

use super::*;

fn input<V>(source: source::ByteSource<V>) -> Input<V> {
    Input {
        source,
        character_set: CharacterSet::Utf8,
        delimiter: b',',
    }
}

fn text(text: &'static str) -> Input<()> {
    input(Box::new(move |push| push(text.as_bytes())))
}

#[tokio::test]
async fn the_header_is_the_first_record() {
    let reading = Reading::open(text("\u{FEFF}\n\"client id\",phone\n1,2\n"))
        .await
        .unwrap();
    assert_eq!(reading.header(), ["client id", "phone"]);
}

#[tokio::test]
async fn a_file_without_a_record_is_empty() {
    for content in ["", "\u{FEFF}", "\r\n \n"] {
        let failure = Reading::open(text(content)).await.err().unwrap();
        assert_eq!(failure.reason, Reason::FileEmpty, "{content:?}");
    }
}

#[tokio::test]
async fn a_header_with_an_open_quote_cannot_be_read() {
    let failure = Reading::open(text("a,\"b\n1,2\n")).await.err().unwrap();
    assert_eq!(failure.reason, Reason::Format);
    assert_eq!(failure.detail.as_deref(), Some("unclosed_quote"));
}

#[tokio::test]
async fn the_failure_of_the_source_is_told_whatever_it_had_pushed() {
    for pushed in ["", "a,b\n1,2\n"] {
        let source = input::<()>(Box::new(move |push| {
            push(pushed.as_bytes())?;
            Err(Failure::new(Reason::PgpIntegrity, "changed"))
        }));
        let failure = Reading::open(source).await.err().unwrap();
        assert_eq!(failure.reason, Reason::PgpIntegrity);
    }
}

#[tokio::test]
async fn a_reading_that_is_dropped_stops_its_source() {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let endless = input::<()>(Box::new(|push| {
        push(b"a,b\n")?;
        loop {
            if let Err(failure) = push(&b"1,2\n".repeat(100_000)) {
                STOPPED.store(true, Ordering::SeqCst);
                return Err(failure);
            }
        }
    }));
    let reading = Reading::open(endless).await.unwrap();
    assert_eq!(reading.header(), ["a", "b"]);
    drop(reading);
    while !STOPPED.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
