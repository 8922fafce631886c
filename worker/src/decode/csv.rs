//! Comma-separated files and their like (list-automation §4.2).
//!
//! Quotes follow RFC 4180: a field may be quoted, a doubled quote in it is one quote, and line
//! breaks in it belong to it. Records end with LF or CRLF; blank lines are ignored. `csv-core`
//! does the parsing; this module feeds it pieces, keeps the raw text and the line numbers, and
//! deals with what a parser cannot know: a quote that is never closed. Such a record would
//! swallow the rest of the file, so its first physical line is refused and reading goes on with
//! the next line.

use std::collections::VecDeque;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use outbound_core::fields::Fields;
use outbound_core::reason::Reason;
use outbound_core::row::CharacterSet;

use super::charset::TextDecoder;
use super::limits::{MAX_FIELD_BYTES, MAX_FIELDS, MAX_RECORD_BYTES, MAX_REREAD_BYTES};
use super::{Progress, Record, RecordBatch, RecordReader};
use crate::error::Failure;

/// Reads one delimited file.
pub struct CsvReader {
    decoder: TextDecoder,
    delimiter: u8,
    parser: Reader,
    /// Decoded text from the start of the record in the making on.
    buffer: String,
    /// Where in `buffer` the record in the making starts.
    start: usize,
    /// How much of `buffer` the parser has seen.
    seen: usize,
    /// Position in the decoded file of `buffer`'s start.
    base: u64,
    /// Positions in the decoded file of U+FFFD put in by the decoder and not yet counted.
    replaced: VecDeque<u64>,
    /// Physical line of `start`, from 1.
    line: u64,
    ended: bool,
    /// Text of the record in the making: `text_len` bytes, then free space.
    text: Vec<u8>,
    text_len: usize,
    /// Ends of its fields: `fields` of them, then free space.
    ends: Vec<usize>,
    fields: usize,
    /// Whether it has so many fields that some were dropped.
    too_many: bool,
    /// Dropping everything up to the next line end, behind a record that is too long.
    skipping: bool,
    reread: usize,
}

