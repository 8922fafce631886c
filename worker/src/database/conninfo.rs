//! Which database to connect to, by libpq's own conventions.
//!
//! Each setting comes from the first of these that has it: the text given on the command line (a
//! URL, `keyword=value` pairs, or just the name of a database), the `PG…` environment variables,
//! the default. So whoever knows `psql` knows how to point the worker at a database; passwords
//! come from `PGPASSWORD` or the password file (see [`super::passfile`]), not from arguments.

mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outbound_core::reason::Reason;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode as ClientSslMode, TargetSessionAttrs};

use super::passfile::{self, Lookup};
use crate::error::Failure;

const DEFAULT_SOCKET_FOLDER: &str = "/var/run/postgresql";
const APPLICATION_NAME: &str = "outbound";

/// Settings known here, with their environment variables.
const SETTINGS: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("fallback_application_name", ""),
    ("keepalives", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("keepalives_count", ""),
    ("tcp_user_timeout", ""),
    // The client always speaks UTF-8 and never GSS; asking for that is no mistake.
    ("client_encoding", "PGCLIENTENCODING"),
    ("gssencmode", "PGGSSENCMODE"),
];

/// How far the connection is encrypted, and the server's certificate checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only if the server insists.
    Allow,
    /// Encrypted if the server can; the default.
    Prefer,
    /// Encrypted; the certificate is checked only if a root certificate is given.
    Require,
    /// Encrypted, and the certificate comes from a trusted authority.
    VerifyCa,
    /// As `VerifyCa`, and the certificate is made out to the host.
    VerifyFull,
}

/// A server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, or folder of the socket if it begins with `/`.
    pub host: String,
    /// Address, when it shall not be looked up.
    pub address: Option<IpAddr>,
    /// Port, also part of a socket's name.
    pub port: u16,
}

impl Endpoint {
    fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, port {}", self.host, self.port)
    }
}

/// Everything needed to open connections. Printing it never shows the password.
#[derive(Clone)]
pub struct ConnectOptions {
    settings: BTreeMap<&'static str, String>,
    endpoints: Vec<Endpoint>,
    home: Option<PathBuf>,
    /// How far connections are encrypted.
    pub(super) ssl_mode: SslMode,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("endpoints", &self.endpoints)
            .field("database", &self.database())
            .field("user", &self.user())
            .field("ssl_mode", &self.ssl_mode)
            .finish_non_exhaustive()
    }
}

impl ConnectOptions {
    /// Resolves the settings from the command line's text and the process environment.
    ///
    /// # Errors
    ///
    /// `database` for text or values that cannot be understood.
    pub fn from_environment(given: Option<&str>) -> Result<Self, Failure> {
        Self::resolve(given, &|name| std::env::var(name).ok())
    }

    /// Resolves the settings from `given` and the variables that `variable` knows.
    ///
    /// # Errors
    ///
    /// `database` for text or values that cannot be understood.
    pub fn resolve(
        given: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut settings = BTreeMap::new();
        for &(name, environment) in SETTINGS {
            let value = variable(environment).filter(|value| !value.is_empty());
            if let Some(value) = value.filter(|_| !environment.is_empty()) {
                settings.insert(name, value);
            }
        }
        let mut given = text::parse(given.unwrap_or_default())?;
        // An address given on the command line is about the host given there, not about another.
        if given.contains_key("host") && !given.contains_key("hostaddr") {
            settings.remove("hostaddr");
        }
        if variable("PGSERVICE").is_some() || given.contains_key("service") {
            return Err(wrong("connection services (PGSERVICE) are not supported")
                .with_hint("give host, port, user and dbname instead"));
        }
        for &(name, _) in SETTINGS {
            if let Some(value) = given.remove(name) {
                settings.insert(name, value);
            }
        }
        if let Some(unknown) = given.keys().next() {
            return Err(wrong(format!("unknown connection setting \"{unknown}\"")));
        }
        let user = || account_name().or_else(|| variable("USER"));
        if let Some(user) = user().filter(|_| !settings.contains_key("user")) {
            settings.insert("user", user);
        }
        let ssl_mode = match settings.get("sslmode").map(String::as_str) {
            None if settings
                .get("sslrootcert")
                .is_some_and(|file| file == "system") =>
            {
                SslMode::VerifyFull
            }
            None | Some("prefer") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some("allow") => SslMode::Allow,
            Some("require") => SslMode::Require,
            Some("verify-ca") => SslMode::VerifyCa,
            Some("verify-full") => SslMode::VerifyFull,
            Some(other) => return Err(wrong(format!("sslmode cannot be \"{other}\""))),
        };
        let options = Self {
            endpoints: endpoints(&settings)?,
            settings,
            home: variable("HOME").map(PathBuf::from),
            ssl_mode,
        };
        // Wrong values shall show at once, not at the first connection.
        for endpoint in &options.endpoints {
            options.config(endpoint, ClientSslMode::Disable)?;
        }
        Ok(options)
    }

    /// The servers to try, in order.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Name of the database.
    pub fn database(&self) -> Option<&str> {
        self.get("dbname").or_else(|| self.user())
    }

    /// Name of the user.
    pub fn user(&self) -> Option<&str> {
        self.get("user")
    }

    /// A file that has a setting of its own or a usual place under `~/.postgresql`; the latter
    /// only if it is there.
    pub(super) fn file(&self, setting: &str, usual: &str) -> Option<PathBuf> {
        if let Some(file) = self.get(setting) {
            return Some(PathBuf::from(file));
        }
        let file = self.home.as_ref()?.join(".postgresql").join(usual);
        file.exists().then_some(file)
    }

