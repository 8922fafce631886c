//! Watches the bytes and packet lengths of a message go by, without understanding the packets.
//!
//! A message that was cut off and one that was tampered with make the decryption fail in the same
//! ways, yet call for different answers: send it again, or ask who changed it. The lengths that
//! the outermost packets announce tell the two apart (RFC 9580 §4.2).

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Symmetrically encrypted data that nothing protects from being changed (RFC 9580 §5.7).
const UNPROTECTED: u8 = 9;

/// What was seen of the input so far; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    bytes: Arc<AtomicU64>,
    ended_early: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
    exhausted: Arc<AtomicBool>,
    unprotected: Arc<AtomicBool>,
    opened: Arc<AtomicBool>,
}

impl Observed {
    /// Bytes of the file read so far, armour included.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// True when the input ended inside a packet.
    pub(super) fn ended_early(&self) -> bool {
        self.ended_early.load(Ordering::Relaxed)
    }

    /// True when the file itself could not be read.
    pub(super) fn input_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// True when the message is encrypted data without integrity protection.
    pub(super) fn unprotected(&self) -> bool {
        self.unprotected.load(Ordering::Relaxed)
    }

    /// Notes that one of our keys opened the message.
    pub(super) fn note_opened(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// True when one of our keys opened the message.
    pub(super) fn was_opened(&self) -> bool {
        self.opened.load(Ordering::Relaxed)
    }

    /// Wraps the file so that its bytes are counted.
    pub(super) fn counted<R: Read>(&self, input: R) -> Counted<R> {
        Counted {
            input,
            observed: self.clone(),
        }
    }
}

/// Counts the bytes of the file.
pub(super) struct Counted<R> {
    input: R,
    observed: Observed,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Ok(count) => {
                if count == 0 && !buffer.is_empty() {
                    self.observed.exhausted.store(true, Ordering::Relaxed);
                }
                self.observed
                    .bytes
                    .fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.observed.failed.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}

/// Passes binary OpenPGP data through and notes whether it ends between packets.
pub(super) struct FramingReader<R> {
    input: R,
    observed: Observed,
    place: Place,
    /// The message ends with this only if something is missing behind it.
    introduction: bool,
}

impl<R: Read> FramingReader<R> {
    pub(super) fn new(input: R, observed: Observed) -> Self {
        Self {
            input,
            observed,
            place: Place::Between,
            introduction: false,
        }
    }

    fn inside(&self) -> bool {
        match self.place {
            Place::Between => self.introduction,
            Place::Unknown => false,
            _ => true,
        }
    }
}

impl<R: Read> Read for FramingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.input.read(buffer);
        match &result {
            Ok(0) if !buffer.is_empty() => {
                if self.inside() {
                    self.observed.ended_early.store(true, Ordering::Relaxed);
                }
            }
            Ok(count) => {
                self.place = self.place.after(&buffer[..*count], |tag| {
                    // An encrypted session key comes before what it opens.
                    self.introduction = matches!(tag, 1 | 3);
                    if tag == UNPROTECTED {
                        self.observed.unprotected.store(true, Ordering::Relaxed);
                    }
                });
            }
            // Armour that stops before its last line is an error of the reader in between.
            Err(error) => {
                let missing = self.observed.exhausted.load(Ordering::Relaxed) && self.inside();
                if missing || error.kind() == io::ErrorKind::UnexpectedEof {
                    self.observed.ended_early.store(true, Ordering::Relaxed);
                }
            }
        }
        result
    }
}

/// Where in the sequence of packets the reader is.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before a packet's first byte.
    Between,
    /// In the length of a new-format packet or of one of its parts.
    NewLength,
    /// In a length that has `left` more bytes; `value` is what has been read of it.
    Length { left: u8, value: u64, offset: u64 },
    /// In a body, or part of one, of which `left` bytes are to come; `more` parts follow.
    Body { left: u64, more: bool },
    /// In a packet without a length, which goes on to the end; or in something else.
    Unknown,
}