impl CsvReader {
    /// A reader at the start of a file; `delimiter` is an ASCII character other than the quote
    /// and the line ends.
    ///
    /// # Errors
    ///
    /// `rule` for any other delimiter.
    pub fn new(set: CharacterSet, delimiter: u8) -> Result<Self, Failure> {
        if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\n' | b'\r' | 0) {
            return Err(Failure::new(
                Reason::Rule,
                format!(
                    "{:?} cannot separate fields",
                    char::from(delimiter).to_string()
                ),
            )
            .with_hint("use a comma, semicolon, tab, pipe or another ASCII character"));
        }
        // A lone carriage return is data: the terminator is LF, and the CR of a CRLF is taken off
        // the last field afterwards.
        let parser = ReaderBuilder::new()
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .build();
        let mut reader = Self {
            decoder: TextDecoder::new(set),
            delimiter,
            parser,
            buffer: String::new(),
            start: 0,
            seen: 0,
            base: 0,
            replaced: VecDeque::new(),
            line: 1,
            ended: false,
            text: vec![0; 4096],
            text_len: 0,
            ends: vec![0; 64],
            fields: 0,
            too_many: false,
            skipping: false,
            reread: 0,
        };
        reader.reset_parser();
        Ok(reader)
    }

    /// Puts the parser at the start of a record.
    fn reset_parser(&mut self) {
        self.parser.reset();
        // At its very start the parser drops a byte-order mark; past the start of the file that
        // would be data, so it reads one line end first. (A clone of a parser that has done so
        // is no way out: csv-core's clones lose their tables.)
        self.parser.read_record(b"\n", &mut [0; 1], &mut [0; 1]);
    }

    fn decode(&mut self, bytes: &[u8], last: bool) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.base += self.start as u64;
            self.seen -= self.start;
            self.start = 0;
        }
        let (base, replaced) = (self.base, &mut self.replaced);
        self.decoder
            .decode(bytes, last, &mut self.buffer, &mut |at| {
                replaced.push_back(base + at as u64);
            });
    }

    /// Where the record in the making must have ended.
    fn limit(&self) -> usize {
        self.buffer
            .floor_char_boundary(self.start + MAX_RECORD_BYTES)
    }

    /// Lets the parser run until a record is complete (true), or `limit` is reached.
    fn step(&mut self, limit: usize) -> bool {
        while self.seen < limit {
            let (read, complete) = self.parse(Some(limit));
            self.seen += read;
            if complete {
                return true;
            }
        }
        false
    }

    /// Gives the parser the buffer up to `limit`, or else a line end that is not in the file.
    /// Answers how much it took, and whether a record is complete.
    fn parse(&mut self, limit: Option<usize>) -> (usize, bool) {
        if self.text.len() < self.text_len + 1024 {
            self.text.resize(2 * self.text.len(), 0);
        }
        if self.fields >= MAX_FIELDS {
            self.too_many = true;
        } else if self.ends.len() == self.fields {
            self.ends.resize(2 * self.fields, 0);
        }
        // Behind the permitted number of fields the last places are written over and over.
        let free = if self.too_many { 0 } else { self.fields };
        let (text, ends) = (&mut self.text[self.text_len..], &mut self.ends[free..]);
        let input = match limit {
            Some(limit) => &self.buffer.as_bytes()[self.seen..limit],
            None => b"\n",
        };
        let (result, read, wrote, ended) = self.parser.read_record(input, text, ends);
        self.text_len += wrote;
        if !self.too_many {
            self.fields += ended;
        }
        (read, matches!(result, ReadRecordResult::Record))
    }

    /// Ends the record in the making; false when it stands inside quotes, where a line end does
    /// not end it. (At the end of the input the parser would close the quote by itself.)
    fn end_record(&mut self) -> bool {
        self.parse(None).1
    }

    /// Passes over line ends before a record. (The parser would too, but without a word.)
    fn skip_blank(&mut self) {
        let ahead = &self.buffer.as_bytes()[self.start..];
        let blank = ahead.iter().take_while(|&&byte| byte == b'\n').count();
        self.line += blank as u64;
        self.start += blank;
        self.seen = self.start;
    }

    /// Starts over behind `end`, the end of what was a record or a refused line.
    fn start_at(&mut self, end: usize) {
        let lines = line_ends(&self.buffer.as_bytes()[self.start..end]);
        self.line += lines as u64;
        self.start = end;
        self.text_len = 0;
        self.fields = 0;
        self.too_many = false;
        let position = self.base + end as u64;
        while self.replaced.front().is_some_and(|&at| at < position) {
            self.replaced.pop_front();
        }
    }

    /// U+FFFD put in by the decoder before `end`.
    fn undecodable(&self, end: usize) -> u32 {
        let position = self.base + end as u64;
        let count = self.replaced.iter().take_while(|&&at| at < position);
        u32::try_from(count.count()).unwrap_or(u32::MAX)
    }

    /// Adds the record that ends where the parser stands.
    fn complete(&mut self, out: &mut RecordBatch) -> Result<(), Failure> {
        let end = self.seen;
        let raw = &self.buffer[self.start..end];
        let body = raw.strip_suffix('\n').unwrap_or(raw);
        let body = match body.strip_suffix('\r') {
            None => body,
            Some(body) => {
                // The CR of a CRLF went into the last field.
                if let Some(last) = self.ends[..self.fields].last_mut() {
                    *last -= 1;
                    self.text_len -= 1;
                }
                body
            }
        };
        if !self.is_blank(body) {
            let ends = &self.ends[..self.fields];
            let refused = if self.too_many {
                Some(Reason::TooManyColumns)
            } else if longest(ends) > MAX_FIELD_BYTES {
                Some(Reason::FieldTooLong)
            } else {
                None
            };
            let text = std::str::from_utf8(&self.text[..self.text_len]).map_err(|_| {
                Failure::internal("the fields of a record of text came out as something else")
            })?;
            out.push(&Record {
                line: self.line,
                raw: body,
                fields: Fields { text, ends },
                undecodable: self.undecodable(end),
                refused,
            });
        }
        self.start_at(end);
        Ok(())
    }

    fn is_blank(&self, body: &str) -> bool {
        body.bytes()
            .all(|byte| matches!(byte, b' ' | b'\t' | b'\r') && byte != self.delimiter)
    }

    /// Refuses the first physical line of the record in the making and goes on behind it.
    fn refuse(&mut self, reason: Reason, out: &mut RecordBatch) -> Result<(), Failure> {
        let text = &self.buffer.as_bytes()[self.start..self.seen];
        let line_end = text.iter().position(|&byte| byte == b'\n');
        // A record too long outside quotes is one line as far as anyone can tell.
        let resume = match (reason, line_end) {
            (Reason::UnclosedQuote, Some(at)) => self.start + at + 1,
            _ => self.seen,
        };
        let first = line_end.map_or(self.seen, |at| self.start + at);
        let raw = &self.buffer[self.start..first];
        out.push(&Record {
            line: self.line,
            raw: raw.strip_suffix('\r').unwrap_or(raw),
            fields: Fields {
                text: "",
                ends: &[],
            },
            undecodable: self.undecodable(resume),
            refused: Some(reason),
        });
        self.reread += self.seen - resume;
        self.skipping = self.buffer.as_bytes()[..resume].last() != Some(&b'\n');
        self.start_at(resume);
        self.seen = resume;
        self.reset_parser();
        if self.reread > MAX_REREAD_BYTES {
            return Err(Failure::new(
                Reason::Format,
                format!(
                    "line {} and many before it open a quote that is never closed",
                    self.line
                ),
            )
            .with_hint("check the file's quotes and the delimiter of the job"));
        }
        Ok(())
    }

    /// Drops text up to the next line end; true when there was one.
    fn skip_line(&mut self) -> bool {
        let ahead = &self.buffer.as_bytes()[self.start..];
        let found = ahead.iter().position(|&byte| byte == b'\n');
        let end = found.map_or(self.buffer.len(), |at| self.start + at + 1);
        self.start_at(end);
        self.seen = end;
        self.skipping = found.is_none();
        found.is_some()
    }
}

