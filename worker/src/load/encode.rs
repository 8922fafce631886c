//! Rows in the binary format of COPY, written straight into the bytes that are sent.
//!
//! An import writes millions of fields; each goes from the parsed value into the outgoing buffer
//! without a stop in between. The format is that of the PostgreSQL manual, "COPY", section
//! "Binary Format": a signature, rows that begin with their number of fields, fields that begin
//! with their length (-1 is null), and a trailer.

use bytes::{BufMut, Bytes, BytesMut};
use outbound_core::value::Decimal;

/// Bytes after which the buffer is handed on.
pub const CHUNK_BYTES: usize = 512 << 10;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Signs of a numeric on the wire.
const NUMERIC_POSITIVE: u16 = 0x0000;
const NUMERIC_NEGATIVE: u16 = 0x4000;

/// A COPY stream in the making.
#[derive(Debug)]
pub struct CopyBuffer {
    bytes: BytesMut,
    rows: u64,
}

impl Default for CopyBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl CopyBuffer {
    /// A stream with its header.
    pub fn new() -> Self {
        let mut bytes = BytesMut::with_capacity(CHUNK_BYTES + (64 << 10));
        bytes.put_slice(SIGNATURE);
        bytes.put_u32(0);
        bytes.put_u32(0);
        Self { bytes, rows: 0 }
    }

    /// Rows begun so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What has gathered, once it is enough to be sent.
    pub fn take_full(&mut self) -> Option<Bytes> {
        (self.bytes.len() >= CHUNK_BYTES).then(|| self.take())
    }

    /// Ends the stream and gives what is left of it.
    pub fn finish(mut self) -> Bytes {
        self.bytes.put_i16(-1);
        self.bytes.freeze()
    }

    fn take(&mut self) -> Bytes {
        let full = self.bytes.split().freeze();
        self.bytes.reserve(CHUNK_BYTES + (64 << 10));
        full
    }

    /// Begins a row of `fields` fields.
    pub fn row(&mut self, fields: i16) {
        self.rows += 1;
        self.bytes.put_i16(fields);
    }

    /// NULL of any type.
    pub fn null(&mut self) {
        self.bytes.put_i32(-1);
    }

    /// `integer`.
    pub fn int4(&mut self, value: i32) {
        self.bytes.put_i32(4);
        self.bytes.put_i32(value);
    }

    /// `smallint`.
    pub fn int2(&mut self, value: i16) {
        self.bytes.put_i32(2);
        self.bytes.put_i16(value);
    }

    /// `bigint`.
    pub fn int8(&mut self, value: i64) {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value);
    }

    /// `text`, or the label of an enum. The text holds no NUL, which Postgres cannot store.
    pub fn text(&mut self, value: &str) {
        self.bytes.put_i32(length(value.len()));
        self.bytes.put_slice(value.as_bytes());
    }

    /// `text` made of a number's digits.
    pub fn number_text(&mut self, mut value: u64) {
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.bytes.put_i32(length(digits.len() - start));
        self.bytes.put_slice(&digits[start..]);
    }

    /// `"char"`, the one-byte type of the codes.
    pub fn code(&mut self, code: u8) {
        self.bytes.put_i32(1);
        self.bytes.put_u8(code);
    }

    /// `boolean`.
    pub fn boolean(&mut self, value: bool) {
        self.bytes.put_i32(1);
        self.bytes.put_u8(u8::from(value));
    }

    /// `date`, as days since 2000-01-01.
    pub fn date(&mut self, days: i32) {
        self.int4(days);
    }

    /// `timestamptz`, as microseconds since 2000-01-01 00:00 UTC.
    pub fn timestamptz(&mut self, microseconds: i64) {
        self.int8(microseconds);
    }

    /// `numeric`: groups of four decimal digits, the power of 10000 of the first group, a sign and
    /// the number of digits to show behind the point. Trailing zeros behind the point are kept by
    /// that last figure, as Postgres itself does when it reads a number.
    pub fn numeric(&mut self, value: &Decimal<'_>) {
        let digits = Digits::new(value);
        let groups = digits.groups();
        let sign = if value.negative && groups > 0 {
            NUMERIC_NEGATIVE
        } else {
            NUMERIC_POSITIVE
        };
        self.bytes.put_i32(length(8 + 2 * groups));
        self.bytes.put_u16(groups as u16);
        self.bytes
            .put_i16(if groups == 0 { 0 } else { digits.weight() });
        self.bytes.put_u16(sign);
        self.bytes.put_u16(digits.scale);
        for group in 0..groups {
            self.bytes.put_u16(digits.group(group));
        }
    }
}

/// A length on the wire. Fields are bounded far below two gigabytes by the record limits.
fn length(bytes: usize) -> i32 {
    bytes as i32
}

/// The digits of a decimal number without leading and trailing zeros, seen in groups of four that
/// are aligned to the point.
struct Digits<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    /// First digit that is not zero, and the end of the last such, in `whole` and `fraction` end
    /// to end.
    first: i32,
    end: i32,
    /// Where the point stands among all digits, after the exponent has been applied.
    point: i32,
    /// Digits to show behind the point.
    scale: u16,
}

impl<'a> Digits<'a> {
    fn new(value: &Decimal<'a>) -> Self {
        let (whole, fraction) = (value.whole.as_bytes(), value.fraction.as_bytes());
        let nonzero = |digit: &u8| *digit != b'0';
        let count = whole.len() + fraction.len();
        let first = whole.iter().chain(fraction).position(nonzero);
        let last = match fraction.iter().rposition(nonzero) {
            Some(at) => Some(whole.len() + at),
            None => whole.iter().rposition(nonzero),
        };
        Self {
            whole,
            fraction,
            first: first.unwrap_or(count) as i32,
            end: last.map_or(0, |at| at as i32 + 1),
            point: whole.len() as i32 + value.exponent,
            scale: (fraction.len() as i32 - value.exponent).max(0) as u16,
        }
    }

    /// Power of 10000 of the first group.
    fn weight(&self) -> i16 {
        (self.point - self.first - 1).div_euclid(4) as i16
    }

    /// Position of the first digit of the first group; before `first` it is filled with zeros.
    fn start(&self) -> i32 {
        self.point - 4 * (i32::from(self.weight()) + 1)
    }

    fn groups(&self) -> usize {
        if self.first >= self.end {
            return 0;
        }
        ((self.end - self.start() + 3) / 4) as usize
    }

    fn group(&self, index: usize) -> u16 {
        let at = self.start() + 4 * index as i32;
        (at..at + 4).fold(0, |value, place| value * 10 + self.digit(place))
    }

    fn digit(&self, place: i32) -> u16 {
        if place < self.first || place >= self.end {
            return 0;
        }
        let place = place as usize;
        let digit = match self.whole.get(place) {
            Some(digit) => digit,
            None => &self.fraction[place - self.whole.len()],
        };
        u16::from(digit - b'0')
    }
}

#[cfg(test)]
mod tests;
