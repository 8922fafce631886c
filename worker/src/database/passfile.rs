//! Passwords from a file, as libpq keeps them (`~/.pgpass` or `PGPASSFILE`).
//!
//! A line is `host:port:database:user:password`; each of the first four may be `*`, and `\` takes
//! the meaning from a colon or another `\`; in the password a colon needs none. The first line that fits is used. A file that others
//! may read is not used at all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a line has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// Host name; `localhost` for a socket in the default folder.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: &'a str,
    /// User.
    pub user: &'a str,
}

/// The password that the file has, if there is such a file and it is private.
pub fn password(file: &Path, lookup: &Lookup<'_>) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() {
        tracing::warn!(file = %file.display(), "the password file is not a plain file and is not used");
        return None;
    }
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(
            file = %file.display(),
            "others may read the password file, so it is not used; its mode should be 600 (chmod 600)"
        );
        return None;
    }
    find(&fs::read_to_string(file).ok()?, lookup)
}

fn find(text: &str, lookup: &Lookup<'_>) -> Option<String> {
    let port = lookup.port.to_string();
    let wanted = [lookup.host, &port, lookup.database, lookup.user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let parts = split(line);
            let [host, port, database, user, password] = parts.as_slice() else {
                return None;
            };
            let given = [host, port, database, user];
            let fits = given
                .iter()
                .zip(wanted)
                .all(|(part, wanted)| part.as_str() == "*" || part.as_str() == wanted);
            (fits && !password.is_empty()).then(|| password.clone())
        })
}

/// The five parts of a line; everything behind the fourth colon is the password.
fn split(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let part = match character {
            ':' if parts.len() < 5 => {
                parts.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(last) = parts.last_mut() {
            last.push(part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LOOKUP: Lookup<'_> = Lookup {
        host: "db.example",
        port: 5433,
        database: "outbound",
        user: "worker",
    };

    #[test]
    fn the_first_line_that_fits_gives_the_password() {
        let text = "# comment\nother:*:*:*:no\nshort:line\n*:5433:outbound:worker:p\\:w:\\\\1\n*:*:*:*:late\n";
        assert_eq!(find(text, &LOOKUP).as_deref(), Some("p:w:\\1"));
        let other = Lookup {
            user: "someone",
            ..LOOKUP
        };
        assert_eq!(find(text, &other).as_deref(), Some("late"));
        assert_eq!(find("db.example:1:*:*:no\n", &LOOKUP), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        fs::write(&file, "*:*:*:*:secret\n").unwrap();
        for (mode, expected) in [(0o600, Some("secret")), (0o640, None), (0o604, None)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(password(&file, &LOOKUP).as_deref(), expected, "{mode:o}");
        }
        assert_eq!(password(&folder.path().join("missing"), &LOOKUP), None);
    }
}