impl RecordReader for CsvReader {
    fn feed(&mut self, bytes: &[u8]) {
        self.decode(bytes, false);
    }

    fn end_of_input(&mut self) {
        self.decode(&[], true);
        self.ended = true;
    }

    fn fill(&mut self, batch: &mut RecordBatch) -> Result<Progress, Failure> {
        loop {
            if batch.is_full() {
                return Ok(Progress::BatchFull);
            }
            if self.skipping && !self.skip_line() {
                return Ok(if self.ended {
                    Progress::Ended
                } else {
                    Progress::NeedsInput
                });
            }
            if self.seen == self.start {
                self.skip_blank();
            }
            let limit = self.limit();
            if self.step(limit) {
                self.complete(batch)?;
            } else if self.buffer.len() - self.start >= MAX_RECORD_BYTES {
                let reason = if self.end_record() {
                    Reason::RecordTooLong
                } else {
                    Reason::UnclosedQuote
                };
                self.refuse(reason, batch)?;
            } else if !self.ended {
                return Ok(Progress::NeedsInput);
            } else if self.seen == self.start {
                return Ok(Progress::Ended);
            } else if self.end_record() {
                self.complete(batch)?;
            } else {
                self.refuse(Reason::UnclosedQuote, batch)?;
            }
        }
    }
}

/// Length of the longest field.
fn longest(ends: &[usize]) -> usize {
    let mut start = 0;
    let length = |&end: &usize| end - std::mem::replace(&mut start, end);
    ends.iter().map(length).max().unwrap_or(0)
}

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests;
