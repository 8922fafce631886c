//! Addresses of SFTP servers, and the fingerprints by which they are known.
//!
//! Two forms are accepted, `sftp://host[:port]/directory` and `sftp:host/directory`; anything that
//! would send a password or a file in the clear is refused by name (list-automation §2.1 F-1,
//! F-2). The directory follows the usual reading of such addresses: `/in` is absolute, `/~/in` is
//! below the directory in which the server puts the user, and nothing, or a bare `/`, is that
//! directory itself.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

/// The port of SSH.
const DEFAULT_PORT: u16 = 22;

/// Longest host name, in characters (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// Where an SFTP server is, and where on it the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftpAddress {
    /// Host name in lower case, or IP address without brackets.
    pub host: String,
    /// Port, 22 unless given.
    pub port: u16,
    /// Directory, absolute when it starts with `/` and otherwise below the login directory;
    /// `None` is the login directory.
    pub directory: Option<String>,
}

/// An address that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Plain FTP, with or without TLS.
    #[error("{scheme} is not supported: files travel by SFTP only, so use sftp://host/directory")]
    Ftp {
        /// The scheme as given.
        scheme: String,
    },
    /// Neither form of an SFTP address.
    #[error("\"{given}\" is no SFTP address: write sftp://host/directory or sftp:host/directory")]
    NotSftp {
        /// The text as given.
        given: String,
    },
    /// User name or password in the address.
    #[error(
        "the address holds a user or a password: leave it out, the job names the user and the \
         secret that holds the password"
    )]
    UserInfo,
    /// A query or a fragment.
    #[error("the address holds \"{0}\", which means nothing to SFTP: leave out what follows, or write it as {percent}", percent = if *.0 == '?' { "%3F" } else { "%23" })]
    Query(char),
    /// No host.
    #[error("the address has no host: write sftp://host/directory")]
    NoHost,
    /// A host that can be neither a name nor an IP address.
    #[error("\"{host}\" is neither a host name nor an IP address (IPv6 in brackets, as in [::1])")]
    BadHost {
        /// The host as given.
        host: String,
    },
    /// A port that is no number from 1 to 65535.
    #[error("the port \"{port}\" is no number from 1 to 65535")]
    BadPort {
        /// The port as given.
        port: String,
    },
    /// A directory that no server can have.
    #[error("the directory holds control characters or a wrong % sequence: correct it")]
    BadDirectory,
}

impl FromStr for SftpAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let not_sftp = || AddressError::NotSftp {
            given: text.to_owned(),
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(not_sftp)?;
        match scheme.to_ascii_lowercase().as_str() {
            "sftp" => {}
            "ftp" | "ftps" | "ftpes" => {
                return Err(AddressError::Ftp {
                    scheme: scheme.to_ascii_uppercase(),
                });
            }
            _ => return Err(not_sftp()),
        }
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        if let Some(mark) = path.chars().find(|c| matches!(c, '?' | '#')) {
            return Err(AddressError::Query(mark));
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self {
            host,
            port,
            directory: directory(path)?,
        })
    }
}

fn host_and_port(authority: &str) -> Result<(String, u16), AddressError> {
    let bad_host = || AddressError::BadHost {
        host: authority.to_owned(),
    };
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (inner, after) = inner.split_once(']').ok_or_else(bad_host)?;
        let ip: Ipv6Addr = inner.parse().map_err(|_| bad_host())?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(bad_host()),
        };
        (ip.to_string(), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            // More than one colon is an IPv6 address without its brackets.
            Some((_, port)) if port.contains(':') => return Err(bad_host()),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        if !is_host_name(host) {
            return Err(bad_host());
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|&port| port > 0 && text.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| AddressError::BadPort {
                port: text.to_owned(),
            })?,
    };
    Ok((host, port))
}

/// Labels of letters, digits, `-` and `_`, joined by dots; one dot at the end is allowed.
fn is_host_name(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    host.len() <= MAX_HOST
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

fn directory(path: &str) -> Result<Option<String>, AddressError> {
    let decoded = percent_decoded(path).ok_or(AddressError::BadDirectory)?;
    if decoded.chars().any(char::is_control) {
        return Err(AddressError::BadDirectory);
    }
    let below_login = match decoded.strip_prefix("/~") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    let directory = match below_login {
        // `/~//x` would turn into the absolute `/x`.
        Some(relative) => relative.trim_matches('/'),
        None => match decoded.trim_end_matches('/') {
            "" => "",
            absolute => absolute,
        },
    };
    Ok((!directory.is_empty()).then(|| directory.to_owned()))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

impl fmt::Display for SftpAddress {
    /// The first of the two forms, which reads back as the same address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "sftp://[{}]", self.host)?;
        } else {
            write!(f, "sftp://{}", self.host)?;
        }
        if self.port != DEFAULT_PORT {
            write!(f, ":{}", self.port)?;
        }
        let Some(directory) = &self.directory else {
            return f.write_str("/");
        };
        if !directory.starts_with('/') {
            f.write_str("/~/")?;
        }
        for c in directory.chars() {
            match c {
                '%' | '?' | '#' | ' ' => write!(f, "%{:02X}", u32::from(c))?,
                _ => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// A fingerprint that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FingerprintError {
    /// Another kind of fingerprint, or none.
    #[error(
        "expected a fingerprint as SHA256:… (ssh-keyscan HOST | ssh-keygen -lf - prints it); MD5 \
         fingerprints are not accepted"
    )]
    NotSha256,
    /// Not 32 bytes of base64.
    #[error("the fingerprint after SHA256: is no base64 of 32 bytes: copy all 43 characters of it")]
    BadBase64,
}

/// Reads the fingerprint of a host key as OpenSSH prints it: `SHA256:` and 43 characters of
/// base64, with or without the `=` at the end (list-automation §2.1 F-3 to F-5).
///
/// # Errors
/// [`FingerprintError`] with what is expected.
pub fn parse_fingerprint(text: &str) -> Result<[u8; 32], FingerprintError> {
    let base64 = text
        .trim()
        .strip_prefix("SHA256:")
        .ok_or(FingerprintError::NotSha256)?;
    let digits = base64.strip_suffix('=').unwrap_or(base64).as_bytes();
    if digits.len() != 43 {
        return Err(FingerprintError::BadBase64);
    }
    let mut out = [0; 32];
    let mut bytes = out.iter_mut();
    let (mut bits, mut held) = (0_u32, 0);
    for &digit in digits {
        bits = (bits << 6) | base64_value(digit).ok_or(FingerprintError::BadBase64)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            if let Some(place) = bytes.next() {
                *place = byte;
            }
            bits &= (1 << held) - 1;
        }
    }
    // 43 digits hold two bits more than 32 bytes; OpenSSH leaves them empty.
    if bits == 0 {
        Ok(out)
    } else {
        Err(FingerprintError::BadBase64)
    }
}

fn base64_value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests;
