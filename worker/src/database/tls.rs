//! Encryption of database connections, with libpq's meaning of `sslmode` and its files.
//!
//! | mode | certificate of the server |
//! |---|---|
//! | `allow`, `prefer` | not looked at |
//! | `require` | not looked at, unless a root certificate is given or in its usual place |
//! | `verify-ca` | must come from a root certificate |
//! | `verify-full` | must come from a root certificate and be made out to the host |

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509StoreBuilder;
use outbound_core::reason::Reason;
use postgres_openssl::MakeTlsConnector;

use super::conninfo::{ConnectOptions, SslMode};
use crate::error::Failure;

/// Stands for the certificates that the operating system trusts.
const SYSTEM: &str = "system";

/// What connects with the encryption that the options ask for.
pub(super) fn connector(options: &ConnectOptions) -> Result<MakeTlsConnector, Failure> {
    let failed = |error: ErrorStack| wrong(format!("cannot set up encryption: {error}"));
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
    builder
        .set_min_proto_version(Some(SslVersion::TLS1_2))
        .map_err(failed)?;
    let mode = options.ssl_mode;
    let root = options.file("sslrootcert", "root.crt");
    let verify = match mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => false,
        SslMode::Require => root.is_some(),
        SslMode::VerifyCa | SslMode::VerifyFull => true,
    };
    if verify {
        let root = root.ok_or_else(|| {
            wrong("there is no root certificate to check the database server with")
                .with_hint("set PGSSLROOTCERT, or to \"system\" for the operating system's")
        })?;
        trust(&mut builder, &root)?;
        builder.set_verify(SslVerifyMode::PEER);
    } else {
        builder.set_verify(SslVerifyMode::NONE);
    }
    if mode != SslMode::Disable {
        identify(&mut builder, options)?;
    }
    let mut connector = MakeTlsConnector::new(builder.build());
    connector.set_callback(move |connection, _host| {
        connection.set_verify_hostname(mode == SslMode::VerifyFull);
        Ok(())
    });
    Ok(connector)
}

/// Trusts the certificates in `root` and no others.
fn trust(builder: &mut SslConnectorBuilder, root: &Path) -> Result<(), Failure> {
    if root.as_os_str() == SYSTEM {
        return Ok(());
    }
    X509StoreBuilder::new()
        .and_then(|store| {
            builder.set_cert_store(store.build());
            builder.set_ca_file(root)
        })
        .map_err(|error| {
            wrong(format!(
                "cannot read the root certificate {}: {error}",
                root.display()
            ))
        })
}

/// Shows the server a certificate of ours, if there is one.
fn identify(builder: &mut SslConnectorBuilder, options: &ConnectOptions) -> Result<(), Failure> {
    let Some(certificate) = options.file("sslcert", "postgresql.crt") else {
        return Ok(());
    };
    let key = options.file("sslkey", "postgresql.key").ok_or_else(|| {
        wrong(format!(
            "there is a certificate {} but no key for it",
            certificate.display()
        ))
        .with_hint("set PGSSLKEY")
    })?;
    let cannot_read = |error: &dyn std::fmt::Display| {
        wrong(format!("cannot use the key {}: {error}", key.display()))
    };
    let metadata = fs::metadata(&key).map_err(|error| cannot_read(&error))?;
    // A key that belongs to root may be read by a group, as libpq has it.
    let permitted = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & permitted != 0 {
        return Err(cannot_read(&"others may read it").with_hint("chmod 600"));
    }
    builder
        .set_certificate_chain_file(&certificate)
        .map_err(|error| {
            wrong(format!(
                "cannot read the certificate {}: {error}",
                certificate.display()
            ))
        })?;
    builder
        .set_private_key_file(&key, SslFiletype::PEM)
        .map_err(|error| cannot_read(&error))
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Reason::Database, message)
}
