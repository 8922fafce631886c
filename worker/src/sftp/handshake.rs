//! From a host's name to an encrypted line, with nothing about the host believed yet.

use std::net::{TcpStream, ToSocketAddrs};

use outbound_core::reason::Reason;
use ssh2::{ErrorCode, MethodType, Session};

use super::{Target, Trace, algorithms};
use crate::error::Failure;

/// An SSH session after the key exchange.
pub(super) struct Line {
    pub(super) session: Session,
    /// The session's socket, to be able to hang up.
    pub(super) socket: TcpStream,
}

/// Connects and exchanges keys; with `host_keys`, the server may use only those algorithms.
pub(super) fn shake(
    target: &Target,
    host_keys: Option<&str>,
    trace: &Trace,
) -> Result<Line, Failure> {
    let socket = dial(target)?;
    let peer = socket.peer_addr().map(|peer| peer.to_string());
    trace.note(format_args!("connected to {}", peer.unwrap_or_default()));
    let own = socket
        .try_clone()
        .map_err(|error| Failure::internal(format!("cannot share a socket: {error}")))?;
    let mut session = Session::new()
        .map_err(|error| Failure::internal(format!("cannot start libssh2: {error}")))?;
    session.set_timeout(u32::try_from(target.timeout.as_millis()).unwrap_or(u32::MAX));
    if let Some(host_keys) = host_keys {
        session
            .method_pref(MethodType::HostKey, host_keys)
            .map_err(|error| Failure::internal(format!("cannot choose host keys: {error}")))?;
    }
    session.set_tcp_stream(socket);
    match session.handshake() {
        Ok(()) => {}
        Err(error) => return Err(not_shaken(target, &session, &error)),
    }
    trace.note(format_args!(
        "keys exchanged: {}, {}, {}; server {:?}",
        session.methods(MethodType::Kex).unwrap_or("?"),
        session.methods(MethodType::HostKey).unwrap_or("?"),
        session.methods(MethodType::CryptSc).unwrap_or("?"),
        session
            .banner_bytes()
            .map(String::from_utf8_lossy)
            .unwrap_or_default()
    ));
    Ok(Line {
        session,
        socket: own,
    })
}

/// Opens the TCP connection, trying each of the host's addresses.
pub(super) fn dial(target: &Target) -> Result<TcpStream, Failure> {
    let unreachable = |detail: String| {
        Failure::new(
            Reason::SftpConnect,
            format!("cannot connect to {}:{}", target.host, target.port),
        )
        .with_detail(detail)
        .with_hint(
            "check the server's address and port, and that firewalls let this machine through",
        )
        .retryable()
    };
    let addresses = (target.host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(|error| unreachable(error.to_string()))?;
    let mut problems = Vec::new();
    for address in addresses {
        match TcpStream::connect_timeout(&address, target.timeout) {
            Ok(socket) => {
                // Requests are small and waited for: do not hold them back to fill packets.
                if let Err(error) = socket.set_nodelay(true) {
                    problems.push(format!("{address}: {error}"));
                    continue;
                }
                return Ok(socket);
            }
            Err(error) => problems.push(format!("{address}: {error}")),
        }
    }
    if problems.is_empty() {
        problems.push("the name has no address".to_owned());
    }
    Err(unreachable(problems.join("; ")))
}

fn not_shaken(target: &Target, session: &Session, error: &ssh2::Error) -> Failure {
    use libssh2_sys as raw;
    let negotiation = matches!(
        error.code(),
        ErrorCode::Session(
            raw::LIBSSH2_ERROR_KEX_FAILURE
                | raw::LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE
                | raw::LIBSSH2_ERROR_METHOD_NONE
                | raw::LIBSSH2_ERROR_METHOD_NOT_SUPPORTED
                | raw::LIBSSH2_ERROR_ALGO_UNSUPPORTED
        )
    );
    if negotiation && let Some(failure) = algorithms::explain(target, session) {
        return failure;
    }
    let failure = Failure::new(
        Reason::SftpConnect,
        format!(
            "{}:{} answers, but no SSH connection comes about",
            target.host, target.port
        ),
    )
    .with_detail(error.to_string());
    if error.code() == ErrorCode::Session(raw::LIBSSH2_ERROR_BANNER_RECV) {
        return failure
            .with_hint("check that the port is that of an SFTP server")
            .retryable();
    }
    failure.retryable()
}