    /// Ways to connect, in the order in which they are to be tried.
    pub(super) fn tls_uses(&self, endpoint: &Endpoint) -> &'static [ClientSslMode] {
        if endpoint.is_socket() {
            return &[ClientSslMode::Disable];
        }
        match self.ssl_mode {
            SslMode::Disable => &[ClientSslMode::Disable],
            SslMode::Allow => &[ClientSslMode::Disable, ClientSslMode::Require],
            SslMode::Prefer => &[ClientSslMode::Prefer, ClientSslMode::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[ClientSslMode::Require],
        }
    }

    /// The client's own form of the settings.
    pub(super) fn config(
        &self,
        endpoint: &Endpoint,
        tls: ClientSslMode,
    ) -> Result<Config, Failure> {
        let mut config = Config::new();
        config
            .host(&endpoint.host)
            .port(endpoint.port)
            .ssl_mode(tls);
        if let Some(address) = endpoint.address {
            config.hostaddr(address);
        }
        if let Some(user) = self.user() {
            config.user(user);
        }
        if let Some(database) = self.database() {
            config.dbname(database);
        }
        if let Some(password) = self.password(endpoint) {
            config.password(password);
        }
        if let Some(options) = self.get("options") {
            config.options(options);
        }
        let name = self.get("application_name");
        let name = name.or_else(|| self.get("fallback_application_name"));
        config.application_name(name.unwrap_or(APPLICATION_NAME));
        // libpq waits at least two seconds; nothing or 0 means without end.
        if let Some(seconds) = self
            .number("connect_timeout")?
            .filter(|&seconds| seconds > 0)
        {
            config.connect_timeout(Duration::from_secs(seconds.max(2)));
        }
        if let Some(on) = self.number("keepalives")? {
            config.keepalives(on != 0);
        }
        if let Some(seconds) = self.number("keepalives_idle")? {
            config.keepalives_idle(Duration::from_secs(seconds));
        }
        if let Some(seconds) = self.number("keepalives_interval")? {
            config.keepalives_interval(Duration::from_secs(seconds));
        }
        if let Some(count) = self.number("keepalives_count")? {
            config.keepalives_retries(u32::try_from(count).unwrap_or(u32::MAX));
        }
        if let Some(milliseconds) = self.number("tcp_user_timeout")? {
            config.tcp_user_timeout(Duration::from_millis(milliseconds));
        }
        if let Some(binding) = self.get("channel_binding") {
            config.channel_binding(match binding {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" => ChannelBinding::Require,
                other => return Err(wrong(format!("channel_binding cannot be \"{other}\""))),
            });
        }
        if let Some(wanted) = self.get("target_session_attrs") {
            config.target_session_attrs(match wanted {
                "any" => TargetSessionAttrs::Any,
                "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
                other => {
                    return Err(wrong(format!("target_session_attrs cannot be \"{other}\""))
                        .with_hint("a worker writes: use read-write"));
                }
            });
        }
        Ok(config)
    }

    fn password(&self, endpoint: &Endpoint) -> Option<String> {
        if let Some(password) = self.get("password") {
            return Some(password.to_owned());
        }
        let usual = || self.home.as_ref().map(|home| home.join(".pgpass"));
        let file = self.get("passfile").map(PathBuf::from).or_else(usual)?;
        let host = match endpoint.host.as_str() {
            DEFAULT_SOCKET_FOLDER => "localhost",
            host => host,
        };
        let lookup = Lookup {
            host,
            port: endpoint.port,
            database: self.database()?,
            user: self.user()?,
        };
        passfile::password(Path::new(&file), &lookup)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|_| wrong(format!("{name} cannot be \"{text}\"")))
    }
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Reason::Database, message)
}

/// Hosts, addresses and ports, which come as lists of equal length (one port may serve all).
fn endpoints(settings: &BTreeMap<&'static str, String>) -> Result<Vec<Endpoint>, Failure> {
    let list = |name: &str| -> Vec<&str> {
        settings
            .get(name)
            .map_or_else(Vec::new, |text| text.split(',').map(str::trim).collect())
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len()).max(1);
    let fits = |length: usize| length == 0 || length == count;
    if !fits(hosts.len()) || !fits(addresses.len()) || !(fits(ports.len()) || ports.len() == 1) {
        return Err(wrong(
            "the lists of hosts, addresses and ports differ in length",
        ));
    }
    let item = |list: &[&str], index: usize| {
        let text = list.get(index).copied();
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    (0..count)
        .map(|index| {
            let address = item(&addresses, index);
            let host = item(&hosts, index).or_else(|| address.clone());
            let port = item(&ports, if ports.len() == 1 { 0 } else { index });
            Ok(Endpoint {
                host: host.unwrap_or_else(|| DEFAULT_SOCKET_FOLDER.to_owned()),
                address: address
                    .map(|text| {
                        text.parse()
                            .map_err(|_| wrong(format!("\"{text}\" is no address")))
                    })
                    .transpose()?,
                port: match port {
                    None => 5432,
                    Some(text) => text
                        .parse()
                        .ok()
                        .filter(|&port| port > 0)
                        .ok_or_else(|| wrong(format!("\"{text}\" is no port")))?,
                },
            })
        })
        .collect()
}

/// The name of the operating system's user that runs this process.
fn account_name() -> Option<String> {
    let id = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == id).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
