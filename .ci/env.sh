# Where everything that is not source lives, and the environment builds and tests run in.
# Sourced (never executed) by .ci/setup.sh, .ci/run and the Makefile; it only computes and exports.
#
#   OUTBOUND_TOP      the checkout
#   OUTBOUND_RUN      <checkout>/.run: Python environments, pgrx's configuration, stamps (git-ignored)
#   OUTBOUND_SERVERS  private PostgreSQL copies and the data of throw-away servers
#   OUTBOUND_CACHE    built tools, shared by checkouts of this user; may be deleted at any time

OUTBOUND_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
OUTBOUND_RUN=$OUTBOUND_TOP/.run
OUTBOUND_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pg_outbound

# PostgreSQL refuses to run as root, so for root its servers run as user postgres, who must be able to
# reach their folders. A checkout below a private folder (root's home, say) is not: then the servers'
# folder is a temporary one, named after the checkout so that the next command finds it again.
if [ "$(id -u)" -ne 0 ]; then
  OUTBOUND_SERVERS=$OUTBOUND_RUN/servers
  OUTBOUND_RUNAS=
else
  OUTBOUND_RUNAS=postgres
  if id postgres >/dev/null 2>&1 && runuser -u postgres -- test -x "$OUTBOUND_TOP" 2>/dev/null; then
    OUTBOUND_SERVERS=$OUTBOUND_RUN/servers
  else
    OUTBOUND_SERVERS=${TMPDIR:-/tmp}/pg_outbound-$(printf '%s' "$OUTBOUND_TOP" | cksum | cut -d' ' -f1)
  fi
fi

# pgrx keeps which PostgreSQL to build against in a folder of its own: ours, so that a developer's
# settings for other extensions stay as they are.
PGRX_HOME=$OUTBOUND_RUN/pgrx

case ":$PATH:" in
  *":$OUTBOUND_CACHE/tools/bin:"*) ;;
  *) PATH=$OUTBOUND_CACHE/tools/bin:$PATH ;;
esac

# Rust's installer leaves cargo here without touching the PATH of shells that are already open.
if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
  PATH=$HOME/.cargo/bin:$PATH
fi

export OUTBOUND_TOP OUTBOUND_RUN OUTBOUND_SERVERS OUTBOUND_RUNAS OUTBOUND_CACHE PGRX_HOME PATH

outbound_pg_config() { # <major>: pg_config of the private copy that tests build against
  printf '%s/postgresql-%s/%s' "$OUTBOUND_SERVERS" "$1" bin/pg_config
}
