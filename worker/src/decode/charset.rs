//! Bytes of a character set to text, piece by piece (list-automation §4.3).
//!
//! A byte-order mark of UTF-8 at the start of a file is dropped whatever the character set is:
//! no file begins with these three characters on purpose, and left in place they spoil the name
//! of the first column. A wrong character set does not fail an import (H-4): characters come out
//! wrong, and sequences that UTF-8 does not know become U+FFFD and are counted (H-5).

use encoding_rs::{Decoder, DecoderResult, UTF_8, WINDOWS_1252, mem};
use outbound_core::row::CharacterSet;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Decodes one file.
pub struct TextDecoder {
    conversion: Conversion,
    /// Bytes held back at the start while they may still be a byte-order mark.
    start: Vec<u8>,
    started: bool,
}

enum Conversion {
    /// Every byte is the character with its number. (`encoding_rs` knows the label `iso-8859-1`
    /// as Windows-1252, which differs in 0x80 to 0x9F.)
    Latin1,
    Stream(Box<Decoder>),
}

impl TextDecoder {
    /// A decoder at the start of a file.
    pub fn new(set: CharacterSet) -> Self {
        let conversion = match set {
            CharacterSet::Iso8859_1 => Conversion::Latin1,
            CharacterSet::Windows1252 => {
                Conversion::Stream(Box::new(WINDOWS_1252.new_decoder_without_bom_handling()))
            }
            CharacterSet::Utf8 => {
                Conversion::Stream(Box::new(UTF_8.new_decoder_without_bom_handling()))
            }
        };
        Self {
            conversion,
            start: Vec::new(),
            started: false,
        }
    }

    /// Appends the text of `bytes` to `out`; `last` says that the file ends with them.
    ///
    /// `bad` is called with the position in `out` of each U+FFFD that replaces a sequence the
    /// character set does not know.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        last: bool,
        out: &mut String,
        bad: &mut dyn FnMut(usize),
    ) {
        if self.started {
            self.convert(bytes, last, out, bad);
            return;
        }
        let wanted = BYTE_ORDER_MARK.len() - self.start.len();
        let (head, tail) = bytes.split_at(wanted.min(bytes.len()));
        self.start.extend_from_slice(head);
        if !last && self.start.len() < BYTE_ORDER_MARK.len() {
            return;
        }
        self.started = true;
        let start = std::mem::take(&mut self.start);
        if start != BYTE_ORDER_MARK {
            self.convert(&start, last && tail.is_empty(), out, bad);
        }
        if last && tail.is_empty() && start != BYTE_ORDER_MARK {
            return;
        }
        self.convert(tail, last, out, bad);
    }

    fn convert(
        &mut self,
        mut bytes: &[u8],
        last: bool,
        out: &mut String,
        bad: &mut dyn FnMut(usize),
    ) {
        let decoder = match &mut self.conversion {
            Conversion::Latin1 => {
                out.push_str(&mem::decode_latin1(bytes));
                return;
            }
            Conversion::Stream(decoder) => decoder,
        };
        loop {
            let room = decoder
                .max_utf8_buffer_length_without_replacement(bytes.len())
                .unwrap_or(bytes.len());
            out.reserve(room);
            let (result, read) = decoder.decode_to_string_without_replacement(bytes, out, last);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(_, _) => {
                    bad(out.len());
                    out.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(set: CharacterSet, pieces: &[&[u8]]) -> (String, Vec<usize>) {
        let (mut out, mut places) = (String::new(), Vec::new());
        let mut decoder = TextDecoder::new(set);
        for piece in pieces {
            decoder.decode(piece, false, &mut out, &mut |at| places.push(at));
        }
        decoder.decode(&[], true, &mut out, &mut |at| places.push(at));
        (out, places)
    }

    #[test]
    fn the_mark_at_the_start_is_dropped_in_every_character_set() {
        for set in [
            CharacterSet::Utf8,
            CharacterSet::Iso8859_1,
            CharacterSet::Windows1252,
        ] {
            let whole = decode(set, &[b"\xEF\xBB\xBF\"id\""]);
            assert_eq!(whole, ("\"id\"".to_owned(), vec![]));
            let pieces = decode(set, &[b"\xEF", b"\xBB", b"\xBF", b"\"id\""]);
            assert_eq!(pieces, whole);
            assert_eq!(decode(set, &[b"\xEF\xBB\xBF"]).0, "");
        }
    }

    #[test]
    fn half_a_mark_is_text() {
        assert_eq!(decode(CharacterSet::Iso8859_1, &[b"\xEF\xBB"]).0, "ï»");
        assert_eq!(
            decode(CharacterSet::Utf8, &[b"\xEF\xBB"]),
            ("\u{FFFD}".to_owned(), vec![0])
        );
        assert_eq!(decode(CharacterSet::Utf8, &[b"a"]).0, "a");
    }

    #[test]
    fn latin_1_and_windows_1252_differ_between_80_and_9f() {
        assert_eq!(decode(CharacterSet::Iso8859_1, &[b"\x80\xE9"]).0, "\u{80}é");
        assert_eq!(decode(CharacterSet::Windows1252, &[b"\x80\xE9"]).0, "€é");
    }

    #[test]
    fn unknown_sequences_are_replaced_and_their_places_told() {
        let (text, places) = decode(CharacterSet::Utf8, &[b"a\xFFb\xC3", b"\xA9\xE2\x82"]);
        assert_eq!(text, "a\u{FFFD}bé\u{FFFD}");
        assert_eq!(places, [1, 7]);
    }

    proptest! {
        #[test]
        fn utf_8_agrees_with_the_standard_library_however_it_is_cut(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xE2), Just(0x82), Just(b'a')], 0..64),
            step in 1usize..5,
        ) {
            let pieces: Vec<&[u8]> = bytes.chunks(step).collect();
            let (text, _) = decode(CharacterSet::Utf8, &pieces);
            let body = bytes.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(&bytes);
            prop_assert_eq!(text, String::from_utf8_lossy(body));
        }
    }
}
