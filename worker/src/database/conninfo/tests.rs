//! What must hold of connection settings.

use super::*;

fn resolve(given: &str, environment: &[(&str, &str)]) -> Result<ConnectOptions, Failure> {
    ConnectOptions::resolve(Some(given), &|name| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn options(given: &str, environment: &[(&str, &str)]) -> ConnectOptions {
    resolve(given, environment).unwrap()
}

fn config(options: &ConnectOptions) -> Config {
    options
        .config(&options.endpoints()[0], ClientSslMode::Disable)
        .unwrap()
}

#[test]
fn without_anything_the_local_socket_and_the_users_own_database_are_used() {
    let options = options("", &[]);
    assert_eq!(options.endpoints()[0].host, "/var/run/postgresql");
    assert_eq!(options.endpoints()[0].port, 5432);
    assert_eq!(options.database(), options.user());
    assert!(options.user().is_some());
    assert_eq!(options.ssl_mode, SslMode::Prefer);
    assert_eq!(
        options.tls_uses(&options.endpoints()[0]),
        [ClientSslMode::Disable]
    );
    assert_eq!(config(&options).get_application_name(), Some("outbound"));
}

#[test]
fn the_command_line_wins_over_the_environment_setting_by_setting() {
    let environment = [
        ("PGHOST", "far"),
        ("PGHOSTADDR", "10.0.0.1"),
        ("PGPORT", "6000"),
        ("PGUSER", "u"),
        ("PGDATABASE", "d"),
        ("PGPASSWORD", "p"),
        ("PGAPPNAME", "mine"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGOPTIONS", "-c work_mem=1MB"),
    ];
    let options = options("host=near dbname=other", &environment);
    let endpoint = Endpoint {
        host: "near".to_owned(),
        address: None,
        port: 6000,
    };
    assert_eq!(options.endpoints(), [endpoint]);
    assert_eq!(
        (options.database(), options.user()),
        (Some("other"), Some("u"))
    );
    assert_eq!(options.ssl_mode, SslMode::Require);
    let config = config(&options);
    assert_eq!(config.get_password(), Some(b"p".as_slice()));
    assert_eq!(config.get_application_name(), Some("mine"));
    assert_eq!(config.get_options(), Some("-c work_mem=1MB"));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
}

#[test]
fn urls_give_user_hosts_ports_database_and_parameters() {
    let options = options(
        "postgresql://us%40er:p%3Aw@one:5433,[::1]/my%2Fdb?sslmode=verify-full&application_name=x",
        &[],
    );
    let seen: Vec<_> = options
        .endpoints()
        .iter()
        .map(|e| (e.host.as_str(), e.port))
        .collect();
    assert_eq!(seen, [("one", 5433), ("::1", 5432)]);
    assert_eq!(
        (options.user(), options.database()),
        (Some("us@er"), Some("my/db"))
    );
    assert_eq!(options.ssl_mode, SslMode::VerifyFull);
    assert_eq!(config(&options).get_password(), Some(b"p:w".as_slice()));
    let socket = self::options("postgres://%2Frun%2Fpg/db", &[]);
    assert_eq!(socket.endpoints()[0].host, "/run/pg");
    let parameter = self::options("postgres:///db?host=/run/pg&port=7", &[]);
    assert_eq!(
        (
            parameter.endpoints()[0].host.as_str(),
            parameter.endpoints()[0].port
        ),
        ("/run/pg", 7)
    );
}

#[test]
fn key_words_may_be_quoted_and_escaped() {
    let options = options(r"host = h  user='a b\'c' dbname=x\ y  port=''", &[]);
    assert_eq!(
        (options.user(), options.database()),
        (Some("a b'c"), Some("x y"))
    );
    assert_eq!(options.endpoints()[0].port, 5432);
}

#[test]
fn text_without_an_equals_sign_is_the_name_of_a_database() {
    assert_eq!(
        options("lists", &[("PGDATABASE", "d")]).database(),
        Some("lists")
    );
}

#[test]
fn an_address_is_connected_to_under_the_name_of_its_host() {
    let named = options("host=db.example hostaddr=10.0.0.1", &[]);
    assert_eq!(named.endpoints()[0].host, "db.example");
    assert_eq!(
        named.endpoints()[0].address,
        Some("10.0.0.1".parse().unwrap())
    );
    assert_eq!(
        options("hostaddr=10.0.0.1", &[]).endpoints()[0].host,
        "10.0.0.1"
    );
}

#[test]
fn encryption_is_tried_in_the_order_that_the_mode_asks_for() {
    use ClientSslMode::{Disable, Prefer, Require};
    let cases: [(&str, &[ClientSslMode]); 6] = [
        ("disable", &[Disable]),
        ("allow", &[Disable, Require]),
        ("prefer", &[Prefer, Disable]),
        ("require", &[Require]),
        ("verify-ca", &[Require]),
        ("verify-full", &[Require]),
    ];
    for (mode, expected) in cases {
        let options = options(&format!("host=h sslmode={mode}"), &[]);
        assert_eq!(
            options.tls_uses(&options.endpoints()[0]),
            expected,
            "{mode}"
        );
    }
    assert_eq!(
        options("host=h sslrootcert=system", &[]).ssl_mode,
        SslMode::VerifyFull
    );
}

#[test]
fn mistakes_are_told_without_connecting() {
    for given in [
        "hots=h",
        "host=a,b port=1,2,3",
        "port=x",
        "port=0",
        "sslmode=yes",
        "connect_timeout=soon",
        "hostaddr=db",
        "host='a",
        "host",
        "user",
        "channel_binding=x",
        "target_session_attrs=standby",
        "postgres://h/d?x",
        "postgres://h/%zz",
        "service=x",
        "postgres://[::1/d",
    ] {
        let plain_name = !given.contains(['=', ':']);
        assert_eq!(resolve(given, &[]).is_ok(), plain_name, "{given}");
    }
    assert!(resolve("", &[("PGSERVICE", "x")]).is_err());
}

#[test]
fn the_password_file_is_asked_for_each_host() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    std::fs::write(&file, "localhost:5432:d:u:local\nb:*:*:*:of-b\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let environment = [
        ("HOME", home.path().to_str().unwrap()),
        ("PGUSER", "u"),
        ("PGDATABASE", "d"),
    ];
    assert_eq!(
        config(&options("", &environment)).get_password(),
        Some(b"local".as_slice())
    );
    let two = options("host=a,b", &environment);
    let passwords: Vec<_> = two.endpoints().iter().map(|e| two.password(e)).collect();
    assert_eq!(passwords, [None, Some("of-b".to_owned())]);
}

#[test]
fn printing_the_options_never_shows_the_password() {
    let shown = format!("{:?}", options("password=hunter2 host=h", &[]));
    assert!(!shown.contains("hunter2"), "{shown}");
}
