//! Rows whose identifier may have been seen before, set aside until that can be told.
//!
//! The first-seen filter is sure of "new" only. The other rows wait here, in file order, in the
//! private spool. When every sure row is in the load table, a suspect is a duplicate if its
//! identifier is in that table or an earlier suspect has it; otherwise it is loaded after all. A
//! suspect's identifier cannot be in a sure row further down the file, because from the suspect
//! on the filter answers "maybe" for it. So of equal identifiers the first row of the file always
//! survives (list-automation §4.8 V-2).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};

use outbound_core::fields::Fields;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use super::copy::{Piece, QUEUE, copy_in};
use super::encode::CopyBuffer;
use crate::database;
use crate::decode::{Record, RecordBatch};
use crate::error::Failure;
use crate::spool::{Spool, SpoolFile};

/// Records set aside, in file order.
pub struct Suspects {
    spool: Spool,
    file_id: i64,
    out: Option<BufWriter<SpoolFile>>,
    count: u64,
}

impl Suspects {
    /// No suspects of file `file_id` yet.
    pub fn new(file_id: i64, spool: &Spool) -> Self {
        Self {
            spool: spool.clone(),
            file_id,
            out: None,
            count: 0,
        }
    }

    /// Number of records set aside.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// True when nothing was set aside.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sets a record aside.
    ///
    /// # Errors
    ///
    /// `storage` when the spool cannot take it.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        let out = match &mut self.out {
            Some(out) => out,
            None => {
                let file = self.spool.create(&format!("suspects-{}", self.file_id))?;
                self.out.insert(BufWriter::with_capacity(256 << 10, file))
            }
        };
        self.count += 1;
        write_record(out, record)
            .map_err(|error| Failure::storage("cannot set a row aside", &error))
    }

    /// Ends the gathering; the records can be read as often as needed.
    ///
    /// # Errors
    ///
    /// `storage` when the spool cannot take what is left.
    pub fn seal(self) -> Result<SuspectFile, Failure> {
        let file = match self.out {
            None => None,
            Some(out) => Some(
                out.into_inner()
                    .map_err(|error| Failure::storage("cannot set a row aside", error.error()))?,
            ),
        };
        Ok(SuspectFile {
            file,
            count: self.count,
        })
    }
}

/// All suspects of a file.
#[derive(Debug)]
pub struct SuspectFile {
    file: Option<SpoolFile>,
    count: u64,
}

impl SuspectFile {
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads the suspects from the first on.
    ///
    /// # Errors
    ///
    /// `storage` when the spool file cannot be opened.
    pub fn reader(&self) -> Result<SuspectReader, Failure> {
        let file = self.file.as_ref().map(SpoolFile::reader).transpose()?;
        Ok(SuspectReader {
            input: file.map(|file| BufReader::with_capacity(256 << 10, file)),
            left: self.count,
        })
    }
}

/// Reads suspects back in file order.
pub struct SuspectReader {
    input: Option<BufReader<File>>,
    left: u64,
}

impl SuspectReader {
    /// Puts the next record into `batch`, alone; false at the end.
    ///
    /// # Errors
    ///
    /// `storage` when the spool file cannot be read.
    pub fn next(&mut self, batch: &mut RecordBatch) -> Result<bool, Failure> {
        batch.clear();
        let Some(input) = self.input.as_mut().filter(|_| self.left > 0) else {
            return Ok(false);
        };
        self.left -= 1;
        read_record(input, batch)
            .map_err(|error| Failure::storage("cannot read a row set aside", &error))?;
        Ok(true)
    }
}

fn write_record(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let fields = record.fields;
    for number in [
        record.line,
        u64::from(record.undecodable),
        fields.text.len() as u64,
        fields.ends.len() as u64,
        record.raw.len() as u64,
    ] {
        out.write_all(&number.to_le_bytes())?;
    }
    for &end in fields.ends {
        out.write_all(&(end as u64).to_le_bytes())?;
    }
    out.write_all(fields.text.as_bytes())?;
    out.write_all(record.raw.as_bytes())
}

fn read_record(input: &mut impl Read, batch: &mut RecordBatch) -> io::Result<()> {
    let mut number = || {
        let mut bytes = [0; 8];
        input.read_exact(&mut bytes)?;
        Ok::<u64, io::Error>(u64::from_le_bytes(bytes))
    };
    let (line, undecodable) = (number()?, number()?);
    let (text_len, field_count, raw_len) = (number()?, number()?, number()?);
    let ends = (0..field_count)
        .map(|_| number().map(|end| end as usize))
        .collect::<io::Result<Vec<_>>>()?;
    let mut string = |length: u64| {
        let mut bytes = vec![0; length as usize];
        input.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(io::Error::other)
    };
    let (text, raw) = (string(text_len)?, string(raw_len)?);
    batch.push(&Record {
        line,
        raw: &raw,
        fields: Fields {
            text: &text,
            ends: &ends,
        },
        undecodable: u32::try_from(undecodable).unwrap_or(u32::MAX),
        refused: None,
    });
    Ok(())
}

