//! What must hold of the delimited reader, whatever the pieces it gets.

use proptest::prelude::*;

use super::*;

/// A record as the tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    line: u64,
    fields: Vec<String>,
    raw: String,
    undecodable: u32,
    refused: Option<Reason>,
}

fn read_with(set: CharacterSet, delimiter: u8, bytes: &[u8], step: usize) -> Vec<Row> {
    let mut reader = CsvReader::new(set, delimiter).unwrap();
    let mut batch = RecordBatch::default();
    let mut rows = Vec::new();
    let mut pieces = bytes.chunks(step);
    loop {
        let progress = reader.fill(&mut batch).unwrap();
        rows.extend(batch.iter().map(|record| {
            let fields = (0..record.fields.len()).filter_map(|i| record.fields.get(i));
            Row {
                line: record.line,
                fields: fields.map(str::to_owned).collect(),
                raw: record.raw.to_owned(),
                undecodable: record.undecodable,
                refused: record.refused,
            }
        }));
        batch.clear();
        match progress {
            Progress::BatchFull => {}
            Progress::Ended => return rows,
            Progress::NeedsInput => match pieces.next() {
                Some(piece) => reader.feed(piece),
                None => reader.end_of_input(),
            },
        }
    }
}

fn read(text: &str) -> Vec<Row> {
    let rows = read_with(CharacterSet::Utf8, b',', text.as_bytes(), usize::MAX);
    let single = read_with(CharacterSet::Utf8, b',', text.as_bytes(), 1);
    assert_eq!(rows, single, "one byte at a time must read the same");
    rows
}

fn fields(text: &str) -> Vec<Vec<String>> {
    read(text).into_iter().map(|row| row.fields).collect()
}

#[test]
fn line_ends_may_be_lf_or_crlf_or_missing_at_the_end() {
    for text in [
        "a,b\nc,d\n",
        "a,b\r\nc,d\r\n",
        "a,b\nc,d",
        "a,b\r\nc,d\r\n\r\n",
    ] {
        assert_eq!(fields(text), [["a", "b"], ["c", "d"]], "{text:?}");
    }
}

#[test]
fn a_lone_carriage_return_is_data() {
    assert_eq!(fields("a\rb,c\n"), [["a\rb", "c"]]);
    assert_eq!(fields("\"a\r\"\n"), [["a\r"]]);
}

#[test]
fn quotes_hold_delimiters_line_breaks_and_doubled_quotes() {
    let rows = read("a,\"b,\r\n\"\"c\"\"\n\"\r\nd,\"\"\r\n");
    assert_eq!(rows[0].fields, ["a", "b,\r\n\"c\"\n"]);
    assert_eq!(rows[0].raw, "a,\"b,\r\n\"\"c\"\"\n\"");
    assert_eq!((rows[0].line, rows[1].line), (1, 4));
    assert_eq!(rows[1].fields, ["d", ""]);
}

#[test]
fn a_quote_inside_an_unquoted_field_is_text() {
    assert_eq!(fields("5\" pipe,x\n"), [["5\" pipe", "x"]]);
}

#[test]
fn blank_lines_are_passed_over_and_counted() {
    let rows = read("\n\r\n  \t\na,b\n\n\r\nc,d\n \n");
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.line, row.raw.as_str()))
        .collect();
    assert_eq!(seen, [(4, "a,b"), (7, "c,d")]);
}

#[test]
fn a_line_of_delimiters_is_a_record_and_so_is_an_empty_quoted_field() {
    assert_eq!(fields(",,\n\"\"\n"), [vec!["", "", ""], vec![""]]);
    let rows = read_with(CharacterSet::Utf8, b'\t', b"\t\t\n", 1);
    assert_eq!(rows[0].fields, ["", "", ""]);
}

#[test]
fn a_byte_order_mark_before_a_quoted_header_is_dropped() {
    assert_eq!(fields("\u{FEFF}\"id\",b\n1,2\n"), [["id", "b"], ["1", "2"]]);
    assert_eq!(fields("a\n\u{FEFF}b\n"), [["a"], ["\u{FEFF}b"]]);
}

