//! Whether imported files would be moved to where they are looked for (list-automation §2.3 F-13):
//! every run would find them again.

/// A path without `.`, without `..` where something is left to go up from, and without repeated
/// slashes. Names only: what links on the server lead to is not known here.
fn plain_path(path: &str) -> (bool, Vec<&str>) {
    let absolute = path.starts_with('/');
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|&last| last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    (absolute, parts)
}

/// Whether files moved to `target`, absolute or relative to the scanned directory, would stay there.
pub(super) fn is_scanned(target: &str, scanned: &str) -> bool {
    let joined = if target.starts_with('/') {
        target.to_owned()
    } else if scanned.is_empty() {
        format!("./{target}")
    } else {
        format!("{scanned}/{target}")
    };
    plain_path(&joined) == plain_path(scanned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scanned_directory_is_known_however_it_is_written() {
        for (scanned, target) in [
            ("in", "."),
            ("in", "./"),
            ("in", ""),
            ("in", "../in"),
            ("in", ".//done/.."),
            ("", "."),
            ("", "./"),
            ("./", "x/.."),
            ("/", "/.."),
            ("/srv/in", "/srv/in"),
            ("/srv/in", "/srv//./in/"),
            ("/srv//in/", "/srv/out/../in"),
            ("/srv/in", "../in"),
        ] {
            assert!(is_scanned(target, scanned), "{scanned:?} {target:?}");
        }
    }

    #[test]
    fn any_other_directory_is_another_one() {
        for (scanned, target) in [
            ("in", "in"),
            ("in", ".."),
            ("in", "/in"),
            ("", "../x"),
            ("", "/"),
            ("", ".done"),
            ("/srv/in", "/srv"),
            ("/srv/in", "/srv/in/done"),
            ("../in", "../../in"),
        ] {
            assert!(!is_scanned(target, scanned), "{scanned:?} {target:?}");
        }
    }
}
