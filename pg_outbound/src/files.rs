//! File names, server addresses and host keys as SQL functions over the rules of core.

use outbound_core::address::{AddressError, SftpAddress, parse_fingerprint};
use outbound_core::file_name::{self, NameOperator};
use pgrx::JsonB;
use pgrx::prelude::*;

use crate::error::invalid;

/// Whether a file name satisfies an operation and its value (list-automation §3.3 M-2).
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn file_name_matches(operation: &str, value: &str, name: &str, case_sensitive: bool) -> bool {
    match operation.parse::<NameOperator>() {
        Ok(operator) => file_name::matches(operator, value, name, case_sensitive),
        Err(error) => invalid(error.to_string(), "", ""),
    }
}

/// Whether a name is one that a file has while it is being transferred (list-automation §2.3 F-17).
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn file_is_in_transfer(name: &str) -> bool {
    file_name::is_in_transfer(name)
}

/// Name of the list that a file makes when none is given: its stem (list-automation §3.4 A-3).
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn list_name_from(file_name: &str) -> String {
    file_name::list_name_from(file_name)
}

/// Parts of an SFTP address: `host`, `port`, `directory` (list-automation §2.1 F-2).
///
/// # Errors
/// Raises `invalid_parameter_value` for another protocol, user information, or no host.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn parse_sftp_address(address: &str) -> JsonB {
    match address.parse::<SftpAddress>() {
        Ok(parts) => JsonB(serde_json::json!({
            "host": parts.host, "port": parts.port, "directory": parts.directory,
        })),
        Err(error) => invalid(
            match error {
                AddressError::NotSftp { given } => format!("\"{given}\" is not an SFTP address"),
                other => format!("\"{address}\" cannot be used: {other}"),
            },
            "",
            "Write sftp://host/directory, sftp://host:port/directory or sftp:host/directory; the directory may be left out.",
        ),
    }
}

/// A host-key fingerprint, checked.
///
/// # Errors
/// Raises `invalid_parameter_value` unless it is `SHA256:` and 32 bytes in base64.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_host_key_fingerprint(fingerprint: &str) -> String {
    match parse_fingerprint(fingerprint) {
        Ok(_) => fingerprint.trim().trim_end_matches('=').to_owned(),
        Err(error) => invalid(
            format!("\"{fingerprint}\" is not a host key fingerprint: {error}"),
            "",
            "Use the form SHA256:… that ssh-keygen -lf prints for the server's public host key.",
        ),
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::problem;

    #[pg_test]
    fn a_wrong_address_is_said_once() {
        assert!(
            problem("SELECT outbound.parse_sftp_address('')")
                .starts_with("22023|\"\" is not an SFTP address||Write sftp://host/directory")
        );
        assert!(
            problem("SELECT outbound.parse_sftp_address('ftp://host')")
                .starts_with("22023|\"ftp://host\" cannot be used: FTP is not supported")
        );
    }
}