#[test]
fn nul_bytes_reach_the_checks() {
    assert_eq!(fields("a\0b,c\n"), [["a\0b", "c"]]);
}

#[test]
fn no_bytes_are_no_records() {
    for text in ["", "\n", "\u{FEFF}", "\r\n\r\n"] {
        assert!(read(text).is_empty(), "{text:?}");
    }
}

#[test]
fn an_open_quote_ends_at_the_next_quote_however_far() {
    let rows = read("a,b\n1,\"open\n2,x\n3,\"y\nz\n");
    assert_eq!(rows[1].fields, ["1", "open\n2,x\n3,y"]);
    assert_eq!(rows[2].fields, ["z"]);
    assert_eq!(rows[2].line, 5);
}

#[test]
fn reading_goes_on_behind_a_line_whose_quote_is_never_closed() {
    let rows = read("a,b\r\n1,\"open\r\n2,x\r\n3,y");
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.line, row.raw.as_str(), row.refused))
        .collect();
    assert_eq!(
        seen,
        [
            (1, "a,b", None),
            (2, "1,\"open", Some(Reason::UnclosedQuote)),
            (3, "2,x", None),
            (4, "3,y", None),
        ]
    );
    assert_eq!(rows[3].fields, ["3", "y"]);
}

#[test]
fn an_open_quote_on_the_last_line_is_refused_too() {
    for text in ["a\n\"b", "a\n\"b\n"] {
        let rows = read(text);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].refused, Some(Reason::UnclosedQuote));
        assert_eq!(rows[1].raw, "\"b");
    }
    assert_eq!(fields("a\n\"b\""), [["a"], ["b"]]);
}

#[test]
fn a_quote_open_for_16_mib_costs_one_line() {
    let mut text = String::from("a,b\n1,\"open\n");
    while text.len() < MAX_RECORD_BYTES + 100_000 {
        text.push_str("2,some text\n");
    }
    text.push_str("3,\"closed\"\n");
    for step in [usize::MAX, 64 << 10, 99_991] {
        let rows = read_with(CharacterSet::Utf8, b',', text.as_bytes(), step);
        assert_eq!(rows[1].refused, Some(Reason::UnclosedQuote));
        assert_eq!(rows.len(), text.lines().count());
        let last = rows.last().unwrap();
        assert_eq!(last.fields, ["3", "closed"]);
        assert_eq!(last.line, text.lines().count() as u64);
    }
}

#[test]
fn a_field_of_ten_megabytes_refuses_its_record_only() {
    let text = format!("a,b\n1,\"{}\"\n2,x\n", "é\n".repeat(3_500_000));
    for step in [usize::MAX, 100_003] {
        let rows = read_with(CharacterSet::Utf8, b',', text.as_bytes(), step);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1].refused, Some(Reason::FieldTooLong));
        assert!(rows[1].fields.is_empty() && rows[1].raw.starts_with("1,\"é"));
        assert_eq!(rows[2].fields, ["2", "x"]);
        assert_eq!(rows[2].line, 3_500_003);
    }
}

#[test]
fn a_line_longer_than_a_record_may_be_is_refused_and_skipped() {
    let text = format!("a,b\n{}\n2,x\n", "é,".repeat(8_000_000));
    for step in [usize::MAX, 100_003] {
        let rows = read_with(CharacterSet::Utf8, b',', text.as_bytes(), step);
        let seen: Vec<_> = rows.iter().map(|row| (row.line, row.refused)).collect();
        assert_eq!(
            seen,
            [(1, None), (2, Some(Reason::RecordTooLong)), (3, None)]
        );
    }
}

#[test]
fn fields_without_number_refuse_the_record() {
    let rows = read(&format!("a\n{}\nb\n", ",".repeat(MAX_FIELDS + 10)));
    let seen: Vec<_> = rows.iter().map(|row| (row.line, row.refused)).collect();
    assert_eq!(
        seen,
        [(1, None), (2, Some(Reason::TooManyColumns)), (3, None)]
    );
    let rows = read(&format!("a\n{}\nb\n", ",".repeat(MAX_FIELDS - 10)));
    assert_eq!(rows[1].fields.len(), MAX_FIELDS - 9);
}

