//! What must hold for addresses of SFTP servers and fingerprints.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn address(text: &str) -> SftpAddress {
    text.parse().unwrap()
}

fn refused(text: &str) -> AddressError {
    text.parse::<SftpAddress>().unwrap_err()
}

fn parts(text: &str) -> (String, u16, Option<String>) {
    let a = address(text);
    (a.host, a.port, a.directory)
}

#[test]
fn both_documented_forms_are_accepted() {
    let expected = (
        "sftp.example.com".to_owned(),
        22,
        Some("/in/new".to_owned()),
    );
    for text in [
        "sftp://sftp.example.com/in/new",
        "sftp:sftp.example.com/in/new",
        "SFTP://SFTP.Example.Com/in/new/",
        " sftp://sftp.example.com:22/in/new ",
    ] {
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn the_directory_is_optional() {
    for text in [
        "sftp://h",
        "sftp://h/",
        "sftp:h",
        "sftp:h/",
        "sftp://h/~",
        "sftp://h/~/",
    ] {
        assert_eq!(parts(text), ("h".to_owned(), 22, None), "{text}");
    }
}

#[test]
fn a_directory_below_the_login_directory_is_written_with_a_tilde() {
    assert_eq!(address("sftp://h/~/in").directory.as_deref(), Some("in"));
    assert_eq!(address("sftp://h/~//in").directory.as_deref(), Some("in"));
    assert_eq!(
        address("sftp://h/~ann/in").directory.as_deref(),
        Some("/~ann/in")
    );
}

#[test]
fn ports_and_ip_addresses_are_understood() {
    assert_eq!(parts("sftp://127.0.0.1:2222/in").1, 2222);
    assert_eq!(parts("sftp:127.0.0.1:2222/in").0, "127.0.0.1");
    assert_eq!(
        parts("sftp://[::1]/in"),
        ("::1".to_owned(), 22, Some("/in".to_owned()))
    );
    assert_eq!(parts("sftp://[::1]:2222"), ("::1".to_owned(), 2222, None));
}

#[test]
fn percent_sequences_are_read() {
    assert_eq!(
        address("sftp://h/a%20b%3f").directory.as_deref(),
        Some("/a b?")
    );
    assert_eq!(address("sftp://h/%D0%84").directory.as_deref(), Some("/Є"));
    for bad in [
        "sftp://h/%",
        "sftp://h/%zz",
        "sftp://h/%ff",
        "sftp://h/%00",
        "sftp://h/a\nb",
    ] {
        assert_eq!(refused(bad), AddressError::BadDirectory, "{bad}");
    }
}

#[test]
fn what_is_not_sftp_is_refused_with_the_reason() {
    for text in ["ftp://h/in", "FTPS://h", "ftp:h"] {
        assert!(matches!(refused(text), AddressError::Ftp { .. }), "{text}");
    }
    for text in ["", "h", "https://h/in", "/in", "ssh://h"] {
        assert!(
            matches!(refused(text), AddressError::NotSftp { .. }),
            "{text}"
        );
    }
    assert_eq!(refused("sftp://ann:secret@h/in"), AddressError::UserInfo);
    assert_eq!(refused("sftp://ann@h/in"), AddressError::UserInfo);
    assert_eq!(refused("sftp://h/in?x=1"), AddressError::Query('?'));
    assert_eq!(refused("sftp://h#x"), AddressError::Query('#'));
}

#[test]
fn a_password_in_an_address_is_not_repeated_in_the_message() {
    let message = refused("sftp://ann:secret@h/in").to_string();
    assert!(!message.contains("secret") || message.contains("secret that holds"));
    assert!(!message.contains("ann:"));
}

#[test]
fn hosts_and_ports_that_cannot_be_are_refused() {
    for text in ["sftp://", "sftp:", "sftp:///in", "sftp://:22/in"] {
        assert_eq!(refused(text), AddressError::NoHost, "{text}");
    }
    for text in [
        "sftp://a b/in",
        "sftp://-h",
        "sftp://a..b",
        "sftp://::1/in",
        "sftp://[::1",
        "sftp://[h]",
        "sftp://[::1]x",
        "sftp://h;rm",
        "sftp://хост",
    ] {
        assert!(
            matches!(refused(text), AddressError::BadHost { .. }),
            "{text}"
        );
    }
    for text in [
        "sftp://h:0",
        "sftp://h:65536",
        "sftp://h:",
        "sftp://h:ssh",
        "sftp://h:+22",
    ] {
        assert!(
            matches!(refused(text), AddressError::BadPort { .. }),
            "{text}"
        );
    }
}

#[test]
fn fingerprints_are_read_as_openssh_prints_them() {
    let zero = format!("SHA256:{}", "A".repeat(43));
    assert_eq!(parse_fingerprint(&zero), Ok([0; 32]));
    assert_eq!(parse_fingerprint(&format!(" {zero}= ")), Ok([0; 32]));
    let ones = format!("SHA256:{}8", "/".repeat(42));
    assert_eq!(parse_fingerprint(&ones), Ok([255; 32]));
}

#[test]
fn other_fingerprints_are_refused() {
    for text in ["", "MD5:aa:bb", "aa:bb:cc", "sha256:abc", "43 characters"] {
        assert_eq!(
            parse_fingerprint(text),
            Err(FingerprintError::NotSha256),
            "{text}"
        );
    }
    for rest in [
        "",
        "AAAA",
        &"A".repeat(42),
        &"A".repeat(44),
        &"-".repeat(43),
        &"/".repeat(43),
    ] {
        assert_eq!(
            parse_fingerprint(&format!("SHA256:{rest}")),
            Err(FingerprintError::BadBase64),
            "{rest}"
        );
    }
}

fn base64_of(bytes: [u8; 32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|b| format!("{b:08b}")).collect::<String>() + "00";
    (0..43)
        .map(|i| usize::from_str_radix(&bits[i * 6..i * 6 + 6], 2).unwrap())
        .map(|value| char::from(DIGITS[value]))
        .collect()
}

proptest! {
    #[test]
    fn every_fingerprint_reads_back(bytes in any::<[u8; 32]>()) {
        let text = format!("SHA256:{}", base64_of(bytes));
        prop_assert_eq!(parse_fingerprint(&text), Ok(bytes));
    }

    #[test]
    fn every_address_reads_back_as_it_is_shown(
        host in "([a-z0-9]{1,8}\\.){0,2}[a-z]{1,8}|::1|10\\.0\\.0\\.1",
        port in 1_u16..,
        directory in prop::option::of("/?[a-z%?# Є~][a-zA-Z0-9%?# Є~.]{0,6}(/[a-z]{1,4}){0,2}"),
    ) {
        let made = SftpAddress { host, port, directory };
        // Blanks at the ends of an address are not part of it, and a login directory is not `~`.
        prop_assume!(made.directory.as_deref().is_none_or(|d| !d.starts_with("/~/") && d != "/~"));
        prop_assert_eq!(address(&made.to_string()), made);
    }

    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        let _ = text.parse::<SftpAddress>();
        let _ = format!("sftp:{text}").parse::<SftpAddress>();
        let _ = parse_fingerprint(&text);
        let _ = parse_fingerprint(&format!("SHA256:{text}"));
    }
}
