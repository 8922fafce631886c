//! What must hold of the encoder: the bytes that Postgres' own binary COPY writes.

use proptest::prelude::*;

use super::*;

/// The payload of one field, without its length.
fn field(write: impl Fn(&mut CopyBuffer)) -> Vec<u8> {
    let mut copy = CopyBuffer::new();
    let before = copy.bytes.len();
    write(&mut copy);
    let bytes = copy.bytes[before..].to_vec();
    let length = i32::from_be_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(length as usize, bytes.len() - 4);
    bytes[4..].to_vec()
}

fn numeric(text: &str) -> Vec<u16> {
    let decimal = Decimal::parse(text).unwrap();
    let bytes = field(|copy| copy.numeric(&decimal));
    let words = bytes.chunks(2);
    words
        .map(|word| u16::from_be_bytes([word[0], word[1]]))
        .collect()
}

/// Reads a numeric off the wire the way Postgres prints it.
fn show(words: &[u16]) -> String {
    let (groups, weight) = (i32::from(words[0]), i32::from(words[1] as i16));
    let scale = usize::from(words[3]);
    let group = |power: i32| {
        let index = weight - power;
        if (0..groups).contains(&index) {
            words[4 + index as usize]
        } else {
            0
        }
    };
    let mut text: String = (0..=weight.max(0))
        .rev()
        .map(|power| format!("{:04}", group(power)))
        .collect();
    text = text.trim_start_matches('0').to_owned();
    if text.is_empty() {
        text.push('0');
    }
    if scale > 0 {
        let fraction: String = (1..=(scale as i32 + 3) / 4)
            .map(|power| format!("{:04}", group(-power)))
            .collect();
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    if words[2] == NUMERIC_NEGATIVE {
        text.insert(0, '-');
    }
    text
}

/// The decimal expansion of a number, moved by hand.
fn expand(whole: &str, fraction: &str, exponent: i32) -> String {
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let scale = (fraction.len() as i32 - exponent).max(0) as usize;
    let digit = |place: i32| {
        digits
            .as_bytes()
            .get(place as usize)
            .map_or('0', |&d| d as char)
    };
    let mut text: String = (0..point.max(0)).map(digit).collect();
    text = text.trim_start_matches('0').to_owned();
    if text.is_empty() {
        text.push('0');
    }
    if scale > 0 {
        text.push('.');
        text.extend((point..point + scale as i32).map(digit));
    }
    text
}

#[test]
fn the_stream_has_header_rows_and_trailer() {
    let mut copy = CopyBuffer::new();
    copy.row(2);
    copy.null();
    copy.text("é");
    assert_eq!(copy.rows(), 1);
    assert_eq!(
        &copy.finish()[..],
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\xff\xff\xff\xff\0\0\0\x02\xc3\xa9\xff\xff"
    );
}

#[test]
fn chunks_are_given_out_when_full_and_join_to_the_whole() {
    let (mut copy, mut joined) = (CopyBuffer::new(), Vec::new());
    for number in 0..200_000 {
        copy.row(1);
        copy.int8(number);
        if let Some(chunk) = copy.take_full() {
            assert!(chunk.len() >= CHUNK_BYTES);
            joined.extend_from_slice(&chunk);
        }
    }
    joined.extend_from_slice(&copy.finish());
    assert_eq!(joined.len(), 19 + 200_000 * 14 + 2);
}

#[test]
fn fixed_types_are_big_endian() {
    assert_eq!(field(|c| c.int4(-2)), (-2i32).to_be_bytes());
    assert_eq!(field(|c| c.int8(i64::MIN)), i64::MIN.to_be_bytes());
    assert_eq!(field(|c| c.date(366)), 366i32.to_be_bytes());
    assert_eq!(field(|c| c.timestamptz(-1)), (-1i64).to_be_bytes());
    assert_eq!(field(|c| c.boolean(true)), [1]);
    assert_eq!(field(|c| c.code(b'C')), *b"C");
    assert_eq!(field(|c| c.text("")), b"");
}

#[test]
fn numbers_become_text_digit_by_digit() {
    for number in [0, 7, 10, 4_294_967_296, u64::MAX] {
        assert_eq!(
            field(|c| c.number_text(number)),
            number.to_string().as_bytes()
        );
    }
}

/// `numeric_send` of PostgreSQL 15 for the same texts.
#[test]
fn numerics_are_as_postgres_sends_them() {
    let positive = NUMERIC_POSITIVE;
    let cases: &[(&str, &[u16])] = &[
        ("0", &[0, 0, positive, 0]),
        ("-0.00", &[0, 0, positive, 2]),
        ("1", &[1, 0, positive, 0, 1]),
        ("-1", &[1, 0, NUMERIC_NEGATIVE, 0, 1]),
        ("10000", &[1, 1, positive, 0, 1]),
        ("12345678.9", &[3, 1, positive, 1, 1234, 5678, 9000]),
        ("1.50", &[2, 0, positive, 2, 1, 5000]),
        ("0.0001", &[1, 0xFFFF, positive, 4, 1]),
        ("0.00001", &[1, 0xFFFE, positive, 5, 1000]),
        ("007.0", &[1, 0, positive, 1, 7]),
        ("1.5e3", &[1, 0, positive, 0, 1500]),
        ("12e-5", &[2, 0xFFFF, positive, 5, 1, 2000]),
        ("1e4", &[1, 1, positive, 0, 1]),
        (".5", &[1, 0xFFFF, positive, 1, 5000]),
        ("5.", &[1, 0, positive, 0, 5]),
    ];
    for (text, words) in cases {
        assert_eq!(numeric(text), *words, "{text}");
    }
}

#[test]
fn the_longest_numbers_keep_every_digit() {
    let long = "9".repeat(1000);
    assert_eq!(
        show(&numeric(&format!("{long}e1000"))),
        expand(&long, "", 1000)
    );
    let fraction = format!(".{long}e-1000");
    assert_eq!(show(&numeric(&fraction)), expand("", &long, -1000));
    assert_eq!(show(&numeric("1e1000")), expand("1", "", 1000));
    assert_eq!(show(&numeric("1e-1000")), expand("1", "", -1000));
}

proptest! {
    #[test]
    fn every_numeric_reads_back_digit_for_digit(
        negative in any::<bool>(),
        whole in "[0-9]{0,30}",
        fraction in "[0-9]{1,30}",
        exponent in -60i32..60,
    ) {
        let sign = if negative { "-" } else { "" };
        let words = numeric(&format!("{sign}{whole}.{fraction}e{exponent}"));
        let expanded = expand(&whole, &fraction, exponent);
        let zero = expanded.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let expected = if negative && !zero { format!("-{expanded}") } else { expanded };
        prop_assert_eq!(show(&words), expected);
        prop_assert!(words[4..].iter().all(|&group| group < 10_000));
        prop_assert!(words[4..].first() != Some(&0) && words[4..].last() != Some(&0));
    }
}