/// Which suspects are to be loaded, as ascending places among the suspects, counted from 0.
///
/// `identifiers` gives the identifier of each suspect in order; `table` is the contact table of
/// the load (a name of ours, qualified), which `client`'s transaction has filled with the sure
/// rows.
///
/// # Errors
///
/// `database`, or what reading the suspects says.
pub async fn cleared(
    client: &Client,
    table: &str,
    identifiers: impl FnOnce(&mut dyn FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure>
    + Send
    + 'static,
) -> Result<Vec<u64>, Failure> {
    let failed = |error| database::failure("cannot settle equal identifiers", &error);
    client
        .batch_execute(
            "CREATE TEMPORARY TABLE outbound_suspect (place bigint, sys_id text) ON COMMIT DROP",
        )
        .await
        .map_err(failed)?;
    let (pieces, queue) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut copy = CopyBuffer::new();
        let mut place = 0;
        let gone = || Failure::internal("nobody takes the suspects");
        let all = identifiers(&mut |identifier| {
            copy.row(2);
            copy.int8(place);
            copy.text(identifier);
            place += 1;
            match copy.take_full() {
                Some(full) => pieces.blocking_send(Piece::Data(full)).map_err(|_| gone()),
                None => Ok(()),
            }
        });
        let last = match all {
            Ok(()) => pieces
                .blocking_send(Piece::Data(copy.finish()))
                .map_or(Piece::Failed(gone()), |()| Piece::End),
            Err(failure) => Piece::Failed(failure),
        };
        // When the queue is gone, so is everyone who could miss this piece.
        let _gone = pieces.blocking_send(last);
    });
    copy_in(
        client,
        "COPY pg_temp.outbound_suspect (place, sys_id) FROM STDIN (FORMAT binary)",
        queue,
    )
    .await?
    .ok_or_else(|| Failure::internal("the suspects broke off"))?;
    let rows = client
        .query(
            &format!(
                "SELECT min(s.place) AS place FROM pg_temp.outbound_suspect AS s \
                 WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE t.sys_id = s.sys_id) \
                 GROUP BY s.sys_id ORDER BY place"
            ),
            &[],
        )
        .await
        .map_err(failed)?;
    client
        .batch_execute("DROP TABLE pg_temp.outbound_suspect")
        .await
        .map_err(failed)?;
    rows.iter()
        .map(|row| {
            let place: i64 = row.try_get(0).map_err(failed)?;
            Ok(place.cast_unsigned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspects_come_back_as_they_went_in_as_often_as_asked() {
        let root = tempfile::tempdir().unwrap();
        let mut suspects = Suspects::new(7, &Spool::open(&root.path().join("spool")).unwrap());
        let record = |line| Record {
            line,
            raw: "\"é\",b",
            fields: Fields {
                text: "éb",
                ends: &[2, 3],
            },
            undecodable: 3,
            refused: None,
        };
        for line in 2..500 {
            suspects.add(&record(line)).unwrap();
        }
        assert_eq!(suspects.len(), 498);
        let sealed = suspects.seal().unwrap();
        for _ in 0..2 {
            let (mut reader, mut batch) = (sealed.reader().unwrap(), RecordBatch::default());
            for line in 2..500 {
                assert!(reader.next(&mut batch).unwrap());
                let read = batch.get(0).unwrap();
                assert_eq!(
                    (read.line, read.raw, read.undecodable),
                    (line, "\"é\",b", 3)
                );
                assert_eq!(
                    (read.fields.get(0), read.fields.get(1)),
                    (Some("é"), Some("b"))
                );
            }
            assert!(!reader.next(&mut batch).unwrap());
        }
    }

    #[test]
    fn without_suspects_there_is_no_file_and_nothing_to_read() {
        let root = tempfile::tempdir().unwrap();
        let sealed = Suspects::new(7, &Spool::open(&root.path().join("spool")).unwrap())
            .seal()
            .unwrap();
        assert!(sealed.is_empty());
        assert!(
            !sealed
                .reader()
                .unwrap()
                .next(&mut RecordBatch::default())
                .unwrap()
        );
    }
}
