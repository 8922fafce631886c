//! E-mail addresses: syntax checked, domain in lower case.
//!
//! The local part is left as it is written: what its case means is the receiving server's matter.

use email_address::EmailAddress;

/// Longest address, in bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
const MAX_BYTES: usize = 254;

/// Appends the canonical form of `raw` to `out` and answers whether there is one.
pub(super) fn normalize_into(raw: &str, out: &mut String) -> bool {
    let text = raw.trim();
    if text.len() > MAX_BYTES {
        return false;
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    if !EmailAddress::is_valid_local_part(local) || !is_public_domain(domain) {
        return false;
    }
    let start = out.len();
    out.push_str(local);
    out.push('@');
    let domain_start = out.len();
    if domain.is_ascii() {
        out.push_str(domain);
        if let Some(written) = out.get_mut(domain_start..) {
            written.make_ascii_lowercase();
        }
        return true;
    }
    out.extend(domain.chars().flat_map(char::to_lowercase));
    // Some letters have a lower case of two characters, one of which no domain may hold.
    let good =
        out.len() - start <= MAX_BYTES && out.get(domain_start..).is_some_and(is_public_domain);
    if !good {
        out.truncate(start);
    }
    good
}

/// A host name with a dot whose last label is no number: an address literal or a bare host name
/// cannot be written to from outside.
fn is_public_domain(domain: &str) -> bool {
    domain
        .rsplit_once('.')
        .is_some_and(|(_, last)| !last.bytes().all(|b| b.is_ascii_digit()))
        && !domain.starts_with('[')
        && EmailAddress::is_valid_domain(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Option<String> {
        let mut out = String::new();
        normalize_into(raw, &mut out).then_some(out)
    }

    #[test]
    fn the_domain_is_lowered_and_the_local_part_kept() {
        for (raw, expected) in [
            ("ann@example.com", "ann@example.com"),
            (" Ann.O'Neil+x@Example.COM ", "Ann.O'Neil+x@example.com"),
            ("олена@пошта.УКР", "олена@пошта.укр"),
            ("a@b.co", "a@b.co"),
            ("\"odd name\"@Example.org", "\"odd name\"@example.org"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_cannot_be_written_to_is_refused() {
        for raw in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "ann@example",
            "ann@@example.com",
            "ann@example..com",
            "ann@.example.com",
            "ann@example.com.",
            "a b@example.com",
            "ann@exam ple.com",
            "ann@-example.com",
            "ann@[127.0.0.1]",
            "ann@127.0.0.1",
            "Ann <ann@example.com>",
            "<ann@example.com>",
            ".ann@example.com",
            "ann.@example.com",
            "ann@example.com, bob@example.com",
            "mailto ann@example.com",
            "ann\u{0}@example.com",
        ] {
            assert_eq!(canonical(raw), None, "{raw}");
        }
        let long = format!("{}@{}.com", "a".repeat(64), "b.".repeat(100));
        assert_eq!(canonical(&long), None);
    }
}