#[test]
fn a_file_of_nothing_but_open_quotes_is_given_up_in_reasonable_time() {
    let text = "x\",\"\n".repeat(60_000);
    let mut reader = CsvReader::new(CharacterSet::Utf8, b',').unwrap();
    reader.feed(text.as_bytes());
    reader.end_of_input();
    let mut batch = RecordBatch::default();
    let failure = loop {
        match reader.fill(&mut batch) {
            Ok(Progress::BatchFull) => batch.clear(),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.reason, Reason::Format);
}

#[test]
fn records_with_unknown_bytes_are_counted_one_by_one() {
    let bytes = b"a\nb\xFF\xFE\nc\n\xC3";
    for step in [1, 100] {
        let rows = read_with(CharacterSet::Utf8, b',', bytes, step);
        let seen: Vec<_> = rows.iter().map(|row| row.undecodable).collect();
        assert_eq!(seen, [0, 2, 0, 1]);
        assert_eq!(rows[1].fields, ["b\u{FFFD}\u{FFFD}"]);
    }
    let rows = read_with(CharacterSet::Iso8859_1, b',', bytes, 1);
    assert_eq!(rows[1].fields, ["bÿþ"]);
    assert_eq!(rows[1].undecodable, 0);
}

#[test]
fn a_character_given_as_u_fffd_is_not_called_undecodable() {
    assert_eq!(read("\u{FFFD}\n")[0].undecodable, 0);
}

#[test]
fn quotes_and_line_ends_cannot_be_delimiters() {
    for delimiter in [b'"', b'\n', b'\r', 0, 0xE9] {
        let error = CsvReader::new(CharacterSet::Utf8, delimiter).err().unwrap();
        assert_eq!(error.reason, Reason::Rule);
    }
}

/// Text made mostly of what a parser stumbles over.
fn wild() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\"".to_vec()),
        Just(b",".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b" ".to_vec()),
        Just(b"ab".to_vec()),
        Just("é".as_bytes().to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just(b"\xFF".to_vec()),
        Just(b"\0".to_vec()),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn where_the_pieces_are_cut_changes_nothing(bytes in wild(), step in 1usize..9) {
        for set in [CharacterSet::Utf8, CharacterSet::Iso8859_1] {
            let whole = read_with(set, b',', &bytes, usize::MAX);
            prop_assert_eq!(&whole, &read_with(set, b',', &bytes, 1));
            prop_assert_eq!(&whole, &read_with(set, b',', &bytes, step));
        }
    }

    #[test]
    fn every_line_that_is_not_blank_belongs_to_a_record(bytes in wild()) {
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes)).into_owned();
        let rows = read_with(CharacterSet::Utf8, b',', &bytes, usize::MAX);
        let last_line = |row: &Row| row.line + row.raw.matches('\n').count() as u64;
        for pair in rows.windows(2) {
            prop_assert!(last_line(&pair[0]) < pair[1].line);
        }
        for (content, at) in text.split('\n').zip(1u64..) {
            let blank = content.trim_matches([' ', '\t', '\r']).is_empty();
            let found = rows.iter().any(|row| row.line <= at && at <= last_line(row));
            prop_assert!(blank || found, "line {at}");
        }
    }

    #[test]
    fn what_is_written_with_quotes_reads_back(
        table in proptest::collection::vec(
            proptest::collection::vec("[a-zé \",;\r\n]{0,6}", 1..5), 1..8),
        crlf in any::<bool>(),
    ) {
        let mut text = String::new();
        for row in &table {
            let quoted: Vec<_> = row.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
            text.push_str(&quoted.join(","));
            text.push_str(if crlf { "\r\n" } else { "\n" });
        }
        prop_assert_eq!(fields(&text), table);
    }
}