impl Place {
    /// Where it is after some more bytes; `opens` is told the kind of each packet.
    fn after(mut self, mut bytes: &[u8], mut opens: impl FnMut(u8)) -> Self {
        while let Some((&first, rest)) = bytes.split_first() {
            self = match self {
                Self::Unknown => return self,
                Self::Body { left, more } => {
                    let count = left.min(bytes.len() as u64);
                    bytes = &bytes[count as usize..];
                    self = Self::body(left - count, more);
                    continue;
                }
                Self::Between => {
                    if let Some(tag) = packet_tag(first) {
                        opens(tag);
                    }
                    Self::header(first)
                }
                Self::NewLength => match first {
                    0..=191 => Self::body(first.into(), false),
                    192..=223 => Self::Length {
                        left: 1,
                        value: u64::from(first) - 192,
                        offset: 192,
                    },
                    224..=254 => Self::body(1 << (first & 0x1f), true),
                    255 => Self::Length {
                        left: 4,
                        value: 0,
                        offset: 0,
                    },
                },
                Self::Length {
                    left,
                    value,
                    offset,
                } => {
                    let value = (value << 8) | u64::from(first);
                    match left {
                        1 => Self::body(value + offset, false),
                        _ => Self::Length {
                            left: left - 1,
                            value,
                            offset,
                        },
                    }
                }
            };
            bytes = rest;
        }
        self
    }

    fn header(first: u8) -> Self {
        let length = |left| Self::Length {
            left,
            value: 0,
            offset: 0,
        };
        match first {
            0xc0.. => Self::NewLength,
            0x80.. => match first & 0x03 {
                0 => length(1),
                1 => length(2),
                2 => length(4),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn body(left: u64, more: bool) -> Self {
        match (left, more) {
            (0, true) => Self::NewLength,
            (0, false) => Self::Between,
            _ => Self::Body { left, more },
        }
    }
}

/// The kind of packet that a first byte opens, if it can open one.
pub(super) fn packet_tag(first: u8) -> Option<u8> {
    match first {
        0xc0.. => Some(first & 0x3f),
        0x80.. => Some((first & 0x3f) >> 2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_early(bytes: &[u8]) -> bool {
        let observed = Observed::default();
        let mut reader = FramingReader::new(bytes, observed.clone());
        // One byte at a time: lengths must survive being split between reads.
        let mut byte = [0];
        while reader.read(&mut byte).unwrap() > 0 {}
        observed.ended_early()
    }

    #[test]
    fn every_form_of_length_tells_a_whole_packet_from_one_cut_short() {
        let mut two_byte = vec![0xd2, 0xc0, 0x08];
        two_byte.extend([0; 200]);
        let mut five_byte = vec![0xd2, 0xff, 0, 0, 1, 0];
        five_byte.extend([0; 256]);
        let mut partial = vec![0xd2, 0xe9];
        partial.extend([0; 512]);
        partial.extend([0x02, 1, 2]);
        let mut old = vec![0xa1, 0x01, 0x00];
        old.extend([0; 256]);
        let one_byte = vec![0xd2, 3, 1, 2, 3];
        for packet in [one_byte, two_byte, five_byte, partial, old] {
            assert!(!ends_early(&packet), "{:x?}", &packet[..3]);
            let twice = [packet.as_slice(), packet.as_slice()].concat();
            assert!(!ends_early(&twice));
            for cut in 1..packet.len() {
                assert!(ends_early(&packet[..cut]), "{:x?} at {cut}", &packet[..3]);
            }
        }
    }

    #[test]
    fn a_session_key_without_what_it_opens_is_an_early_end() {
        assert!(ends_early(&[0x84, 2, 1, 2]));
        assert!(!ends_early(&[0x84, 2, 1, 2, 0xd2, 1, 1]));
    }

    #[test]
    fn a_packet_without_a_length_may_end_anywhere() {
        assert!(!ends_early(&[0xa3, 1, 2, 3]));
    }
}
