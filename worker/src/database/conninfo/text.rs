//! Connection strings: URLs, key words and values, or the name of a database.

use std::collections::BTreeMap;

use super::wrong;
use crate::error::Failure;

/// Settings by name, as given.
pub(super) type Given = BTreeMap<String, String>;

/// Reads a connection string as libpq does.
pub(super) fn parse(text: &str) -> Result<Given, Failure> {
    for scheme in ["postgresql://", "postgres://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return url(rest);
        }
    }
    if text.contains('=') {
        return pairs(text);
    }
    let mut given = Given::new();
    if !text.trim().is_empty() {
        given.insert("dbname".to_owned(), text.to_owned());
    }
    Ok(given)
}

/// `[user[:password]@][host[:port][,…]][/database][?name=value[&…]]`
fn url(text: &str) -> Result<Given, Failure> {
    let mut given = Given::new();
    let mut set = |name: &str, value: &str| -> Result<(), Failure> {
        if !value.is_empty() {
            given.insert(name.to_owned(), decode(value)?);
        }
        Ok(())
    };
    let (main, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, database) = main.split_once('/').unwrap_or((main, ""));
    set("dbname", database)?;
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    set("user", user)?;
    set("password", password)?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = host_and_port(host)?;
        names.push(name);
        ports.push(port);
    }
    set("host", &names.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        set("port", &ports.join(","))?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            // JDBC's spelling, which libpq knows too.
            Some(("ssl", "true")) => set("sslmode", "require")?,
            Some((name, value)) => set(&decode(name)?, value)?,
            None => return Err(wrong(format!("\"{pair}\" in the URL has no value"))),
        }
    }
    Ok(given)
}

fn host_and_port(text: &str) -> Result<(&str, &str), Failure> {
    if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest
            .split_once(']')
            .ok_or_else(|| wrong("an address in the URL lacks its ]"))?;
        return Ok((name, rest.strip_prefix(':').unwrap_or(rest)));
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn decode(text: &str) -> Result<String, Failure> {
    let malformed = || wrong("a %-code in the URL cannot be read");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (
            digit().ok_or_else(malformed)?,
            digit().ok_or_else(malformed)?,
        );
        bytes.push(high * 16 + low);
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(malformed()),
    }
}

/// `name = value …`; a value with blanks stands in single quotes, and `\` takes the meaning from
/// the character behind it.
fn pairs(text: &str) -> Result<Given, Failure> {
    let mut given = Given::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest
            .split_once('=')
            .ok_or_else(|| wrong("a connection setting has no value"))?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong("a connection setting has no value"));
        }
        let (value, behind) = value(behind.trim_start())?;
        if !value.is_empty() {
            given.insert(name.to_owned(), value);
        }
        rest = behind.trim_start();
    }
    Ok(given)
}

fn value(text: &str) -> Result<(String, &str), Failure> {
    let (quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            '\'' if quoted => return Ok((value, &body[at + 1..])),
            blank if !quoted && blank.is_whitespace() => return Ok((value, &body[at..])),
            other => value.push(other),
        }
    }
    if quoted {
        return Err(wrong("a quote in the connection settings is never closed"));
    }
    Ok((value, ""))
}
